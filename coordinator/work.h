// work - the chunks that a run knows at the moment: by id, by range, and in input order.

#ifndef COORDINATOR_WORK_H
#define COORDINATOR_WORK_H

#include "common/hash_map.h"
#include "coordinator/loader.h"
#include "coordinator/source.h"
#include "proto/lease.h"

#include <stdatomic.h>

struct shared_chunk { // chunk bytes may still be on their way out when the chunk is done
    _Atomic int refs;
    struct chunk_data *data;
};

struct work_key { // no padding: it is hashed as bytes
    uint64_t input, begin, end;
};

struct work {
    uint64_t id;
    struct work_key key;
    struct shared_chunk *chunk;
    struct work *prev, *next; // in input order, while not handed to the loader
    bool in_order;
    bool scheduled;          // the scheduler knows it
    bool part;               // of one that was split
    struct load_item *ready; // its result, until it is its turn
    uint32_t attempt;        // of the result
    uint64_t sid;            // the session that sent it
    struct lease lease;      // under which it was worked on
    char failure[512];       // what went wrong last
    bool told;               // so, to the user
    char bad_by[64];         // the worker whose result was no good last
    bool bad_twice;          // results of two workers were no good
    UT_hash_handle by_id, by_range;
};

struct works {
    struct work *ids, *ranges, *first, *last;
    uint64_t next_id, n;
};

// Takes the chunk; `before` = NULL appends, otherwise it stands right before that one.
// NULL: out of memory, the chunk is still the caller's.
struct work *work_add(struct works *w, struct chunk_data **c, struct work *before);
struct work *work_by_id(struct works *w, uint64_t id);
struct work *work_by_range(struct works *w, uint64_t input, uint64_t begin, uint64_t end);
void work_leave_order(struct works *w, struct work *k); // its place in the order is served
// Its result was no good: it stands first again, for itself or for its halves.
void work_rejoin_order(struct works *w, struct work *k);
void work_drop(struct works *w, struct work **k); // forgets it altogether
void works_free(struct works *w);

void *work_lend(struct work *k);            // another reference to the chunk's bytes
void work_return(void *data, void *shared); // a link_free_fn

#endif
