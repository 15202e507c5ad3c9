// child - a program that runs beside a runner: started in its sandbox with pipes to its
// three standard streams, spoken to without ever blocking on one of them, ended with
// everything that it started.
//
// A child leads a process group of its own. It dies with the runner; what it leaves behind
// when it ends (background processes, daemons that made a session of their own) is killed;
// the process must have called orphans_adopt.

#ifndef WORKER_CHILD_H
#define WORKER_CHILD_H

#include "common/buf.h"
#include "common/clock.h"
#include "worker/cpu.h"
#include "worker/sandbox.h"

#include <stdbool.h>
#include <sys/types.h>

enum { CHILD_TAIL = 4096 };

struct child_plan {                 // borrowed; what to start
    const char *name;               // in sentences
    char *const *argv, *const *env; // argv[0] without '/' is looked for in env's PATH
    const char *dir;                // to run in; one that is not there: `scratch`
    const char *scratch;
    const struct sandbox *sandbox;
    uint64_t memory_bytes; // of private memory, each of its processes; 0: unlimited
};

struct child { // zero-initialised: none runs
    pid_t pid;
    struct cpu_meter cpu;    // of all programs that it was
    int pidfd, in, out, err; // -1: closed
    char tail[CHILD_TAIL];   // last bytes of its stderr
    size_t tail_n;
    bool cannot_run;    // on this host, as child_start found: nothing of what it is given
    struct child *next; // child.c's: do not move a child that runs
};

// ERR_INVALID: it cannot be run (the sentence names it and says why).
MUST_CHECK err_t child_start(struct child *c, const struct child_plan *p, struct err *e);

struct child_talk {
    struct slice input; // written to its stdin; a child that closes stdin early is fine
    bool close_in;      // stdin is closed behind the input, and the answer ends with it;
                        // otherwise both stay open for the next batch
    struct buf *answer; // its stdout is appended
    size_t max_bytes;   // of the answer
    // Looks at the answer so far; true: it is whole. NULL: it is when the child ends.
    bool (*whole)(void *arg, const struct buf *answer);
    void *arg;
};
// Writes the input while it reads answer and stderr. ERR_OK: the answer is whole, or the
// child has ended, which `*ended` says; then *status is as of waitpid and nothing of it
// runs any more. ERR_TIMEOUT at `deadline`: SIGTERM to its group, two seconds, SIGKILL.
// ERR_TOOBIG: more than max_bytes came. ERR_TRANSFORM: with `whole`, it closed its standard
// input or output and lives on; neither of the two is waited for, it is killed.
MUST_CHECK err_t child_talk(struct child *c, const struct child_talk *t, ns_t deadline,
                            bool *ended, int *status, struct err *e);

void child_end(struct child *c); // closes its stdin and waits for its end, but not for long
void child_kill(struct child *c); // SIGKILL to all of it; nothing runs any more
#endif
