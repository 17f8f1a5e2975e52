/* `fuzz SEED COUNT`: gives COUNT broken copies of the seed's rows to the transcoder, in memory of just their size, and
 * checks what it says of them. Compiled with sanitizers, which see every byte that is touched outside. */
#include "transcode.c"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state = 0x9E3779B97F4A7C15u;

/* xorshift64: the same numbers every time. */
static uint64_t below(uint64_t limit) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state % limit;
}

static const char *const KEYS[] = {"{\"id\":", ",\"aNumber\":", ",\"large\":", ",\"isIt\":", ",\"attributes\":", ",\"at\":"};
static const int32_t KEY_SIZES[] = {6, 11, 9, 8, 14, 6};
static const Shape SHAPE = {6, "tilbjz", KEYS, KEY_SIZES};

static int64_t broken(unsigned char *copy, const unsigned char *seed, int64_t size) {
    memcpy(copy, seed, (size_t)size);
    for (uint64_t faults = below(4); faults > 0; faults--) {
        unsigned char *at = copy + below((uint64_t)size);
        switch (below(4)) {
            case 0: *at = (unsigned char)below(256); break;
            case 1: *at ^= (unsigned char)(1 << below(8)); break;
            case 2: *at = 0xff; break;
            default: *at = 0; break;
        }
    }
    return below(3) ? size : (int64_t)below((uint64_t)size + 1);
}

static void check(const Work *work) {
    assert(work->in_used >= 0 && work->in_used <= work->in_size);
    assert(work->out_used >= 0 && work->out_used <= work->out_size);
    assert(work->records >= 0 && work->records <= work->ends_size);
    for (int64_t i = 0; i < work->records; i++) assert(work->ends[i] > (i ? work->ends[i - 1] : 0));
    if (work->records) assert(work->ends[work->records - 1] == work->out_used);
}

static void by_pieces(Work *work) {
    Place place = {0, UNBEGUN};
    int32_t outcome;
    do {
        work->out_used = 0;
        outcome = sluice_piece(&SHAPE, work, &place);
        assert(outcome == IS_FULL || outcome == IS_WHOLE);
        check(work);
    } while (outcome == IS_FULL);
    work->out_used = 0;
}

static int32_t run(const unsigned char *seed, int64_t seed_size) {
    int64_t room = 512 + (int64_t)below(3000), ends = 1 + (int64_t)below(4);
    unsigned char *in = malloc((size_t)seed_size), *out = malloc((size_t)room);
    int64_t size = broken(in, seed, seed_size);
    in = realloc(in, size ? (size_t)size : 1);
    Work work = {.in = in, .in_size = size, .out = out, .out_size = room, .ends = malloc((size_t)ends * 8), .ends_size = ends};
    int32_t outcome;
    while ((outcome = sluice_rows(&SHAPE, &work)) == IS_FULL || outcome == IS_LARGE) {
        check(&work);
        if (outcome == IS_LARGE) by_pieces(&work);
        work.out_used = work.records = 0;
    }
    check(&work);
    free(in), free(out), free(work.ends);
    return outcome;
}

int main(int count, char **words) {
    assert(count == 3);
    FILE *file = fopen(words[1], "rb");
    unsigned char seed[4096];
    int64_t size = (int64_t)fread(seed, 1, sizeof seed, file);
    fclose(file);
    long whole = 0, bad = 0;
    for (long left = atol(words[2]); left > 0; left--) {
        int32_t outcome = run(seed, size);
        whole += outcome == IS_END;
        bad += outcome < 0;
    }
    printf("%ld %ld\n", whole, bad);
    return 0;
}
