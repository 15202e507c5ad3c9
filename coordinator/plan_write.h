// plan_write - `tranche plan --write FILE`: the planned job as a job file, with what was
// found as comments.

#ifndef COORDINATOR_PLAN_WRITE_H
#define COORDINATOR_PLAN_WRITE_H

#include "coordinator/plan_show.h"

// Before any work: ERR_INVALID when job.write is there and --force is not given, or cannot
// be a job file.
MUST_CHECK err_t plan_write_allowed(const struct job *j, struct err *e);
// Nothing without job.write. Complete or not at all; read back before it is put there, so
// that it is the same job. A prediction that there is none of makes no comments.
MUST_CHECK err_t plan_write(const struct plan_found *f, struct err *e);

#endif
