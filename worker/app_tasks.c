#include "worker/app_impl.h"

#include "worker/orphans.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    START_DEATHS_MAX =
        3, // a runner that dies so often before its first batch is not tried again
};

void worker_task_free(struct task **t)
{
    if (!*t) return;
    link_in_free(&(*t)->in);
    free(*t);
    *t = NULL;
}

void worker_train_free(struct task **first)
{
    for (struct task *t = *first, *next; t; t = next) {
        next = t->next;
        worker_task_free(&t);
    }
    *first = NULL;
}

void worker_queue_push(struct app *a, struct task *t)
{
    t->next = NULL;
    *a->queue_end = t;
    a->queue_end = &t->next;
    a->queued++;
}

struct task *worker_queue_unlink(struct app *a, struct task **at)
{
    struct task *t = *at;
    *at = t->next;
    if (!*at) a->queue_end = at;
    t->next = NULL;
    a->queued--;
    return t;
}

static err_t give(struct app *a, uint32_t i, uint32_t lane, struct task *t, int region)
{
    static struct runner_task r;
    struct slot *s = &a->slot[i];
    r = (struct runner_task){ .begin = t->assign.begin,
                              .end = t->assign.end,
                              .bytes = t->path[0] ? worker_task_bytes(t) : link_size(t->in),
                              .first_line = t->assign.first_line,
                              .digest = t->assign.digest,
                              .dev = t->assign.dev,
                              .ino = t->assign.ino,
                              .pack = a->line.pack,
                              .lane = lane };
    memcpy(r.path, t->path, strlen(t->path) + 1);
    if (!t->path[0] && r.bytes) {
        if (link_msg(t->in)->unpacked) r.packed = link_payload(t->in).n;
        TRY(slot_put_input(s, link_payload(t->in), &a->e));
        link_in_free(&t->in);
    }
    return slot_give(s, &r, region, &a->e);
}

// The next tasks to a lane, behind those that it has.
static void give_next(struct app *a, uint32_t i, uint32_t lane)
{
    struct slot *s = &a->slot[i];
    int region = SLOT_NO_REGION;
    if (s->lanes == 1 && (region = slot_room(s)) < 0)
        return; // the link still holds every result: it will say when not
    uint32_t n = worker_train_length(a, s);
    struct task **at = worker_lane(a, i, lane);
    bool ahead = *at != NULL;
    while (*at)
        at = &(*at)->next;
    struct task **end = at;
    for (uint32_t k = 0; k < n; k++, end = &(*end)->next)
        *end = worker_queue_unlink(a, &a->queue);
    if (!ahead) (*at)->started = clock_ns();
    err_t rc =
        n > 1 ? worker_give_train(a, s, *at, n, region) : give(a, i, lane, *at, region);
    if (rc == ERR_OK) return;
    slot_kill(s); // its channel is broken: the death is seen by reap
    if (!ahead)
        worker_post_fail(a, *at, a->e.code, FAIL_CLASS_RESOURCE, a->e.text, NULL, NULL,
                         clock_ns());
    worker_requeue_train(a, at, ahead ? NULL : *at);
    worker_task_free(at);
}

static void give_room(struct app *a, uint32_t i)
{
    struct slot *s = &a->slot[i];
    for (uint32_t k = 0; k < s->lanes; k++) {
        if (!s->lane[k].wants_room) continue;
        int region = slot_room(s);
        if (region < 0) return;
        if (slot_give_room(s, k, region, &a->e) == ERR_OK) continue;
        slot_kill(s);
        return;
    }
}

void worker_feed(struct app *a)
{
    for (uint32_t i = 0; i < a->n_slots; i++)
        if (slot_wants_room(&a->slot[i])) give_room(a, i);
    for (uint32_t i = 0; i < a->n_slots && a->queue; i++) {
        int lane = slot_free_lane(&a->slot[i]);
        if (lane >= 0) give_next(a, i, (uint32_t)lane);
    }
    for (uint32_t i = 0; i < a->n_slots && a->queue; i++)
        if (worker_may_give_ahead(a, &a->slot[i])) give_next(a, i, 0);
}

static void result_sent(void *data, void *hint)
{
    (void)data;
    atomic_fetch_sub((_Atomic int *)hint, 1);
}

// For tests: as if the machine had died with a batch that was just finished.
static void die_perhaps(const struct app *a)
{
    uint32_t x;
    if (a->opts->volatility <= 0 || getrandom(&x, sizeof x, 0) != sizeof x) return;
    if ((double)x < a->opts->volatility * 4294967296.0) kill(getpid(), SIGKILL);
}

static struct held *held(struct app *a, uint32_t i, uint32_t region, uint32_t k)
{
    return &a->held[((size_t)i * RESULTS_PER_SLOT + region) * TRAIN_MAX + k];
}

static void send_held(struct app *a, uint32_t i, uint32_t region, uint32_t k)
{
    struct slot *s = &a->slot[i];
    struct result_region *r = &s->result[region];
    struct held *h = held(a, i, region, k);
    struct msg m = h->msg;
    if (h->bytes == 0) {
        worker_post(a, &m);
        return;
    }
    atomic_fetch_add(&r->lent, 1);
    worker_post_payload(a, &m, s->results + (size_t)region * s->result_max + h->at,
                        h->bytes, result_sent, (void *)&r->lent);
}

static void send_region(struct app *a, uint32_t i, uint32_t region)
{
    const struct result_region *r = &a->slot[i].result[region];
    for (uint32_t k = 0; k < r->n; k++)
        if (!hash_equal(r->token[k], (struct hash128){ 0 })) send_held(a, i, region, k);
}

// To a coordinator that may never have got them.
void worker_send_all_held(struct app *a)
{
    for (uint32_t i = 0; i < a->n_slots; i++)
        for (uint32_t k = 0; k < RESULTS_PER_SLOT; k++)
            if (a->slot[i].result[k].state == RESULT_SENT &&
                !atomic_load(&a->slot[i].result[k].lent))
                send_region(a, i, k);
}

static void post_result(struct app *a, uint32_t i, uint32_t region, const struct task *t,
                        const struct runner_done *d)
{
    die_perhaps(a);
    struct result_region *r = &a->slot[i].result[region];
    size_t n = d->image_bytes + d->rejects_bytes;
    struct rusage use;
    struct msg m = { .type = MSG_RESULT, .payload_hash = d->payload_hash };
    COPY_LEASE(m.RESULT, t->assign);
    m.RESULT.digest = d->digest;
    m.RESULT.rows_read = d->rows_read;
    m.RESULT.rows_parsed = d->rows_parsed;
    m.RESULT.rows_rejected = d->rows_rejected;
    m.RESULT.rows_blank = d->rows_blank;
    m.RESULT.rows_emitted = d->rows_emitted;
    m.RESULT.misfits = d->misfits;
    m.RESULT.image_bytes = d->image_bytes;
    m.RESULT.rejects_bytes = d->rejects_bytes;
    m.RESULT.read_ns = d->read_ns;
    m.RESULT.parse_ns = d->parse_ns;
    m.RESULT.apply_ns = d->apply_ns;
    m.RESULT.encode_ns = d->encode_ns;
    m.RESULT.cpu_ns = d->cpu_ns;
    m.RESULT.peak_kb = getrusage(RUSAGE_CHILDREN, &use) == 0 ? (uint64_t)use.ru_maxrss : 0;
    size_t touched = n + d->packed_bytes;
    if (d->pack_ns)
        pack_meter_add(&a->meter, n, d->packed_bytes ? d->packed_bytes : n,
                       (ns_t)d->pack_ns);
    if (d->packed_bytes) {
        m.unpacked = (uint32_t)n;
        n = (size_t)d->packed_bytes;
    }
    r->seq = ++a->seq;
    r->open++;
    r->token[r->n] = t->assign.token;
    if (r->touched_bytes < d->result_at + touched)
        r->touched_bytes = d->result_at + touched;
    *held(a, i, region, r->n) = (struct held){ .msg = m, .at = d->result_at, .bytes = n };
    send_held(a, i, region, r->n++);
}

static enum fail_class class_of(err_t code)
{
    switch (code) {
    case ERR_CHANGED: return FAIL_CLASS_CHANGED;
    case ERR_TIMEOUT: return FAIL_CLASS_TIMEOUT;
    case ERR_NOMEM:
    case ERR_FULL: return FAIL_CLASS_RESOURCE;
    case ERR_TRANSFORM:
    case ERR_TOOBIG: return FAIL_CLASS_TRANSFORM;
    case ERR_UNFIT: return FAIL_CLASS_UNFIT;
    case ERR_IO: return FAIL_CLASS_CHANGED; // the input can't be read any more
    default: return FAIL_CLASS_INTERNAL;
    }
}

// The first runner that stands is enough: what comes for the others waits in our queue.
void worker_tell_ready(struct app *a)
{
    uint32_t up = 0;
    for (uint32_t i = 0; i < a->n_slots; i++)
        up += a->slot[i].state >= SLOT_IDLE;
    if (a->told_ready || !a->has_job || !up) return;
    a->told_ready = true;
    a->worked = clock_ns();
    worker_say_ready(a);
}

void worker_say_ready(struct app *a)
{
    struct msg m = { .type = MSG_READY,
                     .READY = {
                         .job = a->job, .slots = a->n_slots * a->lanes, .sees = a->sees } };
    worker_post(a, &m);
}

static void on_opened(struct app *a, const struct runner_done *d, struct slot *s)
{
    if (d->code != ERR_OK) {
        s->state = SLOT_STARTING; // it exits now
        worker_leave(a, 1, d->code, d->text);
        return;
    }
    worker_tell_ready(a);
}

static bool is_inside(const struct runner_done *d, uint64_t room)
{
    return d->result_at <= room && d->image_bytes <= room - d->result_at &&
           d->rejects_bytes <= room - d->result_at - d->image_bytes &&
           (!d->packed_bytes || d->packed_bytes < d->image_bytes + d->rejects_bytes);
}

static void measure(struct slot *s, const struct runner_done *d)
{
    int64_t ns = (int64_t)(d->read_ns + d->parse_ns + d->apply_ns + d->encode_ns);
    if (ns < 1 || ns > 3600 * NS_S) ns = 3600 * NS_S;
    s->run_ns = s->run_ns ? s->run_ns + (ns - s->run_ns) / 8 : ns;
}

// The room beside other results was too small: it may have all of it.
static bool try_alone(struct app *a, struct task **at, const struct runner_done *d)
{
    struct task *t = *at;
    if (d->code != ERR_TOOBIG || !d->result_at || t->alone || t->cancelled) return false;
    *at = NULL;
    t->alone = true;
    worker_queue_push(a, t);
    return true;
}

static void on_done(struct app *a, uint32_t i, const struct runner_done *d)
{
    struct slot *s = &a->slot[i];
    struct task **at = worker_lane(a, i, d->lane), *t = *at;
    int region = s->lane[d->lane].region;
    bool good = d->code == ERR_OK && is_inside(d, s->result_max);
    *at = t ? t->next : NULL;
    if (t) t->next = NULL;
    if (*at) (*at)->started = clock_ns();
    measure(s, d);
    if (t && good && !t->cancelled && region != SLOT_NO_REGION)
        post_result(a, i, (uint32_t)region, t, d);
    else if (t && t->cancelled)
        worker_post_nack(a, &t->assign, ERR_OK, "cancelled");
    else if (t && !try_alone(a, &t, d))
        worker_post_fail(a, t, d->code, class_of(d->code), d->text, s, NULL, t->started);
    slot_answered(s, d->lane);
    worker_task_free(&t);
}

void worker_on_answer(struct app *a, uint32_t i)
{
    static struct runner_done d;
    while (slot_take(&a->slot[i], &d)) {
        if (d.what == RUNNER_OPENED) on_opened(a, &d, &a->slot[i]);
        if (d.what == RUNNER_DONE) on_done(a, i, &d);
    }
}

static void post_death(struct app *a, const struct task *t, const struct slot *s,
                       const struct slot_death *death, bool innocent)
{
    char text[600];
    if (t->cancelled) {
        worker_post_nack(a, &t->assign, ERR_OK, "cancelled");
    } else if (t->timed_out) {
        snprintf(text, sizeof text,
                 "took longer than limits.timeout (%llu ms) and was stopped",
                 (unsigned long long)a->limits.timeout_ms);
        worker_post_fail(a, t, ERR_TIMEOUT, FAIL_CLASS_TIMEOUT, text, s, death, t->started);
    } else if (innocent) {
        worker_post_nack(a, &t->assign, ERR_OK, WORKER_ENDED_FOR_ANOTHER);
    } else {
        snprintf(text, sizeof text, "the runner %s", death->text);
        worker_post_fail(a, t, ERR_DIED, FAIL_CLASS_SIGNAL, text, s, death, t->started);
    }
}

// With one lane it is known which of its tasks it was at, if any: the others are as if they
// had never been given to it. But for one by value, whose bytes are gone.
static void keep_culprit(struct app *a, uint32_t i, const struct slot_death *death)
{
    struct task *at = a->running[i];
    for (uint32_t n = death->unsaid; at && n > 0 && at->next; n--)
        at = at->next;
    if (!at) return;
    if (!at->started) at->started = clock_ns();
    bool marked = at->timed_out || at->cancelled;
    bool innocent = !marked && (death->between || a->slot[i].doomed);
    worker_requeue_train(a, &a->running[i], innocent ? NULL : at);
}

// When it is known for whose sake the process ended, the others in flight are innocent.
// When not, each of them is suspected, and runs alone the next time.
static void post_deaths(struct app *a, uint32_t i, const struct slot_death *death)
{
    const struct slot *s = &a->slot[i];
    bool stopped = false;
    if (a->lanes == 1) keep_culprit(a, i, death);
    for (uint32_t k = 0; k < a->lanes; k++) {
        const struct task *t = *worker_lane(a, i, k);
        stopped |= t && (t->timed_out || t->cancelled);
    }
    for (uint32_t k = 0; k < a->lanes; k++) {
        struct task **t = worker_lane(a, i, k);
        bool known =
            stopped || (s->culprit >= 0 && *worker_lane(a, i, (uint32_t)s->culprit));
        if (*t) post_death(a, *t, s, death, known && (stopped || (int)k != s->culprit));
    }
    for (uint32_t k = 0; k < a->lanes; k++)
        worker_task_free(worker_lane(a, i, k));
}

static bool is_runner(const void *arg, pid_t pid)
{
    const struct app *a = arg;
    for (uint32_t i = 0; i < a->n_slots; i++)
        if (a->slot[i].p.pid == pid || a->slot[i].spare.pid == pid) return true;
    return false;
}

// What the programs of a dead runner had started.
void worker_end_orphans(const struct app *a)
{
    orphans_kill(is_runner, a);
}

void worker_on_death(struct app *a, uint32_t i, const struct slot_death *death)
{
    struct slot *s = &a->slot[i];
    post_deaths(a, i, death);
    if (s->deaths >= START_DEATHS_MAX && !a->stop) {
        char text[1024];
        snprintf(text, sizeof text, "a runner cannot be started: it %s%s%.*s", death->text,
                 s->tail_n ? "; its last words: " : "",
                 (int)(s->tail_n < 400 ? s->tail_n : 400), s->tail);
        worker_leave(a, 1, ERR_DIED, text);
    }
    if (!a->stop && slot_start(s, &a->runners, &a->e) != ERR_OK)
        worker_leave(a, 1, a->e.code, a->e.text);
}

void worker_drop_queue(struct app *a, bool say)
{
    while (a->queue) {
        struct task *t = worker_queue_unlink(a, &a->queue);
        if (say) worker_post_nack(a, &t->assign, ERR_CLOSED, "draining");
        worker_task_free(&t);
    }
}

// What is given out by a session ends with it. Finished results stay.
void worker_drop_work(struct app *a)
{
    worker_drop_queue(a, false);
    for (uint32_t i = 0; i < a->n_slots * a->lanes; i++) {
        struct slot *s = &a->slot[i / a->lanes];
        if (a->running[i] && s->p.pid) {
            slot_stop(s);
            if (a->share) http_share_forget(a->share, i / a->lanes);
        }
        worker_train_free(&a->running[i]);
    }
    worker_drop_shares(a);
    worker_end_orphans(a);
}
