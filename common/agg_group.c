#include "common/agg_group.h"

#include "common/agg_groups.h"

#include <stdlib.h>

void agg_group_close(struct agg_group *g)
{
    for (uint32_t i = 0; g->text && i < g->n_keys; i++)
        buf_free(&g->text[i]);
    agg_merge_free(&g->merge);
    free(g->key);
    free(g->row);
    free(g->value);
    free(g->text);
    *g = (struct agg_group){ 0 };
}

err_t agg_group_open(struct agg_group *g, const struct agg *a, uint64_t memory_bytes,
                     struct err *e)
{
    *g = (struct agg_group){ .n_keys = (uint32_t)a->by.n, .n_fn = (uint32_t)a->n_fn };
    TRY(agg_merge_new(&g->merge, a, memory_bytes, e));
    g->n_states = agg_merge_states(g->merge);
    g->key = calloc(g->n_keys + 1, sizeof *g->key);
    g->row = calloc(g->n_keys + g->n_states + 1, sizeof *g->row);
    g->value = calloc(g->n_fn + 1, sizeof *g->value);
    g->text = calloc(g->n_keys + 1, sizeof *g->text);
    if (g->key && g->row && g->value && g->text) return ERR_OK;
    return err_set(e, ERR_NOMEM, "out of memory");
}

// Where members of a group differ, 1 and 1.0, the integer is the key.
static bool has(struct agg_group *g)
{
    for (uint32_t i = 0; i < g->n_keys; i++)
        if (!agg_cell_equal(&g->key[i], &g->row[i])) return false;
    for (uint32_t i = 0; i < g->n_keys; i++)
        if (g->row[i].kind == CELL_INTEGER) g->key[i] = g->row[i];
    return true;
}

static err_t start(struct agg_group *g, struct err *e)
{
    for (uint32_t i = 0; i < g->n_keys; i++) {
        struct cell *key = &g->key[i];
        *key = g->row[i];
        if (key->kind != CELL_TEXT && key->kind != CELL_BLOB) continue;
        g->text[i].n = 0;
        TRY(buf_reserve(&g->text[i], (size_t)key->len + 1, e));
        if (key->len) TRY(buf_add(&g->text[i], key->p, key->len, e));
        key->p = g->text[i].p;
    }
    agg_merge_start(g->merge);
    g->open = true;
    return ERR_OK;
}

static err_t hand_over(struct agg_group *g, agg_group_fn *fn, void *arg, struct err *e)
{
    if (!g->open) return ERR_OK;
    TRY(agg_merge_result(g->merge, g->value, e));
    return fn(arg, g->key, g->value, e);
}

err_t agg_group_add(struct agg_group *g, agg_group_fn *fn, void *arg, struct err *e)
{
    if (!g->open || !has(g)) {
        TRY(hand_over(g, fn, arg, e));
        TRY(start(g, e));
    }
    return agg_merge_add(g->merge, g->row + g->n_keys, e);
}

err_t agg_group_end(struct agg_group *g, agg_group_fn *fn, void *arg, struct err *e)
{
    if (!g->open && g->n_keys == 0) TRY(start(g, e));
    return hand_over(g, fn, arg, e);
}

err_t agg_group_check(struct agg_group *g, struct err *e)
{
    agg_merge_start(g->merge);
    return agg_merge_add(g->merge, g->row + g->n_keys, e);
}
