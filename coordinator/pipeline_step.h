// pipeline_step - one step of a pipeline, in the process that was forked for it.

#ifndef COORDINATOR_PIPELINE_STEP_H
#define COORDINATOR_PIPELINE_STEP_H

#include "common/pipeline.h"
#include "coordinator/run.h"

struct step_told { // what its process tells through a pipe; less than PIPE_BUF bytes
    int code;      // exit code of cli.h
    bool skipped;
    struct run_sums sums;
    char reason[400]; // why it ran again, or why not
};

// `because`: why it runs in any case; NULL: only if something has changed.
void pipeline_step(const struct pipeline *p, uint32_t step, const char *because,
                   struct step_told *told);

#endif
