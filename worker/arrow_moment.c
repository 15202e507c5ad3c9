#include "worker/arrow.h"

#include <stdio.h>

// Days since 1970-01-01 to a date of the Gregorian calendar (proleptic), by eras of 400
// years that begin in March, where the leap day is a year's last.
static void civil(int64_t days, int *year, int *month, int *day)
{
    enum { ERA = 146097, TO_MARCH_0000 = 719468 };
    days += TO_MARCH_0000;
    int64_t era = (days >= 0 ? days : days - (ERA - 1)) / ERA;
    int d = (int)(days - era * ERA);
    int y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
    int of_year = d - (365 * y + y / 4 - y / 100);
    int m = (5 * of_year + 2) / 153;
    *day = of_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = (int)(y + era * 400) + (*month <= 2);
}

static int64_t floor_div(int64_t a, int64_t b, int64_t *rest)
{
    *rest = a % b;
    if (*rest >= 0) return a / b;
    *rest += b;
    return a / b - 1;
}

bool arrow_moment(enum arrow_kind k, bool zone, int64_t v, char out[ARROW_MOMENT_MAX],
                  uint32_t *n)
{
    enum { DAY_S = 86400, FIRST_DAY = -719162, LAST_DAY = 2932896 }; // years 1 to 9999
    static const int digits[] = { 0, 3, 6, 9 };
    static const int64_t units[] = { 1, 1000, 1000000, 1000000000 };
    int64_t fraction = 0, second = 0, day = v;
    int unit = k >= ARROW_TIME_S ? (int)k - ARROW_TIME_S : 1;
    if (k != ARROW_DATE_DAYS)
        day = floor_div(floor_div(v, units[unit], &fraction), DAY_S, &second);
    if (day < FIRST_DAY || day > LAST_DAY) return false;
    int y, m, d;
    civil(day, &y, &m, &d);
    *n = (uint32_t)snprintf(out, ARROW_MOMENT_MAX, "%04d-%02d-%02d", y, m, d);
    if (k < ARROW_TIME_S) return true;
    char *at = out + *n;
    at += snprintf(at, ARROW_MOMENT_MAX - *n, "T%02d:%02d:%02d", (int)(second / 3600),
                   (int)(second / 60 % 60), (int)(second % 60));
    if (fraction)
        at += snprintf(at, (size_t)(out + ARROW_MOMENT_MAX - at), ".%0*lld", digits[unit],
                       (long long)fraction);
    if (zone) *at++ = 'Z';
    *n = (uint32_t)(at - out);
    return true;
}
