#include "worker/app_impl.h"

#include "common/say.h"
#include "proto/sight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void worker_begin_session(struct app *a)
{
    worker_drop_work(a);
    worker_hello(a);
}

static bool assign_is_sane(const struct msg_ASSIGN *m, const struct app *a, size_t payload)
{
    if (m->end <= m->begin || (m->first_line && m->end - m->begin > UINT32_MAX))
        return false;
    if (!hash_equal(m->job, a->job) || m->path.n >= TASK_PATH_MAX) return false;
    return m->path.n ? payload == 0 : payload <= UINT32_MAX; // rows have their own size
}

// Another container of the same host may have another file there, or none. Of a shared file
// system device and inode are this host's affair: the runner gets ours.
static bool sees_file(struct msg_ASSIGN *m, const char *path)
{
    struct sight_file own, want = { m->dev, m->ino, m->size, m->mtime_ns };
    bool by_inode = m->dev || m->ino;
    unsigned same = sight_look(path, &want, &own);
    m->dev = own.dev;
    m->ino = own.ino;
    return same & (by_inode ? SIGHT_INODE : SIGHT_SHARED);
}

static void on_assign(struct app *a, struct link_in **in)
{
    const struct msg_ASSIGN *m = &link_msg(*in)->ASSIGN;
    a->got_work = true;
    if (a->draining) {
        worker_post_nack(a, m, ERR_CLOSED, "draining");
        return;
    }
    if (!assign_is_sane(m, a, link_payload(*in).n)) {
        worker_post_nack(a, m, ERR_PROTO, "this assignment makes no sense");
        return;
    }
    struct task *t = calloc(1, sizeof *t + m->path.n + 1);
    if (!t) {
        worker_post_nack(a, m, ERR_NOMEM, "out of memory");
        return;
    }
    t->assign = *m;
    memcpy(t->path, m->path.p, m->path.n);
    t->assign.path = msg_str(t->path, m->path.n);
    if (m->path.n && uplink_is_tcp(a->opts) && !sees_file(&t->assign, t->path)) {
        worker_post_nack(a, m, ERR_IO, "this host does not see the file");
        worker_task_free(&t);
        return;
    }
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
    for (uint32_t i = 0; i < a->n_slots * a->lanes; i++) {
        struct task *t = a->running[i], *now = worker_current(a, i);
        while (t && !same_attempt(&t->assign, c))
            t = t->next;
        if (!t) continue;
        // Nobody else's work ends with it: behind another, or in company, it runs on or
        // waits, and is dropped.
        t->cancelled = true;
        if (a->slot[i / a->lanes].busy == 1 && t == now) slot_doom(&a->slot[i / a->lanes]);
    }
}

// One that was meant for an earlier session, or came while we said HELLO, is old.
static void on_reset(struct app *a, const struct msg *m)
{
    if (a->sid && (m->sid == 0 || m->sid == a->sid)) worker_begin_session(a);
}

// What is lost on the way leaves both sides waiting for each other, and their pings keep
// the line alive. A ping comes after all that was said before it, so that it tells what did
// not; of what we asked for since then it knows nothing.
static void on_ping(struct app *a, const struct msg_PING *m)
{
    struct msg pong = { .type = MSG_PONG, .PONG = { m->seq } };
    if (!a->has_job && clock_ns() - a->said_hello >= a->silence) {
        worker_begin_session(a);
        return;
    }
    worker_post(a, &pong);
    if (a->told_ready && !a->got_work) worker_say_ready(a);
    if (a->has_job && a->runners_wait) files_ask_if_lost(a->files, a->silence);
}

// Whatever it says: neither never nor all the time.
static ns_t sane_time(uint64_t ms)
{
    enum { HOUR_MS = 3600000 };
    return (ns_t)(ms < 1 ? 1 : ms > HOUR_MS ? HOUR_MS : ms) * NS_MS;
}

static void on_message(struct app *a, struct link_in **in)
{
    const struct msg *m = link_msg(*in);
    uplink_heard(&a->up, clock_ns());
    switch (m->type) {
    case MSG_WELCOME:
        if (a->sid) worker_drop_work(a); // we said HELLO twice: the answer to the later one
        a->has_job = a->told_ready = a->got_work = false;
        a->epoch = m->epoch;
        a->sid = m->sid;
        a->heartbeat = sane_time(m->WELCOME.heartbeat_ms);
        a->silence = sane_time(m->WELCOME.silence_ms);
        a->worked = clock_ns(); // from now on there may be work
        a->next_beat = a->worked + a->heartbeat;
        break;
    case MSG_REFUSED:
        say_to(stderr, "tranche-worker: the coordinator refused: %.*s\n",
               (int)m->REFUSED.text.n, m->REFUSED.text.p);
        a->stop = true;
        a->exit_code = 1;
        break;
    case MSG_JOB: worker_on_job(a, *in); break;
    case MSG_PIECE: worker_on_piece(a, *in); break;
    case MSG_ASSIGN: on_assign(a, in); break;
    case MSG_CANCEL: on_cancel(a, &m->CANCEL); break;
    case MSG_COMMITTED:
        for (uint32_t i = 0; i < a->n_slots; i++)
            if (slot_release(&a->slot[i], m->COMMITTED.token)) break;
        break;
    case MSG_RESET: on_reset(a, m); break;
    case MSG_PING: on_ping(a, &m->PING); break;
    case MSG_SHARE: worker_on_share(a, &m->SHARE); break;
    case MSG_DRAIN: a->draining = true; break;
    case MSG_STOP: a->stop = true; break;
    default:
        say_to(stderr, "tranche-worker: unexpected %s ignored\n", msg_type_name(m->type));
    }
}

static void on_bad_frame(struct app *a, err_t why)
{
    if (a->sid || a->has_job || why != ERR_PROTO) {
        say_to(stderr, "tranche-worker: a message was refused: %s\n", a->e.text);
        if (why != ERR_PROTO) uplink_broken(&a->up);
    } else { // a coordinator of another version, most likely
        say_to(stderr, "tranche-worker: the coordinator is not understood: %s\n",
               a->e.text);
        a->stop = true;
        a->exit_code = 1;
    }
}

bool worker_take_messages(struct app *a)
{
    bool some = false;
    while (a->up.link && !a->stop) {
        struct link_peer none;
        struct link_in *in = NULL;
        err_t rc = link_recv(a->up.link, &none, &in, &a->e);
        if (rc == ERR_OK && !in) break;
        some = true;
        if (rc != ERR_OK)
            on_bad_frame(a, rc);
        else
            on_message(a, &in);
        link_in_free(&in);
        if (rc != ERR_OK && rc != ERR_PROTO) return false; // it would fail again at once
    }
    return some;
}
