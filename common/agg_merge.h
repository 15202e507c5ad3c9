// agg_merge - from the states of all chunks to the functions' values, one group at a time.
//
//     agg_merge_new(&m, agg, memory, &e);
//     for each group:  agg_merge_start(m);
//                      for each chunk that has it:  agg_merge_add(m, states, &e);
//                      agg_merge_result(m, values, &e);
//
// States come from workers, so nothing in them is trusted. The result depends on the values
// that went into the states only, not on how they were dealt out nor on the order of add.

#ifndef COMMON_AGG_MERGE_H
#define COMMON_AGG_MERGE_H

#include "common/agg.h"
#include "common/batch.h"

struct agg_merge;

// `a` is borrowed. The values of quantiles and distinct counts take at most memory_bytes,
// shared by all of them; the rest goes to disk.
MUST_CHECK err_t agg_merge_new(struct agg_merge **out, const struct agg *a,
                               uint64_t memory_bytes, struct err *e);
void agg_merge_free(struct agg_merge **m);
uint32_t agg_merge_states(const struct agg_merge *m); // values that add() takes

void agg_merge_start(struct agg_merge *m);
// states[agg_merge_states], borrowed during the call. ERR_PROTO: they are no states.
MUST_CHECK err_t agg_merge_add(struct agg_merge *m, const struct cell *states,
                               struct err *e);
// out[a->n_fn]; text and blobs live until the next start. A group that nothing was added to
// is empty: counts are 0, all else NULL.
MUST_CHECK err_t agg_merge_result(struct agg_merge *m, struct cell *out, struct err *e);

#endif
