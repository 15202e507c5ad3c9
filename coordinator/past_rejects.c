// Rejected rows, one by one.

#include "coordinator/past_impl.h"

#include "common/rejects.h"

#include <string.h>

// A row of a table that others may have written to: any value may have any type.
static struct slice bytes(sqlite3_stmt *q, int column)
{
    const void *p = sqlite3_column_blob(q, column);
    return (struct slice){ p, p ? (size_t)sqlite3_column_bytes(q, column) : 0 };
}

static err_t ask(sqlite3 *db, const char *table, const struct past_value *v,
                 sqlite3_stmt **q, struct err *e)
{
    char *sql = sqlite3_mprintf(
        "SELECT rowid, file, \"column\", reason, raw, line, byte_offset FROM"
        " \"%w_rejects\" WHERE rowid > ? AND run = ? ORDER BY rowid",
        table);
    err_t rc = sql ? past_ask(db, q, sql, v, 2, e) : err_set(e, ERR_NOMEM, "out of memory");
    sqlite3_free(sql);
    return rc;
}

static err_t each(struct past *p, sqlite3 *db, int64_t after, past_reject_fn *fn, void *arg,
                  const char **unknown, struct err *e)
{
    sqlite3_stmt *q = NULL;
    const struct past_value v[] = { PAST_NUMBER(after), PAST_NUMBER(p->load_id) };
    err_t rc = ask(db, p->run.table, v, &q, e);
    if (rc == ERR_OK && !q) *unknown = "the table of rejected rows is gone";
    while (past_next(q, &rc, e)) {
        const struct past_reject r = {
            .id = sqlite3_column_int64(q, 0),
            .file = bytes(q, 1),
            .column = bytes(q, 2),
            .reason = bytes(q, 3),
            .raw = bytes(q, 4),
            .line = past_u64(q, 5),
            .byte =
                sqlite3_column_type(q, 6) == SQLITE_NULL ? REJECT_NO_BYTE : past_u64(q, 6),
        };
        if (fn(arg, &r)) continue;
        sqlite3_finalize(q);
        break;
    }
    return rc;
}

err_t past_each_reject(struct past *p, int64_t after, past_reject_fn *fn, void *arg,
                       const char **unknown, struct err *e)
{
    bool text = strncmp(p->run.into, "sqlite:", 7) != 0;
    *unknown = text ? "rejected rows are not kept in a database that is read here" : NULL;
    sqlite3 *db = text ? NULL : past_open_ledger(p, unknown);
    if (!db) return ERR_OK;
    err_t rc = each(p, db, after, fn, arg, unknown, e);
    if (rc != ERR_OK && rc != ERR_NOMEM) { // damaged, or locked: that is no news of ours
        *unknown = past_ledger_trouble(p, db, e);
        rc = ERR_OK;
    }
    sqlite3_close(db);
    return rc;
}
