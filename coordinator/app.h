// app - the run's event loop: source, workers, scheduler, journal and loader wired
// together. It decides nothing: chunks and leases are the scheduler's, rows and ledger the
// warehouse's.

#ifndef COORDINATOR_APP_H
#define COORDINATOR_APP_H

#include "coordinator/journal.h"
#include "coordinator/local.h"
#include "coordinator/progress.h"
#include "coordinator/reject_kinds.h"
#include "coordinator/source.h"
#include "coordinator/warehouse.h"
#include "proto/file_set.h"
#include "proto/lease.h"
#include "proto/link.h"

enum app_link { APP_IPC, APP_TCP, APP_LINKS };

struct app_in { // everything is borrowed for the time of app_run
    const struct job *job;
    struct source *source;
    const struct warehouse_ops *ops;
    struct warehouse *warehouse;
    const struct load_state *load;
    const char *load_name;        // for the journal's attempt numbers
    struct journal *journal;      // NULL: there is none, and it was said
    ns_t run_began;               // when its run began
    struct link *link[APP_LINKS]; // NULL: there is none
    struct gate *gate;            // of link[APP_TCP]; NULL: plaintext, or no such link
    struct local *local;
    uint32_t slots;        // of the local worker; 0: there is none
    const uint8_t *secret; // of this load's leases, LEASE_SECRET_BYTES
    const struct buf *spec;
    struct file_set *files; // of the spec; workers may ask for them
    uint64_t result_max_bytes;
    struct progress *progress;
    struct result_cache *cache; // NULL: there is none
};

struct app_totals { // of this run
    uint64_t rows_read, rows_parsed, rows_rejected, rows_emitted, rows_loaded, rows_refused;
    uint64_t rows_replaced, rows_skipped; // see struct ledger_row
    uint64_t misfits, blank, chunks, chunks_cached, splits, retries, bytes_read,
        results_dropped;
    uint64_t worker_cpu_ns, parse_ns, apply_ns, encode_ns, commit_ns;
    uint32_t workers; // seen
    uint64_t worker_deaths, runner_deaths;
    uint64_t handed_over;           // results of earlier coordinators that workers had kept
    bool interrupted, limit_passed; // what ended the loop early
    struct reject_kinds rejects;
};

// Until every chunk is committed, split or rejected; or an error that ends the run (what is
// committed stays, the run can be resumed). ERR_CLOSED with interrupted: SIGINT, SIGTERM or
// SIGHUP (interrupt_start was called before).
MUST_CHECK err_t app_run(const struct app_in *in, struct app_totals *t, struct err *e);

#endif
