// scheduled - runs that the host's scheduler begins (`tranche run JOB --scheduled`): which
// times they missed, and that one waits for the end of the one before by being refused.
//
// Their history is the table `scheduled` of runs.db, a row a run. It is for people: a run
// goes on without it.

#ifndef COORDINATOR_SCHEDULED_H
#define COORDINATOR_SCHEDULED_H

#include "common/cron.h"
#include "coordinator/cli.h"

struct scheduled_past { // the last run of a job, by the scheduler or by hand
    int64_t began;      // seconds since 1970; 0: there was none
    char status[40];    // "loaded", "failed", "running", ...
    int exit_code;      // -1: it has none
};
// DIR is a state folder, `job` the path of a job file. Nothing there: no run.
MUST_CHECK err_t scheduled_past(const char *dir, const char *job,
                                struct scheduled_past *out, struct err *e);

struct scheduled_times { // those of a schedule between two moments
    uint64_t n;          // at most SCHEDULED_TIMES_MAX are counted
    int64_t first, last; // seconds; of none: 0
};
enum { SCHEDULED_TIMES_MAX = 100000 };
// After `after`, and at `until` or before.
void scheduled_times(const struct cron *c, int64_t after, int64_t until,
                     struct scheduled_times *out);

// "3 runs were missed, due 2026-11-20 03:00, ..."; of one or more.
enum { SCHEDULED_SENTENCE = 200 };
const char *scheduled_missed(const struct cron *c, const struct scheduled_times *t,
                             char out[SCHEDULED_SENTENCE]);

// Runs the job or pipeline of `c`, which has --scheduled, through `run`. Returns an exit
// code.
int scheduled_run(const struct cli *c, int (*run)(const struct cli *c));

#endif
