// plot_axis - scales of a figure: which part of it a number stands at, and where its round
// ticks are. Pure; every finite number is fit, up to the greatest there is.
//
// Times are seconds since 1970-01-01 00:00, without a zone: as they are written.

#ifndef COMMON_PLOT_AXIS_H
#define COMMON_PLOT_AXIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLOT_TICKS = 16, PLOT_LABEL = 48 };

struct plot_tick {
    double at; // 0 to 1 of the axis
    char label[PLOT_LABEL];
};

struct plot_axis {
    long double lo, hi; // lo < hi; wider than a double where it is rounded
    uint32_t n;
    struct plot_tick tick[PLOT_TICKS];
};

// lo <= hi, both finite; where they are equal there is some room around. `most` ticks at
// most, 2 to PLOT_TICKS. Steps are 1, 2 or 5 times a power of ten.
void plot_axis_number(struct plot_axis *a, double lo, double hi, uint32_t most);
// From a tick to a tick, evenly: the first at 0, the last at 1. 0 is on it unless all is
// far from there.
void plot_axis_rounded(struct plot_axis *a, double lo, double hi, uint32_t most);
// Ticks at whole seconds, minutes, hours, days, Mondays, months or years.
void plot_axis_time(struct plot_axis *a, double lo, double hi, uint32_t most);

double plot_axis_at(const struct plot_axis *a, double v); // 0 to 1; what is beyond is cut

// "1,234.5", "-1.5e+30"; "" for what is not finite.
const char *plot_number_text(double v, char out[PLOT_LABEL]);
// "2017-12-30", "2017-12-30 14:05", with seconds and parts of them where there are some.
const char *plot_time_text(double seconds, char out[PLOT_LABEL]);
// A date or timestamp as csv_value.h has them; a zone is turned into UTC. False: it is
// none.
bool plot_time_read(const char *p, size_t n, double *seconds);

#endif
