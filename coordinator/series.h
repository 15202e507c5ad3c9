// series - numbers over the time of a run, in as many steps as a chart has. Pure.

#ifndef COORDINATOR_SERIES_H
#define COORDINATOR_SERIES_H

#include "coordinator/journal_stats.h"

#include <stdbool.h>
#include <stdint.h>

enum series_what { SERIES_ROWS, SERIES_BYTES, SERIES_BUSY, SERIES_RESULTS };

// How long samples and workers say that it took: the last of them, 1 at least.
int64_t series_end_ms(const struct journal_sample *s, uint32_t n_s,
                      const struct journal_worker *w, uint32_t n_w);
// ROWS and BYTES a second, between samples as if they had come evenly; of the others the
// value that held. out[i] stands for i/n to (i+1)/n of the time until `end_ms`.
void series_of(enum series_what what, const struct journal_sample *s, uint32_t n_s,
               int64_t end_ms, double *out, uint32_t n);
// How busy the worker's slots were, 0 to 1; -1: it was not here.
void series_worker(const struct journal_worker *w, int64_t end_ms, double *out, uint32_t n);
double series_max(const double *v, uint32_t n); // 0 when all are below
// A rounded number that is at least x: 1, 2 or 5 times a power of ten; the top of an axis.
double series_top(double x);

#endif
