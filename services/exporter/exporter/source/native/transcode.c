/* From PostgreSQL's binary COPY to JSON Lines, to the byte as its own row_to_json writes them.
 *
 * Making JSON text is the dearest thing that a backend does for an export. Here the backend sends the raw columns, and
 * the text is made on our side of the connection, several times as fast. A plain shared library without Python in it:
 * the caller (exporter/transcoder.py) owns all memory and passes it in; nothing is allocated or kept here.
 *
 *     input, big-endian:   int16 columns, then for each column  int32 length (-1: NULL), value;  int16 -1 at the end
 *     output:              {"id":"...","status":1,...}\n
 *
 * The input comes from a server, which may be anything, so it is checked before it is used: `measure` walks over a row's
 * lengths first, and only a row that lies wholly in the input and has possible lengths is ever written.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) && !defined(SLUICE_PORTABLE)
#include <emmintrin.h>
#endif

#define EXPORTED __attribute__((visibility("default")))

/* The checksum of this file when it was compiled: a library of another source is not used. */
#ifndef SLUICE_SOURCE
#define SLUICE_SOURCE ""
#endif
EXPORTED const char sluice_source[] = SLUICE_SOURCE;

typedef const unsigned char *bytes;

/* A row's shape: the type of each column as a letter, and what stands before its value: `{"id":` or `,"status":`. */
typedef struct {
    int32_t columns;
    const char *types;
    const char *const *keys;
    const int32_t *key_sizes;
} Shape;

enum { TEXT = 't', INT = 'i', BIGINT = 'l', BOOL = 'b', JSONB = 'j', TIMESTAMPTZ = 'z' };

/* One call's work. What is to be read, how much of it was; where to write, how much of it is full; the end of each
 * record in `out`, and how many there are. The caller empties `out` and `ends` when it likes, and calls again. */
typedef struct {
    bytes in;
    int64_t in_size, in_used, in_wanted;
    unsigned char *out;
    int64_t out_size, out_used;
    int64_t *ends;
    int64_t ends_size, records;
} Work;

/* Where a row stopped that is written piece by piece: in which column, and at which byte of its value. */
typedef struct {
    int64_t column, offset;
} Place;

#define UNBEGUN (-1)

typedef enum {
    WANTS_MORE = 0, /* what is left of the input is not a whole row; `in_wanted` bytes are the least it takes */
    IS_FULL = 1,    /* there is no room for what comes next until the output is emptied */
    IS_LARGE = 2,   /* even an empty output has no room for the next row at its worst: write it piece by piece */
    IS_WHOLE = 3,   /* the row is all there; the piece was its last */
    IS_END = 4,     /* the COPY ends here */
    BAD_COLUMNS = -1,
    BAD_VALUE = -2,
} Outcome;

#define ESCAPED 6 /* bytes of \u001f, the longest escape of one byte */
#define FIXED 48  /* no value of a type of fixed length is longer: "294276-12-31T23:59:59.999999+00:00", with reserve */
#define SLACK 32  /* what fast copies may write beyond their end */

/* ---- Big-endian numbers ---- */

static uint64_t read_unsigned(bytes from, int size) {
    uint64_t value = 0;
    for (int i = 0; i < size; i++) value = value << 8 | from[i];
    return value;
}

static int16_t read_int16(bytes from) { return (int16_t)read_unsigned(from, 2); }
static int32_t read_int32(bytes from) { return (int32_t)read_unsigned(from, 4); }
static int64_t read_int64(bytes from) { return (int64_t)read_unsigned(from, 8); }

/* ---- Text ---- */

/* For each byte that JSON escapes, what follows the backslash; 'u' for those that have no short form. */
static const char ESCAPES[256] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b', 't', 'n', 'u', 'f', 'r', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u',
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', ['"'] = '"', ['\\'] = '\\',
};

static unsigned char *put(unsigned char *out, const void *from, size_t size) {
    memcpy(out, from, size);
    return out + size;
}

static unsigned char *put_escape(unsigned char *out, unsigned char byte) {
    *out++ = '\\';
    *out++ = (unsigned char)ESCAPES[byte];
    if (ESCAPES[byte] == 'u') {
        out = put(out, "00", 2);
        *out++ = (unsigned char)"01"[byte >> 4];
        *out++ = (unsigned char)"0123456789abcdef"[byte & 15];
    }
    return out;
}

/* Copies 16 bytes at a time, and stops at those that need a backslash. Writes up to 16 bytes beyond what it returns. */
static unsigned char *put_escaped(unsigned char *out, bytes from, int64_t size) {
    bytes end = from + size;
#if defined(__SSE2__) && !defined(SLUICE_PORTABLE)
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), last_control = _mm_set1_epi8(0x1f);
    while (end - from >= 16) {
        __m128i chunk = _mm_loadu_si128((const __m128i *)from);
        _mm_storeu_si128((__m128i *)out, chunk);
        /* Without sign: min(byte, 0x1f) is the byte itself just for control characters. */
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(chunk, last_control), chunk);
        __m128i special = _mm_or_si128(_mm_cmpeq_epi8(chunk, quote), _mm_cmpeq_epi8(chunk, backslash));
        int found = _mm_movemask_epi8(_mm_or_si128(control, special));
        if (found == 0) {
            from += 16, out += 16;
            continue;
        }
        int clean = __builtin_ctz((unsigned)found);
        from += clean, out += clean;
        out = put_escape(out, *from++);
    }
#else
    const uint64_t each = 0x0101010101010101u, high = 0x8080808080808080u;
    while (end - from >= 8) {
        uint64_t chunk;
        memcpy(&chunk, from, 8);
        /* The high bit of a byte that is zero, of one below 0x20: what borrows from its neighbour only adds false
         * alarms, and those are seen to be none below. */
        uint64_t quote = chunk ^ each * '"', backslash = chunk ^ each * '\\';
        uint64_t found = (((quote - each) & ~quote) | ((backslash - each) & ~backslash) |
                          ((chunk - each * 0x20) & ~chunk)) & high;
        if (found == 0) {
            out = put(out, from, 8);
            from += 8;
            continue;
        }
        for (bytes stop = from + 8; from < stop; from++) {
            if (ESCAPES[*from]) out = put_escape(out, *from);
            else *out++ = *from;
        }
    }
#endif
    for (; from < end; from++) {
        if (ESCAPES[*from]) out = put_escape(out, *from);
        else *out++ = *from;
    }
    return out;
}

/* ---- Numbers ---- */

static const char PAIRS[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354"
    "555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

static unsigned char *put_pair(unsigned char *out, uint64_t below_100) { return put(out, PAIRS + 2 * below_100, 2); }

static unsigned char *put_int(unsigned char *out, int64_t value) {
    unsigned char digits[20], *first = digits + sizeof digits;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    if (value < 0) *out++ = '-';
    for (; left >= 100; left /= 100) put_pair(first -= 2, left % 100);
    if (left >= 10) put_pair(first -= 2, left);
    else *--first = (unsigned char)('0' + left);
    return put(out, first, (size_t)(digits + sizeof digits - first));
}

/* ---- Instants: microseconds since 2000-01-01T00:00:00Z ---- */

#define SECOND INT64_C(1000000)
#define DAY (86400 * SECOND)
#define FIRST_INSTANT INT64_C(-211813488000000000) /* 4714-11-24 BC, where PostgreSQL's calendar begins */
#define END_OF_INSTANTS INT64_C(9223371331200000000) /* 294277-01-01, which is not in it any more */

static bool is_instant(int64_t instant) {
    return instant == INT64_MIN || instant == INT64_MAX || (instant >= FIRST_INSTANT && instant < END_OF_INSTANTS);
}

/* Howard Hinnant's `civil_from_days`: years that begin on 1 March, so that a leap day is a year's last day, in eras of
 * 400 years, which have all the same number of days. */
static unsigned char *put_date(unsigned char *out, int64_t days, bool *is_bc) {
    days += 730425; /* from 2000-01-01 to 0000-03-01 */
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153; /* March is 0 */
    int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    *is_bc = year <= 0;
    if (year <= 0) year = 1 - year; /* the year 0 is 1 BC */
    if (year >= 10000) out = put_int(out, year);
    else out = put_pair(put_pair(out, (uint64_t)year / 100), (uint64_t)year % 100);
    *out++ = '-';
    out = put_pair(out, (uint64_t)month);
    *out++ = '-';
    return put_pair(out, (uint64_t)(day_of_year - (153 * shifted + 2) / 5 + 1));
}

static unsigned char *put_fraction(unsigned char *out, uint64_t microseconds) {
    if (microseconds == 0) return out;
    *out++ = '.';
    out = put_pair(out, microseconds / 10000);
    out = put_pair(out, microseconds / 100 % 100);
    out = put_pair(out, microseconds % 100);
    while (out[-1] == '0') out--;
    return out;
}

static unsigned char *put_instant(unsigned char *out, int64_t instant) {
    if (instant == INT64_MAX) return put(out, "\"infinity\"", 10);
    if (instant == INT64_MIN) return put(out, "\"-infinity\"", 11);
    int64_t days = instant / DAY, rest = instant % DAY;
    if (rest < 0) days--, rest += DAY;
    uint64_t seconds = (uint64_t)(rest / SECOND);
    bool is_bc;
    *out++ = '"';
    out = put_date(out, days, &is_bc);
    *out++ = 'T';
    out = put_pair(out, seconds / 3600);
    *out++ = ':';
    out = put_pair(out, seconds / 60 % 60);
    *out++ = ':';
    out = put_pair(out, seconds % 60);
    out = put_fraction(out, (uint64_t)(rest % SECOND));
    out = put(out, "+00:00", 6);
    if (is_bc) out = put(out, " BC", 3);
    *out++ = '"';
    return out;
}

/* ---- Rows ---- */

static bool is_possible(char type, bytes value, int32_t length) {
    switch (type) {
        case TEXT: return length >= 0;
        case JSONB: return length >= 1 && value[0] == 1; /* the version of its form */
        case INT: return length == 4;
        case BIGINT: return length == 8;
        case BOOL: return length == 1;
        case TIMESTAMPTZ: return length == 8 && is_instant(read_int64(value));
        default: return false;
    }
}

/* Walks over the lengths of the row that begins at `in` and says whether it is whole and possible: if so, how long it is
 * and how long its text can get; if there is too little of it, how long it is at least. */
static Outcome measure(const Shape *shape, bytes in, int64_t size, int64_t *row_size, int64_t *text_size) {
    int64_t at = 2;
    *text_size = SLACK;
    *row_size = at;
    if (size < at) return WANTS_MORE;
    int16_t columns = read_int16(in);
    if (columns == -1) return IS_END;
    if (columns != shape->columns) return BAD_COLUMNS;
    for (int32_t i = 0; i < columns; i++) {
        *row_size = at + INT64_C(4) * (columns - i);
        if (size < *row_size) return WANTS_MORE;
        int32_t length = read_int32(in + at);
        at += 4;
        *text_size += shape->key_sizes[i] + FIXED;
        if (length == -1) continue;
        if (length < 0) return BAD_VALUE;
        *row_size += length;
        if (size < *row_size) return WANTS_MORE;
        if (!is_possible(shape->types[i], in + at, length)) return BAD_VALUE;
        at += length;
        if (shape->types[i] == TEXT) *text_size += INT64_C(1) * length * ESCAPED;
        if (shape->types[i] == JSONB) *text_size += length;
    }
    *row_size = at;
    return IS_WHOLE;
}

static unsigned char *put_value(unsigned char *out, char type, bytes value, int32_t length) {
    if (length < 0) return put(out, "null", 4);
    switch (type) {
        case TEXT:
            *out++ = '"';
            out = put_escaped(out, value, length);
            *out++ = '"';
            return out;
        case JSONB: return put(out, value + 1, (size_t)length - 1);
        case INT: return put_int(out, read_int32(value));
        case BIGINT: return put_int(out, read_int64(value));
        case BOOL: return value[0] ? put(out, "true", 4) : put(out, "false", 5);
        default: return put_instant(out, read_int64(value));
    }
}

/* Writes a row that was measured and fits. */
static unsigned char *put_row(unsigned char *out, const Shape *shape, bytes in) {
    in += 2;
    for (int32_t i = 0; i < shape->columns; i++) {
        int32_t length = read_int32(in);
        in += 4;
        out = put(out, shape->keys[i], (size_t)shape->key_sizes[i]);
        out = put_value(out, shape->types[i], in, length);
        if (length > 0) in += length;
    }
    return put(out, "}\n", 2);
}

/* Writes rows until the input has no whole one any more, or the output is full. */
EXPORTED int32_t sluice_rows(const Shape *shape, Work *work) {
    for (;;) {
        bytes row = work->in + work->in_used;
        int64_t text_size = 0;
        Outcome outcome = measure(shape, row, work->in_size - work->in_used, &work->in_wanted, &text_size);
        if (outcome != IS_WHOLE) return outcome;
        if (text_size > work->out_size - work->out_used) return work->records ? IS_FULL : IS_LARGE;
        if (work->records == work->ends_size) return IS_FULL;
        work->out_used = put_row(work->out + work->out_used, shape, row) - work->out;
        work->ends[work->records++] = work->out_used;
        work->in_used += work->in_wanted;
    }
}

/* ---- Rows that are too large to be written at once ---- */

/* Writes a column on from where it stopped; says whether it came to its end. Leaves SLACK but for a closing quote. */
static bool put_some(Work *work, const Shape *shape, int32_t column, bytes value, int32_t length, int64_t *offset) {
    const char type = shape->types[column];
    unsigned char *out = work->out + work->out_used, *limit = work->out + work->out_size - SLACK;
    if (*offset == UNBEGUN) {
        if (limit - out < shape->key_sizes[column] + FIXED) return false;
        out = put(out, shape->keys[column], (size_t)shape->key_sizes[column]);
        if (length <= 0 || (type != TEXT && type != JSONB)) {
            work->out_used = put_value(out, type, value, length) - work->out;
            return true;
        }
        if (type == TEXT) *out++ = '"';
        *offset = type == JSONB; /* passes over the version */
    }
    int64_t room = limit > out ? (limit - out) / (type == TEXT ? ESCAPED : 1) : 0;
    int64_t size = length - *offset < room ? length - *offset : room;
    if (type == TEXT) out = put_escaped(out, value + *offset, size);
    else out = put(out, value + *offset, (size_t)size);
    *offset += size;
    if (*offset == length && type == TEXT) *out++ = '"';
    work->out_used = out - work->out;
    return *offset == length;
}

/* Writes on from `place` in the row that comes next in the input, until the output is full or the row ends. */
EXPORTED int32_t sluice_piece(const Shape *shape, Work *work, Place *place) {
    bytes in = work->in + work->in_used;
    int64_t row_size = 0, text_size = 0;
    Outcome outcome = measure(shape, in, work->in_size - work->in_used, &row_size, &text_size);
    if (outcome != IS_WHOLE) return outcome;
    in += 2;
    for (int32_t i = 0; i < shape->columns; i++) {
        int32_t length = read_int32(in);
        bytes value = in + 4;
        in = value + (length > 0 ? length : 0);
        if (i < place->column) continue;
        if (!put_some(work, shape, i, value, length, &place->offset)) return IS_FULL;
        place->column = i + 1;
        place->offset = UNBEGUN;
    }
    work->out_used = put(work->out + work->out_used, "}\n", 2) - work->out;
    work->in_used += row_size;
    return IS_WHOLE;
}
