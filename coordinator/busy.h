// busy - how busy something was over the time of a run, in at most BUSY_BUCKETS numbers:
// when a run outlasts them, pairs become one and each stands for twice the time. Pure.

#ifndef COORDINATOR_BUSY_H
#define COORDINATOR_BUSY_H

#include "common/buf.h"

#include <stdint.h>

enum { BUSY_BUCKETS = 96, BUSY_FIRST_US = 100000 };

struct busy {
    int64_t bucket_us;         // 0: nothing was added yet
    uint64_t us[BUSY_BUCKETS]; // of work; several slots work at a time
};

// It worked from `from` to `to`, microseconds since the run began. What lies before that
// is cut off; an empty time adds nothing.
void busy_add(struct busy *b, int64_t from, int64_t to);
// Milliseconds of work in each bucket, with spaces between and without zeros at the end.
MUST_CHECK err_t busy_text(const struct busy *b, struct buf *out, struct err *e);
// Reads that back into at most `max` numbers; returns how many there were.
uint32_t busy_parse(const char *text, uint64_t *ms, uint32_t max);

#endif
