// cron - when a job is due: one of five words, or a cron line of five fields.
//
// The fields are those of crontab(5): minute, hour, day of the month, month, day of the
// week; in each * or a list of numbers and ranges, * and ranges with a step; months and
// weekdays also by their first three letters, Sunday is 0 or 7. A field that begins with *
// restricts nothing beside the other one of the two days; when neither does, a day need
// only fit one of them, as in Debian's cron.
//
// Times are local ones (TZ, or /etc/localtime). What a clock that is put forward leaves out
// is not due that day; what it shows twice is due once, except in jobs of every hour.

#ifndef COMMON_CRON_H
#define COMMON_CRON_H

#include "common/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum { CRON_LINE_MAX = 512 };

struct cron {
    uint64_t minutes;
    uint32_t hours, days, months, weekdays;         // a bit for each; weekday 0 is Sunday
    bool any_hour, any_day, any_month, any_weekday; // the field begins with *
    char line[CRON_LINE_MAX];                       // the five fields, a space between them
};

// NULL: *out is filled. Else what is wrong and what would be right, which may be put behind
// the text in quotes and a space; lives until the thread's next call.
const char *cron_parse(const char *text, struct cron *out);

// The first time after `after`, in seconds since 1970; a whole minute. -1: none for 8
// years.
int64_t cron_next(const struct cron *c, int64_t after);

// The same as systemd.time(7) writes it, "Mon *-1..3-* 4:05:00": a line each, of which any
// is reason enough.
MUST_CHECK err_t cron_systemd(const struct cron *c, struct buf *out, struct err *e);

// "2026-11-23 03:00"; local time.
enum { CRON_TIME = 32 };
const char *cron_time(int64_t s, char out[CRON_TIME]);

#endif
