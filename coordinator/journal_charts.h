// journal_charts - the charts that a run's job asks for, kept in runs.db so that a report
// draws those of the job as it was run: table `run_charts`, a row a chart. Like run_places
// no part of the version of runs.db.

#ifndef COORDINATOR_JOURNAL_CHARTS_H
#define COORDINATOR_JOURNAL_CHARTS_H

#include "common/chart.h"
#include "coordinator/journal.h"

struct sqlite3;

// Of the run that was begun. `into` of each names its warehouse as it will be found from
// anywhere: an absolute path, or the address of a server without its password.
MUST_CHECK err_t journal_charts_put(struct journal *j, const struct charts *c,
                                    struct err *e);
// Adds those of run number `seq`, in their order. A history without the table has none.
MUST_CHECK err_t journal_charts_get(struct sqlite3 *db, int64_t seq, struct charts *out,
                                    struct err *e);

#endif
