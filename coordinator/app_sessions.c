// Who comes, stays and goes: HELLO, READY, the end of a session, and who is shut out.

#include "common/host.h"
#include "common/units.h"
#include "coordinator/app_impl.h"
#include "proto/sight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELLOS_MAX = 8 }; // of one connection; one is forgiven a second
static const ns_t GATE_EVERY = NS_S;

// ---- the end of a session ----

void app_session_end(struct app *a, struct session *s, ns_t now)
{
    sched_worker_gone(a->sched, s->sid, now);
    app_stats_left(a, s, now);
    a->packing -= s->line.pack;
    uint64_t sid = s->sid;
    session_drop(&a->sessions, &s);
    app_share_left(a, sid, now);
}

// Both sides would wait for what did not get through.
void app_begin_anew(struct app *a, const struct link_peer *p, ns_t now)
{
    struct link_peer peer = *p; // it may stand in the session
    struct session *s = session_of(&a->sessions, &peer);
    if (!s) return;
    app_say(a, "worker", "out of memory: a worker begins anew");
    app_reset(a, &peer, s->sid, "out of memory");
    app_session_end(a, s, now);
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

// ---- HELLO ----

static bool same_text(struct msg_str s, const char *want)
{
    return s.n == strlen(want) && memcmp(s.p, want, s.n) == 0;
}

// Whoever could come in may have lost that right since.
static bool shut_out(struct app *a, const struct link_peer *p)
{
    return p->link == APP_TCP && a->in->gate && !gate_allows(a->in->gate, p->user);
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
    } else if (shut_out(a, p)) {
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

// Of other hosts: on this one the user gives the memory and knows what there is.
static bool has_memory(const struct job *j, const struct link_peer *p,
                       const struct msg_HELLO *h)
{
    return p->link == APP_IPC || !h->memory_bytes ||
           h->memory_bytes >= j->worker_memory_bytes;
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

// The first input that can be read by reference: READY tells who sees it.
static void show_input(const struct app *a, struct msg_JOB *j)
{
    uint32_t n;
    const struct source_input *in = source_inputs(a->in->source, &n);
    while (n && (in->by_value || !in->path))
        n--, in++;
    if (n == 0) return;
    j->dev = (uint64_t)in->dev;
    j->ino = (uint64_t)in->ino;
    j->size = in->size;
    j->mtime_ns = (uint64_t)in->mtime_ns;
    j->path = msg_str(in->path, strlen(in->path));
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
                              .memory_bytes = j->worker_memory_bytes / s->slots,
                              .concurrency = j->workers_concurrency } };
    show_input(a, &m.JOB);
    app_post(a, s, &w, NULL, 0, NULL, NULL);
    app_post(a, s, &m, a->in->spec->p, a->in->spec->n, NULL, NULL);
}

// Of this connection. An honest worker says it once, and again after each RESET.
static unsigned hellos_before(struct app *a, const struct link_peer *p, ns_t now)
{
    const struct session *old = session_of(&a->sessions, p);
    if (!old) return 0;
    ns_t forgiven = (now - old->began) / NS_S;
    return forgiven < old->hellos ? old->hellos - (unsigned)forgiven : 0;
}

void app_hello(struct app *a, const struct link_peer *p, const struct msg_HELLO *h,
               ns_t now)
{
    char text[400];
    unsigned hellos = hellos_before(a, p, now);
    bool was_here = session_of(&a->sessions, p) != NULL;
    end_former_selves(a, p, h, now);
    if (hellos > HELLOS_MAX && app_strike(a, p, "a flood of HELLO", now)) return;
    if (unfit(a, p, h, text, sizeof text)) {
        app_refuse(a, p, ERR_PROTO, text);
        app_complain(a, "worker", text);
        if (shut_out(a, p)) link_hang_up(a->in->link[APP_TCP], p);
        if (was_here) app_strike(a, p, "a HELLO that contradicts the one before", now);
        return;
    }
    struct session *s = session_add(&a->sessions, p);
    if (!s) {
        app_refuse(a, p, ERR_NOMEM, "out of memory");
        return;
    }
    name_session(s, h);
    s->hellos = hellos + 1;
    s->began = now;
    s->instance = h->instance;
    s->slots = h->slots > 1024 ? 1024 : (uint32_t)h->slots;
    s->boots_with_us = p->link == APP_IPC || hash_equal(h->boot_id, host_boot_id());
    s->memory_bytes = h->memory_bytes;
    s->has_memory = has_memory(a->in->job, p, h);
    s->has_labels = has_labels(a->in->job, h);
    s->fits = s->has_memory && s->has_labels;
    s->heard = now;
    app_stats_came(a, s, h, now);
    welcome(a, s);
}

// ---- READY ----

static void join(struct app *a, struct session *s, ns_t now)
{
    if (s->joined || !s->fits || !a->gathered || !app_share_admits(a, s)) return;
    s->joined = true;
    uint32_t lanes = s->slots * a->in->job->workers_concurrency;
    if (sched_worker_join(a->sched, s->sid, lanes, now) != ERR_OK) app_fails_nomem(a);
}

void app_join_ready(struct app *a, ns_t now)
{
    for (struct session *s = a->sessions.sids; s && !a->over; s = s->by_sid.next)
        if (s->ready) join(a, s, now);
}

void app_ready(struct app *a, struct session *s, const struct msg_READY *r, ns_t now)
{
    char line[300];
    if (s->ready) return;
    s->ready = true;
    s->by_inode = s->peer.link == APP_IPC || (s->boots_with_us && (r->sees & SIGHT_INODE));
    s->by_name = r->sees & SIGHT_SHARED;
    a->t->workers++;
    if (s->peer.link == APP_TCP) {
        snprintf(line, sizeof line, "worker %s is here: %u slots%s%s", s->name, s->slots,
                 s->has_labels ? "" : ", but without the labels that this job wants",
                 s->has_memory ? "" : ", but with less memory than limits.worker_memory");
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
        *fit += s->ready && s->fits && !s->unfit;
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
        app_join_ready(a, now);
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

// Somebody else can run the job, or is about to say so.
static bool others_can(const struct app *a)
{
    bool local = false;
    for (struct session *s = a->sessions.sids; s; s = s->by_sid.next) {
        local |= s->peer.link == APP_IPC;
        if (!s->unfit && !s->gone && !s->retired && !s->refuses && (!s->ready || s->fits))
            return true;
    }
    return a->in->slots > 0 && !local; // it is started again
}

void app_is_unfit(struct app *a, struct session *s, const char *why)
{
    char line[900];
    if (s->unfit) return;
    s->unfit = true;
    if (!others_can(a)) {
        err_set(&a->scratch, ERR_UNFIT,
                "no worker is left that can run this job; worker %s: %s. Install it there, "
                "or name it under files: (--exec-file)",
                s->name, why);
        app_fails(a, &a->scratch);
        return;
    }
    snprintf(line, sizeof line,
             "worker %s cannot run this job and gets no more batches: %s. Install it "
             "there, or name it under files: (--exec-file)",
             s->name, why);
    app_say(a, "worker", line);
}

// Workers are ready, and the job wants what none of them has.
static void explain_needs(const struct app *a, uint32_t n, char *out, size_t cap)
{
    const struct job *j = a->in->job;
    char wanted[UNITS_TEXT], most[UNITS_TEXT];
    uint64_t largest = 0;
    for (struct session *s = a->sessions.sids; s; s = s->by_sid.next)
        if (s->ready && s->has_labels && s->memory_bytes > largest)
            largest = s->memory_bytes;
    if (largest) {
        snprintf(out, cap,
                 "no worker has the memory of limits.worker_memory, %s: %u connected, the "
                 "largest with %s (tranche-worker --memory); start a larger one, or take a "
                 "smaller --worker-memory",
                 units_size_text(j->worker_memory_bytes, wanted), n,
                 units_size_text(largest >> 20 << 20, most));
        return;
    }
    size_t k =
        (size_t)snprintf(out, cap, "no worker has the label%s", j->labels.n > 1 ? "s" : "");
    for (size_t i = 0; i < j->labels.n && k < cap; i++)
        k += (size_t)snprintf(out + k, cap - k, "%s %s", i ? "," : "", j->labels.v[i]);
    if (k < cap)
        snprintf(out + k, cap - k, ": %u connected without (tranche-worker --label)", n);
}

void app_explain_workers(struct app *a, char *out, size_t cap)
{
    const struct job *j = a->in->job;
    uint32_t fit, n = ready_workers(a, &fit),
                  connected = HASH_CNT(by_sid, a->sessions.sids);
    *out = 0;
    uint32_t unfit = 0;
    for (struct session *s = a->sessions.sids; s; s = s->by_sid.next)
        unfit += s->unfit;
    if (fit && a->gathered) return;
    if (!connected) {
        snprintf(out, cap, "no worker is connected");
    } else if (!n) {
        snprintf(out, cap, "%u worker%s connected, none is ready", connected,
                 connected == 1 ? " is" : "s are");
    } else if (!fit && unfit) {
        snprintf(out, cap, "no worker is here that can run the job's program");
    } else if (!fit) {
        explain_needs(a, n, out, cap);
    } else {
        snprintf(out, cap, "%u of %u workers (workers.min) are there", fit, j->workers_min);
    }
}
