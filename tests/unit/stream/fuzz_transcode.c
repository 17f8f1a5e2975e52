/* `fuzz SEED COUNT`: passes COUNT corrupted copies of the seed's rows to the transcoder, in memory of exactly their
 * size, and checks its results. Compiled with sanitizers, which detect every access outside of that memory. */
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

static const char *const KEYS[] = {"{\"id\":",    ",\"aNumber\":",    ",\"large\":",
                                   ",\"isIt\":", ",\"attributes\":", ",\"at\":"};
static const int32_t KEY_SIZES[] = {6, 11, 9, 8, 14, 6};
static const Shape SHAPE = {6, "tilbjz", KEYS, KEY_SIZES};

static int64_t corrupt(unsigned char *copy, const unsigned char *seed, int64_t size) {
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

static void check(const Buffers *buffers) {
    assert(buffers->in_used >= 0 && buffers->in_used <= buffers->in_size);
    assert(buffers->out_used >= 0 && buffers->out_used <= buffers->out_size);
    assert(buffers->records >= 0 && buffers->records <= buffers->ends_size);
    for (int64_t i = 0; i < buffers->records; i++) assert(buffers->ends[i] > (i ? buffers->ends[i - 1] : 0));
    if (buffers->records) assert(buffers->ends[buffers->records - 1] == buffers->out_used);
}

static void write_in_pieces(Buffers *buffers) {
    Position position = {0, NOT_STARTED};
    int32_t outcome;
    do {
        buffers->out_used = 0;
        outcome = sluice_write_piece(&SHAPE, buffers, &position);
        assert(outcome == OUTPUT_FULL || outcome == ROW_COMPLETE);
        check(buffers);
    } while (outcome == OUTPUT_FULL);
    buffers->out_used = 0;
}

static int32_t run(const unsigned char *seed, int64_t seed_size) {
    int64_t room = 512 + (int64_t)below(3000), ends = 1 + (int64_t)below(4);
    unsigned char *in = malloc((size_t)seed_size), *out = malloc((size_t)room);
    int64_t size = corrupt(in, seed, seed_size);
    in = realloc(in, size ? (size_t)size : 1);
    Buffers buffers = {.in = in, .in_size = size, .out = out, .out_size = room, .ends_size = ends};
    buffers.ends = malloc((size_t)ends * 8);
    int32_t outcome;
    while ((outcome = sluice_write_rows(&SHAPE, &buffers)) == OUTPUT_FULL || outcome == ROW_TOO_LARGE) {
        check(&buffers);
        if (outcome == ROW_TOO_LARGE) write_in_pieces(&buffers);
        buffers.out_used = buffers.records = 0;
    }
    check(&buffers);
    free(in), free(out), free(buffers.ends);
    return outcome;
}

int main(int count, char **arguments) {
    assert(count == 3);
    FILE *file = fopen(arguments[1], "rb");
    unsigned char seed[4096];
    int64_t size = (int64_t)fread(seed, 1, sizeof seed, file);
    fclose(file);
    long whole = 0, bad = 0;
    for (long left = atol(arguments[2]); left > 0; left--) {
        int32_t outcome = run(seed, size);
        whole += outcome == END_OF_COPY;
        bad += outcome < 0;
    }
    printf("%ld %ld\n", whole, bad);
    return 0;
}
