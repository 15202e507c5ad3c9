// plan_place - where in the inputs something stands, for people: "data.csv, line 17".

#ifndef COORDINATOR_PLAN_PLACE_H
#define COORDINATOR_PLAN_PLACE_H

#include "coordinator/source.h"
#include "coordinator/trial.h"

enum { PLAN_PLACE = 300 };

// The record that begins at this byte. Its line is counted if it stands in the first GiB of
// a plain file; else the byte is told.
void plan_place(const struct source *s, uint32_t input, uint64_t byte,
                char out[PLAN_PLACE]);
// Of a row that a trial rejected.
void plan_place_of_reject(const struct source *s, const struct excerpt *x,
                          const struct trial_reject *r, char out[PLAN_PLACE]);

#endif
