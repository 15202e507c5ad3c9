#include "common/agg_group.h"

#include "common/agg_groups.h"
#include "common/agg_states.h"
#include "common/row_code.h"

#include <inttypes.h>
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

static bool read_row(struct agg_group *g, const uint8_t *p, size_t n, size_t *at)
{
    for (uint32_t i = 0; i < g->n_keys + g->n_states; i++)
        if (!row_code_next(p, n, at, &g->row[i])) return false;
    return true;
}

// g->key is that of the row before, and lies in the bytes.
static err_t check_row(struct agg_group *g, bool first, struct err *e)
{
    int order = first ? -1 : 0;
    for (uint32_t i = 0; i < g->n_keys; i++) {
        const struct cell *c = &g->row[i];
        if (c->kind == CELL_REAL && c->r != c->r)
            return err_set(e, ERR_PROTO, "a key is not a number");
        if (!order) order = agg_compare_keys(&g->key[i], c);
        if (order > 0) break;
    }
    if (order >= 0)
        return err_set(e, ERR_PROTO, "it does not come behind the row before it");
    for (uint32_t i = 0; i < g->n_keys; i++)
        g->key[i] = g->row[i];
    agg_merge_start(g->merge);
    return agg_merge_add(g->merge, g->row + g->n_keys, e);
}

err_t agg_group_check(struct agg_group *g, const uint8_t *p, size_t n, uint64_t rows,
                      struct err *e)
{
    size_t at = 0;
    for (uint64_t i = 1; i <= rows; i++) {
        if (!read_row(g, p, n, &at))
            return err_set(e, ERR_PROTO, "row %" PRIu64 " of the states is cut", i);
        err_t rc = check_row(g, i == 1, e);
        if (rc != ERR_OK) return err_wrap(e, rc, "row %" PRIu64, i);
    }
    if (at == n) return ERR_OK;
    return err_set(e, ERR_PROTO, "there is more than %" PRIu64 " rows of states", rows);
}
