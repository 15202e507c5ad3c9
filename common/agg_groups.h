// agg_groups - which group each row of a batch belongs to: a hash table over key columns.
//
// Open addressing with linear probing, at most two thirds full; hashes are seeded anew in
// each process, so that nobody can choose keys that collide. Groups are numbered as they
// first appear. Equality is SQL's: 1 equals 1.0, text is compared byte by byte, a blob
// never equals a text, and NULL is a group of its own.

#ifndef COMMON_AGG_GROUPS_H
#define COMMON_AGG_GROUPS_H

#include "common/batch.h"

struct agg_groups; // keeps its memory from batch to batch

MUST_CHECK err_t agg_groups_new(struct agg_groups **out, uint32_t n_keys, struct err *e);
void agg_groups_free(struct agg_groups **g);

// Forgets the batch before. Fills gid[rows]; *n: the number of groups. keys[] are columns
// of the batch, none absent.
MUST_CHECK err_t agg_groups_assign(struct agg_groups *g, const struct vec *const *keys,
                                   uint32_t rows, uint32_t *gid, uint32_t *n,
                                   struct err *e);
// The key of a group; text is that of the batch. Where members differ (1 and 1.0) the
// integer is the key. Valid until the next batch.
const struct cell *agg_groups_key(const struct agg_groups *g, uint32_t group);

bool agg_cell_equal(const struct cell *a, const struct cell *b); // as keys

// The value of a row, misfits as text, NaN as NULL.
struct cell agg_cell(const struct vec *v, uint32_t row);

#endif
