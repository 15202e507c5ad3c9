// The end of MODE_REPLACE: the staged table takes the place of the old one, and gets its
// indexes, constraints, NOT NULL, defaults, triggers and grants. Where something hangs on
// the old table itself, or it has what is not made again, the table stays and its rows are
// exchanged. Readers see all of the old rows or all of the new ones. Where rows of another
// table refer to it, it is not replaced: they would go with the old rows, or keep them from
// going.

#include "coordinator/warehouse_pg.h"

#include "common/crash.h"

#include <stdlib.h>

// What made the old table's indexes and so on, to be said again of the new one ($2). The
// new table has the grants that its schema gives to new tables: they are taken back.
static const char STATEMENTS[] =
    "SELECT n, name, sql FROM ("
    "SELECT 0 AS n, '' AS name, 'ALTER TABLE ' || quote_ident($1) || ' ' || "
    "string_agg('ALTER COLUMN ' || quote_ident(o.attname) || ' SET NOT NULL', ', ') AS sql "
    "FROM pg_attribute o JOIN pg_attribute n ON n.attrelid = to_regclass(quote_ident($2)) "
    "AND n.attname = o.attname WHERE o.attrelid = to_regclass(quote_ident($1)) AND "
    "o.attnum > 0 AND o.attnotnull AND NOT EXISTS (SELECT FROM pg_constraint WHERE "
    "conrelid = o.attrelid AND contype = 'p' AND o.attnum = ANY(conkey)) HAVING count(*) > "
    "0 "
    "UNION ALL SELECT 0, o.attname, 'ALTER TABLE ' || quote_ident($1) || ' ALTER COLUMN ' "
    "|| quote_ident(o.attname) || ' SET DEFAULT ' || pg_get_expr(adbin, adrelid) FROM "
    "pg_attrdef JOIN pg_attribute o ON o.attrelid = adrelid AND o.attnum = adnum JOIN "
    "pg_attribute n ON n.attrelid = to_regclass(quote_ident($2)) AND n.attname = o.attname "
    "WHERE adrelid = to_regclass(quote_ident($1)) "
    "UNION ALL SELECT 1, c.relname, pg_get_indexdef(indexrelid) "
    "FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = "
    "to_regclass(quote_ident($1)) AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE "
    "conindid = indexrelid AND contype IN ('p','u','x')) "
    "UNION ALL SELECT CASE contype WHEN 'f' THEN 3 ELSE 2 END, conname, 'ALTER TABLE ' || "
    "quote_ident($1) || ' ADD CONSTRAINT ' || quote_ident(conname) || ' ' || "
    "pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = "
    "to_regclass(quote_ident($1)) AND contype IN ('p','u','x','c','f') "
    "UNION ALL SELECT 4, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = "
    "to_regclass(quote_ident($1)) AND NOT tgisinternal "
    "UNION ALL SELECT CASE WHEN relname = $1 THEN 6 ELSE 5 END, '', CASE WHEN relname = $1 "
    "THEN 'GRANT ' ELSE 'REVOKE ' END || privilege_type || ' ON TABLE ' || quote_ident($1) "
    "|| CASE WHEN relname = $1 THEN ' TO ' ELSE ' FROM ' END || CASE grantee WHEN 0 THEN "
    "'PUBLIC' ELSE grantee::regrole::text END || CASE WHEN is_grantable AND relname = $1 "
    "THEN ' WITH GRANT OPTION' ELSE '' END FROM pg_class, aclexplode(relacl) WHERE oid IN "
    "(to_regclass(quote_ident($1)), to_regclass(quote_ident($2))) AND grantee <> relowner"
    ") x ORDER BY n, name";

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

static err_t take_place(struct warehouse *w, const char *name, const char *table,
                        const char *staged, struct err *e)
{
    PGresult *statements;
    const char *const values[] = { w->table, name };
    TRY(wpg_query(w, &statements, e, "reading what the old table has", STATEMENTS, 2,
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

static err_t swap_with(struct warehouse *w, const char *name, const char *table,
                       const char *staged, struct err *e)
{
    struct wpg_kept kept;
    TRY(wpg_do(w, e, "locking the old table",
               "LOCK TABLE %s IN ACCESS EXCLUSIVE MODE; SAVEPOINT swap", table));
    TRY(wpg_kept_find(w, name, &kept, e)); // from now on no more can be added
    if (kept.what[0]) return wpg_kept_exchange(w, &kept, name, e);
    err_t rc = take_place(w, name, table, staged, e);
    if (rc != ERR_DB || !w->pg || strcmp(w->pg->state, "2BP01") != 0) return rc;
    TRY(wpg_do(w, e, "exchanging the rows", "ROLLBACK TO swap"));
    strcpy(kept.what, "something that hangs on it");
    return wpg_kept_exchange(w, &kept, name, e);
}

static err_t find_old(struct warehouse *w, bool *there, struct err *e)
{
    enum wpg_there what;
    TRY(wpg_table_find(w, w->table, &what, e));
    *there = what == WPG_TABLE;
    if (what != WPG_OTHER) return ERR_OK;
    return err_set(e, ERR_INVALID, "%s is no table: rows go into tables only", w->place);
}

err_t wpg_swap_check(struct warehouse *w, struct err *e)
{
    struct wpg_kept kept;
    bool there;
    TRY(find_old(w, &there, e));
    return there ? wpg_kept_find(w, w->merge ? NULL : w->target, &kept, e) : ERR_OK;
}

err_t wpg_swap(struct warehouse *w, const char *name, struct err *e)
{
    bool there;
    TRY(find_old(w, &there, e));
    char *table = pg_quoted(w->table), *staged = pg_quoted(name);
    err_t rc = table && staged ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK && there) rc = swap_with(w, name, table, staged, e);
    if (rc == ERR_OK && !there) {
        rc = wpg_do(w, e, "renaming the new table", "ALTER TABLE %s RENAME TO %s", staged,
                    table);
        if (rc == ERR_OK) rc = wpg_indexes_build(w, w->table, e);
    }
    free(table);
    free(staged);
    return rc;
}
