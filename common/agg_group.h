// agg_group - the end of an aggregate: rows of keys and states (agg_chunk.h), those of one
// group beside each other, become one row a group.

#ifndef COMMON_AGG_GROUP_H
#define COMMON_AGG_GROUP_H

#include "common/agg_merge.h"
#include "common/buf.h"

struct agg_group {
    struct agg_merge *merge;
    uint32_t n_keys, n_states, n_fn;
    struct cell *row; // keys and states: the caller fills it in, and calls add
    struct cell *key; // of the group that is open; text lies in `text`
    struct cell *value;
    struct buf *text;
    bool open;
};

// A row of the result; text and blobs are borrowed during the call.
typedef err_t agg_group_fn(void *arg, const struct cell *key, const struct cell *value,
                           struct err *e);

// `a` is borrowed; memory_bytes as in agg_merge.h.
MUST_CHECK err_t agg_group_open(struct agg_group *g, const struct agg *a,
                                uint64_t memory_bytes, struct err *e);
void agg_group_close(struct agg_group *g); // copes with a failed open
// Takes g->row, which is borrowed during the call. Where it is of another group, the one
// before is handed to `fn`. ERR_PROTO: these are no states.
MUST_CHECK err_t agg_group_add(struct agg_group *g, agg_group_fn *fn, void *arg,
                               struct err *e);
// After the last one. Without keys there is one row, though nothing came.
MUST_CHECK err_t agg_group_end(struct agg_group *g, agg_group_fn *fn, void *arg,
                               struct err *e);
// Whether the bytes are `rows` rows as agg_chunk.h gives them, in row_code.h's encoding.
// ERR_PROTO: which row is not.
MUST_CHECK err_t agg_group_check(struct agg_group *g, const uint8_t *p, size_t n,
                                 uint64_t rows, struct err *e);

#endif
