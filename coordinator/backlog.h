// backlog - the jobs of a server: table `jobs` in runs.db. Every change is one transaction,
// durable when the call returns (synchronous FULL), also against a power cut. ERR_BUSY,
// ERR_FULL: nothing has changed, and it may be tried again.
//
//            ┌────────── the server went, or was told to stop ──────────┐
//            ▼                                                          │
//   add ─► QUEUED ─start─► RUNNING ─end────────────────────────────► ENDED
//            │                └───── it was to be stopped, and was ─► CANCELLED
//            └─cancel──────────────────────────────────────────────► CANCELLED
//
// Whoever wants to show what a server does reads it here (backlog_each) and in the tables
// that its runs write (journal.h); only the server writes.

#ifndef COORDINATOR_BACKLOG_H
#define COORDINATOR_BACKLOG_H

#include "common/buf.h"
#include "common/err.h"
#include "common/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backlog;
struct sqlite3;

enum {
    BACKLOG_PRIORITY = 50, // higher ones go first
    BACKLOG_PRIORITY_MAX = 100,
    BACKLOG_QUEUED_MAX = 10000, // more are refused
};

// X(name, number on the wire, text in the table and for people)
#define BACKLOG_STATES(X)    \
    X(QUEUED, 0, "queued")   \
    X(RUNNING, 1, "running") \
    X(ENDED, 2, "ended")     \
    X(CANCELLED, 3, "cancelled")
enum backlog_state {
#define X(name, number, text) BACKLOG_##name = number,
    BACKLOG_STATES(X)
#undef X
        BACKLOG_N_STATES
};
const char *backlog_state_text(uint64_t state); // "?" for a stranger
static inline bool backlog_is_over(uint64_t state)
{
    return state == BACKLOG_ENDED || state == BACKLOG_CANCELLED;
}

struct backlog_job { // texts are borrowed
    int64_t id;
    enum backlog_state state;
    uint32_t priority, starts;
    bool stopping;                              // it runs and is to be cancelled
    int exit_code;                              // of cli.h, once it is over
    int64_t submitted_ms, started_ms, ended_ms; // wall clock; 0: not yet
    const char *name, *owner, *folder, *file;
    const char *run;   // the id of its last run in `runs`, or ""
    const char *error; // why it ended without a word of its own, or ""
};

// Opens DIR/runs.db, makes the table when it is missing. `note`: as journal_db_open says.
MUST_CHECK err_t backlog_open(struct backlog **out, const char *dir, char *note,
                              size_t note_size, struct err *e);
void backlog_close(struct backlog **b);

struct backlog_new {
    struct hash128 token; // the client's: the same one again is the same job
    uint32_t priority;
    const char *name, *owner, *folder, *file;
    const char *loads; // what it writes to, a line each (submission_loads)
    struct slice spec; // submission.h
};
MUST_CHECK err_t backlog_add(struct backlog *b, const struct backlog_new *n, int64_t *id,
                             bool *again, struct err *e);

// The job that begins next of those that may: who ran already, then by priority, then by
// age. *id = 0: none.
typedef bool backlog_may_fn(void *arg, const char *loads);
MUST_CHECK err_t backlog_next(struct backlog *b, backlog_may_fn *may, void *arg,
                              int64_t *id, struct err *e);
// Appends what was submitted, and what it writes to, each with a NUL behind it that is not
// counted.
MUST_CHECK err_t backlog_spec(struct backlog *b, int64_t id, struct buf *spec,
                              struct buf *loads, struct err *e);

// ERR_INVALID: there is no such job, or it is not in a state for that.
MUST_CHECK err_t backlog_start(struct backlog *b, int64_t id, struct err *e);
MUST_CHECK err_t backlog_end(struct backlog *b, int64_t id, int exit_code, const char *run,
                             const char *error, struct err *e);
// It runs no more, and will again, before all others; one that was to be cancelled is that.
MUST_CHECK err_t backlog_requeue(struct backlog *b, int64_t id, struct err *e);
// Of all that a server which is gone had begun. *n: how many.
MUST_CHECK err_t backlog_recover(struct backlog *b, uint32_t *n, struct err *e);
// A queued job is cancelled; of a running one it is noted, *runs, and the caller stops it.
// Of one that is over ERR_INVALID says how.
MUST_CHECK err_t backlog_cancel(struct backlog *b, int64_t id, bool *runs, struct err *e);

// The id of the newest run of this process that began since, in `runs`; "": none.
MUST_CHECK err_t backlog_run_of(struct backlog *b, const char *holder, int64_t since_ms,
                                char out[40], struct err *e);

// The newest `most` jobs, oldest first; or job `id` alone, when it is not 0. Calls back
// until it returns false.
typedef bool backlog_fn(void *arg, const struct backlog_job *j);
MUST_CHECK err_t backlog_each(struct backlog *b, int64_t id, uint32_t most, backlog_fn *fn,
                              void *arg, struct err *e);

// For who only looks: a connection to runs.db that stays the caller's. Then backlog_each,
// backlog_list, backlog_count; not backlog_close, but free().
MUST_CHECK err_t backlog_peek(struct backlog **out, struct sqlite3 *db, struct err *e);

struct backlog_query {
    unsigned states;    // 1 << BACKLOG_QUEUED, ...
    bool as_they_begin; // in that order; else the newest first
    int64_t before;     // of lower numbers only; 0: of all
    uint32_t most;
};
MUST_CHECK err_t backlog_list(struct backlog *b, const struct backlog_query *query,
                              backlog_fn *fn, void *arg, struct err *e);
// How many are in each state.
MUST_CHECK err_t backlog_count(struct backlog *b, uint64_t n[BACKLOG_N_STATES],
                               struct err *e);

#endif
