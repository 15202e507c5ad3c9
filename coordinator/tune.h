// tune - how large the next chunks should be (batch.bytes: auto).
//
// Light work: large enough that the cost of a message and a transaction disappears, small
// enough that memory stays bounded and all slots end together. Heavy work: a batch should
// take about TUNE_GOAL and never more than 2 s.

#ifndef COORDINATOR_TUNE_H
#define COORDINATOR_TUNE_H

#include "common/clock.h"

#include <stdatomic.h>
#include <stdint.h>

enum { TUNE_MIN_BYTES = 256 << 10, TUNE_MAX_BYTES = 8 << 20, TUNE_FLOOR_BYTES = 1 };

struct tune {
    _Atomic uint64_t target_bytes; // read by the source's thread
    uint64_t fixed_bytes;          // not 0: the user has chosen
    uint64_t cap_bytes;            // what the memory limit allows
    double ns_per_byte;            // of transforms, smoothed
};

// `total_bytes` of input (0: unknown) shared by `slots`.
void tune_init(struct tune *t, uint64_t fixed_bytes, uint64_t total_bytes, uint32_t slots,
               uint64_t memory_bytes);
// The size of an aggregate's chunks, which follows from limits.memory alone.
uint64_t tune_aggregate_bytes(uint64_t memory_bytes);
void tune_learn(struct tune *t, uint64_t chunk_bytes, ns_t run);

#endif
