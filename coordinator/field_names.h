// field_names - tells which members that a job names are in no JSON line that was looked
// at: their columns would be empty without a word.

#ifndef COORDINATOR_FIELD_NAMES_H
#define COORDINATOR_FIELD_NAMES_H

#include "common/buf.h"
#include "common/infer.h"
#include "common/job.h"

// `seen`: what the sample said of each of the fields; `sample`: JSON lines from its head.
// `notes` gets a line for each field that had no value and whose last name is none of the
// sample's, with the nearest one that is.
MUST_CHECK err_t field_names_check(const struct strings *fields,
                                   const struct infer_column *seen, uint32_t n,
                                   struct slice sample, struct strings *notes,
                                   struct err *e);

#endif
