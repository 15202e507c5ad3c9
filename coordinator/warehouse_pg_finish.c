// The end of a load: the proof, and in the same transaction the swap and the word
// "complete".

#include "coordinator/warehouse_pg.h"

#include "common/crash.h"
#include "coordinator/load_inputs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

// ---- the proof

struct proving {
    struct warehouse *w;
    const uint64_t *input_end;
    struct ledger_row *totals;
    struct ledger_proof *of; // one an input
};

static err_t add_to_proof(void *arg, const struct ledger_row *row, struct err *e)
{
    struct proving *p = arg;
    return ledger_proof_add(&p->of[row->range.input], row, e);
}

static err_t prove_all(struct proving *p, struct err *e)
{
    struct warehouse *w = p->w;
    for (size_t i = 0; i < w->n_inputs; i++)
        TRY(ledger_proof_start(&p->of[i], w->inputs[i].name, (uint32_t)i,
                               w->inputs[i].data_begin, p->input_end[i], e));
    TRY(wpg_ledger_each(w, add_to_proof, p, e));
    for (size_t i = 0; i < w->n_inputs; i++) {
        TRY(ledger_proof_end(&p->of[i], e));
        p->totals[i] = p->of[i].total;
    }
    return ERR_OK;
}

static err_t prove(struct warehouse *w, const uint64_t *input_end,
                   struct ledger_row *totals, struct err *e)
{
    struct proving p = { w, input_end, totals, calloc(w->n_inputs + 1, sizeof *p.of) };
    if (!p.of) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = prove_all(&p, e);
    free(p.of);
    return rc;
}

// ---- what is kept of it

static err_t mark_run(struct warehouse *w, const char *state, const char *json,
                      struct err *e)
{
    struct load_self self;
    struct wpg_number id;
    char *mark;
    PGresult *r;
    TRY(load_self(&self, e));
    TRY(wpg_watermark_end(w, &mark, e));
    const char *const values[] = { wpg_number(&id, (int64_t)w->load_id), state, self.when,
                                   json, mark };
    err_t rc = wpg_query(w, &r, e, "writing tranche_runs",
                         "UPDATE tranche_runs SET state = $2, finished = $3, inputs = $4, "
                         "staging = NULL, watermark = $5 WHERE load_id = $1",
                         5, values);
    PQclear(r);
    free(mark);
    return rc;
}

// Replaced: the old table is gone, and with it everything that earlier loads put into it.
// Upsert: it reads everything again and lays it over the table, so what the same job said
// and rejected before says nothing any more.
static err_t forget_earlier(struct warehouse *w, bool only_same, struct err *e)
{
    struct wpg_number id;
    PGresult *r;
    const char *const values[] = { wpg_number(&id, (int64_t)w->load_id), w->table };
    TRY(wpg_query(
        w, &r, e, "forgetting earlier loads",
        only_same ? "UPDATE tranche_runs SET state = 'replaced' WHERE load_id <> $1 AND "
                    "table_name = $2 AND state = 'complete' AND (mode, sources, spec) = "
                    "(SELECT mode, sources, spec FROM tranche_runs WHERE load_id = $1)"
                  : "UPDATE tranche_runs SET state = 'replaced' WHERE load_id <> $1 AND "
                    "table_name = $2 AND (state = 'complete' OR state = 'loading' AND "
                    "staging IS NULL)",
        2, values));
    PQclear(r);
    TRY(wpg_query(
        w, &r, e, "forgetting earlier loads",
        "DELETE FROM tranche_ledger WHERE load <> $1 AND load IN (SELECT load_id "
        "FROM tranche_runs WHERE state IN ('replaced','dropped') AND table_name = "
        "$2)",
        2, values));
    PQclear(r);
    char *rejects = pg_quoted(w->rejects);
    if (!rejects) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = wpg_do(w, e, "forgetting earlier loads",
                      only_same ? "DELETE FROM %s WHERE run <> %" PRIu64
                                  " AND run IN (SELECT load_id FROM tranche_runs WHERE "
                                  "state = 'replaced')"
                                : "DELETE FROM %s WHERE run <> %" PRIu64,
                      rejects, w->load_id);
    free(rejects);
    return rc;
}

// A finish whose outcome was unknown may have been in.
static err_t already_finished(struct warehouse *w, bool *yes, struct err *e)
{
    int64_t n;
    struct wpg_number id, epoch;
    const char *const values[] = { wpg_number(&id, (int64_t)w->load_id),
                                   wpg_number(&epoch, (int64_t)w->epoch) };
    return wpg_int(w, e, &n, yes,
                   "SELECT 1 FROM tranche_runs WHERE load_id = $1 AND epoch = $2 AND state "
                   "IN ('complete','dropped') AND finished IS NOT NULL",
                   2, values);
}

static err_t drop_staged(struct warehouse *w, struct err *e)
{
    char *target = pg_quoted(w->target);
    if (!target) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = wpg_do(w, e, "dropping the staged table", "DROP TABLE %s", target);
    free(target);
    return rc;
}

static err_t swap_in(struct warehouse *w, struct err *e)
{
    char *result = NULL;
    if (!w->merge) return wpg_swap(w, w->target, e);
    if (asprintf(&result, "%s_result", w->target) < 0)
        return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = wpg_merge(w, result, e);
    if (rc == ERR_OK) rc = wpg_swap(w, result, e);
    free(result);
    return rc;
}

static err_t complete(struct warehouse *w, bool swap, struct err *e)
{
    if (w->mode == MODE_UPSERT) TRY(forget_earlier(w, true, e));
    if (w->mode != MODE_REPLACE) return wpg_indexes_build(w, w->table, e);
    if (!swap) return drop_staged(w, e);
    TRY(swap_in(w, e));
    return forget_earlier(w, false, e);
}

static err_t finish_in_txn(struct warehouse *w, const uint64_t *input_end, bool swap,
                           struct ledger_row *totals, struct err *e)
{
    bool done = false, drop = w->mode == MODE_REPLACE && !swap;
    struct buf json = { 0 };
    if (!w->untouched) TRY(already_finished(w, &done, e));
    if (!done) TRY(wpg_ledger_fence(w, e));
    TRY(prove(w, input_end, totals, e));
    if (done) return ERR_OK;
    TRY(complete(w, swap, e));
    load_inputs_remember(w->stored, w->inputs, w->n_inputs, w->ids, input_end);
    err_t rc = load_inputs_json(w->stored, w->n_stored, &json, e);
    if (rc == ERR_OK)
        rc = mark_run(w, drop ? "dropped" : "complete", (const char *)json.p, e);
    buf_free(&json);
    return rc;
}

err_t wpg_finish(struct warehouse *w, const uint64_t *input_end, bool swap,
                 struct ledger_row *totals_by_input, struct err *e)
{
    assert(w->load_id);
    TRY(wpg_ready(w, e));
    crash_point("finish-before-begin");
    TRY(wpg_txn_begin(w, e));
    err_t rc = finish_in_txn(w, input_end, swap, totals_by_input, e);
    if (rc != ERR_OK) {
        wpg_txn_rollback(w);
        return rc;
    }
    crash_point("finish-before-commit");
    TRY(wpg_txn_commit(w, e));
    crash_point("finish-after-commit");
    return ERR_OK;
}
