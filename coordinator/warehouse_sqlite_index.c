// The key of an upsert, and the indexes that are built at the end of a load.

#include "coordinator/warehouse_sqlite.h"

#include "common/crash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

err_t wsq_columns_text(const struct schema *s, const struct load_columns *c, char **out,
                       struct err *e)
{
    struct buf list = { 0 };
    err_t rc = buf_printf(&list, e, "%s", "");
    for (size_t i = 0; rc == ERR_OK && i < c->n; i++) {
        char *name = sqlite3_mprintf("%s\"%w\"", i ? "," : "", s->f[c->v[i]].name);
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

// ---- the key of an upsert

static err_t make_key(struct warehouse *w, struct err *e)
{
    char *name = NULL, *columns = NULL;
    err_t rc = load_columns_index_name(w->table, &w->schema, &w->key, "key", 0, &name, e);
    if (rc == ERR_OK) rc = wsq_columns_text(&w->schema, &w->key, &columns, e);
    if (rc == ERR_OK)
        rc = wsq_exec(w, e, "creating the index of the key",
                      "CREATE UNIQUE INDEX main.\"%w\" ON \"%w\"(%s)", name, w->target,
                      columns);
    free(name);
    free(columns);
    return rc;
}

// SQLite itself knows best which UNIQUE or PRIMARY KEY an upsert can stand on.
static err_t check_key(struct warehouse *w, const char *columns, struct err *e)
{
    sqlite3_stmt *st = NULL;
    char *name = NULL,
         *sql = sqlite3_mprintf(
             "INSERT INTO main.\"%w\" SELECT * FROM main.\"%w\" WHERE 0 ON CONFLICT(%s) DO "
             "NOTHING",
             w->target, w->target, columns);
    if (!sql) return err_set(e, ERR_NOMEM, "out of memory");
    int rc = sqlite3_prepare_v2(w->db, sql, -1, &st, NULL);
    sqlite3_free(sql);
    sqlite3_finalize(st);
    if (rc == SQLITE_OK) return ERR_OK;
    if (rc != SQLITE_ERROR) return wsq_fail(w, rc, e, "preparing a statement");
    TRY(load_columns_index_name(w->table, &w->schema, &w->key, "key", 0, &name, e));
    err_set(
        e, ERR_INVALID,
        "table %s of %s has no UNIQUE index or PRIMARY KEY on exactly (%.400s), which an "
        "upsert stands on. Make it with: CREATE UNIQUE INDEX \"%.200s\" ON "
        "\"%.200s\"(%.400s)",
        w->table, w->shown, columns, name, w->table, columns);
    free(name);
    return ERR_INVALID;
}

err_t wsq_key_ensure(struct warehouse *w, bool table_is_new, struct err *e)
{
    char *columns = NULL;
    if (w->key.n == 0) return ERR_OK;
    if (table_is_new) return make_key(w, e);
    TRY(wsq_columns_text(&w->schema, &w->key, &columns, e));
    err_t rc = check_key(w, columns, e);
    free(columns);
    return rc;
}

// ---- indexes

// Whether the name is taken: by this very index, or by something else.
static err_t find_index(struct warehouse *w, const char *table, const char *name,
                        const struct load_columns *c, bool *there, struct err *e)
{
    int64_t n;
    bool same;
    TRY(wsq_int(w, e, &n, there,
                "SELECT 1 FROM main.sqlite_schema WHERE name = %Q COLLATE NOCASE", name));
    if (!*there) return ERR_OK;
    TRY(wsq_int(
        w, e, &n, &same,
        "SELECT 1 FROM main.sqlite_schema WHERE name = %Q COLLATE NOCASE AND type = "
        "'index' AND tbl_name = %Q COLLATE NOCASE",
        name, table));
    if (same) {
        TRY(wsq_int(w, e, &n, &same, "SELECT count(*) FROM pragma_index_info(%Q,'main')",
                    name));
        same = n == (int64_t)c->n;
    }
    for (size_t i = 0; i < c->n && same; i++)
        TRY(wsq_int(
            w, e, &n, &same,
            "SELECT 1 FROM pragma_index_info(%Q,'main') WHERE seqno = %d AND name = "
            "%Q COLLATE NOCASE",
            name, (int)i, w->schema.f[c->v[i]].name));
    if (same) return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "load.indexes: %s has something else that is called %.200s: drop or "
                   "rename that and run the same command again",
                   w->shown, name);
}

static err_t build(struct warehouse *w, const char *table, const struct load_columns *c,
                   bool only_check, struct err *e)
{
    char *name = NULL, *columns = NULL;
    bool there = false;
    err_t rc = load_columns_index_name(w->table, &w->schema, c, "idx", 0, &name, e);
    if (rc == ERR_OK) rc = find_index(w, table, name, c, &there, e);
    if (rc == ERR_OK && !there && !only_check) {
        rc = wsq_columns_text(&w->schema, c, &columns, e);
        if (rc == ERR_OK)
            rc = wsq_exec(w, e, "building an index",
                          "CREATE INDEX main.\"%w\" ON \"%w\"(%s)", name, table, columns);
    }
    free(name);
    free(columns);
    return rc;
}

err_t wsq_indexes_check(struct warehouse *w, const char *table, struct err *e)
{
    for (size_t i = 0; i < w->indexes.n; i++)
        TRY(build(w, table, &w->indexes.v[i], true, e));
    return ERR_OK;
}

err_t wsq_indexes_build(struct warehouse *w, const char *table, struct err *e)
{
    for (size_t i = 0; i < w->indexes.n; i++) {
        TRY(build(w, table, &w->indexes.v[i], false, e));
        crash_point("finish-after-index");
    }
    return ERR_OK;
}

// An index is made by sorting all of the table's keys: too many for memory.
err_t wsq_indexes_prepare(struct warehouse *w, struct err *e)
{
    return w->indexes.n ? wsq_exec(w, e, "preparing indexes", "PRAGMA temp_store=FILE")
                        : ERR_OK;
}

void wsq_indexes_done(struct warehouse *w)
{
    if (w->indexes.n && w->db &&
        sqlite3_exec(w->db, "PRAGMA temp_store=MEMORY", NULL, NULL, NULL) != SQLITE_OK)
        wsq_give_up(w); // opened again, it has it
}
