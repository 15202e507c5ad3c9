#include "common/agg_sort.h"

#include "common/agg_states.h"

#include <stdlib.h>
#include <string.h>

struct entry { // the first bytes of the first key, when all of them are texts
    uint64_t head, more;
    uint32_t row;
};

struct order {
    const struct batch *b;
    uint32_t n_keys;
};

static int compare(const void *x, const void *y, void *arg)
{
    const struct entry *a = x, *b = y;
    const struct order *o = arg;
    if (a->head != b->head) return a->head < b->head ? -1 : 1;
    if (a->more != b->more) return a->more < b->more ? -1 : 1;
    int c = 0;
    for (uint32_t k = 0; !c && k < o->n_keys; k++)
        c = agg_compare_keys(&o->b->col[k].any[a->row], &o->b->col[k].any[b->row]);
    return c;
}

static uint64_t head_of(const uint8_t *p, size_t n)
{
    uint64_t word = 0;
    if (n) memcpy(&word, p, n < 8 ? n : 8);
    return __builtin_bswap64(word);
}

static void fill(const struct batch *b, struct entry *v)
{
    const struct cell *key = b->col[0].any;
    bool texts = true;
    for (uint32_t r = 0; texts && r < b->rows; r++)
        texts = key[r].kind == CELL_TEXT;
    for (uint32_t r = 0; r < b->rows; r++) {
        v[r] = (struct entry){ .row = r };
        if (!texts) continue;
        v[r].head = head_of(key[r].p, key[r].len);
        if (key[r].len > 8) v[r].more = head_of(key[r].p + 8, key[r].len - 8);
    }
}

err_t agg_sort(struct batch *b, uint32_t n_keys, struct arena *mem, struct err *e)
{
    struct order o = { b, n_keys };
    if (b->rows < 2 || n_keys == 0) return ERR_OK;
    struct entry *v = arena_alloc(mem, b->rows * sizeof *v);
    if (!v) return err_set(e, ERR_NOMEM, "out of memory: sorting %u groups", b->rows);
    fill(b, v);
    qsort_r(v, b->rows, sizeof *v, compare, &o);
    for (uint32_t c = 0; c < b->n_cols; c++) {
        struct cell *to = arena_alloc(&b->mem, b->rows * sizeof *to);
        if (!to) return err_set(e, ERR_NOMEM, "out of memory: sorting %u groups", b->rows);
        for (uint32_t r = 0; r < b->rows; r++)
            to[r] = b->col[c].any[v[r].row];
        b->col[c].any = to;
    }
    return ERR_OK;
}
