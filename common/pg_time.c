#include "common/pg_time.h"

#include "common/civil.h"
#include "common/csv_value.h"

#include <stdio.h>

enum {
    FIRST_DAY = CIVIL_FIRST - PG_DAYS_TO_2000,
    LAST_DAY = CIVIL_LAST - PG_DAYS_TO_2000,
};

static const int64_t SECOND = 1000000, DAY = 86400 * SECOND;

static int number(const uint8_t *p, int digits)
{
    int v = 0;
    for (int i = 0; i < digits; i++)
        v = v * 10 + (p[i] - '0');
    return v;
}

bool pg_date_read(const uint8_t *p, size_t n, int32_t *days)
{
    if (!csv_is_date(p, n)) return false;
    struct civil c = { number(p, 4), number(p + 5, 2), number(p + 8, 2) };
    *days = (int32_t)(civil_days(c) - PG_DAYS_TO_2000);
    return c.year > 0;
}

// Behind the point: six digits, and the seventh rounds.
static int64_t fraction(const uint8_t *p, size_t n, size_t *at)
{
    int64_t us = 0, unit = SECOND / 10;
    for (; *at < n && p[*at] >= '0' && p[*at] <= '9'; ++*at, unit /= 10) {
        us += (p[*at] - '0') * unit;
        if (unit == 0 && p[*at] >= '5') us++;
        if (unit == 0) break;
    }
    while (*at < n && p[*at] >= '0' && p[*at] <= '9')
        ++*at;
    return us;
}

static int64_t zone(const uint8_t *p, size_t n) // "Z", "+02", "-02:30"
{
    if (n < 3) return 0;
    int64_t minutes = number(p + 1, 2) * 60 + (n == 6 ? number(p + 4, 2) : 0);
    return (p[0] == '-' ? -minutes : minutes) * 60 * SECOND;
}

bool pg_timestamp_read(const uint8_t *p, size_t n, int64_t *us)
{
    int32_t days;
    if (!csv_is_timestamp(p, n) || !pg_date_read(p, 10, &days)) return false;
    size_t at = 16;
    int64_t t = (number(p + 11, 2) * 60 + number(p + 14, 2)) * 60 * SECOND;
    if (at < n && p[at] == ':') {
        t += number(p + at + 1, 2) * SECOND;
        at += 3;
    }
    if (at < n && p[at] == '.') {
        at++;
        t += fraction(p, n, &at);
    }
    *us = days * DAY + t - zone(p + at, n - at);
    return pg_timestamp_is_good(*us);
}

bool pg_date_is_good(int32_t days)
{
    return days >= FIRST_DAY && days <= LAST_DAY;
}

bool pg_timestamp_is_good(int64_t us)
{
    return us >= FIRST_DAY * DAY && us < (LAST_DAY + 1) * DAY;
}

size_t pg_date_show(char to[PG_TIME_TEXT], int32_t days)
{
    struct civil c = civil_of((int64_t)days + PG_DAYS_TO_2000);
    return (size_t)snprintf(to, PG_TIME_TEXT, "%04d-%02d-%02d", c.year, c.month, c.day);
}

size_t pg_timestamp_show(char to[PG_TIME_TEXT], int64_t us)
{
    int64_t days = us / DAY, rest = us % DAY;
    if (rest < 0) {
        rest += DAY;
        days--;
    }
    int s = (int)(rest / SECOND), fine = (int)(rest % SECOND);
    size_t n = pg_date_show(to, (int32_t)days);
    n += (size_t)snprintf(to + n, PG_TIME_TEXT - n, " %02d:%02d:%02d", s / 3600,
                          s / 60 % 60, s % 60);
    if (fine) n += (size_t)snprintf(to + n, PG_TIME_TEXT - n, ".%06d", fine);
    while (fine && to[n - 1] == '0')
        n--;
    return n;
}
