/* Converts PostgreSQL's binary COPY to JSON Lines, byte for byte as its own row_to_json writes them, with line
 * separators within strings escaped.
 *
 * Building JSON text is the most expensive part of an export for a backend. Here the backend sends the raw columns, and
 * the text is built on the client's side, several times as fast. This is a plain shared library without Python: the
 * caller (exporter/source/transcoder.py) owns all memory and passes it in; nothing is allocated or kept here.
 *
 *     input, big-endian:   int16 columns, then for each column  int32 length (-1: NULL), value;  int16 -1 at the end
 *     output:              {"id":"...","status":1,...}\n
 *
 * The input comes from a server that is not trusted, so it is checked before it is used: `measure` first walks over a
 * row's lengths, and only a row that is complete and has possible lengths is ever written.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) && !defined(SLUICE_PORTABLE)
#include <emmintrin.h>
#endif

#define EXPORTED __attribute__((visibility("default")))

/* The checksum of this file at compile time: a library compiled from another source is not used. */
#ifndef SLUICE_SOURCE
#define SLUICE_SOURCE ""
#endif
EXPORTED const char sluice_source[] = SLUICE_SOURCE;

typedef const unsigned char *bytes;

/* A row's shape: the type of each column as a letter, and the text before its value: `{"id":` or `,"status":`. */
typedef struct {
    int32_t columns;
    const char *types;
    const char *const *keys;
    const int32_t *key_sizes;
} Shape;

enum { TEXT = 't', INT = 'i', BIGINT = 'l', BOOL = 'b', JSONB = 'j', TIMESTAMPTZ = 'z' };

/* The buffers of a call: the input and how much of it was used; the output and how much of it is filled; the offset in
 * `out` at which each record ends, and how many there are. The caller may empty `out` and `ends` between calls. */
typedef struct {
    bytes in;
    int64_t in_size, in_used, in_needed;
    unsigned char *out;
    int64_t out_size, out_used;
    int64_t *ends;
    int64_t ends_size, records;
} Buffers;

/* Where a row that is written in pieces stopped: the column, and the byte of its value. */
typedef struct {
    int64_t column, offset;
} Position;

#define NOT_STARTED (-1)

typedef enum {
    INPUT_USED = 0,    /* the rest of the input is not a whole row, which needs at least `in_needed` bytes */
    OUTPUT_FULL = 1,   /* the next bytes do not fit until the output is emptied */
    ROW_TOO_LARGE = 2, /* the next row might not fit even into an empty output: write it in pieces */
    ROW_COMPLETE = 3,  /* the row is complete; the piece was its last */
    END_OF_COPY = 4,   /* the COPY ends here */
    BAD_COLUMNS = -1,
    BAD_VALUE = -2,
} Outcome;

#define ESCAPED 6 /* bytes of \u001f, the longest escape of a single byte */
#define ESCAPED_JSON 3 /* for each byte of U+0085, which has two: of \u0085, the longest escape within JSON */
#define FIXED 48  /* the longest text of a fixed-length type, "294276-12-31T23:59:59.999999+00:00", with a reserve */
#define SLACK 32  /* bytes that fast copies may write beyond their end */

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

/* For each byte that JSON escapes, the character after the backslash; 'u' for bytes without a short form; 's' for the
 * first bytes of line separators. */
static const char ESCAPES[256] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b', 't', 'n', 'u', 'f', 'r', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u',
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', ['"'] = '"', ['\\'] = '\\', [0xc2] = 's', [0xe2] = 's',
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

/* The size of the line separator (U+0085, U+2028, U+2029) that begins here, or 0. JSON allows them in strings, but common
 * readers of lines split at them. */
static int separator_size(bytes from, bytes end) {
    if (from[0] == 0xc2) return end - from >= 2 && from[1] == 0x85 ? 2 : 0;
    return from[0] == 0xe2 && end - from >= 3 && from[1] == 0x80 && (from[2] | 1) == 0xa9 ? 3 : 0;
}

/* Writes a byte that is escaped, or the character that a separator's first byte begins, and moves `from` behind it. */
static unsigned char *put_special(unsigned char *out, bytes *from, bytes end) {
    if (**from < 0x80) return put_escape(out, *(*from)++);
    int size = separator_size(*from, end);
    if (size == 0) {
        *out++ = *(*from)++;
        return out;
    }
    out = put(out, size == 2 ? "\\u0085" : (*from)[2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
    *from += size;
    return out;
}

/* Writes bytes up to `stop`, or to the end of a separator that begins before it. */
static inline __attribute__((always_inline)) unsigned char *put_bytes(unsigned char *out, bytes *from, bytes stop,
                                                                      bytes end, bool is_json) {
    while (*from < stop) {
        unsigned char byte = **from;
        if (is_json ? (byte | (0xe2 ^ 0xc2)) == 0xe2 : ESCAPES[byte]) {
            out = put_special(out, from, end);
        } else {
            *out++ = byte;
            *from += 1;
        }
    }
    return out;
}

#if defined(__SSE2__) && !defined(SLUICE_PORTABLE)
/* A bit for each of 16 bytes that is escaped, or that separators begin with. */
static inline __attribute__((always_inline)) unsigned find_special(__m128i chunk, bool is_json) {
    const __m128i lead = _mm_set1_epi8((char)0xe2), difference = _mm_set1_epi8(0xe2 ^ 0xc2);
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), last_control = _mm_set1_epi8(0x1f);
    __m128i special = _mm_cmpeq_epi8(_mm_or_si128(chunk, difference), lead);
    if (!is_json) {
        /* Unsigned: min(byte, 0x1f) equals the byte only for control characters. */
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(chunk, last_control), chunk);
        __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(chunk, quote), _mm_cmpeq_epi8(chunk, backslash));
        special = _mm_or_si128(special, _mm_or_si128(control, marks));
    }
    return (unsigned)_mm_movemask_epi8(special);
}
#endif

/* Copies 16 bytes at a time up to the next byte to be escaped: in the text of JSON, only line separators are. Writes up
 * to 16 bytes beyond the end that it returns. */
static inline __attribute__((always_inline)) unsigned char *put_escaped(unsigned char *out, bytes from, int64_t size,
                                                                        bool is_json) {
    bytes end = from + size;
#if defined(__SSE2__) && !defined(SLUICE_PORTABLE)
    while (end - from >= 16) {
        __m128i chunk = _mm_loadu_si128((const __m128i *)from);
        _mm_storeu_si128((__m128i *)out, chunk);
        unsigned found = find_special(chunk, is_json);
        int clean = found ? __builtin_ctz(found) : 16;
        from += clean, out += clean;
        if (found) out = put_special(out, &from, end);
    }
    if (end - from >= 8) {
        __m128i chunk = _mm_loadl_epi64((const __m128i *)from);
        _mm_storel_epi64((__m128i *)out, chunk);
        unsigned found = find_special(chunk, is_json) & 0xff;
        int clean = found ? __builtin_ctz(found) : 8;
        from += clean, out += clean;
    }
#else
    const uint64_t each = 0x0101010101010101u, high = 0x8080808080808080u;
    while (end - from >= 8) {
        uint64_t chunk;
        memcpy(&chunk, from, 8);
        /* Sets the high bit of each byte that is zero, or below 0x20. Borrowing from a neighbour only adds false
         * positives, which the loop below copies unchanged. */
        uint64_t quote = chunk ^ each * '"', backslash = chunk ^ each * '\\';
        uint64_t lead = (chunk | each * (0xe2 ^ 0xc2)) ^ each * 0xe2;
        uint64_t found = (lead - each) & ~lead;
        if (!is_json) {
            found |= ((quote - each) & ~quote) | ((backslash - each) & ~backslash) | ((chunk - each * 0x20) & ~chunk);
        }
        if ((found & high) == 0) {
            out = put(out, from, 8);
            from += 8;
            continue;
        }
        out = put_bytes(out, &from, from + 8, end, is_json);
    }
#endif
    return put_bytes(out, &from, end, end, is_json);
}

static unsigned char *put_text(unsigned char *out, bytes from, int64_t size) {
    return put_escaped(out, from, size, false);
}

static unsigned char *put_json(unsigned char *out, bytes from, int64_t size) {
    return put_escaped(out, from, size, true);
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
#define FIRST_INSTANT INT64_C(-211813488000000000) /* 4714-11-24 BC, the first day of PostgreSQL's calendar */
#define END_OF_INSTANTS INT64_C(9223371331200000000) /* 294277-01-01, the first day after it */

static bool is_instant(int64_t instant) {
    return instant == INT64_MIN || instant == INT64_MAX || (instant >= FIRST_INSTANT && instant < END_OF_INSTANTS);
}

/* Howard Hinnant's `civil_from_days`: years begin on 1 March, so that a leap day is a year's last day, in eras of 400
 * years, which all have the same number of days. */
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
        case JSONB: return length >= 1 && value[0] == 1; /* the version of the format */
        case INT: return length == 4;
        case BIGINT: return length == 8;
        case BOOL: return length == 1;
        case TIMESTAMPTZ: return length == 8 && is_instant(read_int64(value));
        default: return false;
    }
}

/* Walks over the lengths of the row at `in` and returns whether it is complete and possible. Sets its size and the
 * maximum size of its text or, if it is incomplete, the least size that it can have. */
static Outcome measure(const Shape *shape, bytes in, int64_t size, int64_t *row_size, int64_t *text_size) {
    int64_t at = 2;
    *text_size = SLACK;
    *row_size = at;
    if (size < at) return INPUT_USED;
    int16_t columns = read_int16(in);
    if (columns == -1) return END_OF_COPY;
    if (columns != shape->columns) return BAD_COLUMNS;
    for (int32_t i = 0; i < columns; i++) {
        *row_size = at + INT64_C(4) * (columns - i);
        if (size < *row_size) return INPUT_USED;
        int32_t length = read_int32(in + at);
        at += 4;
        *text_size += shape->key_sizes[i] + FIXED;
        if (length == -1) continue;
        if (length < 0) return BAD_VALUE;
        *row_size += length;
        if (size < *row_size) return INPUT_USED;
        if (!is_possible(shape->types[i], in + at, length)) return BAD_VALUE;
        at += length;
        if (shape->types[i] == TEXT) *text_size += INT64_C(1) * length * ESCAPED;
        if (shape->types[i] == JSONB) *text_size += INT64_C(1) * length * ESCAPED_JSON;
    }
    *row_size = at;
    return ROW_COMPLETE;
}

static unsigned char *put_value(unsigned char *out, char type, bytes value, int32_t length) {
    if (length < 0) return put(out, "null", 4);
    switch (type) {
        case TEXT:
            *out++ = '"';
            out = put_text(out, value, length);
            *out++ = '"';
            return out;
        case JSONB: return put_json(out, value + 1, length - 1);
        case INT: return put_int(out, read_int32(value));
        case BIGINT: return put_int(out, read_int64(value));
        case BOOL: return value[0] ? put(out, "true", 4) : put(out, "false", 5);
        default: return put_instant(out, read_int64(value));
    }
}

/* Writes a row that was measured and fits into the output. */
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

/* Writes rows until no whole row is left in the input, or the output is full. */
EXPORTED int32_t sluice_write_rows(const Shape *shape, Buffers *buffers) {
    for (;;) {
        bytes row = buffers->in + buffers->in_used;
        int64_t text_size = 0;
        Outcome outcome = measure(shape, row, buffers->in_size - buffers->in_used, &buffers->in_needed, &text_size);
        if (outcome != ROW_COMPLETE) return outcome;
        if (text_size > buffers->out_size - buffers->out_used) return buffers->records ? OUTPUT_FULL : ROW_TOO_LARGE;
        if (buffers->records == buffers->ends_size) return OUTPUT_FULL;
        buffers->out_used = put_row(buffers->out + buffers->out_used, shape, row) - buffers->out;
        buffers->ends[buffers->records++] = buffers->out_used;
        buffers->in_used += buffers->in_needed;
    }
}

/* ---- Rows that are too large to write at once ---- */

/* Continues a column from `offset`; returns whether it is complete. Leaves SLACK bytes free, less a closing quote. */
static bool continue_column(Buffers *buffers, const Shape *shape, int32_t column, bytes value, int32_t length,
                            int64_t *offset) {
    const char type = shape->types[column];
    unsigned char *out = buffers->out + buffers->out_used, *limit = buffers->out + buffers->out_size - SLACK;
    if (*offset == NOT_STARTED) {
        if (limit - out < shape->key_sizes[column] + FIXED) return false;
        out = put(out, shape->keys[column], (size_t)shape->key_sizes[column]);
        if (length <= 0 || (type != TEXT && type != JSONB)) {
            buffers->out_used = put_value(out, type, value, length) - buffers->out;
            return true;
        }
        if (type == TEXT) *out++ = '"';
        *offset = type == JSONB; /* skips the version */
    }
    int64_t room = limit > out ? (limit - out) / (type == TEXT ? ESCAPED : ESCAPED_JSON) : 0;
    int64_t size = length - *offset < room ? length - *offset : room;
    /* A piece does not end within a line separator, which has two or three bytes: it ends before a character. */
    for (int i = 0; i < 2 && size > 0 && *offset + size < length && (value[*offset + size] & 0xc0) == 0x80; i++) size--;
    out = type == TEXT ? put_text(out, value + *offset, size) : put_json(out, value + *offset, size);
    *offset += size;
    if (*offset == length && type == TEXT) *out++ = '"';
    buffers->out_used = out - buffers->out;
    return *offset == length;
}

/* Continues the next row of the input from `position`, until the output is full or the row ends. */
EXPORTED int32_t sluice_write_piece(const Shape *shape, Buffers *buffers, Position *position) {
    bytes in = buffers->in + buffers->in_used;
    int64_t row_size = 0, text_size = 0;
    Outcome outcome = measure(shape, in, buffers->in_size - buffers->in_used, &row_size, &text_size);
    if (outcome != ROW_COMPLETE) return outcome;
    in += 2;
    for (int32_t i = 0; i < shape->columns; i++) {
        int32_t length = read_int32(in);
        bytes value = in + 4;
        in = value + (length > 0 ? length : 0);
        if (i < position->column) continue;
        if (!continue_column(buffers, shape, i, value, length, &position->offset)) return OUTPUT_FULL;
        position->column = i + 1;
        position->offset = NOT_STARTED;
    }
    buffers->out_used = put(buffers->out + buffers->out_used, "}\n", 2) - buffers->out;
    buffers->in_used += row_size;
    return ROW_COMPLETE;
}
