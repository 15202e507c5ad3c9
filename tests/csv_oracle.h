// csv_oracle - reads chunks the slow way: csv_read_record and csv_value for every field.
// What csv_read_chunk must agree with.

#ifndef TESTS_CSV_ORACLE_H
#define TESTS_CSV_ORACLE_H

#include "common/csv_read.h"
#include "common/csv_value.h"
#include "common/utf8.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// One row as text: "i:5|n|t:abc|r:0x1.8p+0|m:abc|", or "REJECT line byte column" with the
// column's number, * for the whole row.
struct oracle_rows {
    struct arena mem;
    char **v;
    size_t n, cap, n_parsed, n_blank, n_misfits;
};

static inline void oracle_push(struct oracle_rows *o, const struct buf *b)
{
    if (o->n == o->cap) {
        o->cap = o->cap ? 2 * o->cap : 64;
        o->v = realloc(o->v, o->cap * sizeof *o->v);
        assert(o->v);
    }
    o->v[o->n] = arena_alloc(&o->mem, b->n + 1);
    assert(o->v[o->n]);
    memcpy(o->v[o->n], b->n ? b->p : (const uint8_t *)"", b->n);
    o->v[o->n++][b->n] = 0;
}

static inline void oracle_free(struct oracle_rows *o)
{
    arena_free(&o->mem);
    free(o->v);
    *o = (struct oracle_rows){ 0 };
}

static inline void oracle_put(struct buf *b, const char *kind, const void *p, size_t n)
{
    err_t rc = buf_add(b, kind, strlen(kind), NULL);
    if (rc == ERR_OK && n) rc = buf_add(b, p, n, NULL);
    if (rc == ERR_OK) rc = buf_add(b, "|", 1, NULL);
    assert(rc == ERR_OK);
}

static inline void oracle_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static inline void oracle_printf(struct buf *b, const char *fmt, ...)
{
    char text[128];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    oracle_put(b, text, NULL, 0);
}

static inline bool oracle_null(const struct csv_dialect *d, const struct csv_value *v)
{
    if (v->quoted) return false;
    if (!d->nulls) return v->n == 0;
    for (size_t i = 0; i < d->n_nulls; i++)
        if (strlen(d->nulls[i]) == v->n && memcmp(d->nulls[i], v->p, v->n) == 0)
            return true;
    return false;
}

// False: the value rejects its row.
static inline bool oracle_value(const struct csv_dialect *d, const struct field *f,
                                const struct csv_value *v, struct buf *b, size_t *misfits)
{
    const uint8_t *p = (const uint8_t *)v->p;
    int64_t i;
    double r;
    if (oracle_null(d, v)) {
        oracle_put(b, "n", NULL, 0);
    } else if (f->type == TYPE_INTEGER && csv_parse_integer(p, v->n, f->given, &i)) {
        oracle_printf(b, "i:%lld", (long long)i);
    } else if (f->type == TYPE_REAL && csv_parse_real(p, v->n, f->given, &r)) {
        oracle_printf(b, "r:%a", r);
    } else if (f->type == TYPE_BOOLEAN && csv_parse_boolean(p, v->n, &i)) {
        oracle_printf(b, "i:%lld", (long long)i);
    } else if (type_is_text(f->type) && csv_value_fits(f->type, f->given, v->p, v->n)) {
        oracle_put(b, "t:", p, v->n);
    } else if (f->given) {
        return false;
    } else {
        oracle_put(b, "m:", p, v->n);
        ++*misfits;
    }
    return true;
}

static inline void oracle_read(const struct csv_dialect *d, const struct schema *s,
                               const bool *want, const uint8_t *p, size_t n,
                               struct csv_read_pos pos, struct oracle_rows *out)
{
    struct arena mem = { 0 };
    struct csv_value *v;
    size_t fields, used;
    uint64_t line = pos.line;
    struct buf b = { 0 };
    for (size_t at = 0; at < n; at += used) {
        arena_reset(&mem);
        b.n = 0;
        err_t rc = csv_read_record(d, p + at, n - at, true, &mem, &v, &fields, &used, NULL);
        assert(rc == ERR_OK && used > 0);
        bool open = at + used == n; // inside quotes at the end?
        if (open) {
            struct arena more = { 0 };
            uint8_t *longer = malloc(used + 1);
            struct csv_value *w;
            size_t k, u;
            assert(longer);
            memcpy(longer, p + at, used);
            longer[used] = '\n';
            rc = csv_read_record(d, longer, used + 1, false, &more, &w, &k, &u, NULL);
            assert(rc == ERR_OK);
            open = u == 0;
            free(longer);
            arena_free(&more);
        }
        bool bad = fields != s->n || open, parsed = true;
        uint32_t column = UINT32_MAX;
        size_t misfits = 0;
        if (fields == 1 && s->n > 1 && v[0].n == 0 && !v[0].quoted) {
            out->n_blank++;
            parsed = false;
        } else {
            bad |= utf8_bad(p + at, used) < used;
            for (uint32_t i = 0; i < s->n && !bad; i++) {
                if (want && !want[i]) continue;
                bad = !oracle_value(d, &s->f[i], &v[i], &b, &misfits);
                if (bad) column = i;
            }
        }
        if (bad && parsed) {
            b.n = 0;
            oracle_printf(&b, "REJECT %llu %llu %d", (unsigned long long)line,
                          (unsigned long long)(pos.byte + at), (int)column);
        }
        if (parsed) oracle_push(out, &b);
        out->n_parsed += parsed && !bad;
        if (!bad) out->n_misfits += misfits;
        for (size_t i = 0; i < used; i++)
            line += p[at + i] == '\n';
    }
    buf_free(&b);
    arena_free(&mem);
}

// The rows of a batch in the same words, parsed ones only.
static inline void oracle_batch(const struct batch *b, struct oracle_rows *out)
{
    uint32_t misfit[SCHEMA_MAX_COLUMNS] = { 0 };
    struct buf row = { 0 };
    for (uint32_t r = 0; r < b->rows; r++) {
        row.n = 0;
        for (uint32_t i = 0; i < b->n_cols; i++) {
            const struct vec *v = &b->col[i];
            if (v->absent) continue;
            const struct misfit *m =
                misfit[i] < v->n_misfits ? &v->misfit[misfit[i]] : NULL;
            if (m && m->row == r) {
                assert(vec_valid(v, r));
                assert(type_is_text(v->type) ? v->off[r] == v->off[r + 1] : v->i64[r] == 0);
                oracle_put(&row, "m:", m->p, m->len);
                misfit[i]++;
            } else if (!vec_valid(v, r)) {
                oracle_put(&row, "n", NULL, 0);
            } else if (v->type == TYPE_REAL) {
                oracle_printf(&row, "r:%a", v->f64[r]);
            } else if (type_is_text(v->type)) {
                oracle_put(&row, "t:", v->bytes + v->off[r], v->off[r + 1] - v->off[r]);
            } else {
                oracle_printf(&row, "i:%lld", (long long)v->i64[r]);
            }
        }
        oracle_push(out, &row);
    }
    buf_free(&row);
    for (uint32_t i = 0; i < b->n_cols; i++) {
        assert(misfit[i] == b->col[i].n_misfits);
        if (!b->col[i].absent && type_is_text(b->col[i].type))
            assert(b->col[i].off[0] == 0);
        if (!b->col[i].absent) // no bits past the last row
            assert(b->col[i].valid[b->rows / 64] >> (b->rows % 64) == 0);
    }
    out->n_parsed += b->rows;
}

#endif
