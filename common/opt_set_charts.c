// The setters of charts.*: they fill in the chart that is being read.

#include "common/opt_set.h"
#include "common/text.h"

#include <string.h>
#include <strings.h>

enum { NAME_MAX_BYTES = 1000 };

static void *member(struct conf *c, const struct opt *o)
{
    return (char *)c->chart + o->at;
}

// Tables and columns of a warehouse that others made, too: they may be called anything.
static bool name_is_good(struct conf *c, const struct opt *o, const struct value *v,
                         const char *name)
{
    if (*name && strlen(name) <= NAME_MAX_BYTES && !text_has_control(name)) return true;
    conf_wrong(c, o, v, "%s is no name; it takes a %s", QUOTED(name), o->takes);
    return false;
}

void set_chart_title(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    if (!text) return;
    if (!*text || strlen(text) > CHART_TITLE_MAX || text_has_control(text))
        conf_wrong(c, o, v, "%s is no title; give 1 to %d bytes on one line", QUOTED(text),
                   CHART_TITLE_MAX);
    else
        opt_copy_text(c, &c->chart->title, text);
}

void set_chart_name(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    if (text && name_is_good(c, o, v, text)) opt_copy_text(c, member(c, o), text);
}

// A column, or a list of them; `most` is o->max.
static bool add_names(struct conf *c, const struct opt *o, const struct value *v,
                      struct strings *to)
{
    bool list = v->kind == VALUE_LIST;
    for (const struct value *m = list ? v->first : v; m; m = list ? m->next : NULL) {
        const char *text = opt_single(c, o, m);
        if (!text || !name_is_good(c, o, m, text)) return false;
        for (size_t i = 0; i < to->n; i++)
            if (strcasecmp(to->v[i], text) == 0) {
                conf_wrong(c, o, m, "the column %s is named twice", QUOTED(text));
                return false;
            }
        if (!conf_ok(c, strings_add(to, text, strlen(text), NULL))) return false;
    }
    if (to->n >= o->min && to->n <= o->max) return true;
    conf_wrong(c, o, v, "%zu columns; it takes a %s", to->n, o->takes);
    return false;
}

void set_chart_names(struct conf *c, const struct opt *o, const struct value *v)
{
    struct strings names = { 0 }, *to = member(c, o);
    if (add_names(c, o, v, &names)) {
        strings_free(to);
        *to = names;
    } else {
        strings_free(&names);
    }
}

void set_chart_last(struct conf *c, const struct opt *o, const struct value *v)
{
    uint64_t n;
    if (opt_big_count(c, o, v, &n)) c->chart->last = (uint32_t)n;
}

static void check(struct conf *c, const struct opt *o, const struct value *v)
{
    const struct chart *h = c->chart;
    if (!h->x)
        conf_wrong(c, o, v, "which column goes along the bottom? e.g. x: day");
    else if (!h->y.n)
        conf_wrong(c, o, v, "which column is drawn? e.g. y: sales");
    else if (h->band.n && h->y.n > 1)
        conf_wrong(c, o, v,
                   "a band is drawn around one column, and y has %zu: make a chart for "
                   "each",
                   h->y.n);
    else if (h->forecast && h->y.n > 1)
        conf_wrong(c, o, v,
                   "a forecast goes on with one column, and y has %zu: make a chart for "
                   "each",
                   h->y.n);
    else if (h->forecast && h->band.n)
        conf_wrong(c, o, v,
                   "forecast has a band of its own, that of its table; leave band out");
}

static void one(struct conf *c, const struct opt *o, const struct value *v)
{
    struct chart h = { 0 };
    size_t before = c->n_mistakes;
    if (v->kind != VALUE_MAP) {
        conf_wrong(c, o, v, "wants mappings, e.g. - {x: day, y: sales}");
        return;
    }
    c->chart = &h;
    conf_walk(c, "charts.", v);
    if (c->n_mistakes == before) check(c, o, v);
    c->chart = NULL;
    if (c->n_mistakes == before && !c->no_memory)
        conf_ok(c, charts_add(&c->job->charts, &h, NULL));
    chart_free(&h);
}

void set_charts(struct conf *c, const struct opt *o, const struct value *v)
{
    charts_free(&c->job->charts);
    if (v->kind == VALUE_MAP)
        one(c, o, v);
    else if (v->kind != VALUE_LIST)
        conf_wrong(c, o, v, "wants a list of charts, e.g. - {x: day, y: sales}");
    else if (v->n > CHARTS_MAX)
        conf_wrong(c, o, v, "more than %d charts", CHARTS_MAX);
    else
        for (const struct value *m = v->first; m; m = m->next)
            one(c, o, m);
}
