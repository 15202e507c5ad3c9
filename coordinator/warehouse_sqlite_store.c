// Rows in the user's table: the store of sqlite:.

#include "coordinator/warehouse_sqlite.h"

#include <inttypes.h>
#include <stdlib.h>

static err_t tidy(struct warehouse *w, struct err *e)
{
    (void)w, (void)e;
    return ERR_OK;
}

static err_t check_rows_are_there(struct warehouse *w, struct err *e)
{
    int64_t rows;
    bool any, exists;
    TRY(wsq_table_exists(w, w->target, &exists, e));
    if (exists) return ERR_OK;
    TRY(wsq_int(w, e, &rows, &any,
                "SELECT sum(rows_loaded) FROM main.tranche_ledger WHERE load = %lld",
                (long long)w->load_id));
    if (rows == 0) return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "table %s of %s is gone, but load %" PRIu64
                   " had put %lld rows into it. --fresh starts over",
                   w->target, w->shown, w->load_id, (long long)rows);
}

err_t wsq_rows_ensure(struct warehouse *w, struct err *e)
{
    TRY(check_rows_are_there(w, e));
    return wsq_table_ensure(w, w->target, e);
}

err_t wsq_rows_settle(struct warehouse *w, struct err *e)
{
    TRY(wsq_slots_attach(w, e));
    return wsq_table_plan(w, e);
}

err_t wsq_rows_check(const struct warehouse *w, const struct result *r, struct err *e)
{
    if (wsq_runs_given(w->merge)) return wsq_runs_check(w, r, e);
    return sqlite_image_check(r->image, r->image_bytes, (const char *)w->image_sql.p,
                              w->schema.n, r->row.rows_emitted, e);
}

// A rule of the table may refuse a row: then it must be known whose it is.
bool wsq_rows_share(const struct warehouse *w)
{
    return w->fast || wsq_runs_given(w->merge);
}

err_t wsq_rows_fill(struct warehouse *w, unsigned slot, struct result *const *r, size_t n,
                    struct err *e)
{
    return wsq_runs_given(w->merge) ? ERR_OK : wsq_slot_share(w, slot, r, n, e);
}

err_t wsq_rows_start(struct warehouse *w, struct err *e)
{
    (void)w, (void)e;
    return ERR_OK;
}

err_t wsq_rows_add(struct warehouse *w, unsigned slot, struct result *r,
                   struct rejects *refused, struct wsq_added *added, struct err *e)
{
    if (wsq_runs_given(w->merge)) return wsq_runs_stage(w, r, e);
    return w->slot[slot].n > 1 ? wsq_slot_add_shared(w, slot, &r->row, added, e)
                               : wsq_slot_insert(w, slot, &r->row, refused, added, e);
}

// The image belongs to the caller again.
void wsq_rows_empty(struct warehouse *w, unsigned slot)
{
    if (wsq_runs_given(w->merge)) return;
    if (w->db && wsq_slot_clear(w, slot, NULL) != ERR_OK) wsq_give_up(w);
}

err_t wsq_rows_prepare(struct warehouse *w, bool swaps, struct err *e)
{
    TRY(wsq_indexes_prepare(w, e));
    TRY(wsq_merge_prepare(w, e));
    return swaps ? wsq_swap_prepare(w, e) : ERR_OK;
}

static err_t swap_in(struct warehouse *w, struct err *e)
{
    char *result = NULL;
    if (w->merge) TRY(wsq_merge(w, &result, e));
    err_t rc = wsq_swap(w, result ? result : w->target, e);
    free(result);
    return rc;
}

static err_t complete(struct warehouse *w, bool swaps, bool drops, struct err *e)
{
    if (drops)
        return wsq_exec(w, e, "dropping the staged table", "DROP TABLE main.\"%w\"",
                        w->target);
    return swaps ? swap_in(w, e) : wsq_indexes_build(w, w->table, e);
}

err_t wsq_rows_done(struct warehouse *w, bool swaps, bool is_complete, struct err *e)
{
    (void)is_complete, (void)e;
    if (swaps) wsq_swap_done(w);
    wsq_merge_done(w);
    wsq_indexes_done(w);
    return ERR_OK;
}

static err_t drop_staged(struct warehouse *w, const char *staging, struct err *e)
{
    return wsq_exec(w, e, "dropping the staged table", "DROP TABLE IF EXISTS main.\"%w\"",
                    staging);
}

const struct wsq_store wsq_tables = {
    WSQ_ROWS_VERBS,
    .tidy = tidy,
    .ensure = wsq_rows_ensure,
    .settle = wsq_rows_settle,
    .complete = complete,
    .done = wsq_rows_done,
    .drop_rows = wsq_drop_rows,
    .drop_staged = drop_staged,
};
