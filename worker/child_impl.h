// child_impl - what the parts of child share: child starts no program itself, child_start
// does.

#ifndef WORKER_CHILD_IMPL_H
#define WORKER_CHILD_IMPL_H

#include "worker/child.h"

// As fork(2); in the parent c->pid is what it returned, and the child is one of ours.
pid_t child_fork(struct child *c);
void child_close(struct child *c); // its descriptors; it is none of ours any more

#endif
