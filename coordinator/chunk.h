// chunk - the life of a chunk: a table of allowed moves, and the one function that moves.
//
//  PENDING --assign--> LEASED --result--> RECEIVED --commit--> COMMITTED
//     ^                   | worker lost, lease expired (never blamed: R11)
//     +-------------------+
//                         +- its runner died or its transform failed --> SUSPECT
//  SUSPECT --assign, alone on its worker--> LEASED - again -> SPLIT (children are new
//  chunks)
//                                                          '-> REJECTED (one record)
//  RECEIVED --image damaged, or commit failed for good--> SUSPECT
//  RECEIVED --image damaged, and its worker is not trusted--> PENDING

#ifndef COORDINATOR_CHUNK_H
#define COORDINATOR_CHUNK_H

#include "coordinator/range.h"

#include <stdbool.h>
#include <stdint.h>

#define CHUNK_STATES(X) \
    X(PENDING) X(LEASED) X(SUSPECT) X(RECEIVED) X(COMMITTED) X(SPLIT) X(REJECTED)
enum chunk_state {
#define X(name) CHUNK_##name,
    CHUNK_STATES(X)
#undef X
        CHUNK_N_STATES
};

const char *chunk_state_name(enum chunk_state s);
bool chunk_may_move(enum chunk_state from, enum chunk_state to);
static inline bool chunk_terminal(enum chunk_state s)
{
    return s == CHUNK_COMMITTED || s == CHUNK_SPLIT || s == CHUNK_REJECTED;
}

#endif
