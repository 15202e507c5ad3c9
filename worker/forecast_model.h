// forecast_model - one series into its future: arrays in, arrays out, no clock, no state
// that a later series could see.
//
// A linear model in the spirit of Prophet (Taylor and Letham, Forecasting at Scale, 2018):
// a trend that may bend at up to 25 places in the first four fifths of the series, Fourier
// terms of the week, the month and the year, holidays. Every coefficient has a normal prior
// around zero; how wide those of a block (the bends, the week, ...) are follows from the
// data by MacKay's evidence (Bayesian Interpolation, 1992): a block that explains nothing
// shrinks away. Fitting is a ridge system a round, solved by LAPACK. The interval has the
// noise, what is unknown about the coefficients, and bends that are still to come. The
// numbers do not depend on what was fitted before.

#ifndef WORKER_FORECAST_MODEL_H
#define WORKER_FORECAST_MODEL_H

#include "common/err.h"
#include "worker/forecast_calendar.h"

enum { FORECAST_POINTS_MAX = 20000 }; // of a series; they take 12 MiB then

struct forecast_rule {
    enum calendar_step step;
    bool holidays;
    double interval; // between 0 and 1: the share of values that it is to cover
};

struct forecast_point {
    double yhat, lower, upper; // finite, lower <= yhat <= upper
};

struct forecast_model;
struct forecast_model *forecast_model_new(const struct forecast_rule *r); // NULL: no memory
void forecast_model_free(struct forecast_model **m);

// 2 to FORECAST_POINTS_MAX points; days ascend, values are finite. ERR_NOMEM else.
MUST_CHECK err_t forecast_model_fit(struct forecast_model *m, const int64_t *day,
                                    const double *y, uint32_t n, struct err *e);
// What was fitted last, on any day. False: the numbers are larger than a real holds.
bool forecast_model_at(struct forecast_model *m, int64_t day, struct forecast_point *out);

#endif
