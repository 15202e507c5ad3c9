// past_html - `tranche report --html`: the same as one page that needs nothing else: no
// script, no font, no picture from anywhere, charts in SVG with their numbers in tables.

#ifndef COORDINATOR_PAST_HTML_H
#define COORDINATOR_PAST_HTML_H

#include "common/buf.h"
#include "coordinator/page.h"
#include "coordinator/past.h"

// ERR_NOMEM, and what charts_html fails for. The size does not depend on the run's: lists
// are cut, and say so.
MUST_CHECK err_t past_html(struct past *p, struct buf *out, struct err *e);

// The parts of it, for other pages that show a run: what came out at its end; the figures
// that its job asks for (charts_html); charts and tables of how it went.
void past_html_sums(struct page *g, const struct past *p);
void past_html_charts(struct page *g, struct past *p);
void past_html_parts(struct page *g, const struct past *p);

#endif
