// runner_input - the bytes of one chunk, as a runner gets them.

#ifndef WORKER_RUNNER_INPUT_H
#define WORKER_RUNNER_INPUT_H

#include "common/csv.h"
#include "worker/channel.h"

#include <stddef.h>

struct runner_input { // zero-initialised but for file
    int file;         // the input read last, by reference; -1: none
    uint64_t dev, ino;
    uint8_t *block; // bytes of our own, CSV_PAD around them
    size_t block_cap;
    uint8_t *map; // the shared input memory
    size_t map_bytes;
    uint8_t *ahead; // bytes of the file that were read ahead
    uint64_t ahead_from, ahead_to;
};

// By reference: reads the range of the file into the block.
MUST_CHECK err_t runner_input_read(struct runner_input *in, const struct runner_task *t,
                                   const uint8_t **bytes, struct err *e);
// Reads bytes of the task's file that soon are asked for, TRAIN_INPUT_MAX at most, and
// drops those of before. Nothing is said of what fails: the read that needs it fails again.
void runner_input_ahead(struct runner_input *in, const struct runner_task *t, uint64_t from,
                        uint64_t to);
// By value: the bytes where the parent has put them.
MUST_CHECK err_t runner_input_map(struct runner_input *in, size_t n, const uint8_t **bytes,
                                  struct err *e);
// Copies bytes into the block: the shared memory is wanted for the next chunk.
MUST_CHECK err_t runner_input_copy(struct runner_input *in, const uint8_t *from, size_t n,
                                   struct err *e);
// The same of `packed` bytes that unpack to n.
MUST_CHECK err_t runner_input_unpack(struct runner_input *in, const uint8_t *from,
                                     size_t packed, size_t n, struct err *e);
void runner_input_shrink(struct runner_input *in); // gives back file and block

static inline const uint8_t *runner_input_block(const struct runner_input *in)
{
    return in->block + CSV_PAD;
}

#endif
