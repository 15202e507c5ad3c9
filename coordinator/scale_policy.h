// scale_policy - how many workers there should be, and when to stop starting more. Pure.

#ifndef COORDINATOR_SCALE_POLICY_H
#define COORDINATOR_SCALE_POLICY_H

#include "common/clock.h"

#include <stdbool.h>
#include <stdint.h>

struct scale_rule {
    uint32_t min, max;   // min <= max
    uint32_t per_worker; // batches that are reason enough for a worker; 0: two a slot
    uint32_t slots;      // of a worker, as long as none is connected; 0: unknown
};

struct scale_view {
    uint64_t running;    // batches that workers have
    uint64_t waiting;    // ... that are cut and wait
    int64_t to_come;     // ... that will be cut; -1: unknown
    uint32_t idle_slots; // of workers that are connected
    uint32_t workers;    // connected
    uint32_t slots;      // of these together
    uint32_t have;       // started and not ended, connected or not
};

// Between min and max: a worker for each `per_worker` batches that are not done. When
// nobody knows how much is to come, twice as many as are connected while all of them are
// busy and something waits. No more than there are while batches wait beside idle slots:
// then it is not workers that are missing. Never fewer than there are as long as batches
// wait, or may come while no slot is idle; then as many as have batches in hand.
uint32_t scale_wanted(const struct scale_rule *r, const struct scale_view *v);

// Three workers in a row that fail to start: no more of them for a while. Then one is
// tried; when it fails, too, the while is twice as long, up to sixteen times. Only a worker
// that has begun since the last failure ends the row: what those say that were up before is
// nothing about starting.
enum { SCALE_FAILURES = 3, SCALE_PAUSE_MOST = 16 }; // the last: times the first pause
#define SCALE_PROOF (30 * NS_S)                     // up for so long: it has started well
struct scale_brake {
    ns_t pause;        // the first one's length
    uint32_t failures; // in a row
    uint32_t pauses;   // in a row
    ns_t until;        // of the pause that goes on, or went on
    uint32_t old;      // of those that are up: were so at the last failure, at most
    uint32_t asked;    // of those that are up or pending, likewise
    ns_t since;        // when more than `old` came to be up; 0: they are not
    bool tries;        // one was started since, and nobody knows yet how that ends
};
// True: a pause begins with this failure, and ends at `until`.
bool scale_failed(struct scale_brake *b, uint32_t n, ns_t now);
void scale_proved(struct scale_brake *b); // one came up and did not fail
// At each count, after scale_failed: how many are up and pending, and have ended well since
// the count before.
void scale_counted(struct scale_brake *b, uint32_t up, uint32_t pending,
                   uint32_t ended_well, ns_t now);
// How many may be started at once: 0 while it pauses or tries, 1 to try, else all.
uint32_t scale_may_start(const struct scale_brake *b, ns_t now);

// Workers that leave because they are idle although batches wait get none: they lack a
// label, or there are more of them than requests at a time. For a while there are no more
// than are left; then one more is tried, and when that one leaves like this, too, the while
// is twice as long, up to sixteen times. All that ends when more workers than before get
// batches.
struct scale_spare {
    ns_t pause;       // the first one's length
    ns_t idle;        // a worker leaves after so long without a batch
    ns_t waits_since; // batches have waited all the time; 0: none wait
    ns_t until;       // of the pause that goes on, or went on
    uint32_t pauses;  // in a row; 0: there is no limit
    uint32_t most;    // while it goes on
    uint32_t workers; // that got batches when it began
};
// At each count while a run goes on. True: a pause begins, and ends at `until`.
bool scale_left(struct scale_spare *s, const struct scale_view *v, uint32_t ended_well,
                ns_t now);
// How many more may be started: always those that are missing to the rule's least.
uint32_t scale_room(const struct scale_spare *s, const struct scale_rule *r, uint32_t have,
                    ns_t now);

#endif
