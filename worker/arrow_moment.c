#include "worker/arrow.h"

#include "common/civil.h"
#include "common/csv_value.h"

#include <stdio.h>

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
    enum { DAY_S = 86400 };
    static const int digits[] = { 0, 3, 6, 9 };
    static const int64_t units[] = { 1, 1000, 1000000, 1000000000 };
    int64_t fraction = 0, second = 0, day = v;
    int unit = k >= ARROW_TIME_S ? (int)k - ARROW_TIME_S : 1;
    if (k != ARROW_DATE_DAYS)
        day = floor_div(floor_div(v, units[unit], &fraction), DAY_S, &second);
    if (day < CIVIL_FIRST || day > CIVIL_LAST) return false;
    struct civil c = civil_of(day);
    *n =
        (uint32_t)snprintf(out, ARROW_MOMENT_MAX, "%04d-%02d-%02d", c.year, c.month, c.day);
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

static int digits(const uint8_t *p, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++)
        v = v * 10 + (p[i] - '0');
    return v;
}

static bool fraction(const uint8_t **p, const uint8_t *end, int64_t *us)
{
    int64_t unit = 1000000;
    for (++*p; *p < end && **p >= '0' && **p <= '9'; ++*p) {
        unit /= 10;
        if (!unit && **p != '0') return false;
        *us += (**p - '0') * unit;
    }
    return true;
}

// Nothing, Z, +HH or +HH:MM: minutes east of UTC.
static int64_t zone_minutes(const uint8_t *p, const uint8_t *end)
{
    if (p == end || *p == 'Z') return 0;
    int64_t minutes = 60 * digits(p + 1, 2) + (end - p > 3 ? digits(p + 4, 2) : 0);
    return *p == '-' ? -minutes : minutes;
}

bool arrow_moment_read(bool is_date, const uint8_t *p, size_t n, int64_t *out)
{
    enum { DAY_S = 86400 };
    const uint8_t *end = p + n, *at = p + 16;
    int64_t us = 0;
    if (!(is_date ? csv_is_date(p, n) : csv_is_timestamp(p, n))) return false;
    int64_t day =
        civil_days((struct civil){ digits(p, 4), digits(p + 5, 2), digits(p + 8, 2) });
    *out = day;
    if (is_date) return true;
    int64_t second =
        day * DAY_S + (int64_t)digits(p + 11, 2) * 3600 + digits(p + 14, 2) * 60;
    if (at < end && *at == ':') {
        second += digits(at + 1, 2);
        at += 3;
        if (at < end && *at == '.' && !fraction(&at, end, &us)) return false;
    }
    *out = (second - 60 * zone_minutes(at, end)) * 1000000 + us;
    return true;
}
