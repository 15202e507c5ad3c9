// plot_line - the points of a line of a figure, of any number of rows: past PLOT_POINTS
// they are thinned to the first, the last, the lowest and the highest of each of
// PLOT_BUCKETS equal parts of x, so that no peak is lost and the drawing stays what it was
// (M4, Jugel et al., VLDB 2014). Pure.

#ifndef COMMON_PLOT_LINE_H
#define COMMON_PLOT_LINE_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLOT_BUCKETS = 500, PLOT_POINTS = 4 * PLOT_BUCKETS };

struct plot_point {
    double x;      // finite
    double y;      // not finite: a gap, the line is broken there
    double lo, hi; // of a band; not finite: none here
};

struct plot_bucket;

struct plot_line {        // zero-initialised, with x_lo <= x_hi, is a line without points
    double x_lo, x_hi;    // all points are between them
    struct plot_point *v; // in the order of x, once plot_line_end was called
    uint32_t n;
    uint64_t rows;    // that were added
    uint64_t at_once; // of these, values at an x that has one already; not counted when
                      // thinned
    struct plot_bucket *bucket; // NULL: not thinned
};

// In any order. ERR_NOMEM.
MUST_CHECK err_t plot_line_add(struct plot_line *l, struct plot_point p, struct err *e);
void plot_line_end(struct plot_line *l); // nothing is added after it
bool plot_line_thinned(const struct plot_line *l);
void plot_line_free(struct plot_line *l); // leaves a line without points

#endif
