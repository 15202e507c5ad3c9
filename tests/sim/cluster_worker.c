#include "tests/sim/cluster.h"

#include <string.h>

#define SUCCEEDS FAIL_NOT_ITS // of a task

void cluster_queue(struct cluster *c, ns_t at, struct event x)
{
    struct event *copy = malloc(sizeof *copy);
    SIM_CHECK(&c->sim, copy);
    *copy = x;
    sim_at(&c->sim, at, &copy->e);
}

bool cluster_faulty(const struct cluster *c)
{
    return c->sim.now < c->faults_end;
}

void cluster_send(struct cluster *c, struct event x)
{
    struct sim *s = &c->sim;
    if (cluster_faulty(c) && sim_chance(s, c->loss)) return;
    ns_t delay = sim_between(s, c->latency / 4, c->latency);
    if (cluster_faulty(c) && sim_chance(s, c->delayed))
        delay += sim_between(s, 0, 40 * NS_S);
    cluster_queue(c, s->now + delay, x);
    if (cluster_faulty(c) && sim_chance(s, c->doubled))
        cluster_queue(c, s->now + sim_between(s, 0, 10 * NS_S), x);
}

static void tell_coordinator(struct cluster *c, int w, enum what what, const struct task *t,
                             struct event more)
{
    more.what = what;
    more.worker = w;
    more.life = c->worker[w].life;
    more.sid = c->worker[w].sid;
    if (t) {
        more.begin = t->begin;
        more.end = t->end;
        more.attempt = t->attempt;
    }
    cluster_send(c, more);
}

static void hello(struct cluster *c, int w)
{
    c->worker[w].sid = 0;
    tell_coordinator(c, w, HELLO, NULL, (struct event){ 0 });
    cluster_queue(c, c->sim.now + 20 * NS_S,
                  (struct event){
                      .what = WORKER_HELLO_AGAIN, .worker = w, .life = c->worker[w].life });
}

// How a task will end, decided when it starts.
static void start(struct cluster *c, int w, struct task *t)
{
    struct sim *s = &c->sim;
    struct worker *k = &c->worker[w];
    t->running = true;
    t->serial = ++c->serial;
    struct event x = { .what = TASK_ENDS, .worker = w, .life = k->life, .task = t->serial };
    x.run = 1 + k->per_record * (t->end - t->begin);
    x.run += (ns_t)sim_below(s, (uint64_t)x.run);
    if (sim_chance(s, 0.01)) x.run *= 50;
    x.bytes = (t->end - t->begin) * sim_below(s, 3 * RECORD_BYTES);
    enum record worst = GOOD;
    for (uint32_t i = t->begin; i < t->end; i++)
        if (c->record[i] > worst) worst = c->record[i];
    bool lucky = true;
    for (uint32_t i = t->begin; i < t->end; i++)
        lucky &= c->accidents[i] < c->o.retries - 1;
    if (worst == KILLS_WORKER) {
        x.what = WORKER_DIES;
    } else if (worst == SLEEPS) {
        x.run = 120 * NS_S; // the worker's own limit
        x.why = FAIL_RUNNER;
    } else if (cluster_faulty(c) && sim_chance(s, c->hang)) {
        t->hung = true;
        return;
    } else if (worst != GOOD) {
        x.why = worst == FAILS ? FAIL_TRANSFORM : FAIL_RUNNER;
    } else if (cluster_faulty(c) && lucky && sim_chance(s, c->accident)) {
        for (uint32_t i = t->begin; i < t->end; i++)
            c->accidents[i]++;
        x.why = FAIL_RUNNER;
    } else {
        x.why = SUCCEEDS;
    }
    cluster_queue(c, s->now + x.run, x);
}

static void start_tasks(struct cluster *c, int w)
{
    struct worker *k = &c->worker[w];
    uint32_t running = 0;
    for (uint32_t i = 0; i < k->n; i++)
        running += k->tasks[i].running;
    for (uint32_t i = 0; i < k->n && running < k->slots; i++)
        if (!k->tasks[i].running) start(c, w, &k->tasks[i]), running++;
}

static void drop_task(struct worker *k, uint32_t i)
{
    memmove(&k->tasks[i], &k->tasks[i + 1], (--k->n - i) * sizeof *k->tasks);
}

static void worker_dies(struct cluster *c, int w)
{
    struct worker *k = &c->worker[w];
    if (!k->up) return;
    c->deaths++;
    k->up = false;
    k->n = k->n_held = 0;
    if (sim_chance(&c->sim, c->reaped))
        cluster_queue(c, c->sim.now + c->latency,
                      (struct event){ .what = DEATH_SEEN, .worker = w, .life = k->life });
    k->life++;
    cluster_queue(c, c->sim.now + sim_between(&c->sim, NS_S / 10, 20 * NS_S),
                  (struct event){ .what = WORKER_STARTS, .worker = w, .life = k->life });
}

static void hold_result(struct worker *k, const struct task *t)
{
    if (k->n_held == HELD_MAX) memmove(k->held, k->held + 1, --k->n_held * sizeof *k->held);
    k->held[k->n_held++] = *t;
}

static void fail_neighbours(struct cluster *c, int w)
{
    struct worker *k = &c->worker[w];
    for (uint32_t i = 0; i < k->n;) {
        struct task t = k->tasks[i];
        if (!t.running || sim_chance(&c->sim, 0.2)) {
            i++;
            continue;
        }
        drop_task(k, i);
        tell_coordinator(c, w, FAIL, &t, (struct event){ .why = FAIL_RUNNER });
    }
}

static void task_ends(struct cluster *c, int w, const struct event *x)
{
    struct worker *k = &c->worker[w];
    for (uint32_t i = 0; i < k->n; i++) {
        struct task t = k->tasks[i];
        if (t.serial != x->task || !t.running) continue;
        drop_task(k, i);
        struct event more = { .bytes = x->bytes, .run = x->run, .why = x->why };
        if (x->why == SUCCEEDS) {
            hold_result(k, &t);
            tell_coordinator(c, w, RESULT, &t, more);
        } else {
            tell_coordinator(c, w, FAIL, &t, more);
            bool hogs = false;
            for (uint32_t r = t.begin; r < t.end; r++)
                hogs |= c->record[r] == HOGS;
            if (hogs) fail_neighbours(c, w);
        }
        break;
    }
    start_tasks(c, w);
}

static void worker_assigned(struct cluster *c, int w, const struct event *x)
{
    struct worker *k = &c->worker[w];
    struct task t = { .begin = x->begin, .end = x->end, .attempt = x->attempt };
    if (x->sid != k->sid) return; // for a session that is over
    for (uint32_t i = 0; i < k->n; i++)
        if (k->tasks[i].begin == t.begin && k->tasks[i].attempt == t.attempt) return;
    if (k->n >= k->slots * c->o.credit_max) { // only doubled messages can do that
        tell_coordinator(c, w, NACK, &t, (struct event){ 0 });
        return;
    }
    k->tasks[k->n++] = t;
    start_tasks(c, w);
}

static void worker_cancelled(struct cluster *c, int w, const struct event *x)
{
    struct worker *k = &c->worker[w];
    for (uint32_t i = 0; i < k->n; i++) {
        struct task t = k->tasks[i];
        if (t.begin != x->begin || t.end != x->end || t.attempt != x->attempt) continue;
        drop_task(k, i);
        tell_coordinator(c, w, NACK, &t, (struct event){ 0 });
        start_tasks(c, w);
        return;
    }
}

static void worker_committed(struct worker *k, const struct event *x)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->n_held; i++)
        if (k->held[i].begin != x->begin || k->held[i].end != x->end)
            k->held[n++] = k->held[i];
    k->n_held = n;
}

static void worker_beats(struct cluster *c, int w)
{
    struct worker *k = &c->worker[w];
    if (k->sid) {
        tell_coordinator(c, w, HEARTBEAT, NULL, (struct event){ 0 });
        for (uint32_t i = 0; i < k->n; i++)
            if (k->tasks[i].running && !k->tasks[i].hung)
                tell_coordinator(c, w, PROGRESS, &k->tasks[i], (struct event){ 0 });
    }
    cluster_queue(c, c->sim.now + 2 * NS_S,
                  (struct event){ .what = WORKER_BEATS, .worker = w, .life = k->life });
}

static void worker_welcomed(struct cluster *c, int w, sid_u64 sid)
{
    struct worker *k = &c->worker[w];
    k->sid = sid;
    k->n = 0;
    for (uint32_t i = 0; i < k->n_held; i++) {
        struct task t = k->held[i];
        tell_coordinator(c, w, RESULT, &t, (struct event){ .bytes = 50, .run = NS_MS });
    }
}

void cluster_on_worker(struct cluster *c, const struct event *x)
{
    struct worker *k = &c->worker[x->worker];
    if (x->life != k->life) return;
    if (k->stopped_until > c->sim.now) {
        cluster_queue(c, k->stopped_until, *x);
        return;
    }
    switch (x->what) {
    case WORKER_STARTS:
        k->up = true;
        hello(c, x->worker);
        worker_beats(c, x->worker);
        break;
    case WORKER_HELLO_AGAIN:
        if (!k->sid) hello(c, x->worker);
        break;
    case WORKER_BEATS: worker_beats(c, x->worker); break;
    case WORKER_DIES:
        if (x->task) { // its task may have been cancelled meanwhile
            bool runs = false;
            for (uint32_t i = 0; i < k->n; i++)
                runs |= k->tasks[i].serial == x->task;
            if (!runs) break;
        }
        worker_dies(c, x->worker);
        break;
    case WORKER_STOPS: k->stopped_until = c->sim.now + x->run; break;
    case TASK_ENDS: task_ends(c, x->worker, x); break;
    case WELCOME: worker_welcomed(c, x->worker, x->sid); break;
    case ASSIGN: worker_assigned(c, x->worker, x); break;
    case CANCEL: worker_cancelled(c, x->worker, x); break;
    case COMMITTED_MSG: worker_committed(k, x); break;
    case RESET:
        if (x->sid != k->sid || !k->sid) break;
        k->n = 0;
        hello(c, x->worker);
        break;
    default: SIM_CHECK(&c->sim, !"an event for a worker");
    }
}
