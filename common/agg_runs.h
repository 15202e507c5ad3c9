// agg_runs - sorted runs of states, merged: what the chunks of an aggregate gave, in the
// order of their keys. A run is rows of row_code.h's values, keys first, ascending by
// agg_compare_keys, cut into numbered pieces anywhere. Of each run the next row is in
// memory, and the piece that it ends in.

#ifndef COMMON_AGG_RUNS_H
#define COMMON_AGG_RUNS_H

#include "common/batch.h"
#include "common/buf.h"

struct agg_runs;

// Appends the bytes of a piece to `to`.
typedef err_t agg_runs_fetch(void *arg, int64_t piece, struct buf *to, struct err *e);

// Rows of n_values values, the first n_keys of them keys.
MUST_CHECK err_t agg_runs_new(struct agg_runs **out, uint32_t n_keys, uint32_t n_values,
                              agg_runs_fetch *fetch, void *arg, struct err *e);
void agg_runs_free(struct agg_runs **r);
// The run of the pieces first to last; all runs before the first row is taken.
MUST_CHECK err_t agg_runs_add(struct agg_runs *r, int64_t first, int64_t last,
                              struct err *e);
// The next row, which lives until the next call; NULL: there is none. ERR_PROTO: a run is
// no rows. And errors of fetch.
MUST_CHECK err_t agg_runs_next(struct agg_runs *r, const struct cell **row, struct err *e);

#endif
