// orphans - processes that came to us because whoever started them died.
//
// A program's own children outlive it, and a runner's program outlives the runner that is
// killed. Both the worker's parent and its runners make themselves the parent of such
// processes (PR_SET_CHILD_SUBREAPER), and end them.

#ifndef WORKER_ORPHANS_H
#define WORKER_ORPHANS_H

#include <stdbool.h>
#include <sys/types.h>

void orphans_adopt(void); // once a process
// Kills and reaps every child that is not `ours`, and the children of these.
void orphans_kill(bool (*ours)(const void *arg, pid_t pid), const void *arg);

#endif
