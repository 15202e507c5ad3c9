// runner - the process that runs job code, told by its parent: one batch at a time, or one
// in each of its lanes.

#ifndef WORKER_RUNNER_H
#define WORKER_RUNNER_H

#include "common/err.h"

#include <stdint.h>

// Becomes a runner: never returns. Finds its descriptors where channel.h says.
void runner_main(uint64_t result_max_bytes, uint64_t memory_bytes, uint32_t lanes)
    __attribute__((noreturn));

// What every process that runs job code does first; 0: no limit to its private memory.
void runner_harden(uint64_t memory_bytes);

#endif
