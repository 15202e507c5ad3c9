// spill - sorted runs of counted byte strings in a temporary file without a name, merged
// when they are read: what does not fit into memory.

#ifndef COMMON_SPILL_H
#define COMMON_SPILL_H

#include "common/buf.h"

#include <stdbool.h>

struct spill;

// The file is made in $TMPDIR, else in /var/tmp or /tmp, when the first run is written.
MUST_CHECK err_t spill_new(struct spill **out, struct err *e);
void spill_free(struct spill **s);

// A run: begin, put in ascending order of the keys (memcmp, shorter first), end.
// ERR_FULL: no space left there.
MUST_CHECK err_t spill_begin(struct spill *s, struct err *e);
MUST_CHECK err_t spill_put(struct spill *s, const void *key, size_t n, uint64_t count,
                           struct err *e);
MUST_CHECK err_t spill_end(struct spill *s, struct err *e);

// All runs in one ascending order; equal keys come once, their counts added. The key is
// valid during the call. False from fn ends it.
typedef bool spill_fn(void *arg, const uint8_t *key, size_t n, uint64_t count);
MUST_CHECK err_t spill_merge(struct spill *s, spill_fn *fn, void *arg, struct err *e);

bool spill_any(const struct spill *s); // a run was written
void spill_clear(struct spill *s);     // forgets the runs

#endif
