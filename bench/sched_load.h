// sched_load - a run of the scheduler alone, in virtual time: every chunk is added,
// assigned, makes progress now and then, has its result and is committed. Of `vanish`
// results one is not sent, because its worker's session is lost; it comes back as a new
// one.

#ifndef BENCH_SCHED_LOAD_H
#define BENCH_SCHED_LOAD_H

#include <stdbool.h>
#include <stdint.h>

struct sched_load {
    uint32_t workers, slots;
    uint64_t chunks;
    uint64_t vanish;       // 0: none does
    bool all;              // every chunk is added before the first result
    const uint64_t *steps; // a counter of what the scheduler does; NULL: there is none
    // What was seen:
    uint64_t events, lost;  // calls of the scheduler, sessions
    uint64_t steps_in_all;  // in these calls
    uint64_t steps_at_most; // in one
};

// Ends the process with a sentence if the scheduler does not bring every chunk to its end.
void sched_load_run(struct sched_load *l);

#endif
