// The user's table: made, compared with the rows to come, planned for.

#include "coordinator/warehouse_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

err_t wsq_table_check_name(const char *table, struct err *e)
{
    if (!*table) return err_set(e, ERR_INVALID, "the table has no name");
    if (strncasecmp(table, "sqlite_", 7) == 0)
        return err_set(e, ERR_INVALID, "table %s: names with sqlite_ belong to SQLite",
                       table);
    if (strncasecmp(table, "tranche_", 8) == 0)
        return err_set(e, ERR_INVALID,
                       "table %s: names with tranche_ belong to the ledger, take another",
                       table);
    if (strlen(table) > 512) return err_set(e, ERR_INVALID, "the table's name is too long");
    return ERR_OK;
}

err_t wsq_table_exists(struct warehouse *w, const char *table, bool *exists, struct err *e)
{
    int64_t n;
    return wsq_int(w, e, &n, exists,
                   "SELECT 1 FROM main.sqlite_schema WHERE type IN ('table','view') "
                   "AND name = %Q COLLATE NOCASE",
                   table);
}

err_t wsq_table_no_view(struct warehouse *w, const char *table, struct err *e)
{
    int64_t n;
    bool view, virtual;
    TRY(wsq_int(w, e, &n, &view,
                "SELECT 1 FROM main.sqlite_schema WHERE type = 'view' "
                "AND name = %Q COLLATE NOCASE",
                table));
    if (view)
        return err_set(e, ERR_INVALID, "%s of %s is a view: rows go into tables only",
                       table, w->shown);
    TRY(wsq_int(w, e, &n, &virtual,
                "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' "
                "AND name = %Q COLLATE NOCASE AND sql LIKE 'CREATE VIRTUAL%%'",
                table));
    if (virtual)
        return err_set(e, ERR_INVALID,
                       "%s of %s is a virtual table: rows go into tables only", table,
                       w->shown);
    return ERR_OK;
}

// ---- columns

static err_t add_column(struct buf *list, const char *name, struct err *e)
{
    return buf_printf(list, e, "%s%s", list->n ? ", " : "", name);
}

static err_t compare(struct warehouse *w, sqlite3_stmt *st, struct wsq_difference *d,
                     struct err *e)
{
    bool row, found[SCHEMA_MAX_COLUMNS] = { false };
    uint32_t i = 0;
    d->same_order = true;
    for (;;) {
        TRY(wsq_step(w, st, &row, e, "reading the table's columns"));
        if (!row) break;
        const char *name = (const char *)sqlite3_column_text(st, 0);
        if (!name) return err_set(e, ERR_NOMEM, "out of memory");
        int at = schema_find(&w->schema, name);
        if (at < 0) TRY(add_column(&d->extra, name, e));
        if (at >= 0) found[at] = true;
        d->same_order &= at == (int)i++;
    }
    for (uint32_t k = 0; k < w->schema.n; k++)
        if (!found[k]) TRY(add_column(&d->missing, w->schema.f[k].name, e));
    return ERR_OK;
}

err_t wsq_difference(struct warehouse *w, const char *table, struct wsq_difference *d,
                     struct err *e)
{
    sqlite3_stmt *st;
    *d = (struct wsq_difference){ .same_order = true };
    TRY(wsq_prepare(w, &st, e,
                    "SELECT name FROM pragma_table_xinfo(%Q,'main') WHERE hidden = 0",
                    table));
    err_t rc = compare(w, st, d, e);
    sqlite3_finalize(st);
    return rc;
}

void wsq_difference_free(struct wsq_difference *d)
{
    buf_free(&d->missing);
    buf_free(&d->extra);
}

static err_t check_columns(struct warehouse *w, const char *table, struct err *e)
{
    struct wsq_difference d;
    err_t rc = wsq_difference(w, table, &d, e);
    if (rc == ERR_OK && (d.missing.n || d.extra.n))
        rc = err_set(
            e, ERR_INVALID,
            "table %s of %s does not fit the rows:%s%.400s%s%s%.400s. Take another "
            "table, or mode: replace",
            table, w->shown, d.missing.n ? " it has no column " : "",
            d.missing.n ? (char *)d.missing.p : "", d.missing.n && d.extra.n ? ";" : "",
            d.extra.n ? " the rows have no column " : "",
            d.extra.n ? (char *)d.extra.p : "");
    wsq_difference_free(&d);
    return rc;
}

err_t wsq_table_create(struct warehouse *w, const char *table, const struct schema *s,
                       struct err *e)
{
    struct buf sql = { 0 };
    err_t rc = ERR_OK;
    for (uint32_t i = 0; rc == ERR_OK && i < s->n; i++) {
        const struct field *f = &s->f[i];
        char *column = sqlite3_mprintf("%s\"%w\"%s%s", i ? "," : "", f->name,
                                       *type_sqlite_decl(f->type) ? " " : "",
                                       type_sqlite_decl(f->type));
        rc = column ? buf_printf(&sql, e, "%s", column)
                    : err_set(e, ERR_NOMEM, "out of memory");
        sqlite3_free(column);
    }
    if (rc == ERR_OK)
        rc = wsq_exec(w, e, "creating the table", "CREATE TABLE main.\"%w\"(%s)", table,
                      sql.p);
    buf_free(&sql);
    return rc;
}

err_t wsq_table_ensure(struct warehouse *w, const char *table, struct err *e)
{
    bool exists;
    TRY(wsq_table_exists(w, table, &exists, e));
    if (!exists) {
        TRY(wsq_table_create(w, table, &w->schema, e));
    } else {
        TRY(wsq_table_no_view(w, table, e));
        TRY(check_columns(w, table, e));
    }
    return wsq_key_ensure(w, !exists, e);
}

err_t wsq_rejects_ensure(struct warehouse *w, struct err *e)
{
    TRY(wsq_exec(
        w, e, "creating the table of rejects",
        "CREATE TABLE IF NOT EXISTS main.\"%w\"(run INTEGER, file TEXT, line INTEGER,"
        "byte_offset INTEGER, \"column\" TEXT, reason TEXT, raw BLOB)",
        w->rejects));
    int64_t n;
    bool found;
    TRY(wsq_int(w, e, &n, &found,
                "SELECT count(*) FROM pragma_table_info(%Q,'main') WHERE name IN "
                "('run','file','line','byte_offset','column','reason','raw')",
                w->rejects));
    if (n != 7)
        return err_set(e, ERR_INVALID,
                       "table %s of %s is not a table of rejects: rename it, or load into "
                       "another table",
                       w->rejects, w->shown);
    return ERR_OK;
}

// ---- rowids

// A column may be called rowid, and hides it then.
static err_t free_rowid_name(struct warehouse *w, const char *table, const char **name,
                             struct err *e)
{
    static const char *const names[] = { "rowid", "_rowid_", "oid" };
    int64_t n;
    bool taken;
    *name = NULL;
    for (unsigned i = 0; i < 3 && !*name; i++) {
        TRY(wsq_int(
            w, e, &n, &taken,
            "SELECT 1 FROM pragma_table_xinfo(%Q,'main') WHERE name = %Q COLLATE NOCASE",
            table, names[i]));
        if (!taken) *name = names[i];
    }
    return ERR_OK;
}

err_t wsq_table_rowid(struct warehouse *w, const char *table, const char **name,
                      struct err *e)
{
    int64_t n;
    bool own;
    *name = NULL;
    // WITHOUT ROWID, or an INTEGER PRIMARY KEY, which is the rowid and has no index.
    TRY(wsq_int(
        w, e, &n, &own,
        "SELECT 1 FROM pragma_table_list(%Q) WHERE schema = 'main' AND wr = 1 "
        "UNION ALL SELECT 1 FROM pragma_table_info(%Q,'main') WHERE pk > 0 "
        "AND NOT EXISTS(SELECT 1 FROM pragma_index_list(%Q,'main') WHERE origin = 'pk')",
        table, table, table));
    return own ? ERR_OK : free_rowid_name(w, table, name, e);
}

static err_t hash_row(struct warehouse *w, sqlite3_stmt *st, int64_t rowid,
                      struct hash_stream *h, struct err *e)
{
    bool row;
    TRY(wsq_bind(w, st, e, "i", rowid));
    TRY(wsq_step(w, st, &row, e, "reading a row"));
    for (int i = 0; row && i < sqlite3_column_count(st); i++) {
        int type = sqlite3_column_type(st, i);
        hash_stream_add(h, &type, sizeof type);
        if (type == SQLITE_INTEGER) {
            int64_t v = sqlite3_column_int64(st, i);
            hash_stream_add(h, &v, sizeof v);
        } else if (type == SQLITE_FLOAT) {
            double v = sqlite3_column_double(st, i);
            hash_stream_add(h, &v, sizeof v);
        } else if (type != SQLITE_NULL) {
            const void *p = sqlite3_column_blob(st, i);
            int n = sqlite3_column_bytes(st, i);
            hash_stream_add(h, &n, sizeof n);
            hash_stream_add(h, p ? p : "", (size_t)n);
        }
    }
    sqlite3_reset(st);
    return ERR_OK;
}

static err_t mark_rows(struct warehouse *w, sqlite3_stmt *st, int64_t first, int64_t last,
                       struct hash128 *mark, struct err *e)
{
    struct hash_stream *h = hash_stream_new();
    if (!h) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = hash_row(w, st, first, h, e);
    if (rc == ERR_OK) rc = hash_row(w, st, last, h, e);
    *mark = hash_stream_value(h);
    hash_stream_free(&h);
    return rc;
}

err_t wsq_table_mark(struct warehouse *w, const char *table, const char *rowid,
                     int64_t first, int64_t last, struct hash128 *mark, struct err *e)
{
    sqlite3_stmt *st;
    TRY(wsq_prepare(w, &st, e, "SELECT * FROM main.\"%w\" WHERE %s = ?1", table, rowid));
    err_t rc = mark_rows(w, st, first, last, mark, e);
    sqlite3_finalize(st);
    return rc;
}

err_t wsq_target_mark(struct warehouse *w, int64_t first, int64_t last,
                      struct wsq_added *added, struct err *e)
{
    sqlite3_stmt *st;
    if (last < first) return ERR_OK;
    added->first = first;
    added->last = last;
    added->marked = true;
    TRY(wsq_cached(w, WSQ_ROW, &st, e));
    return mark_rows(w, st, first, last, &added->mark, e);
}
