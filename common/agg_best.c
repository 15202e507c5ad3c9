#include "common/agg_best.h"

#include "common/agg_groups.h"
#include "common/agg_states.h"
#include "common/row_code.h"

#include <stdlib.h>
#include <string.h>

static bool before(const struct agg_plan_state *kind, int order)
{
    return kind->kind == AGG_STATE_MAX_BY ? order > 0 : order < 0;
}

// ---- in a chunk

static int compare_rows(const struct agg_plan_state *kind, const struct vec *const *columns,
                        uint32_t a, uint32_t b)
{
    int order = 0;
    for (uint32_t i = 0; !order && i <= kind->n_with; i++) {
        struct cell x = agg_cell(columns[i], a), y = agg_cell(columns[i], b);
        order = agg_compare(&x, &y);
    }
    return order;
}

// UINT32_MAX: none has a value.
static uint32_t best_of(const struct agg_plan_state *kind, const struct agg_order *o,
                        const struct vec *const *columns, uint32_t group)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t k = o->start[group]; k < o->start[group + 1]; k++) {
        uint32_t row = o->row ? o->row[k] : k;
        if (agg_cell(columns[0], row).kind == CELL_NULL) continue;
        if (best == UINT32_MAX || before(kind, compare_rows(kind, columns, row, best)))
            best = row;
    }
    return best;
}

static err_t put_row(const struct agg_plan_state *kind, const struct vec *const *columns,
                     uint32_t row, struct buf *to, struct err *e)
{
    to->n = 0;
    for (uint32_t i = 0; i <= kind->n_with; i++) {
        struct cell c = agg_cell(columns[i], row);
        TRY(row_code_put(to, &c, e));
    }
    return ERR_OK;
}

static err_t keep(const struct buf *from, struct arena *mem, uint64_t max_bytes,
                  struct cell *out, struct err *e)
{
    if (from->n > UINT32_MAX || mem->used_bytes + from->n > max_bytes)
        return err_set(e, ERR_TOOBIG,
                       "the states of an aggregate need more than %llu MiB for one batch; "
                       "raise limits.worker_memory or make batches smaller",
                       (unsigned long long)(max_bytes >> 20));
    uint8_t *p = arena_alloc(mem, from->n);
    if (!p) return err_set(e, ERR_NOMEM, "out of memory: states of an aggregate");
    memcpy(p, from->p, from->n);
    *out = (struct cell){ .kind = CELL_BLOB, .len = (uint32_t)from->n, .p = p };
    return ERR_OK;
}

err_t agg_best_make(const struct agg_plan_state *kind, const struct agg_order *o,
                    const struct vec *const *columns, struct buf *scratch,
                    struct arena *mem, uint64_t max_bytes, struct cell *out, struct err *e)
{
    for (uint32_t g = 0; g < o->groups; g++) {
        uint32_t row = best_of(kind, o, columns, g);
        out[g] = (struct cell){ .kind = CELL_NULL };
        if (row == UINT32_MAX) continue;
        TRY(put_row(kind, columns, row, scratch, e));
        TRY(keep(scratch, mem, max_bytes, &out[g], e));
    }
    return ERR_OK;
}

// ---- of several chunks

err_t agg_best_open(struct agg_best *b, const struct agg_plan_state *kind, struct err *e)
{
    *b = (struct agg_best){ 0 };
    b->row = calloc(kind->n_with + 1, sizeof *b->row);
    b->spare = calloc(kind->n_with + 1, sizeof *b->spare);
    return b->row && b->spare ? ERR_OK
                              : err_set(e, ERR_NOMEM, "out of memory: an aggregate");
}

void agg_best_close(struct agg_best *b)
{
    buf_free(&b->bytes);
    free(b->row);
    free(b->spare);
    *b = (struct agg_best){ 0 };
}

static bool read_row(const struct agg_plan_state *kind, const uint8_t *p, size_t n,
                     struct cell *row)
{
    size_t at = 0;
    for (uint32_t i = 0; i <= kind->n_with; i++) {
        if (!row_code_next(p, n, &at, &row[i])) return false;
        if (row[i].kind == CELL_REAL && row[i].r != row[i].r) return false;
    }
    return at == n && row[0].kind != CELL_NULL;
}

// The row in `spare` was read from the state, which is only borrowed.
static err_t take_spare(struct agg_best *b, const struct agg_plan_state *kind,
                        const struct cell *state, struct err *e)
{
    b->any = false;
    b->bytes.n = 0;
    TRY(buf_add(&b->bytes, state->p, state->len, e));
    struct cell *row = b->spare;
    b->spare = b->row;
    b->row = row;
    for (uint32_t i = 0; i <= kind->n_with; i++)
        if (row[i].kind == CELL_TEXT || row[i].kind == CELL_BLOB)
            row[i].p = b->bytes.p + (row[i].p - state->p);
    b->any = true;
    return ERR_OK;
}

err_t agg_best_add(struct agg_best *b, const struct agg_plan_state *kind,
                   const struct cell *state, struct err *e)
{
    int order = 0;
    if (state->kind == CELL_NULL) return ERR_OK;
    if (state->kind != CELL_BLOB || !read_row(kind, state->p, state->len, b->spare))
        return err_set(e, ERR_PROTO, "a row of an aggregate is damaged");
    for (uint32_t i = 0; b->any && !order && i <= kind->n_with; i++)
        order = agg_compare(&b->spare[i], &b->row[i]);
    if (b->any && !before(kind, order)) return ERR_OK;
    return take_spare(b, kind, state, e);
}
