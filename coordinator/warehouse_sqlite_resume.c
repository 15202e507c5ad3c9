// A load that goes on: its inputs are compared with what the ledger has of them, and the
// epoch is taken.
//
// A complete one stays complete until there is something to commit: a run that finds
// nothing new, that is refused, or that dies before that leaves it as it was.

#include "coordinator/warehouse_sqlite.h"

#include "common/crash.h"
#include "coordinator/load_inputs.h"

#include <inttypes.h>
#include <unistd.h>

static err_t check_headers(struct warehouse *w, struct err *e)
{
    for (size_t i = 0; i < w->n_inputs; i++) {
        struct load_input *was = &w->stored[w->ids[i]];
        if (was->data_begin == w->inputs[i].data_begin) continue;
        int64_t n;
        bool any;
        TRY(wsq_int(w, e, &n, &any,
                    "SELECT 1 FROM main.tranche_ledger WHERE load = %lld AND input = %lld "
                    "LIMIT 1",
                    (long long)w->load_id, (long long)w->ids[i]));
        if (any) return load_inputs_header_changed(was, &w->inputs[i], e);
        was->data_begin = w->inputs[i].data_begin;
    }
    return ERR_OK;
}

static err_t take_epoch(struct warehouse *w, struct err *e)
{
    struct load_self self;
    sqlite3_stmt *st;
    bool row;
    TRY(load_self(&self, e));
    TRY(wsq_prepare(w, &st, e,
                    "UPDATE main.tranche_runs SET epoch = ?2, host = ?3, pid = ?4 "
                    "WHERE load_id = ?1"));
    err_t rc = wsq_bind(w, st, e, "iiti", (int64_t)w->load_id, (int64_t)w->epoch, self.host,
                        (int64_t)getpid());
    if (rc == ERR_OK) rc = wsq_step(w, st, &row, e, "writing tranche_runs");
    sqlite3_finalize(st);
    return rc;
}

// `params` NULL: those that it has stay.
static err_t mark_loading(struct warehouse *w, const struct buf *params, struct err *e)
{
    struct buf json = { 0 };
    sqlite3_stmt *st = NULL;
    bool row;
    err_t rc = load_inputs_json(w->stored, w->n_stored, &json, e);
    if (rc == ERR_OK)
        rc = wsq_prepare(w, &st, e,
                         "UPDATE main.tranche_runs SET state = 'loading', inputs = ?2, "
                         "finished = NULL %s WHERE load_id = ?1",
                         params ? ", params = ?3" : "");
    if (rc == ERR_OK)
        rc = wsq_bind(w, st, e, params ? "itb" : "it", (int64_t)w->load_id,
                      (const char *)json.p, (const void *)(params ? params->p : NULL),
                      params ? params->n : 0);
    if (rc == ERR_OK) rc = wsq_step(w, st, &row, e, "writing tranche_runs");
    sqlite3_finalize(st);
    buf_free(&json);
    return rc;
}

err_t wsq_go_on(struct warehouse *w, const struct load_row *load, const struct buf *params,
                struct err *e)
{
    w->load_id = load->id;
    w->epoch = load->epoch + 1;
    TRY(load_target(&w->target, w->mode, w->table, w->load_id, load->staging, e));
    TRY(wsq_inputs_read(w, w->load_id, e));
    w->n_known = w->n_stored;
    TRY(wsq_inputs_match(w, e));
    if (!params) TRY(wsq_inputs_check_gone(w, e));
    TRY(check_headers(w, e));
    TRY(w->store->ensure(w, e));
    TRY(take_epoch(w, e));
    if (params) {
        w->untouched = true;
        if (params->n) TRY(buf_add(&w->params, params->p, params->n, e));
    } else {
        TRY(mark_loading(w, NULL, e));
    }
    return wsq_watermark_start(w, e);
}

// ---- what was complete has more to load

static err_t nobody_else(struct warehouse *w, struct err *e)
{
    int64_t other;
    bool any;
    TRY(wsq_int(w, e, &other, &any,
                "SELECT load_id FROM main.tranche_runs WHERE state = 'loading' AND "
                "load_id <> %lld AND table_name = %Q COLLATE NOCASE LIMIT 1",
                (long long)w->load_id, w->table));
    return any ? load_began_meanwhile(w->place, (uint64_t)other, e) : ERR_OK;
}

static err_t reopen_in_txn(struct warehouse *w, struct err *e)
{
    TRY(wsq_ledger_fence(w, e));
    TRY(nobody_else(w, e));
    return mark_loading(w, &w->params, e);
}

static err_t reopen(struct warehouse *w, struct err *e)
{
    crash_point("reopen-before");
    TRY(wsq_txn_begin(w, e));
    err_t rc = reopen_in_txn(w, e);
    if (rc != ERR_OK) {
        wsq_txn_rollback(w);
        return rc;
    }
    crash_point("reopen-before-commit");
    TRY(wsq_txn_commit(w, e));
    crash_point("reopen-after-commit");
    return ERR_OK;
}

// As in begin(): a file with more than the ledger knows is taken for somebody's own, unless
// a load is known to be under way.
err_t wsq_reopen(struct warehouse *w, struct err *e)
{
    if (!w->untouched) return ERR_OK;
    if (w->files) TRY(wsq_outlives_power_cuts(w, true, e));
    TRY(reopen(w, e));
    if (w->files) TRY(wsq_outlives_power_cuts(w, false, e));
    w->untouched = false;
    return ERR_OK;
}
