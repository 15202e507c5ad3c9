#include "common/agg_chunk.h"

#include "common/agg_best.h"
#include "common/agg_groups.h"
#include "common/agg_sort.h"
#include "common/agg_states.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct agg_chunk {
    uint32_t n_keys;
    struct agg_plan plan; // its columns' names are gone after the opening
    struct schema partial;
    uint32_t n_in;
    uint32_t *key;    // columns of the batch
    uint32_t *column; // of each state; UINT32_MAX: none
    uint32_t **with;  // of each state of whole rows: further columns
    struct buf row;
    struct agg_groups *groups;
    struct agg_scratch *scratch;
    struct arena mem; // of one batch: order and values
    uint64_t max_bytes;
    const struct vec **vec; // one a key
};

void agg_chunk_free(struct agg_chunk **pc)
{
    struct agg_chunk *c = *pc;
    if (!c) return;
    for (uint32_t i = 0; c->with && i < c->plan.n; i++)
        free(c->with[i]);
    free(c->with);
    buf_free(&c->row);
    agg_plan_close(&c->plan);
    schema_free(&c->partial);
    agg_groups_free(&c->groups);
    agg_scratch_free(&c->scratch);
    arena_free(&c->mem);
    free(c->key);
    free(c->column);
    free(c->vec);
    free(c);
    *pc = NULL;
}

static err_t find(const struct schema *in, const char *name, bool *want, uint32_t *out,
                  struct err *e)
{
    *out = UINT32_MAX;
    if (!name) return ERR_OK;
    int i = schema_find(in, name);
    if (i < 0)
        return err_set(e, ERR_INVALID, "aggregate: the rows have no column '%.200s'", name);
    *out = (uint32_t)i;
    want[i] = true;
    return ERR_OK;
}

static err_t find_state(struct agg_chunk *c, uint32_t i, const struct schema *in,
                        bool *want, struct err *e)
{
    const struct agg_plan_state *s = &c->plan.state[i];
    TRY(find(in, s->column, want, &c->column[i], e));
    c->with[i] = calloc(s->n_with + 1, sizeof **c->with);
    if (!c->with[i]) return err_set(e, ERR_NOMEM, "out of memory");
    for (uint32_t k = 0; k < s->n_with; k++)
        TRY(find(in, s->with[k], want, &c->with[i][k], e));
    return ERR_OK;
}

static err_t open_chunk(struct agg_chunk *c, const struct agg *a, const struct schema *in,
                        bool *want, struct err *e)
{
    TRY(agg_plan_init(&c->plan, a, e));
    TRY(agg_partial_schema(a, &c->partial, e));
    c->n_in = in->n;
    c->key = calloc(a->by.n + 1, sizeof *c->key);
    c->column = calloc(c->plan.n + 1, sizeof *c->column);
    c->vec = calloc(a->by.n + 1, sizeof *c->vec);
    c->with = calloc(c->plan.n + 1, sizeof *c->with);
    if (!c->key || !c->column || !c->vec || !c->with)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < a->by.n; i++)
        TRY(find(in, a->by.v[i], want, &c->key[i], e));
    for (uint32_t i = 0; i < c->plan.n; i++)
        TRY(find_state(c, i, in, want, e));
    TRY(agg_groups_new(&c->groups, c->n_keys, e));
    return agg_scratch_new(&c->scratch, e);
}

err_t agg_chunk_new(struct agg_chunk **out, const struct agg *a, const struct schema *in,
                    uint64_t max_bytes, bool *want, struct err *e)
{
    struct agg_chunk *c = *out = calloc(1, sizeof *c);
    if (!c) return err_set(e, ERR_NOMEM, "out of memory");
    c->n_keys = (uint32_t)a->by.n;
    c->max_bytes = max_bytes;
    err_t rc = open_chunk(c, a, in, want, e);
    if (rc != ERR_OK) agg_chunk_free(out);
    return rc;
}

static err_t nomem(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory: a batch of an aggregate");
}

static err_t put_keys(struct agg_chunk *c, uint32_t groups, struct batch *out,
                      struct err *e)
{
    for (uint32_t k = 0; k < c->n_keys; k++) {
        struct cell *to = arena_alloc(&out->mem, groups * sizeof *to);
        if (!to) return nomem(e);
        for (uint32_t g = 0; g < groups; g++)
            to[g] = agg_groups_key(c->groups, g)[k];
        out->col[k] = (struct vec){ .type = TYPE_ANY, .any = to };
    }
    return ERR_OK;
}

static bool of_rows(enum agg_state kind)
{
    return kind == AGG_STATE_MAX_BY || kind == AGG_STATE_MIN_BY;
}

static err_t put_rows(struct agg_chunk *c, uint32_t i, const struct batch *in,
                      const struct agg_order *o, struct batch *out, struct cell *to,
                      struct err *e)
{
    const struct agg_plan_state *s = &c->plan.state[i];
    const struct vec **columns = arena_alloc(&c->mem, (s->n_with + 1) * sizeof *columns);
    if (!columns) return nomem(e);
    columns[0] = &in->col[c->column[i]];
    for (uint32_t k = 0; k < s->n_with; k++)
        columns[1 + k] = &in->col[c->with[i][k]];
    return agg_best_make(s, o, columns, &c->row, &out->mem, c->max_bytes, to, e);
}

static bool wants_numbers(enum agg_state kind)
{
    return kind == AGG_STATE_MOMENTS || kind == AGG_STATE_VALUES;
}

// States of one column follow each other in the plan more often than not: its values are
// gathered once.
static err_t put_states(struct agg_chunk *c, const struct batch *in,
                        const struct agg_order *o, struct batch *out, struct err *e)
{
    struct agg_values v = { 0 };
    uint32_t have = UINT32_MAX;
    bool have_numbers = false;
    for (uint32_t i = 0; i < c->plan.n; i++) {
        const struct agg_plan_state *s = &c->plan.state[i];
        bool numbers = wants_numbers(s->kind);
        struct cell *to = arena_alloc(&out->mem, (o->groups ? o->groups : 1) * sizeof *to);
        if (!to) return nomem(e);
        out->col[c->n_keys + i] = (struct vec){ .type = TYPE_ANY, .any = to };
        if (of_rows(s->kind)) {
            TRY(put_rows(c, i, in, o, out, to, e));
            continue;
        }
        if (c->column[i] != UINT32_MAX &&
            (have != c->column[i] || have_numbers != numbers)) {
            TRY(agg_values_make(&v, o, &in->col[c->column[i]], numbers, &c->mem, e));
            have = c->column[i];
            have_numbers = numbers;
        }
        TRY(agg_states_make(s, o, &v, c->scratch, &out->mem, c->max_bytes, to, e));
    }
    return ERR_OK;
}

err_t agg_chunk_apply(struct agg_chunk *c, const struct batch *in, struct batch *out,
                      struct err *e)
{
    struct agg_order order;
    uint32_t groups = 0;
    assert(in->n_cols == c->n_in);
    TRY(batch_start(out, &c->partial, e));
    arena_reset(&c->mem);
    uint32_t *gid = arena_alloc(&c->mem, (in->rows + 1) * sizeof *gid);
    if (!gid) return nomem(e);
    for (uint32_t k = 0; k < c->n_keys; k++)
        c->vec[k] = &in->col[c->key[k]];
    TRY(agg_groups_assign(c->groups, c->vec, in->rows, gid, &groups, e));
    TRY(agg_order_make(&order, gid, in->rows, groups, &c->mem, e));
    TRY(put_keys(c, groups, out, e));
    TRY(put_states(c, in, &order, out, e));
    out->rows = groups;
    return agg_sort(out, c->n_keys, &c->mem, e);
}
