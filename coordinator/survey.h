// survey - what a run of a job will be like: trials of growing parts of the input, and the
// estimate that follows from them.

#ifndef COORDINATOR_SURVEY_H
#define COORDINATOR_SURVEY_H

#include "coordinator/plan.h"
#include "coordinator/trial.h"

struct survey { // owns what it points to; survey_free
    struct estimate estimate;
    struct trial last;      // the largest trial that ended well
    struct excerpt excerpt; // where its rows came from
    uint32_t trials;
    double seconds;                  // of all of them
    bool whole;                      // the last one had all rows
    uint64_t rows;                   // of the input
    bool counted;                    // exactly
    double bytes;                    // of the input, decompressed; 0: not text
    uint64_t output_bytes, rejected; // of the whole run, about
    struct strings notes;            // for people: what was not tried, and why
    int code;                        // of a trial that failed, as of a run
};

// The job is open (plan_input). ERR_*: no trial ended well; s->code is then as a run's.
// Nothing is written but in a scratch folder.
MUST_CHECK err_t survey_run(struct survey *s, const struct job *j, struct plan *p,
                            const struct warehouse_ops *ops, struct err *e);
void survey_free(struct survey *s); // leaves an empty one

#endif
