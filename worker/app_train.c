// Small chunks go to a runner by the dozen: what a batch of a few rows costs is mostly the
// wakeups between the two processes. Only chunks that were quick so far do, and never more
// than idle runners can share: a train is done in about a millisecond.

#include "worker/app_impl.h"

#include "common/csv.h"

#include <assert.h>
#include <string.h>

static const int64_t TRAIN_NS = NS_MS, QUICK_NS = NS_MS / 4,
                     AHEAD_NS = 50 * NS_MS; // a batch
enum {
    WAGON_BYTES_MAX = 8 << 10,
    ROW_BYTES = 64, // of which nothing is known
};

static bool is_small(const struct task *t)
{
    uint64_t n = !t->path[0]            ? link_payload(t->in).n
                 : t->assign.first_line ? worker_task_bytes(t)
                                        : t->assign.records * ROW_BYTES;
    bool packed = t->in && link_msg(t->in)->unpacked;
    return n <= WAGON_BYTES_MAX && !t->alone && !packed;
}

static bool by_value(const struct task *t)
{
    return !t->path[0] && link_payload(t->in).n > 0;
}

static bool may_follow(const struct task *first, const struct task *t)
{
    return is_small(t) && by_value(t) == by_value(first) &&
           t->assign.dev == first->assign.dev && t->assign.ino == first->assign.ino &&
           strcmp(t->path, first->path) == 0;
}

uint32_t worker_train_length(const struct app *a, const struct slot *s)
{
    const struct task *t = a->queue;
    if (s->lanes != 1 || !s->run_ns || s->run_ns > QUICK_NS || !is_small(t)) return 1;
    uint64_t max = (uint64_t)(TRAIN_NS / s->run_ns), share = a->queued / a->n_slots + 1;
    if (max > TRAIN_MAX) max = TRAIN_MAX;
    if (max > share) max = share;
    size_t bytes = 0;
    uint32_t n = 0;
    for (; t && n < max && may_follow(a->queue, t); t = t->next, n++) {
        bytes += (t->in ? link_payload(t->in).n : 0) + CSV_PAD;
        if (bytes > TRAIN_INPUT_MAX) break;
    }
    return n ? n : 1;
}

// What takes long is worth no hurry: what stands behind it might better go elsewhere.
bool worker_may_give_ahead(const struct app *a, const struct slot *s)
{
    return slot_takes_ahead(s) && s->run_ns && s->run_ns <= AHEAD_NS &&
           a->queued >= a->n_slots && !by_value(a->queue);
}

static struct runner_wagon wagon_of(const struct task *t, uint64_t input_at)
{
    const struct msg_ASSIGN *m = &t->assign;
    return (struct runner_wagon){ .begin = m->begin,
                                  .end = m->end,
                                  .bytes =
                                      t->in ? link_payload(t->in).n : worker_task_bytes(t),
                                  .first_line = m->first_line,
                                  .digest = m->digest,
                                  .input_at = input_at };
}

// Only of chunks by value.
static err_t put_inputs(struct app *a, struct slot *s, struct task *t, uint64_t *at)
{
    struct slice bytes[TRAIN_MAX];
    uint32_t n = 0;
    size_t all = 0;
    for (; t; t = t->next) {
        bytes[n] = t->in && !t->path[0] ? link_payload(t->in) : (struct slice){ 0 };
        all += bytes[n++].n;
    }
    return all ? slot_put_inputs(s, bytes, n, at, &a->e) : ERR_OK;
}

err_t worker_give_train(struct app *a, struct slot *s, struct task *first, uint32_t n,
                        int region)
{
    static struct runner_task r;
    static struct runner_wagon wagon[TRAIN_MAX];
    uint64_t at[TRAIN_MAX] = { 0 };
    uint32_t i = 0;
    assert(n <= TRAIN_MAX);
    TRY(put_inputs(a, s, first, at));
    r = (struct runner_task){
        .train = n, .dev = first->assign.dev, .ino = first->assign.ino, .pack = a->line.pack
    };
    memcpy(r.path, first->path, strlen(first->path) + 1);
    for (struct task *t = first; t; t = t->next) {
        wagon[i] = wagon_of(t, at[i]);
        i++;
    }
    assert(i == n);
    return slot_give_train(s, &r, wagon, region, &a->e);
}

struct task *worker_current(struct app *a, uint32_t lane)
{
    struct task *t = a->running[lane];
    if (a->lanes != 1 || !t) return t;
    for (uint32_t n = slot_unsaid(&a->slot[lane]); n > 0 && t->next; n--)
        t = t->next;
    return t;
}

// Those of a runner that died, but for the one that it was at: back to where they were.
void worker_requeue_train(struct app *a, struct task **at, const struct task *but)
{
    struct task *t = *at, *kept = NULL, *first = NULL, **end = &first;
    for (struct task *next; t; t = next) {
        next = t->next;
        t->next = NULL;
        if (t == but) {
            kept = t;
            continue;
        }
        bool gone = !t->path[0] && !t->in; // the runner had its bytes
        if (t->cancelled || gone) {
            worker_post_nack(a, &t->assign, ERR_OK,
                             gone ? WORKER_ENDED_FOR_ANOTHER : "cancelled");
            worker_task_free(&t);
            continue;
        }
        t->started = 0;
        t->timed_out = false;
        *end = t;
        end = &t->next;
        a->queued++;
    }
    *at = kept;
    if (!first) return;
    *end = a->queue;
    if (!a->queue) a->queue_end = end;
    a->queue = first;
}
