// pg_time - dates and timestamps as PostgreSQL's binary formats have them: days, and
// microseconds, since 2000-01-01 (src/include/datatype/timestamp.h). The text is ISO 8601,
// as csv_is_date and csv_is_timestamp have it.
//
// A timestamp without a zone is taken as it stands; one with a zone is turned into UTC, for
// the columns have no zone. Digits past the microsecond are rounded.

#ifndef COMMON_PG_TIME_H
#define COMMON_PG_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PG_TIME_TEXT = 40 }; // bytes that a text takes at most; no NUL follows

enum { PG_DAYS_TO_2000 = 10957 }; // from 1970-01-01, civil.h's day 0

// False: it is none, or lies in the year 0, which PostgreSQL does not have.
bool pg_date_read(const uint8_t *p, size_t n, int32_t *days);
bool pg_timestamp_read(const uint8_t *p, size_t n, int64_t *us);

// Whether a value can have come from the readers above.
bool pg_date_is_good(int32_t days);
bool pg_timestamp_is_good(int64_t us);

// "2001-02-03", "2001-02-03 04:05:06" and as many digits of the second as there are. Only
// for good values. Text sorts as time does.
size_t pg_date_show(char to[PG_TIME_TEXT], int32_t days);
size_t pg_timestamp_show(char to[PG_TIME_TEXT], int64_t us);

#endif
