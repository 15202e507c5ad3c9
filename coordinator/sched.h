// sched - decides which chunk goes to which worker, and when to worry.
//
// A pure state machine: events go in, actions come out. It owns no socket, no file, no
// thread, and never asks what time it is - every call is told. That is what lets tests/sim
// run a thousand failing clusters in a second. The cost of an event is logarithmic in the
// number of chunks and workers known.
//
// A chunk is known from sched_chunk_add until its terminal state is confirmed
// (sched_committed, sched_split_done, sched_rejected); then it is forgotten.
//
// Calls about chunks, sessions or attempts it does not know, and confirmations that don't
// fit the chunk's state, change nothing: messages come late, twice and out of order. No
// event allocates memory but the two that return err_t (ERR_NOMEM; ERR_INVALID: known
// already, an empty range, no slots).
//
// A session's leases: the first `slots` attempts in order of assignment should be running,
// and each expires after `lease` without sched_progress. Those behind wait in the worker's
// queue; they have no deadline of their own until it is their turn.
//
// Blame (R9, R11): only a failure of an attempt that ran alone on its worker by design
// counts. A failure in company makes the chunk SUSPECT: workers run empty for suspects,
// each of which then runs alone. A lone failure of several records is a SPLIT at once; of
// one record, a REJECT after `retries` of them. Children of a split of several records need
// no second failure, in company either, to be split again; those of one run alone from the
// first time on. Expiry never counts. A session that vanishes
// is no failure either, but three in a row under the same chunk make it SUSPECT, and three
// in a row while it runs alone count as one failure (more for a last lone record where
// sessions vanish often anyway): it kills whole workers.

#ifndef COORDINATOR_SCHED_H
#define COORDINATOR_SCHED_H

#include "common/clock.h"
#include "common/err.h"
#include "coordinator/chunk.h"

typedef uint64_t chunk_id; // the caller's, never reused in a run
typedef uint64_t sid_u64;  // session of a worker: epoch << 32 | n, never reused (R7)

// Depth first: children go before what was not tried yet (but leave it half of the slots)
// and before other chunks that failed, all in input order, and only a few of them at a
// time: so the first records at fault are found first, however much fails.

struct sched;

enum sched_lost {
    SCHED_LOST,     // its session vanished
    SCHED_EXPIRED,  // a lease of its session expired
    SCHED_UNWANTED, // the same, but another attempt had been faster
};

struct sched_opts {
    ns_t silence;        // a session that says nothing for so long is lost
    ns_t lease;          // a running attempt without progress for so long is expired
    ns_t retry_backoff;  // first wait before another attempt after a failure; doubles
    uint32_t retries;    // failures, alone, that a one-record chunk may have before REJECT
    uint32_t credit_min; // per slot: running + prefetched, at least (2)
    uint32_t credit_max; // per slot, at most (64)
    ns_t credit_work;    // credit grows to cover so much work a slot (5 ms), by one with
                         // each result, as long as they come within 2 s
    // Told of each attempt that ends with its session and not by an answer, for history;
    // calls nothing here. NULL: nobody wants to know.
    void (*lost)(void *arg, chunk_id c, uint32_t attempt, enum sched_lost how);
    void *lost_arg;
    uint64_t memory_bytes; // chunk bytes held + result bytes waiting; when full, only the
                           // first chunk in input order is still dispatched
};

struct sched *sched_new(const struct sched_opts *o); // NULL: out of memory
void sched_free(struct sched **s);

// ---- events ----

// `held_bytes`: memory that the chunk's own bytes take here. `failures` from earlier
// incarnations (journal): >= 1 makes it SUSPECT at once, and all but the first count as
// blame, but it gets at least one attempt. SCHED_HOPELESS: it gets none, SPLIT or REJECT is
// told at once (it killed coordinators, R10). Dispatch is in input order of `r`. A part of
// a chunk whose SPLIT was told and is not yet done is known for its child by its range.
#define SCHED_HOPELESS UINT32_MAX
MUST_CHECK err_t sched_chunk_add(struct sched *s, chunk_id id, struct range r,
                                 uint64_t records, uint64_t held_bytes, uint32_t failures,
                                 uint32_t last_attempt, ns_t now);
void sched_no_more_chunks(struct sched *s, ns_t now); // the source is at its end

MUST_CHECK err_t sched_worker_join(struct sched *s, sid_u64 sid, uint32_t slots, ns_t now);
void sched_worker_spoke(struct sched *s, sid_u64 sid, ns_t now);
// Bytes of a message that is not whole yet came at `when`: it lives, and what it has to say
// about its attempts stands behind them. Renews its leases.
void sched_worker_sends(struct sched *s, sid_u64 sid, ns_t when, ns_t now);
void sched_worker_drain(struct sched *s, sid_u64 sid, ns_t now); // no new chunks for it
// It gave back so many chunks in a row that it gets no more, as if it drained.
bool sched_worker_refuses(const struct sched *s, sid_u64 sid);
// Its leases return, nobody is blamed. Also for a session that says HELLO anew, and for one
// that was reset: until then it is remembered.
void sched_worker_gone(struct sched *s, sid_u64 sid, ns_t now);

// Progress of a running attempt renews its lease.
void sched_progress(struct sched *s, sid_u64 sid, chunk_id id, uint32_t attempt, ns_t now);

// An attempt's chunk is on its way, up to byte `position` of all that is sent to its worker
// (SCHED_UNSENT: not even begun). Its lease is renewed as long as sched_worker_takes tells
// that more arrives, but not yet that byte; then it begins. Without it, it begins at once.
#define SCHED_UNSENT UINT64_MAX
void sched_sent(struct sched *s, sid_u64 sid, chunk_id id, uint32_t attempt,
                uint64_t position);
void sched_worker_takes(struct sched *s, sid_u64 sid, uint64_t arrived, ns_t now);

// A result came in, from any session and attempt (R6). True: it is the first one, the chunk
// is RECEIVED and its other attempts will be cancelled. False: drop it, it has one already.
bool sched_result(struct sched *s, sid_u64 sid, chunk_id id, uint32_t attempt,
                  uint64_t bytes, ns_t run_ns, ns_t now);

enum sched_fail {
    FAIL_RUNNER,    // the runner died, ran out of its memory, or took too long
    FAIL_TRANSFORM, // the transform said no
    FAIL_RESULT,    // its result is damaged, or can't be loaded
    FAIL_REFUSED,   // NACK: its worker did not run it, nobody is blamed
    FAIL_NOT_ITS,   // it never came there, or proves nothing: nobody is blamed
};
void sched_failed(struct sched *s, sid_u64 sid, chunk_id id, uint32_t attempt,
                  enum sched_fail why, ns_t now);

void sched_committed(struct sched *s, chunk_id id, ns_t now);
// A RECEIVED result turned out to be damaged: the chunk is tried again.
void sched_result_bad(struct sched *s, chunk_id id, ns_t now);
// The same, but it speaks against the worker that sent it, not against the chunk.
void sched_result_doubted(struct sched *s, chunk_id id, ns_t now);
// The SPLIT ledger row is durable; the children were added with sched_chunk_add before.
void sched_split_done(struct sched *s, chunk_id id, ns_t now);
void sched_rejected(struct sched *s, chunk_id id, ns_t now);

// The warehouse has enough to do: while this is on, nothing is dispatched and no chunk is
// wanted. What it has to do must not wait for anything that is still to be dispatched.
void sched_hold(struct sched *s, bool on);

// Self-pause rule: the event loop itself stood still for `gap`; every deadline moves.
void sched_paused(struct sched *s, ns_t gap, ns_t now);

// ---- answers ----

enum sched_do {
    SCHED_ASSIGN, // lease chunk `c` as `attempt` to `w`; the attempt must be durable first
    SCHED_CANCEL, // attempt `attempt` of `c` on `w` is not wanted any more
    SCHED_RESET,  // session `w` lost a lease by expiry, or was silent: it must drop
                  // everything and come back as a new session before it gets work again
                  // (R8). Told again when it goes on speaking
    SCHED_SPLIT,  // halve `c`: write its SPLIT row, add the children, sched_split_done
    SCHED_REJECT, // `c` is one record that always fails: reject it, sched_rejected
};

struct sched_action {
    enum sched_do what;
    sid_u64 worker;
    chunk_id chunk;
    uint32_t attempt;
};

// Takes the next pending action; false when there is none. Call until false after events.
bool sched_next(struct sched *s, struct sched_action *out, ns_t now);

// Expires what is due at `now`. Returns when it wants to be called next (NS_NEVER: never).
ns_t sched_tick(struct sched *s, ns_t now);

// How many more chunks the scheduler could use now: 0 when memory is full or enough wait.
uint32_t sched_wants(const struct sched *s);
bool sched_finished(const struct sched *s); // no more chunks, none known

struct sched_counts {
    uint64_t by_state[CHUNK_N_STATES]; // known now; terminal ones: since the start
    uint64_t retries, expired, duplicates, speculated;
    uint64_t failing; // that failed, or are parts of such ones, and are to be tried again
    uint32_t workers, slots, running, idle_slots;
    uint64_t held_bytes;
};
void sched_count(const struct sched *s, struct sched_counts *out);

// The lowest chunk in input order that is not RECEIVED or terminal, and where it is: for
// "what does this run wait for". False: none.
struct sched_wait {
    chunk_id chunk;
    enum chunk_state state;
    sid_u64 worker; // 0: none
    uint32_t attempt;
    ns_t since;
};
bool sched_waits_for(const struct sched *s, struct sched_wait *out);

// Asserts every invariant of the structure. Linear: for tests.
void sched_check(const struct sched *s);

#endif
