// app_impl - what the files of the worker's parent process share: app.c (loop, time, start
// and end), app_messages.c (what the coordinator says), app_job.c (the job is opened),
// app_tasks.c (chunks in the slots, and their results), app_train.c (small chunks in one
// go), app_share.c (requests), app_send.c (what is
// said).

#ifndef WORKER_APP_IMPL_H
#define WORKER_APP_IMPL_H

#include "proto/fail.h"
#include "worker/app.h"
#include "worker/files.h"
#include "worker/http_share.h"
#include "worker/slot.h"
#include "worker/uplink.h"

struct task {          // an ASSIGN that waits for a lane of a slot or runs in one
    struct task *next; // in the queue, or in the train
    struct msg_ASSIGN assign;
    struct link_in *in; // keeps the payload of a by-value chunk until it is handed over, or
                        // as long as it is in a train
    ns_t started;       // 0: given ahead, and not known to run
    bool cancelled;
    bool timed_out;
    bool alone;  // its result found no room beside others
    char path[]; // of the assignment, with its NUL
};

// Of the file, by reference; of rows nobody knows.
static inline uint64_t worker_task_bytes(const struct task *t)
{
    return t->assign.first_line ? t->assign.end - t->assign.begin : 0;
}

struct held { // a finished result, as it was sent; its bytes stand in the slot's region
    struct msg msg;
    size_t at, bytes;
};

struct app {
    const struct worker_opts *opts;
    struct uplink up;
    int signals;
    struct hash128 instance; // of this process
    struct line line;        // to the coordinator
    struct pack_meter meter; // of results that were packed for it
    struct held *held;       // TRAIN_MAX a result region
    uint64_t epoch, sid;
    ns_t heartbeat, silence;
    ns_t looked;                  // at the line
    ns_t next_beat, sent, worked; // worked: when it last had something to do
    ns_t kept_since;              // the oldest message that waits for company; 0: none
    ns_t said_hello;
    struct hash128 job;
    struct msg_JOB limits;
    struct slot_job runners; // what they are started with
    struct files *files;     // of the job
    struct http_share_board *share;
    struct app_limit { // of requests, that the coordinator set and waits for
        bool waits;
        uint32_t requests;
        uint64_t seq;
    } limit[STEP_HTTP_MAX];
    bool runners_wait; // for the files
    unsigned sees;     // of the job's first input, sight.h
    bool hurry;        // there is work on them, no need to wait for events
    struct slot *slot;
    struct task **running;   // one a lane of each slot; with one lane all that it was given
    uint32_t n_slots, lanes; // of each; 0: there was no job yet
    struct task *queue, **queue_end;
    size_t queued;
    uint64_t seq;
    bool has_job, told_ready, draining, stop;
    bool got_work; // in this session: the coordinator has heard our READY
    int exit_code;
    struct err e;
};

static inline struct task **worker_lane(struct app *a, uint32_t slot, uint32_t lane)
{
    return &a->running[(size_t)slot * a->lanes + lane];
}

// The lease goes back exactly as it came: only the coordinator can make or check one.
#define COPY_LEASE(to, from)                                                      \
    ((to).input = (from).input, (to).begin = (from).begin, (to).end = (from).end, \
     (to).attempt = (from).attempt, (to).lease_epoch = (from).lease_epoch,        \
     (to).lease_sid = (from).lease_sid, (to).token = (from).token)

// ---- app_send.c ----
void worker_post(struct app *a, struct msg *m);
void worker_post_payload(struct app *a, struct msg *m, void *payload, size_t n,
                         link_free_fn *free_fn, void *hint);
// Sends what waits for company, unless more may still come. False: some of it waits on.
bool worker_send_kept(struct app *a);
void worker_hello(struct app *a);
void worker_post_fail(struct app *a, const struct task *t, err_t code,
                      enum fail_class class, const char *text, const struct slot *s,
                      const struct slot_death *death, ns_t started);
void worker_post_nack(struct app *a, const struct msg_ASSIGN *t, err_t code,
                      const char *text);
void worker_leave(struct app *a, int exit_code, err_t code, const char *text);

// ---- app_tasks.c ----
void worker_task_free(struct task **t);
void worker_train_free(struct task **first); // it and what follows it
void worker_queue_push(struct app *a, struct task *t);
struct task *worker_queue_unlink(struct app *a, struct task **at);
void worker_feed(
    struct app *a); // gives waiting tasks to free lanes, and room to those done
void worker_on_answer(struct app *a, uint32_t i);
void worker_end_orphans(const struct app *a);
void worker_on_death(struct app *a, uint32_t i, const struct slot_death *death);
void worker_tell_ready(struct app *a); // once every slot has the job open
void worker_say_ready(struct app *a);
void worker_send_all_held(struct app *a); // to a coordinator that may never have got them
void worker_drop_queue(struct app *a, bool say);
void worker_drop_work(struct app *a); // a session ended; finished results stay

// ---- app_train.c ----
// How many of the next tasks may go to this idle slot together.
uint32_t worker_train_length(const struct app *a, const struct slot *s);
MUST_CHECK err_t worker_give_train(struct app *a, struct slot *s, struct task *first,
                                   uint32_t n, int region);
// Whether this slot, which is at work, should have the next tasks already: so that it finds
// them at once, and none of the others waits for them.
bool worker_may_give_ahead(const struct app *a, const struct slot *s);
// The task that this lane (of all slots) is at, of a train as far as is known; NULL: none.
struct task *worker_current(struct app *a, uint32_t lane);
// The tasks of a runner that died go back into the queue, but for one of them (or NULL),
// which stays there. Those that are cancelled, or cannot be given again, go back as a NACK.
#define WORKER_ENDED_FOR_ANOTHER "its runner ended because of another batch"
void worker_requeue_train(struct app *a, struct task **at, const struct task *but);

// ---- app_job.c ----
void worker_on_job(struct app *a, const struct link_in *in);
void worker_on_piece(struct app *a, const struct link_in *in);
void worker_fetch_files(struct app *a); // goes on with it

// ---- app_share.c ----
void worker_on_share(struct app *a, const struct msg_SHARE *m);
void worker_confirm_shares(struct app *a); // once no more is under way than may be
void worker_drop_shares(struct app *a);    // nobody says any more what may be

// ---- app_messages.c ----
bool worker_take_messages(struct app *a); // true: there were some
void worker_begin_session(struct app *a); // says HELLO; what an earlier one gave is dropped

#endif
