// extent - how far the values of a column reach, for people who judge its type: the least
// and the greatest of numbers and dates, as they are written, and how long texts are.

#ifndef COMMON_EXTENT_H
#define COMMON_EXTENT_H

#include "common/types.h"

#include <stddef.h>
#include <stdint.h>

enum { EXTENT_SHOWN = 32 };

struct extent {     // zero-initialised: nothing seen
    enum type type; // that the column looked like at the last value
    char least[EXTENT_SHOWN], most[EXTENT_SHOWN]; // "": none, or longer than this
    size_t longest;                               // bytes of a value
};

// The value belongs to a column that looks like `type` with it. Texts have no least one.
void extent_value(struct extent *x, enum type type, const char *p, size_t n);

#endif
