// The end of a load: the proof, and in the same transaction the swap and the word
// "complete".

#include "coordinator/warehouse_sqlite.h"

#include "common/crash.h"
#include "coordinator/load_inputs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static err_t add_to_proof(void *arg, const struct ledger_row *row, struct err *e)
{
    return ledger_proof_add(arg, row, e);
}

static err_t prove(struct warehouse *w, const uint64_t *input_end,
                   struct ledger_row *totals, struct err *e)
{
    for (size_t i = 0; i < w->n_inputs; i++) {
        const struct load_input *in = &w->inputs[i];
        struct ledger_proof p;
        TRY(ledger_proof_start(&p, in->name, (uint32_t)i, in->data_begin, input_end[i], e));
        TRY(wsq_ledger_each(w, (int64_t)i, add_to_proof, &p, e));
        TRY(ledger_proof_end(&p, e));
        totals[i] = p.total;
    }
    return ERR_OK;
}

static err_t mark_run(struct warehouse *w, const char *state, const struct buf *json,
                      struct err *e)
{
    struct load_self self;
    sqlite3_stmt *st;
    bool row;
    TRY(load_self(&self, e));
    TRY(wsq_prepare(
        w, &st, e,
        "UPDATE main.tranche_runs SET state = ?2, finished = ?3, inputs = ?4, "
        "staging = NULL, watermark = (SELECT max(v) FROM (SELECT watermark_from "
        "AS v UNION ALL SELECT watermark FROM main.tranche_ledger WHERE load = "
        "?1)) WHERE load_id = ?1"));
    err_t rc = wsq_bind(w, st, e, "ittt", (int64_t)w->load_id, state, self.when,
                        (const char *)json->p);
    if (rc == ERR_OK) rc = wsq_step(w, st, &row, e, "writing tranche_runs");
    sqlite3_finalize(st);
    return rc;
}

// The old table is gone, and with it everything that earlier loads put into it.
static err_t forget_replaced(struct warehouse *w, struct err *e)
{
    TRY(wsq_exec(w, e, "forgetting replaced loads",
                 "DELETE FROM main.\"%w\" WHERE run <> %lld", w->rejects,
                 (long long)w->load_id));
    return wsq_exec(w, e, "forgetting replaced loads",
                    "UPDATE main.tranche_runs SET state = 'replaced' WHERE load_id <> %lld "
                    "AND table_name = %Q COLLATE NOCASE AND (state = 'complete' OR "
                    "state = 'loading' AND staging IS NULL);"
                    "DELETE FROM main.tranche_ledger WHERE load IN (SELECT load_id "
                    "FROM main.tranche_runs WHERE state IN ('replaced','dropped') "
                    "AND table_name = %Q COLLATE NOCASE)",
                    (long long)w->load_id, w->table, w->table);
}

// An upsert reads everything again and lays it over the table: what the same job said
// before, and what it rejected, says nothing any more.
static err_t forget_upserts(struct warehouse *w, struct err *e)
{
    TRY(wsq_exec(
        w, e, "forgetting earlier loads",
        "UPDATE main.tranche_runs SET state = 'replaced' WHERE load_id <> %lld AND "
        "table_name = %Q COLLATE NOCASE AND state = 'complete' AND "
        "(mode, sources, spec) = (SELECT mode, sources, spec FROM "
        "main.tranche_runs WHERE load_id = %lld)",
        (long long)w->load_id, w->table, (long long)w->load_id));
    return wsq_exec(
        w, e, "forgetting earlier loads",
        "DELETE FROM main.\"%w\" WHERE run IN (SELECT load_id FROM "
        "main.tranche_runs WHERE state = 'replaced' AND table_name = %Q COLLATE "
        "NOCASE);"
        "DELETE FROM main.tranche_ledger WHERE load IN (SELECT load_id FROM "
        "main.tranche_runs WHERE state = 'replaced' AND table_name = %Q COLLATE "
        "NOCASE)",
        w->rejects, w->table, w->table);
}

// A finish whose outcome was unknown may have been in.
static err_t already_finished(struct warehouse *w, bool *yes, struct err *e)
{
    int64_t n;
    return wsq_int(w, e, &n, yes,
                   "SELECT 1 FROM main.tranche_runs WHERE load_id = %lld AND epoch = %lld "
                   "AND state IN ('complete','dropped') AND finished IS NOT NULL",
                   (long long)w->load_id, (long long)w->epoch);
}

static err_t finish_in_txn(struct warehouse *w, const uint64_t *input_end, bool swap,
                           struct ledger_row *totals, struct err *e)
{
    bool done = false;
    struct buf json = { 0 };
    if (!w->untouched) TRY(already_finished(w, &done, e));
    if (!done) TRY(wsq_ledger_fence(w, e));
    TRY(prove(w, input_end, totals, e));
    if (done) return ERR_OK;
    bool drop = w->mode == MODE_REPLACE && !swap;
    bool swaps = w->mode == MODE_REPLACE && swap;
    TRY(w->store->complete(w, swaps, drop, e));
    if (swaps) TRY(forget_replaced(w, e));
    if (w->mode == MODE_UPSERT) TRY(forget_upserts(w, e));
    load_inputs_remember(w->stored, w->inputs, w->n_inputs, w->ids, input_end);
    err_t rc = load_inputs_json(w->stored, w->n_stored, &json, e);
    if (rc == ERR_OK) rc = mark_run(w, drop ? "dropped" : "complete", &json, e);
    buf_free(&json);
    return rc;
}

static err_t finish(struct warehouse *w, const uint64_t *input_end, bool swap,
                    struct ledger_row *totals, struct err *e)
{
    crash_point("finish-before-begin");
    TRY(wsq_txn_begin(w, e));
    err_t rc = finish_in_txn(w, input_end, swap, totals, e);
    if (rc != ERR_OK) {
        wsq_txn_rollback(w);
        return rc;
    }
    crash_point("finish-before-commit");
    TRY(wsq_txn_commit(w, e));
    crash_point("finish-after-commit");
    return ERR_OK;
}

err_t wsq_finish(struct warehouse *w, const uint64_t *input_end, bool swap,
                 struct ledger_row *totals_by_input, struct err *e)
{
    assert(w->load_id);
    TRY(wsq_ready(w, e));
    TRY(wsq_outlives_power_cuts(w, true, e)); // nobody hears before that it is complete
    bool swaps = w->mode == MODE_REPLACE && swap;
    err_t rc = w->store->prepare(w, swaps, e);
    if (rc == ERR_OK) rc = finish(w, input_end, swap, totals_by_input, e);
    err_t after = w->store->done(w, swaps, rc == ERR_OK, rc == ERR_OK ? e : NULL);
    return rc == ERR_OK ? after : rc;
}
