#include "worker/app_impl.h"
#include "worker/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void worker_begin_session(struct app *a)
{
    worker_drop_work(a);
    worker_hello(a);
}

static void close_fd(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void close_job(struct app *a)
{
    for (uint32_t i = 0; i < a->n_slots; i++) {
        slot_stop(&a->slot[i]);
        for (int k = 0; k < RESULTS_PER_SLOT; k++)
            a->slot[i].result[k].state = RESULT_FREE;
    }
    close_fd(&a->runners.spec_fd);
    close_fd(&a->runners.files_fd);
}

static err_t keep_spec(struct app *a, struct slice spec)
{
    int fd = a->runners.spec_fd = memfd_create("tranche-spec", MFD_CLOEXEC);
    if (fd < 0) return err_sys(&a->e, "cannot keep the job");
    for (size_t put = 0; put < spec.n;) {
        ssize_t n = write(fd, spec.p + put, spec.n - put);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return err_sys(&a->e, "cannot keep the job");
        put += (size_t)n;
    }
    return files_find(&a->runners.files_fd, spec, !uplink_is_tcp(a->opts), &a->e);
}

// Runners that have this very job open go on with it, and its results are handed over.
static err_t open_job(struct app *a, const struct link_in *in)
{
    const struct msg_JOB *j = &link_msg(in)->JOB;
    bool same = a->runners.spec_fd >= 0 && hash_equal(a->job, j->job) &&
                a->limits.result_max_bytes == j->result_max_bytes;
    if (!same) close_job(a);
    a->limits = *j;
    a->job = j->job;
    a->runners.memory_bytes = j->memory_bytes;
    if (!same) TRY(keep_spec(a, link_payload(in)));
    for (uint32_t i = 0; i < a->n_slots; i++) {
        struct slot *s = &a->slot[i];
        if (s->result_fd >= 0 && s->result_max != j->result_max_bytes)
            return err_set(&a->e, ERR_PROTO,
                           "this job wants results of another size: start "
                           "the worker again");
        if (s->result_fd < 0) TRY(slot_open(s, j->result_max_bytes, &a->e));
        if (s->state == SLOT_EMPTY) TRY(slot_start(s, &a->runners, &a->e));
    }
    a->has_job = true;
    if (same) worker_send_all_held(a);
    worker_tell_ready(a);
    return ERR_OK;
}

static void on_job(struct app *a, const struct link_in *in)
{
    if (a->has_job || !a->sid || !link_check(in)) {
        worker_leave(a, 1, ERR_PROTO,
                     a->has_job ? "a second job came over one session"
                     : !a->sid  ? "a job came before WELCOME"
                                : "the job arrived damaged");
        return;
    }
    if (open_job(a, in) != ERR_OK) worker_leave(a, 1, a->e.code, a->e.text);
}

static bool assign_is_sane(const struct msg_ASSIGN *m, const struct app *a, size_t payload)
{
    if (m->end <= m->begin || m->end - m->begin > UINT32_MAX) return false;
    if (!hash_equal(m->job, a->job) || m->path.n >= TASK_PATH_MAX) return false;
    return m->path.n ? payload == 0 : payload <= UINT32_MAX; // rows have their own size
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
        worker_post_nack(a, m, ERR_CLOSED, "draining");
        return;
    }
    if (m->path.n && uplink_is_tcp(a->opts) && !sees_file(m)) {
        worker_post_nack(a, m, ERR_IO, "this host does not see the file");
        return;
    }
    if (!assign_is_sane(m, a, link_payload(*in).n)) {
        worker_post_nack(a, m, ERR_PROTO, "this assignment makes no sense");
        return;
    }
    struct task *t = calloc(1, sizeof *t);
    if (!t) {
        worker_post_nack(a, m, ERR_NOMEM, "out of memory");
        return;
    }
    t->assign = *m;
    memcpy(t->path, m->path.p, m->path.n);
    t->assign.path = msg_str(t->path, m->path.n);
    if (!t->path[0]) {
        t->in = *in;
        *in = NULL;
    }
    worker_queue_push(a, t);
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
        struct task *t = worker_queue_unlink(a, at);
        worker_post_nack(a, &t->assign, ERR_OK, "cancelled");
        worker_task_free(&t);
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
    if (a->sid && (m->sid == 0 || m->sid == a->sid)) worker_begin_session(a);
}

static void on_message(struct app *a, struct link_in **in)
{
    const struct msg *m = link_msg(*in);
    uplink_heard(&a->up, clock_ns());
    switch (m->type) {
    case MSG_WELCOME:
        if (a->sid) worker_drop_work(a); // we said HELLO twice: the answer to the later one
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
        worker_post(a, &pong);
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

void worker_take_messages(struct app *a)
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
