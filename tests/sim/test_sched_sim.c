// Whole clusters in virtual time: the real scheduler against workers that crash, stop and
// hang, a network that loses, doubles and delays, records that fail or kill, and
// coordinators that die and resume from the ledger.
//
// After every event: sched_check, and the rules of memory, credit and attempt numbers. At
// the end: every record committed or rejected exactly once, and only poisonous ones
// rejected. SIM_SEED=n replays one cluster, SIM_ROUNDS=n runs so many.

#include "coordinator/sched.h"
#include "tests/sim/sim.h"
#include "tests/test.h"

#include <string.h>

enum { RECORDS_MAX = 1200, CHUNKS_MAX = 2 * RECORDS_MAX, WORKERS_MAX = 300, HELD_MAX = 16 };
enum { RECORD_BYTES = 100 };

enum record {
    GOOD,
    FAILS,
    KILLS_RUNNER,
    HOGS, // takes the memory of its worker: its runner dies, and others beside it
    SLEEPS,
    KILLS_WORKER
};
enum fate { NOT_YET, COMMITTED, REJECTED };

enum what { // of events; the first ones are messages to the coordinator
    HELLO,
    HEARTBEAT,
    PROGRESS,
    RESULT,
    FAIL,
    NACK,
    DEATH_SEEN,
    WAKE,
    COMMIT_DONE,
    COORDINATOR_DIES,
    COORDINATOR_STARTS,
    COORDINATOR_PAUSES,
    TO_WORKER,
    WELCOME = TO_WORKER,
    ASSIGN,
    CANCEL,
    COMMITTED_MSG,
    RESET,
    WORKER_BEATS,
    WORKER_HELLO_AGAIN,
    TASK_ENDS,
    WORKER_DIES,
    WORKER_STARTS,
    WORKER_STOPS,
};

struct event {
    struct sim_event e;
    enum what what;
    int worker;
    uint32_t life; // of the worker or coordinator that it is for
    sid_u64 sid;
    uint32_t begin, end, attempt;
    uint64_t bytes;
    ns_t run;
    enum sched_fail why;
    uint64_t task;
};

struct task {
    uint32_t begin, end, attempt;
    uint64_t serial;
    bool running, hung;
};

struct worker {
    bool up;
    uint32_t life;
    sid_u64 sid; // 0: not welcomed yet
    uint32_t slots;
    struct task *tasks;
    uint32_t n;
    struct task held[HELD_MAX]; // results kept until COMMITTED
    uint32_t n_held;
    ns_t stopped_until;
    ns_t per_record;
};

struct piece { // a chunk as the coordinator knows it
    chunk_id id;
    uint32_t begin, end;
    enum { WAITS, READY, REJECT_READY, IN_LOADER, NOTING } state;
    uint64_t bytes;
};

struct past { // journal: of a range
    uint32_t begin, end, last, failed;
};

struct cluster {
    struct sim sim;
    struct sched_opts o;
    // the world
    uint32_t records, chunk_records, n_workers;
    uint8_t record[RECORDS_MAX];
    uint8_t accidents[RECORDS_MAX]; // random failures that hit it
    struct worker worker[WORKERS_MAX];
    uint64_t serial;
    double loss, doubled, delayed, crash_rate, hang, accident, reaped;
    ns_t faults_end, latency;
    bool by_value, ordered;
    // durable
    uint8_t fate[RECORDS_MAX];
    struct past past[4 * CHUNKS_MAX], split[CHUNKS_MAX];
    uint32_t n_past, n_split, epoch;
    // the coordinator
    struct sched *s;
    uint32_t life;
    bool up, over;
    struct piece piece[CHUNKS_MAX];
    uint32_t n_pieces, next_record, n_sid;
    chunk_id next_id;
    sid_u64 session_of[WORKERS_MAX];
    ns_t wake_at, paused_until;
    bool loader_busy;
    int check_every;
    // what happened
    uint64_t assigned, restarts, rejected, committed, deaths;
};

#define SUCCEEDS FAIL_NOT_ITS // of a task

static struct event *queue(struct cluster *c, ns_t at, struct event x)
{
    struct event *copy = malloc(sizeof *copy);
    SIM_CHECK(&c->sim, copy);
    *copy = x;
    sim_at(&c->sim, at, &copy->e);
    return copy;
}

static bool faulty(const struct cluster *c)
{
    return c->sim.now < c->faults_end;
}

static void send(struct cluster *c, struct event x)
{
    struct sim *s = &c->sim;
    if (faulty(c) && sim_chance(s, c->loss)) return;
    ns_t delay = sim_between(s, c->latency / 4, c->latency);
    if (faulty(c) && sim_chance(s, c->delayed)) delay += sim_between(s, 0, 40 * NS_S);
    queue(c, s->now + delay, x);
    if (faulty(c) && sim_chance(s, c->doubled))
        queue(c, s->now + sim_between(s, 0, 10 * NS_S), x);
}

// ---- workers ----

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
    send(c, more);
}

static void hello(struct cluster *c, int w)
{
    c->worker[w].sid = 0;
    tell_coordinator(c, w, HELLO, NULL, (struct event){ 0 });
    queue(c, c->sim.now + 20 * NS_S,
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
    } else if (faulty(c) && sim_chance(s, c->hang)) {
        t->hung = true;
        return;
    } else if (worst != GOOD) {
        x.why = worst == FAILS ? FAIL_TRANSFORM : FAIL_RUNNER;
    } else if (faulty(c) && lucky && sim_chance(s, c->accident)) {
        for (uint32_t i = t->begin; i < t->end; i++)
            c->accidents[i]++;
        x.why = FAIL_RUNNER;
    } else {
        x.why = SUCCEEDS;
    }
    queue(c, s->now + x.run, x);
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
        queue(c, c->sim.now + c->latency,
              (struct event){ .what = DEATH_SEEN, .worker = w, .life = k->life });
    k->life++;
    queue(c, c->sim.now + sim_between(&c->sim, NS_S / 10, 20 * NS_S),
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
    queue(c, c->sim.now + 2 * NS_S,
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

static void on_worker(struct cluster *c, const struct event *x)
{
    struct worker *k = &c->worker[x->worker];
    if (x->life != k->life) return;
    if (k->stopped_until > c->sim.now) {
        queue(c, k->stopped_until, *x);
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

// ---- the ledger and the journal ----

static void ledger_commit(struct cluster *c, const struct piece *p, enum fate fate)
{
    for (uint32_t i = 0; i < c->n_split; i++)
        SIM_CHECK(&c->sim, p->begin > c->split[i].begin || p->end < c->split[i].end);
    for (uint32_t i = p->begin; i < p->end; i++) {
        SIM_CHECK(&c->sim, c->fate[i] == NOT_YET);
        SIM_CHECK(&c->sim, fate == COMMITTED ? c->record[i] == GOOD : c->record[i] != GOOD);
        c->fate[i] = (uint8_t)fate;
        *(fate == COMMITTED ? &c->committed : &c->rejected) += 1;
    }
}

static struct past *past_of(struct cluster *c, uint32_t begin, uint32_t end)
{
    for (uint32_t i = 0; i < c->n_past; i++)
        if (c->past[i].begin == begin && c->past[i].end == end) return &c->past[i];
    SIM_CHECK(&c->sim, c->n_past < N_OF(c->past));
    c->past[c->n_past] = (struct past){ begin, end, 0, 0 };
    return &c->past[c->n_past++];
}

// ---- the coordinator ----

static struct piece *piece_by_id(struct cluster *c, chunk_id id)
{
    for (uint32_t i = 0; i < c->n_pieces; i++)
        if (c->piece[i].id == id) return &c->piece[i];
    return NULL;
}

static struct piece *piece_by_range(struct cluster *c, uint32_t begin, uint32_t end)
{
    for (uint32_t i = 0; i < c->n_pieces; i++)
        if (c->piece[i].begin == begin && c->piece[i].end == end) return &c->piece[i];
    return NULL;
}

static void add_piece(struct cluster *c, uint32_t begin, uint32_t end)
{
    struct past *past = past_of(c, begin, end);
    struct piece p = { .id = c->next_id++, .begin = begin, .end = end };
    SIM_CHECK(&c->sim, c->n_pieces < CHUNKS_MAX);
    c->piece[c->n_pieces++] = p;
    struct range r = { 0, begin, end };
    uint64_t held = c->by_value ? (uint64_t)(end - begin) * RECORD_BYTES : 0;
    SIM_CHECK(&c->sim, sched_chunk_add(c->s, p.id, r, end - begin, held, past->failed,
                                       past->last, c->sim.now) == ERR_OK);
}

static void drop_piece(struct cluster *c, struct piece *p)
{
    *p = c->piece[--c->n_pieces];
}

// Cuts the next chunk out of what the ledger does not have. None may equal or contain a
// split range, so all of their edges and middles are boundaries.
static bool feed(struct cluster *c)
{
    while (c->next_record < c->records && c->fate[c->next_record] != NOT_YET)
        c->next_record++;
    if (c->next_record == c->records) return false;
    uint32_t begin = c->next_record, end = begin + 1;
    uint32_t most = 1 + (uint32_t)sim_below(&c->sim, 2 * c->chunk_records);
    while (end < c->records && end - begin < most && c->fate[end] == NOT_YET) {
        bool edge = false;
        for (uint32_t i = 0; i < c->n_split; i++) {
            const struct past *x = &c->split[i];
            edge |= end == x->begin || end == x->end || end == (x->begin + x->end) / 2;
        }
        if (edge) break;
        end++;
    }
    c->next_record = end;
    add_piece(c, begin, end);
    return true;
}

static int worker_of(const struct cluster *c, sid_u64 sid)
{
    for (uint32_t i = 0; i < c->n_workers; i++)
        if (c->session_of[i] == sid) return (int)i;
    return -1;
}

static void tell_worker(struct cluster *c, int w, struct event x)
{
    x.worker = w;
    x.life = c->worker[w].life;
    send(c, x);
}

// The first piece in input order that has no result yet.
static const struct piece *head(const struct cluster *c)
{
    const struct piece *first = NULL;
    for (uint32_t i = 0; i < c->n_pieces; i++)
        if (c->piece[i].state == WAITS && (!first || c->piece[i].begin < first->begin))
            first = &c->piece[i];
    return first;
}

static uint64_t memory_used(const struct cluster *c)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < c->n_pieces; i++) {
        const struct piece *p = &c->piece[i];
        n += p->bytes + (c->by_value ? (uint64_t)(p->end - p->begin) * RECORD_BYTES : 0);
    }
    return n;
}

static void do_assign(struct cluster *c, const struct sched_action *a)
{
    struct piece *p = piece_by_id(c, a->chunk);
    int w = worker_of(c, a->worker);
    SIM_CHECK(&c->sim, p && p->state == WAITS && w >= 0);
    struct past *past = past_of(c, p->begin, p->end);
    SIM_CHECK(&c->sim, a->attempt > past->last);
    past->last = a->attempt;
    if (memory_used(c) > c->o.memory_bytes) {
        struct sched_counts n;
        sched_count(c->s, &n);
        SIM_CHECK(&c->sim, p == head(c) || !n.by_state[CHUNK_PENDING]); // or a straggler
    }
    c->assigned++;
    tell_worker(c, w,
                (struct event){ .what = ASSIGN,
                                .sid = a->worker,
                                .begin = p->begin,
                                .end = p->end,
                                .attempt = a->attempt });
}

static void do_action(struct cluster *c, const struct sched_action *a)
{
    struct piece *p = piece_by_id(c, a->chunk);
    int w = worker_of(c, a->worker);
    switch (a->what) {
    case SCHED_ASSIGN: do_assign(c, a); break;
    case SCHED_CANCEL:
        if (p && w >= 0)
            tell_worker(c, w,
                        (struct event){ .what = CANCEL,
                                        .sid = a->worker,
                                        .begin = p->begin,
                                        .end = p->end,
                                        .attempt = a->attempt });
        break;
    case SCHED_RESET:
        if (w >= 0) tell_worker(c, w, (struct event){ .what = RESET, .sid = a->worker });
        break;
    case SCHED_SPLIT:
        SIM_CHECK(&c->sim, p && p->state == WAITS && p->end - p->begin > 1);
        p->state = NOTING;
        queue(c, c->sim.now + sim_between(&c->sim, 0, 20 * NS_MS),
              (struct event){
                  .what = COMMIT_DONE, .life = c->life, .begin = p->begin, .end = p->end });
        break;
    case SCHED_REJECT:
        SIM_CHECK(&c->sim, p && p->state == WAITS && p->end - p->begin == 1);
        SIM_CHECK(&c->sim, c->record[p->begin] != GOOD);
        p->state = REJECT_READY;
        break;
    }
}

// One transaction: everything that may be committed now.
static void load(struct cluster *c)
{
    if (c->loader_busy) return;
    uint32_t first_missing = UINT32_MAX, n = 0;
    for (uint32_t i = 0; i < c->n_pieces && c->ordered; i++)
        if ((c->piece[i].state == WAITS || c->piece[i].state == NOTING) &&
            c->piece[i].begin < first_missing)
            first_missing = c->piece[i].begin;
    for (uint32_t i = 0; i < c->n_pieces; i++) {
        struct piece *p = &c->piece[i];
        if ((p->state != READY && p->state != REJECT_READY) || p->begin > first_missing)
            continue;
        p->state = p->state == READY ? IN_LOADER : REJECT_READY;
        n++;
    }
    if (!n) return;
    c->loader_busy = true;
    queue(c, c->sim.now + sim_between(&c->sim, NS_MS / 10, 50 * NS_MS),
          (struct event){ .what = COMMIT_DONE, .life = c->life, .begin = first_missing });
}

static void pump(struct cluster *c)
{
    ns_t now = c->sim.now;
    ns_t next = sched_tick(c->s, now);
    while (sched_wants(c->s) > 0)
        if (!feed(c)) {
            sched_no_more_chunks(c->s, now);
            break;
        }
    struct sched_action a;
    while (sched_next(c->s, &a, now))
        do_action(c, &a);
    ns_t again = sched_tick(c->s, now);
    if (again < next) next = again;
    load(c);
    if (c->sim.events % (uint64_t)c->check_every == 0) sched_check(c->s);
    if (next != NS_NEVER && (next < c->wake_at || c->wake_at <= now)) {
        c->wake_at = next;
        queue(c, next, (struct event){ .what = WAKE, .life = c->life });
    }
    if (sched_finished(c->s)) c->over = true;
}

static void split_noted(struct cluster *c, const struct event *x)
{
    struct piece *p = piece_by_range(c, x->begin, x->end);
    SIM_CHECK(&c->sim, p && p->state == NOTING && c->n_split < CHUNKS_MAX);
    c->split[c->n_split++] = (struct past){ p->begin, p->end, 0, 0 };
    chunk_id parent = p->id;
    uint32_t begin = p->begin, end = p->end, middle = (begin + end) / 2;
    drop_piece(c, p);
    add_piece(c, begin, middle);
    add_piece(c, middle, end);
    sched_split_done(c->s, parent, c->sim.now);
}

static void loaded(struct cluster *c, uint32_t first_missing)
{
    c->loader_busy = false;
    for (uint32_t i = 0; i < c->n_pieces;) {
        struct piece *p = &c->piece[i];
        bool rejects = p->state == REJECT_READY && p->begin < first_missing;
        if (p->state != IN_LOADER && !rejects) {
            i++;
            continue;
        }
        bool lucky = c->accidents[p->begin] < c->o.retries - 1;
        if (!rejects && faulty(c) && lucky && sim_chance(&c->sim, c->accident)) {
            for (uint32_t k = p->begin; k < p->end; k++)
                c->accidents[k] = (uint8_t)c->o.retries;
            p->state = WAITS;
            p->bytes = 0;
            sched_result_bad(c->s, p->id, c->sim.now);
            i++;
            continue;
        }
        ledger_commit(c, p, rejects ? REJECTED : COMMITTED);
        if (rejects)
            sched_rejected(c->s, p->id, c->sim.now);
        else
            sched_committed(c->s, p->id, c->sim.now);
        drop_piece(c, p);
    }
}

static void coordinator_starts(struct cluster *c)
{
    c->up = true;
    c->life++;
    c->restarts++;
    c->epoch++;
    c->n_sid = 0;
    c->s = sched_new(&c->o);
    SIM_CHECK(&c->sim, c->s);
    c->n_pieces = c->next_record = 0;
    c->wake_at = 0;
    c->loader_busy = false;
    memset(c->session_of, 0, sizeof c->session_of);
}

static void coordinator_dies(struct cluster *c)
{
    if (!c->up) return;
    // A commit that was under way is in, or is not: only the ledger knows.
    if (c->loader_busy && sim_chance(&c->sim, 0.5))
        for (uint32_t i = 0; i < c->n_pieces; i++)
            if (c->piece[i].state == IN_LOADER) ledger_commit(c, &c->piece[i], COMMITTED);
    sched_free(&c->s);
    c->up = false;
    c->life++;
    queue(c, c->sim.now + sim_between(&c->sim, NS_S / 10, 30 * NS_S),
          (struct event){ .what = COORDINATOR_STARTS });
}

static void on_hello(struct cluster *c, const struct event *x)
{
    struct worker *k = &c->worker[x->worker];
    if (x->life != k->life) return;
    if (c->session_of[x->worker])
        sched_worker_gone(c->s, c->session_of[x->worker], c->sim.now);
    sid_u64 sid = (uint64_t)c->epoch << 32 | ++c->n_sid;
    c->session_of[x->worker] = sid;
    SIM_CHECK(&c->sim, sched_worker_join(c->s, sid, k->slots, c->sim.now) == ERR_OK);
    tell_worker(c, x->worker, (struct event){ .what = WELCOME, .sid = sid });
}

static void on_result(struct cluster *c, const struct event *x, sid_u64 sid)
{
    struct piece *p = piece_by_range(c, x->begin, x->end);
    bool first =
        p && sched_result(c->s, sid, p->id, x->attempt, x->bytes, x->run, c->sim.now);
    if (first) {
        SIM_CHECK(&c->sim, p->state == WAITS);
        p->state = READY;
        p->bytes = x->bytes;
    } else {
        tell_worker(
            c, x->worker,
            (struct event){ .what = COMMITTED_MSG, .begin = x->begin, .end = x->end });
    }
}

static void on_fail(struct cluster *c, const struct event *x, sid_u64 sid)
{
    struct piece *p = piece_by_range(c, x->begin, x->end);
    if (!p) return;
    past_of(c, x->begin, x->end)->failed++;
    sched_failed(c->s, sid, p->id, x->attempt, x->why, c->sim.now);
}

static void on_message(struct cluster *c, const struct event *x)
{
    sid_u64 sid = c->session_of[x->worker];
    struct piece *p = piece_by_range(c, x->begin, x->end);
    if (x->what == HELLO) {
        on_hello(c, x);
        return;
    }
    if (x->what == DEATH_SEEN) {
        if (sid && c->worker[x->worker].life == x->life + 1 && !c->worker[x->worker].up) {
            sched_worker_gone(c->s, sid, c->sim.now);
            c->session_of[x->worker] = 0;
        }
        return;
    }
    if (!sid || sid != x->sid) { // of an earlier session, maybe with an earlier coordinator
        tell_worker(c, x->worker, (struct event){ .what = RESET, .sid = x->sid });
        if (x->what == RESULT && sim_chance(&c->sim, 0.5)) on_result(c, x, x->sid);
        return;
    }
    sched_worker_spoke(c->s, sid, c->sim.now);
    switch (x->what) {
    case PROGRESS:
        if (p) sched_progress(c->s, sid, p->id, x->attempt, c->sim.now);
        break;
    case RESULT: on_result(c, x, sid); break;
    case FAIL: on_fail(c, x, sid); break;
    case NACK:
        if (p) sched_failed(c->s, sid, p->id, x->attempt, FAIL_NOT_ITS, c->sim.now);
        break;
    default: break;
    }
}

static void on_coordinator(struct cluster *c, struct event *x)
{
    if (x->what == COORDINATOR_STARTS) {
        coordinator_starts(c);
        pump(c);
        return;
    }
    bool own = x->what >= WAKE && x->what <= COMMIT_DONE;
    if (!c->up || (own && x->life != c->life)) {
        if (!c->up && !own && sim_chance(&c->sim, 0.5)) // waits in the worker's socket
            queue(c, c->sim.now + NS_S, *x);
        return;
    }
    if (c->paused_until > c->sim.now) {
        queue(c, c->paused_until, *x);
        return;
    }
    if (x->what == COORDINATOR_PAUSES) {
        c->paused_until = c->sim.now + x->run;
        sched_paused(c->s, x->run, c->paused_until);
        return;
    }
    if (x->what == COORDINATOR_DIES) {
        coordinator_dies(c);
        return;
    }
    if (x->what == COMMIT_DONE && x->end)
        split_noted(c, x);
    else if (x->what == COMMIT_DONE)
        loaded(c, x->begin);
    else if (x->what < WAKE)
        on_message(c, x);
    pump(c);
}

// ---- a cluster's life ----

static void make_records(struct cluster *c)
{
    struct sim *s = &c->sim;
    static const double how_many[] = { 0, 0, 0.002, 0.01, 0.05 };
    double p = how_many[sim_below(s, N_OF(how_many))];
    bool killers = sim_chance(s, 0.3);
    for (uint32_t i = 0; i < c->records; i++) {
        if (!sim_chance(s, p)) continue;
        uint64_t kind = sim_below(s, 20);
        c->record[i] = kind < 9    ? FAILS
                       : kind < 14 ? KILLS_RUNNER
                       : kind < 18 ? HOGS
                                   : SLEEPS;
        if (killers && kind == 0) c->record[i] = KILLS_WORKER;
    }
    if (killers && sim_chance(s, 0.5)) c->record[sim_below(s, c->records)] = KILLS_WORKER;
}

static void make_faults(struct cluster *c)
{
    struct sim *s = &c->sim;
    bool calm = sim_chance(s, 0.2);
    c->latency = sim_between(s, NS_MS / 100, 50 * NS_MS);
    c->faults_end = calm ? 0 : sim_between(s, 10 * NS_S, 600 * NS_S);
    c->loss = sim_chance(s, 0.5) ? 0.02 : 0;
    c->doubled = sim_chance(s, 0.5) ? 0.05 : 0;
    c->delayed = sim_chance(s, 0.5) ? 0.02 : 0;
    c->hang = sim_chance(s, 0.5) ? 0.01 : 0;
    c->accident = sim_chance(s, 0.5) ? 0.01 : 0;
    c->crash_rate = sim_chance(s, 0.5) ? 1.0 / 60 : 0;
    c->reaped = sim_chance(s, 0.5) ? 1 : 0;
    for (ns_t t = 0; c->crash_rate > 0 && t < c->faults_end; t += NS_S)
        for (uint32_t w = 0; w < c->n_workers; w++) {
            struct event x = { .what = WORKER_DIES, .worker = (int)w };
            if (sim_chance(s, c->crash_rate)) {
                if (sim_chance(s, 0.3)) {
                    x.what = WORKER_STOPS;
                    x.run = sim_between(s, NS_S, 60 * NS_S);
                }
                x.life = UINT32_MAX; // whichever life it is in then
                queue(c, t, x);
            }
        }
    for (uint64_t n = calm ? 0 : sim_below(s, 4); n; n--)
        queue(c, sim_between(s, 0, 60 * NS_S), (struct event){ .what = COORDINATOR_DIES });
    if (sim_chance(s, 0.2))
        queue(c, sim_between(s, 0, 20 * NS_S),
              (struct event){ .what = COORDINATOR_PAUSES, .run = 100 * NS_S });
}

static void make_cluster(struct cluster *c, uint64_t seed, bool large)
{
    memset(c, 0, sizeof *c);
    sim_init(&c->sim, seed);
    struct sim *s = &c->sim;
    c->o = (struct sched_opts){ .silence = 15 * NS_S,
                                .lease = 30 * NS_S,
                                .retry_backoff = 50 * NS_MS,
                                .retries = 3,
                                .credit_min = 2,
                                .credit_max = 2 + (uint32_t)sim_below(s, 20),
                                .credit_work = 5 * NS_MS };
    c->records = large ? RECORDS_MAX : 1 + (uint32_t)sim_below(s, 200);
    c->chunk_records = 1 + (uint32_t)sim_below(s, large ? 3 : 16);
    c->n_workers = large ? 50 + (uint32_t)sim_below(s, WORKERS_MAX - 50)
                         : 1 + (uint32_t)sim_below(s, 6);
    c->o.memory_bytes = sim_chance(s, 0.5) ? 1 << 30 : sim_below(s, 40 * RECORD_BYTES);
    c->by_value = sim_chance(s, 0.5);
    c->ordered = sim_chance(s, 0.5);
    c->check_every = large ? 50 : 1;
    c->next_id = 1;
    make_records(c);
    for (uint32_t w = 0; w < c->n_workers; w++) {
        struct worker *k = &c->worker[w];
        k->slots = 1 + (uint32_t)sim_below(s, 4);
        k->per_record = sim_between(s, 1000, sim_chance(s, 0.5) ? NS_S : 10 * NS_MS);
        k->tasks = calloc((size_t)k->slots * c->o.credit_max, sizeof *k->tasks);
        SIM_CHECK(s, k->tasks);
        queue(c, sim_between(s, 0, 10 * NS_S),
              (struct event){ .what = WORKER_STARTS, .worker = (int)w });
    }
    make_faults(c);
    coordinator_starts(c);
    pump(c);
}

static void end_cluster(struct cluster *c)
{
    for (uint32_t i = 0; i < c->records; i++)
        SIM_CHECK(&c->sim, c->fate[i] == (c->record[i] == GOOD ? COMMITTED : REJECTED));
    SIM_CHECK(&c->sim, c->n_pieces == 0);
    sched_free(&c->s);
    for (struct sim_event *x; (x = sim_next(&c->sim));)
        free(LIST_OF(x, struct event, e));
    heap_free(&c->sim.queue);
    for (uint32_t w = 0; w < c->n_workers; w++)
        free(c->worker[w].tasks);
}

static void tell_state(const struct cluster *c)
{
    struct sched_counts n;
    struct sched_wait w = { 0 };
    sched_count(c->s, &n);
    bool waits = sched_waits_for(c->s, &w);
    fprintf(stderr, "%u of %u workers, %u running, memory %llu of %llu, %s\n", n.workers,
            c->n_workers, n.running, (unsigned long long)n.held_bytes,
            (unsigned long long)c->o.memory_bytes, c->ordered ? "ordered" : "any order");
    for (int i = 0; i < CHUNK_N_STATES; i++)
        fprintf(stderr, "%s %llu ", chunk_state_name(i), (unsigned long long)n.by_state[i]);
    if (waits)
        fprintf(stderr, "\nwaits for chunk %llu, %s, attempt %u on %llx since %.3f s\n",
                (unsigned long long)w.chunk, chunk_state_name(w.state), w.attempt,
                (unsigned long long)w.worker, (double)w.since / 1e9);
    for (uint32_t i = 0; i < c->n_pieces; i++)
        fprintf(stderr, "chunk %llu: records %u to %u, state %d\n",
                (unsigned long long)c->piece[i].id, c->piece[i].begin, c->piece[i].end,
                c->piece[i].state);
    for (uint32_t i = 0; i < c->n_workers; i++) {
        const struct worker *k = &c->worker[i];
        fprintf(stderr, "worker %u: %s, session %llx, has %u tasks; known as %llx\n", i,
                k->up ? "up" : "down", (unsigned long long)k->sid, k->n,
                (unsigned long long)c->session_of[i]);
    }
}

static void run_cluster(struct cluster *c, uint64_t seed, bool large)
{
    make_cluster(c, seed, large);
    while (!c->over) {
        if (c->sim.now > 48 * 3600 * NS_S && c->up) tell_state(c);
        SIM_CHECK(&c->sim, c->sim.now <= 48 * 3600 * NS_S);
        struct sim_event *next = sim_next(&c->sim);
        SIM_CHECK(&c->sim, next);
        struct event *x = LIST_OF(next, struct event, e);
        if (x->life == UINT32_MAX) x->life = c->worker[x->worker].life;
        if (x->what >= TO_WORKER)
            on_worker(c, x);
        else
            on_coordinator(c, x);
        free(x);
    }
    end_cluster(c);
}

static uint64_t env(const char *name, uint64_t otherwise)
{
    const char *s = getenv(name);
    return s && *s ? strtoull(s, NULL, 10) : otherwise;
}

static void run_many(uint64_t first, uint64_t rounds, bool large)
{
    struct cluster *c = malloc(sizeof *c);
    assert_non_null(c);
    uint64_t events = 0, assigned = 0, deaths = 0, restarts = 0, rejected = 0;
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        run_cluster(c, seed, large);
        events += c->sim.events;
        assigned += c->assigned;
        deaths += c->deaths;
        restarts += c->restarts - 1;
        rejected += c->rejected;
    }
    print_message("seeds %llu to %llu: %llu events, %llu attempts, %llu workers died, "
                  "%llu coordinators died, %llu records rejected\n",
                  (unsigned long long)first, (unsigned long long)(first + rounds - 1),
                  (unsigned long long)events, (unsigned long long)assigned,
                  (unsigned long long)deaths, (unsigned long long)restarts,
                  (unsigned long long)rejected);
    free(c);
}

static void small_clusters_load_every_record_exactly_once(void **state)
{
    (void)state;
    if (getenv("SIM_SEED"))
        run_many(env("SIM_SEED", 1), 1, env("SIM_LARGE", 0));
    else
        run_many(1, env("SIM_ROUNDS", 4000), false);
}

static void large_clusters_load_every_record_exactly_once(void **state)
{
    (void)state;
    if (!getenv("SIM_SEED")) run_many(1, env("SIM_ROUNDS", 4000) / 500, true);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_clusters_load_every_record_exactly_once),
        cmocka_unit_test(large_clusters_load_every_record_exactly_once),
    };
    return test_main("sched_sim", tests, N_OF(tests), NULL, 0);
}
