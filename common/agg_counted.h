// agg_counted - many numbers, each with how often it occurs, for exact quantiles. What does
// not fit into memory goes to disk.

#ifndef COMMON_AGG_COUNTED_H
#define COMMON_AGG_COUNTED_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agg_counted;

MUST_CHECK err_t agg_counted_new(struct agg_counted **out, uint64_t memory_bytes,
                                 struct err *e);
void agg_counted_free(struct agg_counted **c);
void agg_counted_clear(struct agg_counted *c);

// Adds a state of agg_plan.h's VALUES. ERR_PROTO: it is none.
MUST_CHECK err_t agg_counted_add(struct agg_counted *c, const uint8_t *p, size_t n,
                                 struct err *e);
uint64_t agg_counted_total(const struct agg_counted *c);
// Linear between neighbours (type 7 of Hyndman and Fan); the total is not 0.
MUST_CHECK err_t agg_counted_quantile(struct agg_counted *c, double q, double *out,
                                      struct err *e);

#endif
