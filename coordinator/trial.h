// trial - runs a job on a part of its input, in a process of its own, with real workers and
// a real load into a scratch folder, and tells what that cost.

#ifndef COORDINATOR_TRIAL_H
#define COORDINATOR_TRIAL_H

#include "common/job.h"
#include "coordinator/estimate.h"
#include "coordinator/source.h"

enum { TRIAL_REJECTS = 3, TRIAL_SECONDS = 20 };

struct trial_reject { // as it stands in what was tried; texts are cut
    uint64_t line, byte;
    char column[80], reason[200], raw[120];
};

struct trial_in { // all borrowed
    const struct job *job;
    struct source *source; // of the whole job, open, its types settled
    const struct schema *types;
    const struct job_pairs *params; // SQL that needs no warehouse
    const char *room;               // an empty folder
    const char *home;               // another, for the history; there when trials begin
    uint64_t rows;                  // about so many of them
    double row_bytes;               // of text
    bool whole;                     // all of the input, where it stands
    bool without_merge;
};

struct trial {
    struct trial_cost cost;
    int code; // exit code of the run; 0 and 3 are good
    char error[1024];
    uint32_t slots;
    uint64_t bytes_read, rows_emitted, rows_rejected, image_bytes;
    uint64_t retries;                     // of batches that failed
    uint64_t coordinator_kib, runner_kib; // most that a process had of the machine's memory
    struct trial_reject reject[TRIAL_REJECTS];
    uint32_t n_rejects;
};

// ERR_TIMEOUT: it did not end within TRIAL_SECONDS. A run that ended badly is no error:
// out->code and out->error say so. `x` is where the records came from; x->n is 0 when they
// stand where they always do.
MUST_CHECK err_t trial_run(const struct trial_in *in, struct trial *out, struct excerpt *x,
                           struct err *e);

#endif
