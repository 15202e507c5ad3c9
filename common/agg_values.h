// agg_values - the values of one column, sorted by group: integers, reals and the rest each
// in an array of their own, so that what is computed of a group runs over plain memory.

#ifndef COMMON_AGG_VALUES_H
#define COMMON_AGG_VALUES_H

#include "common/batch.h"

struct agg_order { // rows in the order of their groups
    uint32_t rows, groups;
    uint32_t *row;   // NULL: as they are (there is one group)
    uint32_t *start; // groups + 1
};

struct agg_values {
    int64_t *i;
    double *r;      // may be infinite
    struct cell *t; // TEXT and BLOB
    // Of group g: [start[g], start[g + 1]). NULL: there is no value of this kind.
    uint32_t *i_start, *r_start, *t_start;
};

// Everything lives in the arena.
MUST_CHECK err_t agg_order_make(struct agg_order *o, const uint32_t *gid, uint32_t rows,
                                uint32_t groups, struct arena *mem, struct err *e);
// NULL and NaN are left out. `numbers`: text that reads as a number is one, all other text
// and blobs are left out.
MUST_CHECK err_t agg_values_make(struct agg_values *out, const struct agg_order *o,
                                 const struct vec *v, bool numbers, struct arena *mem,
                                 struct err *e);

#endif
