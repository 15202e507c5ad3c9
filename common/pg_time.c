#include "common/pg_time.h"

#include "common/csv_value.h"

#include <stdio.h>

enum {
    YEAR_2000 = 730425, // days from 0000-03-01 to 2000-01-01
    DAYS_OF_400 = 146097,
    FIRST_DAY = -730119, // 0001-01-01
    LAST_DAY = 2921939,  // 9999-12-31
};

static const int64_t SECOND = 1000000, DAY = 86400 * SECOND;

static int number(const uint8_t *p, int digits)
{
    int v = 0;
    for (int i = 0; i < digits; i++)
        v = v * 10 + (p[i] - '0');
    return v;
}

// Years begin in March, so that the day that leap years add is their last.
static int32_t days_of(int year, int month, int day)
{
    year -= month <= 2;
    int march = (month + 9) % 12, of_400 = year % 400;
    int in_year = (153 * march + 2) / 5 + day - 1;
    return year / 400 * DAYS_OF_400 + of_400 * 365 + of_400 / 4 - of_400 / 100 + in_year -
           YEAR_2000;
}

void pg_date_civil(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    int64_t z = days + YEAR_2000;
    int64_t era = (z >= 0 ? z : z - (DAYS_OF_400 - 1)) / DAYS_OF_400;
    unsigned of_era = (unsigned)(z - era * DAYS_OF_400);
    unsigned y =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / (DAYS_OF_400 - 1)) / 365;
    unsigned of_year = of_era - (365 * y + y / 4 - y / 100);
    unsigned m = (5 * of_year + 2) / 153;
    *day = of_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = y + era * 400 + (*month <= 2);
}

bool pg_date_read(const uint8_t *p, size_t n, int32_t *days)
{
    if (!csv_is_date(p, n)) return false;
    int year = number(p, 4);
    *days = days_of(year, number(p + 5, 2), number(p + 8, 2));
    return year > 0;
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
    int64_t year;
    unsigned month, day;
    pg_date_civil(days, &year, &month, &day);
    return (size_t)snprintf(to, PG_TIME_TEXT, "%04d-%02u-%02u", (int)year, month, day);
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
