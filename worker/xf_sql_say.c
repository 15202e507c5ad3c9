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
    size_t n = strlen(e->text);
    snprintf(e->text + n, sizeof e->text - n, fmt, text);
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
    const char *p = (const char *)names->p, *end = p + names->n;
    for (; p < end; p += strlen(p) + 1) {
        list_add(&l, p);
        suggest_offer(&s, p);
    }
    append(e, "; there are: %s", l.text);
    if (s.best) append(e, "; did you mean '%s'?", s.best);
}

static const struct spec_param *find_param(const struct spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->n_params; i++)
        if (strcmp(spec->params[i].name, name) == 0) return &spec->params[i];
    return NULL;
}

static err_t no_such_param(const struct spec *spec, const char *name, struct err *e)
{
    if (!spec->n_params)
        return err_set(e, ERR_TRANSFORM, "no such param: %s; the job has no params", name);
    struct suggest s = { .word = name + 1 };
    struct list l = { 0 };
    for (size_t i = 0; i < spec->n_params; i++) {
        list_add(&l, spec->params[i].name);
        suggest_offer(&s, spec->params[i].name);
    }
    return err_set(e, ERR_TRANSFORM, "no such param: %s; the params are: %s%s%s%s", name,
                   l.text, s.best ? "; did you mean '" : "", s.best ? s.best : "",
                   s.best ? "'?" : "");
}

static int bind_cell(sqlite3_stmt *stmt, int i, const struct cell *c)
{
    switch ((enum cell_kind)c->kind) {
    case CELL_INTEGER: return sqlite3_bind_int64(stmt, i, c->i);
    case CELL_REAL: return sqlite3_bind_double(stmt, i, c->r);
    case CELL_TEXT:
        return sqlite3_bind_text64(stmt, i, c->len ? (const char *)c->p : "", c->len,
                                   SQLITE_TRANSIENT, SQLITE_UTF8);
    case CELL_BLOB:
        return sqlite3_bind_blob64(stmt, i, c->len ? (const void *)c->p : "", c->len,
                                   SQLITE_TRANSIENT);
    case CELL_NULL: break;
    }
    return sqlite3_bind_null(stmt, i);
}

err_t xf_sql_bind(sqlite3_stmt *stmt, const struct spec *spec, struct err *e)
{
    int n = sqlite3_bind_parameter_count(stmt);
    for (int i = 1; i <= n; i++) {
        const char *name = sqlite3_bind_parameter_name(stmt, i);
        if (!name || *name == '?')
            return err_set(e, ERR_TRANSFORM,
                           "params are bound by name: write :name, not %s",
                           name ? name : "?");
        const struct spec_param *p = find_param(spec, name + 1);
        if (!p) return no_such_param(spec, name, e);
        int rc = bind_cell(stmt, i, &p->value);
        if (rc == SQLITE_NOMEM)
            return err_set(e, ERR_NOMEM, "out of memory: param %s", name);
        if (rc != SQLITE_OK)
            return err_set(e, ERR_TRANSFORM, "param %s: %s", name, sqlite3_errstr(rc));
    }
    return ERR_OK;
}
