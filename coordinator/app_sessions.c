// Who comes, stays and goes: HELLO, READY, the end of a session, and who is shut out.

#include "common/host.h"
#include "common/units.h"
#include "coordinator/app_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STRIKES_MAX = 3 };
static const ns_t GATE_EVERY = NS_S;

struct culprit {
    char user[GATE_USER];
    unsigned n;
    UT_hash_handle hh;
};

// ---- the end of a session ----

void app_session_end(struct app *a, struct session *s, ns_t now)
{
    sched_worker_gone(a->sched, s->sid, now);
    session_drop(&a->sessions, &s);
}

static void end_sessions_of(struct app *a, const char *user, const char *why, ns_t now)
{
    struct session *s, *tmp;
    HASH_ITER(by_sid, a->sessions.sids, s, tmp)
    {
        if (strcmp(s->peer.user, user) != 0) continue;
        app_refuse(a, &s->peer, ERR_CLOSED, why);
        app_session_end(a, s, now);
    }
}

bool app_strike(struct app *a, const struct link_peer *p, const char *what, ns_t now)
{
    struct culprit *c;
    char name[KEYS_NAME], line[600];
    if (!p->user[0] || !a->in->gate) return false; // of this user's, or without any key
    HASH_FIND(hh, a->strikes, p->user, strlen(p->user), c);
    if (!c) {
        c = calloc(1, sizeof *c);
        if (!c) return false;
        snprintf(c->user, sizeof c->user, "%s", p->user);
        HASH_ADD(hh, a->strikes, user, strlen(c->user), c);
    }
    if (++c->n < STRIKES_MAX) return false;
    if (c->n > STRIKES_MAX) return true; // said before
    gate_name(p->user, name);
    gate_ban(a->in->gate, p->user);
    snprintf(line, sizeof line,
             "worker %s broke the rules %d times, the last time like this: %.300s; its key "
             "is refused until this run ends",
             name, STRIKES_MAX, what);
    app_say(a, "worker", line);
    end_sessions_of(a, p->user, "this worker broke the rules three times", now);
    return true;
}

void app_look_at_gate(struct app *a, bool in_any_case, ns_t now)
{
    char line[400];
    struct gate *g = a->in->gate;
    if (!g || (!in_any_case && now - a->gate_checked < GATE_EVERY)) return;
    a->gate_checked = now;
    bool changed = gate_reload(g, in_any_case, &a->scratch);
    if (a->scratch.text[0]) app_say(a, "worker", a->scratch.text);
    if (gate_news(g, now, line, sizeof line)) app_say(a, "worker", line);
    if (!changed) return;
    struct session *s, *tmp;
    HASH_ITER(by_sid, a->sessions.sids, s, tmp)
    {
        if (s->peer.link != APP_TCP || gate_allows(g, s->peer.user)) continue;
        snprintf(line, sizeof line, "worker %s was revoked: it is sent away", s->name);
        app_say(a, "worker", line);
        app_refuse(a, &s->peer, ERR_CLOSED, "the key of this worker was revoked");
        app_session_end(a, s, now);
    }
}

void app_sessions_close(struct app *a)
{
    struct culprit *c, *tmp;
    HASH_ITER(hh, a->strikes, c, tmp)
    {
        HASH_DEL(a->strikes, c);
        free(c);
    }
    sessions_free(&a->sessions);
}

// ---- HELLO ----

static bool same_text(struct msg_str s, const char *want)
{
    return s.n == strlen(want) && memcmp(s.p, want, s.n) == 0;
}

// The sentence for both sides; false: it may stay.
static bool unfit(struct app *a, const struct link_peer *p, const struct msg_HELLO *h,
                  char *text, size_t cap)
{
    char arch[HOST_ARCH];
    if (!same_text(h->version, TRANCHE_VERSION)) {
        snprintf(text, cap,
                 "the worker is tranche %.*s, the coordinator %s: they must be equal",
                 (int)h->version.n, h->version.p, TRANCHE_VERSION);
    } else if (!same_text(h->arch, host_arch(arch))) {
        snprintf(text, cap,
                 "the worker's processor is %.*s, the coordinator's %s: they must be equal",
                 (int)h->arch.n, h->arch.p, arch);
    } else if (h->slots < 1) {
        snprintf(text, cap, "the worker has no slots");
    } else if (p->link == APP_TCP && a->in->gate && !gate_allows(a->in->gate, p->user)) {
        snprintf(text, cap, "the key of this worker is not allowed any more");
    } else {
        return false;
    }
    return true;
}

// Its key says who a worker is; without keys it says so itself.
static void name_session(struct session *s, const struct msg_HELLO *h)
{
    int n = (int)(h->name.n < sizeof s->name ? h->name.n : sizeof s->name - 1);
    if (s->peer.user[0])
        gate_name(s->peer.user, s->name);
    else
        snprintf(s->name, sizeof s->name, "%.*s", n, h->name.p);
    for (char *c = s->name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) *c = '?';
    if (!s->name[0]) snprintf(s->name, sizeof s->name, "?");
}

static bool has_label(struct msg_str labels, const char *want)
{
    size_t n = strlen(want);
    for (uint32_t i = 0; i < labels.n; i++) {
        uint32_t end = i;
        while (end < labels.n && labels.p[end] != ' ')
            end++;
        if (end - i == n && memcmp(labels.p + i, want, n) == 0) return true;
        i = end;
    }
    return false;
}

static bool has_labels(const struct job *j, const struct msg_HELLO *h)
{
    for (size_t i = 0; i < j->labels.n; i++)
        if (!has_label(h->labels, j->labels.v[i])) return false;
    return true;
}

// The sessions that this process had before: it was reset, or its connection was cut (R7).
static void end_former_selves(struct app *a, const struct link_peer *p,
                              const struct msg_HELLO *h, ns_t now)
{
    struct session *s, *tmp;
    struct session *old = session_of(&a->sessions, p);
    if (old) app_session_end(a, old, now);
    HASH_ITER(by_sid, a->sessions.sids, s, tmp)
    {
        if (hash_equal(s->instance, h->instance) && s->peer.link == p->link &&
            strcmp(s->peer.user, p->user) == 0)
            app_session_end(a, s, now);
    }
}

static void welcome(struct app *a, struct session *s)
{
    const struct job *j = a->in->job;
    struct msg w = { .type = MSG_WELCOME,
                     .WELCOME = { .version =
                                      msg_str(TRANCHE_VERSION, strlen(TRANCHE_VERSION)),
                                  .heartbeat_ms = (uint64_t)(APP_HEARTBEAT / NS_MS),
                                  .silence_ms = (uint64_t)(APP_SILENCE / NS_MS) } };
    struct msg m = { .type = MSG_JOB,
                     .payload_hash = a->job,
                     .JOB = { .job = a->job,
                              .timeout_ms = (uint64_t)j->timeout_ms,
                              .result_max_bytes = a->in->result_max_bytes,
                              .memory_bytes = j->worker_memory_bytes / s->slots } };
    app_post(a, s, &w, NULL, 0, NULL, NULL);
    app_post(a, s, &m, a->in->spec->p, a->in->spec->n, NULL, NULL);
}

void app_hello(struct app *a, const struct link_peer *p, const struct msg_HELLO *h,
               ns_t now)
{
    char text[400];
    end_former_selves(a, p, h, now);
    if (unfit(a, p, h, text, sizeof text)) {
        app_refuse(a, p, ERR_PROTO, text);
        app_say(a, "worker", text);
        return;
    }
    struct session *s = session_add(&a->sessions, p);
    if (!s) {
        app_refuse(a, p, ERR_NOMEM, "out of memory");
        return;
    }
    name_session(s, h);
    s->instance = h->instance;
    s->slots = h->slots > 1024 ? 1024 : (uint32_t)h->slots;
    s->same_host = p->link == APP_IPC || hash_equal(h->boot_id, host_boot_id());
    s->fits = has_labels(a->in->job, h);
    s->heard = now;
    welcome(a, s);
}

// ---- READY ----

static void join(struct app *a, struct session *s, ns_t now)
{
    if (s->joined || !s->fits || !a->gathered) return;
    s->joined = true;
    if (sched_worker_join(a->sched, s->sid, s->slots, now) != ERR_OK) app_fails_nomem(a);
}

void app_ready(struct app *a, struct session *s, ns_t now)
{
    char line[200];
    if (s->ready) return;
    s->ready = true;
    a->t->workers++;
    if (s->peer.link == APP_TCP) {
        snprintf(line, sizeof line, "worker %s is here: %u slots%s", s->name, s->slots,
                 s->fits ? "" : ", but without the labels that this job wants");
        app_say(a, "worker", line);
    }
    app_gather(a, now);
    join(a, s, now);
}

static uint32_t ready_workers(const struct app *a, uint32_t *fit)
{
    uint32_t n = 0;
    *fit = 0;
    for (struct session *s = a->sessions.sids; s; s = s->by_sid.next) {
        n += s->ready;
        *fit += s->ready && s->fits;
    }
    return n;
}

void app_gather(struct app *a, ns_t now)
{
    const struct job *j = a->in->job;
    uint32_t fit;
    char wait[UNITS_TEXT];
    if (a->gathered) return;
    ready_workers(a, &fit);
    if (fit >= j->workers_min) {
        a->gathered = true;
        for (struct session *s = a->sessions.sids; s && !a->over; s = s->by_sid.next)
            if (s->ready) join(a, s, now);
    } else if (now - a->began >= j->workers_wait_ms * NS_MS) {
        err_set(
            &a->scratch, ERR_TIMEOUT,
            "workers.min is %u, but after %s %s%u %s there: start more workers, or wait "
            "longer with --wait",
            j->workers_min, units_duration_text(j->workers_wait_ms, wait),
            fit ? "only " : "", fit, fit == 1 ? "is" : "are");
        app_fails(a, &a->scratch);
    }
}

void app_explain_workers(struct app *a, char *out, size_t cap)
{
    const struct job *j = a->in->job;
    uint32_t fit, n = ready_workers(a, &fit),
                  connected = HASH_CNT(by_sid, a->sessions.sids);
    *out = 0;
    if (fit && a->gathered) return;
    if (!connected) {
        snprintf(out, cap, "no worker is connected");
    } else if (!n) {
        snprintf(out, cap, "%u worker%s connected, none is ready", connected,
                 connected == 1 ? " is" : "s are");
    } else if (!fit) {
        size_t k = (size_t)snprintf(out, cap, "no worker has the label%s",
                                    j->labels.n > 1 ? "s" : "");
        for (size_t i = 0; i < j->labels.n && k < cap; i++)
            k += (size_t)snprintf(out + k, cap - k, "%s %s", i ? "," : "", j->labels.v[i]);
        if (k < cap)
            snprintf(out + k, cap - k, ": %u connected without (tranche-worker --label)",
                     n);
    } else {
        snprintf(out, cap, "%u of %u workers (workers.min) are there", fit, j->workers_min);
    }
}
