// agg_sort - the groups of a chunk in the order of their keys.

#ifndef COMMON_AGG_SORT_H
#define COMMON_AGG_SORT_H

#include "common/batch.h"

// Puts the rows of a batch of ANY columns into the order of the first n_keys of them
// (agg_compare_keys), none of them equal. New columns live in the batch; `mem` is working
// memory.
MUST_CHECK err_t agg_sort(struct batch *b, uint32_t n_keys, struct arena *mem,
                          struct err *e);

#endif
