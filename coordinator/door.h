// door - the way in for workers of other hosts: keys, allow list, port, and the secret that
// the leases of a load are made with.

#ifndef COORDINATOR_DOOR_H
#define COORDINATOR_DOOR_H

#include "common/job.h"
#include "proto/lease.h"
#include "proto/link.h"

struct door {
    struct link *link; // NULL: closed
    struct gate *gate; // NULL: closed, or --insecure
    struct key_pair keys;
    uint8_t secret[LEASE_SECRET_BYTES];
};

// Endpoint and keys, before anything else is opened: what is wrong with them is told early.
// Nothing without --listen. Says so when it is --insecure.
MUST_CHECK err_t door_prepare(struct door *d, const struct job *j, const char *state_dir,
                              struct err *e);
// `load` names the load: a coordinator that goes on with it, with the same spec, gets the
// same secret. NULL: it can't be gone on with.
MUST_CHECK err_t door_secret(struct door *d, const struct job *j, const char *state_dir,
                             const char *load, const struct buf *spec, struct err *e);
// Listens. `largest`: payload of a message, in bytes.
MUST_CHECK err_t door_open(struct door *d, const struct job *j, uint64_t largest,
                           struct err *e);
void door_close(struct door *d);

#endif
