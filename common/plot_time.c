// The part of plot_axis about times.

#include "common/plot_axis.h"

#include "common/civil.h"
#include "common/csv_value.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DAY = 86400, FURTHEST = 12000 /* years from 1970 */ };

enum unit { SECONDS, DAYS, MONTHS };

struct step {
    enum unit unit;
    int64_t n; // units
};

static const struct step steps[] = {
    { SECONDS, 1 },        { SECONDS, 2 },
    { SECONDS, 5 },        { SECONDS, 10 },
    { SECONDS, 15 },       { SECONDS, 30 },
    { SECONDS, 60 },       { SECONDS, 120 },
    { SECONDS, 300 },      { SECONDS, 600 },
    { SECONDS, 900 },      { SECONDS, 1800 },
    { SECONDS, 3600 },     { SECONDS, 7200 },
    { SECONDS, 10800 },    { SECONDS, 21600 },
    { SECONDS, 43200 },    { DAYS, 1 },
    { DAYS, 2 },           { DAYS, 7 },
    { DAYS, 14 },          { MONTHS, 1 },
    { MONTHS, 2 },         { MONTHS, 3 },
    { MONTHS, 6 },         { MONTHS, 12 },
    { MONTHS, 2 * 12 },    { MONTHS, 5 * 12 },
    { MONTHS, 10 * 12 },   { MONTHS, 20 * 12 },
    { MONTHS, 50 * 12 },   { MONTHS, 100 * 12 },
    { MONTHS, 200 * 12 },  { MONTHS, 500 * 12 },
    { MONTHS, 1000 * 12 }, { MONTHS, 2000 * 12 },
    { MONTHS, 5000 * 12 }, { MONTHS, 10000 * 12 },
};

static int64_t days_of(double t)
{
    return (int64_t)floor(t / DAY);
}

static int64_t floor_to(int64_t x, int64_t n)
{
    int64_t rest = x % n;
    return x - (rest < 0 ? rest + n : rest);
}

static double of_month(int64_t month) // from the year 0 on
{
    struct civil c = { (int)(floor_to(month, 12) / 12),
                       (int)(month - floor_to(month, 12)) + 1, 1 };
    return (double)civil_days(c) * DAY;
}

// The last tick at or before t; ticks have numbers, which count the step's units.
static int64_t tick_before(const struct step *s, double t)
{
    struct civil c = civil_of(days_of(t));
    switch (s->unit) {
    case SECONDS: return floor_to((int64_t)floor(t), s->n);
    case DAYS: // 1970-01-05 was a Monday
        return floor_to(days_of(t) - 4, s->n) + 4;
    case MONTHS: break;
    }
    return floor_to((int64_t)c.year * 12 + c.month - 1, s->n);
}

static double tick_time(const struct step *s, int64_t tick)
{
    return s->unit == SECONDS ? (double)tick
           : s->unit == DAYS  ? (double)tick * DAY
                              : of_month(tick);
}

static int64_t first_tick(const struct step *s, double lo)
{
    int64_t k = tick_before(s, lo);
    return tick_time(s, k) < lo ? k + s->n : k;
}

// Of dates no hours are shown.
static struct step choose(double lo, double hi, uint32_t most)
{
    bool dates = fmod(lo, DAY) == 0 && fmod(hi, DAY) == 0;
    size_t i = 0, n = sizeof steps / sizeof *steps;
    for (; i + 1 < n; i++) {
        const struct step *s = &steps[i];
        if (dates && s->unit == SECONDS) continue;
        int64_t span = tick_before(s, hi) - first_tick(s, lo);
        if (span / s->n + 1 <= most) break;
    }
    return steps[i];
}

static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

// What differs from the tick before it.
static void label(const struct step *s, double t, double before, bool first,
                  char out[PLOT_LABEL])
{
    int64_t day = days_of(t), rest = (int64_t)t - day * DAY;
    struct civil c = civil_of(day), was = civil_of(days_of(before));
    const char *month = months[c.month - 1];
    bool year = first || was.year != c.year;
    if (s->unit == MONTHS && s->n % 12 == 0)
        snprintf(out, PLOT_LABEL, "%d", c.year);
    else if (s->unit == MONTHS && c.month == 1)
        snprintf(out, PLOT_LABEL, "%d", c.year);
    else if (s->unit == MONTHS)
        snprintf(out, PLOT_LABEL, year ? "%s %d" : "%s", month, c.year);
    else if (s->unit == DAYS || !rest)
        snprintf(out, PLOT_LABEL, year && s->unit == DAYS ? "%d %s %d" : "%d %s", c.day,
                 month, c.year);
    else if (s->n % 60 == 0)
        snprintf(out, PLOT_LABEL, "%02d:%02d", (int)(rest / 3600), (int)(rest / 60 % 60));
    else
        snprintf(out, PLOT_LABEL, "%02d:%02d:%02d", (int)(rest / 3600),
                 (int)(rest / 60 % 60), (int)(rest % 60));
}

static double clamp(double t)
{
    const double most = (double)FURTHEST * 365 * DAY;
    return t < -most ? -most : t > most ? most : t;
}

// Of less than some seconds: parts of a second, counted from the second it begins in.
static void parts_of_second(struct plot_axis *a, double lo, double hi, uint32_t most)
{
    double base = floor(lo);
    plot_axis_number(a, lo - base, hi - base, most);
    a->lo += base;
    a->hi += base;
    for (uint32_t i = 0; i < a->n; i++) {
        char part[PLOT_LABEL];
        snprintf(part, sizeof part, "%s s", a->tick[i].label);
        memcpy(a->tick[i].label, part, sizeof part);
    }
}

void plot_axis_time(struct plot_axis *a, double lo, double hi, uint32_t most)
{
    lo = clamp(lo), hi = clamp(hi);
    if (lo == hi) lo -= DAY, hi += DAY;
    if (hi - lo < 2) {
        parts_of_second(a, lo, hi, most);
        return;
    }
    *a = (struct plot_axis){ .lo = lo, .hi = hi };
    struct step s = choose(lo, hi, most);
    double before = lo;
    for (int64_t k = first_tick(&s, lo); tick_time(&s, k) <= hi && a->n < most; k += s.n) {
        double t = tick_time(&s, k);
        struct plot_tick *to = &a->tick[a->n++];
        to->at = (t - lo) / (hi - lo);
        label(&s, t, before, a->n == 1, to->label);
        before = t;
    }
}

const char *plot_time_text(double t, char out[PLOT_LABEL])
{
    out[0] = 0;
    if (!isfinite(t)) return out;
    t = clamp(t);
    int64_t us = (int64_t)llround((t - floor(t)) * 1e6), whole = (int64_t)floor(t);
    if (us >= 1000000) us -= 1000000, whole++;
    int64_t day = floor_to(whole, DAY) / DAY;
    int rest = (int)(whole - day * DAY), part = (int)us;
    struct civil c = civil_of(day);
    int n = snprintf(out, PLOT_LABEL, "%04d-%02d-%02d", c.year, c.month, c.day);
    if (rest || part)
        n += snprintf(out + n, PLOT_LABEL - (size_t)n, " %02d:%02d", rest / 3600,
                      rest / 60 % 60);
    if (rest % 60 || part)
        n += snprintf(out + n, PLOT_LABEL - (size_t)n, ":%02d", rest % 60);
    if (part) n += snprintf(out + n, PLOT_LABEL - (size_t)n, ".%06d", part);
    while (part && out[n - 1] == '0')
        out[--n] = 0;
    return out;
}

// ---- text to times ----

static int number(const char *p, size_t n)
{
    int x = 0;
    for (size_t i = 0; i < n; i++)
        x = x * 10 + (p[i] - '0');
    return x;
}

// "+01:30" as seconds; p is at the sign.
static int zone(const char *p, size_t n)
{
    if (n < 3) return 0; // "", "Z"
    int s = number(p + 1, 2) * 3600 + (n >= 6 ? number(p + 4, 2) * 60 : 0);
    return *p == '-' ? -s : s;
}

bool plot_time_read(const char *p, size_t n, double *seconds)
{
    bool date = csv_is_date((const uint8_t *)p, n);
    if (!date && !csv_is_timestamp((const uint8_t *)p, n)) return false;
    struct civil c = { number(p, 4), number(p + 5, 2), number(p + 8, 2) };
    double t = (double)civil_days(c) * DAY, unit = 0.1;
    size_t i = 16;
    if (!date) t += number(p + 11, 2) * 3600 + number(p + 14, 2) * 60;
    if (!date && i < n && p[i] == ':') t += number(p + i + 1, 2), i += 3;
    if (!date && i < n && p[i] == '.')
        for (i++; i < n && p[i] >= '0' && p[i] <= '9'; i++) {
            t += (p[i] - '0') * unit;
            unit /= 10;
        }
    *seconds = date ? t : t - zone(p + i, n - i);
    return true;
}
