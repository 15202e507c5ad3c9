// slot - one runner process and the shared memory it works in.
//
//  EMPTY --slot_start--> STARTING --its first answer--> IDLE --slot_give--> BUSY
//    ^                      |                             ^                  |
//    +---- it died ---------+------- it died -------------+---- its answer --+

#ifndef WORKER_SLOT_H
#define WORKER_SLOT_H

#include "common/buf.h"
#include "common/clock.h"
#include "worker/channel.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

enum slot_state { SLOT_EMPTY, SLOT_STARTING, SLOT_IDLE, SLOT_BUSY };

enum result_state {
    RESULT_FREE,
    RESULT_FILLING, // the runner works on it
    RESULT_SENT,    // kept until COMMITTED, or until its room is needed
};

struct result_region {
    enum result_state state;
    _Atomic bool lent;    // the link still reads from it
    uint64_t seq;         // age
    struct hash128 token; // of the lease whose result it holds
    size_t touched_bytes;
};

enum { STDERR_TAIL = 4096 };

struct slot {
    enum slot_state state;
    pid_t pid;
    int pidfd, channel, errors; // -1: none
    int input_fd, result_fd;    // memfds, live as long as the slot
    uint8_t *results;           // mapped
    size_t result_max, input_cap;
    struct result_region result[RESULTS_PER_SLOT];
    ns_t started;           // of the task when BUSY, of the process when STARTING
    uint32_t filling;       // result region of the running task
    uint32_t deaths;        // in a row while starting
    char tail[STDERR_TAIL]; // last bytes of the runner's stderr
    size_t tail_n;
};

struct slot_death {
    int signal; // 0: it exited
    int exit_code;
    int64_t peak_kb;
    char text[512]; // "was killed by signal 9 (Killed), peak memory 1024 KiB"
};

// Shared memory of a slot. `result_max` bytes a result, untouched pages cost nothing.
MUST_CHECK err_t slot_open(struct slot *s, uint64_t result_max, struct err *e);
void slot_stop(struct slot *s);  // kills the runner; the memory stays, the link may read it
void slot_close(struct slot *s); // the same, and the memory goes

struct slot_job {          // what runners are started with
    int spec_fd, files_fd; // memfds, see channel.h
    uint64_t memory_bytes;
};
// Starts the runner process of this program.
MUST_CHECK err_t slot_start(struct slot *s, const struct slot_job *job, struct err *e);
void slot_kill(struct slot *s); // SIGKILL; the death is seen by slot_reap
// Collects a dead runner: true when it was dead. The slot is EMPTY then.
bool slot_reap(struct slot *s, struct slot_death *d);

// A free result region, or the oldest that is not lent any more; -1: all are in use.
int slot_room(struct slot *s);
// Copies the bytes of a by-value chunk into the input memory.
MUST_CHECK err_t slot_put_input(struct slot *s, struct slice bytes, struct err *e);
MUST_CHECK err_t slot_give(struct slot *s, struct runner_task *t, int region, ns_t now,
                           struct err *e);
// True: an answer was there. The slot is IDLE (or, after a failed start, as it was).
bool slot_take(struct slot *s, struct runner_done *d);
void slot_drain_stderr(struct slot *s); // also passes it on to our own stderr
void slot_release(struct slot *s, struct hash128 token); // COMMITTED: its room is free

int64_t slot_cpu_ms(const struct slot *s); // CPU time of the runner so far

#endif
