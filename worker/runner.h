// runner - the process that runs job code: one batch at a time, told by its parent.

#ifndef WORKER_RUNNER_H
#define WORKER_RUNNER_H

#include "common/err.h"

#include <stdint.h>

// Becomes a runner: never returns. Finds its descriptors where channel.h says.
void runner_main(uint64_t result_max_bytes, uint64_t memory_bytes)
    __attribute__((noreturn));

// `tranche-worker --describe`: reads u64 length and a spec, then sample bytes, from
// standard input; answers u32 err_t and a schema or a sentence on standard output. Exit
// code.
int runner_describe(void);

#endif
