// app_impl - what the files of the run's loop share: app.c (loop, time, start and end),
// app_chunks.c (chunks from the source to the ledger), app_cache.c (those whose results are
// known), app_workers.c (messages and leases),
// app_sessions.c (who comes, stays and goes), app_share.c (requests of http steps),
// app_guard.c (who is shut out), app_lines.c (slow connections), app_send.c (chunks on
// their way out),
// app_live.c (what waits), app_stall.c (for what a run without
// progress waits), app_stats.c (what is remembered of workers and time),
// app_retire.c (workers that are sent away, or wait for a server's next job).

#ifndef COORDINATOR_APP_IMPL_H
#define COORDINATOR_APP_IMPL_H

#include "coordinator/app.h"
#include "coordinator/app_stats.h"
#include "coordinator/feeder.h"
#include "coordinator/fetch.h"
#include "coordinator/sched.h"
#include "coordinator/sessions.h"
#include "coordinator/shares.h"
#include "coordinator/tune.h"
#include "coordinator/work.h"
#include "proto/lease.h"

#define APP_HEARTBEAT clock_protocol(2 * NS_S)
// With it a machine that vanishes costs less than 15 s.
#define APP_SILENCE clock_protocol(12 * NS_S)

enum { TOLD_KINDS = 32 }; // of failures of batches, on stderr

struct app {
    const struct app_in *in;
    struct app_totals *t;
    struct works works;
    struct sessions sessions;
    struct app_share { // of an http step
        struct shares of;
        int64_t gap_ns; // from one request's begin to the next's, all workers together
    } * shares;
    size_t n_shares;
    struct sched *sched;
    struct feeder *feeder;
    struct loader *loader;
    struct queue *says; // lines of other threads
    struct tune tune;
    struct hash128 job;
    uint64_t in_loader, loading_bytes; // results there, and their size
    uint64_t cached_bytes;             // of results that the cache gave, until loaded
    uint64_t isolated;                 // rows rejected because they always fail
    uint32_t local_deaths, told_single;
    struct hash128 told_words;             // of the failure that was told last
    struct hash128 told_kinds[TOLD_KINDS]; // ... and what kinds of failures were
    uint32_t n_told_kinds;
    struct fetch *fetch; // reads files for workers that don't see them; made when needed
    struct culprit *strikes; // app_guard.c
    uint64_t complaints;     // since then
    ns_t complaints_since;
    bool more;           // messages wait that were not taken
    struct early *early; // results for chunks that are not cut yet, by range
    uint64_t early_bytes;
    struct range fed_to;                          // the last that the source gave
    uint64_t fed_bytes, fed_chunks, ledger_bytes; // ledger: committed by earlier runs
    bool gathered;                                // workers.min are there, or were
    ns_t began, gate_checked, lines_seen;
    ns_t peers_seen, retired_seen;
    unsigned packing;                                // sessions whose line is packed
    uint64_t lost_seen;                              // connections that ended
    uint64_t endless_seen, deaf_seen, too_many_seen; // that were cut
    uint64_t bytes_done, bytes_total, seq;
    ns_t last_result, last_loaded, last_fed, last_loop, live_told, now_told;
    struct app_stats stats;
    uint32_t tails_kept; // of standard error, in the journal
    bool fed, over, journal_failed;
    char waits[256];
    struct err e; // the first fault ends the run
    struct err scratch;
};

// ---- app.c ----
void app_fails(struct app *a, const struct err *e); // the first fault ends the run
void app_fails_nomem(struct app *a);
void app_say(struct app *a, const char *kind,
             const char *text); // to the user and the journal
// The journal's fault stands in a->scratch. Told once: history is for people, and the load
// is exactly-once without it.
void app_journal_failed(struct app *a);
// "flights.csv bytes 0-1048576"
const char *app_chunk_name(const struct app *a, const struct work *k, char *out,
                           size_t cap);

// ---- app_chunks.c ----
void app_take_chunks(struct app *a); // from the source, as many as the scheduler wants
void app_take_loaded(struct app *a); // outcomes of the loader
// When it has enough to do nothing more is dispatched.
void app_mind_loader(struct app *a);
void app_put_in_order(struct app *a, struct work *k, struct load_item *i); // takes the item
void app_split(struct app *a, struct work *k);  // writes the SPLIT row; the children follow
void app_reject(struct app *a, struct work *k); // one record that always fails
void app_add_totals(struct app *a, const struct ledger_row *r);

// ---- app_cache.c ----
bool app_wants_chunks(const struct app *a); // from the source
// False: its result is not known. Else the chunk is taken, and its result on its way.
bool app_take_cached(struct app *a, struct chunk_data **c);
void app_to_be_kept(struct app *a, const struct work *k, struct load_item *i);
void app_tell_cache(struct app *a); // what went wrong in it
void app_close_cache(struct app *a);

// ---- app_workers.c ----
bool app_take_messages(struct app *a); // true: there were some, and may be more
void app_act(struct app *a);           // does what the scheduler says
// A result of chunk k from any session (0: none any more), this coordinator's or an earlier
// one's. Takes the message if it is wanted.
void app_result(struct app *a, struct work *k, const char *worker, uint64_t sid,
                struct link_in **in, ns_t now);

// How an attempt ended, to the journal; `text` says why.
void app_attempt_end(struct app *a, const struct work *k, uint32_t attempt,
                     const char *outcome, int64_t ms, int64_t peak_kb, const char *text);
// A function of sched_opts.lost; arg is the app.
void app_attempt_lost(void *arg, chunk_id id, uint32_t attempt, enum sched_lost how);

// ---- app_early.c ----
// False: there is no use in keeping it.
bool app_keep_early(struct app *a, const struct lease *l, const char *worker, uint64_t sid,
                    struct link_in **in);
void app_take_early(struct app *a, struct work *k); // for a chunk that was cut just now
void app_drop_early(struct app *a);

// ---- app_sessions.c ----
void app_hello(struct app *a, const struct link_peer *p, const struct msg_HELLO *h,
               ns_t now);
void app_ready(struct app *a, struct session *s, const struct msg_READY *r, ns_t now);
void app_session_end(struct app *a, struct session *s, ns_t now); // frees it
void app_begin_anew(struct app *a, const struct link_peer *p, ns_t now);
void app_look_at_gate(struct app *a, bool in_any_case, ns_t now);
void app_join_ready(struct app *a, ns_t now); // who can have batches now
void app_gather(struct app *a, ns_t now);     // workers.min and workers.wait
// It cannot run the job's program: it gets no more batches. The run ends if nobody else
// can.
void app_is_unfit(struct app *a, struct session *s, const char *why);
void app_explain_workers(struct app *a, char *out, size_t cap); // "" : they could work

// ---- app_retire.c ----
void app_mind_retired(struct app *a, ns_t now);
// It is not told to end when the run is over: a server has other jobs for it.
bool app_keeps_for_next(const struct app *a, const struct session *s);

// ---- app_share.c ----
MUST_CHECK err_t app_share_open(struct app *a, struct err *e);
void app_share_close(struct app *a);
// Whether this worker may make requests of every http step, so that it can have batches;
// else it waits until others gave up some of theirs.
bool app_share_admits(struct app *a, struct session *s);
void app_share_left(struct app *a, uint64_t sid, ns_t now); // its session has ended
void app_shared(struct app *a, const struct session *s, const struct msg_SHARED *m,
                ns_t now);

// ---- app_guard.c ----
// It did what no honest worker does. After the third time its key is refused until the run
// ends, or the connection is cut, and true is returned: its sessions are gone.
bool app_strike(struct app *a, const struct link_peer *p, const char *what, ns_t now);
// Like app_say, for what peers provoke: some lines in 10 s, then only how many more.
void app_complain(struct app *a, const char *kind, const char *text);
void app_complaints_tick(struct app *a, ns_t now);
void app_tell_cut(struct app *a, const struct link_events *seen); // connections
// A result of chunk k is wrong. True: that speaks against its worker, who gets a strike;
// false: against the chunk, because another worker's was wrong, too, or our own's.
bool app_doubts_worker(struct app *a, struct work *k, const char *worker, uint64_t sid);
void app_guard_close(struct app *a);

// ---- app_lines.c ----
void app_look_at_lines(struct app *a, ns_t now); // before the scheduler's tick
// It does not have its line packed already and something may be sent to it: look at it.
void app_look_at_line(struct app *a, struct session *s, ns_t now);
// The attempt's ASSIGN was sent, or (not `begun`) its bytes must be read first.
void app_is_on_its_way(struct app *a, struct session *s, const struct work *k,
                       uint32_t attempt, bool begun);

// ---- app_live.c ----
// To the journal, once a second, when the run takes workers from other hosts: how much
// waits for them. `last`: in any case, nothing does any more.
void app_tell_live(struct app *a, const struct sched_counts *c, bool last, ns_t now);
void app_tell_now(struct app *a, const struct sched_counts *c, ns_t now);

// ---- app_stall.c ----
void app_mind_stall(struct app *a, ns_t now);

// ---- app_stats.c ----
void app_stats_open(struct app *a);
void app_stats_came(struct app *a, struct session *s, const struct msg_HELLO *h, ns_t now);
void app_stats_left(struct app *a, struct session *s, ns_t now);
// An attempt of this session (NULL: of none) took `run`.
void app_stats_worked(struct app *a, const struct session *s, ns_t run, bool failed,
                      ns_t now);
// Chunk r was in the cache ("") or was not; `why` is a literal.
void app_stats_reused(struct app *a, struct range r, const char *why);
void app_stats_tick(struct app *a, ns_t now);
void app_stats_close(struct app *a);

// ---- app_files.c ----
void app_need(struct app *a, struct session *s, const struct msg_NEED *n, ns_t now);
void app_send_piece(struct app *a, struct fetched *x); // frees it

// ---- app_send.c ----
bool app_post(struct app *a, struct session *s, struct msg *m, void *payload, size_t n,
              link_free_fn *free_fn, void *hint);
void app_refuse(struct app *a, const struct link_peer *p, err_t code, const char *text);
void app_reset(struct app *a, const struct link_peer *p, uint64_t sid, const char *why);
void app_send_committed(struct app *a, uint64_t sid, const struct lease *l);
struct lease app_lease(struct app *a, const struct work *k, uint64_t sid, uint32_t attempt);
// A worker could not read the path that it was given, or read something else there: the
// same attempt goes on with the bytes, and so will all others. False: it was given none.
bool app_send_bytes(struct app *a, struct session *s, struct work *k, uint32_t attempt);
void app_assign(struct app *a, const struct sched_action *x);
void app_ask_fetch(struct app *a, const struct fetched *what);
void app_fetched_sent(void *data, void *hint); // a link_free_fn
void app_take_fetched(struct app *a);          // what was read, to those who wait for it

#endif
