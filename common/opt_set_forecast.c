// The setters of transform.forecast.*: they fill in the step that is being read.

#include "common/opt_set.h"
#include "common/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BY_MAX = 64 };

void set_forecast(struct conf *c, const struct opt *o, const struct value *v)
{
    struct step_forecast *f = &c->step->forecast;
    size_t before = c->n_mistakes;
    c->step->kind = STEP_FORECAST;
    c->step->line = v->text_line ? v->text_line : v->line;
    c->step->column = v->text_line ? v->text_column : v->column;
    if (!conf_ok(c, step_forecast_init(f, NULL))) return;
    if (v->kind == VALUE_MAP)
        conf_walk(c, "transform.forecast.", v);
    else
        set_forecast_periods(c, o, v);
    if (c->n_mistakes > before || c->no_memory) return;
    if (!f->periods)
        conf_wrong(c, o, v, "how many periods ahead? e.g. periods: 30");
    else if (strcasecmp(f->ds, f->y) == 0)
        conf_wrong(c, o, v, "%s cannot be the date and the value", QUOTED(f->ds));
}

// As what the count was given.
void set_forecast_periods(struct conf *c, const struct opt *o, const struct value *v)
{
    set_count(c, c->file ? o : opt_by_key("transform.forecast"), v);
}

static void add_by(struct conf *c, const struct opt *o, const struct value *v,
                   const char *name)
{
    static const char *const ours[] = { "ds", "yhat", "yhat_lower", "yhat_upper" };
    struct strings *by = &c->step->forecast.by;
    const char *wrong = !*name || text_has_control(name) ? "is no name"
                        : by->n == BY_MAX                ? "is a column too many"
                                                         : NULL;
    for (size_t i = 0; !wrong && i < sizeof ours / sizeof *ours; i++)
        if (strcasecmp(ours[i], name) == 0)
            wrong = "is a column of the result; call it otherwise in the query";
    for (size_t i = 0; !wrong && i < by->n; i++)
        if (strcasecmp(by->v[i], name) == 0) wrong = "is given twice";
    if (wrong)
        conf_wrong(c, o, v, "%s %s", QUOTED(name), wrong);
    else
        conf_ok(c, strings_add(by, name, strlen(name), NULL));
}

// A list; a flag's comes as a text with commas between.
void set_forecast_by(struct conf *c, const struct opt *o, const struct value *v)
{
    if (v->kind == VALUE_LIST) {
        for (const struct value *m = v->first; m; m = m->next) {
            const char *text = opt_single(c, o, m);
            if (text) add_by(c, o, m, text);
        }
        return;
    }
    const char *text = opt_single(c, o, v);
    char *copy = text ? strdup(text) : NULL, *rest = copy;
    if (!text || !conf_ok(c, copy ? ERR_OK : ERR_NOMEM)) return;
    if (c->file) {
        add_by(c, o, v, text);
        rest = NULL;
    }
    for (char *name; rest && (name = strsep(&rest, ","));)
        add_by(c, o, v, name);
    free(copy);
}

// "80%" or "0.8"
void set_forecast_share(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    char *end;
    if (!text) return;
    double share = strtod(text, &end);
    bool percent = strcmp(end, "%") == 0;
    double permille = round(share * (percent ? 10 : 1000));
    bool digits = text[strspn(text, "0123456789.")] == (percent ? '%' : 0);
    if (end == text || (*end && !percent) || !digits || !(permille >= 10) ||
        !(permille <= 999))
        conf_wrong(c, o, v, "%s is no share; it takes a %s", QUOTED(text), o->takes);
    else
        c->step->forecast.permille = (uint32_t)permille;
}
