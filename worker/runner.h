// runner - the process that runs job code, told by its parent: one batch at a time, or one
// in each of its lanes.

#ifndef WORKER_RUNNER_H
#define WORKER_RUNNER_H

#include "common/err.h"

#include <stdint.h>

struct runner_opts {
    uint64_t result_max_bytes;
    uint64_t memory_bytes; // 0: no limit
    uint32_t lanes;
    uint32_t number; // of its slot
};
// Becomes a runner: never returns. Finds its descriptors where channel.h says.
void runner_main(const struct runner_opts *o) __attribute__((noreturn));

// What every process that runs job code does first; 0: no limit to its private memory.
void runner_harden(uint64_t memory_bytes);

#endif
