// States of an aggregate, staged as they came: sorted rows in row_code.h's encoding, cut
// into pieces that are rows of the staging table. A result's pieces follow each other, each
// with how many are left, so that its run is known without the ledger, and how long the
// longest row of the run is. At the end all runs are merged, with one piece or row of each
// in memory; where even that is too much, the states become rows of a table, and SQLite
// sorts them in bounded memory.

#include "coordinator/warehouse_sqlite.h"

#include "common/agg_runs.h"
#include "common/row_code.h"
#include "proto/spec_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 16 << 10 };

bool wsq_runs_given(const struct load_merge *m)
{
    return m && agg_given(&m->spec->aggregate);
}

err_t wsq_runs_schema(struct schema *out, struct err *e)
{
    static const char left[] = "pieces_left", longest[] = "longest_row",
                      states[] = "states";
    *out = (struct schema){ 0 };
    TRY(schema_add(out, left, strlen(left), TYPE_INTEGER, false, e));
    TRY(schema_add(out, longest, strlen(longest), TYPE_INTEGER, false, e));
    return schema_add(out, states, strlen(states), TYPE_ANY, false, e);
}

err_t wsq_runs_check(const struct warehouse *w, const struct result *r, struct err *e)
{
    struct agg_group g;
    const struct load_merge *m = w->merge;
    err_t rc = agg_group_open(&g, &m->spec->aggregate, m->memory_bytes, e);
    if (rc == ERR_OK)
        rc = agg_group_check(&g, r->image, r->image_bytes, r->row.rows_emitted, e);
    agg_group_close(&g);
    return rc;
}

// Of a few groups with many values each, a row is most of a result.
static err_t longest_row(const struct warehouse *w, const struct result *r, int64_t *bytes,
                         struct err *e)
{
    struct schema columns = { 0 };
    size_t at = 0, from;
    *bytes = 0;
    TRY(agg_partial_schema(&w->merge->spec->aggregate, &columns, e));
    while (from = at, row_code_skip(r->image, r->image_bytes, &at, columns.n) && at > from)
        if ((int64_t)(at - from) > *bytes) *bytes = (int64_t)(at - from);
    schema_free(&columns);
    return ERR_OK;
}

static err_t insert(struct warehouse *w, sqlite3_stmt *st, int64_t longest,
                    const uint8_t *p, size_t n, struct err *e)
{
    err_t rc = ERR_OK;
    for (size_t at = 0; rc == ERR_OK && at < n; at += PIECE_BYTES) {
        bool row;
        size_t take = n - at < PIECE_BYTES ? n - at : PIECE_BYTES;
        int64_t left = (int64_t)((n - at - take + PIECE_BYTES - 1) / PIECE_BYTES);
        rc = wsq_bind(w, st, e, "iib", left, longest, (const void *)(p + at), take);
        if (rc == ERR_OK) rc = wsq_step(w, st, &row, e, "adding states");
        sqlite3_reset(st);
    }
    return rc;
}

err_t wsq_runs_stage(struct warehouse *w, struct result *r, struct err *e)
{
    sqlite3_stmt *st = NULL;
    int64_t longest;
    TRY(longest_row(w, r, &longest, e));
    TRY(wsq_prepare(w, &st, e, "INSERT INTO main.\"%w\" VALUES(?,?,?)", w->target));
    err_t rc = insert(w, st, longest, r->image, r->image_bytes, e);
    sqlite3_finalize(st);
    if (rc == ERR_OK) r->row.rows_loaded = r->row.rows_emitted;
    return rc;
}

// ---- at the end

struct merging {
    struct warehouse *w;
    struct agg_group group;
    agg_group_fn *fn;
    void *arg;
    sqlite3_stmt *piece; // of a number
};

static err_t fetch(void *arg, int64_t number, struct buf *to, struct err *e)
{
    struct merging *m = arg;
    bool row;
    TRY(wsq_bind(m->w, m->piece, e, "i", number));
    TRY(wsq_step(m->w, m->piece, &row, e, "reading states"));
    if (!row) return err_set(e, ERR_PROTO, "some staged states are gone");
    size_t n = (size_t)sqlite3_column_bytes(m->piece, 0);
    err_t rc = n ? buf_add(to, sqlite3_column_blob(m->piece, 0), n, e) : ERR_OK;
    sqlite3_reset(m->piece);
    return rc;
}

typedef err_t on_run(void *arg, int64_t first, int64_t last, struct err *e);

static err_t each_run(struct warehouse *w, on_run *fn, void *arg, struct err *e)
{
    sqlite3_stmt *st = NULL;
    bool row;
    int64_t first = 0;
    TRY(wsq_prepare(w, &st, e, "SELECT rowid, pieces_left FROM main.\"%w\" ORDER BY rowid",
                    w->target));
    err_t rc;
    while ((rc = wsq_step(w, st, &row, e, "reading states")) == ERR_OK && row) {
        int64_t number = sqlite3_column_int64(st, 0), left = sqlite3_column_int64(st, 1);
        if (!first) first = number;
        if (left == 0) {
            rc = fn(arg, first, number, e);
            first = 0;
        }
        if (rc != ERR_OK) break;
    }
    sqlite3_finalize(st);
    return rc;
}

// The row that is next and the piece that it ends in, in buffers that double.
err_t wsq_runs_memory(struct warehouse *w, uint64_t *bytes, struct err *e)
{
    sqlite3_stmt *st = NULL;
    bool row;
    *bytes = 0;
    TRY(wsq_prepare(w, &st, e,
                    "SELECT count(*), total(longest_row) FROM main.\"%w\""
                    " WHERE pieces_left = 0",
                    w->target));
    err_t rc = wsq_step(w, st, &row, e, "reading states");
    if (rc == ERR_OK && row)
        *bytes = 2 * ((uint64_t)sqlite3_column_int64(st, 0) * PIECE_BYTES +
                      (uint64_t)sqlite3_column_double(st, 1));
    sqlite3_finalize(st);
    return rc;
}

static uint32_t n_values(const struct merging *m)
{
    return m->group.n_keys + m->group.n_states;
}

static err_t add_row(struct merging *m, const struct cell *row, struct err *e)
{
    memcpy(m->group.row, row, n_values(m) * sizeof *row);
    return agg_group_add(&m->group, m->fn, m->arg, e);
}

static err_t open_runs(struct merging *m, struct agg_runs **out, struct err *e)
{
    return agg_runs_new(out, m->group.n_keys, n_values(m), fetch, m, e);
}

static err_t add_run(void *arg, int64_t first, int64_t last, struct err *e)
{
    return agg_runs_add(arg, first, last, e);
}

static err_t merge_runs(struct merging *m, struct err *e)
{
    struct agg_runs *runs = NULL;
    const struct cell *row = NULL;
    err_t rc = open_runs(m, &runs, e);
    if (rc == ERR_OK) rc = each_run(m->w, add_run, runs, e);
    while (rc == ERR_OK && (rc = agg_runs_next(runs, &row, e)) == ERR_OK && row)
        rc = add_row(m, row, e);
    agg_runs_free(&runs);
    return rc == ERR_OK ? agg_group_end(&m->group, m->fn, m->arg, e) : rc;
}

// ---- too many runs

struct unpacking {
    struct merging *m;
    sqlite3_stmt *into;
};

static err_t unpack_row(struct unpacking *u, const struct cell *row, struct err *e)
{
    bool none;
    for (uint32_t i = 0; i < n_values(u->m); i++) {
        int rc = spec_sql_bind_cell(u->into, (int)i + 1, &row[i]);
        if (rc != SQLITE_OK) return wsq_fail(u->m->w, rc, e, "binding a value");
    }
    TRY(wsq_step(u->m->w, u->into, &none, e, "adding states"));
    sqlite3_reset(u->into);
    return ERR_OK;
}

static err_t unpack_run(void *arg, int64_t first, int64_t last, struct err *e)
{
    struct unpacking *u = arg;
    struct agg_runs *run = NULL;
    const struct cell *row = NULL;
    err_t rc = open_runs(u->m, &run, e);
    if (rc == ERR_OK) rc = agg_runs_add(run, first, last, e);
    while (rc == ERR_OK && (rc = agg_runs_next(run, &row, e)) == ERR_OK && row)
        rc = unpack_row(u, row, e);
    agg_runs_free(&run);
    return rc;
}

static err_t unpack(struct merging *m, const char *table, struct err *e)
{
    struct unpacking u = { .m = m };
    struct schema columns = { 0 };
    TRY(agg_partial_schema(&m->w->merge->spec->aggregate, &columns, e));
    err_t rc = wsq_table_create(m->w, table, &columns, e);
    if (rc == ERR_OK) rc = wsq_prepare_insert(m->w, table, columns.n, &u.into, e);
    if (rc == ERR_OK) rc = each_run(m->w, unpack_run, &u, e);
    sqlite3_finalize(u.into);
    schema_free(&columns);
    return rc;
}

static err_t merge_sorted(struct merging *m, sqlite3_stmt *from, struct err *e)
{
    bool row;
    for (;;) {
        TRY(wsq_step(m->w, from, &row, e, "reading the states"));
        if (!row) return agg_group_end(&m->group, m->fn, m->arg, e);
        for (uint32_t i = 0; i < n_values(m); i++)
            m->group.row[i] = wsq_cell(from, (int)i);
        TRY(agg_group_add(&m->group, m->fn, m->arg, e));
    }
}

static err_t prepare_sorted(struct merging *m, const char *table, sqlite3_stmt **st,
                            struct err *e)
{
    struct buf order = { 0 };
    uint32_t n_keys = m->group.n_keys;
    err_t rc = buf_printf(&order, e, "%s", n_keys ? " ORDER BY 1" : "");
    for (uint32_t i = 1; rc == ERR_OK && i < n_keys; i++)
        rc = buf_printf(&order, e, ",%u", i + 1);
    if (rc == ERR_OK)
        rc = wsq_prepare(m->w, st, e, "SELECT * FROM main.\"%w\"%s", table, order.p);
    buf_free(&order);
    return rc;
}

static err_t merge_by_table(struct merging *m, struct err *e)
{
    char *table;
    sqlite3_stmt *from = NULL;
    if (asprintf(&table, "%s_states", m->w->target) < 0)
        return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = unpack(m, table, e);
    if (rc == ERR_OK) rc = prepare_sorted(m, table, &from, e);
    if (rc == ERR_OK) rc = merge_sorted(m, from, e);
    sqlite3_finalize(from);
    if (rc == ERR_OK)
        rc = wsq_exec(m->w, e, "dropping the states", "DROP TABLE main.\"%w\"", table);
    free(table);
    return rc;
}

err_t wsq_runs_merge(struct warehouse *w, agg_group_fn *fn, void *arg, struct err *e)
{
    const struct load_merge *merge = w->merge;
    struct merging m = { .w = w, .fn = fn, .arg = arg };
    uint64_t bytes = 0;
    err_t rc = agg_group_open(&m.group, &merge->spec->aggregate, merge->memory_bytes, e);
    if (rc == ERR_OK)
        rc = wsq_prepare(w, &m.piece, e, "SELECT states FROM main.\"%w\" WHERE rowid = ?",
                         w->target);
    if (rc == ERR_OK) rc = wsq_runs_memory(w, &bytes, e);
    if (rc == ERR_OK)
        rc = bytes <= merge->memory_bytes / 2 ? merge_runs(&m, e) : merge_by_table(&m, e);
    sqlite3_finalize(m.piece);
    agg_group_close(&m.group);
    return rc;
}
