// runner_start - a runner's process: made, and told what to run. Its parent makes some
// before there is a job, so that they stand when it comes: copies of itself from before it
// had any thread, key or connection. Later ones are fork and exec.

#ifndef WORKER_RUNNER_START_H
#define WORKER_RUNNER_START_H

#include "worker/channel.h"

#include <sys/types.h>

struct runner_process {
    pid_t pid;                  // 0: none
    int pidfd, channel, errors; // -1: none. Its standard error; both of ours never wait
};
#define RUNNER_NO_PROCESS \
    ((struct runner_process){ .pidfd = -1, .channel = -1, .errors = -1 })

// Of this program, waiting for runner_tell. `copy`: as a copy of this process, which must
// have one thread and no secrets.
MUST_CHECK err_t runner_spawn(struct runner_process *p, bool copy, struct err *e);
// fds: those from RUNNER_FD_SPEC to RUNNER_FDS_END. They stay the caller's.
MUST_CHECK err_t runner_tell(const struct runner_process *p, const struct runner_start *s,
                             const int *fds, struct err *e);
void runner_end(struct runner_process *p); // kills it, if there is one

// In the runner: waits to be told, with the descriptors where channel.h says. False: it was
// not, and never will be.
bool runner_hear(struct runner_start *s);

#endif
