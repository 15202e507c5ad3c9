// The user's table: made, compared with the rows to come, and how rows get into it.

#include "coordinator/warehouse_pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define PASSAGE "pg_temp.tranche_rows" // what an upsert's rows go through

err_t wpg_table_find(struct warehouse *w, const char *table, enum wpg_there *there,
                     struct err *e)
{
    PGresult *r;
    TRY(wpg_query(w, &r, e, "looking for the table",
                  "SELECT relkind IN ('r','p') FROM pg_class WHERE oid = "
                  "to_regclass(quote_ident($1))",
                  1, &table));
    *there = PQntuples(r) == 0             ? WPG_NOTHING
             : *PQgetvalue(r, 0, 0) == 't' ? WPG_TABLE
                                           : WPG_OTHER;
    PQclear(r);
    return ERR_OK;
}

static err_t create(struct warehouse *w, const char *kind, const char *table,
                    const struct schema *s, struct err *e)
{
    struct buf sql = { 0 };
    err_t rc = buf_printf(&sql, e, "CREATE %sTABLE ", kind);
    if (rc == ERR_OK) rc = wpg_quote_add(&sql, table, e);
    for (uint32_t i = 0; rc == ERR_OK && i < s->n; i++) {
        rc = buf_printf(&sql, e, i ? "," : "(");
        if (rc == ERR_OK) rc = wpg_quote_add(&sql, s->f[i].name, e);
        if (rc == ERR_OK) rc = buf_printf(&sql, e, " %s", pg_copy_type(s->f[i].type));
    }
    if (rc == ERR_OK) rc = wpg_do(w, e, "creating the table", "%s)", (char *)sql.p);
    buf_free(&sql);
    // A column that is called as one of the server's own (ctid, xmin).
    return rc == ERR_DB && w->pg && pg_blames_statement(w->pg)
               ? err_wrap(e, ERR_INVALID, "table %s", table)
               : rc;
}

err_t wpg_table_create(struct warehouse *w, const char *table, const struct schema *s,
                       struct err *e)
{
    return create(w, "", table, s, e);
}

err_t wpg_temp_create(struct warehouse *w, const char *table, const struct schema *s,
                      struct err *e)
{
    return create(w, "TEMP ", table, s, e);
}

// ---- the one that is there

struct difference {
    struct buf missing, extra, other;
    bool found[SCHEMA_MAX_COLUMNS];
};

static err_t name_column(struct buf *list, const char *name, struct err *e)
{
    return buf_printf(list, e, "%s%s", list->n ? ", " : "", name);
}

// A column of the table, whose name is the one to be used from now on.
static err_t take_column(struct warehouse *w, struct difference *d, const char *name,
                         const char *type, bool fills_itself, struct err *e)
{
    int at = schema_find(&w->schema, name);
    if (at < 0) return fills_itself ? ERR_OK : name_column(&d->extra, name, e);
    d->found[at] = true;
    char *own = strdup(name);
    if (!own) return err_set(e, ERR_NOMEM, "out of memory");
    free(w->schema.f[at].name);
    w->schema.f[at].name = own;
    const char *want = pg_copy_type(w->schema.f[at].type);
    if (strcmp(type, want) == 0) return ERR_OK;
    return buf_printf(&d->other, e, "%s%s is %s there and %s in the rows",
                      d->other.n ? ", " : "", name, type, want);
}

static err_t compare(struct warehouse *w, struct difference *d, struct err *e)
{
    PGresult *r;
    const char *const values[] = { w->target };
    TRY(wpg_query(w, &r, e, "reading the table's columns",
                  "SELECT attname, format_type(atttypid, atttypmod), attgenerated <> '' OR "
                  "attidentity <> '' FROM pg_attribute WHERE attrelid = "
                  "to_regclass(quote_ident($1)) AND attnum > 0 AND NOT attisdropped "
                  "ORDER BY attnum",
                  1, values));
    err_t rc = ERR_OK;
    for (int i = 0; rc == ERR_OK && i < PQntuples(r); i++)
        rc = take_column(w, d, PQgetvalue(r, i, 0), PQgetvalue(r, i, 1),
                         *PQgetvalue(r, i, 2) == 't', e);
    PQclear(r);
    for (uint32_t k = 0; rc == ERR_OK && k < w->schema.n; k++)
        if (!d->found[k]) rc = name_column(&d->missing, w->schema.f[k].name, e);
    return rc;
}

static err_t check_columns(struct warehouse *w, struct err *e)
{
    struct difference d = { 0 };
    err_t rc = compare(w, &d, e);
    if (rc == ERR_OK && (d.missing.n || d.extra.n || d.other.n))
        rc = err_set(e, ERR_INVALID,
                     "%s does not fit the rows:%s%.200s%s%s%.200s%s%s%.300s. Take another "
                     "table, or mode: replace",
                     w->place, d.missing.n ? " it has no column " : "",
                     d.missing.n ? (char *)d.missing.p : "",
                     d.missing.n && d.extra.n ? ";" : "",
                     d.extra.n ? " the rows have no column " : "",
                     d.extra.n ? (char *)d.extra.p : "",
                     (d.missing.n || d.extra.n) && d.other.n ? ";" : "",
                     d.other.n ? " " : "", d.other.n ? (char *)d.other.p : "");
    buf_free(&d.missing);
    buf_free(&d.extra);
    buf_free(&d.other);
    return rc;
}

err_t wpg_rows_visible(struct warehouse *w, const char *table, struct err *e)
{
    int64_t n;
    bool hidden;
    TRY(wpg_int(w, e, &n, &hidden,
                "SELECT 1 WHERE row_security_active(to_regclass(quote_ident($1)))", 1,
                &table));
    if (!hidden) return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "table %s of %s has row level security, which holds for this role too: "
                   "take one with BYPASSRLS",
                   table, w->shown);
}

// Said here, where the server would say it of the first rows. A right to some of the
// columns may be enough.
static err_t check_rights(struct warehouse *w, const char *table, const char *more,
                          struct err *e)
{
    PGresult *r;
    const char *const values[] = { table, more };
    TRY(wpg_query(
        w, &r, e, "looking at the rights",
        "SELECT right_, current_user FROM unnest(ARRAY['INSERT', $2::text]) right_ "
        "WHERE NOT has_any_column_privilege(to_regclass(quote_ident($1)), right_) "
        "LIMIT 1",
        2, values));
    err_t rc = ERR_OK;
    if (PQntuples(r))
        rc = err_set(e, ERR_INVALID,
                     "%s: permission denied for table %s: the role %s may not %s rows "
                     "there (GRANT)",
                     w->shown, table, PQgetvalue(r, 0, 1), PQgetvalue(r, 0, 0));
    PQclear(r);
    TRY(rc);
    return wpg_rows_visible(w, table, e);
}

// CREATE TABLE IF NOT EXISTS asks for the right to make one before it looks.
err_t wpg_table_need(struct warehouse *w, const char *table, const char *columns,
                     const char *doing, struct err *e)
{
    int64_t n;
    bool there;
    TRY(wpg_int(w, e, &n, &there,
                "SELECT 1 WHERE to_regclass(quote_ident(current_schema()) || '.' || "
                "quote_ident($1)) IS NOT NULL",
                1, &table));
    if (there) return ERR_OK;
    char *quoted = pg_quoted(table);
    if (!quoted) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = wpg_do(w, e, doing, "CREATE TABLE %s(%s)", quoted, columns);
    free(quoted);
    return rc;
}

err_t wpg_table_ensure(struct warehouse *w, struct err *e)
{
    enum wpg_there there;
    if (w->aggregates)
        return wpg_table_need(w, w->target, "key bytea, row bytea",
                              "creating the staged table", e);
    TRY(wpg_table_find(w, w->target, &there, e));
    if (there == WPG_OTHER)
        return err_set(e, ERR_INVALID, "%s is no table: rows go into tables only",
                       w->place);
    if (there == WPG_NOTHING)
        TRY(wpg_table_create(w, w->target, &w->schema, e));
    else {
        TRY(check_columns(w, e));
        TRY(check_rights(w, w->target, w->key.n ? "UPDATE" : "INSERT", e));
    }
    return wpg_key_ensure(w, there == WPG_NOTHING, e);
}

err_t wpg_rejects_ensure(struct warehouse *w, struct err *e)
{
    int64_t n;
    bool found;
    TRY(wpg_table_need(w, w->rejects,
                       "run bigint, file text, line bigint, byte_offset bigint, "
                       "\"column\" text, reason text, raw bytea",
                       "creating the table of rejects", e));
    const char *const values[] = { w->rejects };
    TRY(wpg_int(w, e, &n, &found,
                "SELECT count(*) FROM pg_attribute WHERE attrelid = "
                "to_regclass(quote_ident($1)) AND NOT attisdropped AND (attname, "
                "atttypid::regtype::text) IN (('run','bigint'),('file','text'),"
                "('line','bigint'),('byte_offset','bigint'),('column','text'),"
                "('reason','text'),('raw','bytea'))",
                1, values));
    if (n != 7)
        return err_set(e, ERR_INVALID,
                       "table %s of %s is not a table of rejects: rename it, or load into "
                       "another table",
                       w->rejects, w->shown);
    return check_rights(w, w->rejects, "INSERT", e);
}

// ---- statements

static err_t add_set(struct warehouse *w, struct buf *sql, struct err *e)
{
    bool any = false;
    for (uint32_t i = 0; i <= w->schema.n; i++) {
        bool key = i == w->schema.n;
        if (key && any) break; // there is something to set, so it is no key
        uint32_t column = key ? w->key.v[0] : i;
        for (size_t k = 0; k < w->key.n && !key; k++)
            if (w->key.v[k] == i) column = UINT32_MAX;
        if (column == UINT32_MAX) continue;
        TRY(buf_printf(sql, e, "%s", any ? "," : ""));
        TRY(wpg_quote_add(sql, w->schema.f[column].name, e));
        TRY(buf_printf(sql, e, "=EXCLUDED."));
        TRY(wpg_quote_add(sql, w->schema.f[column].name, e));
        any = true;
    }
    return ERR_OK;
}

// The last row of a key stays; of a statement PostgreSQL takes each key only once.
static err_t print_upsert(struct warehouse *w, const char *target, const char *key,
                          struct err *e)
{
    struct buf sql = { 0 };
    err_t rc =
        buf_printf(&sql, e,
                   "WITH d AS MATERIALIZED (SELECT DISTINCT ON (%s) %s FROM " PASSAGE
                   " ORDER BY %s, ctid DESC), i AS (INSERT INTO %s(%s) SELECT %s FROM d "
                   "ON CONFLICT (%s) DO UPDATE SET ",
                   key, w->columns, key, target, w->columns, w->columns, key);
    if (rc == ERR_OK) rc = add_set(w, &sql, e);
    if (rc == ERR_OK)
        rc = buf_printf(&sql, e,
                        " RETURNING xmax = 0 AS fresh) SELECT (SELECT count(*) FROM d), "
                        "count(*), count(*) FILTER (WHERE fresh) FROM i");
    if (rc == ERR_OK)
        w->upsert_sql = (char *)sql.p;
    else
        buf_free(&sql);
    return rc;
}

static err_t print_copy(const char *table, const char *columns, char **out, struct err *e)
{
    if (asprintf(out, "COPY %s(%s) FROM STDIN (FORMAT binary)", table, columns) >= 0)
        return ERR_OK;
    *out = NULL;
    return err_set(e, ERR_NOMEM, "out of memory");
}

err_t wpg_copy_statement(const char *table, const char *columns, char **out, struct err *e)
{
    char *quoted = pg_quoted(table);
    *out = NULL;
    err_t rc = quoted ? print_copy(quoted, columns, out, e)
                      : err_set(e, ERR_NOMEM, "out of memory");
    free(quoted);
    return rc;
}

static err_t print_statements(struct warehouse *w, struct err *e)
{
    char *key = NULL;
    if (!w->key.n)
        return wpg_copy_statement(w->target, w->aggregates ? "key, row" : w->columns,
                                  &w->copy_sql, e);
    TRY(print_copy(PASSAGE, w->columns, &w->copy_sql, e));
    TRY(wpg_columns_text(&w->schema, &w->key, &key, e));
    char *target = pg_quoted(w->target);
    err_t rc =
        target ? print_upsert(w, target, key, e) : err_set(e, ERR_NOMEM, "out of memory");
    free(target);
    free(key);
    return rc;
}

err_t wpg_table_plan(struct warehouse *w, struct err *e)
{
    TRY(wpg_columns_text(&w->schema, NULL, &w->columns, e));
    TRY(print_statements(w, e));
    return wpg_table_settle(w, e);
}

err_t wpg_table_settle(struct warehouse *w, struct err *e)
{
    TRY(wpg_do(w, e, "setting up", "SET application_name = 'tranche load %llu'",
               (unsigned long long)w->load_id));
    if (!w->key.n) return ERR_OK;
    char *target = pg_quoted(w->target);
    if (!target) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = wpg_do(w, e, "making a temporary table",
                      "DROP TABLE IF EXISTS " PASSAGE "; CREATE TEMP TABLE tranche_rows "
                      "ON COMMIT DELETE ROWS AS SELECT %s FROM %s WITH NO DATA",
                      w->columns, target);
    free(target);
    return rc;
}
