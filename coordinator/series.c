#include "coordinator/series.h"

#include "coordinator/busy.h"

#include <math.h>

int64_t series_end_ms(const struct journal_sample *s, uint32_t n_s,
                      const struct journal_worker *w, uint32_t n_w)
{
    int64_t end = 1;
    for (uint32_t i = 0; i < n_s; i++)
        if (s[i].at_ms > end) end = s[i].at_ms;
    for (uint32_t i = 0; i < n_w; i++)
        if (w[i].left_ms > end) end = w[i].left_ms;
    return end < INT64_MAX / 1000000 ? end : INT64_MAX / 1000000;
}

static double counter(enum series_what what, const struct journal_sample *s)
{
    return what == SERIES_ROWS ? (double)s->rows_read : (double)s->bytes;
}

// Adds `amount`, spread evenly over from to to, to the steps that it lies in.
static void spread(double amount, double from, double to, double step, double *out,
                   uint32_t n)
{
    if (to <= from || from < 0) return;
    for (uint32_t i = (uint32_t)fmin(from / step, n); i < n && i * step < to; i++) {
        double a = fmax(from, i * step), b = fmin(to, (i + 1) * step);
        if (b > a) out[i] += amount * (b - a) / (to - from);
    }
}

void series_of(enum series_what what, const struct journal_sample *s, uint32_t n_s,
               int64_t end_ms, double *out, uint32_t n)
{
    double step = (double)end_ms / n;
    for (uint32_t i = 0; i < n; i++)
        out[i] = 0;
    for (uint32_t k = 0; k < n_s; k++) {
        double from = k ? (double)s[k - 1].at_ms : 0, to = (double)s[k].at_ms;
        double more = counter(what, &s[k]) - (k ? counter(what, &s[k - 1]) : 0);
        double level = what == SERIES_BUSY ? s[k].busy : (double)s[k].results;
        if (what == SERIES_ROWS || what == SERIES_BYTES)
            spread(more * 1000 / step, from, to, step, out, n);
        else
            spread(level * (to - from) / step, from, to, step, out, n);
    }
}

void series_worker(const struct journal_worker *w, int64_t end_ms, double *out, uint32_t n)
{
    uint64_t ms[BUSY_BUCKETS];
    double step = (double)end_ms / n, slots = w->slots ? w->slots : 1;
    double left = w->left_ms < 0 ? (double)end_ms : (double)w->left_ms;
    uint32_t k = busy_parse(w->busy, ms, BUSY_BUCKETS);
    for (uint32_t i = 0; i < n; i++)
        out[i] = 0;
    for (uint32_t i = 0; i < k && w->bucket_ms > 0; i++) {
        double from = (double)i * (double)w->bucket_ms;
        double to = fmin(from + (double)w->bucket_ms, (double)end_ms);
        spread((double)ms[i] / slots / step, from, to, step, out, n);
    }
    for (uint32_t i = 0; i < n; i++) {
        bool here = (i + 1) * step >= (double)w->came_ms && i * step <= left;
        out[i] = out[i] > 1 ? 1 : out[i] <= 0 && !here ? -1 : out[i];
    }
}

double series_max(const double *v, uint32_t n)
{
    double max = 0;
    for (uint32_t i = 0; i < n; i++)
        if (v[i] > max) max = v[i];
    return max;
}

double series_top(double x)
{
    if (!(x > 0) || x > 1e300) return 1;
    double p = pow(10, floor(log10(x)));
    return x <= p ? p : x <= 2 * p ? 2 * p : x <= 5 * p ? 5 * p : 10 * p;
}
