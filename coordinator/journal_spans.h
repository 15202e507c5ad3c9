// journal_spans - attempts on consecutive small chunks that share a row of runs.db.
//
// Batches of a few rows are given out by the hundred. Their attempts are as durable as
// others, but a row stands for the whole span of chunks that were given to one worker at
// once. What ends well is counted here, and the span's row gets its outcome with the last
// of them; what ends in any other way gets a row of its own at once.
//
// R10 asks which attempts had no end, or were "ok", when a coordinator died: of a chunk of
// a span that has no row of its own, both are true until the run ends.

#ifndef COORDINATOR_JOURNAL_SPANS_H
#define COORDINATOR_JOURNAL_SPANS_H

#include "common/err.h"
#include "coordinator/range.h"

#include <stdbool.h>
#include <stdint.h>

enum { SPAN_MAX = 64 << 10 }; // bytes, or rows, from the first to the last of a span

struct span { // owned by the chunks in it
    struct range range;
    uint32_t attempt;
    uint32_t chunks, open; // given out in it, and not yet ended
    int64_t ms, peak_kb;
    char worker[64];
};

struct spans {                 // zero-initialised is valid and empty
    struct span_chunk *chunks; // given out in spans of more than one, and not yet ended
    struct span *last;         // may still grow; NULL: none
    struct span *kept;         // that `last` is, while it has only one chunk
};

// Takes the attempt into the span of the one before it, whose row thereby is of
// (*span)->range. NULL: it has a row of its own, which the next may make a span of.
MUST_CHECK err_t spans_add(struct spans *s, struct range r, uint32_t attempt,
                           const char *worker, const struct span **span, struct err *e);
void spans_break(struct spans *s); // nothing is added to the last one any more

struct span_end {
    bool in_span; // the chunk's attempt has no row of its own
    bool whole;   // it was the last of `span`
    struct span span;
};
void spans_end(struct spans *s, struct range r, uint32_t attempt, int64_t ms,
               int64_t peak_kb, struct span_end *out);
void spans_free(struct spans *s);

#endif
