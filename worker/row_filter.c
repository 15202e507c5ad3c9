#include "worker/row_filter.h"

#include <math.h>
#include <string.h>

static const double TWO_63 = 9223372036854775808.0;

// Integers x with `x op r`.
static void int_range_of_real(struct row_filter *f, double r)
{
    bool below = r < -TWO_63, above = r >= TWO_63; // of all integers
    bool whole = !below && !above && floor(r) == r;
    f->int_lo = INT64_MIN;
    f->int_hi = INT64_MAX;
    switch (f->op) {
    case ROW_FILTER_LT:
    case ROW_FILTER_LE:
        if (above) return;
        if (below || (r == -TWO_63 && f->op == ROW_FILTER_LT)) break;
        f->int_hi = (int64_t)floor(r) - (whole && f->op == ROW_FILTER_LT);
        return;
    case ROW_FILTER_GT:
    case ROW_FILTER_GE:
        if (below) return;
        if (above) break;
        f->int_lo = (int64_t)floor(r) + !(whole && f->op == ROW_FILTER_GE);
        return;
    default:
        if (!whole) break;
        f->int_lo = f->int_hi = (int64_t)r;
        return;
    }
    f->int_lo = 1; // empty
    f->int_hi = 0;
}

static void int_range(struct row_filter *f, int64_t k)
{
    f->int_lo = INT64_MIN;
    f->int_hi = INT64_MAX;
    switch (f->op) {
    case ROW_FILTER_LE: f->int_hi = k; return;
    case ROW_FILTER_GE: f->int_lo = k; return;
    case ROW_FILTER_LT:
        if (k == INT64_MIN) break;
        f->int_hi = k - 1;
        return;
    case ROW_FILTER_GT:
        if (k == INT64_MAX) break;
        f->int_lo = k + 1;
        return;
    default: f->int_lo = f->int_hi = k; return;
    }
    f->int_lo = 1;
    f->int_hi = 0;
}

static void real_range(struct row_filter *f, double r)
{
    f->real_lo = -INFINITY;
    f->real_hi = INFINITY;
    switch (f->op) {
    case ROW_FILTER_LE: f->real_hi = r; return;
    case ROW_FILTER_GE: f->real_lo = r; return;
    case ROW_FILTER_LT: f->real_hi = nextafter(r, -INFINITY); return;
    case ROW_FILTER_GT: f->real_lo = nextafter(r, INFINITY); return;
    default: f->real_lo = f->real_hi = r; return;
    }
}

// Reals x with `x op k`, or more where k has no equal among the reals.
static void real_range_of_int(struct row_filter *f, int64_t k)
{
    const int64_t two_53 = INT64_C(1) << 53;
    if (k >= -two_53 && k <= two_53) {
        real_range(f, (double)k);
        return;
    }
    f->real_lo = f->invert ? 1 : -INFINITY; // all of them
    f->real_hi = f->invert ? 0 : INFINITY;
}

static void compare_numbers(struct row_filter *f, const struct cell *value)
{
    f->keep = ROW_FILTER_KEEP_NUMBERS;
    f->invert = f->op == ROW_FILTER_NE;
    if (value->kind == CELL_INTEGER) {
        int_range(f, value->i);
        real_range_of_int(f, value->i);
    } else {
        int_range_of_real(f, value->r);
        real_range(f, value->r);
    }
}

void row_filter_init(struct row_filter *f, const struct vec *v, uint32_t rows,
                     enum type declared, enum row_filter_op op, const struct cell *value)
{
    *f = (struct row_filter){ .v = v, .rows = rows, .op = op };
    f->keep = ROW_FILTER_KEEP_VALUES;
    if (op == ROW_FILTER_NOTNULL) return;
    if (op == ROW_FILTER_ISNULL || (op == ROW_FILTER_IS && value->kind == CELL_NULL))
        f->keep = ROW_FILTER_KEEP_NULLS;
    else if (value->kind == CELL_NULL)
        f->keep = ROW_FILTER_KEEP_NONE;
    else if (value->kind == CELL_INTEGER || value->kind == CELL_REAL) {
        if (!type_is_text(declared)) compare_numbers(f, value);
    } else if (value->kind == CELL_TEXT &&
               (type_is_text(declared) || declared == TYPE_ANY)) {
        f->keep = ROW_FILTER_KEEP_TEXTS;
        f->text.p = value->p;
        f->text.n = value->len;
    }
}

static bool text_matches(const struct row_filter *f, const uint8_t *p, uint32_t n)
{
    if (f->op == ROW_FILTER_EQ || f->op == ROW_FILTER_IS)
        return n == f->text.n && (n == 0 || memcmp(p, f->text.p, n) == 0);
    uint32_t least = n < f->text.n ? n : f->text.n;
    int c = least ? memcmp(p, f->text.p, least) : 0;
    if (c == 0) c = (n > f->text.n) - (n < f->text.n);
    switch (f->op) {
    case ROW_FILTER_LT: return c < 0;
    case ROW_FILTER_LE: return c <= 0;
    case ROW_FILTER_GT: return c > 0;
    case ROW_FILTER_GE: return c >= 0;
    default: return c != 0;
    }
}

static bool int_matches(const struct row_filter *f, int64_t x)
{
    return (f->int_lo <= x && x <= f->int_hi) != f->invert;
}

static bool real_matches(const struct row_filter *f, double x)
{
    return (f->real_lo <= x && x <= f->real_hi) != f->invert;
}

static bool cell_matches(const struct row_filter *f, const struct cell *c)
{
    bool is_null = c->kind == CELL_NULL;
    if (is_null || f->keep == ROW_FILTER_KEEP_NULLS)
        return is_null && f->keep == ROW_FILTER_KEEP_NULLS;
    if (f->keep == ROW_FILTER_KEEP_NUMBERS && c->kind == CELL_INTEGER)
        return int_matches(f, c->i);
    if (f->keep == ROW_FILTER_KEEP_NUMBERS && c->kind == CELL_REAL)
        return real_matches(f, c->r);
    if (f->keep == ROW_FILTER_KEEP_TEXTS && c->kind == CELL_TEXT)
        return text_matches(f, c->p, c->len);
    return true; // of another kind than the value: conversions are SQLite's business
}

static uint64_t any_word(const struct row_filter *f, uint32_t first, uint32_t n)
{
    uint64_t m = 0;
    for (uint32_t i = 0; i < n; i++)
        m |= (uint64_t)cell_matches(f, &f->v->any[first + i]) << i;
    return m;
}

static uint64_t int_word(const struct row_filter *f, const int64_t *v, uint32_t n)
{
    uint64_t m = 0;
    if (f->int_lo <= f->int_hi) {
        uint64_t lo = (uint64_t)f->int_lo, span = (uint64_t)f->int_hi - lo;
        for (uint32_t i = 0; i < n; i++)
            m |= (uint64_t)((uint64_t)v[i] - lo <= span) << i;
    }
    return f->invert ? ~m : m;
}

static uint64_t real_word(const struct row_filter *f, const double *v, uint32_t n)
{
    uint64_t m = 0;
    for (uint32_t i = 0; i < n; i++)
        m |= (uint64_t)((f->real_lo <= v[i]) & (v[i] <= f->real_hi)) << i;
    return f->invert ? ~m : m;
}

static uint64_t text_word(const struct row_filter *f, const uint32_t *off, uint32_t n)
{
    uint64_t m = 0;
    for (uint32_t i = 0; i < n; i++)
        m |= (uint64_t)text_matches(f, f->v->bytes + off[i], off[i + 1] - off[i]) << i;
    return m;
}

// Misfits are text in a column of something else: not for us to judge.
static uint64_t misfit_bits(struct row_filter *f, uint32_t first)
{
    const struct vec *v = f->v;
    uint64_t m = 0;
    while (f->misfit < v->n_misfits && v->misfit[f->misfit].row < first)
        f->misfit++;
    for (; f->misfit < v->n_misfits && v->misfit[f->misfit].row - first < 64; f->misfit++)
        m |= UINT64_C(1) << (v->misfit[f->misfit].row - first);
    return m;
}

uint64_t row_filter_word(struct row_filter *f, uint32_t w)
{
    if (w >= batch_words(f->rows) || w * 64 == f->rows) return 0;
    uint32_t first = w * 64;
    uint32_t n = f->rows - first < 64 ? f->rows - first : 64;
    uint64_t exist = n == 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
    const struct vec *v = f->v;
    if (f->keep == ROW_FILTER_KEEP_NONE) return 0;
    if (v->type == TYPE_ANY) return any_word(f, first, n);
    if (f->keep == ROW_FILTER_KEEP_NULLS) return ~v->valid[w] & exist;
    uint64_t m = ~UINT64_C(0);
    if (f->keep == ROW_FILTER_KEEP_TEXTS && type_is_text(v->type))
        m = text_word(f, v->off + first, n);
    else if (f->keep == ROW_FILTER_KEEP_NUMBERS && v->type == TYPE_REAL)
        m = real_word(f, v->f64 + first, n);
    else if (f->keep == ROW_FILTER_KEEP_NUMBERS && !type_is_text(v->type))
        m = int_word(f, v->i64 + first, n);
    return ((m & v->valid[w]) | misfit_bits(f, first)) & exist;
}
