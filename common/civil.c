#include "common/civil.h"

#include <stdbool.h>

// By eras of 400 years that begin in March, where the leap day is a year's last.
enum { ERA = 146097, TO_MARCH_0000 = 719468 };

struct civil civil_of(int64_t days)
{
    days += TO_MARCH_0000;
    int64_t era = (days >= 0 ? days : days - (ERA - 1)) / ERA;
    int d = (int)(days - era * ERA);
    int y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
    int of_year = d - (365 * y + y / 4 - y / 100);
    int m = (5 * of_year + 2) / 153, month = m < 10 ? m + 3 : m - 9;
    return (struct civil){ .year = (int)(y + era * 400) + (month <= 2),
                           .month = month,
                           .day = of_year - (153 * m + 2) / 5 + 1 };
}

int64_t civil_days(struct civil c)
{
    int64_t year = c.year - (c.month <= 2);
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t month = c.month > 2 ? c.month - 3 : c.month + 9;
    int64_t of_year = (153 * month + 2) / 5 + c.day - 1;
    return era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - TO_MARCH_0000;
}

int civil_month_days(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

int civil_weekday(int64_t days)
{
    int64_t w = (days + 3) % 7; // 1970-01-01 was a Thursday
    return (int)(w < 0 ? w + 7 : w);
}
