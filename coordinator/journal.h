// journal - .tranche/runs.db: runs, attempts, events, log tails. History for people and the
// durable attempt numbers of R10; never needed for exactly-once. The newest runs are kept
// (journal_prune.h).

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
    const char *status; // "running", "loaded", "loaded with rejects", "limit passed",
                        // "failed", "interrupted"
    int exit_code;
    uint64_t rows_read, rows_parsed, rows_rejected, rows_emitted, rows_loaded, rows_refused;
    uint64_t chunks, retries, bytes_read;
    double seconds;
    uint32_t workers;
    const char *error; // the sentence of a failed run, or ""
};

// Opens or creates DIR/runs.db (DIR 0700, file 0600; WAL, synchronous NORMAL: safe against
// kill -9, which is what R10 needs), and takes the run lock of `lock_key` beside it:
// ERR_BUSY says which process on which host runs since when. A damaged or foreign runs.db
// is moved aside (journal_note says so); ERR_DB: a newer program wrote it, or it stays
// locked; ERR_IO, ERR_FULL: the folder can't be written, and the sentence says why.
MUST_CHECK err_t journal_open(struct journal **out, const char *dir, const char *lock_key,
                              struct err *e);
const char *
journal_note(const struct journal *j); // what journal_open did to mend it, or ""
// Also ends earlier runs of the same lock key that died: "interrupted".
MUST_CHECK err_t journal_run_begin(struct journal *j,
                                   struct journal_run *run /* id is filled */,
                                   const char *spec_text, struct err *e);
// Attempts of this run that have no outcome by now get "interrupted".
MUST_CHECK err_t journal_run_end(struct journal *j, const struct journal_run *run,
                                 struct err *e);

// Attempts, their ends and events are kept in memory until journal_flush makes them durable
// together, in one short transaction: other runs share the file. What a failed flush could
// not write is tried again by the next; past 16 MiB it is dropped. Texts are cut at 8 KiB.
// Attempts on consecutive small chunks for one worker share a row (journal_spans.h).
// `load` names the load (warehouse, table, load id) so that numbers survive a restart.
MUST_CHECK err_t journal_attempt(struct journal *j, const char *load, struct range r,
                                 uint32_t attempt, const char *worker, struct err *e);
// In a row of its own: two halves in one row would be taken for the chunk that was split,
// and would replace what its history says.
MUST_CHECK err_t journal_attempt_apart(struct journal *j, const char *load, struct range r,
                                       uint32_t attempt, const char *worker, struct err *e);
// `outcome` of failures (journal_attempts.failed): "failed", "died", "timeout", "bad
// result". Any other is nobody's fault: "ok", "late", "lost", "expired", "cancelled", "not
// run", ...
MUST_CHECK err_t journal_attempt_end(struct journal *j, const char *load, struct range r,
                                     uint32_t attempt, const char *outcome /* "ok", ... */,
                                     int64_t ms, int64_t peak_kb, const char *text,
                                     struct err *e);
// One line of the run's life: worker joined, died with its signal, retry, split, warning.
MUST_CHECK err_t journal_event(struct journal *j, const char *kind, const char *text,
                               struct err *e);
MUST_CHECK err_t journal_flush(struct journal *j, struct err *e);

struct journal_attempts { // of one range
    uint32_t last;        // highest attempt number, 0: none
    uint32_t
        unfinished;  // attempts of earlier runs without an outcome: the coordinator died
    uint32_t failed; // attempts whose runner died or whose transform failed
};
MUST_CHECK err_t journal_attempts_of(struct journal *j, const char *load, struct range r,
                                     struct journal_attempts *out, struct err *e);

// Newest first, for `tranche runs`; calls back once a run until it returns false. The run's
// texts live during the call. No runs.db: no runs. A run whose process is gone is shown as
// "interrupted".
typedef int journal_run_fn(void *arg, const struct journal_run *run,
                           int64_t started_wall_ms);
MUST_CHECK err_t journal_runs(const char *dir, journal_run_fn *fn, void *arg,
                              struct err *e);

// What a run is doing at the moment, for whoever starts workers (docs/SCALING.md): table
// `live`, a row a run that takes workers from other hosts, replaced every second.
enum journal_live_state {
    JOURNAL_LIVE_NONE,  // no run in this folder ever took workers
    JOURNAL_LIVE_RUNS,  // ... or builds its indexes, which may take long
    JOURNAL_LIVE_ENDED, // as a run ends, well or badly
    JOURNAL_LIVE_DIED,  // its process is gone: it may be continued
};
struct journal_live {
    enum journal_live_state state; // filled by journal_live_get, like `run` and `seq`
    char run[40];
    int64_t seq; // later runs have higher ones
    uint32_t workers, slots, idle_slots;
    uint64_t running; // batches that workers have
    uint64_t waiting; // batches that are cut and wait for a worker
    int64_t to_come;  // batches that will still be cut, about; -1: nobody knows
};
MUST_CHECK err_t journal_live_put(struct journal *j, const struct journal_live *l,
                                  struct err *e);
// The newest run of DIR that takes workers; when that is over, one before it that goes on.
// Reads only; no runs.db: NONE.
MUST_CHECK err_t journal_live_get(const char *dir, struct journal_live *out, struct err *e);

void journal_close(struct journal **j);

#endif
