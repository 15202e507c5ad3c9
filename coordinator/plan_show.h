// plan_show - what `tranche plan` found, for people and for programs.

#ifndef COORDINATOR_PLAN_SHOW_H
#define COORDINATOR_PLAN_SHOW_H

#include "coordinator/plan.h"
#include "coordinator/survey.h"

#include <stdio.h>

struct plan_found { // all borrowed
    const struct job *job;
    const struct plan *plan;
    const struct survey *survey; // NULL: no trial ended well, and `error` says why
    const char *error;
    const char *written; // the job file; NULL: none was wanted
};

void plan_show_human(const struct plan_found *f, FILE *out);
void plan_show_json(const struct plan_found *f, FILE *out); // one line

// Why the i-th column has its type, as the end of a line; "" where nothing was looked at.
enum { PLAN_EVIDENCE = 1000 };
void plan_evidence(const struct plan_found *f, uint32_t i, char out[PLAN_EVIDENCE]);
// One line each, for people and for comments: `i` from 0; false: there are no more.
enum { PLAN_LINE = 1600 };
bool plan_prediction(const struct plan_found *f, uint32_t i, char out[PLAN_LINE]);

#endif
