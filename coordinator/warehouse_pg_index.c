// The key of an upsert, and the indexes that are built at the end of a load.

#include "coordinator/warehouse_pg.h"

#include "common/crash.h"
#include "common/hash.h"

#include <stdio.h>
#include <stdlib.h>

static err_t create(struct warehouse *w, const char *kind, const char *name,
                    const char *table, const struct load_columns *c, struct err *e)
{
    char *columns = NULL, *index = pg_quoted(name), *on = pg_quoted(table);
    err_t rc = index && on ? wpg_columns_text(&w->schema, c, &columns, e)
                           : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK)
        rc = wpg_do(w, e, "building an index", "CREATE %sINDEX %s ON %s(%s)", kind, index,
                    on, columns);
    free(columns);
    free(index);
    free(on);
    return rc;
}

// ---- the key of an upsert

// PostgreSQL itself knows best which UNIQUE or PRIMARY KEY an upsert can stand on.
static err_t check_key(struct warehouse *w, const char *name, const char *columns,
                       struct err *e)
{
    char *table = pg_quoted(w->target);
    if (!table) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = wpg_do(w, e, "looking at the key",
                      "EXPLAIN INSERT INTO %s(%s) SELECT %s FROM %s ON CONFLICT (%s) DO "
                      "NOTHING",
                      table, columns, columns, table, columns);
    free(table);
    if (rc != ERR_DB || strcmp(w->pg->state, "42P10") != 0) return rc;
    return err_set(
        e, ERR_INVALID,
        "%s has no UNIQUE index or PRIMARY KEY on exactly (%.300s), which an upsert "
        "stands on. Make it with: CREATE UNIQUE INDEX \"%.80s\" ON \"%.80s\"(%.300s)",
        w->place, columns, name, w->table, columns);
}

err_t wpg_key_ensure(struct warehouse *w, bool table_is_new, struct err *e)
{
    char *name = NULL, *columns = NULL;
    if (w->key.n == 0) return ERR_OK;
    err_t rc = load_columns_index_name(w->table, &w->schema, &w->key, "key", WPG_NAME_MAX,
                                       &name, e);
    if (rc == ERR_OK) rc = wpg_columns_text(&w->schema, &w->key, &columns, e);
    if (rc == ERR_OK)
        rc = table_is_new ? create(w, "UNIQUE ", name, w->target, &w->key, e)
                          : check_key(w, name, columns, e);
    free(name);
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
    char *columns = NULL;
    TRY(wpg_int(w, e, &n, there, "SELECT 1 WHERE to_regclass(quote_ident($1)) IS NOT NULL",
                1, &name));
    if (!*there) return ERR_OK;
    TRY(wpg_columns_text(&w->schema, c, &columns, e));
    const char *const values[] = { name, table, columns };
    err_t rc = wpg_int(
        w, e, &n, &same,
        "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(quote_ident($1)) AND "
        "indrelid = to_regclass(quote_ident($2)) AND indpred IS NULL AND indexprs IS NULL "
        "AND (SELECT string_agg('\"' || replace(attname, '\"', '\"\"') || '\"', ',' ORDER "
        "BY i) FROM unnest(indkey) WITH ORDINALITY k(a, i) JOIN pg_attribute ON attrelid = "
        "indrelid AND attnum = a) = $3",
        3, values);
    free(columns);
    if (rc != ERR_OK || same) return rc;
    return err_set(e, ERR_INVALID,
                   "load.indexes: %s has something else that is called %.200s: drop or "
                   "rename that and run the same command again",
                   w->shown, name);
}

err_t wpg_indexes_build(struct warehouse *w, const char *table, struct err *e)
{
    for (size_t i = 0; i < w->indexes.n; i++) {
        char *name;
        bool there;
        TRY(load_columns_index_name(w->table, &w->schema, &w->indexes.v[i], "idx",
                                    WPG_NAME_MAX, &name, e));
        err_t rc = find_index(w, table, name, &w->indexes.v[i], &there, e);
        if (rc == ERR_OK && !there) rc = create(w, "", name, table, &w->indexes.v[i], e);
        free(name);
        TRY(rc);
        crash_point("finish-after-index");
    }
    return ERR_OK;
}
