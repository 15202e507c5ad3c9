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

// Which columns of the schema the table lacks, which of the table's the schema lacks, and
// whether they stand in the same order. Generated columns fill themselves.
struct difference {
    struct buf missing, extra;
    bool same_order;
};

static err_t compare(struct warehouse *w, sqlite3_stmt *st, struct difference *d,
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

static err_t find_difference(struct warehouse *w, const char *table, struct difference *d,
                             struct err *e)
{
    sqlite3_stmt *st;
    *d = (struct difference){ .same_order = true };
    TRY(wsq_prepare(w, &st, e,
                    "SELECT name FROM pragma_table_xinfo(%Q,'main') WHERE hidden = 0",
                    table));
    err_t rc = compare(w, st, d, e);
    sqlite3_finalize(st);
    return rc;
}

static void difference_free(struct difference *d)
{
    buf_free(&d->missing);
    buf_free(&d->extra);
}

static err_t check_columns(struct warehouse *w, const char *table, struct err *e)
{
    struct difference d;
    err_t rc = find_difference(w, table, &d, e);
    if (rc == ERR_OK && (d.missing.n || d.extra.n))
        rc = err_set(
            e, ERR_INVALID,
            "table %s of %s does not fit the rows:%s%.400s%s%s%.400s. Take another "
            "table, or mode: replace",
            table, w->shown, d.missing.n ? " it has no column " : "",
            d.missing.n ? (char *)d.missing.p : "", d.missing.n && d.extra.n ? ";" : "",
            d.extra.n ? " the rows have no column " : "",
            d.extra.n ? (char *)d.extra.p : "");
    difference_free(&d);
    return rc;
}

static err_t create(struct warehouse *w, const char *table, struct err *e)
{
    struct buf sql = { 0 };
    err_t rc = ERR_OK;
    for (uint32_t i = 0; rc == ERR_OK && i < w->schema.n; i++) {
        const struct field *f = &w->schema.f[i];
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
    if (!exists) return create(w, table, e);
    TRY(wsq_table_no_view(w, table, e));
    return check_columns(w, table, e);
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

err_t wsq_table_mark(struct warehouse *w, const char *table, const char *rowid,
                     int64_t first, int64_t last, struct hash128 *mark, struct err *e)
{
    sqlite3_stmt *st;
    struct hash_stream *h = hash_stream_new();
    if (!h) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc =
        wsq_prepare(w, &st, e, "SELECT * FROM main.\"%w\" WHERE %s = ?1", table, rowid);
    if (rc == ERR_OK) rc = hash_row(w, st, first, h, e);
    if (rc == ERR_OK) rc = hash_row(w, st, last, h, e);
    *mark = hash_stream_value(h);
    sqlite3_finalize(st);
    hash_stream_free(&h);
    return rc;
}

// ---- how rows get in

static err_t column_list(const struct schema *s, char **out, struct err *e)
{
    struct buf list = { 0 };
    err_t rc = ERR_OK;
    for (uint32_t i = 0; rc == ERR_OK && i < s->n; i++) {
        char *name = sqlite3_mprintf("%s\"%w\"", i ? "," : "", s->f[i].name);
        rc = name ? buf_printf(&list, e, "%s", name)
                  : err_set(e, ERR_NOMEM, "out of memory");
        sqlite3_free(name);
    }
    if (rc == ERR_OK)
        *out = (char *)list.p;
    else
        buf_free(&list);
    return rc;
}

static err_t make_statements(struct warehouse *w, bool same_order, struct err *e)
{
    char *columns = NULL;
    struct buf marks = { 0 };
    err_t rc = column_list(&w->schema, &columns, e);
    for (uint32_t i = 0; rc == ERR_OK && i < w->schema.n; i++)
        rc = buf_printf(&marks, e, "%s?%u", i ? "," : "", i + 1);
    if (rc == ERR_OK) {
        // OR ABORT: a table may say that it silently ignores or replaces rows. Not with us.
        w->insert =
            same_order
                ? sqlite3_mprintf("INSERT OR ABORT INTO main.\"%w\" SELECT * FROM ",
                                  w->target)
                : sqlite3_mprintf("INSERT OR ABORT INTO main.\"%w\"(%s) SELECT %s FROM ",
                                  w->target, columns, columns);
        w->insert_row = sqlite3_mprintf("INSERT OR ABORT INTO main.\"%w\"(%s) VALUES(%s)",
                                        w->target, columns, marks.p);
        if (!w->insert || !w->insert_row) rc = err_set(e, ERR_NOMEM, "out of memory");
    }
    free(columns);
    buf_free(&marks);
    return rc;
}

// Whether the program for INSERT ... SELECT copies records as they are, in every case.
static err_t copies_records(struct warehouse *w, bool *fast, struct err *e)
{
    sqlite3_stmt *st;
    bool row, copies = false, decodes = false;
    TRY(wsq_prepare(w, &st, e, "EXPLAIN %sc0.t", w->insert));
    err_t rc;
    while ((rc = wsq_step(w, st, &row, e, "planning the load")) == ERR_OK && row) {
        const char *opcode = (const char *)sqlite3_column_text(st, 1);
        if (!opcode) continue;
        copies |= strcmp(opcode, "RowData") == 0 || strcmp(opcode, "RowCell") == 0;
        decodes |= strcmp(opcode, "Column") == 0;
    }
    sqlite3_finalize(st);
    *fast = copies && !decodes;
    return rc;
}

static err_t say_why_slow(struct warehouse *w, bool same_order, struct err *e)
{
    static const struct {
        const char *why, *sql;
    } causes[] = {
        { "it has a trigger", "SELECT 1 FROM main.sqlite_schema WHERE type = 'trigger' "
                              "AND tbl_name = %Q COLLATE NOCASE" },
        { "it has an index, a UNIQUE or a PRIMARY KEY (create indexes after the load)",
          "SELECT 1 FROM pragma_index_list(%Q,'main')" },
        { "it has a PRIMARY KEY",
          "SELECT 1 FROM pragma_table_info(%Q,'main') WHERE pk > 0" },
    };
    const char *why = same_order
                          ? "its columns are declared in another way (type, NOT NULL, "
                            "DEFAULT, COLLATE, CHECK, STRICT)"
                          : "its columns stand in another order";
    bool found = false;
    int64_t n;
    for (size_t i = 0; i < sizeof causes / sizeof causes[0] && !found; i++) {
        TRY(wsq_int(w, e, &n, &found, causes[i].sql, w->target));
        if (found) why = causes[i].why;
    }
    char text[512];
    snprintf(text, sizeof text, "rows go into %s one by one, two to four times slower: %s",
             w->table, why);
    if (w->say) w->say(w->say_arg, text);
    return ERR_OK;
}

err_t wsq_table_plan(struct warehouse *w, struct err *e)
{
    struct difference d;
    err_t rc = find_difference(w, w->target, &d, e);
    bool same_order = d.same_order;
    difference_free(&d);
    TRY(rc);
    TRY(make_statements(w, same_order, e));
    TRY(wsq_table_rowid(w, w->target, &w->rowid, e));
    TRY(copies_records(w, &w->fast, e));
    return w->fast ? ERR_OK : say_why_slow(w, same_order, e);
}
