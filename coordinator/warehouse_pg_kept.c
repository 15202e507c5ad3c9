// Which tables a replaced one may give its place to. What CREATE TABLE and the statements
// of warehouse_pg_swap.c do not make again would be lost with the old table: such a one
// stays, and its rows are exchanged.

#include "coordinator/warehouse_pg.h"

#include <stdio.h>
#include <stdlib.h>

// A view would stop DROP TABLE in any case, but that the new rows do not fit then is to be
// said in time.
static const char KEPT[] =
    "SELECT what, relkind = 'p' FROM pg_class c CROSS JOIN LATERAL (VALUES "
    "(1, relkind <> 'r' OR EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhrelid, "
    "inhparent)), 'partitions, a parent or children'), "
    "(2, EXISTS (SELECT FROM pg_depend d JOIN pg_rewrite r ON classid = "
    "'pg_rewrite'::regclass AND objid = r.oid WHERE refclassid = 'pg_class'::regclass AND "
    "refobjid = c.oid), 'a view or a rule on it'), "
    "(3, relrowsecurity OR relforcerowsecurity OR EXISTS (SELECT FROM pg_policy WHERE "
    "polrelid = c.oid), 'row level security'), "
    "(4, relowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user), 'another "
    "owner'), "
    "(5, relnamespace <> (SELECT oid FROM pg_namespace WHERE nspname = current_schema()), "
    "'another schema than new tables'), "
    "(6, EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT "
    "attisdropped AND (attidentity <> '' OR attgenerated <> '')) OR EXISTS (SELECT FROM "
    "pg_depend JOIN pg_class s ON s.oid = objid AND s.relkind = 'S' WHERE classid = "
    "'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = c.oid), "
    "'a column that fills itself'), "
    "(7, EXISTS (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = atttypid WHERE "
    "attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND (attacl IS NOT NULL OR "
    "attoptions IS NOT NULL OR attcollation <> typcollation OR attstorage <> typstorage OR "
    "coalesce(attstattarget, -1) <> -1 OR coalesce(to_jsonb(a)->>'attcompression', '') <> "
    "'')), 'a column with grants, a collation or settings of its own'), "
    "(8, relpersistence <> 'p' OR reltablespace <> 0 OR reloptions IS NOT NULL OR "
    "relreplident <> 'd' OR reloftype <> 0 OR relam <> (SELECT oid FROM pg_am WHERE amname "
    "= current_setting('default_table_access_method')) OR EXISTS (SELECT FROM pg_class t "
    "WHERE t.oid = c.reltoastrelid AND t.reloptions IS NOT NULL), 'settings of its own'), "
    "(9, EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = indexrelid WHERE "
    "indrelid = c.oid AND (indisclustered OR indisreplident OR x.reltablespace <> 0 OR "
    "x.reloptions IS NOT NULL)), 'an index with settings of its own'), "
    "(10, EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal AND "
    "tgenabled <> 'O'), 'a trigger with settings of its own'), "
    "(11, EXISTS (SELECT FROM pg_statistic_ext WHERE stxrelid = c.oid), 'extended "
    "statistics'), "
    "(12, EXISTS (SELECT FROM pg_publication_rel WHERE prrelid = c.oid), 'a publication'), "
    "(13, EXISTS (SELECT FROM pg_description WHERE (classoid, objoid) IN (SELECT "
    "'pg_class'::regclass, c.oid UNION ALL SELECT 'pg_class'::regclass, indexrelid FROM "
    "pg_index WHERE indrelid = c.oid UNION ALL SELECT 'pg_constraint'::regclass, oid FROM "
    "pg_constraint WHERE conrelid = c.oid UNION ALL SELECT 'pg_trigger'::regclass, oid "
    "FROM pg_trigger WHERE tgrelid = c.oid)) OR EXISTS (SELECT FROM pg_seclabel WHERE "
    "classoid = 'pg_class'::regclass AND objoid = c.oid), 'comments or labels')"
    ") v(n, has, what) WHERE c.oid = to_regclass(quote_ident($1)) AND has ORDER BY n LIMIT "
    "1";

// A foreign key of the table to itself is made again, or holds for its new rows alone.
static const char REFERENCES[] =
    "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE confrelid = "
    "to_regclass(quote_ident($1)) AND contype = 'f' AND conrelid <> confrelid ORDER BY 1, "
    "2 LIMIT 1";

static err_t check_references(struct warehouse *w, struct err *e)
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

static err_t find_kept(struct warehouse *w, struct wpg_kept *out, struct err *e)
{
    PGresult *r;
    const char *const values[] = { w->table };
    TRY(wpg_query(w, &r, e, "looking at the old table", KEPT, 1, values));
    if (PQntuples(r)) {
        snprintf(out->what, sizeof out->what, "%s", PQgetvalue(r, 0, 0));
        out->partitioned = *PQgetvalue(r, 0, 1) == 't';
    }
    PQclear(r);
    return ERR_OK;
}

// ---- exchanging

struct exchange {
    struct warehouse *w;
    const struct wpg_kept *kept;
    const char *only; // children are tables of their own, partitions are not
    char *table, *staged, *columns;
};

static err_t prepare(struct exchange *x, const char *staged, struct err *e)
{
    x->only = x->kept->partitioned ? "" : "ONLY ";
    x->table = pg_quoted(x->w->table);
    x->staged = pg_quoted(staged);
    if (!x->table || !x->staged) return err_set(e, ERR_NOMEM, "out of memory");
    return wpg_columns_text(&x->w->schema, NULL, &x->columns, e);
}

static void release(struct exchange *x)
{
    free(x->table);
    free(x->staged);
    free(x->columns);
}

static err_t refused(const struct exchange *x, struct err *e)
{
    return err_wrap(e, ERR_INVALID,
                    "%s can't be replaced: it has %s, so it stays and its rows are "
                    "exchanged, which it refuses",
                    x->w->place, x->kept->what);
}

// What the server says of the statement, without a place in it: nobody wrote it.
static err_t run(const struct exchange *x, const char *sql, struct err *e)
{
    struct warehouse *w = x->w;
    if (!w->pg) return err_set(e, ERR_BUSY, "%s: the connection is lost", w->shown);
    PGresult *r = PQexec(w->pg->c, sql);
    ExecStatusType is = PQresultStatus(r);
    err_t rc = is == PGRES_COMMAND_OK || is == PGRES_TUPLES_OK ? ERR_OK
                                                               : pg_fail(w->pg, r, NULL, e);
    PQclear(r);
    if (rc == ERR_DB) return refused(x, e);
    return rc == ERR_OK ? ERR_OK : wpg_fail(w, rc, e, "exchanging the rows");
}

static err_t delete_and_insert(const struct exchange *x, const char *how, struct err *e)
{
    struct buf sql = { 0 };
    err_t rc = buf_printf(&sql, e, "%sDELETE FROM %s%s", how, x->only, x->table);
    if (rc == ERR_OK) rc = run(x, (char *)sql.p, e);
    sql.n = 0;
    if (rc == ERR_OK)
        rc = buf_printf(&sql, e, "%sINSERT INTO %s(%s) SELECT %s FROM %s", how, x->table,
                        x->columns, x->columns, x->staged);
    if (rc == ERR_OK) rc = run(x, (char *)sql.p, e);
    buf_free(&sql);
    return rc;
}

// Triggers and rules may have their own mind about what is deleted and inserted.
static err_t compare(const struct exchange *x, struct err *e)
{
    struct buf sql = { 0 };
    int64_t n;
    bool differ;
    TRY(buf_printf(
        &sql, e, "SELECT 1 WHERE (SELECT count(*) FROM %s%s) <> (SELECT count(*) FROM %s)",
        x->only, x->table, x->staged));
    err_t rc = wpg_int(x->w, e, &n, &differ, (char *)sql.p, 0, NULL);
    buf_free(&sql);
    if (rc != ERR_OK || !differ) return rc;
    err_set(e, ERR_INVALID, "a trigger or a rule changes which rows are in it");
    return refused(x, e);
}

err_t wpg_kept_exchange(struct warehouse *w, const struct wpg_kept *kept,
                        const char *staged, struct err *e)
{
    struct exchange x = { .w = w, .kept = kept };
    err_t rc = prepare(&x, staged, e);
    if (rc == ERR_OK) rc = delete_and_insert(&x, "", e);
    if (rc == ERR_OK) rc = compare(&x, e);
    if (rc == ERR_OK)
        rc = wpg_do(w, e, "dropping the staged table", "DROP TABLE %s", x.staged);
    release(&x);
    return rc == ERR_OK ? wpg_indexes_build(w, w->table, e) : rc;
}

// ---- checked

// Those would all be NULL, and nobody would be told.
static err_t check_lacking(const struct exchange *x, const char *staged, struct err *e)
{
    struct warehouse *w = x->w;
    PGresult *r;
    const char *const values[] = { w->table, staged };
    TRY(wpg_query(w, &r, e, "comparing the columns",
                  "SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute o "
                  "WHERE attrelid = to_regclass(quote_ident($1)) AND attnum > 0 AND NOT "
                  "attisdropped AND NOT atthasdef AND attidentity = '' AND NOT EXISTS "
                  "(SELECT FROM pg_attribute WHERE attrelid = to_regclass(quote_ident($2)) "
                  "AND attnum > 0 AND attname = o.attname)",
                  2, values));
    const char *lacking = wpg_cell(r, 0, 0);
    err_t rc = ERR_OK;
    if (lacking) {
        err_set(e, ERR_INVALID, "the new rows have no column %.300s", lacking);
        rc = refused(x, e);
    }
    PQclear(r);
    return rc;
}

static err_t explain(struct warehouse *w, const struct wpg_kept *kept, const char *staged,
                     struct err *e)
{
    struct exchange x = { .w = w, .kept = kept };
    err_t rc = prepare(&x, staged, e);
    if (rc == ERR_OK) rc = delete_and_insert(&x, "EXPLAIN ", e);
    if (rc == ERR_OK) rc = check_lacking(&x, staged, e);
    release(&x);
    return rc;
}

err_t wpg_kept_find(struct warehouse *w, const char *staged, struct wpg_kept *out,
                    struct err *e)
{
    *out = (struct wpg_kept){ 0 };
    TRY(check_references(w, e));
    TRY(find_kept(w, out, e));
    if (!out->what[0]) return ERR_OK;
    TRY(wpg_rows_visible(w, w->table, e));
    return staged ? explain(w, out, staged, e) : ERR_OK;
}
