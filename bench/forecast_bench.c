// forecast_bench - series a second of CPU time: forecast_bench [SERIES [DAYS]]
//
// Twice: series that have the same days, as those of one calendar do (what follows from the
// days alone is computed once), and series with gaps of their own.

#include "common/clock.h"
#include "worker/forecast_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { AHEAD = 30 };

static ns_t cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (ns_t)t.tv_sec * NS_S + t.tv_nsec;
}

static double uniform(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(*seed >> 11) / 9007199254740992.0;
}

static uint32_t make(int64_t *day, double *y, uint32_t days, double gaps, uint64_t seed)
{
    uint32_t n = 0;
    double level = 100 * uniform(&seed), slope = uniform(&seed) / 10;
    for (uint32_t i = 0; i < days; i++) {
        if (uniform(&seed) < gaps) continue;
        day[n] = 16436 + i;
        y[n++] = level + slope * i + 10 * sin(2 * M_PI * i / 7) +
                 20 * sin(2 * M_PI * i / 365.25) + 10 * uniform(&seed);
    }
    return n;
}

static int measure(const char *name, uint32_t series, uint32_t days, double gaps)
{
    struct forecast_rule rule = { CALENDAR_DAY, true, 0.8 };
    struct forecast_model *m = forecast_model_new(&rule);
    int64_t *day = calloc(days, sizeof *day);
    double *y = calloc(days, sizeof *y), sum = 0;
    struct forecast_point p;
    struct err e;
    ns_t ns = 0;
    int bad = !m || !day || !y;
    for (uint32_t i = 0; !bad && i < series; i++) {
        uint32_t n = make(day, y, days, gaps, i);
        ns_t start = cpu();
        bad = n < 2 || forecast_model_fit(m, day, y, n, &e) != ERR_OK;
        for (int k = 1; !bad && k <= AHEAD; k++, sum += p.yhat)
            bad = !forecast_model_at(m, day[n - 1] + k, &p);
        ns += cpu() - start;
    }
    if (!bad)
        printf("%s: %.0f series of %u days a second of CPU (%.3g)\n", name,
               series / ((double)ns / NS_S), days, sum / series);
    forecast_model_free(&m);
    free(day);
    free(y);
    return bad;
}

int main(int argc, char **argv)
{
    uint32_t series = argc > 1 ? (uint32_t)atoi(argv[1]) : 2000;
    uint32_t days = argc > 2 ? (uint32_t)atoi(argv[2]) : 1000;
    if (series == 0 || days < 2 || days > FORECAST_POINTS_MAX) return 2;
    return measure("the same days", series, days, 0) |
           measure("gaps of their own", series, days, 0.02);
}
