// scratch - a folder that a program may write in, with a lock that says somebody uses it.
//
// $TMPDIR/tranche-scratch-XXXXXX/room: ours alone (0700); a program gets the room. A lock
// on the outer folder ends with the process that holds it, however that dies; whoever opens
// another one, or has seen a process of a run die, sweeps such folders away.

#ifndef COMMON_SCRATCH_H
#define COMMON_SCRATCH_H

#include "common/err.h"

struct scratch {
    char dir[4096];  // "": closed
    char room[4112]; // DIR/room
    int lock;        // -1: closed
};

MUST_CHECK err_t scratch_open(struct scratch *s, struct err *e);
MUST_CHECK err_t scratch_empty(struct scratch *s,
                               struct err *e); // what is in the room
                                               // goes; the room itself stays
void scratch_close(struct scratch *s);
void scratch_sweep(void); // the folders of dead processes of this user

#endif
