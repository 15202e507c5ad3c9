// The end of MODE_REPLACE: the staged table takes the place, the indexes and the triggers
// of the old one. Views find it by its name.

#include "coordinator/warehouse_sqlite.h"

#include <string.h>

// Of the old table's indexes and triggers: name and the statement that made it, one after
// the other, each NUL-terminated.
static err_t keep_statements(struct warehouse *w, struct buf *out, struct err *e)
{
    sqlite3_stmt *st;
    bool row;
    TRY(wsq_prepare(
        w, &st, e,
        "SELECT name, sql FROM main.sqlite_schema WHERE tbl_name = %Q COLLATE NOCASE "
        "AND type IN ('index','trigger') AND sql IS NOT NULL ORDER BY type, rowid",
        w->table));
    err_t rc;
    while ((rc = wsq_step(w, st, &row, e, "reading the schema")) == ERR_OK && row) {
        for (int i = 0; i < 2 && rc == ERR_OK; i++) {
            const char *text = (const char *)sqlite3_column_text(st, i);
            rc = text ? buf_add(out, text, strlen(text) + 1, e)
                      : err_set(e, ERR_NOMEM, "out of memory");
        }
        if (rc != ERR_OK) break;
    }
    sqlite3_finalize(st);
    return rc;
}

static err_t run_statements(struct warehouse *w, const struct buf *statements,
                            struct err *e)
{
    for (size_t at = 0; at < statements->n;) {
        const char *name = (const char *)statements->p + at;
        const char *sql = name + strlen(name) + 1;
        int64_t n;
        bool built;
        at += strlen(name) + strlen(sql) + 2;
        TRY(wsq_int(w, e, &n, &built, // among load.indexes
                    "SELECT 1 FROM main.sqlite_schema WHERE type = 'index' AND name = %Q "
                    "COLLATE NOCASE",
                    name));
        if (built) continue;
        int rc = sqlite3_exec(w->db, sql, NULL, NULL, NULL);
        if ((rc & 0xff) == SQLITE_ERROR || (rc & 0xff) == SQLITE_CONSTRAINT)
            return err_set(
                e, ERR_INVALID,
                "the new %s can't have what the old one has: %s (%.300s). Drop that "
                "and run the same command again",
                w->table, sqlite3_errmsg(w->db), sql);
        if (rc != SQLITE_OK) return wsq_fail(w, rc, e, "building an index");
    }
    return ERR_OK;
}

// Dropping a table must not delete what refers to it, and renaming must not touch views
// that for a moment refer to nothing. A quoted column that the new table lacks would be
// taken for a text, and its index made over that.
err_t wsq_swap_prepare(struct warehouse *w, struct err *e)
{
    sqlite3_db_config(w->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    return wsq_exec(w, e, "preparing the swap",
                    "PRAGMA foreign_keys=OFF; PRAGMA legacy_alter_table=ON");
}

void wsq_swap_done(struct warehouse *w)
{
    if (w->db &&
        sqlite3_exec(w->db, "PRAGMA foreign_keys=ON; PRAGMA legacy_alter_table=OFF", NULL,
                     NULL, NULL) != SQLITE_OK)
        wsq_give_up(w); // opened again, it has them
}

static err_t swap(struct warehouse *w, const char *staged, struct buf *statements,
                  struct err *e)
{
    TRY(wsq_table_no_view(w, w->table, e));
    TRY(keep_statements(w, statements, e));
    TRY(wsq_indexes_check(w, w->table, e)); // while the old ones are still there
    TRY(wsq_exec(w, e, "dropping the old table", "DROP TABLE IF EXISTS main.\"%w\"",
                 w->table));
    TRY(wsq_indexes_build(w, staged, e));
    TRY(wsq_exec(w, e, "renaming the new table", "ALTER TABLE main.\"%w\" RENAME TO \"%w\"",
                 staged, w->table));
    return run_statements(w, statements, e);
}

err_t wsq_swap(struct warehouse *w, const char *staged, struct err *e)
{
    struct buf statements = { 0 };
    err_t rc = swap(w, staged, &statements, e);
    buf_free(&statements);
    return rc;
}
