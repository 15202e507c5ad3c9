#include "coordinator/sched_impl.h"

#include <stdlib.h>

static struct chunk *chunk_find(const struct sched *s, chunk_id id)
{
    struct chunk *c;
    HASH_FIND(hh, s->chunks, &id, sizeof id, c);
    return c;
}

static struct session *session_find(const struct sched *s, sid_u64 sid)
{
    struct session *w;
    HASH_FIND(hh, s->sessions, &sid, sizeof sid, w);
    return w;
}

// Finds the session and notes that it lives. One that was told to come back as another and
// still speaks has not heard: it is told again, but not with every word.
static struct session *heard(struct sched *s, sid_u64 sid, ns_t t)
{
    struct session *w = session_find(s, sid);
    if (w && w->spoke < t) w->spoke = t;
    if (w && w->is_reset && t >= ns_add(w->reset_at, s->o.silence)) {
        list_add(&s->resets, &w->reset);
        w->reset_at = t;
    }
    return w;
}

static struct attempt *attempt_find(struct chunk *c, const struct session *w, uint32_t n)
{
    for (int i = 0; w && i < ATTEMPTS; i++) {
        struct attempt *a = &c->attempts[i];
        if (a->session == w && a->number == n) return a;
    }
    return NULL;
}

// ---- events ----

static err_t reserve_room(struct sched *s, uint64_t chunks, uint64_t sessions)
{
    size_t n = (size_t)chunks;
    TRY(heap_reserve(&s->open, n));
    TRY(heap_reserve(&s->pending, n));
    TRY(heap_reserve(&s->parts, n));
    TRY(heap_reserve(&s->suspects, n));
    TRY(heap_reserve(&s->ready, (size_t)sessions));
    return heap_reserve(&s->dues, n * (ATTEMPTS + 1) + (size_t)sessions);
}

// The chunk under SPLIT that `r` is a part of.
static const struct chunk *parent_of(const struct sched *s, struct range r)
{
    for (struct list *l = s->splits.next; l != &s->splits; l = l->next)
        if (range_contains(CHUNK_OF(l, todo)->range, r)) return CHUNK_OF(l, todo);
    return NULL;
}

static void chunk_init(struct chunk *c)
{
    list_init(&c->todo);
    c->due.kind = DUE_CHUNK;
    for (int i = 0; i < ATTEMPTS; i++) {
        struct attempt *a = &c->attempts[i];
        list_init(&a->on_session);
        list_init(&a->in_line);
        a->due.kind = DUE_LEASE;
        a->chunk = c;
    }
}

err_t sched_chunk_add(struct sched *s, chunk_id id, struct range r, uint64_t records,
                      uint64_t held_bytes, uint32_t failures, uint32_t last_attempt,
                      ns_t now)
{
    if (r.begin >= r.end || held_bytes > SIZE_CAP || chunk_find(s, id)) return ERR_INVALID;
    TRY(reserve_room(s, HASH_COUNT(s->chunks) + 1, HASH_COUNT(s->sessions)));
    struct chunk *c = calloc(1, sizeof *c);
    if (!c) return ERR_NOMEM;
    chunk_init(c);
    c->id = id;
    HASH_ADD(hh, s->chunks, id, sizeof c->id, c);
    if (!c->hh.tbl) return free(c), ERR_NOMEM;

    ns_t t = inside(s, now);
    const struct chunk *parent = parent_of(s, r);
    c->range = r;
    c->records = records;
    c->held = held_bytes;
    c->last_attempt = last_attempt;
    c->fails = failures;
    c->blame = failures ? failures - 1 : 0; // the first may have been in company
    if (c->blame >= s->o.retries) c->blame = s->o.retries - 1;
    c->bisect = parent != NULL;
    c->kills = parent && parent->kills;
    c->suspect = failures > 0 || c->kills || (parent && records <= 1);
    c->state = c->suspect ? CHUNK_SUSPECT : CHUNK_PENDING;
    c->since = t;
    s->held += held_bytes;
    s->held_avg = (uint64_t)sched_average((int64_t)s->held_avg, (int64_t)held_bytes);
    s->count[c->state]++;
    heap_push(&s->open, &c->open);
    if (failures == SCHED_HOPELESS)
        sched_chunk_decide(s, c, records > 1 ? CHUNK_SPLIT : CHUNK_REJECTED, t);
    else
        sched_chunk_enqueue(s, c, 0, t);
    return ERR_OK;
}

void sched_no_more_chunks(struct sched *s, ns_t now)
{
    (void)now;
    s->no_more = true;
}

err_t sched_worker_join(struct sched *s, sid_u64 sid, uint32_t slots, ns_t now)
{
    if (!slots || session_find(s, sid)) return ERR_INVALID;
    TRY(reserve_room(s, HASH_COUNT(s->chunks), HASH_COUNT(s->sessions) + 1));
    struct session *w = calloc(1, sizeof *w);
    if (!w) return ERR_NOMEM;
    w->sid = sid;
    HASH_ADD(hh, s->sessions, sid, sizeof w->sid, w);
    if (!w->hh.tbl) return free(w), ERR_NOMEM;
    list_init(&w->attempts);
    list_init(&w->reserved);
    list_init(&w->reset);
    w->slots = slots;
    w->credit_cap = s->o.credit_min;
    w->due.kind = DUE_SESSION;
    w->spoke = inside(s, now);
    sched_arm(s, &w->due, ns_add(w->spoke, s->o.silence));
    s->n_active++;
    s->slots += slots;
    sched_session_refresh(s, w);
    return ERR_OK;
}

void sched_worker_spoke(struct sched *s, sid_u64 sid, ns_t now)
{
    heard(s, sid, inside(s, now));
}

void sched_worker_drain(struct sched *s, sid_u64 sid, ns_t now)
{
    struct session *w = heard(s, sid, inside(s, now));
    if (!w || w->is_reset) return;
    sched_session_unreserve(s, w);
    w->draining = true;
    sched_session_refresh(s, w);
}

void sched_worker_gone(struct sched *s, sid_u64 sid, ns_t now)
{
    struct session *w = session_find(s, sid);
    if (!w) return;
    sched_session_drop(s, w, true, inside(s, now));
    list_take(&w->reset);
    HASH_DEL(s->sessions, w);
    free(w);
}

void sched_progress(struct sched *s, sid_u64 sid, chunk_id id, uint32_t attempt, ns_t now)
{
    ns_t t = inside(s, now);
    struct session *w = heard(s, sid, t);
    struct chunk *c = chunk_find(s, id);
    struct attempt *a = c ? attempt_find(c, w, attempt) : NULL;
    if (!a) return;
    if (!a->timed) { // out of turn, but it runs
        a->timed = true;
        w->timed++;
        sched_session_turns(s, w, t);
    }
    sched_arm(s, &a->due, ns_add(t, s->o.lease));
}

// ---- lines that are slow ----

static struct attempt *timed_after(const struct session *w, const struct list *l)
{
    for (l = l->next; l != &w->attempts; l = l->next)
        if (LIST_OF(l, struct attempt, on_session)->timed)
            return LIST_OF(l, struct attempt, on_session);
    return NULL;
}

void sched_worker_sends(struct sched *s, sid_u64 sid, ns_t when, ns_t now)
{
    struct session *w = heard(s, sid, inside(s, when));
    if (!w || w->is_reset) return;
    ns_t until = ns_add(inside(s, when < now ? when : now), s->o.lease);
    struct attempt *a = timed_after(w, &w->attempts);
    for (uint32_t n = w->timed; a && n; n--, a = timed_after(w, &a->on_session))
        if (a->due.at < until) sched_arm(s, &a->due, until);
}

void sched_sent(struct sched *s, sid_u64 sid, chunk_id id, uint32_t attempt,
                uint64_t position)
{
    struct session *w = session_find(s, sid);
    struct chunk *c = chunk_find(s, id);
    struct attempt *a = c ? attempt_find(c, w, attempt) : NULL;
    if (a) a->sent = position;
}

void sched_worker_takes(struct sched *s, sid_u64 sid, uint64_t arrived, ns_t now)
{
    struct session *w = session_find(s, sid);
    if (!w || w->is_reset) return;
    bool moves = arrived > w->arrived;
    ns_t until = ns_add(inside(s, now), s->o.lease);
    w->arrived = arrived;
    struct attempt *a = timed_after(w, &w->attempts);
    for (uint32_t n = w->timed; a && n; n--, a = timed_after(w, &a->on_session)) {
        if (!a->sent) continue;
        if (moves || a->sent == SCHED_UNSENT) sched_arm(s, &a->due, until);
        if (a->sent <= arrived) a->sent = 0;
    }
}

// ---- outcomes ----

bool sched_result(struct sched *s, sid_u64 sid, chunk_id id, uint32_t attempt,
                  uint64_t bytes, ns_t run_ns, ns_t now)
{
    ns_t t = inside(s, now);
    struct session *w = heard(s, sid, t);
    struct chunk *c = chunk_find(s, id);
    struct attempt *a = c ? attempt_find(c, w, attempt) : NULL;
    bool alone = a && a->alone;
    if (a) {
        w->nacks = 0;
        sched_session_measure(s, w, run_ns, ns_sub(t, a->since));
        sched_attempt_end(s, a, t);
        if (!alone) sched_tally(s, &s->ended);
    }
    if (!c || !is_open(c->state)) {
        s->duplicates++;
        return false;
    }
    sched_chunk_unqueue(s, c);
    sched_chunk_cancel(s, c);
    c->result_bytes = bytes < SIZE_CAP ? bytes : SIZE_CAP;
    c->result_alone = alone;
    s->result_avg =
        (uint64_t)sched_average((int64_t)s->result_avg, (int64_t)c->result_bytes);
    sched_chunk_move(s, c, CHUNK_RECEIVED, t);
    return true;
}

// At once elsewhere, but no ping-pong.
static void not_its(struct sched *s, struct chunk *c, ns_t t)
{
    c->nacks++;
    sched_chunk_release(s, c, c->nacks > 1 ? sched_backoff(s, c->nacks - 1) : 0, t);
}

// Who only gives back what it gets always looks idle, and would get everything.
static void refused(struct sched *s, struct session *w)
{
    if (w->draining || ++w->nacks <= NACKS_IN_A_ROW * w->slots) return;
    sched_session_unreserve(s, w);
    w->draining = w->refuses = true;
    sched_session_refresh(s, w);
}

bool sched_worker_refuses(const struct sched *s, sid_u64 sid)
{
    const struct session *w = session_find(s, sid);
    return w && w->refuses;
}

void sched_failed(struct sched *s, sid_u64 sid, chunk_id id, uint32_t attempt,
                  enum sched_fail why, ns_t now)
{
    ns_t t = inside(s, now);
    struct session *w = heard(s, sid, t);
    struct chunk *c = chunk_find(s, id);
    struct attempt *a = c ? attempt_find(c, w, attempt) : NULL;
    if (!a) return; // of a lease given up long ago: never blamed (R11)
    bool alone = a->alone, wanted = !a->cancelled && is_open(c->state);
    sched_attempt_end(s, a, t);
    if (!alone) sched_tally(s, &s->ended);
    if (!wanted) return;
    if (why == FAIL_NOT_ITS || why == FAIL_REFUSED) {
        if (why == FAIL_REFUSED) refused(s, w);
        not_its(s, c, t);
    } else {
        w->nacks = 0;
        sched_chunk_blame(s, c, alone, t);
    }
}

void sched_committed(struct sched *s, chunk_id id, ns_t now)
{
    struct chunk *c = chunk_find(s, id);
    if (!c || c->state != CHUNK_RECEIVED) return;
    sched_chunk_move(s, c, CHUNK_COMMITTED, inside(s, now));
    sched_chunk_forget(s, c, inside(s, now));
}

void sched_result_bad(struct sched *s, chunk_id id, ns_t now)
{
    struct chunk *c = chunk_find(s, id);
    if (c && c->state == CHUNK_RECEIVED)
        sched_chunk_blame(s, c, c->result_alone, inside(s, now));
}

void sched_result_doubted(struct sched *s, chunk_id id, ns_t now)
{
    struct chunk *c = chunk_find(s, id);
    if (c && c->state == CHUNK_RECEIVED) not_its(s, c, inside(s, now));
}

void sched_split_done(struct sched *s, chunk_id id, ns_t now)
{
    struct chunk *c = chunk_find(s, id);
    if (!c || c->state != CHUNK_SPLIT) return;
    s->n_splits -= c->told;
    sched_chunk_forget(s, c, inside(s, now));
}

void sched_rejected(struct sched *s, chunk_id id, ns_t now)
{
    struct chunk *c = chunk_find(s, id);
    if (c && c->state == CHUNK_REJECTED) sched_chunk_forget(s, c, inside(s, now));
}

void sched_paused(struct sched *s, ns_t gap, ns_t now)
{
    (void)now;
    if (gap > 0) s->paused = ns_add(s->paused, gap);
}

// ---- time ----

static void session_due(struct sched *s, struct session *w, ns_t t)
{
    ns_t until = ns_add(w->spoke, s->o.silence);
    if (until > t)
        sched_arm(s, &w->due, until);
    else
        sched_session_reset(s, w, true, t);
}

static void expire(struct sched *s, struct due *d, ns_t t)
{
    if (d->kind == DUE_SESSION) {
        session_due(s, LIST_OF(d, struct session, due), t);
    } else if (d->kind == DUE_LEASE) {
        s->expired++;
        sched_session_reset(s, LIST_OF(d, struct attempt, due)->session, false, t);
    } else {
        sched_disarm(s, d);
        sched_chunk_enqueue(s, LIST_OF(d, struct chunk, due), 0, t);
    }
}

// When the oldest attempt that may get a second one is old enough for it.
static ns_t next_straggler(const struct sched *s, ns_t t)
{
    if (!s->idle || s->n_active < 2) return NS_NEVER;
    ns_t age = sched_straggler_age(s);
    int looked = 0;
    for (struct list *l = s->line.next; l != &s->line && looked < STRAGGLERS_LOOKED_AT;
         l = l->next, looked++) {
        ns_t at = ns_add(LIST_OF(l, struct attempt, in_line)->since, age);
        if (at > t) return at;
    }
    return NS_NEVER;
}

ns_t sched_tick(struct sched *s, ns_t now)
{
    ns_t t = inside(s, now);
    struct heap_node *top;
    while ((top = heap_top(&s->dues)) && LIST_OF(top, struct due, node)->at <= t)
        expire(s, LIST_OF(top, struct due, node), t);
    ns_t next = top ? LIST_OF(top, struct due, node)->at : NS_NEVER;
    ns_t straggler = next_straggler(s, t);
    if (straggler < next) next = straggler;
    return next == NS_NEVER ? NS_NEVER : ns_add(next, s->paused);
}
