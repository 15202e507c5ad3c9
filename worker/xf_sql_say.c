#include "worker/xf_sql.h"

#include "common/suggest.h"

#include <stdio.h>
#include <string.h>

// Grows a sentence that may end anywhere: a long list is cut, with an ellipsis.
struct list {
    char text[600];
    size_t n;
    bool cut;
};

static void list_add(struct list *l, const char *name)
{
    static const char ellipsis[] = ", ...";
    size_t room = sizeof l->text - sizeof ellipsis;
    const char *comma = l->n ? ", " : "";
    if (l->cut) return;
    l->cut = l->n + strlen(comma) + strlen(name) > room;
    l->n += (size_t)snprintf(l->text + l->n, sizeof l->text - l->n, "%s%s", comma,
                             l->cut ? "..." : name);
}

static void append(struct err *e, const char *fmt, const char *text)
{
    size_t n = e ? strlen(e->text) : 0;
    if (e) snprintf(e->text + n, sizeof e->text - n, fmt, text);
}

void xf_sql_say_columns(const struct schema *in, const char *wanted, bool quoted,
                        struct err *e)
{
    const char *dot = strrchr(wanted, '.');
    struct suggest s = { .word = dot ? dot + 1 : wanted };
    struct list l = { 0 };
    for (uint32_t i = 0; i < in->n; i++) {
        list_add(&l, in->f[i].name);
        suggest_offer(&s, in->f[i].name);
    }
    append(e, "; the batch has: %s", l.text);
    if (s.best) append(e, "; did you mean '%s'?", s.best);
    if (quoted) append(e, "; text is written in single quotes: '%s'", wanted);
}

void xf_sql_say_tables(const struct buf *names, const char *wanted, struct err *e)
{
    struct suggest s = { .word = wanted };
    struct list l = { 0 };
    list_add(&l, XF_SQL_BATCH);
    suggest_offer(&s, XF_SQL_BATCH);
    for (size_t at = 0; at < names->n;) { // each with its NUL; no names: no pointer either
        const char *name = (const char *)names->p + at;
        list_add(&l, name);
        suggest_offer(&s, name);
        at += strlen(name) + 1;
    }
    append(e, "; there are: %s", l.text);
    if (s.best) append(e, "; did you mean '%s'?", s.best);
}

void xf_sql_say_params(const struct spec *spec, const char *wanted, struct err *e)
{
    struct suggest s = { .word = wanted };
    struct list l = { 0 };
    for (size_t i = 0; i < spec->n_params; i++) {
        list_add(&l, spec->params[i].name);
        suggest_offer(&s, spec->params[i].name);
    }
    if (spec->n_params)
        append(e, "; the params are: %s", l.text);
    else
        append(e, "; the job has no params%s", "");
    if (s.best) append(e, "; did you mean '%s'?", s.best);
}
