// scheduled_past - the table `scheduled` of runs.db: a row for each run that the host's
// scheduler began, or tried to.

#ifndef COORDINATOR_SCHEDULED_PAST_H
#define COORDINATOR_SCHEDULED_PAST_H

#include "common/err.h"

#include <stdint.h>

enum { SCHEDULED_REFUSED = -2 }; // in place of an exit code: the one before went on

// `job`: path of its file, without links; `began`: seconds since 1970. ERR_*: of runs.db.
MUST_CHECK err_t scheduled_begin(const char *dir, const char *job, int64_t began,
                                 int64_t *row, struct err *e);
MUST_CHECK err_t scheduled_end(const char *dir, int64_t row, int exit_code, struct err *e);

#endif
