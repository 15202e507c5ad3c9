// The end of a load whose rows are not the table: states of an aggregate, and SQL over
// `parts`. All of it is part of the last transaction, so a crash leaves the parts as they
// were, and the next run merges again.

#include "coordinator/warehouse_sqlite.h"

#include "common/agg_group.h"
#include "common/crash.h"
#include "common/sql_guard.h"
#include "coordinator/load_tables.h"
#include "proto/spec_sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char PARTS[] = "parts", WHERE[] = "merge";

enum { SORT_KIB = 8 << 10 };

// ---- rows from a statement, and into a table

err_t wsq_prepare_insert(struct warehouse *w, const char *table, uint32_t columns,
                         sqlite3_stmt **st, struct err *e)
{
    char *marks = calloc(columns, 2);
    if (!marks) return err_set(e, ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < columns; i++)
        memcpy(marks + 2 * i, i + 1 < columns ? "?," : "?", i + 1 < columns ? 2 : 1);
    err_t rc = wsq_prepare(w, st, e, "INSERT INTO main.\"%w\" VALUES(%s)", table, marks);
    free(marks);
    return rc;
}

static err_t insert_row(struct warehouse *w, sqlite3_stmt *st, struct err *e)
{
    bool row;
    TRY(wsq_step(w, st, &row, e, "adding a row of the result"));
    sqlite3_reset(st);
    w->merge->rows_out++;
    return ERR_OK;
}

// ---- the aggregate

struct into { // where the result goes
    struct warehouse *w;
    uint32_t n_keys, n_fn;
    sqlite3_stmt *st;
};

static err_t bind_cells(struct warehouse *w, sqlite3_stmt *st, const struct cell *c,
                        uint32_t n, uint32_t first, struct err *e)
{
    for (uint32_t i = 0; i < n; i++) {
        int rc = spec_sql_bind_cell(st, (int)(first + i) + 1, &c[i]);
        if (rc != SQLITE_OK) return wsq_fail(w, rc, e, "binding a value");
    }
    return ERR_OK;
}

static err_t add_group(void *arg, const struct cell *key, const struct cell *value,
                       struct err *e)
{
    struct into *x = arg;
    TRY(bind_cells(x->w, x->st, key, x->n_keys, 0, e));
    TRY(bind_cells(x->w, x->st, value, x->n_fn, x->n_keys, e));
    return insert_row(x->w, x->st, e);
}

static err_t aggregate(struct warehouse *w, const char *table, struct err *e)
{
    const struct load_merge *m = w->merge;
    struct into x = { .w = w,
                      .n_keys = (uint32_t)m->spec->aggregate.by.n,
                      .n_fn = (uint32_t)m->spec->aggregate.n_fn };
    err_t rc = wsq_table_create(w, table, m->rows, e);
    if (rc == ERR_OK) rc = wsq_prepare_insert(w, table, m->rows->n, &x.st, e);
    if (rc == ERR_OK) rc = wsq_runs_merge(w, add_group, &x, e);
    sqlite3_finalize(x.st);
    return rc;
}

// ---- SQL over parts

struct reading { // what the statement may read
    const struct warehouse *w;
    struct buf *names; // of lookup tables
};

static const char *judge_read(void *arg, const char *table, const char *column)
{
    const struct reading *r = arg;
    const char *staged = r->w->target; // NULL: only tried
    if (!*column || strcasecmp(table, PARTS) == 0) return NULL;
    if (staged && strncasecmp(table, staged, strlen(staged)) == 0)
        return NULL; // what stands behind parts
    if (strcasecmp(table, "json_each") == 0 || strcasecmp(table, "json_tree") == 0)
        return NULL;
    if (spec_sql_has_name(r->names, table)) return NULL;
    return "a table that is not parts nor a lookup table (read it with params)";
}

// The statement, its params bound, and its columns. What fails is the user's SQL.
static err_t prepare_sql(struct warehouse *w, struct buf *names, sqlite3_stmt **st,
                         struct schema *columns, struct err *e)
{
    const struct load_merge *m = w->merge;
    struct reading reading = { w, names };
    struct sql_guard guard = { .read = judge_read, .arg = &reading, .clock = true };
    sql_guard_judge(w->db, &guard);
    err_t rc = sql_guard_prepare(w->db, m->sql, WHERE, ERR_INVALID, st, e);
    if (rc == ERR_INVALID) {
        struct spec_sql_known known = { PARTS, PARTS, m->rows, names };
        rc = spec_sql_say_more(w->db, &known, m->sql, rc, e);
    }
    if (rc == ERR_OK) rc = spec_sql_columns(*st, columns, e);
    if (rc == ERR_OK) rc = spec_sql_bind(*st, m->spec, e);
    sql_guard_judge(w->db, NULL);
    return rc == ERR_TRANSFORM ? ERR_INVALID : rc;
}

err_t wsq_merge_step(struct warehouse *w, sqlite3_stmt *st, bool *row, struct err *e)
{
    int rc = sqlite3_step(st);
    *row = rc == SQLITE_ROW;
    if (*row) w->merge->rows_out++;
    if (*row || rc == SQLITE_DONE) return ERR_OK;
    if ((rc & 0xff) == SQLITE_ERROR)
        return err_set(e, ERR_INVALID, "merge: %s", sqlite3_errmsg(w->db));
    return wsq_fail(w, rc, e, "merging");
}

static err_t copy_rows(struct warehouse *w, sqlite3_stmt *from, sqlite3_stmt *into,
                       struct err *e)
{
    bool row, none;
    int n = sqlite3_column_count(from);
    for (;;) {
        TRY(wsq_merge_step(w, from, &row, e));
        if (!row) return ERR_OK;
        for (int i = 0; i < n; i++) {
            int rc = sqlite3_bind_value(into, i + 1, sqlite3_column_value(from, i));
            if (rc != SQLITE_OK) return wsq_fail(w, rc, e, "binding a value");
        }
        TRY(wsq_step(w, into, &none, e, "adding a row of the result"));
        sqlite3_reset(into);
    }
}

static err_t make_table(struct warehouse *w, sqlite3_stmt *from, void *table, struct err *e)
{
    sqlite3_stmt *into = NULL;
    TRY(wsq_table_create(w, table, &w->schema, e));
    TRY(wsq_prepare_insert(w, table, w->schema.n, &into, e));
    err_t rc = copy_rows(w, from, into, e);
    sqlite3_finalize(into);
    return rc;
}

// load.indexes are those of the table, whose columns are known only now.
static err_t take_columns(struct warehouse *w, const struct schema *columns, struct err *e)
{
    schema_free(&w->schema);
    TRY(schema_copy(&w->schema, columns, e));
    return load_indexes_take(&w->indexes, &w->schema, w->merge_indexes, w->n_merge_indexes,
                             e);
}

static err_t run_sql(struct warehouse *w, const char *parts, wsq_take_rows *take, void *arg,
                     struct err *e)
{
    sqlite3_stmt *from = NULL;
    struct schema columns = { 0 };
    TRY(wsq_exec(w, e, "merging", "CREATE TEMP VIEW %s AS SELECT * FROM main.\"%w\"", PARTS,
                 parts));
    w->merge->rows_out = 0;
    err_t rc = prepare_sql(w, &w->lookups, &from, &columns, e);
    if (rc == ERR_OK) rc = take_columns(w, &columns, e);
    if (rc == ERR_OK) rc = take(w, from, arg, e);
    sqlite3_finalize(from);
    schema_free(&columns);
    if (rc == ERR_OK) rc = wsq_exec(w, e, "merging", "DROP VIEW temp.%s", PARTS);
    return rc == ERR_INVALID ? err_wrap(e, rc, "merge.sql") : rc;
}

// ---- before and after the last transaction

static err_t drop_lookups(struct warehouse *w, struct err *e)
{
    for (size_t at = 0; at < w->lookups.n;) {
        const char *name = (const char *)w->lookups.p + at;
        TRY(wsq_exec(w, e, "merging", "DROP TABLE IF EXISTS temp.\"%w\"", name));
        at += strlen(name) + 1;
    }
    w->lookups.n = 0;
    return ERR_OK;
}

static err_t load_lookups(struct warehouse *w, struct err *e)
{
    struct spec spec;
    err_t rc = load_tables_read(w->merge->spec, &spec, e);
    if (rc == ERR_OK) rc = spec_sql_tables_load(w->db, &spec, "temp", &w->lookups, e);
    if (rc != ERR_OK) wsq_txn_rollback(w);
    load_tables_free(w->merge->spec, &spec);
    return rc == ERR_TRANSFORM ? ERR_INVALID : rc;
}

err_t wsq_merge_prepare(struct warehouse *w, struct err *e)
{
    if (!w->merge) return ERR_OK;
    TRY(wsq_exec(w, e, "preparing the merge", "PRAGMA temp_store=FILE"));
    w->lookups.n = 0;
    return w->merge->sql ? load_lookups(w, e) : ERR_OK;
}

void wsq_merge_done(struct warehouse *w)
{
    if (!w->merge || !w->db) return;
    if (drop_lookups(w, NULL) != ERR_OK ||
        sqlite3_exec(w->db, "PRAGMA temp_store=MEMORY", NULL, NULL, NULL) != SQLITE_OK)
        wsq_give_up(w); // opened again, it has it
}

// ---- the whole

static err_t drop(struct warehouse *w, const char *table, struct err *e)
{
    return wsq_exec(w, e, "dropping the parts", "DROP TABLE main.\"%w\"", table);
}

// `parts` is for what an aggregate gives to merge.sql, `result` for what it gives without.
//
// SQLite's sorter fills as much memory as the cache may take before it sorts it. What fits
// into the processor's own cache is sorted faster, by a seventh, though it makes more runs.
static err_t merge(struct warehouse *w, const char *parts, const char *result,
                   wsq_take_rows *take, void *arg, struct err *e)
{
    const struct load_merge *m = w->merge;
    bool aggregates = agg_given(&m->spec->aggregate);
    TRY(wsq_page_cache(w, SORT_KIB, e));
    w->merge->rows_out = 0;
    crash_point("merge-before");
    if (aggregates) TRY(aggregate(w, m->sql ? parts : result, e));
    crash_point("merge-after-aggregate");
    if (m->sql)
        TRY(run_sql(w, aggregates ? parts : w->target, take, arg, e));
    else
        TRY(take_columns(w, m->rows, e));
    crash_point("merge-after-sql");
    if (aggregates && m->sql) TRY(drop(w, parts, e));
    TRY(drop(w, w->target, e));
    return wsq_page_cache(w, 0, e);
}

static err_t name_parts(const struct warehouse *w, char **parts, struct err *e)
{
    if (asprintf(parts, "%s_parts", w->target) >= 0) return ERR_OK;
    *parts = NULL;
    return err_set(e, ERR_NOMEM, "out of memory");
}

err_t wsq_merge(struct warehouse *w, char **out, struct err *e)
{
    char *parts;
    *out = NULL;
    TRY(name_parts(w, &parts, e));
    if (asprintf(out, "%s_result", w->target) < 0) *out = NULL;
    err_t rc = *out ? merge(w, parts, *out, make_table, *out, e)
                    : err_set(e, ERR_NOMEM, "out of memory");
    free(parts);
    if (rc == ERR_OK) return ERR_OK;
    free(*out);
    *out = NULL;
    return rc;
}

// ---- without a table of the result

// A column is of the type of the one that it shows. In a compound only that of the first
// SELECT is looked at, and a table would change the values of the others to it.
static bool needs_table(const struct load_merge *m)
{
    static const char *const words[] = { "union", "except", "intersect", "values" };
    if (!m->sql) return true;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(m->sql, words[i])) return true;
    return false;
}

// The groups as they are merged, with the columns of the result: wsq_runs_merge gives them.
static err_t take_groups(struct warehouse *w, wsq_take_rows *take, void *arg, struct err *e)
{
    TRY(wsq_page_cache(w, SORT_KIB, e));
    w->merge->rows_out = 0;
    crash_point("merge-before");
    TRY(take_columns(w, w->merge->rows, e));
    TRY(take(w, NULL, arg, e));
    crash_point("merge-after-aggregate");
    TRY(drop(w, w->target, e));
    return wsq_page_cache(w, 0, e);
}

static err_t take_table(struct warehouse *w, const char *table, wsq_take_rows *take,
                        void *arg, struct err *e)
{
    sqlite3_stmt *st = NULL;
    TRY(wsq_prepare(w, &st, e, "SELECT * FROM main.\"%w\" ORDER BY rowid", table));
    w->merge->rows_out = 0;
    err_t rc = take(w, st, arg, e);
    sqlite3_finalize(st);
    return rc == ERR_OK ? drop(w, table, e) : rc;
}

err_t wsq_merge_rows(struct warehouse *w, wsq_take_rows *take, void *arg, struct err *e)
{
    char *name;
    w->unfit = false;
    if (!w->merge->sql) {
        err_t rc = take_groups(w, take, arg, e);
        if (!w->unfit) return rc;
    }
    if (needs_table(w->merge)) {
        TRY(wsq_merge(w, &name, e));
        err_t rc = take_table(w, name, take, arg, e);
        free(name);
        return rc;
    }
    TRY(name_parts(w, &name, e));
    err_t rc = merge(w, name, NULL, take, arg, e);
    free(name);
    return rc;
}

// The statement is tried before a load begins, over parts without a row.
static err_t try_sql(struct warehouse *w, struct buf *names, struct err *e)
{
    const struct load_merge *m = w->merge;
    sqlite3_stmt *st = NULL;
    struct schema columns = { 0 };
    char *sql = spec_sql_create("temp", PARTS, m->rows);
    if (!sql) return err_set(e, ERR_NOMEM, "out of memory");
    int code = sqlite3_exec(w->db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    if (code != SQLITE_OK) return wsq_fail(w, code, e, "trying the merge");
    err_t rc = prepare_sql(w, names, &st, &columns, e);
    sqlite3_finalize(st);
    for (size_t i = 0; rc == ERR_OK && i < w->n_merge_indexes; i++)
        for (size_t k = 0; rc == ERR_OK && k < w->merge_indexes[i].n; k++)
            if (schema_find(&columns, w->merge_indexes[i].v[k]) < 0)
                rc = err_set(e, ERR_INVALID,
                             "load.indexes: the result of merge has no column '%.60s'",
                             w->merge_indexes[i].v[k]);
    schema_free(&columns);
    err_t dropped = wsq_exec(w, rc == ERR_OK ? e : NULL, "trying the merge",
                             "DROP TABLE temp.%s", PARTS);
    return rc == ERR_OK ? dropped : rc;
}

err_t wsq_merge_try(struct warehouse *w, struct err *e)
{
    if (!w->merge || !w->merge->sql) return ERR_OK;
    err_t rc = wsq_merge_prepare(w, e);
    if (rc == ERR_OK) rc = try_sql(w, &w->lookups, e);
    wsq_merge_done(w);
    return rc == ERR_INVALID ? err_wrap(e, rc, "merge.sql") : rc;
}

err_t wsq_try_merge(struct load_merge *m, const struct strings *indexes, size_t n_indexes,
                    struct err *e)
{
    struct warehouse *w = NULL;
    TRY(wsq_open(&w, NULL, &wsq_tables, NULL, NULL, e));
    w->merge = m;
    w->merge_indexes = indexes;
    w->n_merge_indexes = n_indexes;
    err_t rc = wsq_merge_try(w, e);
    wsq_close(&w);
    return rc;
}
