// estimate - how long a run will take, from how long trials of a part of it took. Pure
// arithmetic; docs/PLAN.md says what it assumes.
//
//     wall = begin + rows x the most of { work of the workers / those that work at a time,
//                                         the loader, all CPU time / the cores,
//                                         reading and unpacking of the source }
//
// held against the clock of the largest trial. Transforms that wait (for a program that
// sleeps, for a server) are counted by their waiting time, in whole batches.

#ifndef COORDINATOR_ESTIMATE_H
#define COORDINATOR_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

struct trial_cost { // of one trial; times in seconds
    uint64_t rows, chunks;
    double wall;        // from its start to its end
    double busy;        // of all batches, by the clock: read, transformed, encoded
    double worker_cpu;  // of workers and what they started
    double coordinator; // CPU of the coordinator, all threads
    double loading;     // by the clock, of the thread that loads
};

struct estimate_in {
    struct trial_cost first, last; // the smallest trial and the largest; may be the same
    uint64_t rows;                 // of the whole run
    uint64_t batch_rows;           // 0: batches are cut by bytes
    uint32_t slots;                // of the trials, and of the run
    uint32_t lanes;                // batches at a time in a slot that waits
    uint32_t cores;                // of this machine
    double source;     // reading and unpacking all of the input, beyond what the trials did
    double loading;    // likewise, of a destination that trials cannot load into
    uint32_t requests; // at a time, of all slots together; 0: the transforms make none
    double gap;        // seconds from one request to the next, at least
    bool computes;     // none of the transforms can wait: what looks so is a busy machine
    bool fails;        // they failed in the trials, and rows were looked for one by one
};

enum estimate_bound { // what more of would make the run shorter
    ESTIMATE_START,   // nothing: it is over before that matters
    ESTIMATE_WORKERS,
    ESTIMATE_CORES,
    ESTIMATE_LOADING,
    ESTIMATE_SOURCE,
    ESTIMATE_WAITING, // for what the transforms wait for
    ESTIMATE_FAILING, // nothing but better rows, or a program that rejects them itself
};
const char *estimate_bound_text(enum estimate_bound b); // the end of a sentence

struct estimate {
    struct estimate_in in;
    bool waits;        // its transforms wait more than they compute
    double begin;      // seconds until the first row and after the last
    double batch, row; // seconds of a batch that waits: so much, and so much a row
    double slope;      // seconds a row, measured with in.slots; 0: not measured
    double factor;     // of the model, so that it says what was measured
};

void estimate_init(struct estimate *x, const struct estimate_in *in);
// Seconds of the whole run with so many batches at a time; up to in.cores they share this
// machine, more are taken to have cores of their own. *bound may be NULL.
double estimate_wall(const struct estimate *x, uint32_t slots, enum estimate_bound *bound);

// Rows that the next trial should have so that it takes `wanted` seconds of work; 0: the
// last one was good enough. `spent`: seconds of all trials so far.
uint64_t estimate_next_rows(const struct estimate_in *in, double wanted, double spent,
                            uint64_t most);

#endif
