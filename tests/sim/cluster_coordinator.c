#include "tests/sim/cluster.h"

#include <string.h>

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
    SIM_CHECK(&c->sim, c->n_past < sizeof c->past / sizeof c->past[0]);
    c->past[c->n_past] = (struct past){ begin, end, 0, 0 };
    return &c->past[c->n_past++];
}

// ---- chunks ----

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
    cluster_send(c, x);
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
        cluster_queue(
            c, c->sim.now + sim_between(&c->sim, 0, 20 * NS_MS),
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
    cluster_queue(
        c, c->sim.now + sim_between(&c->sim, NS_MS / 10, 50 * NS_MS),
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
        cluster_queue(c, next, (struct event){ .what = WAKE, .life = c->life });
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
        if (!rejects && cluster_faulty(c) && lucky && sim_chance(&c->sim, c->accident)) {
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
    cluster_queue(c, c->sim.now + sim_between(&c->sim, NS_S / 10, 30 * NS_S),
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

void cluster_on_coordinator(struct cluster *c, const struct event *x)
{
    if (x->what == COORDINATOR_STARTS) {
        coordinator_starts(c);
        pump(c);
        return;
    }
    bool own = x->what >= WAKE && x->what <= COMMIT_DONE;
    if (!c->up || (own && x->life != c->life)) {
        if (!c->up && !own && sim_chance(&c->sim, 0.5)) // waits in the worker's socket
            cluster_queue(c, c->sim.now + NS_S, *x);
        return;
    }
    if (c->paused_until > c->sim.now) {
        cluster_queue(c, c->paused_until, *x);
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

void cluster_start(struct cluster *c)
{
    coordinator_starts(c);
    pump(c);
}
