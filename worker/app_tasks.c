#include "worker/app_impl.h"

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

void worker_queue_push(struct app *a, struct task *t)
{
    t->next = NULL;
    *a->queue_end = t;
    a->queue_end = &t->next;
}

struct task *worker_queue_unlink(struct app *a, struct task **at)
{
    struct task *t = *at;
    *at = t->next;
    if (!*at) a->queue_end = at;
    return t;
}

static err_t give(struct app *a, uint32_t i, struct task *t, int region)
{
    static struct runner_task r;
    struct slot *s = &a->slot[i];
    r = (struct runner_task){ .begin = t->assign.begin,
                              .end = t->assign.end,
                              .bytes = t->path[0] ? t->assign.end - t->assign.begin
                                                  : link_payload(t->in).n,
                              .first_line = t->assign.first_line,
                              .digest = t->assign.digest,
                              .dev = t->assign.dev,
                              .ino = t->assign.ino };
    memcpy(r.path, t->path, sizeof r.path);
    if (!t->path[0]) {
        if (r.bytes) TRY(slot_put_input(s, link_payload(t->in), &a->e));
        link_in_free(&t->in);
    }
    return slot_give(s, &r, region, clock_ns(), &a->e);
}

// Gives waiting tasks to idle slots.
void worker_feed(struct app *a)
{
    for (uint32_t i = 0; i < a->n_slots && a->queue; i++) {
        struct slot *s = &a->slot[i];
        if (s->state != SLOT_IDLE) continue;
        int region = slot_room(s);
        if (region < 0) continue; // the link still holds every result: it will say when not
        struct task *t = worker_queue_unlink(a, &a->queue);
        a->running[i] = t;
        if (give(a, i, t, region) == ERR_OK) continue;
        if (s->state == SLOT_BUSY) continue;
        worker_post_fail(a, t, a->e.code, FAIL_CLASS_RESOURCE, a->e.text, NULL, NULL,
                         clock_ns());
        worker_task_free(&a->running[i]);
        slot_kill(s); // its channel is broken: the death is seen by reap
    }
}

static void result_sent(void *data, void *hint)
{
    (void)data;
    atomic_store((_Atomic bool *)hint, false);
}

// For tests: as if the machine had died with a batch that was just finished.
static void die_perhaps(const struct app *a)
{
    uint32_t x;
    if (a->opts->volatility <= 0 || getrandom(&x, sizeof x, 0) != sizeof x) return;
    if ((double)x < a->opts->volatility * 4294967296.0) kill(getpid(), SIGKILL);
}

static void send_held(struct app *a, uint32_t i, uint32_t region)
{
    struct slot *s = &a->slot[i];
    struct result_region *r = &s->result[region];
    struct held *h = &a->held[i * RESULTS_PER_SLOT + region];
    struct msg m = h->msg;
    if (h->bytes == 0) {
        worker_post(a, &m);
        return;
    }
    atomic_store(&r->lent, true);
    worker_post_payload(a, &m, s->results + (size_t)region * s->result_max, h->bytes,
                        result_sent, (void *)&r->lent);
}

// To a coordinator that may never have got them.
void worker_send_all_held(struct app *a)
{
    for (uint32_t i = 0; i < a->n_slots; i++)
        for (uint32_t k = 0; k < RESULTS_PER_SLOT; k++)
            if (a->slot[i].result[k].state == RESULT_SENT &&
                !atomic_load(&a->slot[i].result[k].lent))
                send_held(a, i, k);
}

static void post_result(struct app *a, uint32_t i, const struct task *t,
                        const struct runner_done *d)
{
    die_perhaps(a);
    struct slot *s = &a->slot[i];
    struct result_region *r = &s->result[s->filling];
    size_t n = d->image_bytes + d->rejects_bytes;
    struct rusage use;
    struct msg m = { .type = MSG_RESULT, .payload_hash = d->payload_hash };
    COPY_LEASE(m.RESULT, t->assign);
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
    r->state = RESULT_SENT;
    r->seq = ++a->seq;
    r->token = t->assign.token;
    if (r->touched_bytes < n) r->touched_bytes = n;
    a->held[i * RESULTS_PER_SLOT + s->filling] = (struct held){ .msg = m, .bytes = n };
    send_held(a, i, s->filling);
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
    struct msg m = { .type = MSG_READY, .READY = { .job = a->job, .slots = a->n_slots } };
    worker_post(a, &m);
}

static void on_first_answer(struct app *a, const struct runner_done *d, struct slot *s)
{
    if (d->code != ERR_OK) {
        s->state = SLOT_STARTING; // it exits now
        worker_leave(a, 1, d->code, d->text);
        return;
    }
    worker_tell_ready(a);
}

void worker_on_answer(struct app *a, uint32_t i)
{
    static struct runner_done d;
    struct slot *s = &a->slot[i];
    bool first = s->state == SLOT_STARTING;
    if (!slot_take(s, &d)) return;
    if (first) {
        on_first_answer(a, &d, s);
        return;
    }
    struct task *t = a->running[i];
    if (t && d.code == ERR_OK && d.image_bytes <= s->result_max &&
        d.rejects_bytes <= s->result_max - d.image_bytes) {
        post_result(a, i, t, &d);
    } else if (t) {
        s->result[s->filling].state = RESULT_FREE;
        worker_post_fail(a, t, d.code, class_of(d.code), d.text, s, NULL, s->started);
    }
    worker_task_free(&a->running[i]);
}

void worker_on_death(struct app *a, uint32_t i, const struct slot_death *death)
{
    struct slot *s = &a->slot[i];
    struct task *t = a->running[i];
    if (t && t->cancelled) {
        worker_post_nack(a, &t->assign, ERR_OK, "cancelled");
    } else if (t && t->timed_out) {
        char text[128];
        snprintf(text, sizeof text,
                 "took longer than limits.timeout (%llu ms) and was stopped",
                 (unsigned long long)a->limits.timeout_ms);
        worker_post_fail(a, t, ERR_TIMEOUT, FAIL_CLASS_TIMEOUT, text, s, death, s->started);
    } else if (t) {
        char text[600];
        snprintf(text, sizeof text, "the runner %s", death->text);
        worker_post_fail(a, t, ERR_DIED, FAIL_CLASS_SIGNAL, text, s, death, s->started);
    }
    if (!t && s->deaths >= START_DEATHS_MAX && !a->stop) {
        char text[1024];
        snprintf(text, sizeof text, "a runner cannot be started: it %s%s%.*s", death->text,
                 s->tail_n ? "; its last words: " : "",
                 (int)(s->tail_n < 400 ? s->tail_n : 400), s->tail);
        worker_leave(a, 1, ERR_DIED, text);
    }
    worker_task_free(&a->running[i]);
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
    for (uint32_t i = 0; i < a->n_slots; i++) {
        if (a->running[i]) slot_stop(&a->slot[i]);
        worker_task_free(&a->running[i]);
    }
}
