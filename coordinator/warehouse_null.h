// warehouse_null - what the warehouses without memory share: null: and stdout:. Nobody else
// includes this.

#ifndef COORDINATOR_WAREHOUSE_NULL_H
#define COORDINATOR_WAREHOUSE_NULL_H

#include "coordinator/ledger.h"
#include "coordinator/warehouse_stdout.h"

struct warehouse {
    bool loading;
    struct load_input *inputs; // names owned
    size_t n_inputs;
    struct ledger_row *rows; // sorted: ledger_compare
    size_t n_rows, cap;
    struct ledger_row *splits; // any order
    size_t n_splits, cap_splits;

    // stdout: only. `write` gets every result that is taken, once and in that order.
    err_t (*write)(struct warehouse *w, const struct result *r, struct err *e);
    const char *format; // "csv", "jsonl"
    struct schema schema;
    struct stdout_rejects rejects;
};

MUST_CHECK err_t null_begin(struct warehouse *w, const struct load_identity *id,
                            const struct schema *schema, const struct load_input *inputs,
                            size_t n_inputs, const struct buf *params,
                            struct load_state *state, struct err *e);
MUST_CHECK err_t null_commit(struct warehouse *w, struct result *results, size_t n,
                             bool *dup, size_t *failed, struct err *e);
MUST_CHECK err_t null_note(struct warehouse *w, const struct ledger_row *row,
                           struct err *e);
MUST_CHECK err_t null_finish(struct warehouse *w, const uint64_t *input_end, bool swap,
                             struct ledger_row *totals_by_input, struct err *e);
void null_close(struct warehouse **w);

#endif
