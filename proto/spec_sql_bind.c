#include "proto/spec_sql.h"

#include <string.h>

static const struct spec_param *find_param(const struct spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->n_params; i++)
        if (strcmp(spec->params[i].name, name) == 0) return &spec->params[i];
    return NULL;
}

int spec_sql_bind_cell(sqlite3_stmt *stmt, int i, const struct cell *c)
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

err_t spec_sql_bind(sqlite3_stmt *stmt, const struct spec *spec, struct err *e)
{
    int n = sqlite3_bind_parameter_count(stmt);
    for (int i = 1; i <= n; i++) {
        const char *name = sqlite3_bind_parameter_name(stmt, i);
        if (!name || *name == '?')
            return err_set(e, ERR_TRANSFORM,
                           "params are bound by name: write :name, not %s",
                           name ? name : "?");
        const struct spec_param *p = find_param(spec, name + 1);
        if (!p) {
            err_t rc = err_set(e, ERR_TRANSFORM, "no such param: %s", name);
            spec_sql_say_params(spec, name + 1, e);
            return rc;
        }
        int rc = spec_sql_bind_cell(stmt, i, &p->value);
        if (rc == SQLITE_NOMEM)
            return err_set(e, ERR_NOMEM, "out of memory: param %s", name);
        if (rc != SQLITE_OK)
            return err_set(e, ERR_TRANSFORM, "param %s: %s", name, sqlite3_errstr(rc));
    }
    return ERR_OK;
}
