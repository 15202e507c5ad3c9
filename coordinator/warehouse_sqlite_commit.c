// Results into the warehouse: images checked and attached first, then one short
// transaction.

#include "coordinator/warehouse_sqlite.h"

#include "common/crash.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

// ---- before the transaction: is it what it says?

static err_t check_rejects(const struct result *r, struct err *e)
{
    size_t at = 0;
    uint64_t n = 0;
    bool bad;
    struct reject one;
    while (rejects_next(r->rejects, &at, &one, &bad)) {
        if (one.line > INT64_MAX || one.byte > INT64_MAX)
            return err_set(e, ERR_PROTO, "a rejected row is nowhere");
        n++;
    }
    if (bad) return err_set(e, ERR_PROTO, "the list of rejected rows is damaged");
    if (n != r->row.rows_rejected)
        return err_set(e, ERR_PROTO,
                       "%" PRIu64 " rows are rejected, but %" PRIu64 " are listed",
                       r->row.rows_rejected, n);
    return ERR_OK;
}

err_t wsq_check(const struct warehouse *w, const struct result *r, struct err *e)
{
    TRY(ledger_check_row(&r->row, e));
    TRY(check_rejects(r, e));
    if (r->image) return w->store->check(w, r, e);
    if (r->row.rows_emitted)
        return err_set(e, ERR_PROTO, "%" PRIu64 " rows were announced, none came",
                       r->row.rows_emitted);
    return ERR_OK;
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

static err_t add_one(struct warehouse *w, unsigned slot, struct result *r,
                     struct rejects *refused, bool *dup, struct err *e)
{
    bool same;
    struct wsq_added added = { 0 };
    struct ledger_row known = r->row;
    TRY(wsq_ledger_overlap(w, &known, dup, &same, e));
    if (same) {
        r->row.rows_emitted = known.rows_emitted;
        r->row.rows_loaded = known.rows_loaded;
        r->row.rows_refused = known.rows_refused;
        r->row.rows_replaced = known.rows_replaced;
        r->row.rows_skipped = known.rows_skipped;
    }
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

static err_t add_all(struct warehouse *w, struct result *const *group, unsigned n,
                     bool *const *dup, struct err *e)
{
    TRY(wsq_ledger_fence(w, e));
    TRY(w->store->start(w, e));
    for (unsigned i = 0; i < n; i++) {
        struct rejects refused = { 0 };
        err_t rc = add_one(w, i, group[i], &refused, dup[i], e);
        rejects_free(&refused);
        TRY(rc);
    }
    return w->store->sync(w, e);
}

// ---- a group: as many results as there are slots

static err_t run_group(struct warehouse *w, struct result *const *group, unsigned n,
                       bool *const *dup, struct err *e)
{
    for (unsigned i = 0; i < n; i++)
        if (group[i]->image) TRY(w->store->fill(w, i, group[i], e));
    crash_point("commit-before-begin");
    TRY(wsq_txn_begin(w, e));
    err_t rc = add_all(w, group, n, dup, e);
    if (rc != ERR_OK) {
        wsq_txn_rollback(w);
        return rc;
    }
    crash_point("commit-before-commit");
    TRY(wsq_txn_commit(w, e));
    crash_point("commit-after-commit");
    return ERR_OK;
}

static void empty_slots(struct warehouse *w, struct result *const *group, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (group[i]->image) w->store->empty(w, i);
}

static err_t commit_group(struct warehouse *w, struct result *const *group, unsigned n,
                          bool *const *dup, struct err *e)
{
    TRY(wsq_ready(w, e));
    err_t rc = run_group(w, group, n, dup, e);
    if (rc == ERR_IO || rc == ERR_FULL) wsq_look_afresh(w);
    empty_slots(w, group, n);
    for (unsigned i = 0; i < n && rc != ERR_OK; i++)
        *dup[i] = false;
    return rc;
}

err_t wsq_commit(struct warehouse *w, struct result *results, size_t n, bool *dup,
                 size_t *failed, struct err *e)
{
    struct result *group[WAREHOUSE_GROUP];
    bool *group_dup[WAREHOUSE_GROUP];
    unsigned in_group = 0;
    err_t damage = ERR_OK;
    struct err ignored;
    assert(w->load_id);
    for (size_t i = 0; i < n; i++) {
        struct result *r = &results[i];
        assert(r->row.range.input < w->n_inputs && r->row.state != LEDGER_SPLIT);
        dup[i] = false;
        r->damaged = false;
        r->row.rows_emitted += r->row.rows_skipped; // as an attempt before may have left it
        r->row.rows_skipped = 0;
        err_t rc = r->checked ? ERR_OK : wsq_check(w, r, damage == ERR_OK ? e : &ignored);
        if (rc != ERR_OK && rc != ERR_PROTO) return rc;
        if (rc == ERR_PROTO) {
            r->damaged = true;
            if (damage == ERR_OK) *failed = i;
            damage = ERR_PROTO;
        } else {
            group[in_group] = r;
            group_dup[in_group++] = &dup[i];
        }
        if (in_group == WAREHOUSE_GROUP || (i + 1 == n && in_group)) {
            struct err group_err;
            rc = commit_group(w, group, in_group, group_dup, &group_err);
            if (rc != ERR_OK) {
                if (e) *e = group_err;
                return rc;
            }
            in_group = 0;
        }
    }
    return damage;
}

// ---- note

static err_t note_in_txn(struct warehouse *w, const struct ledger_row *row, struct err *e)
{
    bool dup, same;
    struct ledger_row known = *row;
    TRY(wsq_ledger_fence(w, e));
    TRY(wsq_ledger_overlap(w, &known, &dup, &same, e));
    if (same && known.state == row->state) return ERR_OK;
    if (dup)
        return err_set(e, ERR_DUP,
                       "%s: the ledger has something of bytes %" PRIu64 " to %" PRIu64
                       " already",
                       w->inputs[row->range.input].name, row->range.begin, row->range.end);
    return wsq_ledger_add(w, row, &(struct wsq_added){ 0 }, e);
}

err_t wsq_note(struct warehouse *w, const struct ledger_row *row, struct err *e)
{
    assert(w->load_id && row->range.input < w->n_inputs && row->state == LEDGER_SPLIT);
    TRY(ledger_check_row(row, e));
    TRY(wsq_ready(w, e));
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
