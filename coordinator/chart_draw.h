// chart_draw - what was read for a chart as a figure of a page: lines or bars, a legend,
// the numbers in a table. No script; colours are those of page_style.

#ifndef COORDINATOR_CHART_DRAW_H
#define COORDINATOR_CHART_DRAW_H

#include "coordinator/chart_read.h"
#include "coordinator/page.h"

void chart_draw(struct page *g, const struct chart *c, const struct chart_data *d);

// Parts of it, in files of their own.
void chart_draw_bars(struct page *g, const struct chart *c, const struct chart_data *d);
void chart_draw_numbers(struct page *g, const struct chart *c, const struct chart_data *d);
const char *chart_x_text(const struct chart_data *d, double x, char *out /* PLOT_LABEL */);

#endif
