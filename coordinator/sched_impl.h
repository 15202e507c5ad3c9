// sched_impl - what sched.c, sched_pick.c and sched_check.c share. Nobody else includes it.
//
// Times inside are virtual: the caller's clock less all pauses (sched_paused), which moves
// every deadline at once. No event allocates but sched_chunk_add and sched_worker_join: the
// attempts live in their chunk, and every heap has room for all that is known.

#ifndef COORDINATOR_SCHED_IMPL_H
#define COORDINATOR_SCHED_IMPL_H

#include "common/hash_map.h"
#include "common/heap.h"
#include "common/list.h"
#include "coordinator/sched.h"

#include <assert.h>
#include <stdint.h>

enum {
    ATTEMPTS = 2,      // of a chunk, at a time: the first and a straggler's second
    LOST_IN_A_ROW = 3, // sessions that vanish under a chunk before it is suspected
    LOST_PATIENCE = 10,
    NACKS_IN_A_ROW = 16, // a slot: more chunks than wait there, given back
    STRAGGLERS_LOOKED_AT = 8,
    PARTS_AT_ONCE = 8, // or two a slot: tried, or a SPLIT not confirmed yet
    BACKOFF_DOUBLINGS = 8,
    GRAIN_CREDIT = 64, // a slot: with so much its chunks take no time, and
    GRAIN = 16,        // so many go to it in a row
};
#define SIZE_CAP      ((uint64_t)1 << 48) // sums of sizes can't overflow
#define STRAGGLER_MIN NS_S
#define TURN_MAX      (2 * NS_S) // from ASSIGN to RESULT: more is hoarding

enum due_kind { DUE_LEASE, DUE_SESSION, DUE_CHUNK };

struct due {
    struct heap_node node; // in sched.dues, by `at`
    ns_t at;
    enum due_kind kind;
};

struct attempt {
    struct list on_session;  // in order of assignment
    struct list in_line;     // sched.line (may be sped up) or sched.cancels (to be told)
    struct due due;          // its lease: armed once it is its turn to run
    struct session *session; // NULL: this place is free
    struct chunk *chunk;
    ns_t since;
    uint64_t sent; // position of its last byte on the way to the worker, 0: arrived
    uint32_t number;
    bool alone;
    bool timed;     // its turn has come
    bool cancelled; // its chunk needs it no more; it holds its credit until it is answered
};

struct chunk {
    UT_hash_handle hh;
    chunk_id id;
    struct range range;
    uint64_t records, held, result_bytes;
    enum chunk_state state;
    ns_t since;
    struct heap_node open;  // in sched.open while not RECEIVED or terminal
    struct heap_node queue; // in sched.pending, sched.parts or sched.suspects
    struct due due;         // waits out a back-off
    struct list todo;       // in sched.todo: SPLIT or REJECT to be told; later in .splits
    bool told;              // a SPLIT, and in .splits
    struct attempt attempts[ATTEMPTS];
    uint32_t last_attempt;
    uint32_t assigned; // attempts made here
    uint32_t fails;    // of any kind
    uint32_t blame;    // failures while alone (R9)
    uint32_t lost;     // sessions that vanished under it, in a row
    uint32_t nacks;    // in a row
    bool suspect;      // run it alone
    bool kills;        // sessions vanish under it even when it is alone
    bool bisect;       // a part of a chunk that failed: one failure is enough to split
    bool trying;       // a part that is leased in company
    bool result_alone; // its result comes from an attempt that ran alone
};

struct session {
    UT_hash_handle hh;
    sid_u64 sid;
    uint32_t slots;
    struct list attempts;    // the first `slots` of them should be running
    struct attempt *untimed; // the first whose turn has not come, or NULL
    uint32_t leased, timed, grain;
    uint32_t nacks;   // in a row
    uint64_t arrived; // bytes that it took
    ns_t spoke, reset_at;
    int64_t run_ns;         // moving average of a chunk, 0: not measured
    uint32_t credit_cap;    // a slot: grows while results come soon
    struct due due;         // silence
    struct heap_node ready; // in sched.ready: may take an ordinary chunk
    struct list reserved;   // in sched.reserved: runs empty for a suspect
    struct list reset;      // in sched.resets: RESET to be told
    bool draining, refuses, alone, is_reserved;
    bool is_reset; // lost a lease or was silent: no work any more
    // its part of the sums in struct sched
    uint32_t in_running, in_idle;
    uint64_t in_room;
};

struct sched {
    struct sched_opts o;
    ns_t paused;
    struct chunk *chunks;
    struct session *sessions;
    struct heap open, pending, parts; // chunks by (input, begin)
    struct heap suspects; // the same, but whole ones behind what is left of others
    struct heap ready;    // sessions by leased / slots
    struct heap dues;
    struct list line; // attempts in order of age that may get a second one
    struct list cancels, resets, todo, splits, reserved;
    uint32_t n_reserved, n_active;
    uint32_t n_splits; // length of .splits: told, and not yet confirmed
    uint32_t n_trying; // parts that are leased in company
    uint64_t count[CHUNK_N_STATES];
    uint64_t held, waiting; // bytes of known chunks, of results not yet committed
    uint64_t held_avg, result_avg;
    int64_t run_ns;
    uint64_t ended,
        lost; // attempts in company that ended, that vanished with their session
    uint64_t retries, expired, duplicates, speculated;
    uint64_t slots, running, idle, room;
    bool no_more, hold;
};

static inline bool is_open(enum chunk_state s)
{
    return s == CHUNK_PENDING || s == CHUNK_LEASED || s == CHUNK_SUSPECT;
}

// It failed, and would be the first of its kind to be halved.
static inline bool sched_begins(const struct chunk *c)
{
    return c->records > 1 && !c->bisect;
}

// Where the chunk waits for a worker.
static inline struct heap *sched_queue_of(struct sched *s, const struct chunk *c)
{
    return c->suspect ? &s->suspects : c->bisect ? &s->parts : &s->pending;
}

static inline ns_t ns_add(ns_t a, ns_t b) // saturates
{
    ns_t sum;
    if (!__builtin_add_overflow(a, b, &sum)) return sum;
    return b > 0 ? INT64_MAX : INT64_MIN;
}

static inline ns_t ns_sub(ns_t a, ns_t b)
{
    ns_t diff;
    if (!__builtin_sub_overflow(a, b, &diff)) return diff;
    return b < 0 ? INT64_MAX : INT64_MIN;
}

#define NS_CAP (NS_NEVER / 4) // times further off are cut, so that t + delay > t

static inline ns_t inside(const struct sched *s, ns_t now)
{
    ns_t t = ns_sub(now, s->paused);
    return t > NS_CAP ? NS_CAP : t < -NS_CAP ? -NS_CAP : t;
}

#define CHUNK_OF(node, member) LIST_OF(node, struct chunk, member)

// ---- sessions ----

uint64_t sched_credit(const struct sched *s, const struct session *w);
// Brings the session's place in sched.ready and its part of the sums up to date.
void sched_session_refresh(struct sched *s, struct session *w);
void sched_session_unreserve(struct sched *s, struct session *w);
void sched_session_measure(struct sched *s, struct session *w, int64_t run_ns, ns_t turn);
// Starts the leases of the attempts whose turn has come.
void sched_session_turns(struct sched *s, struct session *w, ns_t t);
// It gets no work any more, and its leases return.
void sched_session_drop(struct sched *s, struct session *w, bool vanished, ns_t t);
// The same, and it will be told to come back as a new session.
void sched_session_reset(struct sched *s, struct session *w, bool vanished, ns_t t);

// ---- chunks ----

// The one function that changes a chunk's state.
void sched_chunk_move(struct sched *s, struct chunk *c, enum chunk_state to, ns_t t);
void sched_chunk_enqueue(struct sched *s, struct chunk *c, ns_t delay, ns_t t);
void sched_chunk_unqueue(struct sched *s, struct chunk *c);
void sched_chunk_cancel(struct sched *s, struct chunk *c); // its live attempts
// What becomes of an open chunk after one of its attempts ended without a result.
void sched_chunk_release(struct sched *s, struct chunk *c, ns_t delay, ns_t t);
void sched_chunk_blame(struct sched *s, struct chunk *c, bool alone, ns_t t);
void sched_chunk_decide(struct sched *s, struct chunk *c, enum chunk_state end, ns_t t);
void sched_chunk_forget(struct sched *s, struct chunk *c, ns_t t); // it is done: frees it
// Takes the attempt off its session; its chunk stays as it is.
void sched_attempt_end(struct sched *s, struct attempt *a, ns_t t);

// ---- the rest ----

void sched_arm(struct sched *s, struct due *d, ns_t at);
void sched_disarm(struct sched *s, struct due *d);
ns_t sched_backoff(const struct sched *s, uint32_t failures);
void sched_tally(struct sched *s, uint64_t *what); // s->ended or s->lost
int64_t sched_average(int64_t old, int64_t x);
ns_t sched_straggler_age(const struct sched *s);

#endif
