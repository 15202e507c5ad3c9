// journal_stats - what runs.db keeps of a run for `tranche explain` and `tranche report`,
// beside runs, attempts and events: tables whose size does not grow with the input.
//
//   run_places   where the load's ledger is, and what the load is called in `loads`
//   run_inputs   the inputs as this run numbers them, the first JOURNAL_INPUTS_MAX
//   run_samples  counters over time, at most JOURNAL_SAMPLES_MAX a run
//   run_workers  each worker: its host, when it was here, how busy it was
//   run_now      what the run has done so far, one row a run, replaced every second
//   run_jobs     which job of a server's queue a run belongs to
//   run_reused   ranges whose chunks the cache had, and ranges where it had none, and why
//
// Times are milliseconds since the run began. Like `live` they are no part of the version
// of runs.db: programs that don't know them lose nothing. Each call is a short transaction
// of its own.

#ifndef COORDINATOR_JOURNAL_STATS_H
#define COORDINATOR_JOURNAL_STATS_H

#include "coordinator/journal.h"

#include <stdbool.h>

enum { JOURNAL_INPUTS_MAX = 4096, JOURNAL_SAMPLES_MAX = 512, JOURNAL_WORKERS_MAX = 2048 };

struct journal_input {
    const char *name; // as the ledger has it
    bool in_rows;     // begin and end count rows, else bytes
    uint64_t begin, size, header_lines;
};

struct journal_place {
    const char *load;     // as given to journal_attempt
    uint64_t load_id;     // in tranche_runs and tranche_ledger
    const char *database; // path of the SQLite file that they stand in; "": none
    const struct journal_input *inputs;
    uint32_t n_inputs;
    int64_t job; // of a server's queue (backlog.h); 0: none
};

struct journal_sample { // of this run so far, but workers, slots, busy, results: right now
    int64_t at_ms;
    uint64_t rows_read, rows_rejected, bytes, chunks, chunks_cached, retries;
    uint32_t workers, slots, busy;
    uint64_t results; // that wait for the warehouse
};

struct journal_now { // of this run so far, but bytes: with what earlier runs have loaded
    int64_t at_ms;
    uint64_t rows_read, rows_rejected, rows_loaded, chunks, retries, bytes_read;
    bool in_rows;                // the bytes are rows of a source that has no bytes
    uint64_t bytes, bytes_total; // total 0: unknown
    uint64_t running, waiting;   // batches that workers have, and that wait for one
    int64_t to_come;             // batches that will still be cut, about; -1: nobody knows
    uint32_t workers, slots, busy;
    uint64_t results; // that wait for the warehouse
};

struct journal_worker {
    const char *name; // one row a name
    const char *role; // "local", "remote", "coordinator"
    const char *host, *cpu;
    uint32_t cores, slots;
    uint64_t memory_bytes;
    uint32_t sessions;        // how often it came
    int64_t came_ms, left_ms; // first, last; left_ms -1: it is here
    uint64_t chunks, failed;
    int64_t busy_ms;
    int64_t bucket_ms; // of `busy`
    const char *busy;  // busy_text
};

// Makes the tables where they are missing, for who reads them over a connection of its own.
struct sqlite3;
MUST_CHECK err_t journal_stats_tables(struct sqlite3 *db, struct err *e);

MUST_CHECK err_t journal_stats_begin(struct journal *j, const struct journal_place *p,
                                     struct err *e);
// Whether an earlier run of the same job of a queue, which may have steps, has begun the
// load `name` of `table` already.
MUST_CHECK err_t journal_job_began(struct journal *j, int64_t job, const char *name,
                                   const char *table, bool *yes, struct err *e);
// Sample number n, from 0; journal_samples_thin keeps those whose numbers `every` divides.
MUST_CHECK err_t journal_sample_put(struct journal *j, uint64_t n,
                                    const struct journal_sample *s, struct err *e);
MUST_CHECK err_t journal_samples_thin(struct journal *j, uint64_t every, struct err *e);
MUST_CHECK err_t journal_now_put(struct journal *j, const struct journal_now *n,
                                 struct err *e);
MUST_CHECK err_t journal_workers_put(struct journal *j, const struct journal_worker *v,
                                     size_t n,
                                     struct err *e); // in the place of earlier ones
// So many chunks in r; why "" : the cache had them all, else why it had none of them.
MUST_CHECK err_t journal_reused_put(struct journal *j, struct range r, uint64_t chunks,
                                    const char *why, struct err *e);

#endif
