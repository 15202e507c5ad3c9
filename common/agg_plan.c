#include "common/agg_plan.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool same_column(const char *a, const char *b)
{
    return a == b || (a && b && strcasecmp(a, b) == 0);
}

// Whether the aggregate has a row that is greatest, or least, by this column.
static bool has_row(const struct agg *a, enum agg_kind kind, const char *column)
{
    for (size_t i = 0; i < a->n_fn; i++)
        if (a->fn[i].kind == kind && same_column(a->fn[i].deciding, column)) return true;
    return false;
}

static enum agg_state state_of(const struct agg *a, const struct agg_fn *f)
{
    switch (f->kind) {
    case AGG_COUNT: return f->column ? AGG_STATE_COUNT : AGG_STATE_ROWS;
    case AGG_MIN:
        return has_row(a, AGG_MIN_BY, f->column) ? AGG_STATE_MIN_BY : AGG_STATE_MIN;
    case AGG_MAX:
        return has_row(a, AGG_MAX_BY, f->column) ? AGG_STATE_MAX_BY : AGG_STATE_MAX;
    case AGG_QUANTILE:
    case AGG_MEDIAN: return AGG_STATE_VALUES;
    case AGG_COUNT_DISTINCT: return AGG_STATE_DISTINCT;
    case AGG_MAX_BY: return AGG_STATE_MAX_BY;
    case AGG_MIN_BY: return AGG_STATE_MIN_BY;
    case AGG_SUM:
    case AGG_AVG:
    case AGG_STDDEV:
    case AGG_VARIANCE: break;
    }
    return AGG_STATE_MOMENTS;
}

static uint32_t place(struct agg_plan *p, enum agg_state kind, const char *column)
{
    for (uint32_t i = 0; i < p->n; i++)
        if (p->state[i].kind == kind && same_column(p->state[i].column, column)) return i;
    p->state[p->n] = (struct agg_plan_state){ .kind = kind, .column = column };
    return p->n++;
}

static err_t nomem(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory");
}

// Which of the state's columns it is, a new one if need be.
static err_t want(struct agg_plan_state *s, const char *column, uint32_t *out,
                  struct err *e)
{
    for (*out = 0; *out < s->n_with; ++*out)
        if (same_column(s->with[*out], column)) return ERR_OK;
    const char **v = realloc(s->with, (s->n_with + 1) * sizeof *v);
    if (!v) return nomem(e);
    s->with = v;
    s->with[s->n_with++] = column;
    return ERR_OK;
}

err_t agg_plan_init(struct agg_plan *p, const struct agg *a, struct err *e)
{
    *p = (struct agg_plan){ 0 };
    p->state = calloc(a->n_fn + 1, sizeof *p->state);
    p->of_fn = calloc(a->n_fn + 1, sizeof *p->of_fn);
    p->with_of_fn = calloc(a->n_fn + 1, sizeof *p->with_of_fn);
    if (!p->state || !p->of_fn || !p->with_of_fn) {
        agg_plan_close(p);
        return nomem(e);
    }
    err_t rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < a->n_fn; i++) {
        const struct agg_fn *f = &a->fn[i];
        p->of_fn[i] = place(p, state_of(a, f), f->deciding ? f->deciding : f->column);
        struct agg_plan_state *s = &p->state[p->of_fn[i]];
        if (f->kind == AGG_STDDEV || f->kind == AGG_VARIANCE) s->squares = true;
        p->with_of_fn[i] = AGG_DECIDING;
        if (f->deciding) rc = want(s, f->column, &p->with_of_fn[i], e);
    }
    if (rc != ERR_OK) agg_plan_close(p);
    return rc;
}

void agg_plan_close(struct agg_plan *p)
{
    for (uint32_t i = 0; p->state && i < p->n; i++)
        free(p->state[i].with);
    free(p->state);
    free(p->of_fn);
    free(p->with_of_fn);
    *p = (struct agg_plan){ 0 };
}
