// web_view - what pages, API and metrics show of a state folder: a snapshot of runs.db,
// taken when somebody asks and the last one is a second old, over a connection that only
// reads. For the web thread alone.
//
// The snapshot is bounded (the newest jobs and runs, and all that goes on); what is older
// is asked for by number. Texts and lists live until the next web_view_refresh.

#ifndef COORDINATOR_WEB_VIEW_H
#define COORDINATOR_WEB_VIEW_H

#include "common/arena.h"
#include "common/clock.h"
#include "coordinator/backlog.h"
#include "coordinator/journal_stats.h"
#include "coordinator/web_totals.h"

#include <stdbool.h>

struct sqlite3;

enum {
    WEB_JOBS_SHOWN = 100,   // that wait, in the order in which they will begin
    WEB_JOBS_OVER = 100,    // the newest of those that are over
    WEB_RUNS_SHOWN = 100,   // the newest; and those that go on among the newest 1000
    WEB_WORKERS_MAX = 4096, // in runs that go on
};

struct web_facts { // of the server; never change. Borrowed
    const char *version, *state;
    int64_t since_ms; // wall clock
    uint32_t jobs;    // at a time
};

struct web_run {
    int64_t seq; // later ones have higher ones
    struct journal_run run;
    int64_t job;                  // of the queue; 0: none that is known
    int64_t started_ms, ended_ms; // wall clock; 0: not yet
    bool goes_on;
    // Of one that goes on, a second ago or so: what it has done so far (rows and bytes in
    // `run` are the totals, which are known at its end) and when, `now.at_ms` after its
    // beginning; 0: it has not said anything yet.
    struct journal_now now;
    double rows_per_second; // of late
    const char *holder;     // run_lock.h
    int64_t left_ms;        // about; -1: nobody knows
};

struct web_job {
    struct backlog_job job;
    const struct web_run *run; // of a running one its newest run that goes on; or NULL
};

struct web_worker { // that is here, of a run that goes on
    const struct web_run *run;
    struct journal_worker w; // without `busy`
    bool leaving;
    const char *input; // of the newest batch that it has and has not ended; "": none
    bool in_rows;      // begin and end count rows, else bytes
    uint64_t begin, end, chunks;
};

struct web_view {
    struct web_facts facts;
    uint64_t version;                         // higher whenever something has changed
    int64_t taken_ms;                         // wall clock
    struct web_job *running, *waiting, *over; // over: the newest first
    struct web_run *runs;                     // the newest first
    struct web_worker *workers;               // by run and name
    uint32_t n_running, n_waiting, n_over, n_runs, n_workers;
    uint64_t jobs_in[BACKLOG_N_STATES]; // how many there are
    uint64_t all_runs;
    struct web_totals totals;
    // what follows is web_view's own
    struct sqlite3 *db;
    struct backlog *backlog;
    uint64_t inode;
    int64_t seen; // what SQLite says of changes by others
    ns_t looked;
    struct arena mem;
    size_t snapshot_bytes; // of it
};

// `facts` and its texts must stay.
void web_view_init(struct web_view *v, const struct web_facts *facts);
void web_view_close(struct web_view *v);
// Looks again when the last look is a second old. After a failure the snapshot is empty.
MUST_CHECK err_t web_view_refresh(struct web_view *v, ns_t now, struct err *e);

// Older ones: at most `most` jobs or runs with a number below `before` (0: the newest), the
// newest first; calls back until it returns false. Numbers of runs are web_run.seq.
typedef bool web_job_fn(void *arg, const struct web_job *j);
MUST_CHECK err_t web_view_jobs(struct web_view *v, int64_t before, uint32_t most,
                               web_job_fn *fn, void *arg, struct err *e);
typedef bool web_run_fn(void *arg, const struct web_run *r);
MUST_CHECK err_t web_view_runs(struct web_view *v, int64_t before, uint32_t most,
                               web_run_fn *fn, void *arg, struct err *e);
// The runs of a job, the newest first.
MUST_CHECK err_t web_view_runs_of(struct web_view *v, int64_t job, uint32_t most,
                                  web_run_fn *fn, void *arg, struct err *e);
// One of them. ERR_INVALID: there is none.
MUST_CHECK err_t web_view_job(struct web_view *v, int64_t id, web_job_fn *fn, void *arg,
                              struct err *e);
// `run` is its id, or "last".
MUST_CHECK err_t web_view_run(struct web_view *v, const char *run, web_run_fn *fn,
                              void *arg, struct err *e);

#endif
