// slot - one runner process and the shared memory it works in. It has one batch in flight,
// and perhaps one ahead that it finds when it is done with that one, or one in each of its
// lanes (workers.concurrency).
//
//  EMPTY --slot_start--> STARTING --its first answer--> IDLE --slot_give--> BUSY
//    ^                      |                             ^                  |
//    +---- it died ---------+------- it died -------------+---- its answer --+

#ifndef WORKER_SLOT_H
#define WORKER_SLOT_H

#include "common/buf.h"
#include "common/clock.h"
#include "worker/runner_start.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

enum slot_state { SLOT_EMPTY, SLOT_STARTING, SLOT_IDLE, SLOT_BUSY };

enum result_state {
    RESULT_FREE,
    RESULT_FILLING, // the runner works on it
    RESULT_SENT,    // kept until COMMITTED, or until its room is needed
};

struct result_region { // of one chunk, or of those of a train
    enum result_state state;
    _Atomic int lent;                // messages that the link still reads from it
    uint64_t seq;                    // age
    uint32_t n, open, looked;        // results in it, not yet committed, found last
    struct hash128 token[TRAIN_MAX]; // of the leases whose results they are; 0: committed
    size_t touched_bytes;
};

enum { STDERR_TAIL = 4096, STDERR_BLOCK = 1024 };

enum { SLOT_NO_REGION = -1 };

struct slot_packet { // a chunk, or a train, that a slot with one lane was given
    int region;
    uint32_t left; // chunks not answered yet
};

struct slot_lane {
    bool busy;
    bool wants_room; // it has a result and no region for it
    int region;      // that it fills; SLOT_NO_REGION
};

struct slot {
    enum slot_state state; // IDLE: no lane is busy
    uint32_t number;       // of the worker's slots
    struct runner_process p;
    struct runner_process spare; // made before there was a job, for the first start
    int input_fd, result_fd;     // memfds, live as long as the slot
    uint8_t *results;            // mapped
    size_t result_max, input_cap;
    struct result_region result[RESULTS_PER_SLOT];
    struct slot_lane *lane;
    bool untidy;          // a process of it could not remove what it had made
    uint32_t lanes, busy; // busy: how many of them
    bool taking;          // several lanes: the input memory is not free yet
    // One lane: what it is at, and what it finds then.
    struct slot_packet given[2];
    uint32_t n_given, answered; // packets in flight; chunks since the process started
    bool doomed; // killed for the sake of a batch, which has a mark: no other is to blame
    int64_t run_ns; // moving average of a chunk; 0: not measured
    uint8_t packet[TRAIN_MAX * RUNNER_SHORT + sizeof(struct runner_done)];
    size_t packet_n, packet_at; // as received, and looked at so far
    int culprit;                // lane in which the process is about to die; -1: not known
    ns_t started;               // of the process
    uint32_t deaths;            // in a row while starting
    char tail[STDERR_TAIL];     // last bytes of the runner's stderr
    size_t tail_n;
    char cut[3]; // the beginning of a character whose rest it has yet to write
    size_t n_cut;
};

struct slot_death {
    int signal; // 0: it exited
    int exit_code;
    int64_t peak_kb;
    uint32_t unsaid; // chunks given to it that it had finished without saying so
    bool between;    // it had answered for all that it began, and began some
    char text[512];  // "was killed by signal 9 (Killed), peak memory 1024 KiB"
};

// How many batches may be in flight from the next start on. Tasks of the old lanes are
// gone.
MUST_CHECK err_t slot_set_lanes(struct slot *s, uint32_t n, struct err *e);
// A slot without memory. `spare`: with a runner that waits for its job; see runner_spawn.
// Without one it is made when it is needed.
void slot_init(struct slot *s, uint32_t number, bool spare);
// Shared memory of a slot. `result_max` bytes a result, untouched pages cost nothing.
MUST_CHECK err_t slot_open(struct slot *s, uint64_t result_max, struct err *e);
void slot_stop(struct slot *s); // kills the runner; the memory stays, the link may read it
void slot_dismiss(struct slot *s); // an idle runner may end by itself, for slot_close
void slot_close(struct slot *s);   // the same, and the memory goes

struct slot_job {                    // what runners are started with
    int spec_fd, files_fd, share_fd; // memfds, see channel.h
    uint64_t memory_bytes;
};
// Starts the runner: the spare one, if there is any.
MUST_CHECK err_t slot_start(struct slot *s, const struct slot_job *job, struct err *e);
void slot_kill(struct slot *s); // SIGKILL; the death is seen by slot_reap
void slot_doom(struct slot *s); // the same, for the sake of a batch that is marked
// Collects a dead runner: true when it was dead. The slot is EMPTY then.
bool slot_reap(struct slot *s, struct slot_death *d);

// A free result region, or the oldest that is not lent any more; -1: all are in use.
int slot_room(struct slot *s);
void slot_forget(struct slot *s, int i); // what stands there is of no use any more
// Copies the bytes of a by-value chunk into the input memory.
MUST_CHECK err_t slot_put_input(struct slot *s, struct slice bytes, struct err *e);
// The same for those of a train, CSV_PAD bytes around each; at[i] is where.
MUST_CHECK err_t slot_put_inputs(struct slot *s, const struct slice *bytes, uint32_t n,
                                 uint64_t *at, struct err *e);
// The lane that can take a task now; -1: none.
int slot_free_lane(const struct slot *s);
// Its one lane is at work, and could be given what comes then. Not by value: the input
// memory has the bytes of one packet.
bool slot_takes_ahead(const struct slot *s);
bool slot_has_more(const struct slot *s); // it was given what comes then, no train
// Gives lane t->lane a task; `region` may be SLOT_NO_REGION when there are several lanes.
MUST_CHECK err_t slot_give(struct slot *s, struct runner_task *t, int region,
                           struct err *e);
// Gives a slot with one lane t->train wagons.
MUST_CHECK err_t slot_give_train(struct slot *s, struct runner_task *t,
                                 const struct runner_wagon *wagon, int region,
                                 struct err *e);
// How many of the chunks that are not answered the runner has finished: the next one is the
// one it is at.
uint32_t slot_unsaid(const struct slot *s);
// After a RUNNER_DONE, when its result is dealt with: the lane goes on, or is free.
void slot_answered(struct slot *s, uint32_t lane);
bool slot_wants_room(const struct slot *s); // one of its lanes does
// For a lane that wants_room.
MUST_CHECK err_t slot_give_room(struct slot *s, uint32_t lane, int region, struct err *e);
// True: something was said, and makes sense.
bool slot_take(struct slot *s, struct runner_done *d);
void slot_drain_stderr(struct slot *s); // also passes it on to our own stderr
// COMMITTED: its room is free. False: it holds no such result.
bool slot_release(struct slot *s, struct hash128 token);

int64_t slot_cpu_ms(const struct slot *s); // CPU time of the runner so far

#endif
