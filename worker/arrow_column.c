#include "worker/arrow.h"

#include "common/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_PAD = 16, PAGE = 4096 }; // vec.bytes is readable so far past its end

static void *take(struct arrow_reader *r, uint64_t n)
{
    void *p = n <= SIZE_MAX ? arena_alloc(r->mem, (size_t)n) : NULL;
    if (!p) err_set(r->e, ERR_NOMEM, "out of memory: a plugin's result");
    return p;
}

static bool aligned(const void *p, size_t to)
{
    return (uintptr_t)p % to == 0;
}

// A buffer of fixed-width values, from the batch's first row on.
static const uint8_t *values(const struct arrow_reader *r, size_t width)
{
    static const uint8_t none[8];
    return r->rows ? (const uint8_t *)r->a->buffers[1] + r->first * width : none;
}

static err_t need_buffer(const struct arrow_reader *r, int i)
{
    if (r->rows == 0 || r->a->buffers[i]) return ERR_OK;
    return arrow_wrong(r, "its buffer %d is NULL, and it has %u rows", i, r->rows);
}

// ---- which values are there ----

static uint32_t copy_bits(uint64_t *to, const uint8_t *from, uint64_t first, uint32_t rows)
{
    uint32_t ones = 0;
    for (uint32_t i = 0; i < rows; i++) {
        uint64_t at = first + i;
        uint64_t bit = from[at / 8] >> (at % 8) & 1;
        to[i / 64] |= bit << i % 64;
        ones += (uint32_t)bit;
    }
    return ones;
}

static uint32_t copy_bytes_of_bits(uint64_t *to, const uint8_t *from, uint32_t rows)
{
    uint32_t ones = 0;
    memcpy(to, from, (rows + 7) / 8);
    if (rows % 64) to[rows / 64] &= (1ull << rows % 64) - 1;
    for (uint32_t w = 0; w < batch_words(rows); w++)
        ones += (uint32_t)__builtin_popcountll(to[w]);
    return ones;
}

static err_t read_valid(struct arrow_reader *r)
{
    uint32_t ones = r->rows, words = batch_words(r->rows);
    const uint8_t *bits = r->a->buffers[0];
    r->v->valid = take(r, words * sizeof *r->v->valid);
    if (!r->v->valid) return ERR_NOMEM;
    memset(r->v->valid, bits ? 0 : 0xff, words * sizeof *r->v->valid);
    if (bits)
        ones = r->first % 8 ? copy_bits(r->v->valid, bits, r->first, r->rows)
                            : copy_bytes_of_bits(r->v->valid, bits + r->first / 8, r->rows);
    int64_t nulls = r->rows - ones, said = r->a->null_count;
    bool whole = r->a->length == r->rows;
    if (said >= 0 && (whole ? said != nulls : said < nulls))
        return arrow_wrong(r, "its null count is %lld, but %lld values are NULL",
                           (long long)said, (long long)nulls);
    return ERR_OK;
}

// ---- numbers ----

static err_t read_int64(struct arrow_reader *r)
{
    const uint8_t *p = values(r, 8);
    if (r->rows && aligned(p, 8)) {
        r->v->i64 = (int64_t *)(uintptr_t)p;
        return ERR_OK;
    }
    r->v->i64 = take(r, 8 * (uint64_t)r->rows);
    if (!r->v->i64) return ERR_NOMEM;
    if (r->rows) memcpy(r->v->i64, p, 8 * (size_t)r->rows);
    return ERR_OK;
}

#define WIDEN(name, from, to, member)               \
    static void name(struct arrow_reader *r)        \
    {                                               \
        const uint8_t *p = values(r, sizeof(from)); \
        for (uint32_t i = 0; i < r->rows; i++) {    \
            from x;                                 \
            memcpy(&x, p + i * sizeof x, sizeof x); \
            r->v->member[i] = (to)x;                \
        }                                           \
    }
WIDEN(widen_int8, int8_t, int64_t, i64)
WIDEN(widen_uint8, uint8_t, int64_t, i64)
WIDEN(widen_int16, int16_t, int64_t, i64)
WIDEN(widen_uint16, uint16_t, int64_t, i64)
WIDEN(widen_int32, int32_t, int64_t, i64)
WIDEN(widen_uint32, uint32_t, int64_t, i64)
WIDEN(widen_uint64, uint64_t, int64_t, i64)
WIDEN(widen_float, float, double, f64)

static err_t widen(struct arrow_reader *r, void (*each)(struct arrow_reader *))
{
    r->v->i64 = take(r, 8 * (uint64_t)r->rows);
    if (!r->v->i64) return ERR_NOMEM;
    each(r);
    return ERR_OK;
}

static err_t read_uint64(struct arrow_reader *r)
{
    TRY(widen(r, widen_uint64));
    for (uint32_t i = 0; i < r->rows; i++)
        if (r->v->i64[i] < 0 && vec_valid(r->v, i))
            return arrow_wrong(r, "row %u: %llu is larger than an integer can be", i + 1,
                               (unsigned long long)r->v->i64[i]);
    return ERR_OK;
}

static err_t read_bool(struct arrow_reader *r)
{
    const uint8_t *bits = r->a->buffers[1];
    r->v->i64 = take(r, 8 * (uint64_t)r->rows);
    if (!r->v->i64) return ERR_NOMEM;
    for (uint32_t i = 0; i < r->rows; i++) {
        uint64_t at = r->first + i;
        r->v->i64[i] = bits[at / 8] >> (at % 8) & 1;
    }
    return ERR_OK;
}

static bool any_not_finite(const double *v, uint32_t rows)
{
    const uint64_t exponent = 0x7ff0000000000000;
    uint64_t found = 0;
    for (uint32_t i = 0; i < rows; i++) {
        uint64_t bits;
        memcpy(&bits, &v[i], 8);
        found |= (bits & exponent) == exponent;
    }
    return found;
}

// What has no number to store is NULL; an infinity would be another number elsewhere.
static err_t check_finite(struct arrow_reader *r)
{
    if (!any_not_finite(r->v->f64, r->rows)) return ERR_OK;
    for (uint32_t i = 0; i < r->rows; i++) {
        if (!vec_valid(r->v, i)) continue;
        if (isinf(r->v->f64[i])) return arrow_wrong(r, "row %u is infinite", i + 1);
        if (isnan(r->v->f64[i])) r->v->valid[i / 64] &= ~(1ull << i % 64);
    }
    return ERR_OK;
}

static err_t read_double(struct arrow_reader *r)
{
    TRY(read_int64(r));
    return check_finite(r);
}

static err_t read_float(struct arrow_reader *r)
{
    TRY(widen(r, widen_float));
    return check_finite(r);
}

// ---- text ----

// Whether TEXT_PAD bytes past p + n may be read without a fault: they stand in the same
// page as the last byte. Sanitizers want to see none of that.
static bool readable_past(const uint8_t *p, size_t n)
{
#if defined(__SANITIZE_ADDRESS__)
    (void)p, (void)n;
    return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    (void)p, (void)n;
    return false;
#endif
#endif
    return n && ((uintptr_t)(p + n - 1) % PAGE) + TEXT_PAD < PAGE;
}

static err_t keep_bytes(struct arrow_reader *r, const uint8_t *p, size_t n)
{
    if (readable_past(p, n)) {
        r->v->bytes = (uint8_t *)(uintptr_t)p;
        return ERR_OK;
    }
    r->v->bytes = take(r, n + TEXT_PAD);
    if (!r->v->bytes) return ERR_NOMEM;
    if (n) memcpy(r->v->bytes, p, n);
    memset(r->v->bytes + n, 0, TEXT_PAD);
    return ERR_OK;
}

static err_t bad_offsets(const struct arrow_reader *r, uint32_t row)
{
    return arrow_wrong(r, "row %u: its offsets are negative, descend, or pass 4 GiB",
                       row + 1);
}

static err_t narrow_offsets(struct arrow_reader *r, uint32_t *off, size_t width)
{
    const uint8_t *p = values(r, width);
    int64_t base = 0, before = 0;
    for (uint64_t i = 0; i <= r->rows; i++) {
        int64_t at = 0;
        int32_t narrow;
        memcpy(width == 8 ? (void *)&at : &narrow, p + i * width, width);
        if (width == 4) at = narrow;
        if (i == 0) base = before = at;
        if (base < 0 || at < before || at - base > UINT32_MAX - TEXT_PAD)
            return bad_offsets(r, i ? (uint32_t)i - 1 : 0);
        off[i] = (uint32_t)(at - base);
        before = at;
    }
    r->first = (uint64_t)base; // where the bytes begin
    return ERR_OK;
}

static bool ascends(const uint32_t *off, uint32_t rows)
{
    bool bad = false;
    for (uint32_t i = 0; i < rows; i++)
        bad |= off[i] > off[i + 1];
    return !bad && off[rows] <= INT32_MAX;
}

static uint32_t first_descent(const uint32_t *off, uint32_t rows)
{
    uint32_t i = 0;
    while (i + 1 < rows && off[i] <= off[i + 1] && off[i + 1] <= INT32_MAX)
        i++;
    return i;
}

// Offsets from 0 on; in v->off, and where the bytes begin in r->first.
static err_t read_offsets(struct arrow_reader *r, bool large)
{
    static uint32_t none[1];
    const uint8_t *p = values(r, large ? 8 : 4);
    const uint32_t *same = (const uint32_t *)(uintptr_t)p;
    if (r->rows == 0) { // the buffer may be NULL, or even empty
        r->v->off = none;
        r->first = 0;
        return ERR_OK;
    }
    if (!large && aligned(p, 4) && same[0] == 0) {
        if (!ascends(same, r->rows)) return bad_offsets(r, first_descent(same, r->rows));
        r->v->off = (uint32_t *)(uintptr_t)p;
        r->first = 0;
        return ERR_OK;
    }
    r->v->off = take(r, 4 * ((uint64_t)r->rows + 1));
    if (!r->v->off) return ERR_NOMEM;
    return narrow_offsets(r, r->v->off, large ? 8 : 4);
}

static err_t check_each_text(const struct arrow_reader *r, const uint32_t *off,
                             const uint8_t *bytes)
{
    for (uint32_t i = 0; i < r->rows; i++) {
        uint32_t n = off[i + 1] - off[i];
        if (vec_valid(r->v, i) && utf8_bad(bytes + off[i], n) != n)
            return arrow_wrong(r, "row %u is not UTF-8 text (or has a NUL in it)", i + 1);
    }
    return ERR_OK;
}

// All at once; one by one only to say where, and because NULL rows may hold anything.
static err_t check_texts(const struct arrow_reader *r, const uint8_t *bytes)
{
    const uint32_t *off = r->v->off;
    uint32_t n = off[r->rows];
    bool cut = utf8_bad(bytes, n) != n;
    for (uint32_t i = 1; !cut && i < r->rows; i++)
        cut = off[i] < n && (bytes[off[i]] & 0xc0) == 0x80;
    return cut ? check_each_text(r, off, bytes) : ERR_OK;
}

static err_t read_bytes(struct arrow_reader *r, const uint8_t **p)
{
    const uint8_t *bytes = r->a->buffers[2];
    uint32_t n = r->v->off[r->rows];
    if (n && !bytes) return arrow_wrong(r, "its buffer 2 is NULL, and it has %u bytes", n);
    *p = n ? bytes + r->first : (const uint8_t *)"";
    return ERR_OK;
}

static err_t read_text(struct arrow_reader *r, bool large)
{
    const uint8_t *p;
    TRY(read_offsets(r, large));
    TRY(read_bytes(r, &p));
    TRY(check_texts(r, p));
    return keep_bytes(r, p, r->v->off[r->rows]);
}

static struct cell *any_cells(struct arrow_reader *r)
{
    struct cell *cells = take(r, (uint64_t)r->rows * sizeof *cells);
    for (uint32_t i = 0; cells && i < r->rows; i++)
        cells[i] = (struct cell){ .kind = CELL_NULL };
    return cells;
}

static err_t read_null(struct arrow_reader *r)
{
    if (r->a->null_count >= 0 && r->a->null_count != r->a->length)
        return arrow_wrong(r, "its null count is %lld of %lld rows, and its type is null",
                           (long long)r->a->null_count, (long long)r->a->length);
    struct cell *cells = any_cells(r);
    if (!cells) return ERR_NOMEM;
    *r->v = (struct vec){ .type = TYPE_ANY, .any = cells };
    return ERR_OK;
}

static err_t read_binary(struct arrow_reader *r, bool large)
{
    const uint8_t *p;
    TRY(read_offsets(r, large));
    TRY(read_bytes(r, &p));
    const uint32_t *off = r->v->off;
    struct cell *cells = any_cells(r);
    if (!cells) return ERR_NOMEM;
    for (uint32_t i = 0; i < r->rows; i++)
        if (vec_valid(r->v, i))
            cells[i] = (struct cell){ .kind = CELL_BLOB,
                                      .len = off[i + 1] - off[i],
                                      .p = p + off[i] };
    *r->v = (struct vec){ .type = TYPE_ANY, .any = cells };
    return ERR_OK;
}

// ---- dictionaries ----

static err_t read_indices(struct arrow_reader *r)
{
    switch (r->c->kind) {
    case ARROW_INT8: return widen(r, widen_int8);
    case ARROW_UINT8: return widen(r, widen_uint8);
    case ARROW_INT16: return widen(r, widen_int16);
    case ARROW_UINT16: return widen(r, widen_uint16);
    case ARROW_INT32: return widen(r, widen_int32);
    case ARROW_UINT32: return widen(r, widen_uint32);
    case ARROW_UINT64: return read_uint64(r);
    default: return read_int64(r);
    }
}

static err_t read_words(struct arrow_reader *r, struct vec *words, uint32_t *n)
{
    const struct ArrowArray *d = r->a->dictionary;
    struct arrow_column column = *r->c;
    column.kind = r->c->values;
    if (!d->release || d->length < 0 || d->offset < 0 || d->length >= UINT32_MAX ||
        d->offset >= INT64_MAX / 64 || d->n_buffers != 3 || !d->buffers || d->n_children ||
        d->dictionary || d->null_count < -1 || d->null_count > d->length)
        return arrow_wrong(r, "its dictionary is not an array of text");
    struct arrow_reader x = { .c = &column,
                              .a = d,
                              .first = (uint64_t)d->offset,
                              .rows = (uint32_t)d->length,
                              .mem = r->mem,
                              .v = words,
                              .e = r->e };
    *n = x.rows;
    TRY(need_buffer(&x, 1));
    TRY(read_valid(&x));
    return read_text(&x, column.kind == ARROW_LARGE_UTF8);
}

static err_t read_dictionary(struct arrow_reader *r)
{
    struct vec words = { .type = TYPE_TEXT };
    uint32_t n = 0;
    TRY(read_indices(r));
    TRY(read_words(r, &words, &n));
    struct cell *cells = any_cells(r);
    if (!cells) return ERR_NOMEM;
    for (uint32_t i = 0; i < r->rows; i++) {
        int64_t k = r->v->i64[i];
        if (!vec_valid(r->v, i)) continue;
        if (k < 0 || k >= n)
            return arrow_wrong(r, "row %u: %lld is no index of its dictionary of %u", i + 1,
                               (long long)k, n);
        if (vec_valid(&words, (uint32_t)k))
            cells[i] = (struct cell){ .kind = CELL_TEXT,
                                      .len = words.off[k + 1] - words.off[k],
                                      .p = words.bytes + words.off[k] };
    }
    *r->v = (struct vec){ .type = TYPE_ANY, .any = cells };
    return ERR_OK;
}

// ---- dates and times ----

static err_t read_moments(struct arrow_reader *r)
{
    char text[ARROW_MOMENT_MAX];
    struct vec *v = r->v;
    TRY(r->c->kind == ARROW_DATE_DAYS ? widen(r, widen_int32) : read_int64(r));
    const int64_t *moment = v->i64;
    if ((uint64_t)r->rows * ARROW_MOMENT_MAX > UINT32_MAX - TEXT_PAD)
        return arrow_wrong(r, "it has more than 4 GiB of text");
    uint32_t *off = take(r, 4 * ((uint64_t)r->rows + 1));
    uint8_t *bytes = take(r, (uint64_t)r->rows * ARROW_MOMENT_MAX + TEXT_PAD);
    if (!off || !bytes) return ERR_NOMEM;
    off[0] = 0;
    for (uint32_t i = 0; i < r->rows; i++) {
        uint32_t n = 0;
        if (vec_valid(v, i) && !arrow_moment(r->c->kind, r->c->zone, moment[i], text, &n))
            return arrow_wrong(r, "row %u: %lld is not within the years 1 to 9999", i + 1,
                               (long long)moment[i]);
        memcpy(bytes + off[i], text, n);
        off[i + 1] = off[i] + n;
    }
    v->off = off;
    v->bytes = bytes;
    return ERR_OK;
}

err_t arrow_column_read(struct arrow_reader *r)
{
    enum type type = r->v->type;
    *r->v = (struct vec){ .type = type };
    if (r->c->kind == ARROW_NULL) return read_null(r);
    TRY(need_buffer(r, 1));
    TRY(read_valid(r));
    if (r->c->dictionary) return read_dictionary(r);
    switch (r->c->kind) {
    case ARROW_NULL: break;
    case ARROW_BOOL: return read_bool(r);
    case ARROW_INT8: return widen(r, widen_int8);
    case ARROW_UINT8: return widen(r, widen_uint8);
    case ARROW_INT16: return widen(r, widen_int16);
    case ARROW_UINT16: return widen(r, widen_uint16);
    case ARROW_INT32: return widen(r, widen_int32);
    case ARROW_UINT32: return widen(r, widen_uint32);
    case ARROW_INT64: return read_int64(r);
    case ARROW_UINT64: return read_uint64(r);
    case ARROW_FLOAT: return read_float(r);
    case ARROW_DOUBLE: return read_double(r);
    case ARROW_UTF8: return read_text(r, false);
    case ARROW_LARGE_UTF8: return read_text(r, true);
    case ARROW_BINARY: return read_binary(r, false);
    case ARROW_LARGE_BINARY: return read_binary(r, true);
    case ARROW_DATE_DAYS:
    case ARROW_DATE_MS:
    case ARROW_TIME_S:
    case ARROW_TIME_MS:
    case ARROW_TIME_US:
    case ARROW_TIME_NS: return read_moments(r);
    }
    return ERR_OK;
}
