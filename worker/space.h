// space - namespaces of its own for a program in the strict sandbox: it sees and signals
// nobody else's processes, has no network, and whatever it starts dies with it.
//
//   A  the process that was forked for the program: waits outside, then ends as C did
//    \_ B  the first process of the new PID namespace (pid_namespaces(7)): reaps
//        \_ C  becomes the program
//
// When C ends, B ends, and the kernel kills what else is in the namespace, daemons with a
// session of their own included. When A is killed, B is (PR_SET_PDEATHSIG).

#ifndef WORKER_SPACE_H
#define WORKER_SPACE_H

#include <stdbool.h>

enum space {
    SPACE_NONE,    // this host does not let an ordinary process have one
    SPACE_NO_PROC, // a /proc of its own cannot be mounted (in some containers)
    SPACE_WHOLE,
};
// The only way to know is to try.
enum space space_to_be_had(void);

// In a new process that has one thread: returns in C, where only system calls may follow.
// A and B close all descriptors. `proc`: /proc shows the namespace. *shm: /dev/shm is its
// own; some containers do not allow that. False, in whichever of the three it failed: errno
// says why.
bool space_enter(bool proc, bool *shm);

// For tests: as if the kernel had no such feature.
extern bool space_not_allowed, space_without_proc;

#endif
