// agg_chunk - what a worker does of an aggregate: a batch of rows to a batch with one row a
// group, its keys and states (agg_plan.h), in the order of agg_compare_keys.

#ifndef COMMON_AGG_CHUNK_H
#define COMMON_AGG_CHUNK_H

#include "common/agg.h"
#include "common/batch.h"

struct agg_chunk;

// want[i] (in->n entries) is set for each column that is read.
// ERR_INVALID: a column does not exist.
MUST_CHECK err_t agg_chunk_new(struct agg_chunk **out, const struct agg *a,
                               const struct schema *in, uint64_t max_bytes, bool *want,
                               struct err *e);
// `out` is started anew and may point into `in`. Its columns are those of
// agg_partial_schema. ERR_TOOBIG: past max_bytes.
MUST_CHECK err_t agg_chunk_apply(struct agg_chunk *c, const struct batch *in,
                                 struct batch *out, struct err *e);
void agg_chunk_free(struct agg_chunk **c);

#endif
