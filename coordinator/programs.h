// programs - exec and plugin steps on the coordinator's side: which files of theirs travel
// with the job, and what was learned by trying them.

#ifndef COORDINATOR_PROGRAMS_H
#define COORDINATOR_PROGRAMS_H

#include "proto/spec.h"

// Makes the steps' folders absolute, puts the values of the caller's variables into their
// environments and adds the files to the spec's. ERR_INVALID: a file or a variable is
// missing.
MUST_CHECK err_t programs_add(struct spec *spec, struct err *e);
// Takes the columns from the answer of --describe, and those of each program; a note says
// what sandbox each has.
MUST_CHECK err_t programs_learned(struct spec *spec, struct spec *answer,
                                  struct strings *notes, struct err *e);

#endif
