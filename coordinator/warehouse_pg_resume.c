// A load that goes on: its inputs are compared with what the ledger has of them, and the
// epoch is taken.
//
// A complete one stays complete until there is something to commit: a run that finds
// nothing new, that is refused, or that dies before that leaves it as it was.

#include "coordinator/warehouse_pg.h"

#include "common/crash.h"
#include "coordinator/load_inputs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

static err_t read_inputs(struct warehouse *w, struct err *e)
{
    PGresult *r;
    struct wpg_number id;
    const char *const values[] = { wpg_number(&id, (int64_t)w->load_id) };
    TRY(wpg_query(w, &r, e, "reading the inputs of a load",
                  "SELECT v->>'name', v->>'size', v->>'mtime_ns', v->>'ino', "
                  "v->>'data_begin', v->>'ctime_ns', v->>'by_value', v->>'end' FROM "
                  "tranche_runs, json_array_elements(inputs::json) WITH ORDINALITY x(v, i) "
                  "WHERE load_id = $1 ORDER BY i",
                  1, values));
    err_t rc = ERR_OK;
    for (int i = 0; rc == ERR_OK && i < PQntuples(r); i++) {
        struct load_input in = {
            .name = PQgetvalue(r, i, 0),
            .size = wpg_u64(r, i, 1),
            .mtime_ns = (int64_t)strtoll(PQgetvalue(r, i, 2), NULL, 10),
            .ino = wpg_u64(r, i, 3),
            .data_begin = wpg_u64(r, i, 4),
            .ctime_ns = (int64_t)strtoll(PQgetvalue(r, i, 5), NULL, 10),
            .by_value = wpg_u64(r, i, 6) != 0,
            .end = wpg_u64(r, i, 7),
        };
        rc = load_inputs_add(&w->stored, &w->n_stored, &in, e);
    }
    PQclear(r);
    return rc;
}

// The bytes and rows that the ledger has of a stored input; *any: it has some.
static err_t sum_input(struct warehouse *w, uint32_t input, uint64_t *bytes, uint64_t *rows,
                       bool *any, struct err *e)
{
    PGresult *r;
    struct wpg_number n[2];
    const char *const values[] = { wpg_number(&n[0], (int64_t)w->load_id),
                                   wpg_number(&n[1], input) };
    TRY(wpg_query(w, &r, e, "reading the ledger",
                  "SELECT count(*), sum(byte_end - byte_begin) FILTER (WHERE state <> "
                  "'split'), sum(rows_loaded) FROM tranche_ledger WHERE load = $1 AND "
                  "input = $2",
                  2, values));
    *any = wpg_u64(r, 0, 0) > 0;
    *bytes = wpg_u64(r, 0, 1);
    *rows = wpg_u64(r, 0, 2);
    PQclear(r);
    return ERR_OK;
}

static err_t check_gone(struct warehouse *w, struct err *e)
{
    for (uint32_t id = 0; id < w->n_known; id++) {
        uint64_t bytes, rows;
        bool any, here = false;
        for (size_t i = 0; i < w->n_inputs && !here; i++)
            here = w->ids[i] == id;
        if (here) continue;
        TRY(sum_input(w, id, &bytes, &rows, &any, e));
        if (any) TRY(load_inputs_check_gone(&w->stored[id], w->load_id, bytes, rows, e));
    }
    return ERR_OK;
}

static err_t check_headers(struct warehouse *w, struct err *e)
{
    for (size_t i = 0; i < w->n_inputs; i++) {
        struct load_input *was = &w->stored[w->ids[i]];
        uint64_t bytes, rows;
        bool any;
        if (was->data_begin == w->inputs[i].data_begin) continue;
        TRY(sum_input(w, w->ids[i], &bytes, &rows, &any, e));
        if (any) return load_inputs_header_changed(was, &w->inputs[i], e);
        was->data_begin = w->inputs[i].data_begin;
    }
    return ERR_OK;
}

static err_t check_rows_are_there(struct warehouse *w, struct err *e)
{
    enum wpg_there there;
    int64_t rows;
    bool any;
    struct wpg_number id;
    const char *const values[] = { wpg_number(&id, (int64_t)w->load_id) };
    TRY(wpg_table_find(w, w->target, &there, e));
    if (there != WPG_NOTHING) return ERR_OK;
    TRY(wpg_int(w, e, &rows, &any,
                "SELECT sum(rows_loaded) FROM tranche_ledger WHERE load = $1", 1, values));
    if (rows == 0) return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "table %s of %s is gone, but load %" PRIu64
                   " had put %lld rows into it. --fresh starts over",
                   w->target, w->shown, w->load_id, (long long)rows);
}

const char *wpg_load_state(const struct load_row *load)
{
    return load->complete ? "complete" : "loading";
}

err_t wpg_load_taken(struct warehouse *w, PGresult *updated, struct err *e)
{
    bool taken = strcmp(PQcmdTuples(updated), "1") == 0;
    uint64_t id = w->load_id;
    PQclear(updated);
    if (taken) return ERR_OK;
    w->load_id = 0; // nobody's session is in the way
    return err_set(e, ERR_BUSY, "%s: another run changed load %" PRIu64 " meanwhile",
                   w->place, id);
}

// This is what waits for the transaction of an older coordinator, which may be its last.
static err_t take_epoch(struct warehouse *w, const struct load_row *was, struct err *e)
{
    struct load_self self;
    struct wpg_number load, epoch, pid, old;
    PGresult *r;
    TRY(load_self(&self, e));
    const char *const values[] = { wpg_number(&load, (int64_t)w->load_id),
                                   wpg_number(&epoch, (int64_t)w->epoch),
                                   self.host,
                                   wpg_number(&pid, getpid()),
                                   wpg_number(&old, (int64_t)was->epoch),
                                   wpg_load_state(was) };
    TRY(wpg_query(w, &r, e, "taking the load over",
                  "UPDATE tranche_runs SET epoch = $2, host = $3, pid = $4 WHERE load_id = "
                  "$1 AND epoch = $5 AND state = $6",
                  6, values));
    return wpg_load_taken(w, r, e);
}

// `params` NULL: those that it has stay.
static err_t mark_loading(struct warehouse *w, const struct buf *params, struct err *e)
{
    struct buf json = { 0 };
    struct wpg_number load;
    PGresult *r;
    char *hex = params ? wpg_hex(params) : NULL;
    err_t rc = params && !hex ? err_set(e, ERR_NOMEM, "out of memory")
                              : load_inputs_json(w->stored, w->n_stored, &json, e);
    const char *const values[] = { wpg_number(&load, (int64_t)w->load_id),
                                   (const char *)json.p, hex };
    if (rc == ERR_OK)
        rc = wpg_query(w, &r, e, "writing tranche_runs",
                       "UPDATE tranche_runs SET state = 'loading', inputs = $2, finished = "
                       "NULL, params = coalesce($3, params) WHERE load_id = $1",
                       3, values);
    if (rc == ERR_OK) PQclear(r);
    buf_free(&json);
    free(hex);
    return rc;
}

err_t wpg_go_on(struct warehouse *w, const struct load_row *load, const struct buf *params,
                struct err *e)
{
    w->load_id = load->id;
    w->epoch = load->epoch + 1;
    TRY(load_target(&w->target, w->mode, w->table, w->load_id, load->staging, e));
    TRY(read_inputs(w, e));
    w->n_known = w->n_stored;
    TRY(load_inputs_match(&w->stored, &w->n_stored, w->inputs, w->n_inputs, &w->ids, e));
    if (!params) TRY(check_gone(w, e));
    TRY(check_headers(w, e));
    TRY(check_rows_are_there(w, e));
    TRY(wpg_table_ensure(w, e));
    TRY(take_epoch(w, load, e));
    if (params) {
        w->untouched = true;
        if (params->n) TRY(buf_add(&w->params, params->p, params->n, e));
    } else {
        TRY(mark_loading(w, NULL, e));
    }
    return wpg_watermark_start(w, e);
}

// ---- what was complete has more to load

static err_t nobody_else(struct warehouse *w, struct err *e)
{
    int64_t other;
    bool any;
    struct wpg_number id;
    const char *const values[] = { wpg_number(&id, (int64_t)w->load_id), w->table };
    TRY(wpg_int(
        w, e, &other, &any,
        "SELECT load_id FROM tranche_runs WHERE state = 'loading' AND load_id <> $1 "
        "AND table_name = $2 LIMIT 1",
        2, values));
    return any ? load_began_meanwhile(w->place, (uint64_t)other, e) : ERR_OK;
}

static err_t reopen_in_txn(struct warehouse *w, struct err *e)
{
    TRY(wpg_ledger_fence(w, e));
    TRY(nobody_else(w, e));
    return mark_loading(w, &w->params, e);
}

err_t wpg_reopen(struct warehouse *w, struct err *e)
{
    if (!w->untouched) return ERR_OK;
    TRY(wpg_ready(w, e));
    crash_point("reopen-before");
    TRY(wpg_txn_begin(w, e));
    err_t rc = reopen_in_txn(w, e);
    if (rc != ERR_OK) {
        wpg_txn_rollback(w);
        return rc;
    }
    crash_point("reopen-before-commit");
    TRY(wpg_txn_commit(w, e));
    crash_point("reopen-after-commit");
    w->untouched = false;
    if (w->lane) w->lane->untouched = false;
    return ERR_OK;
}
