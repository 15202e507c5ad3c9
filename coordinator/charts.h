// charts - the figures that a job's `charts:` asks for, read from the warehouse as it is
// now, as HTML with SVG in it: no script, no style of its own (page_style has it).
//
// What cannot be shown (a table that is not there, a column without numbers, a warehouse
// that is not a SQLite file) is a sentence in the figure's place, never an error.

#ifndef COORDINATOR_CHARTS_H
#define COORDINATOR_CHARTS_H

#include "common/buf.h"
#include "coordinator/past.h"

// Appends a heading and the figures of the run's job; nothing when it declares none. Fit to
// stand between other parts of a page. Reads at most some seconds, and keeps what it reads
// in bounds (docs/CHARTS.md). ERR_NOMEM; of other errors runs.db is the cause.
MUST_CHECK err_t charts_html(struct past *p, struct buf *out, struct err *e);

#endif
