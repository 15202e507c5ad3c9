// civil - days since 1970-01-01 and dates of the Gregorian calendar, reckoned back before
// it began (proleptic), as ISO 8601 does.

#ifndef COMMON_CIVIL_H
#define COMMON_CIVIL_H

#include <stdint.h>

enum { CIVIL_FIRST = -719162, CIVIL_LAST = 2932896 }; // 0001-01-01, 9999-12-31

struct civil {
    int year, month, day; // from 1
};

// Of any day whose year fits; the year before 1 is 0
// (howardhinnant.github.io/date_algorithms.html).
struct civil civil_of(int64_t days);
int64_t civil_days(struct civil d);        // of a date that there is
int civil_month_days(int year, int month); // 28 to 31
int civil_weekday(int64_t days);           // 0 is Monday

#endif
