// scale - `tranche scale`: as many workers as a run's queue wants, through a launcher.

#ifndef COORDINATOR_SCALE_H
#define COORDINATOR_SCALE_H

#include "common/job.h"
#include "coordinator/launcher.h"
#include "coordinator/scale_policy.h"

struct scale_opts {
    const struct launcher_ops *ops;
    struct launcher_opts launcher;
    struct scale_rule rule; // max 0: as many as the launcher has room for
    const char *state;      // folder of runs.db
    int64_t interval_ms, wait_ms, pause_ms;
    bool dry_run;
    enum job_output output;
};

// Until the run that it follows is over, or nobody has begun one for wait_ms. Exit code of
// cli.h.
int scale_run(struct scale_opts *o);

#endif
