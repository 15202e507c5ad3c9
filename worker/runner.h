// runner - the process that runs job code, told by its parent: one batch at a time, or one
// in each of its lanes.

#ifndef WORKER_RUNNER_H
#define WORKER_RUNNER_H

#include <stdint.h>

// Becomes a runner: never returns. Finds the channel where channel.h says.
void runner_main(void) __attribute__((noreturn));

// What every process that runs job code does first; 0: no limit to its private memory.
void runner_harden(uint64_t memory_bytes);

#endif
