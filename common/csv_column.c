#include "common/csv_column.h"

#include "common/csv_swar.h"

#include <stdlib.h>

enum { COPY = 16 }; // text is copied in pieces of this size: padding behind it

struct view { // where the fields of the column stand
    const uint8_t *p;
    const uint32_t *at;
    size_t stride;
};

static inline struct slice field(const struct view *v, uint32_t row)
{
    const uint32_t *at = v->at + row * v->stride;
    uint32_t begin = at[0] + 1;
    return (struct slice){ v->p + begin, at[1] - begin };
}

// The grid as the column sees it: the last one without the CR of its line ends.
static struct view look(const struct csv_column *c, const struct csv_block_rows *b)
{
    const struct csv_grid *g = &b->grid;
    if (c->number + 1 < g->n_cols)
        return (struct view){ g->p, g->at + c->number, g->stride };
    for (uint32_t r = 0; r < g->rows; r++) {
        b->scratch[2 * r] = g->at[r * g->stride + c->number];
        b->scratch[2 * r + 1] = csv_grid_end(g, r, c->number);
    }
    return (struct view){ g->p, b->scratch, 2 };
}

void csv_column_start(struct csv_column *c, struct vec *v, struct arena *mem)
{
    v->absent = false;
    c->vec = v;
    c->mem = mem;
    c->row_cap = c->byte_cap = 0;
    c->n_misfits = 0;
}

void csv_column_close(struct csv_column *c)
{
    free(c->misfit);
    *c = (struct csv_column){ 0 };
}

// --- room ---------------------------------------------------------------------------

// What the whole chunk will need if it goes on as it began, and some more.
static size_t extrapolate(size_t need, size_t cap, const struct csv_grid *g)
{
    uint64_t done = g->rows ? csv_grid_end(g, g->rows - 1, g->n_cols - 1) + 1u : 1;
    uint64_t all = (uint64_t)need * g->size / done;
    if (all < need) all = need;
    all += all / 8 + 64;
    return all < cap + cap / 2 ? cap + cap / 2 : all;
}

static void *grown(struct arena *mem, const void *old, size_t used, size_t size, err_t *rc)
{
    uint8_t *p = arena_alloc(mem, size);
    if (!p) *rc = ERR_NOMEM;
    if (p && used) memcpy(p, old, used);
    return p;
}

static err_t reserve_rows(struct csv_column *c, const struct csv_block_rows *b,
                          struct err *e)
{
    size_t need = (size_t)b->base + b->grid.rows, used = b->base;
    if (need <= c->row_cap && c->row_cap) return ERR_OK;
    size_t cap = extrapolate(need, c->row_cap, &b->grid);
    struct vec *v = c->vec;
    size_t words = c->row_cap ? used / 64 + 1 : 0;
    err_t rc = ERR_OK;
    v->valid = grown(c->mem, v->valid, 8 * words, 8 * (cap / 64 + 2), &rc);
    if (type_is_text(v->type))
        v->off = grown(c->mem, v->off, c->row_cap ? 4 * (used + 1) : 0, 4 * (cap + 1), &rc);
    else
        v->i64 = grown(c->mem, v->i64, 8 * used, 8 * cap, &rc);
    if (rc) return err_set(e, rc, "out of memory: a column of %zu rows", cap);
    if (c->row_cap == 0) {
        v->valid[0] = 0;
        if (type_is_text(v->type)) v->off[0] = 0;
    }
    c->row_cap = cap;
    return ERR_OK;
}

static err_t reserve_bytes(struct csv_column *c, const struct csv_block_rows *b,
                           const struct view *view, struct err *e)
{
    const struct csv_grid *g = &b->grid;
    size_t used = c->vec->off[b->base], more = 0;
    if (g->rows) // at most the whole block
        more = csv_grid_end(g, g->rows - 1, g->n_cols - 1) - csv_grid_begin(g, 0, 0);
    if (c->vec->bytes && c->byte_cap - used >= more) return ERR_OK;
    more = 0;
    for (uint32_t r = 0; r < b->grid.rows; r++)
        more += field(view, r).n;
    if (c->vec->bytes && c->byte_cap - used >= more) return ERR_OK;
    size_t cap = extrapolate(used + more, c->byte_cap, &b->grid);
    err_t rc = ERR_OK;
    c->vec->bytes = grown(c->mem, c->vec->bytes, used, cap + COPY, &rc);
    if (rc) return err_set(e, rc, "out of memory: a column of %zu bytes", cap);
    c->byte_cap = cap;
    return ERR_OK;
}

static inline void put_valid(struct vec *v, uint32_t row, uint64_t bits, unsigned n)
{
    uint64_t *w = v->valid + row / 64;
    unsigned shift = row % 64;
    *w = (*w & csv_low_bits(shift)) | bits << shift;
    if (shift + n >= 64) w[1] = shift ? bits >> (64 - shift) : 0;
}

// --- values that take their time --------------------------------------------------------

static err_t add_misfit(struct csv_column *c, uint32_t row, struct slice text,
                        struct err *e)
{
    if (c->n_misfits == c->misfit_cap) {
        uint32_t cap = c->misfit_cap ? 2 * c->misfit_cap : 64;
        struct misfit *m = realloc(c->misfit, cap * sizeof *m);
        if (!m) return err_set(e, ERR_NOMEM, "out of memory: %u misfits", cap);
        c->misfit = m;
        c->misfit_cap = cap;
    }
    c->misfit[c->n_misfits++] = (struct misfit){ row, (uint32_t)text.n, text.p };
    return ERR_OK;
}

// A value that does not fit: a misfit where the type was inferred, else the end of its row.
static err_t refuse(struct csv_column *c, struct csv_block_rows *b, uint32_t row,
                    struct slice raw, struct slice text, struct err *e)
{
    if (!c->given) return add_misfit(c, b->base + row, text, e);
    if (b->dead[row / 64] >> (row % 64) & 1) return ERR_OK;
    b->dead[row / 64] |= 1ull << (row % 64);
    b->n_dead++;
    struct csv_fault f = {
        .kind = CSV_FAULT_TYPE,
        .begin = csv_grid_begin(&b->grid, row, 0),
        .end = csv_grid_end(&b->grid, row, b->grid.n_cols - 1),
        .column = c->number,
        .text = raw,
    };
    return csv_faults_add(b->faults, &f, e);
}

// What a field says: the field itself, what is between its quotes, or a copy in the batch.
static err_t say(struct csv_column *c, struct slice raw, struct slice *text, struct err *e)
{
    *text = raw;
    if (!csv_is_quoted(c->quote, raw.p, raw.n)) return ERR_OK;
    if (csv_peek_quoted(c->quote, raw.p, raw.n, text)) return ERR_OK;
    uint8_t *copy = arena_alloc(c->mem, raw.n);
    if (!copy) return err_set(e, ERR_NOMEM, "out of memory: a field of %zu bytes", raw.n);
    *text = (struct slice){ copy, csv_unquote(c->quote, raw.p, raw.n, copy) };
    return ERR_OK;
}

union number {
    int64_t i;
    double r;
};

static bool parse_number(enum type t, bool given, struct slice s, union number *out)
{
    const uint8_t *e = s.p + s.n;
    switch (t) {
    case TYPE_INTEGER:
        return swar_integer(s.p, e, given, &out->i) ||
               csv_parse_integer(s.p, s.n, given, &out->i);
    case TYPE_REAL:
        return swar_real(s.p, e, given, &out->r) ||
               csv_parse_real(s.p, s.n, given, &out->r);
    default: return csv_parse_boolean(s.p, s.n, &out->i);
    }
}

// The number of one field the long way; *valid tells a value (or misfit) from NULL.
static err_t add_number(struct csv_column *c, struct csv_block_rows *b, uint32_t row,
                        struct slice raw, bool *valid, struct err *e)
{
    int64_t *out = c->vec->i64 + b->base + row;
    struct slice text;
    union number v = { 0 };
    *out = 0;
    *valid = csv_is_quoted(c->quote, raw.p, raw.n) || !csv_is_null(c->nulls, raw.p, raw.n);
    if (!*valid) return ERR_OK;
    TRY(say(c, raw, &text, e));
    if (!parse_number(c->vec->type, c->given, text, &v))
        return refuse(c, b, row, raw, text, e);
    memcpy(out, &v, sizeof *out);
    return ERR_OK;
}

// --- columns ------------------------------------------------------------------------

// Up to 64 values at once; returns which are there. Rows in *slow are left to add_number.
static inline __attribute__((always_inline)) uint64_t
numbers(enum type t, const struct csv_column *c, const struct view *v, uint32_t first,
        unsigned n, int64_t *out, uint64_t *slow)
{
    const bool given = c->given, tricky = c->nulls->digits;
    const bool empty_is_null = c->nulls->lengths & 1;
    uint64_t valid = 0, later = 0;
    for (unsigned i = 0; i < n; i++) {
        struct slice s = field(v, first + i);
        bool ok;
        if (t == TYPE_INTEGER) {
            ok = swar_integer(s.p, s.p + s.n, given, out + i);
        } else {
            double r;
            ok = swar_real(s.p, s.p + s.n, given, &r);
            if (ok) memcpy(out + i, &r, sizeof r);
        }
        if (__builtin_expect(ok && !tricky, 1)) {
            valid |= 1ull << i;
        } else if (s.n == 0 && empty_is_null) {
            out[i] = 0;
        } else {
            later |= 1ull << i;
        }
    }
    *slow = later;
    return valid;
}

static err_t add_numbers(struct csv_column *c, struct csv_block_rows *b,
                         const struct view *v, struct err *e)
{
    enum type t = c->vec->type;
    for (uint32_t r = 0; r < b->grid.rows; r += 64) {
        unsigned n = b->grid.rows - r < 64 ? b->grid.rows - r : 64;
        int64_t *out = c->vec->i64 + b->base + r;
        uint64_t slow = csv_low_bits(n), valid = 0;
        if (t == TYPE_INTEGER) valid = numbers(TYPE_INTEGER, c, v, r, n, out, &slow);
        if (t == TYPE_REAL) valid = numbers(TYPE_REAL, c, v, r, n, out, &slow);
        for (; slow; slow &= slow - 1) {
            unsigned i = (unsigned)__builtin_ctzll(slow);
            bool there;
            TRY(add_number(c, b, r + i, field(v, r + i), &there, e));
            valid |= (uint64_t)there << i;
        }
        put_valid(c->vec, b->base + r, valid, n);
    }
    return ERR_OK;
}

static inline void copy_short(uint8_t *to, const uint8_t *from)
{
    memcpy(to, from, COPY);
}

// Text of more than COPY bytes, quoted or of a null string: what *n bytes were written.
static bool put_text(const struct csv_column *c, struct slice raw, uint8_t *out,
                     uint32_t *n)
{
    *n = 0;
    if (csv_is_quoted(c->quote, raw.p, raw.n)) {
        *n = (uint32_t)csv_unquote(c->quote, raw.p, raw.n, out);
        return true;
    }
    if (csv_is_null(c->nulls, raw.p, raw.n)) return false;
    memcpy(out, raw.p, raw.n);
    *n = (uint32_t)raw.n;
    return true;
}

static err_t add_texts(struct csv_column *c, struct csv_block_rows *b, const struct view *v)
{
    const bool plain_nulls = c->nulls->lengths <= 1; // none, or the empty field only
    const uint64_t empty_valid = !(c->nulls->lengths & 1);
    const int quote = c->quote ? c->quote : -1;
    uint32_t *off = c->vec->off + b->base, at = *off;
    uint8_t *bytes = c->vec->bytes;
    for (uint32_t r = 0; r < b->grid.rows; r += 64) {
        unsigned n = b->grid.rows - r < 64 ? b->grid.rows - r : 64;
        uint64_t valid = 0;
        for (unsigned i = 0; i < n; i++) {
            struct slice s = field(v, r + i);
            if (__builtin_expect(s.n <= COPY && *s.p != quote && plain_nulls, 1)) {
                copy_short(bytes + at, s.p);
                at += (uint32_t)s.n;
                valid |= ((uint64_t)(s.n != 0) | empty_valid) << i;
            } else {
                uint32_t len;
                valid |= (uint64_t)put_text(c, s, bytes + at, &len) << i;
                at += len;
            }
            *++off = at;
        }
        put_valid(c->vec, b->base + r, valid, n);
    }
    return ERR_OK;
}

// Dates and timestamps: text that must fit.
static err_t add_moments(struct csv_column *c, struct csv_block_rows *b,
                         const struct view *v, struct err *e)
{
    bool (*fits)(const uint8_t *, size_t) =
        c->vec->type == TYPE_DATE ? csv_is_date : csv_is_timestamp;
    uint32_t *off = c->vec->off + b->base, at = *off;
    for (uint32_t r = 0; r < b->grid.rows; r++) {
        struct slice raw = field(v, r), text;
        uint8_t *out = c->vec->bytes + at;
        uint32_t len;
        bool valid = put_text(c, raw, out, &len);
        if (valid && !fits(out, len)) {
            len = 0;
            TRY(say(c, raw, &text, e));
            TRY(refuse(c, b, r, raw, text, e));
        }
        at += len;
        *++off = at;
        put_valid(c->vec, b->base + r, valid, 1);
    }
    return ERR_OK;
}

err_t csv_column_add(struct csv_column *c, struct csv_block_rows *b, struct err *e)
{
    TRY(reserve_rows(c, b, e));
    struct view v = look(c, b);
    if (!type_is_text(c->vec->type)) return add_numbers(c, b, &v, e);
    TRY(reserve_bytes(c, b, &v, e));
    return c->vec->type == TYPE_TEXT ? add_texts(c, b, &v) : add_moments(c, b, &v, e);
}

// --- rows that are taken back -----------------------------------------------------------

void csv_column_squeeze(struct csv_column *c, const struct csv_block_rows *b)
{
    struct vec *v = c->vec;
    uint32_t to = b->base, misfit = c->n_misfits, kept;
    while (misfit && c->misfit[misfit - 1].row >= b->base)
        misfit--;
    kept = misfit;
    for (uint32_t r = 0; r < b->grid.rows; r++) {
        uint32_t from = b->base + r;
        bool dead = b->dead[r / 64] >> (r % 64) & 1;
        bool is_misfit = misfit < c->n_misfits && c->misfit[misfit].row == from;
        if (!dead) {
            // Row by row: `to` never overtakes `from`, so its bit may be cleared first.
            uint64_t bit = 1ull << (to % 64);
            bool valid = vec_valid(v, from);
            v->valid[to / 64] = (v->valid[to / 64] & ~bit) | (valid ? bit : 0);
            if (type_is_text(v->type)) {
                uint32_t len = v->off[from + 1] - v->off[from];
                memmove(v->bytes + v->off[to], v->bytes + v->off[from], len);
                v->off[to + 1] = v->off[to] + len;
            } else {
                v->i64[to] = v->i64[from];
            }
            if (is_misfit) {
                c->misfit[kept] = c->misfit[misfit];
                c->misfit[kept++].row = to;
            }
            to++;
        }
        misfit += is_misfit;
    }
    c->n_misfits = kept;
    v->valid[to / 64] &= csv_low_bits(to % 64);
}

err_t csv_column_finish(struct csv_column *c, struct err *e)
{
    if (c->n_misfits == 0) return ERR_OK;
    size_t size = c->n_misfits * sizeof *c->misfit;
    c->vec->misfit = arena_alloc(c->mem, size);
    if (!c->vec->misfit)
        return err_set(e, ERR_NOMEM, "out of memory: %u misfits", c->n_misfits);
    memcpy(c->vec->misfit, c->misfit, size);
    c->vec->n_misfits = c->n_misfits;
    return ERR_OK;
}
