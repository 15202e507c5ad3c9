// shares - how many requests each worker may have under way, of those that a job may have.
//
// Pure. What is promised to workers together never exceeds the total, whatever order
// messages take: a share that shrinks counts as it was until the worker has confirmed that
// no more is under way there, and only then it is given to others.
//
// Workers that are in get a part by their slots, one at least; they come in as they came,
// as long as there is one for each.

#ifndef COORDINATOR_SHARES_H
#define COORDINATOR_SHARES_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shares_worker {
    uint64_t id;
    uint32_t slots;
    uint32_t told;  // last; 0: it may not begin
    uint32_t bound; // what it may have under way
    uint64_t seq;   // of the last message
};

struct shares { // { .total = n } is one without workers
    uint32_t total;
    struct shares_worker *v; // in the order in which they came
    size_t n;
};

struct shares_message { // worker `id` may have so many from now on
    uint64_t id, seq;
    uint32_t requests;
};

// A worker that is there already stays as it is.
MUST_CHECK err_t shares_join(struct shares *s, uint64_t id, uint32_t slots, struct err *e);
// It has ended, and its requests with it.
void shares_leave(struct shares *s, uint64_t id);
// The worker has seen message `seq`, and has no more under way than it says.
void shares_confirm(struct shares *s, uint64_t id, uint64_t seq);
// What has to be said now; false: nothing more.
bool shares_next(struct shares *s, struct shares_message *out);
uint32_t shares_of(const struct shares *s, uint64_t id); // what it was told; 0: nothing
bool shares_wants(const struct shares *s, uint64_t id);  // it will be told of one
void shares_free(struct shares *s);                      // leaves one without workers

#endif
