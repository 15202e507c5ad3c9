// syscalls - seccomp filters against system calls that a kind of process has no use for.
//
// All refuse: other processes' memory, kernel modules, mounts and namespaces, io_uring,
// tracing, keys, injected terminal input. What is refused gives EPERM; clone3 gives ENOSYS,
// so that libraries fall back to clone, whose flags can be seen.

#ifndef WORKER_SYSCALLS_H
#define WORKER_SYSCALLS_H

#include <stdbool.h>

enum syscalls {
    SYSCALLS_LIBRARY, // nothing else
    SYSCALLS_PROGRAM, // sockets other than AF_UNIX, and those to anybody else
    SYSCALLS_ALONE,   // all sockets, other programs, new processes, signals to others
};

bool syscalls_can_be_filtered(void);
// Filters this process, which has one thread, and what it becomes. False: errno says why
// not.
bool syscalls_filter(enum syscalls kind);

#endif
