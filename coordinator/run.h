// run - `tranche run`, `tranche check` and `tranche plan`: a job from its first check to
// its exit code.

#ifndef COORDINATOR_RUN_H
#define COORDINATOR_RUN_H

#include "common/job.h"

// All return the exit codes of cli.h.
int run_job(const struct job *j);

// .tranche beside the job file, or $TRANCHE_HOME; `dir` is the job file's folder.
enum { RUN_STATE_DIR = 4096 };
void run_state_dir(const char *dir, char out[RUN_STATE_DIR]);

struct run_sums { // of what this run did
    char run[40]; // its id; "": it has none
    uint64_t rows_read, rows_parsed, rows_rejected, rows_emitted, rows_loaded, rows_refused;
    uint64_t rows_made; // of the table: those loaded, or what a merge made of them
    uint64_t chunks, chunks_cached, retries, bytes_read;
    double seconds;
    uint32_t slots;                              // of the worker of this machine
    double coordinator_seconds, loading_seconds; // CPU; by the clock of the loader
    uint64_t worker_cpu_ns, busy_ns;             // CPU; by the clock of all batches
    bool changed;                                // what it loads into is not as it was
};
int run_job_summed(const struct job *j, struct run_sums *sums);
int run_check(
    const struct job *j); // opens the sources, tries the transforms, loads nothing
// Says when the schedule is due next; NULL: there is none.
void run_check_schedule(const char *when, enum job_output output);
int run_list(const struct job *j, const char *where); // `tranche runs`; history_place.h
int run_plan(const struct job *j);                    // run_plan.c: `tranche plan`

// The JSON line of a run that never began: its job or its flags are wrong.
void run_refused(const struct job *j, const char *complaints);

#endif
