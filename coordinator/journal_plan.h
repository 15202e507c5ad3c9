// journal_plan - what `tranche plan` expected of a job, kept in runs.db until a run of the
// same job can be held against it: table `plans`, a row a job, replaced by its next plan.

#ifndef COORDINATOR_JOURNAL_PLAN_H
#define COORDINATOR_JOURNAL_PLAN_H

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

struct journal_plan {
    int64_t at_ms;          // wall clock, when it was made: filled by journal_plan_put
    uint32_t workers;       // batches at a time, as the run would have
    double seconds;         // that the whole run takes with them
    uint64_t rows;          // read
    uint64_t rows_rejected; // of these
    uint64_t output_bytes;  // encoded for the warehouse
};

// `spec_text` is what job_canonical makes of the job, and what `runs.spec` has of a run.
// DIR is made when it is missing; the errors are those of journal_open.
MUST_CHECK err_t journal_plan_put(const char *dir, const char *spec_text,
                                  const struct journal_plan *p, struct err *e);
// Reads only. *found = false: no runs.db, or this job was never planned.
MUST_CHECK err_t journal_plan_find(const char *dir, const char *spec_text,
                                   struct journal_plan *out, bool *found, struct err *e);

// The same in the history that a run has open.
struct journal;
MUST_CHECK err_t journal_plan_of(struct journal *j, const char *spec_text,
                                 struct journal_plan *out, bool *found, struct err *e);

// How far a run that took so many seconds is from what was planned: +0.25 is a quarter
// longer.
static inline double journal_plan_error(const struct journal_plan *p, double seconds)
{
    return p->seconds > 0 ? seconds / p->seconds - 1 : 0;
}

#endif
