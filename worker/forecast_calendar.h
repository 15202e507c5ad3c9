// forecast_calendar - what a date is to a forecast: where it stands in its week, month and
// year, and whether it is a holiday. Dates are days since 1970-01-01 (common/civil.h).

#ifndef WORKER_FORECAST_CALENDAR_H
#define WORKER_FORECAST_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

// Federal holidays of the United States (5 U.S.C. 6103) by the rules of today, each from
// the first year in which it was one by these rules; the last is the weekday on which one
// is observed that falls on a Saturday or Sunday.
enum { CALENDAR_HOLIDAYS = 12 };
uint32_t calendar_holidays(int64_t day); // bit i: the i-th

double calendar_week(int64_t day);  // 0 <= x < 1 since Monday
double calendar_month(int64_t day); // ... of the days of its month
double calendar_year(int64_t day);  // in years of 365.25 days since 1970

// sin(2 pi x), cos(2 pi x), sin(4 pi x), ...: 2 * order terms.
void calendar_waves(double x, int order, double *out);

enum calendar_step { CALENDAR_DAY, CALENDAR_WEEK, CALENDAR_MONTH };
// The i-th date after `day` in these steps. Months keep the day of the month, or its end
// where `day` is the end of its own.
int64_t calendar_after(int64_t day, enum calendar_step step, uint32_t i);

#endif
