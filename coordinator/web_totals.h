// web_totals - what all runs of the folder have done since the server began, for metrics:
// sums that never fall. A run counts with what it said last while it goes on, and with that
// or its balance sheet when it is over.

#ifndef COORDINATOR_WEB_TOTALS_H
#define COORDINATOR_WEB_TOTALS_H

#include "common/err.h"

#include <stdint.h>

struct web_view;

// X(member, column of `runs`, column of `run_now`)
#define WEB_SUMS(X)                                                     \
    X(rows_read, "rows_read", "rows_read")                              \
    X(rows_rejected, "rows_rejected + r.rows_refused", "rows_rejected") \
    X(rows_loaded, "rows_loaded", "rows_loaded")                        \
    X(chunks, "chunks", "chunks")                                       \
    X(retries, "retries", "retries")                                    \
    X(bytes_read, "bytes_read", "bytes_read")

// X(member, runs.status)
#define WEB_ENDS(X)                        \
    X(loaded, "loaded")                    \
    X(with_rejects, "loaded with rejects") \
    X(limit_passed, "limit passed")        \
    X(failed, "failed")                    \
    X(interrupted, "interrupted")

struct web_sums {
#define X(member, a, b) uint64_t member;
    WEB_SUMS(X)
#undef X
    uint64_t begun; // runs
#define X(member, a) uint64_t member;
    WEB_ENDS(X)
#undef X
    uint64_t seconds_ms; // of those that are over
};

struct web_totals {
    int64_t from;         // the first run that is not in `over`; 0: nothing was asked yet
    struct web_sums over; // of those before `from`
    struct web_sums now;  // of all
};

// With the runs of the snapshot, and in its transaction.
MUST_CHECK err_t web_totals_read(struct web_view *v, struct web_totals *t, struct err *e);

#endif
