// past_say - a remembered run for people: the parts that explain and report share.

#ifndef COORDINATOR_PAST_SAY_H
#define COORDINATOR_PAST_SAY_H

#include "coordinator/past.h"

#include <stdio.h>

enum { PAST_TIME = 32, PAST_SPAN = 32 };
const char *past_time(int64_t wall_ms, bool date, char out[PAST_TIME]); // local time
const char *past_span(int64_t ms, char out[PAST_SPAN]); // "312 ms", "4.2 s", "1m 05s"
// "chunk 12, x.csv bytes 10-20"
const char *past_title(const struct past *p, const struct past_chunk *c, char *out,
                       size_t cap);
// An attempt's text on one line, cut.
const char *past_short(const char *text, char *out, size_t cap);
// Why there was an attempt after this one; NULL: there is no reason in it.
const char *past_why_again(const struct past_try *t);
// What the cache says of this range; NULL: it was not asked.
const struct past_reused *past_reused_of(const struct past *p, struct range r);

void past_say_head(const struct past *p, FILE *out);
void past_say_balance(const struct past *p, FILE *out);
void past_say_cache(const struct past *p, FILE *out);
void past_say_workers(const struct past *p, FILE *out);
void past_say_tries(const struct past *p, const struct past_chunk *c, FILE *out);
void past_say_troubled(const struct past *p, FILE *out);
void past_say_events(const struct past *p, FILE *out);

#endif
