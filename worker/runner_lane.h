// runner_lane - one batch in flight in a runner.
//
// A runner without concurrency has one lane, which its main thread works in. With
// workers.concurrency each lane has a thread of its own, started when it is first needed;
// it asks for room for its result only when it has one, so that results of a few lanes, not
// of all, take memory at a time.

#ifndef WORKER_RUNNER_LANE_H
#define WORKER_RUNNER_LANE_H

#include "worker/pipeline.h"
#include "worker/runner_input.h"
#include "worker/runner_rows.h"

#include <pthread.h>

struct runner {
    struct spec spec;
    struct pipeline *pipeline;
    uint8_t *results;
    uint64_t result_max;
    struct runner_input shared; // where the parent puts bytes
    struct runner_rows rows;    // what it reads itself of a database
    pthread_mutex_t lock;       // of what lanes wait for
    struct runner_lane *lane;
    uint32_t n_lanes;
    uint32_t begun; // chunks, with one lane
    pthread_mutex_t pack_lock;
    struct packer *packer; // made when needed
};

struct runner_lane {
    struct runner *r;
    uint32_t number;
    struct pipeline_lane *p; // NULL: not opened yet
    struct runner_input input;
    struct buf rows; // of a database
    struct runner_task task;
    uint64_t input_at, result_at; // where in the input memory, in the region
    ns_t start;
    pthread_cond_t wake; // has_task or region changed
    bool started, has_task;
    uint32_t region; // for the result; RUNNER_NO_ROOM: none yet
};

void runner_say(const struct runner_done *d); // ends the process when the parent is gone
void runner_begins(
    struct runner *r); // the next chunk of its one lane, for the parent to see

// Runs the lane's task to its end.
void runner_lane_do(struct runner_lane *l, struct runner_done *d);
void runner_lane_work(struct runner_lane *l); // and says how it ended
// Lets the lane's own thread do it.
void runner_lane_start(struct runner_lane *l);
void runner_lane_give_room(struct runner_lane *l, uint32_t region);

#endif
