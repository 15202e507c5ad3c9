// agg_states - from the values of a column to one state a group (agg_plan.h has the forms;
// those of whole rows are made by agg_best).

#ifndef COMMON_AGG_STATES_H
#define COMMON_AGG_STATES_H

#include "common/agg_plan.h"
#include "common/agg_values.h"

struct agg_scratch; // working memory, kept from batch to batch
MUST_CHECK err_t agg_scratch_new(struct agg_scratch **out, struct err *e);
void agg_scratch_free(struct agg_scratch **s);

// Fills out[groups]. Blobs are put into the arena; MIN and MAX borrow text from the values.
// ERR_TOOBIG: the arena would hold more than max_bytes.
MUST_CHECK err_t agg_states_make(const struct agg_plan_state *kind,
                                 const struct agg_order *o, const struct agg_values *v,
                                 struct agg_scratch *s, struct arena *mem,
                                 uint64_t max_bytes, struct cell *out, struct err *e);

// The order of MIN and MAX: numbers, texts, blobs. Of equal numbers the integer is first,
// and -0.0 comes before 0.0: the order is total.
int agg_compare(const struct cell *a, const struct cell *b);
// The order of keys, NULL first: the same, but that what is one key is equal (1 and 1.0).
int agg_compare_keys(const struct cell *a, const struct cell *b);

#endif
