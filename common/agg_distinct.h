// agg_distinct - a set of values, to count them exactly. What does not fit into memory goes
// to disk.

#ifndef COMMON_AGG_DISTINCT_H
#define COMMON_AGG_DISTINCT_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

struct agg_distinct;

MUST_CHECK err_t agg_distinct_new(struct agg_distinct **out, uint64_t memory_bytes,
                                  struct err *e);
void agg_distinct_free(struct agg_distinct **d);
void agg_distinct_clear(struct agg_distinct *d);

// Adds a state of agg_plan.h's DISTINCT. ERR_PROTO: it is none.
MUST_CHECK err_t agg_distinct_add(struct agg_distinct *d, const uint8_t *p, size_t n,
                                  struct err *e);
MUST_CHECK err_t agg_distinct_count(struct agg_distinct *d, uint64_t *out, struct err *e);

#endif
