// units - how sizes, durations and shares are written: 64KiB, 90s, 1%.
//
// Numbers are decimal, without sign, exponent, spaces or grouping; a fraction is allowed
// where a unit follows (1.5GiB) and is rounded down to whole bytes or milliseconds.
// The parsers return NULL and fill *out, or return what would be right, as the end of a
// sentence: "e.g. 64KiB, 4MiB or 2GiB", "write 64MiB". That text lives until the thread's
// next call.

#ifndef COMMON_UNITS_H
#define COMMON_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

const char *units_count(const char *text, uint64_t *out);
const char *units_size(const char *text, uint64_t *bytes); // B KiB MiB GiB TiB, or none
const char *units_duration(const char *text, int64_t *ms); // ms s m h d, never none
const char *units_share(const char *text, double *share);  // 0% to 100%: 0 to 1

// The shortest exact text: 131072 is 128KiB, 131073 is 131073; 600000 ms is 10m.
enum { UNITS_TEXT = 32 };
const char *units_size_text(uint64_t bytes, char out[UNITS_TEXT]);
const char *units_duration_text(int64_t ms, char out[UNITS_TEXT]);

#endif
