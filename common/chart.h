// chart - a figure that a job asks for in `charts:`: which columns of which table it draws.
// Pure data; docs/CHARTS.md says what it means. Rows do not depend on it.

#ifndef COMMON_CHART_H
#define COMMON_CHART_H

#include "common/job_lists.h"

#include <stdint.h>

enum {
    CHARTS_MAX = 24, // of a job
    CHART_LINES = 12,
    CHART_TITLE_MAX = 200, // bytes
    CHART_LAST_MAX = 1000000000,
};

struct chart {   // owns its texts
    char *title; // NULL: none was given
    char *table; // NULL: the one that the job loads
    char *x;
    struct strings y;    // CHART_LINES at most
    struct strings band; // none, or two: the lower and the upper edge
    char *by;            // a line for each of its values; NULL: one for each of y
    char *forecast;      // a table as `forecast` makes it; NULL: none
    uint32_t last;       // only the so many greatest values of x; 0: all
    char *into;          // the warehouse; NULL: the one that the job loads into
};

void chart_free(struct chart *c); // leaves a zeroed chart

struct charts { // zero-initialised is a valid empty list
    struct chart *v;
    size_t n;
};
// Takes what the chart owns and leaves *c zeroed on success.
MUST_CHECK err_t charts_add(struct charts *to, struct chart *c, struct err *e);
// Adds copies.
MUST_CHECK err_t charts_copy(struct charts *to, const struct charts *from, struct err *e);
void charts_free(struct charts *c); // leaves an empty list

#endif
