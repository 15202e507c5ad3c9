// Rows in row_code.h's encoding: every value keeps what it is. For states of an aggregate
// on their way into a warehouse whose columns have types.

#include "common/sink.h"

#include "common/row_code.h"

#include <stdlib.h>
#include <string.h>

static err_t open_rows(void **state, const struct schema *out, struct err *e)
{
    (void)out;
    *state = calloc(1, sizeof(struct buf));
    return *state ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

// Sorted rows lie anywhere in memory: those that come soon are asked for in time.
static void expect_row(const struct batch *b, uint32_t row)
{
    enum { AHEAD = 12 };
    if (b->rows - row <= AHEAD) return;
    for (uint32_t c = 0; c < b->n_cols; c++) {
        const struct vec *v = &b->col[c];
        if (v->absent || v->type != TYPE_ANY) continue;
        const struct cell *soon = &v->any[row + AHEAD];
        if (soon->kind != CELL_TEXT && soon->kind != CELL_BLOB) continue;
        __builtin_prefetch(soon->p);
        if (soon->len > 64) __builtin_prefetch(soon->p + 64);
    }
}

static err_t encode(void *state, const struct batch *b, struct region *to, struct err *e)
{
    struct buf *rows = state;
    rows->n = 0;
    for (uint32_t r = 0; r < b->rows; r++) {
        expect_row(b, r);
        for (uint32_t c = 0; c < b->n_cols; c++) {
            struct cell v = { .kind = CELL_NULL };
            if (!b->col[c].absent) v = vec_cell(&b->col[c], r);
            TRY(row_code_put(rows, &v, e));
        }
    }
    if (rows->n > to->cap - to->n)
        return err_set(e, ERR_TOOBIG, "the batch has more than %zu bytes of states",
                       to->cap - to->n);
    if (rows->n) memcpy(to->p + to->n, rows->p, rows->n);
    to->n += rows->n;
    return ERR_OK;
}

static void close_rows(void **state)
{
    if (*state) buf_free(*state);
    free(*state);
    *state = NULL;
}

const struct sink_ops sink_rows = { "rows", open_rows, encode, close_rows };
