// source_groups - whether the groups of `batch.by` come one after another: remembers a
// digest of every group that ended, and where it began. About 100 bytes a group.

#ifndef COORDINATOR_SOURCE_GROUPS_H
#define COORDINATOR_SOURCE_GROUPS_H

#include "common/batch.h"
#include "common/buf.h"
#include "common/err.h"

struct groups;
struct groups *groups_new(void); // NULL: out of memory
void groups_free(struct groups **g);

// The next row's value of the column. *begins: it is another than the row's before.
// ERR_PARSE: its group ended before; the sentence names the group and both rows.
MUST_CHECK err_t groups_row(struct groups *g, uint64_t row, const struct cell *c,
                            bool *begins, struct err *e);
// The group of the last row, fit to be shown.
void groups_show(const struct groups *g, char *out, size_t cap);

#endif
