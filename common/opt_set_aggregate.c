// The setters of aggregate and merge.

#include "common/agg.h"
#include "common/opt_set.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool has(const struct job_items *items, const char *name, bool by_name)
{
    for (size_t i = 0; i < items->n; i++)
        if (strcasecmp(by_name ? items->v[i].name : items->v[i].text, name) == 0)
            return true;
    return false;
}

static bool add_column(struct conf *c, const struct opt *o, const struct value *v,
                       const char *name, struct job_items *to)
{
    if (!*name)
        conf_wrong(c, o, v, "an empty column name");
    else if (!text_is_utf8(name, strlen(name)))
        conf_wrong(c, o, v, "%s is not UTF-8", QUOTED(name));
    else if (has(to, name, false))
        conf_wrong(c, o, v, "%s is given twice", QUOTED(name));
    else if (to->n == AGG_MAX_KEYS)
        conf_wrong(c, o, v, "more than %d columns", AGG_MAX_KEYS);
    else
        return conf_ok(c,
                       job_items_add(to, NULL, name, v->text_line, v->text_column, NULL));
    return false;
}

// Of a flag: all in one text.
static bool split(struct conf *c, const struct opt *o, const struct value *v,
                  struct job_items *to)
{
    char *text = strdup(v->text), *rest = text;
    bool ok = conf_ok(c, text ? ERR_OK : ERR_NOMEM);
    for (char *name; ok && (name = strsep(&rest, ","));)
        ok = add_column(c, o, v, name, to);
    free(text);
    return ok;
}

static void keep(struct job_items *to, struct job_items *from, bool ok)
{
    if (ok) {
        job_items_free(to);
        *to = *from;
    } else {
        job_items_free(from);
    }
}

void set_by(struct conf *c, const struct opt *o, const struct value *v)
{
    struct job_items items = { 0 };
    bool ok = true;
    if (v->kind == VALUE_TEXT) {
        ok = c->file ? add_column(c, o, v, v->text, &items) : split(c, o, v, &items);
    } else if (v->kind == VALUE_LIST) {
        for (const struct value *m = v->first; m && ok; m = m->next) {
            const char *text = opt_single(c, o, m);
            ok = text && add_column(c, o, m, text, &items);
        }
    } else {
        conf_wrong(c, o, v, "wants a list of columns, e.g. [origin]");
        ok = false;
    }
    keep(&c->job->agg_by, &items, ok);
}

// The place of the mistake itself, not only of the key before it.
static void wrong_expression(struct conf *c, const struct opt *o, const struct value *m,
                             size_t at, const char *why)
{
    struct value place = { .kind = VALUE_TEXT,
                           .line = m->text_line,
                           .column = m->text_column + (int)at };
    conf_wrong(c, o, &place, "%.60s: %s", m->key, why);
}

static bool add_function(struct conf *c, const struct opt *o, const struct value *m,
                         struct job_items *to)
{
    struct agg_fn f;
    struct err e;
    size_t at;
    if (m->kind != VALUE_TEXT || m->nothing) {
        conf_wrong(c, o, m, "%s wants a function, e.g. avg(delay)%s", QUOTED(m->key),
                   conf_cut_by_comma(m) ? "; " CONF_CUT_BY_COMMA : "");
        return false;
    }
    if (!*m->key || !text_is_utf8(m->key, strlen(m->key)) ||
        !text_is_utf8(m->text, strlen(m->text))) {
        conf_wrong(c, o, m, "%s is no name for a column", QUOTED(m->key));
        return false;
    }
    if (to->n == AGG_MAX_FUNCTIONS) {
        conf_wrong(c, o, m, "more than %d functions", AGG_MAX_FUNCTIONS);
        return false;
    }
    err_t rc = agg_fn_parse(&f, m->text, &at, &e);
    if (rc == ERR_PARSE) wrong_expression(c, o, m, at, e.text);
    if (rc == ERR_NOMEM) conf_ok(c, rc);
    if (rc != ERR_OK) return false;
    agg_fn_free(&f);
    return conf_ok(c,
                   job_items_add(to, m->key, m->text, m->text_line, m->text_column, NULL));
}

void set_compute(struct conf *c, const struct opt *o, const struct value *v)
{
    struct job_items items = { 0 };
    bool ok = true;
    if (!opt_is_map(c, o, v)) return;
    for (const struct value *m = v->first; m; m = m->next)
        ok &= opt_unique(c, o, v, m) && add_function(c, o, m, &items);
    keep(&c->job->agg_compute, &items, ok);
}

void set_merge(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    if (!text || !opt_sql_is_good(c, o, v, text)) return;
    if (!opt_copy_text(c, &c->job->merge_sql, text)) return;
    c->job->merge_line = v->text_line;
    c->job->merge_column = v->text_column;
}
