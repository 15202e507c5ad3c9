// Results into the warehouse: images checked and attached first, then one short
// transaction.

#include "coordinator/warehouse_sqlite.h"

#include "common/crash.h"
#include "coordinator/load_inputs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// ---- before the transaction: is it what it says?

err_t wsq_check(const struct warehouse *w, const struct result *r, struct err *e)
{
    TRY(load_check_counts(r, e));
    return r->image ? w->store->check(w, r, e) : ERR_OK;
}

// ---- inside the transaction

static err_t add_rejects(struct warehouse *w, uint32_t input, struct slice list,
                         struct err *e)
{
    size_t at = 0;
    bool bad;
    struct reject one;
    while (rejects_next(list, &at, &one, &bad))
        TRY(wsq_reject_add(w, input, &one, e));
    return ERR_OK;
}

// What one transaction takes: results in order, those of a slot next to each other.
struct group {
    struct result *r[WAREHOUSE_SMALL_GROUP];
    bool *dup[WAREHOUSE_SMALL_GROUP];
    size_t n;
    size_t first[WAREHOUSE_GROUP + 1]; // of each slot's results
    unsigned slots;
    size_t bytes; // of small images in the last slot
};

static err_t add_one(struct warehouse *w, unsigned slot, bool alone, struct result *r,
                     struct rejects *refused, bool *dup, struct err *e)
{
    bool same;
    struct wsq_added added = { 0 };
    struct ledger_row known = r->row;
    TRY(wsq_ledger_overlap(w, &known, dup, &same, e));
    if (*dup && !alone) return err_set(e, ERR_DUP, "one of several is in already");
    if (same) load_counts_known(&r->row, &known);
    if (*dup) return ERR_OK;
    r->row.rows_loaded = r->row.rows_refused = r->row.rows_replaced = 0;
    if (r->image) TRY(w->store->add(w, slot, r, refused, &added, e));
    crash_point("commit-after-rows");
    TRY(add_rejects(w, r->row.range.input, r->rejects, e));
    TRY(add_rejects(w, r->row.range.input,
                    (struct slice){ refused->bytes.p, refused->bytes.n }, e));
    TRY(wsq_ledger_add(w, &r->row, &added, e));
    crash_point("commit-after-ledger");
    return ERR_OK;
}

static err_t add_slot(struct warehouse *w, const struct group *g, unsigned slot,
                      struct err *e)
{
    size_t from = g->first[slot], to = g->first[slot + 1];
    for (size_t i = from; i < to; i++) {
        struct rejects refused = { 0 };
        err_t rc = add_one(w, slot, to - from == 1, g->r[i], &refused, g->dup[i], e);
        rejects_free(&refused);
        TRY(rc);
    }
    return ERR_OK;
}

static err_t add_all(struct warehouse *w, const struct group *g, struct err *e)
{
    TRY(wsq_ledger_fence(w, e));
    TRY(w->store->start(w, e));
    for (unsigned slot = 0; slot < g->slots; slot++)
        TRY(add_slot(w, g, slot, e));
    return w->store->sync(w, e);
}

// ---- a group

static err_t fill_slots(struct warehouse *w, const struct group *g, struct err *e)
{
    for (unsigned slot = 0; slot < g->slots; slot++) {
        size_t from = g->first[slot];
        TRY(w->store->fill(w, slot, g->r + from, g->first[slot + 1] - from, e));
    }
    return ERR_OK;
}

static err_t run_group(struct warehouse *w, const struct group *g, struct err *e)
{
    TRY(fill_slots(w, g, e));
    crash_point("commit-before-begin");
    TRY(wsq_txn_begin(w, e));
    err_t rc = add_all(w, g, e);
    if (rc != ERR_OK) {
        wsq_txn_rollback(w);
        return rc;
    }
    crash_point("commit-before-commit");
    TRY(wsq_txn_commit(w, e));
    crash_point("commit-after-commit");
    return ERR_OK;
}

static err_t commit_group(struct warehouse *w, const struct group *g, struct err *e)
{
    TRY(wsq_ready(w, e));
    err_t rc = wsq_reopen(w, e);
    if (rc == ERR_OK) rc = run_group(w, g, e);
    if (rc == ERR_IO) wsq_give_up(w);
    if (rc == ERR_FULL) wsq_look_afresh(w); // rolled back: what was there still is
    for (unsigned slot = 0; slot < g->slots; slot++)
        w->store->empty(w, slot);
    for (size_t i = 0; i < g->n && rc != ERR_OK; i++)
        *g->dup[i] = false;
    return rc;
}

static void group_add(struct group *g, bool new_slot, struct result *r, bool *dup)
{
    if (new_slot) {
        g->first[g->slots++] = g->n;
        g->bytes = 0;
    }
    g->bytes += r->image_bytes;
    g->r[g->n] = r;
    g->dup[g->n++] = dup;
    g->first[g->slots] = g->n;
}

// False: it is for the next group.
static bool group_take(struct group *g, bool shares, struct result *r, bool *dup)
{
    enum { SHARED_MAX = 512 << 10 }; // bytes of a slot
    if (g->n == WAREHOUSE_SMALL_GROUP) return false;
    bool next_to_it = shares && g->n && result_is_small(r) &&
                      result_is_small(g->r[g->n - 1]) &&
                      g->bytes + r->image_bytes <= SHARED_MAX;
    if (!next_to_it && g->slots == WAREHOUSE_GROUP) return false;
    group_add(g, !next_to_it, r, dup);
    return true;
}

// In as many transactions as it takes.
static err_t commit_results(struct warehouse *w, bool shares, struct result *const *r,
                            bool *const *dup, size_t n, struct err *e)
{
    for (size_t i = 0; i < n;) {
        struct group g = { 0 };
        size_t from = i;
        while (i < n && group_take(&g, shares, r[i], dup[i]))
            i++;
        err_t rc = commit_group(w, &g, e);
        // One of those that share a slot can't be left out of it: each by itself, then.
        if (rc == ERR_DUP && shares)
            rc = commit_results(w, false, r + from, dup + from, g.n, e);
        TRY(rc);
    }
    return ERR_OK;
}

// *good: those that are fit to be committed, in order; the caller's to free.
static err_t check_results(struct warehouse *w, struct result *results, size_t n,
                           struct result **good, size_t *n_good, size_t *failed,
                           struct err *e)
{
    err_t damage = ERR_OK;
    struct err ignored;
    *n_good = 0;
    for (size_t i = 0; i < n; i++) {
        struct result *r = &results[i];
        assert(r->row.range.input < w->n_inputs && r->row.state != LEDGER_SPLIT);
        r->damaged = false;
        r->row.rows_emitted += r->row.rows_skipped; // as an attempt before may have left it
        r->row.rows_skipped = 0;
        err_t rc = r->checked ? ERR_OK : wsq_check(w, r, damage == ERR_OK ? e : &ignored);
        if (rc != ERR_OK && rc != ERR_PROTO) return rc;
        if (rc == ERR_OK) {
            good[(*n_good)++] = r;
            continue;
        }
        r->damaged = true;
        if (damage == ERR_OK) *failed = i;
        damage = ERR_PROTO;
    }
    return damage;
}

static err_t commit_checked(struct warehouse *w, struct result *results,
                            struct result **good, bool **good_dup, size_t n, bool *dup,
                            size_t *failed, struct err *e)
{
    size_t k = 0;
    struct err ours;
    err_t damage = check_results(w, results, n, good, &k, failed, e);
    if (damage != ERR_OK && damage != ERR_PROTO) return damage;
    for (size_t i = 0; i < k; i++)
        good_dup[i] = &dup[good[i] - results];
    bool shares = w->store->shares(w);
    err_t rc = commit_results(w, shares, good, good_dup, k, &ours);
    if (rc == ERR_OK) return damage;
    if (e) *e = ours;
    return rc;
}

err_t wsq_commit(struct warehouse *w, struct result *results, size_t n, bool *dup,
                 size_t *failed, struct err *e)
{
    struct result **good = malloc(n * sizeof *good + 1);
    bool **good_dup = malloc(n * sizeof *good_dup + 1);
    assert(w->load_id);
    memset(dup, 0, n * sizeof *dup);
    err_t rc = good && good_dup
                   ? commit_checked(w, results, good, good_dup, n, dup, failed, e)
                   : err_set(e, ERR_NOMEM, "out of memory");
    free(good);
    free(good_dup);
    return rc;
}

// ---- note

static err_t note_in_txn(struct warehouse *w, const struct ledger_row *row, struct err *e)
{
    bool dup, same;
    struct ledger_row known = *row;
    TRY(wsq_ledger_fence(w, e));
    TRY(wsq_ledger_overlap(w, &known, &dup, &same, e));
    if (same && known.state == row->state) return ERR_OK;
    if (dup) return load_range_known(w->inputs[row->range.input].name, row->range, e);
    return wsq_ledger_add(w, row, &(struct wsq_added){ 0 }, e);
}

err_t wsq_note(struct warehouse *w, const struct ledger_row *row, struct err *e)
{
    assert(w->load_id && row->range.input < w->n_inputs && row->state == LEDGER_SPLIT);
    TRY(ledger_check_row(row, e));
    TRY(wsq_ready(w, e));
    TRY(wsq_reopen(w, e));
    crash_point("note-before-begin");
    TRY(wsq_txn_begin(w, e));
    err_t rc = note_in_txn(w, row, e);
    if (rc != ERR_OK) {
        wsq_txn_rollback(w);
        return rc;
    }
    crash_point("note-before-commit");
    TRY(wsq_txn_commit(w, e));
    crash_point("note-after-commit");
    return ERR_OK;
}
