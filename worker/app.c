#include "worker/app.h"

#include "proto/fail.h"
#include "proto/link.h"
#include "proto/spec.h"
#include "worker/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
    START_DEATHS_MAX =
        3, // a runner that dies so often before its first batch is not tried again
    GOODBYE_MS = 500,
};

struct task { // an ASSIGN that waits for a slot or runs in one
    struct task *next;
    struct msg_ASSIGN assign;
    char path[TASK_PATH_MAX];
    struct link_in *in; // keeps the payload of a by-value chunk until it is handed over
    bool cancelled;
    bool timed_out;
};

struct app {
    const struct worker_opts *opts;
    struct link *link;
    int signals;
    uint64_t epoch, sid;
    ns_t heartbeat, silence;
    ns_t heard, next_beat;
    struct hash128 job;
    struct msg_JOB limits;
    int spec_fd;
    struct slot *slot;
    struct task **running; // one a slot
    uint32_t n_slots, ready;
    struct task *queue, **queue_end;
    uint64_t seq;
    bool told_ready, draining, stop;
    int exit_code;
    struct err e;
};

// ---- sending ----

static void post_payload(struct app *a, struct msg *m, void *payload, size_t n,
                         link_free_fn *free_fn, void *hint)
{
    m->epoch = a->epoch;
    m->sid = a->sid;
    err_t rc = link_send(a->link, NULL, m, payload, n, free_fn, hint, &a->e);
    if (rc != ERR_OK) fprintf(stderr, "tranche-worker: cannot send: %s\n", a->e.text);
}

static void post(struct app *a, struct msg *m)
{
    m->payload_hash = (struct hash128){ 0 };
    post_payload(a, m, NULL, 0, NULL, NULL);
}

static struct hash128 boot_id(void)
{
    char text[64] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0) close(fd);
    return hash_bytes(text, n > 0 ? (size_t)n : 0);
}

static void hello(struct app *a)
{
    struct utsname host;
    char arch[64], name[64];
    uname(&host);
    snprintf(arch, sizeof arch, "%.40s little-endian", host.machine);
    if (a->opts->name)
        snprintf(name, sizeof name, "%s", a->opts->name);
    else
        snprintf(name, sizeof name, "%.40s-%d", host.nodename, (int)getpid());
    a->epoch = a->sid = 0;
    struct msg m = { .type = MSG_HELLO,
                     .HELLO = { .version =
                                    msg_str(TRANCHE_VERSION, strlen(TRANCHE_VERSION)),
                                .arch = msg_str(arch, strlen(arch)),
                                .name = msg_str(name, strlen(name)),
                                .pid = (uint64_t)getpid(),
                                .boot_id = boot_id(),
                                .slots = a->n_slots } };
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

static void post_result(struct app *a, uint32_t i, const struct task *t,
                        const struct runner_done *d)
{
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
    r->state = n ? RESULT_SENT : RESULT_FREE;
    r->seq = ++a->seq;
    r->token = t->assign.token;
    if (r->touched_bytes < n) r->touched_bytes = n;
    if (n == 0) {
        post(a, &m);
        return;
    }
    atomic_store(&r->lent, true);
    post_payload(a, &m, s->results + (size_t)s->filling * s->result_max, n, result_sent,
                 (void *)&r->lent);
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

static void on_first_answer(struct app *a, const struct runner_done *d, struct slot *s)
{
    if (d->code != ERR_OK) {
        s->state = SLOT_STARTING; // it exits now
        leave(a, 1, d->code, d->text);
        return;
    }
    uint32_t idle = 0;
    for (uint32_t i = 0; i < a->n_slots; i++)
        idle += a->slot[i].state >= SLOT_IDLE;
    if (idle < a->n_slots || a->told_ready) return;
    a->told_ready = true;
    struct msg m = { .type = MSG_READY, .READY = { .job = a->job, .slots = a->n_slots } };
    post(a, &m);
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

static err_t open_job(struct app *a, const struct link_in *in)
{
    struct slice spec = link_payload(in);
    a->limits = link_msg(in)->JOB;
    a->job = a->limits.job;
    a->spec_fd = memfd_create("tranche-spec", MFD_CLOEXEC);
    if (a->spec_fd < 0) return err_sys(&a->e, "cannot keep the job");
    for (size_t put = 0; put < spec.n;) {
        ssize_t n = write(a->spec_fd, spec.p + put, spec.n - put);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return err_sys(&a->e, "cannot keep the job");
        put += (size_t)n;
    }
    for (uint32_t i = 0; i < a->n_slots; i++) {
        if (a->slot[i].result_fd < 0)
            TRY(slot_open(&a->slot[i], a->limits.result_max_bytes, &a->e));
        TRY(slot_start(&a->slot[i], a->spec_fd, a->limits.memory_bytes, &a->e));
    }
    return ERR_OK;
}

static void on_job(struct app *a, const struct link_in *in)
{
    if (a->spec_fd >= 0 || !link_check(in)) {
        leave(a, 1, ERR_PROTO,
              a->spec_fd >= 0 ? "a second job came over one session"
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

static void on_assign(struct app *a, struct link_in **in)
{
    const struct msg_ASSIGN *m = &link_msg(*in)->ASSIGN;
    if (a->draining) {
        post_nack(a, m, ERR_CLOSED, "draining");
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

static void drop_queue(struct app *a, bool say)
{
    while (a->queue) {
        struct task *t = queue_unlink(a, &a->queue);
        if (say) post_nack(a, &t->assign, ERR_CLOSED, "draining");
        task_free(&t);
    }
}

static void on_reset(struct app *a)
{
    drop_queue(a, false);
    for (uint32_t i = 0; i < a->n_slots; i++) {
        task_free(&a->running[i]);
        slot_stop(&a->slot[i]);
    }
    if (a->spec_fd >= 0) close(a->spec_fd);
    a->spec_fd = -1;
    a->told_ready = false;
    hello(a);
}

static void on_message(struct app *a, struct link_in **in)
{
    const struct msg *m = link_msg(*in);
    a->heard = clock_ns();
    switch (m->type) {
    case MSG_WELCOME:
        a->epoch = m->epoch;
        a->sid = m->sid;
        a->heartbeat = (ns_t)m->WELCOME.heartbeat_ms * NS_MS;
        a->silence = (ns_t)m->WELCOME.silence_ms * NS_MS;
        a->next_beat = a->heard + a->heartbeat;
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
    case MSG_RESET: on_reset(a); break;
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

static void on_link(struct app *a)
{
    for (;;) {
        struct link_peer none;
        struct link_in *in = NULL;
        err_t rc = link_recv(a->link, &none, &in, &a->e);
        if (rc != ERR_OK) {
            fprintf(stderr, "tranche-worker: a message was refused: %s\n", a->e.text);
            continue;
        }
        if (!in) return;
        on_message(a, &in);
        link_in_free(&in);
        if (a->stop) return;
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

static void tick(struct app *a)
{
    ns_t now = clock_ns();
    beat(a, now);
    stop_late_batches(a, now);
    if (now - a->heard > a->silence) {
        fprintf(stderr,
                "tranche-worker: nothing heard from the coordinator for %lld s: leaving\n",
                (long long)((now - a->heard) / NS_S));
        a->stop = true;
        a->exit_code = 1;
    }
    bool busy = a->queue != NULL;
    for (uint32_t i = 0; i < a->n_slots; i++)
        busy |= a->running[i] != NULL;
    if (a->draining && !busy && !a->stop) leave(a, 0, ERR_OK, "");
}

static void on_signal(struct app *a)
{
    struct signalfd_siginfo si;
    while (read(a->signals, &si, sizeof si) == (ssize_t)sizeof si) {
        if (si.ssi_signo != SIGTERM) continue;
        a->draining = true;
        drop_queue(a, true);
    }
}

static void wait_for_events(struct app *a, struct pollfd *fds)
{
    nfds_t n = 0;
    fds[n++] = (struct pollfd){ .fd = link_fd(a->link), .events = POLLIN };
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
    if (!a->slot || !a->running) return err_set(e, ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < a->n_slots; i++)
        a->slot[i] = (struct slot){
            .pidfd = -1, .channel = -1, .errors = -1, .input_fd = -1, .result_fd = -1
        };
    struct link_opts o = { .message_max_bytes = (uint64_t)SPEC_MAX_BYTES + 4096,
                           .hwm = 1024 };
    return link_connect(&a->link, a->opts->endpoint, &o, e);
}

int worker_run(const struct worker_opts *o)
{
    struct app a = { .opts = o,
                     .n_slots = o->slots,
                     .spec_fd = -1,
                     .heartbeat = 2 * NS_S,
                     .silence = 15 * NS_S,
                     .heard = clock_ns() };
    a.queue_end = &a.queue;
    a.next_beat = a.heard + a.heartbeat;
    struct pollfd *fds = calloc(2 + 3 * (size_t)o->slots, sizeof *fds);
    if (!fds || app_open(&a, &a.e) != ERR_OK) {
        fprintf(stderr, "tranche-worker: %s\n", fds ? a.e.text : "out of memory");
        free(fds);
        return 1;
    }
    serve(&a, fds);
    drop_queue(&a, false);
    link_close(&a.link, GOODBYE_MS);
    for (uint32_t i = 0; i < a.n_slots; i++) {
        task_free(&a.running[i]);
        slot_close(&a.slot[i]);
    }
    free(a.slot);
    free(a.running);
    free(fds);
    if (a.spec_fd >= 0) close(a.spec_fd);
    close(a.signals);
    return a.exit_code;
}
