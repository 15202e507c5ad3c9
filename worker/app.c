#include "worker/app.h"

#include "common/host.h"
#include "proto/fail.h"
#include "proto/link.h"
#include "worker/slot.h"
#include "worker/uplink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
    START_DEATHS_MAX =
        3, // a runner that dies so often before its first batch is not tried again
    GOODBYE_MS = 500,
    DRAINED_MS = 5000, // its last results are on their way
};
static const ns_t BREATH = 5 * NS_S; // so often even an idle worker says something

struct task { // an ASSIGN that waits for a slot or runs in one
    struct task *next;
    struct msg_ASSIGN assign;
    char path[TASK_PATH_MAX];
    struct link_in *in; // keeps the payload of a by-value chunk until it is handed over
    bool cancelled;
    bool timed_out;
};

struct held { // a finished result, as it was sent; its bytes stand in the slot's region
    struct msg msg;
    size_t bytes;
};

struct app {
    const struct worker_opts *opts;
    struct uplink up;
    int signals;
    struct hash128 instance; // of this process
    struct held *held;       // RESULTS_PER_SLOT a slot
    uint64_t epoch, sid;
    ns_t heartbeat, silence;
    ns_t next_beat, sent, worked; // worked: when it last had something to do
    struct hash128 job;
    struct msg_JOB limits;
    int spec_fd;
    struct slot *slot;
    struct task **running; // one a slot
    uint32_t n_slots, ready;
    struct task *queue, **queue_end;
    uint64_t seq;
    bool has_job, told_ready, draining, stop;
    int exit_code;
    struct err e;
};

// ---- sending ----

static void post_payload(struct app *a, struct msg *m, void *payload, size_t n,
                         link_free_fn *free_fn, void *hint)
{
    m->epoch = a->epoch;
    m->sid = a->sid;
    a->sent = clock_ns();
    if (!a->up.link) {
        if (free_fn) free_fn(payload, hint);
        return;
    }
    err_t rc = link_send(a->up.link, NULL, m, payload, n, free_fn, hint, &a->e);
    if (rc != ERR_OK && a->sid)
        fprintf(stderr, "tranche-worker: cannot send: %s\n", a->e.text);
}

static void post(struct app *a, struct msg *m)
{
    m->payload_hash = (struct hash128){ 0 };
    post_payload(a, m, NULL, 0, NULL, NULL);
}

static uint64_t held_results(const struct app *a)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < a->n_slots; i++)
        for (int k = 0; k < RESULTS_PER_SLOT; k++)
            n += a->slot[i].result[k].state == RESULT_SENT;
    return n;
}

static const char *own_name(const struct app *a, char out[64])
{
    struct utsname host;
    uname(&host);
    if (a->opts->access)
        snprintf(out, 64, "%s", a->opts->access->name);
    else if (a->opts->name)
        snprintf(out, 64, "%s", a->opts->name);
    else
        snprintf(out, 64, "%.40s-%d", host.nodename, (int)getpid());
    return out;
}

static void hello(struct app *a)
{
    char arch[HOST_ARCH], name[64];
    host_arch(arch);
    own_name(a, name);
    a->epoch = a->sid = 0;
    a->has_job = a->told_ready = false;
    struct msg m = { .type = MSG_HELLO,
                     .HELLO = { .version =
                                    msg_str(TRANCHE_VERSION, strlen(TRANCHE_VERSION)),
                                .arch = msg_str(arch, strlen(arch)),
                                .name = msg_str(name, strlen(name)),
                                .pid = (uint64_t)getpid(),
                                .boot_id = host_boot_id(),
                                .slots = a->n_slots,
                                .held_results = held_results(a),
                                .labels = msg_str(a->opts->labels, strlen(a->opts->labels)),
                                .instance = a->instance } };
    post(a, &m);
}

// The lease goes back exactly as it came: only the coordinator can make or check one.
#define COPY_LEASE(to, from)                                                      \
    ((to).input = (from).input, (to).begin = (from).begin, (to).end = (from).end, \
     (to).attempt = (from).attempt, (to).lease_epoch = (from).lease_epoch,        \
     (to).lease_sid = (from).lease_sid, (to).token = (from).token)

static void post_fail(struct app *a, const struct task *t, err_t code,
                      enum fail_class class, const char *text, const struct slot *s,
                      const struct slot_death *death, ns_t started)
{
    struct msg m = { .type = MSG_FAIL };
    COPY_LEASE(m.FAIL, t->assign);
    m.FAIL.code = code;
    m.FAIL.class_ = class;
    m.FAIL.signal = death ? (uint64_t)death->signal : 0;
    m.FAIL.peak_kb = death ? (uint64_t)death->peak_kb : 0;
    m.FAIL.run_ms = (uint64_t)((clock_ns() - started) / NS_MS);
    m.FAIL.text = msg_str(text, strlen(text));
    if (s) m.FAIL.stderr_tail = msg_str(s->tail, s->tail_n);
    post(a, &m);
}

static void post_nack(struct app *a, const struct msg_ASSIGN *t, err_t code,
                      const char *text)
{
    struct msg m = { .type = MSG_NACK };
    COPY_LEASE(m.NACK, *t);
    m.NACK.code = code;
    m.NACK.text = msg_str(text, strlen(text));
    post(a, &m);
}

static void post_bye(struct app *a, err_t code, const char *text)
{
    struct msg m = { .type = MSG_BYE, .BYE = { code, msg_str(text, strlen(text)) } };
    post(a, &m);
}

static void leave(struct app *a, int exit_code, err_t code, const char *text)
{
    if (text[0]) fprintf(stderr, "tranche-worker: %s\n", text);
    post_bye(a, code, text);
    a->stop = true;
    a->exit_code = exit_code;
}

// ---- tasks ----

static void task_free(struct task **t)
{
    if (!*t) return;
    link_in_free(&(*t)->in);
    free(*t);
    *t = NULL;
}

static void queue_push(struct app *a, struct task *t)
{
    t->next = NULL;
    *a->queue_end = t;
    a->queue_end = &t->next;
}

static struct task *queue_unlink(struct app *a, struct task **at)
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
                              .first_line = t->assign.first_line,
                              .digest = t->assign.digest,
                              .dev = t->assign.dev,
                              .ino = t->assign.ino };
    memcpy(r.path, t->path, sizeof r.path);
    if (!t->path[0]) {
        TRY(slot_put_input(s, link_payload(t->in), &a->e));
        link_in_free(&t->in);
    }
    return slot_give(s, &r, region, clock_ns(), &a->e);
}

// Gives waiting tasks to idle slots.
static void feed(struct app *a)
{
    for (uint32_t i = 0; i < a->n_slots && a->queue; i++) {
        struct slot *s = &a->slot[i];
        if (s->state != SLOT_IDLE) continue;
        int region = slot_room(s);
        if (region < 0) continue; // the link still holds every result: it will say when not
        struct task *t = queue_unlink(a, &a->queue);
        a->running[i] = t;
        if (give(a, i, t, region) == ERR_OK) continue;
        if (s->state == SLOT_BUSY) continue;
        post_fail(a, t, a->e.code, FAIL_CLASS_RESOURCE, a->e.text, NULL, NULL, clock_ns());
        task_free(&a->running[i]);
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
        post(a, &m);
        return;
    }
    atomic_store(&r->lent, true);
    post_payload(a, &m, s->results + (size_t)region * s->result_max, h->bytes, result_sent,
                 (void *)&r->lent);
}

// To a coordinator that may never have got them.
static void send_all_held(struct app *a)
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
static void tell_ready(struct app *a)
{
    uint32_t up = 0;
    for (uint32_t i = 0; i < a->n_slots; i++)
        up += a->slot[i].state >= SLOT_IDLE;
    if (a->told_ready || !a->has_job || !up) return;
    a->told_ready = true;
    a->worked = clock_ns();
    struct msg m = { .type = MSG_READY, .READY = { .job = a->job, .slots = a->n_slots } };
    post(a, &m);
}

static void on_first_answer(struct app *a, const struct runner_done *d, struct slot *s)
{
    if (d->code != ERR_OK) {
        s->state = SLOT_STARTING; // it exits now
        leave(a, 1, d->code, d->text);
        return;
    }
    tell_ready(a);
}

static void on_answer(struct app *a, uint32_t i)
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
        post_fail(a, t, d.code, class_of(d.code), d.text, s, NULL, s->started);
    }
    task_free(&a->running[i]);
}

static void on_death(struct app *a, uint32_t i, const struct slot_death *death)
{
    struct slot *s = &a->slot[i];
    struct task *t = a->running[i];
    if (t && t->cancelled) {
        post_nack(a, &t->assign, ERR_OK, "cancelled");
    } else if (t && t->timed_out) {
        char text[128];
        snprintf(text, sizeof text,
                 "took longer than limits.timeout (%llu ms) and was stopped",
                 (unsigned long long)a->limits.timeout_ms);
        post_fail(a, t, ERR_TIMEOUT, FAIL_CLASS_TIMEOUT, text, s, death, s->started);
    } else if (t) {
        char text[600];
        snprintf(text, sizeof text, "the runner %s", death->text);
        post_fail(a, t, ERR_DIED, FAIL_CLASS_SIGNAL, text, s, death, s->started);
    }
    if (!t && s->deaths >= START_DEATHS_MAX && !a->stop) {
        char text[1024];
        snprintf(text, sizeof text, "a runner cannot be started: it %s%s%.*s", death->text,
                 s->tail_n ? "; its last words: " : "",
                 (int)(s->tail_n < 400 ? s->tail_n : 400), s->tail);
        leave(a, 1, ERR_DIED, text);
    }
    task_free(&a->running[i]);
    if (!a->stop && slot_start(s, a->spec_fd, a->limits.memory_bytes, &a->e) != ERR_OK)
        leave(a, 1, a->e.code, a->e.text);
}

// ---- messages ----

static void drop_queue(struct app *a, bool say)
{
    while (a->queue) {
        struct task *t = queue_unlink(a, &a->queue);
        if (say) post_nack(a, &t->assign, ERR_CLOSED, "draining");
        task_free(&t);
    }
}

// What is given out by a session ends with it. Finished results stay.
static void drop_work(struct app *a)
{
    drop_queue(a, false);
    for (uint32_t i = 0; i < a->n_slots; i++) {
        if (a->running[i]) slot_stop(&a->slot[i]);
        task_free(&a->running[i]);
    }
}

static void begin_session(struct app *a)
{
    drop_work(a);
    hello(a);
}

static void close_job(struct app *a)
{
    for (uint32_t i = 0; i < a->n_slots; i++) {
        slot_stop(&a->slot[i]);
        for (int k = 0; k < RESULTS_PER_SLOT; k++)
            a->slot[i].result[k].state = RESULT_FREE;
    }
    if (a->spec_fd >= 0) close(a->spec_fd);
    a->spec_fd = -1;
}

static err_t keep_spec(struct app *a, struct slice spec)
{
    a->spec_fd = memfd_create("tranche-spec", MFD_CLOEXEC);
    if (a->spec_fd < 0) return err_sys(&a->e, "cannot keep the job");
    for (size_t put = 0; put < spec.n;) {
        ssize_t n = write(a->spec_fd, spec.p + put, spec.n - put);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return err_sys(&a->e, "cannot keep the job");
        put += (size_t)n;
    }
    return ERR_OK;
}

// Runners that have this very job open go on with it, and its results are handed over.
static err_t open_job(struct app *a, const struct link_in *in)
{
    const struct msg_JOB *j = &link_msg(in)->JOB;
    bool same = a->spec_fd >= 0 && hash_equal(a->job, j->job) &&
                a->limits.result_max_bytes == j->result_max_bytes;
    if (!same) close_job(a);
    a->limits = *j;
    a->job = j->job;
    if (!same) TRY(keep_spec(a, link_payload(in)));
    for (uint32_t i = 0; i < a->n_slots; i++) {
        struct slot *s = &a->slot[i];
        if (s->result_fd >= 0 && s->result_max != j->result_max_bytes)
            return err_set(&a->e, ERR_PROTO,
                           "this job wants results of another size: start "
                           "the worker again");
        if (s->result_fd < 0) TRY(slot_open(s, j->result_max_bytes, &a->e));
        if (s->state == SLOT_EMPTY) TRY(slot_start(s, a->spec_fd, j->memory_bytes, &a->e));
    }
    a->has_job = true;
    if (same) send_all_held(a);
    tell_ready(a);
    return ERR_OK;
}

static void on_job(struct app *a, const struct link_in *in)
{
    if (a->has_job || !a->sid || !link_check(in)) {
        leave(a, 1, ERR_PROTO,
              a->has_job ? "a second job came over one session"
              : !a->sid  ? "a job came before WELCOME"
                         : "the job arrived damaged");
        return;
    }
    if (open_job(a, in) != ERR_OK) leave(a, 1, a->e.code, a->e.text);
}

static bool assign_is_sane(const struct msg_ASSIGN *m, const struct app *a, size_t payload)
{
    if (m->end <= m->begin || m->end - m->begin > UINT32_MAX) return false;
    if (!hash_equal(m->job, a->job) || m->path.n >= TASK_PATH_MAX) return false;
    return m->path.n ? payload == 0 : payload == m->end - m->begin;
}

// Another container of the same host may have another file there, or none.
static bool sees_file(const struct msg_ASSIGN *m)
{
    char path[TASK_PATH_MAX];
    struct stat st;
    if (m->path.n >= sizeof path) return false;
    memcpy(path, m->path.p, m->path.n);
    path[m->path.n] = 0;
    return stat(path, &st) == 0 && (uint64_t)st.st_dev == m->dev &&
           (uint64_t)st.st_ino == m->ino && access(path, R_OK) == 0;
}

static void on_assign(struct app *a, struct link_in **in)
{
    const struct msg_ASSIGN *m = &link_msg(*in)->ASSIGN;
    if (a->draining) {
        post_nack(a, m, ERR_CLOSED, "draining");
        return;
    }
    if (m->path.n && uplink_is_tcp(a->opts) && !sees_file(m)) {
        post_nack(a, m, ERR_IO, "this host does not see the file");
        return;
    }
    if (!assign_is_sane(m, a, link_payload(*in).n)) {
        post_nack(a, m, ERR_PROTO, "this assignment makes no sense");
        return;
    }
    struct task *t = calloc(1, sizeof *t);
    if (!t) {
        post_nack(a, m, ERR_NOMEM, "out of memory");
        return;
    }
    t->assign = *m;
    memcpy(t->path, m->path.p, m->path.n);
    t->assign.path = msg_str(t->path, m->path.n);
    if (!t->path[0]) {
        t->in = *in;
        *in = NULL;
    }
    queue_push(a, t);
}

static bool same_attempt(const struct msg_ASSIGN *t, const struct msg_CANCEL *c)
{
    return t->input == c->input && t->begin == c->begin && t->end == c->end &&
           t->attempt == c->attempt;
}

static void on_cancel(struct app *a, const struct msg_CANCEL *c)
{
    for (struct task **at = &a->queue; *at; at = &(*at)->next) {
        if (!same_attempt(&(*at)->assign, c)) continue;
        struct task *t = queue_unlink(a, at);
        post_nack(a, &t->assign, ERR_OK, "cancelled");
        task_free(&t);
        return;
    }
    for (uint32_t i = 0; i < a->n_slots; i++) {
        struct task *t = a->running[i];
        if (!t || !same_attempt(&t->assign, c)) continue;
        t->cancelled = true;
        slot_kill(&a->slot[i]);
    }
}

// One that was meant for an earlier session, or came while we said HELLO, is old.
static void on_reset(struct app *a, const struct msg *m)
{
    if (a->sid && (m->sid == 0 || m->sid == a->sid)) begin_session(a);
}

static void on_message(struct app *a, struct link_in **in)
{
    const struct msg *m = link_msg(*in);
    uplink_heard(&a->up, clock_ns());
    switch (m->type) {
    case MSG_WELCOME:
        if (a->sid) drop_work(a); // we said HELLO twice: the answer to the later one
        a->has_job = a->told_ready = false;
        a->epoch = m->epoch;
        a->sid = m->sid;
        a->heartbeat = (ns_t)m->WELCOME.heartbeat_ms * NS_MS;
        a->silence = (ns_t)m->WELCOME.silence_ms * NS_MS;
        a->next_beat = clock_ns() + a->heartbeat;
        break;
    case MSG_REFUSED:
        fprintf(stderr, "tranche-worker: the coordinator refused: %.*s\n",
                (int)m->REFUSED.text.n, m->REFUSED.text.p);
        a->stop = true;
        a->exit_code = 1;
        break;
    case MSG_JOB: on_job(a, *in); break;
    case MSG_ASSIGN: on_assign(a, in); break;
    case MSG_CANCEL: on_cancel(a, &m->CANCEL); break;
    case MSG_COMMITTED:
        for (uint32_t i = 0; i < a->n_slots; i++)
            slot_release(&a->slot[i], m->COMMITTED.token);
        break;
    case MSG_RESET: on_reset(a, m); break;
    case MSG_PING: {
        struct msg pong = { .type = MSG_PONG, .PONG = { m->PING.seq } };
        post(a, &pong);
        break;
    }
    case MSG_DRAIN: a->draining = true; break;
    case MSG_STOP: a->stop = true; break;
    default:
        fprintf(stderr, "tranche-worker: unexpected %s ignored\n", msg_type_name(m->type));
    }
}

static void on_bad_frame(struct app *a)
{
    if (a->sid || a->has_job) {
        fprintf(stderr, "tranche-worker: a message was refused: %s\n", a->e.text);
    } else { // a coordinator of another version, most likely
        fprintf(stderr, "tranche-worker: the coordinator is not understood: %s\n",
                a->e.text);
        a->stop = true;
        a->exit_code = 1;
    }
}

static void on_link(struct app *a)
{
    while (a->up.link && !a->stop) {
        struct link_peer none;
        struct link_in *in = NULL;
        err_t rc = link_recv(a->up.link, &none, &in, &a->e);
        if (rc != ERR_OK) {
            on_bad_frame(a);
            continue;
        }
        if (!in) return;
        on_message(a, &in);
        link_in_free(&in);
    }
}

// ---- time ----

static void beat(struct app *a, ns_t now)
{
    if (now < a->next_beat) return;
    a->next_beat = now + a->heartbeat;
    for (uint32_t i = 0; i < a->n_slots; i++) {
        const struct task *t = a->running[i];
        if (!t) continue;
        struct msg m = { .type = MSG_PROGRESS };
        COPY_LEASE(m.PROGRESS, t->assign);
        m.PROGRESS.cpu_ms = (uint64_t)slot_cpu_ms(&a->slot[i]);
        post(a, &m);
    }
}

static void stop_late_batches(struct app *a, ns_t now)
{
    // A second more than the transform's own deadline: its sentence is better than ours.
    ns_t limit = (ns_t)a->limits.timeout_ms * NS_MS + NS_S;
    for (uint32_t i = 0; i < a->n_slots; i++) {
        struct task *t = a->running[i];
        if (!t || t->timed_out || now - a->slot[i].started < limit) continue;
        t->timed_out = true;
        slot_kill(&a->slot[i]);
    }
}

static bool is_busy(const struct app *a)
{
    bool busy = a->queue != NULL;
    for (uint32_t i = 0; i < a->n_slots; i++)
        busy |= a->running[i] != NULL;
    return busy;
}

// A coordinator that is silent because it waits for us must hear that we are there.
static void breathe(struct app *a, ns_t now)
{
    struct msg m = { .type = MSG_PONG };
    if (a->sid && now - a->sent >= clock_protocol(BREATH)) post(a, &m);
}

static void mind_the_uplink(struct app *a, ns_t now)
{
    switch (uplink_tick(&a->up, a->silence, now, &a->e)) {
    case UPLINK_QUIET: break;
    case UPLINK_HELLO: begin_session(a); break;
    case UPLINK_GIVE_UP:
        fprintf(stderr, "tranche-worker: %s: leaving\n", a->e.text);
        a->stop = true;
        a->exit_code = 1;
    }
}

static void tick(struct app *a)
{
    char text[100];
    ns_t now = clock_ns();
    beat(a, now);
    breathe(a, now);
    stop_late_batches(a, now);
    mind_the_uplink(a, now);
    if (is_busy(a)) a->worked = now;
    ns_t idle = a->opts->idle_timeout_ms * NS_MS;
    if (a->stop) return;
    if (a->draining && !is_busy(a)) {
        leave(a, 0, ERR_OK, "");
    } else if (idle && now - a->worked >= idle) {
        snprintf(text, sizeof text, "nothing to do for %lld s: leaving",
                 (long long)((now - a->worked) / NS_S));
        fprintf(stderr, "tranche-worker: %s\n", text);
        leave(a, 0, ERR_OK, "");
    }
}

// Ctrl-C at a local worker reaches its whole group: there the coordinator decides.
static void on_signal(struct app *a)
{
    struct signalfd_siginfo si;
    while (read(a->signals, &si, sizeof si) == (ssize_t)sizeof si) {
        if (si.ssi_signo != SIGTERM && !uplink_is_tcp(a->opts)) continue;
        if (a->draining && si.ssi_signo == SIGINT) a->stop = true;
        a->draining = true;
        drop_queue(a, true);
    }
}

static void wait_for_events(struct app *a, struct pollfd *fds)
{
    nfds_t n = 0;
    fds[n++] = (struct pollfd){ .fd = uplink_fd(&a->up), .events = POLLIN };
    fds[n++] = (struct pollfd){ .fd = a->signals, .events = POLLIN };
    for (uint32_t i = 0; i < a->n_slots; i++) {
        const struct slot *s = &a->slot[i];
        fds[n++] = (struct pollfd){ .fd = s->channel, .events = POLLIN };
        fds[n++] = (struct pollfd){ .fd = s->errors, .events = POLLIN };
        fds[n++] = (struct pollfd){ .fd = s->pidfd, .events = POLLIN };
    }
    // While the link holds every result of an idle slot, look again soon.
    bool waiting = false;
    for (uint32_t i = 0; i < a->n_slots; i++)
        waiting |= a->queue && a->slot[i].state == SLOT_IDLE;
    int ms = waiting ? 1 : 200;
    poll(fds, n, ms);
}

static void serve(struct app *a, struct pollfd *fds)
{
    hello(a);
    on_link(a);
    while (!a->stop) {
        wait_for_events(a, fds);
        on_signal(a);
        for (uint32_t i = 0; i < a->n_slots; i++) {
            struct slot *s = &a->slot[i];
            const struct pollfd *f = &fds[2 + 3 * i];
            struct slot_death death;
            if (f[0].revents) on_answer(a, i);
            if (f[1].revents) slot_drain_stderr(s);
            if (f[2].revents && slot_reap(s, &death)) on_death(a, i, &death);
        }
        on_link(a);
        feed(a);
        on_link(
            a); // ZeroMQ's descriptor is edge-triggered: sending may have eaten the edge
        tick(a);
    }
}

static err_t app_open(struct app *a, struct err *e)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT); // Ctrl-C reaches the whole group; the coordinator decides
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (a->signals < 0) return err_sys(e, "cannot receive signals");
    a->slot = calloc(a->n_slots, sizeof *a->slot);
    a->running = calloc(a->n_slots, sizeof *a->running);
    a->held = calloc((size_t)a->n_slots * RESULTS_PER_SLOT, sizeof *a->held);
    if (!a->slot || !a->running || !a->held) return err_set(e, ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < a->n_slots; i++)
        a->slot[i] = (struct slot){
            .pidfd = -1, .channel = -1, .errors = -1, .input_fd = -1, .result_fd = -1
        };
    if (getrandom(&a->instance, sizeof a->instance, 0) != sizeof a->instance)
        return err_sys(e, "no random numbers");
    return uplink_open(&a->up, a->opts, e);
}

int worker_run(const struct worker_opts *o)
{
    struct app a = { .opts = o,
                     .n_slots = o->slots,
                     .spec_fd = -1,
                     .heartbeat = clock_protocol(2 * NS_S),
                     .silence = clock_protocol(15 * NS_S),
                     .worked = clock_ns() };
    a.queue_end = &a.queue;
    a.next_beat = a.worked + a.heartbeat;
    a.signals = -1;
    struct pollfd *fds = calloc(2 + 3 * (size_t)o->slots, sizeof *fds);
    if (fds && app_open(&a, &a.e) == ERR_OK) {
        serve(&a, fds);
    } else {
        fprintf(stderr, "tranche-worker: %s\n", fds ? a.e.text : "out of memory");
        a.exit_code = 1;
    }
    drop_queue(&a, false);
    uplink_close(&a.up, a.draining && a.exit_code == 0 ? DRAINED_MS : GOODBYE_MS);
    for (uint32_t i = 0; a.slot && a.running && a.held && i < a.n_slots; i++) {
        task_free(&a.running[i]);
        slot_close(&a.slot[i]);
    }
    free(a.slot);
    free(a.running);
    free(a.held);
    free(fds);
    if (a.spec_fd >= 0) close(a.spec_fd);
    if (a.signals >= 0) close(a.signals);
    return a.exit_code;
}
