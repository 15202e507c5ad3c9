#include "proto/spec_sql.h"

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

static void say_columns(const struct spec_sql_known *k, const char *wanted, bool quoted,
                        struct err *e)
{
    const struct schema *in = k->columns;
    const char *dot = strrchr(wanted, '.');
    struct suggest s = { .word = dot ? dot + 1 : wanted };
    struct list l = { 0 };
    for (uint32_t i = 0; i < in->n; i++) {
        list_add(&l, in->f[i].name);
        suggest_offer(&s, in->f[i].name);
    }
    append(e, "; %s", k->of);
    append(e, " has: %s", l.text);
    if (dot && !quoted && schema_find(in, wanted) >= 0) {
        append(e, "; a name with a dot stands in double quotes: \"%s\"", wanted);
        return;
    }
    if (s.best) append(e, "; did you mean '%s'?", s.best);
    if (quoted) append(e, "; text is written in single quotes: '%s'", wanted);
}

static void say_tables(const struct spec_sql_known *k, const char *wanted, struct err *e)
{
    const struct buf *names = k->names;
    struct suggest s = { .word = wanted };
    struct list l = { 0 };
    list_add(&l, k->table);
    suggest_offer(&s, k->table);
    for (size_t at = 0; at < names->n;) { // each with its NUL; no names: no pointer either
        const char *name = (const char *)names->p + at;
        list_add(&l, name);
        suggest_offer(&s, name);
        at += strlen(name) + 1;
    }
    append(e, "; there are: %s", l.text);
    if (s.best) append(e, "; did you mean '%s'?", s.best);
}

void spec_sql_say_params(const struct spec *spec, const char *wanted, struct err *e)
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

err_t spec_sql_say_more(sqlite3 *db, const struct spec_sql_known *k, const char *sql,
                        err_t rc, struct err *e)
{
    static const char column[] = "no such column: ", table[] = "no such table: ";
    const char *message = sqlite3_errmsg(db);
    if (!e || !strstr(e->text, message)) return rc;
    int at = sqlite3_error_offset(db);
    if (strncmp(message, table, strlen(table)) == 0)
        say_tables(k, message + strlen(table), e);
    else if (strncmp(message, column, strlen(column)) == 0)
        say_columns(k, message + strlen(column),
                    at >= 0 && (size_t)at < strlen(sql) && sql[at] == '"', e);
    return rc;
}
