// Which load this is: a new one, one to be continued, or one that stands in the way. All of
// it, with the new epoch, is one transaction; the ledger is read after it (R3).

#include "coordinator/warehouse_pg.h"

#include "common/crash.h"
#include "common/number.h"
#include "coordinator/load_inputs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOAD_ID, EPOCH, STATE, MODE, SOURCES, SPEC, STAGING, STARTED, HOST, PID };

static err_t find_loads(struct warehouse *w, const struct load_identity *id,
                        struct loads *out, struct err *e)
{
    PGresult *r;
    const char *const values[] = { w->table };
    TRY(wpg_query(w, &r, e, "reading tranche_runs",
                  "SELECT load_id, epoch, state, mode, sources, spec, staging, started, "
                  "host, pid FROM tranche_runs WHERE table_name = $1 AND state IN "
                  "('loading','complete') ORDER BY load_id",
                  1, values));
    err_t rc = ERR_OK;
    for (int i = 0; rc == ERR_OK && i < PQntuples(r); i++) {
        const struct load_text row = { .id = wpg_u64(r, i, LOAD_ID),
                                       .epoch = wpg_u64(r, i, EPOCH),
                                       .state = PQgetvalue(r, i, STATE),
                                       .mode = PQgetvalue(r, i, MODE),
                                       .sources = PQgetvalue(r, i, SOURCES),
                                       .spec = PQgetvalue(r, i, SPEC),
                                       .staging = wpg_cell(r, i, STAGING),
                                       .started = PQgetvalue(r, i, STARTED),
                                       .host = PQgetvalue(r, i, HOST),
                                       .pid = (int64_t)wpg_u64(r, i, PID) };
        rc = loads_add(out, id, false, &row, e);
    }
    PQclear(r);
    return rc;
}

// ---- a new load

char *wpg_hex(const struct buf *b)
{
    size_t n = b ? b->n : 0;
    char *out = malloc(3 + 2 * n);
    if (!out) return NULL;
    memcpy(out, "\\x", 2);
    if (n) number_put_hex((uint8_t *)out + 2, b->p, n);
    out[2 + 2 * n] = 0;
    return out;
}

static err_t insert_run(struct warehouse *w, const struct load_identity *id,
                        const char *json, const char *params, struct err *e)
{
    char spec[HASH_HEX];
    struct load_self self;
    struct wpg_number load, pid;
    PGresult *r;
    TRY(load_self(&self, e));
    hash_hex(id->spec, spec);
    const char *const values[] = { wpg_number(&load, (int64_t)w->load_id),
                                   w->table,
                                   id->sources,
                                   spec,
                                   load_mode_name(id->mode),
                                   json,
                                   params,
                                   id->mode == MODE_REPLACE ? w->target : NULL,
                                   self.when,
                                   self.host,
                                   wpg_number(&pid, getpid()) };
    TRY(wpg_query(
        w, &r, e, "writing tranche_runs",
        "INSERT INTO tranche_runs(load_id, table_name, sources, spec, mode, state, epoch, "
        "inputs, params, staging, started, host, pid, watermark_from) "
        "VALUES($1,$2,$3,$4,$5,"
        "'loading',1,$6,$7,$8,$9,$10,$11,(SELECT watermark FROM tranche_runs WHERE "
        "table_name = $2 AND sources = $3 AND spec = $4 AND mode = $5 AND state = "
        "'complete' "
        "ORDER BY load_id DESC LIMIT 1))",
        11, values));
    PQclear(r);
    return ERR_OK;
}

static err_t start_new(struct warehouse *w, const struct load_identity *id,
                       const struct buf *params, struct err *e)
{
    int64_t last;
    bool any;
    struct buf json = { 0 };
    TRY(wpg_int(w, e, &last, &any, "SELECT max(load_id) FROM tranche_runs", 0, NULL));
    w->load_id = (uint64_t)last + 1;
    w->epoch = 1;
    TRY(load_target(&w->target, w->mode, w->table, w->load_id, NULL, e));
    TRY(load_inputs_match(&w->stored, &w->n_stored, w->inputs, w->n_inputs, &w->ids, e));
    TRY(wpg_table_ensure(w, e));
    char *hex = wpg_hex(params);
    err_t rc = hex ? load_inputs_json(w->stored, w->n_stored, &json, e)
                   : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK) rc = insert_run(w, id, (char *)json.p, hex, e);
    buf_free(&json);
    free(hex);
    TRY(rc);
    TRY(wpg_inputs_say_known(w, e));
    return wpg_watermark_start(w, e);
}

// ---- which of the two

static err_t count(struct warehouse *w, uint64_t load_id, int64_t *ranges, int64_t *rows,
                   struct err *e)
{
    bool any;
    struct wpg_number id;
    const char *const values[] = { wpg_number(&id, (int64_t)load_id) };
    TRY(wpg_int(w, e, ranges, &any, "SELECT count(*) FROM tranche_ledger WHERE load = $1",
                1, values));
    return wpg_int(w, e, rows, &any,
                   "SELECT sum(rows_loaded) FROM tranche_ledger WHERE load = $1", 1,
                   values);
}

static const struct load_ledger LEDGER = { find_loads, count, wpg_drop_load, wpg_go_on,
                                           start_new };

static err_t begin_in_txn(struct warehouse *w, const struct load_identity *id,
                          const struct buf *params, struct load_state *state, struct err *e)
{
    PGresult *r;
    const char *const values[] = { w->table };
    TRY(wpg_ledger_create(w, e));
    TRY(wpg_query(w, &r, e, "tidying the ledger",
                  "DELETE FROM tranche_ledger WHERE load IN (SELECT load_id FROM "
                  "tranche_runs WHERE state IN ('dropped','replaced') AND table_name = $1)",
                  1, values));
    PQclear(r);
    TRY(load_which(w, &LEDGER, w->place, id, params, state, e));
    if (w->mode == MODE_REPLACE) TRY(wpg_swap_check(w, e));
    return wpg_rejects_ensure(w, e);
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
    PGresult *r;
    struct wpg_number id;
    size_t n;
    const char *const values[] = { wpg_number(&id, (int64_t)w->load_id) };
    TRY(wpg_query(w, &r, e, "reading tranche_runs",
                  "SELECT params FROM tranche_runs WHERE load_id = $1", 1, values));
    const char *text = PQntuples(r) ? PQgetvalue(r, 0, 0) : "\\x";
    unsigned char *bytes = PQunescapeBytea((const unsigned char *)text, &n);
    PQclear(r);
    if (!bytes) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = n ? buf_add(out, bytes, n, e) : ERR_OK;
    PQfreemem(bytes);
    return rc;
}

static err_t tell(struct warehouse *w, struct load_state *state, struct err *e)
{
    struct collect c = { .state = state };
    state->load_id = w->load_id;
    state->epoch = w->epoch;
    TRY(wpg_ledger_each(w, collect_row, &c, e));
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

void wpg_forget_load(struct warehouse *w)
{
    wpg_lane_free(w);
    char **const own[] = { &w->table,   &w->rejects,  &w->target,    &w->place,
                           &w->columns, &w->copy_sql, &w->upsert_sql };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        free(own[i][0]);
        own[i][0] = NULL;
    }
    w->merge = NULL;
    w->n_states = 0;
    w->aggregates = false;
    load_columns_free(&w->key);
    load_indexes_free(&w->indexes);
    wpg_watermark_free(&w->watermark);
    schema_free(&w->schema);
    load_inputs_free(&w->inputs, &w->n_inputs);
    load_inputs_free(&w->stored, &w->n_stored);
    free(w->ids);
    w->ids = NULL;
    w->load_id = w->epoch = 0;
    w->n_known = 0;
    w->untouched = false;
    buf_free(&w->params);
    w->care = 0;
}

err_t wpg_schema_fold(struct schema *to, const struct schema *from, struct err *e)
{
    schema_free(to);
    for (uint32_t i = 0; i < from->n; i++) {
        const struct field *f = &from->f[i];
        char *name;
        TRY(wpg_fold("column", f->name, WPG_NAME_MAX, &name, e));
        err_t rc = schema_add(to, name, strlen(name), f->type, f->given, e);
        free(name);
        TRY(rc);
    }
    return ERR_OK;
}

err_t wpg_schema_take(struct warehouse *w, const struct schema *s, struct err *e)
{
    TRY(wpg_schema_fold(&w->schema, s, e));
    free(w->columns);
    return wpg_columns_text(&w->schema, NULL, &w->columns, e);
}

// Columns and indexes are those of the result, and known only then.
static void take_merge(struct warehouse *w, const struct load_identity *id,
                       const struct schema *schema)
{
    w->merge = id->merge;
    w->aggregates = agg_given(&id->merge->spec->aggregate);
    if (w->aggregates) w->n_states = schema->n - (uint32_t)id->merge->spec->aggregate.by.n;
    w->merge_indexes = id->indexes;
    w->n_merge_indexes = id->n_indexes;
}

static err_t take_arguments(struct warehouse *w, const struct load_identity *id,
                            const struct schema *schema, const struct load_input *inputs,
                            size_t n_inputs, struct err *e)
{
    TRY(wpg_fold("table", id->table, WPG_TABLE_NAME_MAX, &w->table, e));
    if (strncmp(w->table, "tranche_", 8) == 0)
        return err_set(e, ERR_INVALID,
                       "table %s: names with tranche_ belong to the ledger, take another",
                       w->table);
    if (schema->n == 0) return err_set(e, ERR_INVALID, "the rows have no column");
    if (schema->n > WPG_COLUMNS_MAX)
        return err_set(e, ERR_INVALID,
                       "the rows have %u columns; a table of PostgreSQL has at most %d",
                       schema->n, WPG_COLUMNS_MAX);
    w->mode = id->mode;
    if (asprintf(&w->place, "table %s of %s", w->table, w->shown) < 0) w->place = NULL;
    if (asprintf(&w->rejects, "%s_rejects", w->table) < 0) w->rejects = NULL;
    if (!w->place || !w->rejects) return err_set(e, ERR_NOMEM, "out of memory");
    TRY(wpg_schema_fold(&w->schema, schema, e));
    TRY(load_inputs_copy(&w->inputs, inputs, n_inputs, e));
    w->n_inputs = n_inputs;
    if (id->mode == MODE_UPSERT) TRY(load_columns_find(&w->schema, id->key, &w->key, e));
    if (id->mode == MODE_INCREMENTAL) {
        w->watermark.column = schema_find(&w->schema, id->watermark);
        assert(w->watermark.column >= 0);
    }
    if (!id->merge)
        return load_indexes_take(&w->indexes, &w->schema, id->indexes, id->n_indexes, e);
    take_merge(w, id, schema);
    return ERR_OK;
}

// The old coordinator's session hangs in its transaction, and nobody may be there any more
// to end it.
static void end_old_session(struct warehouse *w)
{
    char name[64], line[200];
    const char *const values[] = { name };
    int64_t n;
    bool any;
    snprintf(name, sizeof name, "tranche load %" PRIu64, w->load_id);
    err_t rc = wpg_int(w, NULL, &n, &any,
                       "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                       "WHERE application_name = $1 AND pid <> pg_backend_pid() AND pid "
                       "IN (SELECT pid FROM pg_locks WHERE relation = "
                       "to_regclass('tranche_runs'))",
                       1, values);
    if (rc != ERR_OK || n == 0 || !w->say) return;
    snprintf(line, sizeof line,
             "load %" PRIu64 " is taken over: the session of an older run was ended",
             w->load_id);
    w->say(w->say_arg, line);
}

static err_t begin(struct warehouse *w, const struct load_identity *id,
                   const struct buf *params, struct load_state *state, struct err *e)
{
    crash_point("begin-before");
    TRY(wpg_txn_begin(w, e));
    err_t rc = begin_in_txn(w, id, params, state, e);
    if (rc != ERR_OK) {
        wpg_txn_rollback(w);
        if (rc == ERR_BUSY && w->load_id && w->pg) end_old_session(w);
        return rc;
    }
    crash_point("begin-before-commit");
    TRY(wpg_txn_commit(w, e));
    crash_point("begin-after-commit");
    TRY(tell(w, state, e));
    TRY(wpg_table_plan(w, e));
    return wpg_lane_make(w, e);
}

err_t wpg_begin(struct warehouse *w, const struct load_identity *id,
                const struct schema *schema, const struct load_input *inputs,
                size_t n_inputs, const struct buf *params, struct load_state *state,
                struct err *e)
{
    *state = (struct load_state){ 0 };
    wpg_forget_load(w);
    TRY(wpg_ready(w, e));
    err_t rc = take_arguments(w, id, schema, inputs, n_inputs, e);
    if (rc == ERR_OK) rc = wpg_sql_try(w, e);
    if (rc == ERR_OK) rc = begin(w, id, params, state, e);
    if (rc != ERR_OK) {
        load_state_free(state);
        wpg_forget_load(w);
    }
    return rc;
}
