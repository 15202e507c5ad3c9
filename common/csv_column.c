#include "common/csv_column.h"

#include "common/csv_convert.h"

#include <stdlib.h>
#include <string.h>

// The grid as the column sees it: the last one without the CR of its line ends.
static struct csv_view look(const struct csv_column *c, const struct csv_block_rows *b)
{
    const struct csv_grid *g = &b->grid;
    if (c->number + 1 < g->n_cols)
        return (struct csv_view){ g->p, g->at + c->number, g->stride };
    for (uint32_t r = 0; r < g->rows; r++) {
        b->scratch[2 * r] = g->at[(size_t)r * g->stride + c->number];
        b->scratch[2 * r + 1] = csv_grid_end(g, r, c->number);
    }
    return (struct csv_view){ g->p, b->scratch, 2 };
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
                           const struct csv_view *view, struct err *e)
{
    const struct csv_grid *g = &b->grid;
    size_t used = c->vec->off[b->base], more = 0;
    if (g->rows) // at most the whole block
        more = csv_grid_end(g, g->rows - 1, g->n_cols - 1) - csv_grid_begin(g, 0, 0);
    if (c->vec->bytes && c->byte_cap - used >= more) return ERR_OK;
    more = 0;
    for (uint32_t r = 0; r < b->grid.rows; r++)
        more += csv_view_field(view, r).n;
    if (c->vec->bytes && c->byte_cap - used >= more) return ERR_OK;
    size_t cap = extrapolate(used + more, c->byte_cap, &b->grid);
    err_t rc = ERR_OK;
    c->vec->bytes = grown(c->mem, c->vec->bytes, used, cap + CSV_TEXT_PAD, &rc);
    if (rc) return err_set(e, rc, "out of memory: a column of %zu bytes", cap);
    c->byte_cap = cap;
    return ERR_OK;
}

err_t csv_column_add(struct csv_column *c, struct csv_block_rows *b, struct err *e)
{
    TRY(reserve_rows(c, b, e));
    struct csv_view v = look(c, b);
    if (!type_is_text(c->vec->type)) return csv_convert_numbers(c, b, &v, e);
    TRY(reserve_bytes(c, b, &v, e));
    if (c->vec->type != TYPE_TEXT) return csv_convert_moments(c, b, &v, e);
    csv_convert_texts(c, b, &v);
    return ERR_OK;
}

static void move_row(struct vec *v, uint32_t from, uint32_t to)
{
    uint64_t bit = 1ull << (to % 64);
    bool valid = vec_valid(v, from);
    v->valid[to / 64] = (v->valid[to / 64] & ~bit) | (valid ? bit : 0);
    if (!type_is_text(v->type)) {
        v->i64[to] = v->i64[from];
        return;
    }
    uint32_t len = v->off[from + 1] - v->off[from];
    memmove(v->bytes + v->off[to], v->bytes + v->off[from], len);
    v->off[to + 1] = v->off[to] + len;
}

void csv_column_squeeze(struct csv_column *c, const struct csv_block_rows *b)
{
    uint32_t to = b->base, m = c->n_misfits;
    while (m && c->misfit[m - 1].row >= b->base)
        m--;
    uint32_t kept = m;
    for (uint32_t r = 0; r < b->grid.rows; r++) {
        uint32_t from = b->base + r;
        bool is_misfit = m < c->n_misfits && c->misfit[m].row == from;
        m += is_misfit;
        if (b->dead[r / 64] >> (r % 64) & 1) continue;
        move_row(c->vec, from, to);
        if (is_misfit) {
            c->misfit[kept] = c->misfit[m - 1];
            c->misfit[kept++].row = to;
        }
        to++;
    }
    c->n_misfits = kept;
    c->vec->valid[to / 64] &= csv_low_bits(to % 64);
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
