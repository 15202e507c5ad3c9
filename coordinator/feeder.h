// feeder - the source's thread: cuts chunks ahead of the run's loop, but not far.

#ifndef COORDINATOR_FEEDER_H
#define COORDINATOR_FEEDER_H

#include "coordinator/queue.h"
#include "coordinator/source.h"

enum fed { FED_CHUNK, FED_BAD, FED_END, FED_ERROR };

struct feed {
    enum fed kind;
    struct chunk_data *chunk; // CHUNK; BAD: the record that can't be split off
    struct err e;             // BAD, ERROR: why
};

struct feeder;
// The source stays the caller's but is used by the thread until feeder_free.
MUST_CHECK err_t feeder_start(struct feeder **out, struct source *s,
                              const _Atomic uint64_t *target_bytes, struct err *e);
struct feed *feeder_next(struct feeder *f); // NULL: nothing yet
void feed_free(struct feed **f);
int feeder_fd(const struct feeder *f); // readable: something is there
void feeder_free(struct feeder **f);   // ends the thread

#endif
