#include "common/csv_convert.h"

#include "common/csv_swar.h"

#include <stdlib.h>

static void put_valid(struct vec *v, uint32_t row, uint64_t bits, unsigned n)
{
    uint64_t *w = v->valid + row / 64;
    unsigned shift = row % 64;
    *w = (*w & csv_low_bits(shift)) | bits << shift;
    if (shift + n >= 64) w[1] = shift ? bits >> (64 - shift) : 0;
}

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

// Up to 64 values at once; returns which are there. Rows in *slow are left to add_number.
static inline __attribute__((always_inline)) uint64_t
numbers(enum type t, const struct csv_column *c, const struct csv_view *v, uint32_t first,
        unsigned n, int64_t *out, uint64_t *slow)
{
    const bool given = c->given, empty_is_null = c->nulls->lengths & 1;
    const uint8_t *const base = v->p;
    const uint32_t *at = v->at + first * v->stride;
    const size_t stride = v->stride;
    uint64_t null = 0, later = 0;
    for (unsigned i = 0; i < n; i++, at += stride) {
        const uint8_t *p = base + (uint32_t)(at[0] + 1), *e = base + at[1];
        bool ok;
        if (t == TYPE_INTEGER) {
            ok = swar_integer(p, e, given, out + i);
        } else {
            double r;
            ok = swar_real(p, e, given, &r);
            if (ok) memcpy(out + i, &r, sizeof r);
        }
        if (__builtin_expect(ok, 1)) continue;
        if (p == e && empty_is_null) {
            out[i] = 0;
            null |= 1ull << i;
        } else {
            later |= 1ull << i;
        }
    }
    *slow = later;
    return csv_low_bits(n) & ~null & ~later;
}

err_t csv_convert_numbers(struct csv_column *c, struct csv_block_rows *b,
                          const struct csv_view *v, struct err *e)
{
    // Where numbers may be NULL every field is looked at by add_number.
    enum type t = c->nulls->digits ? TYPE_ANY : c->vec->type;
    for (uint32_t r = 0; r < b->grid.rows; r += 64) {
        unsigned n = b->grid.rows - r < 64 ? b->grid.rows - r : 64;
        int64_t *out = c->vec->i64 + b->base + r;
        uint64_t slow = csv_low_bits(n), valid = 0;
        if (t == TYPE_INTEGER) valid = numbers(TYPE_INTEGER, c, v, r, n, out, &slow);
        if (t == TYPE_REAL) valid = numbers(TYPE_REAL, c, v, r, n, out, &slow);
        for (; slow; slow &= slow - 1) {
            unsigned i = (unsigned)__builtin_ctzll(slow);
            bool there;
            TRY(add_number(c, b, r + i, csv_view_field(v, r + i), &there, e));
            valid |= (uint64_t)there << i;
        }
        put_valid(c->vec, b->base + r, valid, n);
    }
    return ERR_OK;
}

static inline void copy_short(uint8_t *to, const uint8_t *from)
{
    memcpy(to, from, CSV_TEXT_PAD);
}

// Any text: false for NULL, else *n bytes were written.
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

void csv_convert_texts(struct csv_column *c, const struct csv_block_rows *b,
                       const struct csv_view *v)
{
    const uint64_t null_lengths = c->nulls->lengths & ~1ull; // but for the empty field
    const uint64_t empty_valid = !(c->nulls->lengths & 1);
    const int quote = c->quote ? c->quote : -1;
    const uint8_t *const base = v->p;
    const uint32_t *field_at = v->at;
    const size_t stride = v->stride;
    uint8_t *const bytes = c->vec->bytes;
    uint32_t *off = c->vec->off + b->base, at = *off;
    for (uint32_t r = 0; r < b->grid.rows; r += 64) {
        unsigned n = b->grid.rows - r < 64 ? b->grid.rows - r : 64;
        uint64_t valid = 0;
        for (unsigned i = 0; i < n; i++, field_at += stride) {
            const uint8_t *p = base + (uint32_t)(field_at[0] + 1);
            size_t len = (size_t)(base + field_at[1] - p);
            if (__builtin_expect(
                    len <= CSV_TEXT_PAD && *p != quote && !(null_lengths >> len & 1), 1)) {
                copy_short(bytes + at, p);
                at += (uint32_t)len;
                valid |= ((uint64_t)(len != 0) | empty_valid) << i;
            } else {
                uint32_t put;
                valid |= (uint64_t)put_text(c, (struct slice){ p, len }, bytes + at, &put)
                         << i;
                at += put;
            }
            *++off = at;
        }
        put_valid(c->vec, b->base + r, valid, n);
    }
}

// Dates and timestamps: text that must fit.
err_t csv_convert_moments(struct csv_column *c, struct csv_block_rows *b,
                          const struct csv_view *v, struct err *e)
{
    bool (*fits)(const uint8_t *, size_t) =
        c->vec->type == TYPE_DATE ? csv_is_date : csv_is_timestamp;
    uint32_t *off = c->vec->off + b->base, at = *off;
    for (uint32_t r = 0; r < b->grid.rows; r++) {
        struct slice raw = csv_view_field(v, r), text;
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
