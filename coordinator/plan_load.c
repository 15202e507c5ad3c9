// The columns that load.* names must be in the result.

#include "coordinator/plan.h"

#include "common/suggest.h"

static err_t list_names(const struct schema *s, struct buf *out, struct err *e)
{
    enum { SHOWN = 20 };
    for (uint32_t i = 0; i < s->n && i < SHOWN; i++)
        TRY(buf_printf(out, e, "%s%.60s", i ? ", " : "", s->f[i].name));
    return buf_printf(out, e, "%s", s->n > SHOWN ? ", ..." : "");
}

static err_t missing(const struct schema *s, const char *key, const char *name,
                     struct err *e)
{
    struct buf names = { 0 };
    struct suggest near = { .word = name };
    for (uint32_t i = 0; i < s->n; i++)
        suggest_offer(&near, s->f[i].name);
    TRY(list_names(s, &names, e));
    err_set(e, ERR_INVALID, "%s: the result has no column '%.60s'%s%.60s%s; it has %s", key,
            name, near.best ? "; did you mean '" : "", near.best ? near.best : "",
            near.best ? "'?" : "", (const char *)names.p);
    buf_free(&names);
    return ERR_INVALID;
}

err_t plan_check_column(const struct schema *s, const char *key, const char *name,
                        struct err *e)
{
    return schema_find(s, name) < 0 ? missing(s, key, name, e) : ERR_OK;
}

static err_t check_names(const struct schema *s, const char *key,
                         const struct strings *columns, struct err *e)
{
    for (size_t i = 0; i < columns->n; i++)
        TRY(plan_check_column(s, key, columns->v[i], e));
    return ERR_OK;
}

err_t plan_check_load(const struct plan *p, const struct job *j, struct err *e)
{
    const struct schema *s = &p->rows;
    TRY(check_names(s, "load.key", &j->key, e));
    for (size_t i = 0; i < j->n_indexes; i++)
        TRY(check_names(s, "load.indexes", &j->indexes[i], e));
    if (j->watermark) TRY(plan_check_column(s, "load.watermark", j->watermark, e));
    return plan_check_charts(s, j, e);
}
