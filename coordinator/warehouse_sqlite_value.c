// The values of `params:`: one statement of the user's, read only, one value.

#include "coordinator/warehouse_sqlite.h"

#include "common/sql_guard.h"

#include <string.h>
#include <unistd.h>

struct cell wsq_cell(sqlite3_stmt *st, int i)
{
    struct cell c = { .kind = CELL_NULL };
    switch (sqlite3_column_type(st, i)) {
    case SQLITE_INTEGER:
        return (struct cell){ .kind = CELL_INTEGER, .i = sqlite3_column_int64(st, i) };
    case SQLITE_FLOAT:
        return (struct cell){ .kind = CELL_REAL, .r = sqlite3_column_double(st, i) };
    case SQLITE_TEXT: c.kind = CELL_TEXT; break;
    case SQLITE_BLOB: c.kind = CELL_BLOB; break;
    default: return c;
    }
    c.p = sqlite3_column_blob(st, i);
    c.len = (uint32_t)sqlite3_column_bytes(st, i);
    return c;
}

err_t wsq_copy_cell(sqlite3_stmt *st, int i, struct arena *mem, struct cell *out,
                    struct err *e)
{
    *out = wsq_cell(st, i);
    if (out->kind != CELL_TEXT && out->kind != CELL_BLOB) return ERR_OK;
    char *copy = arena_strdup(mem, out->p ? (const char *)out->p : "", out->len);
    if (!copy) return err_set(e, ERR_NOMEM, "out of memory");
    out->p = (const uint8_t *)copy;
    return ERR_OK;
}

static err_t read_value(struct warehouse *w, sqlite3_stmt *st, struct arena *mem,
                        struct cell *value, struct err *e)
{
    int rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return err_set(e, ERR_INVALID,
                       "it gives no row: a parameter is one value (an aggregate such as "
                       "max(x) always gives a row)");
    if (rc == SQLITE_ROW) {
        TRY(wsq_copy_cell(st, 0, mem, value, e));
        rc = sqlite3_step(st);
        if (rc == SQLITE_DONE) return ERR_OK;
        if (rc == SQLITE_ROW)
            return err_set(e, ERR_INVALID,
                           "it gives more than one row: a parameter is one value");
    }
    if ((rc & 0xff) == SQLITE_ERROR)
        return err_set(e, ERR_INVALID, "%s: %s", w->shown, sqlite3_errmsg(w->db));
    return wsq_fail(w, rc, e, "reading a value");
}

// `value` NULL: the statement is only looked at.
static err_t query_value(struct warehouse *w, const char *sql, struct arena *mem,
                         struct cell *value, struct err *e)
{
    sqlite3_stmt *st = NULL;
    err_t rc = sql_guard_prepare(w->db, sql, "params", ERR_INVALID, &st, e);
    if (rc == ERR_OK && sqlite3_column_count(st) != 1)
        rc = err_set(e, ERR_INVALID, "it gives %d columns: a parameter is one value",
                     sqlite3_column_count(st));
    if (rc == ERR_OK && value) rc = read_value(w, st, mem, value, e);
    sqlite3_finalize(st);
    return rc;
}

err_t wsq_query_value(struct warehouse *w, const char *sql, struct arena *mem,
                      struct cell *value, struct err *e)
{
    TRY(wsq_ready(w, e));
    sql_guard_read_only(w->db, true);
    err_t rc = query_value(w, sql, mem, value, e);
    sql_guard_read_only(w->db, false);
    return rc;
}

err_t wsq_try_value(const char *url, const char *sql, struct arena *mem, struct cell *value,
                    bool *tried, struct err *e)
{
    const char *path = strchr(url, ':') + 1;
    struct warehouse *w = NULL;
    *tried = false;
    if (access(path, F_OK) != 0) return ERR_OK; // opening it would make it
    err_t rc = wsq_open(&w, path, &wsq_tables, NULL, NULL, e);
    if (rc == ERR_OK) rc = wsq_query_value(w, sql, mem, value, e);
    wsq_close(&w);
    *tried = rc == ERR_OK;
    return rc == ERR_INVALID || rc == ERR_NOMEM ? rc : ERR_OK;
}
