// local_link - the coordinator's end of the line to the worker of this machine, opened by a
// thread while the run is made ready: libzmq and what it needs take some milliseconds to
// load. The worker may connect before: the socket is there, and it waits in its queue.

#ifndef COORDINATOR_LOCAL_LINK_H
#define COORDINATOR_LOCAL_LINK_H

#include "coordinator/local.h"
#include "proto/link.h"

#include <semaphore.h>

struct local_link {
    struct local *local; // NULL: not begun, or taken
    struct link_opts opts;
    struct link *link;
    struct err e;
    err_t rc;
    bool threaded;
    sem_t opened;
};

// Needs local_open; both structs stay where they are until local_link_take.
void local_link_begin(struct local_link *x, struct local *local, const struct link_opts *o);
// Waits until it is open, or says why it is not. *out stays NULL where none was begun.
MUST_CHECK err_t local_link_take(struct local_link *x, struct link **out, struct err *e);
void local_link_drop(struct local_link *x); // the same where nobody wants it any more

#endif
