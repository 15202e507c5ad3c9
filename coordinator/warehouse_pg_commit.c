// Results into the warehouse, in one transaction: rows, rejects, ledger.

#include "coordinator/warehouse_pg.h"

#include "common/crash.h"
#include "coordinator/load_inputs.h"

#include <assert.h>
#include <inttypes.h>

enum { CARE_GROUPS = 16 }; // where one row was refused, more will be

err_t wpg_check(const struct warehouse *w, const struct result *r, struct err *e)
{
    TRY(load_check_counts(r, e));
    if (r->image && w->aggregates) return wpg_states_check(w, r, e);
    if (r->image)
        return pg_copy_check(r->image, r->image_bytes, &w->schema, r->row.rows_emitted, e);
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
        TRY(wpg_reject_add(w, input, &one, e));
    return ERR_OK;
}

static err_t add_one(struct warehouse *w, struct result *r, bool *dup, bool *refusal,
                     struct rejects *refused, struct err *e)
{
    bool same, care = w->care > 0;
    struct ledger_row known = r->row;
    r->row.rows_emitted += r->row.rows_skipped; // as an attempt before may have left it
    r->row.rows_skipped = 0;
    TRY(wpg_ledger_overlap(w, &known, dup, &same, e));
    if (same) load_counts_known(&r->row, &known);
    if (*dup) return ERR_OK;
    r->row.rows_loaded = r->row.rows_refused = r->row.rows_replaced = 0;
    w->watermark.greatest.cell.kind = CELL_NULL;
    if (r->image)
        TRY(w->aggregates ? wpg_states_add(w, r, e)
                          : wpg_rows_add(w, r, care, refusal, refused, e));
    crash_point("commit-after-rows");
    TRY(add_rejects(w, r->row.range.input, r->rejects, e));
    TRY(add_rejects(w, r->row.range.input,
                    (struct slice){ refused->bytes.p, refused->bytes.n }, e));
    // A savepoint's rows have the number of a transaction of their own; those of an upsert
    // are not only ours.
    TRY(wpg_ledger_add(w, &r->row, !care && !w->key.n && r->row.rows_loaded, e));
    crash_point("commit-after-ledger");
    return ERR_OK;
}

static err_t add_all(struct warehouse *w, struct result *const *group, unsigned n,
                     bool *const *dup, bool *refusal, struct err *e)
{
    TRY(wpg_ledger_fence(w, e));
    w->reject_rows.n = 0;
    for (unsigned i = 0; i < n; i++) {
        struct rejects refused = { 0 };
        err_t rc = add_one(w, group[i], dup[i], refusal, &refused, e);
        rejects_free(&refused);
        TRY(rc);
    }
    return wpg_rejects_write(w, e);
}

// ---- a group

static err_t run_group(struct warehouse *w, struct result *const *group, unsigned n,
                       bool *const *dup, bool *refusal, struct err *e)
{
    *refusal = false;
    crash_point("commit-before-begin");
    TRY(wpg_txn_begin(w, e));
    err_t rc = add_all(w, group, n, dup, refusal, e);
    if (rc != ERR_OK) {
        wpg_txn_rollback(w);
        return rc;
    }
    crash_point("commit-before-commit");
    TRY(wpg_txn_commit(w, e));
    crash_point("commit-after-commit");
    return ERR_OK;
}

static err_t commit_group(struct warehouse *w, struct result *const *group, unsigned n,
                          bool *const *dup, struct err *e)
{
    bool refusal;
    TRY(wpg_ready(w, e));
    err_t rc = run_group(w, group, n, dup, &refusal, e);
    if (refusal) {
        w->care = CARE_GROUPS;
        rc = run_group(w, group, n, dup, &refusal, e);
    } else if (w->care) {
        w->care--;
    }
    for (unsigned i = 0; i < n && rc != ERR_OK; i++)
        *dup[i] = false;
    return rc;
}

err_t wpg_commit(struct warehouse *w, struct result *results, size_t n, bool *dup,
                 size_t *failed, struct err *e)
{
    struct result *group[WAREHOUSE_SMALL_GROUP];
    bool *group_dup[WAREHOUSE_SMALL_GROUP];
    unsigned in_group = 0, large = 0;
    err_t damage = ERR_OK;
    struct err ignored;
    assert(w->load_id);
    for (size_t i = 0; i < n; i++) {
        struct result *r = &results[i];
        assert(r->row.range.input < w->n_inputs && r->row.state != LEDGER_SPLIT);
        dup[i] = false;
        r->damaged = false;
        err_t rc = r->checked ? ERR_OK : wpg_check(w, r, damage == ERR_OK ? e : &ignored);
        if (rc != ERR_OK && rc != ERR_PROTO) return rc;
        if (rc == ERR_PROTO) {
            r->damaged = true;
            if (damage == ERR_OK) *failed = i;
            damage = ERR_PROTO;
        } else {
            group[in_group] = r;
            group_dup[in_group++] = &dup[i];
            large += !result_is_small(r);
        }
        bool full = large == WAREHOUSE_GROUP || in_group == WAREHOUSE_SMALL_GROUP;
        if (full || (i + 1 == n && in_group)) {
            struct err group_err;
            rc = wpg_reopen(w, &group_err);
            if (rc == ERR_OK)
                rc = wpg_lane_commit(w, group, in_group, group_dup, commit_group,
                                     &group_err);
            if (rc != ERR_OK) {
                if (e) *e = group_err;
                return rc;
            }
            in_group = large = 0;
        }
    }
    return damage;
}

// ---- note

static err_t note_in_txn(struct warehouse *w, const struct ledger_row *row, struct err *e)
{
    bool dup, same;
    struct ledger_row known = *row;
    TRY(wpg_ledger_fence(w, e));
    TRY(wpg_ledger_overlap(w, &known, &dup, &same, e));
    if (same && known.state == row->state) return ERR_OK;
    if (dup) return load_range_known(w->inputs[row->range.input].name, row->range, e);
    w->watermark.greatest.cell.kind = CELL_NULL;
    return wpg_ledger_add(w, row, false, e);
}

err_t wpg_note(struct warehouse *w, const struct ledger_row *row, struct err *e)
{
    assert(w->load_id && row->range.input < w->n_inputs && row->state == LEDGER_SPLIT);
    TRY(ledger_check_row(row, e));
    TRY(wpg_reopen(w, e));
    TRY(wpg_ready(w, e));
    crash_point("note-before-begin");
    TRY(wpg_txn_begin(w, e));
    err_t rc = note_in_txn(w, row, e);
    if (rc != ERR_OK) {
        wpg_txn_rollback(w);
        return rc;
    }
    crash_point("note-before-commit");
    TRY(wpg_txn_commit(w, e));
    crash_point("note-after-commit");
    return ERR_OK;
}
