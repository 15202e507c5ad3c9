#include "coordinator/chunk.h"

#define TO(name) (1u << CHUNK_##name)

// RECEIVED from PENDING and SUSPECT: a late result of an attempt given up is welcome (R6).
// SPLIT and REJECTED from SUSPECT: earlier incarnations tried it often enough (R10).
static const unsigned moves[CHUNK_N_STATES] = {
    [CHUNK_PENDING] = TO(LEASED) | TO(RECEIVED),
    [CHUNK_LEASED] = TO(PENDING) | TO(SUSPECT) | TO(RECEIVED) | TO(SPLIT) | TO(REJECTED),
    [CHUNK_SUSPECT] = TO(LEASED) | TO(RECEIVED) | TO(SPLIT) | TO(REJECTED),
    [CHUNK_RECEIVED] = TO(COMMITTED) | TO(PENDING) | TO(SUSPECT) | TO(SPLIT) | TO(REJECTED),
};

const char *chunk_state_name(enum chunk_state s)
{
    static const char *const names[] = {
#define X(name) #name,
        CHUNK_STATES(X)
#undef X
    };
    return (unsigned)s < CHUNK_N_STATES ? names[s] : "?";
}

bool chunk_may_move(enum chunk_state from, enum chunk_state to)
{
    return (unsigned)from < CHUNK_N_STATES && (unsigned)to < CHUNK_N_STATES &&
           (moves[from] >> to & 1);
}
