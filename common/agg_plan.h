// agg_plan - the states that an aggregate's functions need, each of them once: avg(x) and
// stddev(x) live from the same sums. A chunk gives one value a state and group, which
// agg_merge takes:
//
//   ROWS, COUNT  an integer
//   MIN, MAX     the value itself, or NULL; with MIN_BY, MAX_BY of that column theirs
//   MAX_BY, ...  blob of one row's values, or NULL: agg_best.h
//   MOMENTS      blob: u8 flags (AGG_MOMENTS_*), varint n, then the sum, and the sum of
//                squares when that flag is set (exact.h)
//   VALUES       blob: u8 form, varint number of entries, then ascending entries
//                  form 0: varint difference to the value before (of the first: to -2^53),
//                          varint count; all values are integers from -2^53 to 2^53
//                  form 1: 8 bytes sort64_of_double, big endian, varint count
//   DISTINCT     blob, four ascending lists, each a varint number of entries and then:
//                  integers: varint difference of the sort64_of_int (of the first: to 0)
//                  other reals: 8 bytes sort64_of_double, big endian
//                  texts, blobs: varint length, bytes

#ifndef COMMON_AGG_PLAN_H
#define COMMON_AGG_PLAN_H

#include "common/agg.h"

enum agg_state {
    AGG_STATE_ROWS,
    AGG_STATE_COUNT,
    AGG_STATE_MOMENTS,
    AGG_STATE_MIN,
    AGG_STATE_MAX,
    AGG_STATE_VALUES,
    AGG_STATE_DISTINCT,
    AGG_STATE_MAX_BY,
    AGG_STATE_MIN_BY,
};

enum {
    AGG_MOMENTS_REAL = 1,  // not all terms were integers
    AGG_MOMENTS_PLUS = 2,  // there was an infinity
    AGG_MOMENTS_MINUS = 4, // ... a negative one
    AGG_MOMENTS_SQUARES = 8,
    AGG_MOMENTS_ALL = 15,
};

#define AGG_EXACT_INT ((int64_t)1 << 53) // integers up to it are exact as doubles

struct agg_plan { // borrows the columns' names from the aggregate
    struct agg_plan_state {
        enum agg_state kind;
        const char *column; // NULL: of ROWS
        bool squares;       // of MOMENTS
        const char **with;  // of MAX_BY and MIN_BY: columns that are wanted of the row
        uint32_t n_with;
    } * state;
    uint32_t n;
    uint32_t *of_fn;      // a function's state
    uint32_t *with_of_fn; // ... of MAX_BY and MIN_BY: which of the wanted columns it is
};
enum { AGG_DECIDING = UINT32_MAX }; // none of those: the one that the row is chosen by

MUST_CHECK err_t agg_plan_init(struct agg_plan *p, const struct agg *a, struct err *e);
void agg_plan_close(struct agg_plan *p); // copes with a failed init

#endif
