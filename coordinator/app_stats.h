// app_stats - what a run remembers of its workers and of time, for the journal
// (journal_stats.h). All of it in bounded memory, and nothing of it decides anything.

#ifndef COORDINATOR_APP_STATS_H
#define COORDINATOR_APP_STATS_H

#include "common/clock.h"
#include "common/hash_map.h"
#include "coordinator/busy.h"
#include "coordinator/range.h"

#include <stdbool.h>

struct stat_worker { // lives until the run ends; sessions of one name share it
    char name[64], host[64], cpu[96];
    const char *role;
    uint32_t cores, slots, sessions, here; // here: sessions that have not ended
    uint64_t memory_bytes, chunks, failed, busy_us;
    int64_t came_ms, left_ms;
    struct busy busy;
    bool changed; // since it was written
    UT_hash_handle hh;
};

struct app_stats {
    struct stat_worker *workers;
    uint64_t sample, sample_step; // numbers: of the next, and from one to the next
    uint32_t kept;                // samples
    ns_t sample_every, sampled, written, flushed;
    struct { // ranges that the cache had, or had not, until something else comes
        struct range range;
        uint64_t chunks;
        const char *why;
    } reused;
};

#endif
