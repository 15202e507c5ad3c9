// survey_params - what a trial must know beforehand: the values of params, from the
// warehouse as it is, and how many rows a query has.

#ifndef COORDINATOR_SURVEY_PARAMS_H
#define COORDINATOR_SURVEY_PARAMS_H

#include "common/batch.h"
#include "coordinator/warehouse.h"

// Each param as SQL that gives its value and reads no table; NULL where the warehouse is
// not there yet, or cannot be asked. `out` is freed by the caller in any case.
MUST_CHECK err_t survey_params(struct job_pairs *out, const struct job *j,
                               const struct warehouse_ops *ops, struct err *e);
// "SELECT 1.5": one cell as SQL.
MUST_CHECK err_t survey_literal(const struct cell *c, struct buf *out, struct err *e);
// Rows of a query on an SQLite database, counted; of other sources *rows stays.
MUST_CHECK err_t survey_count(const struct job *j, uint64_t *rows, bool *counted,
                              struct err *e);

#endif
