#include "common/plot_axis.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

// The least of 1, 2, 5, 10, ... that is at least x.
static long double round_up(long double x)
{
    long double p = powl(10, floorl(log10l(x))), m = x / p;
    return p * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}

static long double next_step(long double step)
{
    return round_up(step * 1.5L);
}

// "1234567.5" becomes "1,234,567.5".
static void with_commas(const char *digits, char out[PLOT_LABEL])
{
    size_t k = 0, sign = digits[0] == '-', whole = strcspn(digits + sign, ".e");
    for (size_t i = 0; digits[i] && k + 2 < PLOT_LABEL; i++) {
        bool inside = i > sign && i < sign + whole;
        if (inside && (sign + whole - i) % 3 == 0) out[k++] = ',';
        out[k++] = digits[i];
    }
    out[k] = 0;
}

static int exponent(long double x)
{
    return x > 0 ? (int)floorl(log10l(x) + 1e-9L) : 0;
}

// As exact as the step asks for.
static void tick_label(long double v, long double step, long double most,
                       char out[PLOT_LABEL])
{
    char digits[PLOT_LABEL];
    int decimals = -exponent(step);
    if (v == 0) {
        snprintf(out, PLOT_LABEL, "0");
    } else if (most >= 1e12L || decimals > 6) {
        int n = exponent(most) - exponent(step) + 1;
        snprintf(out, PLOT_LABEL, "%.*Lg", n < 1 ? 1 : n > 17 ? 17 : n, v);
    } else {
        snprintf(digits, sizeof digits, "%.*Lf", decimals < 0 ? 0 : decimals, v);
        with_commas(digits, out);
    }
}

static void put_ticks(struct plot_axis *a, long double step, long double first,
                      long double last)
{
    long double most = fmaxl(fabsl(a->lo), fabsl(a->hi));
    a->n = 0;
    while (first + a->n <= last && a->n < PLOT_TICKS) {
        long double k = first + a->n;
        struct plot_tick *t = &a->tick[a->n++];
        t->at = (double)((k * step - a->lo) / (a->hi - a->lo));
        tick_label(k * step, step, most, t->label);
    }
}

// Room around a single value; and a step that still tells its neighbours apart.
static long double widen(long double *lo, long double *hi, uint32_t most)
{
    long double size = fmaxl(fabsl(*lo), fabsl(*hi)), room = size > 0 ? size / 2 : 1;
    assert(*lo <= *hi && most >= 2 && most <= PLOT_TICKS);
    if (*hi - *lo < size * 1e-12L || *hi == *lo) {
        *lo -= room;
        *hi += room;
    }
    return round_up((*hi - *lo) / most);
}

// Numbers of the first and the last tick between the ends, but for what rounding took.
static long double first_tick(const struct plot_axis *a, long double step)
{
    return ceill(a->lo / step - 1e-9L);
}

static long double last_tick(const struct plot_axis *a, long double step)
{
    return floorl(a->hi / step + 1e-9L);
}

void plot_axis_number(struct plot_axis *a, double lo, double hi, uint32_t most)
{
    a->lo = lo, a->hi = hi;
    long double step = widen(&a->lo, &a->hi, most);
    while (last_tick(a, step) - first_tick(a, step) + 1 > most)
        step = next_step(step);
    put_ticks(a, step, first_tick(a, step), last_tick(a, step));
}

void plot_axis_rounded(struct plot_axis *a, double lo, double hi, uint32_t most)
{
    if (lo > 0 && lo < hi / 2 + hi / 4) lo = 0;
    if (hi < 0 && hi > lo / 2 + lo / 4) hi = 0;
    if (lo == hi && lo > 0) lo = 0;
    if (lo == hi && lo < 0) hi = 0;
    a->lo = lo, a->hi = hi;
    long double step = widen(&a->lo, &a->hi, most), first, last;
    first = floorl(a->lo / step), last = ceill(a->hi / step);
    while (last - first + 1 > most) {
        step = next_step(step);
        first = floorl(a->lo / step), last = ceill(a->hi / step);
    }
    a->lo = first * step, a->hi = last * step;
    put_ticks(a, step, first, last);
}

double plot_axis_at(const struct plot_axis *a, double v)
{
    long double at = (v - a->lo) / (a->hi - a->lo);
    return at < 0 ? 0 : at > 1 ? 1 : (double)at;
}

const char *plot_number_text(double v, char out[PLOT_LABEL])
{
    char digits[PLOT_LABEL];
    double size = fabs(v);
    out[0] = 0;
    if (!isfinite(v)) return out;
    if (size >= 1e15 || (size > 0 && size < 1e-4)) {
        snprintf(out, PLOT_LABEL, "%.6g", v);
        return out;
    }
    snprintf(digits, sizeof digits, "%.*f", size >= 1000 ? 2 : size >= 1 ? 4 : 6, v);
    char *end = digits + strlen(digits);
    while (end[-1] == '0')
        *--end = 0;
    if (end[-1] == '.') *--end = 0;
    with_commas(strcmp(digits, "-0") == 0 ? "0" : digits, out);
    return out;
}
