// Which load this is: a new one, one to be continued, or one that stands in the way. All of
// it, with the new epoch, is one transaction; the ledger is read after it (R3).

#include "coordinator/warehouse_file.h"

#include "common/crash.h"
#include "coordinator/load_inputs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *column(sqlite3_stmt *st, int i)
{
    const char *p = (const char *)sqlite3_column_text(st, i);
    return p ? p : "";
}

// For text files --fresh cuts off what stands behind the rows of complete loads.
static err_t find_loads(struct warehouse *w, const struct load_identity *id,
                        struct loads *out, struct err *e)
{
    sqlite3_stmt *st;
    bool more;
    TRY(wsq_prepare(
        w, &st, e,
        "SELECT load_id, epoch, state, mode, sources, spec, staging, started, host, "
        "pid FROM main.tranche_runs WHERE table_name = %Q COLLATE NOCASE "
        "AND state IN ('loading','complete') ORDER BY load_id",
        w->table));
    err_t rc;
    while ((rc = wsq_step(w, st, &more, e, "reading tranche_runs")) == ERR_OK && more) {
        const struct load_text row = {
            .id = (uint64_t)sqlite3_column_int64(st, 0),
            .epoch = (uint64_t)sqlite3_column_int64(st, 1),
            .state = column(st, 2),
            .mode = column(st, 3),
            .sources = column(st, 4),
            .spec = column(st, 5),
            .staging = sqlite3_column_type(st, 6) == SQLITE_NULL ? NULL : column(st, 6),
            .started = column(st, 7),
            .host = column(st, 8),
            .pid = sqlite3_column_int64(st, 9),
        };
        if ((rc = loads_add(out, id, w->files, &row, e)) != ERR_OK) break;
    }
    sqlite3_finalize(st);
    w->torn |= out->torn;
    return rc;
}

// ---- a new load

static err_t insert_run(struct warehouse *w, const struct load_identity *id,
                        const struct buf *json, const struct buf *params, struct err *e)
{
    char spec[HASH_HEX];
    struct load_self self;
    sqlite3_stmt *st;
    bool row;
    TRY(load_self(&self, e));
    hash_hex(id->spec, spec);
    TRY(wsq_prepare(
        w, &st, e,
        "INSERT INTO main.tranche_runs(load_id, table_name, sources, spec, mode,"
        "state, epoch, inputs, params, staging, started, host, pid, watermark_from) "
        "VALUES(?1,?2,?3,?4,?5,'loading',1,?6,?7,?8,?9,?10,?11,"
        "(SELECT watermark FROM main.tranche_runs WHERE table_name = ?2 COLLATE NOCASE AND "
        "sources = ?3 AND spec = ?4 AND mode = ?5 AND state = 'complete' "
        "ORDER BY load_id DESC LIMIT 1))"));
    err_t rc = wsq_bind(w, st, e, "itttttbttti", (int64_t)w->load_id, w->table, id->sources,
                        spec, load_mode_name(id->mode), (const char *)json->p,
                        (const void *)(params ? params->p : NULL), params ? params->n : 0,
                        id->mode == MODE_REPLACE ? w->target : NULL, self.when, self.host,
                        (int64_t)getpid());
    if (rc == ERR_OK) rc = wsq_step(w, st, &row, e, "writing tranche_runs");
    sqlite3_finalize(st);
    return rc;
}

static err_t start_new(struct warehouse *w, const struct load_identity *id,
                       const struct buf *params, struct err *e)
{
    int64_t last;
    bool any;
    struct buf json = { 0 };
    TRY(wsq_int(w, e, &last, &any, "SELECT max(load_id) FROM main.tranche_runs"));
    w->load_id = (uint64_t)last + 1;
    w->epoch = 1;
    TRY(load_target(&w->target, w->mode, w->table, w->load_id, NULL, e));
    TRY(wsq_inputs_match(w, e));
    TRY(w->store->ensure(w, e));
    err_t rc = load_inputs_json(w->stored, w->n_stored, &json, e);
    if (rc == ERR_OK) rc = insert_run(w, id, &json, params, e);
    if (rc == ERR_OK) wsq_inputs_say_known(w);
    buf_free(&json);
    return rc == ERR_OK ? wsq_watermark_start(w, e) : rc;
}

// ---- which of the two

static err_t count(struct warehouse *w, uint64_t load_id, int64_t *ranges, int64_t *rows,
                   struct err *e)
{
    bool any;
    TRY(wsq_int(w, e, ranges, &any,
                "SELECT count(*) FROM main.tranche_ledger WHERE load = %lld",
                (long long)load_id));
    return wsq_int(w, e, rows, &any,
                   "SELECT sum(rows_loaded) FROM main.tranche_ledger WHERE load = %lld",
                   (long long)load_id);
}

static const struct load_ledger LEDGER = { find_loads, count, wsq_drop_load, wsq_go_on,
                                           start_new };

static err_t begin_in_txn(struct warehouse *w, const struct load_identity *id,
                          const struct buf *params, struct load_state *state, struct err *e)
{
    TRY(wsq_table_no_view(w, w->table, e));
    TRY(wsq_ledger_create(w, e));
    TRY(wsq_exec(w, e, "tidying the ledger",
                 "DELETE FROM main.tranche_ledger WHERE load IN (SELECT load_id FROM "
                 "main.tranche_runs WHERE state IN ('dropped','replaced') "
                 "AND table_name = %Q COLLATE NOCASE)",
                 w->table));
    TRY(w->store->tidy(w, e));
    w->torn = false;
    TRY(load_which(w, &LEDGER, w->place, id, params, state, e));
    return wsq_rejects_ensure(w, e);
}

// ---- what the caller is told

struct collect {
    struct load_state *state;
    size_t cap;
};

static err_t collect_row(void *arg, const struct ledger_row *row, struct err *e)
{
    struct collect *c = arg;
    return load_state_add(c->state, &c->cap, row, e);
}

static err_t read_params(struct warehouse *w, struct buf *out, struct err *e)
{
    sqlite3_stmt *st;
    bool row;
    TRY(wsq_prepare(w, &st, e, "SELECT params FROM main.tranche_runs WHERE load_id = %lld",
                    (long long)w->load_id));
    err_t rc = wsq_step(w, st, &row, e, "reading tranche_runs");
    if (rc == ERR_OK && row && sqlite3_column_bytes(st, 0) > 0)
        rc = buf_add(out, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0),
                     e);
    sqlite3_finalize(st);
    return rc;
}

static err_t tell(struct warehouse *w, struct load_state *state, struct err *e)
{
    struct collect c = { .state = state };
    state->load_id = w->load_id;
    state->epoch = w->epoch;
    TRY(wsq_ledger_each(w, -1, collect_row, &c, e));
    if (state->ledger) // of an empty load there is none
        qsort(state->ledger, state->n_ledger, sizeof *state->ledger, ledger_compare);
    state->resumed &= state->n_ledger > 0;
    if (!w->untouched)
        TRY(read_params(w, &state->params, e));
    else if (w->params.n)
        TRY(buf_add(&state->params, w->params.p, w->params.n, e));
    return load_state_inputs(state, w->stored, w->n_known, w->ids, w->n_inputs, e);
}

// ---- begin

void wsq_forget_load(struct warehouse *w)
{
    for (unsigned i = 0; i < WSQ_N_CACHED; i++) {
        sqlite3_finalize(w->cached[i]);
        w->cached[i] = NULL;
    }
    free(w->place);
    free(w->table);
    free(w->rejects);
    free(w->target);
    sqlite3_free(w->insert);
    sqlite3_free(w->insert_rule);
    sqlite3_free(w->insert_row);
    sqlite3_free(w->empty_image);
    wsq_slots_free(w);
    w->place = w->table = w->rejects = w->target = w->insert = w->insert_rule =
        w->insert_row = NULL;
    load_columns_free(&w->key);
    load_indexes_free(&w->indexes);
    w->merge = NULL;
    buf_free(&w->lookups);
    wsq_watermark_free(&w->watermark);
    w->empty_image = NULL;
    schema_free(&w->schema);
    buf_free(&w->image_sql);
    load_inputs_free(&w->inputs, &w->n_inputs);
    load_inputs_free(&w->stored, &w->n_stored);
    free(w->ids);
    w->ids = NULL;
    w->load_id = w->epoch = 0;
    w->n_known = 0;
    w->untouched = false;
    buf_free(&w->params);
}

static err_t take_columns(struct warehouse *w, const struct load_identity *id,
                          struct err *e)
{
    w->watermark.column = -1;
    if (id->mode == MODE_UPSERT) TRY(load_columns_find(&w->schema, id->key, &w->key, e));
    if (id->mode == MODE_INCREMENTAL) {
        w->watermark.column = schema_find(&w->schema, id->watermark);
        assert(w->watermark.column >= 0);
    }
    w->merge = id->merge;
    w->merge_indexes = id->indexes;
    w->n_merge_indexes = id->merge ? id->n_indexes : 0;
    return id->merge
               ? ERR_OK
               : load_indexes_take(&w->indexes, &w->schema, id->indexes, id->n_indexes, e);
}

static err_t take_arguments(struct warehouse *w, const struct load_identity *id,
                            const struct schema *schema, const struct load_input *inputs,
                            size_t n_inputs, struct err *e)
{
    if (!w->files) TRY(wsq_table_check_name(id->table, e));
    if (schema->n == 0) return err_set(e, ERR_INVALID, "the rows have no column");
    w->mode = id->mode;
    uint64_t share = id->memory_bytes / 4 / 1024;
    w->cache_kib = share < UINT32_MAX ? (unsigned)share : 0;
    if (w->cache_kib > WSQ_CACHE_KIB) w->cache_kib = 0;
    TRY(wsq_page_cache(w, 0, e));
    if (w->files) {
        TRY(wf_names(w, e));
    } else {
        w->table = strdup(id->table);
        if (asprintf(&w->place, "table %s of %s", id->table, w->shown) < 0) w->place = NULL;
    }
    if (!w->table || !w->place || asprintf(&w->rejects, "%s_rejects", w->table) < 0)
        return err_set(e, ERR_NOMEM, "out of memory");
    TRY(wsq_runs_given(id->merge) ? wsq_runs_schema(&w->schema, e)
                                  : schema_copy(&w->schema, schema, e));
    TRY(sqlite_image_sql(&w->schema, &w->image_sql, e));
    TRY(buf_printf(&w->image_sql, e, "%s", "")); // a NUL
    TRY(load_inputs_copy(&w->inputs, inputs, n_inputs, e));
    w->n_inputs = n_inputs;
    return take_columns(w, id, e);
}

static err_t begin(struct warehouse *w, const struct load_identity *id,
                   const struct buf *params, struct load_state *state, struct err *e)
{
    crash_point("begin-before");
    TRY(wsq_txn_begin(w, e));
    err_t rc = begin_in_txn(w, id, params, state, e);
    if (rc != ERR_OK) {
        wsq_txn_rollback(w);
        return rc;
    }
    crash_point("begin-before-commit");
    TRY(wsq_txn_commit(w, e));
    crash_point("begin-after-commit");
    TRY(tell(w, state, e));
    return w->store->settle(w, e);
}

// Rows that stand in a file although no load is known to be under way are somebody's own.
static err_t begin_durably(struct warehouse *w, const struct load_identity *id,
                           const struct buf *params, struct load_state *state,
                           struct err *e)
{
    TRY(wsq_outlives_power_cuts(w, true, e));
    TRY(begin(w, id, params, state, e));
    return wsq_outlives_power_cuts(w, false, e);
}

err_t wsq_begin(struct warehouse *w, const struct load_identity *id,
                const struct schema *schema, const struct load_input *inputs,
                size_t n_inputs, const struct buf *params, struct load_state *state,
                struct err *e)
{
    *state = (struct load_state){ 0 };
    if (w->load_id) wsq_give_up(w); // its slots are those of another schema
    wsq_forget_load(w);
    TRY(wsq_ready(w, e));
    err_t rc = take_arguments(w, id, schema, inputs, n_inputs, e);
    if (rc == ERR_OK) rc = wsq_merge_try(w, e);
    if (rc == ERR_OK) rc = (w->files ? begin_durably : begin)(w, id, params, state, e);
    if (rc != ERR_OK) {
        load_state_free(state);
        wsq_give_up(w);
        wsq_forget_load(w);
    }
    return rc;
}
