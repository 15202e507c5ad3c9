// range - names the place of a chunk: (input, begin byte, end byte). Inputs are numbered
// from 0 in the order in which the sources were written and the globs sorted.

#ifndef COORDINATOR_RANGE_H
#define COORDINATOR_RANGE_H

#include <stdbool.h>
#include <stdint.h>

struct range {
    uint32_t input;
    uint64_t begin, end; // bytes of the (decompressed) stream; begin < end
};

static inline bool range_overlaps(struct range a, struct range b)
{
    return a.input == b.input && a.begin < b.end && b.begin < a.end;
}

static inline bool range_contains(struct range outer, struct range inner)
{
    return outer.input == inner.input && outer.begin <= inner.begin &&
           inner.end <= outer.end;
}

#endif
