// journal - .tranche/runs.db: runs, attempts, events, log tails. History for people and the
// durable attempt numbers of R10; never needed for exactly-once.

#ifndef COORDINATOR_JOURNAL_H
#define COORDINATOR_JOURNAL_H

#include "common/err.h"
#include "common/hash.h"
#include "coordinator/range.h"

#include <stddef.h>
#include <stdint.h>

struct journal;

struct journal_run { // a row of `runs`
    char id[40];     // "20261122-014205-3fa2": sorts by time
    const char *name, *job_file, *table, *into;
    const char *status; // "running", "loaded", "loaded with rejects", "limit passed", "failed", "interrupted"
    int exit_code;
    uint64_t rows_read, rows_parsed, rows_rejected, rows_emitted, rows_loaded, rows_refused;
    uint64_t chunks, retries, bytes_read;
    double seconds;
    uint32_t workers;
    const char *error; // the sentence of a failed run, or ""
};

// Opens or creates DIR/runs.db (DIR 0700, file 0600; WAL, synchronous NORMAL: safe against
// kill -9, which is what R10 needs), and takes the run lock of `lock_key` beside it:
// ERR_BUSY says which process on which host runs since when.
MUST_CHECK err_t journal_open(struct journal **out, const char *dir, const char *lock_key,
                              struct err *e);
MUST_CHECK err_t journal_run_begin(struct journal *j, struct journal_run *run /* id is filled */,
                                   const char *spec_text, struct err *e);
MUST_CHECK err_t journal_run_end(struct journal *j, const struct journal_run *run,
                                 struct err *e);

// Attempts are added to an open group and made durable together by journal_flush.
// `load` names the load (warehouse, table, load id) so that numbers survive a restart.
MUST_CHECK err_t journal_attempt(struct journal *j, const char *load, struct range r,
                                 uint32_t attempt, const char *worker, struct err *e);
MUST_CHECK err_t journal_attempt_end(struct journal *j, const char *load, struct range r,
                                     uint32_t attempt, const char *outcome /* "ok", ... */,
                                     int64_t ms, int64_t peak_kb, const char *text,
                                     struct err *e);
// One line of the run's life: worker joined, died with its signal, retry, split, warning.
MUST_CHECK err_t journal_event(struct journal *j, const char *kind, const char *text,
                               struct err *e);
MUST_CHECK err_t journal_flush(struct journal *j, struct err *e);

struct journal_attempts { // of one range in earlier incarnations
    uint32_t last;        // highest attempt number, 0: none
    uint32_t unfinished;  // attempts without an outcome: the coordinator or machine died
    uint32_t failed;      // attempts whose runner died or whose transform failed
};
MUST_CHECK err_t journal_attempts_of(struct journal *j, const char *load, struct range r,
                                     struct journal_attempts *out, struct err *e);

// Newest first, for `tranche runs`; calls back once a run until it returns false.
typedef int journal_run_fn(void *arg, const struct journal_run *run, int64_t started_wall_ms);
MUST_CHECK err_t journal_runs(const char *dir, journal_run_fn *fn, void *arg, struct err *e);

void journal_close(struct journal **j);

#endif
