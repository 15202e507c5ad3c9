// The end of MODE_REPLACE: the staged table takes the place, the indexes, the constraints,
// the triggers and the grants of the old one. Where something hangs on the old table itself
// (a view), the table stays and its rows are exchanged. Readers see all of the old rows or
// all of the new ones. Where rows of another table refer to it, it is not replaced: they
// would go with the old rows, or keep them from going.

#include "coordinator/warehouse_pg.h"

#include "common/crash.h"

#include <stdlib.h>

// What made the old table's indexes and so on, to be said again of the new one.
static const char STATEMENTS[] =
    "SELECT n, name, sql FROM (SELECT 1 AS n, c.relname AS name, "
    "pg_get_indexdef(indexrelid) AS sql "
    "FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = "
    "to_regclass(quote_ident($1)) AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE "
    "conindid "
    "= indexrelid AND contype IN ('p','u','x')) "
    "UNION ALL SELECT CASE contype WHEN 'f' THEN 3 ELSE 2 END, conname, 'ALTER TABLE ' || "
    "quote_ident($1) || ' ADD CONSTRAINT ' || quote_ident(conname) || ' ' || "
    "pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = "
    "to_regclass(quote_ident($1)) AND contype IN ('p','u','x','c','f') "
    "UNION ALL SELECT 4, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = "
    "to_regclass(quote_ident($1)) AND NOT tgisinternal "
    "UNION ALL SELECT 5, '', 'GRANT ' || privilege_type || ' ON TABLE ' || quote_ident($1) "
    "|| ' TO ' || CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END || "
    "CASE "
    "WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END FROM pg_class, "
    "aclexplode(relacl) WHERE oid = to_regclass(quote_ident($1)) AND grantee <> relowner"
    ") x ORDER BY n, name";

// A foreign key of the table to itself is made again, or holds for its new rows alone.
static const char REFERENCES[] =
    "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE confrelid = "
    "to_regclass(quote_ident($1)) AND contype = 'f' AND conrelid <> confrelid ORDER BY 1, "
    "2 LIMIT 1";

err_t wpg_swap_check(struct warehouse *w, struct err *e)
{
    PGresult *r;
    const char *const values[] = { w->table };
    TRY(wpg_query(w, &r, e, "looking for foreign keys", REFERENCES, 1, values));
    err_t rc = ERR_OK;
    if (PQntuples(r))
        rc = err_set(e, ERR_INVALID,
                     "%s can't be replaced: %s has a foreign key on it (%s), and its rows "
                     "would lose those they refer to. Drop that constraint and make it "
                     "again later, or take mode: upsert",
                     w->place, PQgetvalue(r, 0, 0), PQgetvalue(r, 0, 1));
    PQclear(r);
    return rc;
}

static err_t run_statement(struct warehouse *w, const PGresult *statements, int i,
                           struct err *e)
{
    const char *name = PQgetvalue(statements, i, 1), *sql = PQgetvalue(statements, i, 2);
    int64_t n;
    bool built = false;
    if (*PQgetvalue(statements, i, 0) == '1') // among load.indexes
        TRY(wpg_int(w, e, &n, &built,
                    "SELECT 1 WHERE to_regclass(quote_ident($1)) IS NOT NULL", 1, &name));
    if (built) return ERR_OK;
    err_t rc = pg_do(w->pg, sql, e);
    if (rc != ERR_DB)
        return rc == ERR_OK ? ERR_OK
                            : wpg_fail(w, rc, e, "building what the old table has");
    struct err why = e ? *e : (struct err){ 0 };
    return err_set(e, ERR_INVALID,
                   "the new %s can't have what the old one has (%.300s): %.300s. Drop "
                   "that and run the same command again",
                   w->table, sql, why.text);
}

static err_t take_place(struct warehouse *w, const char *table, const char *staged,
                        struct err *e)
{
    PGresult *statements;
    const char *const values[] = { w->table };
    TRY(wpg_query(w, &statements, e, "reading what the old table has", STATEMENTS, 1,
                  values));
    err_t rc = wpg_do(w, e, "dropping the old table", "DROP TABLE %s", table);
    if (rc == ERR_OK)
        rc = wpg_do(w, e, "renaming the new table", "ALTER TABLE %s RENAME TO %s", staged,
                    table);
    if (rc == ERR_OK) rc = wpg_indexes_build(w, w->table, e);
    for (int i = 0; rc == ERR_OK && i < PQntuples(statements); i++)
        rc = run_statement(w, statements, i, e);
    PQclear(statements);
    return rc;
}

static err_t exchange_rows(struct warehouse *w, const char *table, const char *staged,
                           struct err *e)
{
    err_t rc = wpg_do(w, e, "exchanging the rows",
                      "DELETE FROM %s; INSERT INTO %s(%s) SELECT %s FROM %s", table, table,
                      w->columns, w->columns, staged);
    if (rc == ERR_DB && w->pg && pg_blames_statement(w->pg))
        return err_wrap(e, ERR_INVALID,
                        "%s can't be replaced: something hangs on it, and the new rows "
                        "have other columns",
                        w->place);
    TRY(rc);
    TRY(wpg_do(w, e, "dropping the staged table", "DROP TABLE %s", staged));
    return wpg_indexes_build(w, w->table, e);
}

static err_t swap_with(struct warehouse *w, const char *table, const char *staged,
                       struct err *e)
{
    TRY(wpg_do(w, e, "locking the old table",
               "LOCK TABLE %s IN ACCESS EXCLUSIVE MODE; SAVEPOINT swap", table));
    TRY(wpg_swap_check(w, e)); // from now on no other can be added
    err_t rc = take_place(w, table, staged, e);
    if (rc != ERR_DB || !w->pg || strcmp(w->pg->state, "2BP01") != 0) return rc;
    TRY(wpg_do(w, e, "exchanging the rows", "ROLLBACK TO swap"));
    return exchange_rows(w, table, staged, e);
}

err_t wpg_swap(struct warehouse *w, const char *name, struct err *e)
{
    enum wpg_there there;
    TRY(wpg_table_find(w, w->table, &there, e));
    if (there == WPG_OTHER)
        return err_set(e, ERR_INVALID, "%s is no table: rows go into tables only",
                       w->place);
    char *table = pg_quoted(w->table), *staged = pg_quoted(name);
    err_t rc = table && staged ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK && there == WPG_TABLE) rc = swap_with(w, table, staged, e);
    if (rc == ERR_OK && there == WPG_NOTHING) {
        rc = wpg_do(w, e, "renaming the new table", "ALTER TABLE %s RENAME TO %s", staged,
                    table);
        if (rc == ERR_OK) rc = wpg_indexes_build(w, w->table, e);
    }
    free(table);
    free(staged);
    return rc;
}
