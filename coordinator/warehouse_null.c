// The warehouse that keeps nothing: the same rules about ranges, in memory. It measures
// what everything else costs.

#include "coordinator/warehouse_null.h"
#include "coordinator/load_inputs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static err_t null_open(struct warehouse **w, const char *url, warehouse_say *say,
                       void *say_arg, struct err *e)
{
    (void)url, (void)say, (void)say_arg;
    *w = calloc(1, sizeof **w);
    return *w ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

static err_t null_query_value(struct warehouse *w, const char *sql, struct arena *mem,
                              struct cell *value, struct err *e)
{
    (void)w, (void)sql, (void)mem, (void)value;
    return err_set(e, ERR_INVALID, "null: has no tables to read parameters from");
}

static void forget(struct warehouse *w)
{
    for (size_t i = 0; i < w->n_inputs; i++)
        free(w->inputs[i].name);
    free(w->inputs);
    free(w->rows);
    free(w->splits);
    w->loading = false;
    w->inputs = NULL;
    w->rows = w->splits = NULL;
    w->n_inputs = w->n_rows = w->cap = w->n_splits = w->cap_splits = 0;
}

static err_t copy_inputs(struct load_input **to, size_t *n_to,
                         const struct load_input *from, size_t n, struct err *e)
{
    *to = calloc(n + 1, sizeof **to);
    if (!*to) return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        (*to)[i] = from[i];
        (*to)[i].name = strdup(from[i].name);
        if (!(*to)[i].name) return err_set(e, ERR_NOMEM, "out of memory");
        ++*n_to;
    }
    return ERR_OK;
}

// Every load is a new one: there is nothing to continue.
static err_t start(struct warehouse *w, const struct load_input *inputs, size_t n_inputs,
                   const struct buf *params, struct load_state *state, struct err *e)
{
    TRY(copy_inputs(&w->inputs, &w->n_inputs, inputs, n_inputs, e));
    TRY(copy_inputs(&state->inputs, &state->n_inputs, inputs, n_inputs, e));
    for (size_t i = 0; i < n_inputs; i++)
        state->inputs[i].name[0] = 0;
    if (params && params->n) TRY(buf_add(&state->params, params->p, params->n, e));
    state->load_id = state->epoch = 1;
    w->loading = true;
    return ERR_OK;
}

err_t null_begin(struct warehouse *w, const struct load_identity *id,
                 const struct schema *schema, const struct load_input *inputs,
                 size_t n_inputs, const struct buf *params, struct load_state *state,
                 struct err *e)
{
    (void)id, (void)schema;
    *state = (struct load_state){ 0 };
    forget(w);
    err_t rc = start(w, inputs, n_inputs, params, state, e);
    if (rc != ERR_OK) {
        forget(w);
        load_state_free(state);
    }
    return rc;
}

// ---- ranges

// The first of the sorted rows that does not lie wholly before `r`'s begin.
static size_t position(const struct warehouse *w, struct range r)
{
    size_t lo = 0, hi = w->n_rows;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct range *m = &w->rows[mid].range;
        if (m->input < r.input || (m->input == r.input && m->end <= r.begin))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool same_range(struct range a, struct range b)
{
    return a.input == b.input && a.begin == b.begin && a.end == b.end;
}

static const struct ledger_row *find_split(const struct warehouse *w, struct range r)
{
    for (size_t i = 0; i < w->n_splits; i++)
        if (same_range(w->splits[i].range, r)) return &w->splits[i];
    return NULL;
}

// The row that forbids `r`, or NULL. Whole rows do not overlap, so only one can be the
// first.
static const struct ledger_row *forbidding(const struct warehouse *w, struct range r)
{
    size_t at = position(w, r);
    if (at < w->n_rows && ledger_forbids(w->rows[at].range, w->rows[at].state, r))
        return &w->rows[at];
    for (size_t i = 0; i < w->n_splits; i++)
        if (ledger_forbids(w->splits[i].range, LEDGER_SPLIT, r)) return &w->splits[i];
    return NULL;
}

static err_t grow(struct ledger_row **v, size_t n, size_t *cap, struct err *e)
{
    if (n < *cap) return ERR_OK;
    size_t more = *cap ? 2 * *cap : 64;
    struct ledger_row *p = realloc(*v, more * sizeof *p);
    if (!p) return err_set(e, ERR_NOMEM, "out of memory");
    *v = p;
    *cap = more;
    return ERR_OK;
}

static err_t take(struct warehouse *w, struct result *r, bool *dup, struct err *e)
{
    TRY(ledger_check_row(&r->row, e));
    const struct ledger_row *have = forbidding(w, r->row.range);
    *dup = have != NULL;
    if (have && same_range(have->range, r->row.range)) {
        r->row.rows_loaded = have->rows_loaded;
        r->row.rows_refused = have->rows_refused;
    }
    if (have) return ERR_OK;
    if (w->write) TRY(w->write(w, r, e));
    TRY(grow(&w->rows, w->n_rows, &w->cap, e));
    r->row.rows_loaded = r->row.rows_emitted;
    r->row.rows_refused = 0;
    size_t at = position(w, r->row.range);
    memmove(w->rows + at + 1, w->rows + at, (w->n_rows - at) * sizeof *w->rows);
    w->rows[at] = r->row;
    w->n_rows++;
    return ERR_OK;
}

static err_t null_check(const struct warehouse *w, const struct result *r, struct err *e)
{
    (void)w;
    return ledger_check_row(&r->row, e);
}

err_t null_commit(struct warehouse *w, struct result *results, size_t n, bool *dup,
                  size_t *failed, struct err *e)
{
    err_t damage = ERR_OK;
    assert(w->loading);
    for (size_t i = 0; i < n; i++) {
        assert(results[i].row.range.input < w->n_inputs);
        dup[i] = results[i].damaged = false;
        err_t rc = take(w, &results[i], &dup[i], damage == ERR_OK ? e : NULL);
        if (rc != ERR_OK && rc != ERR_PROTO) return rc;
        if (rc == ERR_OK) continue;
        results[i].damaged = true;
        if (damage == ERR_OK) *failed = i;
        damage = rc;
    }
    return damage;
}

err_t null_note(struct warehouse *w, const struct ledger_row *row, struct err *e)
{
    assert(w->loading && row->range.input < w->n_inputs && row->state == LEDGER_SPLIT);
    TRY(ledger_check_row(row, e));
    if (find_split(w, row->range)) return ERR_OK;
    if (forbidding(w, row->range))
        return load_range_known(w->inputs[row->range.input].name, row->range, e);
    TRY(grow(&w->splits, w->n_splits, &w->cap_splits, e));
    w->splits[w->n_splits++] = *row;
    return ERR_OK;
}

err_t null_finish(struct warehouse *w, const uint64_t *input_end, bool swap,
                  struct ledger_row *totals_by_input, struct err *e)
{
    (void)swap;
    size_t at = 0;
    assert(w->loading);
    for (uint32_t i = 0; i < w->n_inputs; i++) {
        const struct load_input *in = &w->inputs[i];
        struct ledger_proof p;
        TRY(ledger_proof_start(&p, in->name, i, in->data_begin, input_end[i], e));
        for (; at < w->n_rows && w->rows[at].range.input == i; at++)
            TRY(ledger_proof_add(&p, &w->rows[at], e));
        TRY(ledger_proof_end(&p, e));
        totals_by_input[i] = p.total;
    }
    return ERR_OK;
}

void null_close(struct warehouse **w)
{
    if (!*w) return;
    forget(*w);
    free(*w);
    *w = NULL;
}

const struct warehouse_ops warehouse_null = {
    .scheme = "null",
    .forgets = true,
    .sink = "null",
    .merges = true, // there is nothing to merge
    .open = null_open,
    .query_value = null_query_value,
    .begin = null_begin,
    .check = null_check,
    .commit = null_commit,
    .note = null_note,
    .finish = null_finish,
    .close = null_close,
};
