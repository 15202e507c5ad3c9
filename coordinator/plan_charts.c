// The columns that charts name must be in the result, where it is the result they draw.

#include "coordinator/plan.h"

#include <string.h>
#include <strings.h>

static err_t check_number(const struct schema *s, const char *key, const char *name,
                          struct err *e)
{
    TRY(plan_check_column(s, key, name, e));
    enum type t = s->f[schema_find(s, name)].type;
    if (!type_is_text(t)) return ERR_OK;
    return err_set(e, ERR_INVALID, "%s: '%.60s' is %s, and what is drawn are numbers", key,
                   name, type_name(t));
}

static err_t check_table(const struct schema *s, const struct chart *c, struct err *e)
{
    TRY(plan_check_column(s, "charts.x", c->x, e));
    for (size_t i = 0; i < c->y.n; i++)
        TRY(check_number(s, "charts.y", c->y.v[i], e));
    for (size_t i = 0; i < c->band.n; i++)
        TRY(check_number(s, "charts.band", c->band.v[i], e));
    return c->by ? plan_check_column(s, "charts.by", c->by, e) : ERR_OK;
}

static err_t check_forecast(const struct schema *s, const struct chart *c, struct err *e)
{
    static const char *const columns[] = { "yhat", "yhat_lower", "yhat_upper" };
    TRY(plan_check_column(s, "charts.forecast", "ds", e));
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        TRY(check_number(s, "charts.forecast", columns[i], e));
    return c->by ? plan_check_column(s, "charts.by", c->by, e) : ERR_OK;
}

err_t plan_check_charts(const struct schema *s, const struct job *j, struct err *e)
{
    for (size_t i = 0; i < j->charts.n; i++) {
        const struct chart *c = &j->charts.v[i];
        if (c->into && strcmp(c->into, j->into) != 0) continue;
        if (!c->table || strcasecmp(c->table, j->table) == 0) TRY(check_table(s, c, e));
        if (c->forecast && strcasecmp(c->forecast, j->table) == 0)
            TRY(check_forecast(s, c, e));
    }
    return ERR_OK;
}
