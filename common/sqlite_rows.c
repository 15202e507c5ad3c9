#include "common/sqlite_rows.h"

#include "common/sqlfmt.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum {
    SHORT_TEXT = 57,      // the longest text whose serial type takes one byte
    SHORT_TEXT_WIDE = 16, // what a slot of a very wide table allows
    WIDE = 256,           // columns
    STEP = 16,            // texts are copied in steps of so many bytes
    SERIAL_REAL = 7,
    SERIAL_BLOB = 12,
    SERIAL_TEXT = 13,
    SERIAL_MAX_BYTES = 5, // of a value below 4 GiB
};

struct number {
    uint8_t serial, bytes;
    uint64_t body; // its first `bytes` bytes in memory
};

struct width {
    uint8_t serial, bytes, shift;
};

// By bits of the magnitude; 0 and 1 have serial types of their own and no body.
#define W(serial, bytes)              \
    {                                 \
        serial, bytes, 64 - 8 * bytes \
    }
#define W4(s, n) W(s, n), W(s, n), W(s, n), W(s, n)
#define W8(s, n) W4(s, n), W4(s, n)
static const struct width WIDTH[] = {
    W8(1, 1), W8(2, 2), W8(3, 3), W8(4, 4),    W8(5, 6),
    W8(5, 6), W8(6, 8), W8(6, 8), { 8, 0, 0 }, { 9, 0, 0 },
};

INLINE struct number integer(int64_t v)
{
    uint64_t magnitude = (uint64_t)(v ^ (v >> 63));
    uint32_t bits = 64 - (uint32_t)__builtin_clzll(magnitude | 1);
    uint32_t i = (uint64_t)v <= 1 ? 64 + (uint32_t)v : bits;
    const struct width *w = &WIDTH[i];
    return (struct number){ w->serial, w->bytes,
                            __builtin_bswap64((uint64_t)v << w->shift) };
}

INLINE uint64_t bits_of(double d)
{
    uint64_t u;
    memcpy(&u, &d, sizeof u);
    return u;
}

INLINE struct number real(double d)
{
    return (struct number){ SERIAL_REAL, 8, __builtin_bswap64(bits_of(d)) };
}

// What SQLite stores in a REAL column: whole numbers of up to 48 bits as integers.
// Comparing bits, not values, keeps -0.0.
INLINE struct number real_or_integer(double d)
{
    int64_t i = d >= -0x1p47 && d < 0x1p47 ? (int64_t)d : 0;
    struct number n = integer(i), r = real(d);
    return bits_of((double)i) == bits_of(d) ? n : r;
}

struct column {      // where one column of the block goes
    uint8_t *serial; // of row 0; the next row's is `stride` further
    size_t stride;
    uint8_t **end;
    uint32_t n; // rows
    uint64_t valid;
};

INLINE void put(const struct column *c, uint32_t r, struct number x, bool nulls)
{
    bool valid = !nulls || (c->valid >> r & 1);
    uint8_t *end = c->end[r];
    memcpy(end, &x.body, 8);
    c->serial[r * c->stride] = valid ? x.serial : 0;
    c->end[r] = end + (valid ? x.bytes : 0);
}

INLINE void integers(struct column c, const int64_t *v, bool nulls)
{
    for (uint32_t r = 0; r < c.n; r++)
        put(&c, r, integer(v[r]), nulls);
}

INLINE void reals(struct column c, const double *v, bool nulls)
{
    for (uint32_t r = 0; r < c.n; r++)
        put(&c, r, real_or_integer(v[r]), nulls);
}

// Reads and writes up to STEP bytes past the end: both sides have room for that.
INLINE void copy_text(uint8_t *to, const uint8_t *from, uint32_t n)
{
    memcpy(to, from, STEP);
    for (uint32_t i = STEP; __builtin_expect(i < n, 0); i += STEP)
        memcpy(to + i, from + i, STEP);
}

INLINE uint64_t texts(struct column c, const uint32_t *off, const uint8_t *bytes,
                      uint32_t max, bool nulls)
{
    uint64_t odd = 0;
    for (uint32_t r = 0; r < c.n; r++) {
        uint32_t n = off[r + 1] - off[r];
        n = !nulls || (c.valid >> r & 1) ? n : 0;
        if (__builtin_expect(n > max, 0)) {
            odd |= 1ull << r;
            continue;
        }
        uint8_t *end = c.end[r];
        copy_text(end, bytes + off[r], n);
        uint8_t serial = (uint8_t)(SERIAL_TEXT + 2 * n);
        c.serial[r * c.stride] = !nulls || (c.valid >> r & 1) ? serial : 0;
        c.end[r] = end + n;
    }
    return odd;
}

static void nothing(const struct column *c)
{
    for (uint32_t r = 0; r < c->n; r++)
        c->serial[r * c->stride] = 0;
}

// Values are filled in where they stay: a struct that is built in pieces and then copied
// whole would wait for its own stores.
INLINE void set_number(struct sqlite_value *v, struct number n)
{
    v->serial = n.serial;
    v->p = v->number;
    v->n = n.bytes;
    memcpy(v->number, &n.body, sizeof v->number);
}

INLINE void set_null(struct sqlite_value *v)
{
    v->serial = 0;
    v->p = v->number;
    v->n = 0;
}

INLINE void set_bytes(struct sqlite_value *v, uint32_t serial, const uint8_t *p, uint32_t n)
{
    v->serial = serial + 2 * (uint64_t)n;
    v->p = n ? p : v->number;
    v->n = n;
}

INLINE void set_cell(struct sqlite_value *v, const struct cell *x)
{
    switch (x->kind) {
    case CELL_INTEGER: set_number(v, integer(x->i)); break;
    case CELL_REAL:
        if (isnan(x->r)) // SQLite has no NaN: it would read NULL
            set_null(v);
        else
            set_number(v, real(x->r));
        break;
    case CELL_TEXT: set_bytes(v, SERIAL_TEXT, x->p, x->len); break;
    case CELL_BLOB: set_bytes(v, SERIAL_BLOB, x->p, x->len); break;
    default: set_null(v);
    }
}

static uint64_t cells(struct column c, const struct cell *x, uint32_t max)
{
    uint64_t odd = 0;
    for (uint32_t r = 0; r < c.n; r++) {
        struct sqlite_value v;
        set_cell(&v, &x[r]);
        if (v.n > max) {
            odd |= 1ull << r;
            continue;
        }
        memcpy(c.end[r], v.p, v.n);
        c.serial[r * c.stride] = (uint8_t)v.serial;
        c.end[r] += v.n;
    }
    return odd;
}

// Returns the rows whose value was too long.
static uint64_t encode_column(struct column c, const struct vec *v, uint32_t first,
                              uint32_t text_max)
{
    static const uint8_t EMPTY[STEP];
    if (v->absent) return nothing(&c), 0;
    if (v->type == TYPE_ANY) return cells(c, v->any + first, text_max);
    const uint8_t *bytes = v->bytes ? v->bytes : EMPTY;
    c.valid = v->valid[first / 64];
    uint64_t rows = c.n == 64 ? ~0ull : (1ull << c.n) - 1;
    if ((c.valid & rows) == 0) return nothing(&c), 0;
    bool nulls = (c.valid & rows) != rows;
    if (v->type == TYPE_REAL)
        nulls ? reals(c, v->f64 + first, true) : reals(c, v->f64 + first, false);
    else if (!type_is_text(v->type))
        nulls ? integers(c, v->i64 + first, true) : integers(c, v->i64 + first, false);
    else
        return nulls ? texts(c, v->off + first, bytes, text_max, true)
                     : texts(c, v->off + first, bytes, text_max, false);
    return 0;
}

static uint64_t rows_of_misfits(const struct vec *v, uint32_t *at, uint32_t first,
                                uint32_t n)
{
    uint64_t rows = 0;
    for (; *at < v->n_misfits && v->misfit[*at].row < first + n; ++*at) {
        assert(v->misfit[*at].row >= first);
        rows |= 1ull << (v->misfit[*at].row - first);
    }
    return rows;
}

void sqlite_rows_start(struct sqlite_rows *x)
{
    memset(x->misfit, 0, x->n_cols * sizeof *x->misfit);
}

void sqlite_rows_block(struct sqlite_rows *x, const struct batch *b, uint32_t first)
{
    uint32_t n = b->rows - first < SQLITE_ROWS_BLOCK ? b->rows - first : SQLITE_ROWS_BLOCK;
    uint32_t header = x->n_cols + (x->n_cols + 1 < 128 ? 1 : 2);
    struct column c = { .stride = x->stride, .end = x->end, .n = n };
    for (uint32_t r = 0; r < n; r++) {
        c.serial = sqlfmt_varint_put(sqlite_rows_record(x, r), header);
        x->end[r] = c.serial + x->n_cols;
    }
    c.serial = sqlfmt_varint_put(sqlite_rows_record(x, 0), header);
    x->odd = 0;
    for (uint32_t i = 0; i < x->n_cols; i++, c.serial++) {
        const struct vec *v = &b->col[i];
        x->odd |= encode_column(c, v, first, x->text_max);
        if (v->n_misfits && !v->absent)
            x->odd |= rows_of_misfits(v, &x->misfit[i], first, n);
    }
}

static const struct misfit *find_misfit(const struct vec *v, uint32_t row)
{
    uint32_t lo = 0, hi = v->n_misfits;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (v->misfit[mid].row < row)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < v->n_misfits && v->misfit[lo].row == row ? &v->misfit[lo] : NULL;
}

INLINE void set_value(struct sqlite_value *x, const struct vec *v, uint32_t row)
{
    const struct misfit *m;
    if (v->absent)
        set_null(x);
    else if (v->type == TYPE_ANY)
        set_cell(x, &v->any[row]);
    else if (!vec_valid(v, row))
        set_null(x);
    else if (v->n_misfits && (m = find_misfit(v, row)))
        set_bytes(x, SERIAL_TEXT, m->p, m->len);
    else if (type_is_text(v->type))
        set_bytes(x, SERIAL_TEXT, v->bytes + v->off[row], v->off[row + 1] - v->off[row]);
    else if (v->type == TYPE_REAL)
        set_number(x, real_or_integer(v->f64[row]));
    else
        set_number(x, integer(v->i64[row]));
}

void sqlite_rows_long(struct sqlite_rows *x, const struct batch *b, uint32_t row)
{
    uint64_t header = 0, bodies = 0;
    for (uint32_t i = 0; i < x->n_cols; i++) {
        struct sqlite_value *v = &x->value[i];
        set_value(v, &b->col[i], row);
        header += sqlfmt_varint_bytes(v->serial);
        bodies += v->n;
    }
    // The header's length counts itself, and may grow by doing so.
    header += header + 1 < 128 ? 1 : header + 2 < 16384 ? 2 : 3;
    uint8_t *p = sqlfmt_varint_put(x->header, header);
    for (uint32_t i = 0; i < x->n_cols; i++)
        p = sqlfmt_varint_put(p, x->value[i].serial);
    x->header_bytes = (uint32_t)(p - x->header);
    assert(x->header_bytes == header);
    x->payload = header + bodies;
}

err_t sqlite_rows_init(struct sqlite_rows *x, uint32_t n_cols, struct err *e)
{
    *x = (struct sqlite_rows){ .n_cols = n_cols };
    if (n_cols == 0 || n_cols > SCHEMA_MAX_COLUMNS)
        return err_set(e, ERR_INVALID, "a SQLite table of %u columns cannot be", n_cols);
    x->text_max = n_cols <= WIDE ? SHORT_TEXT : SHORT_TEXT_WIDE;
    size_t slot = SQLITE_ROWS_FRONT + 2 + n_cols + n_cols * (size_t)x->text_max + STEP;
    x->stride =
        ((slot / 64 + 1) | 1) * 64; // an odd number of cache lines spreads the slots
    x->slots = aligned_alloc(64, x->stride * SQLITE_ROWS_BLOCK);
    x->misfit = calloc(n_cols, sizeof *x->misfit);
    x->value = calloc(n_cols, sizeof *x->value);
    x->header = malloc(4 + n_cols * (size_t)SERIAL_MAX_BYTES);
    if (x->slots && x->misfit && x->value && x->header) return ERR_OK;
    sqlite_rows_close(x);
    return err_set(e, ERR_NOMEM, "out of memory: a SQLite image of %u columns", n_cols);
}

void sqlite_rows_close(struct sqlite_rows *x)
{
    free(x->slots);
    free(x->misfit);
    free(x->value);
    free(x->header);
    *x = (struct sqlite_rows){ 0 };
}
