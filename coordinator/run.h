// run - `tranche run` and `tranche check`: a job from its first check to its exit code.

#ifndef COORDINATOR_RUN_H
#define COORDINATOR_RUN_H

#include "common/job.h"

// All return the exit codes of cli.h.
int run_job(const struct job *j);
int run_check(
    const struct job *j);          // opens the sources, tries the transforms, loads nothing
int run_list(const struct job *j); // `tranche runs`

// The JSON line of a run that never began: its job or its flags are wrong.
void run_refused(const struct job *j, const char *complaints);

#endif
