// agg_best - the state of max_by and min_by: the row of a group that is greatest, or least,
// by one column, with the values that are wanted of it.
//
// Rows whose value of that column is NULL (or NaN) have no part in it. Among rows with
// equal ones their wanted values decide, in the order of the plan, so that the state
// depends on the rows only: all of it comes from one row. It travels as a blob of
// row_code.h's values, that of the column first; NULL: there is no row.

#ifndef COMMON_AGG_BEST_H
#define COMMON_AGG_BEST_H

#include "common/agg_plan.h"
#include "common/agg_values.h"
#include "common/buf.h"

// Fills out[groups]; blobs are put into the arena. columns[1 + n_with] are those of the
// batch, the deciding one first; `scratch` is kept from batch to batch. ERR_TOOBIG: the
// arena would hold more than max_bytes.
MUST_CHECK err_t agg_best_make(const struct agg_plan_state *kind, const struct agg_order *o,
                               const struct vec *const *columns, struct buf *scratch,
                               struct arena *mem, uint64_t max_bytes, struct cell *out,
                               struct err *e);

struct agg_best { // the best of several; zero-initialised: none yet
    bool any;
    struct buf bytes;
    struct cell *row, *spare; // 1 + n_with, in `bytes`
};

MUST_CHECK err_t agg_best_open(struct agg_best *b, const struct agg_plan_state *kind,
                               struct err *e);
void agg_best_close(struct agg_best *b);
// A state, NULL too. ERR_PROTO: it is none.
MUST_CHECK err_t agg_best_add(struct agg_best *b, const struct agg_plan_state *kind,
                              const struct cell *state, struct err *e);

#endif
