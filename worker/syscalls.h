// syscalls - a seccomp filter against system calls that no transform has use for: other
// processes' memory, kernel modules, mounts and namespaces, io_uring, tracing, keys,
// sockets other than AF_UNIX, injected terminal input. What is refused gives EPERM; clone3
// gives ENOSYS, so that libraries fall back to clone, whose flags can be seen.

#ifndef WORKER_SYSCALLS_H
#define WORKER_SYSCALLS_H

#include <stdbool.h>

bool syscalls_can_be_filtered(void);
// Filters this process and what it becomes. False: errno says why not.
bool syscalls_filter(void);

#endif
