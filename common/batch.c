#include "common/batch.h"

const struct misfit *vec_misfit(const struct vec *v, uint32_t row)
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

err_t batch_start(struct batch *b, const struct schema *s, struct err *e)
{
    arena_reset(&b->mem);
    b->rows = 0;
    b->n_cols = 0;
    b->col = arena_alloc(&b->mem, s->n * sizeof *b->col);
    if (!b->col) return err_set(e, ERR_NOMEM, "out of memory: a batch of %u columns", s->n);
    for (uint32_t i = 0; i < s->n; i++)
        b->col[i] = (struct vec){ .type = s->f[i].type, .absent = true };
    b->n_cols = s->n;
    return ERR_OK;
}

void batch_free(struct batch *b)
{
    arena_free(&b->mem);
    *b = (struct batch){ 0 };
}
