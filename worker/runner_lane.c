#include "worker/runner_lane.h"

#include "proto/pack.h"
#include "worker/runner_files.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STACK_BYTES = 256 * 1024, SIGNAL_STACK_BYTES = 16 * 1024 };

void runner_say(const struct runner_done *d)
{
    if (TEMP_FAILURE_RETRY(send(RUNNER_FD_CHANNEL, d, sizeof *d, MSG_NOSIGNAL)) !=
        (ssize_t)sizeof *d)
        _exit(1);
}

void runner_begins(struct runner *r)
{
    atomic_store(&runner_board(r->results, r->result_max)->begun, ++r->begun);
}

// ---- the task ----

static err_t map_bytes(struct runner_lane *l, const uint8_t **bytes, struct err *e)
{
    size_t n = (size_t)l->task.bytes, packed = (size_t)l->task.packed;
    size_t to = l->input_at - CSV_PAD + (packed ? packed : n);
    TRY(runner_input_map(&l->r->shared, to, bytes, e));
    *bytes += l->input_at - CSV_PAD;
    if (!packed) return ERR_OK;
    TRY(runner_input_unpack(&l->input, *bytes, packed, n, e));
    *bytes = runner_input_block(&l->input);
    return ERR_OK;
}

// Their digest is what the coordinator learns of them.
static err_t read_rows(struct runner_lane *l, struct reader_chunk *c, struct runner_done *d,
                       struct err *e)
{
    const struct spec *spec = &l->r->spec;
    size_t limit = (size_t)(spec->memory_bytes / 4 / l->r->n_lanes);
    TRY(runner_rows_read(&l->r->rows, spec, &l->task, limit, &l->rows, c, e));
    d->digest = hash_bytes(c->bytes, c->n);
    return ERR_OK;
}

static err_t get_bytes(struct runner_lane *l, const uint8_t **bytes, struct runner_done *d,
                       struct err *e)
{
    const struct runner_task *t = &l->task;
    size_t n = (size_t)t->bytes;
    *bytes = NULL;
    d->digest = t->digest;
    if (t->path[0])
        TRY(runner_input_read(&l->input, t, bytes, e));
    else if (n && l->started)
        *bytes = runner_input_block(&l->input);
    else if (n)
        TRY(map_bytes(l, bytes, e));
    if (!hash_equal(hash_bytes(*bytes, n), t->digest))
        return err_set(
            e, ERR_CHANGED,
            "%s changed during the run: bytes %llu-%llu are not what was read before",
            t->path[0] ? t->path : "a chunk", (unsigned long long)t->begin,
            (unsigned long long)t->end);
    return ERR_OK;
}

static void wait_for_room(struct runner_lane *l)
{
    struct runner_done d = { .what = RUNNER_WANTS_ROOM, .lane = l->number };
    pthread_mutex_lock(&l->r->lock);
    bool has = l->region != RUNNER_NO_ROOM;
    pthread_mutex_unlock(&l->r->lock);
    if (has) return;
    runner_say(&d);
    pthread_mutex_lock(&l->r->lock);
    while (l->region == RUNNER_NO_ROOM)
        pthread_cond_wait(&l->wake, &l->r->lock);
    pthread_mutex_unlock(&l->r->lock);
}

static err_t check_files(struct runner *r, struct err *e)
{
    pthread_mutex_lock(&r->lock);
    err_t rc = runner_files_check(&r->spec, e); // the same program till here?
    pthread_mutex_unlock(&r->lock);
    return rc;
}

// In place: behind the result is room that nobody uses.
static void pack_result(struct runner *r, struct region *to, size_t n,
                        struct runner_done *d)
{
    ns_t start = clock_ns();
    pthread_mutex_lock(&r->pack_lock);
    if (r->packer || packer_new(&r->packer, NULL) == ERR_OK)
        d->packed_bytes = pack_bytes(r->packer, to->p, n, to->p + n, to->cap - n);
    pthread_mutex_unlock(&r->pack_lock);
    if (d->packed_bytes) memmove(to->p, to->p + n, (size_t)d->packed_bytes);
    d->pack_ns = (uint64_t)(clock_ns() - start);
}

static err_t write_result(struct runner_lane *l, struct rejects *rejects,
                          struct pipeline_stats *s, struct runner_done *d, struct err *e)
{
    struct runner *r = l->r;
    struct region to = { .p = r->results + l->region * r->result_max + l->result_at,
                         .cap = r->result_max - l->result_at };
    TRY(pipeline_encode(l->p, &to, s, e));
    if (rejects->bytes.n > to.cap - to.n)
        return err_set(e, ERR_TOOBIG,
                       "image and rejects of %zu bytes are larger than the limit of %zu",
                       to.n + rejects->bytes.n, to.cap);
    if (rejects->bytes.n) memcpy(to.p + to.n, rejects->bytes.p, rejects->bytes.n);
    d->image_bytes = to.n;
    d->rejects_bytes = rejects->bytes.n;
    d->payload_hash = hash_bytes(to.p, to.n + rejects->bytes.n);
    if (l->task.pack) pack_result(r, &to, to.n + rejects->bytes.n, d);
    return ERR_OK;
}

static err_t work(struct runner_lane *l, struct rejects *rejects, struct pipeline_stats *s,
                  struct runner_done *d, struct err *e)
{
    const struct runner_task *t = &l->task;
    ns_t begin = clock_ns();
    struct reader_chunk c = {
        .n = (size_t)t->bytes, .begin = t->begin, .end = t->end, .first_line = t->first_line
    };
    TRY(runner_task_in_rows(t) ? read_rows(l, &c, d, e) : get_bytes(l, &c.bytes, d, e));
    d->read_ns = (uint64_t)(clock_ns() - begin);
    TRY(pipeline_parse(l->p, &c, rejects, s, e));
    TRY(pipeline_apply(l->p, l->start + (ns_t)l->r->spec.timeout_ms * NS_MS, s, e));
    TRY(check_files(l->r, e));
    wait_for_room(l);
    return write_result(l, rejects, s, d, e);
}

static void report(struct runner_done *d, const struct pipeline_stats *s)
{
    d->rows_read = s->read.rows;
    d->rows_parsed = s->read.parsed;
    d->rows_rejected = s->read.rejected;
    d->rows_blank = s->read.blank;
    d->misfits = s->read.misfits;
    d->rows_emitted = s->rows_emitted;
    d->parse_ns = (uint64_t)s->parse_ns;
    d->apply_ns = (uint64_t)s->apply_ns;
    d->encode_ns = (uint64_t)s->encode_ns;
}

static ns_t thread_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * NS_S + t.tv_nsec;
}

// With its programs. Threads of a transform count as long as there is only one lane.
static ns_t cpu_ns(const struct runner_lane *l)
{
    return (l->started ? thread_cpu_ns() : clock_cpu_ns()) + pipeline_cpu_ns(l->p);
}

void runner_lane_do(struct runner_lane *l, struct runner_done *d)
{
    struct err e = { 0 };
    struct rejects rejects = { 0 };
    struct pipeline_stats s = { 0 };
    *d = (struct runner_done){ .what = RUNNER_DONE, .lane = l->number };
    ns_t cpu = cpu_ns(l);
    err_t rc = l->p ? ERR_OK : pipeline_lane_open(&l->p, l->r->pipeline, &e);
    if (rc == ERR_OK) rc = pipeline_done(l->p, work(l, &rejects, &s, d, &e), &e);
    d->code = rc;
    d->result_at = l->result_at;
    memcpy(d->text, e.text, sizeof d->text);
    report(d, &s);
    rejects_free(&rejects);
    if (l->started) {
        if (l->p) pipeline_lane_shrink(l->p);
        runner_input_shrink(&l->input);
        buf_free(&l->rows);
    }
    d->cpu_ns = (uint64_t)(cpu_ns(l) - cpu);
}

// The lane's next task is written under the lock: by then all that was done for this one
// must have been seen.
void runner_lane_work(struct runner_lane *l)
{
    struct runner_done d;
    runner_lane_do(l, &d);
    pthread_mutex_lock(&l->r->lock);
    pthread_mutex_unlock(&l->r->lock);
    runner_say(&d);
}

// ---- threads ----

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static _Thread_local uint32_t own_lane = RUNNER_NO_ROOM;

// Which of the batches in flight it was: the others need not be suspected.
static void on_crash(int sig)
{
    static struct runner_done d;
    d.what = RUNNER_CRASHES;
    d.lane = own_lane;
    if (own_lane != RUNNER_NO_ROOM) send(RUNNER_FD_CHANNEL, &d, sizeof d, MSG_NOSIGNAL);
    signal(sig, SIG_DFL);
    raise(sig);
}

// A stack that has overflown can't run a handler.
static void watch_for_crashes(struct runner_lane *l)
{
    static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
    stack_t stack = { .ss_sp = malloc(SIGNAL_STACK_BYTES), .ss_size = SIGNAL_STACK_BYTES };
    struct sigaction act = { .sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_NODEFER };
    own_lane = l->number;
    if (!stack.ss_sp || sigaltstack(&stack, NULL)) return;
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        sigaction(fatal[i], &act, NULL);
}
#else
static void watch_for_crashes(struct runner_lane *l)
{
    (void)l;
}
#endif

static void *lane_main(void *arg)
{
    struct runner_lane *l = arg;
    watch_for_crashes(l);
    for (;;) {
        pthread_mutex_lock(&l->r->lock);
        while (!l->has_task)
            pthread_cond_wait(&l->wake, &l->r->lock);
        l->has_task = false;
        pthread_mutex_unlock(&l->r->lock);
        runner_lane_work(l);
    }
    return NULL;
}

static bool start_thread(struct runner_lane *l)
{
    pthread_t thread;
    pthread_attr_t attr;
    if (pthread_attr_init(&attr)) return false;
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    l->started = pthread_create(&thread, &attr, lane_main, l) == 0;
    pthread_attr_destroy(&attr);
    return l->started;
}

void runner_lane_start(struct runner_lane *l)
{
    pthread_mutex_lock(&l->r->lock);
    l->has_task = l->started || start_thread(l);
    bool given = l->has_task;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->r->lock);
    if (given) return;
    struct runner_done d = { .what = RUNNER_DONE,
                             .lane = l->number,
                             .code = ERR_NOMEM,
                             .text = "no thread can be started for another batch: take a "
                                     "smaller workers.concurrency" };
    runner_say(&d);
}

void runner_lane_give_room(struct runner_lane *l, uint32_t region)
{
    pthread_mutex_lock(&l->r->lock);
    l->region = region;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->r->lock);
}
