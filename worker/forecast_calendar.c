#include "worker/forecast_calendar.h"

#include "common/civil.h"

#include <math.h>
#include <stddef.h>

enum { OBSERVED = CALENDAR_HOLIDAYS - 1, MONDAY = 0, THURSDAY = 3 };

struct holiday {
    int since, month;
    int day;          // of the month; 0: by its weekday
    int weekday, nth; // the first is 1, the last -1
};

static const struct holiday holidays[OBSERVED] = {
    { 1885, 1, 1, 0, 0 },         // New Year's Day
    { 1986, 1, 0, MONDAY, 3 },    // Birthday of Martin Luther King, Jr.
    { 1971, 2, 0, MONDAY, 3 },    // Washington's Birthday
    { 1971, 5, 0, MONDAY, -1 },   // Memorial Day
    { 2021, 6, 19, 0, 0 },        // Juneteenth
    { 1870, 7, 4, 0, 0 },         // Independence Day
    { 1894, 9, 0, MONDAY, 1 },    // Labor Day
    { 1971, 10, 0, MONDAY, 2 },   // Columbus Day
    { 1978, 11, 11, 0, 0 },       // Veterans Day
    { 1942, 11, 0, THURSDAY, 4 }, // Thanksgiving Day
    { 1885, 12, 25, 0, 0 },       // Christmas Day
};

static bool is_holiday(const struct holiday *h, const struct civil *c, int weekday)
{
    if (c->month != h->month || c->year < h->since) return false;
    if (h->day) return c->day == h->day;
    if (weekday != h->weekday) return false;
    if (h->nth < 0) return c->day + 7 > civil_month_days(c->year, c->month);
    return (c->day - 1) / 7 + 1 == h->nth;
}

static uint32_t own(int64_t day, int weekday)
{
    struct civil c = civil_of(day);
    uint32_t bits = 0;
    for (size_t i = 0; i < OBSERVED; i++)
        if (is_holiday(&holidays[i], &c, weekday)) bits |= 1u << i;
    return bits;
}

uint32_t calendar_holidays(int64_t day)
{
    enum { FRIDAY = 4, SATURDAY = 5, SUNDAY = 6 };
    int weekday = civil_weekday(day);
    uint32_t bits = own(day, weekday);
    bool observed = (weekday == FRIDAY && own(day + 1, SATURDAY)) ||
                    (weekday == MONDAY && own(day - 1, SUNDAY));
    return observed ? bits | 1u << OBSERVED : bits;
}

double calendar_week(int64_t day)
{
    return civil_weekday(day) / 7.0;
}

double calendar_month(int64_t day)
{
    struct civil c = civil_of(day);
    return (double)(c.day - 1) / civil_month_days(c.year, c.month);
}

double calendar_year(int64_t day)
{
    return (double)day / 365.25;
}

// By sin(a + b) = 2 cos(b) sin(a) - sin(a - b), and the same for cos.
void calendar_waves(double x, int order, double *out)
{
    double angle = 2 * M_PI * (x - floor(x));
    double s = sin(angle), c = cos(angle), s_before = 0, c_before = 1;
    double twice = 2 * c;
    for (int i = 0; i < order; i++) {
        out[2 * i] = s;
        out[2 * i + 1] = c;
        double s_next = twice * s - s_before, c_next = twice * c - c_before;
        s_before = s;
        c_before = c;
        s = s_next;
        c = c_next;
    }
}

int64_t calendar_after(int64_t day, enum calendar_step step, uint32_t i)
{
    if (step == CALENDAR_DAY) return day + i;
    if (step == CALENDAR_WEEK) return day + 7 * (int64_t)i;
    struct civil c = civil_of(day);
    bool at_end = c.day == civil_month_days(c.year, c.month);
    int64_t month = c.month - 1 + (int64_t)i;
    c.year += (int)(month / 12);
    c.month = (int)(month % 12) + 1;
    int last = civil_month_days(c.year, c.month);
    if (at_end || c.day > last) c.day = last;
    return civil_days(c);
}
