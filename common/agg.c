#include "common/agg.h"

#include "common/agg_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void agg_fn_free(struct agg_fn *f)
{
    free(f->name);
    free(f->text);
    free(f->column);
    free(f->deciding);
    *f = (struct agg_fn){ 0 };
}

void agg_free(struct agg *a)
{
    strings_free(&a->by);
    for (size_t i = 0; i < a->n_fn; i++)
        agg_fn_free(&a->fn[i]);
    free(a->fn);
    *a = (struct agg){ 0 };
}

err_t agg_add_by(struct agg *a, const char *column, struct err *e)
{
    if (a->by.n == AGG_MAX_KEYS)
        return err_set(e, ERR_TOOBIG, "more than %d columns to group by", AGG_MAX_KEYS);
    return strings_add(&a->by, column, strlen(column), e);
}

err_t agg_add_fn(struct agg *a, const char *name, const char *text, struct err *e)
{
    size_t at;
    struct agg_fn f = { 0 };
    if (a->n_fn == AGG_MAX_FUNCTIONS)
        return err_set(e, ERR_TOOBIG, "more than %d functions", AGG_MAX_FUNCTIONS);
    err_t rc = agg_fn_parse(&f, text, &at, e);
    if (rc == ERR_OK && !(f.name = strdup(name)))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    struct agg_fn *v = rc == ERR_OK ? realloc(a->fn, (a->n_fn + 1) * sizeof *v) : NULL;
    if (rc == ERR_OK && !v) rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc != ERR_OK) {
        agg_fn_free(&f);
        return rc;
    }
    a->fn = v;
    a->fn[a->n_fn++] = f;
    return ERR_OK;
}

err_t agg_of_job(struct agg *a, const struct job *j, struct err *e)
{
    *a = (struct agg){ 0 };
    err_t rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < j->agg_by.n; i++)
        rc = agg_add_by(a, j->agg_by.v[i].text, e);
    for (size_t i = 0; rc == ERR_OK && i < j->agg_compute.n; i++)
        rc = agg_add_fn(a, j->agg_compute.v[i].name, j->agg_compute.v[i].text, e);
    if (rc != ERR_OK) agg_free(a);
    return rc;
}

// ---- schemas

static enum type result_type(const struct agg_fn *f, enum type in)
{
    switch (f->kind) {
    case AGG_COUNT:
    case AGG_COUNT_DISTINCT: return TYPE_INTEGER;
    case AGG_SUM: return in == TYPE_BOOLEAN ? TYPE_INTEGER : in;
    case AGG_MIN:
    case AGG_MAX:
    case AGG_MAX_BY:
    case AGG_MIN_BY: return in;
    case AGG_AVG:
    case AGG_STDDEV:
    case AGG_VARIANCE:
    case AGG_QUANTILE:
    case AGG_MEDIAN: return TYPE_REAL;
    }
    return TYPE_ANY;
}

static enum type type_of(const struct schema *rows, const char *column)
{
    int i = column ? schema_find(rows, column) : -1;
    return i < 0 ? TYPE_ANY : rows->f[i].type;
}

static err_t add(struct schema *s, const char *name, enum type t, struct err *e)
{
    return schema_add(s, name, strlen(name), t, false, e);
}

// Keys keep what each value is: the type that a sample suggests comes with the result.
static err_t add_states(struct schema *out, const struct agg_plan *plan, struct err *e)
{
    for (uint32_t i = 0; i < plan->n; i++) {
        char name[64];
        snprintf(name, sizeof name, "tranche_state_%u", i + 1);
        while (schema_find(out, name) >= 0 && strlen(name) + 1 < sizeof name)
            strcat(name, "_");
        TRY(add(out, name, TYPE_ANY, e));
    }
    return ERR_OK;
}

err_t agg_partial_schema(const struct agg *a, struct schema *out, struct err *e)
{
    struct agg_plan plan;
    *out = (struct schema){ 0 };
    err_t rc = agg_plan_init(&plan, a, e);
    for (size_t i = 0; rc == ERR_OK && i < a->by.n; i++)
        rc = add(out, a->by.v[i], TYPE_ANY, e);
    if (rc == ERR_OK) rc = add_states(out, &plan, e);
    if (rc != ERR_OK) schema_free(out);
    agg_plan_close(&plan);
    return rc;
}

err_t agg_result_schema(const struct agg *a, const struct schema *rows, struct schema *out,
                        struct err *e)
{
    err_t rc = ERR_OK;
    *out = (struct schema){ 0 };
    for (size_t i = 0; rc == ERR_OK && i < a->by.n; i++) {
        int at = schema_find(rows, a->by.v[i]);
        rc = add(out, at < 0 ? a->by.v[i] : rows->f[at].name,
                 at < 0 ? TYPE_ANY : rows->f[at].type, e);
    }
    for (size_t i = 0; rc == ERR_OK && i < a->n_fn; i++)
        rc = add(out, a->fn[i].name, result_type(&a->fn[i], type_of(rows, a->fn[i].column)),
                 e);
    if (rc != ERR_OK) schema_free(out);
    return rc;
}
