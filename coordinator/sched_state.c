#include "coordinator/sched_impl.h"

#include <stdlib.h>
#include <string.h>

// ---- orders of the heaps ----

static bool before(const struct chunk *a, const struct chunk *b)
{
    if (a->range.input != b->range.input) return a->range.input < b->range.input;
    if (a->range.begin != b->range.begin) return a->range.begin < b->range.begin;
    return a->id < b->id;
}

static bool open_less(const struct heap_node *a, const struct heap_node *b)
{
    return before(CHUNK_OF(a, open), CHUNK_OF(b, open));
}

static bool queue_less(const struct heap_node *a, const struct heap_node *b)
{
    return before(CHUNK_OF(a, queue), CHUNK_OF(b, queue));
}

static bool suspect_less(const struct heap_node *a, const struct heap_node *b)
{
    const struct chunk *x = CHUNK_OF(a, queue), *y = CHUNK_OF(b, queue);
    return sched_begins(x) != sched_begins(y) ? sched_begins(y) : before(x, y);
}

static bool due_less(const struct heap_node *a, const struct heap_node *b)
{
    return LIST_OF(a, struct due, node)->at < LIST_OF(b, struct due, node)->at;
}

// Least loaded first. Chunks that take no time go out by the dozen: one message for each of
// a thousand workers costs more than the work.
static bool ready_less(const struct heap_node *a, const struct heap_node *b)
{
    const struct session *x = LIST_OF(a, struct session, ready);
    const struct session *y = LIST_OF(b, struct session, ready);
    uint64_t xl = (uint64_t)(x->leased / x->grain) * y->slots;
    uint64_t yl = (uint64_t)(y->leased / y->grain) * x->slots;
    return xl != yl ? xl < yl : x->sid < y->sid;
}

static ns_t between(ns_t least, ns_t x)
{
    return x < least ? least : x > NS_CAP ? NS_CAP : x;
}

struct sched *sched_new(const struct sched_opts *o)
{
    struct sched *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->o = *o;
    s->o.silence = between(1, o->silence);
    s->o.lease = between(1, o->lease);
    s->o.retry_backoff = between(0, o->retry_backoff);
    if (!s->o.retries) s->o.retries = 1;
    if (!s->o.credit_min) s->o.credit_min = 1;
    if (s->o.credit_max < s->o.credit_min) s->o.credit_max = s->o.credit_min;
    if (s->o.memory_bytes > SIZE_CAP) s->o.memory_bytes = SIZE_CAP;
    s->open.less = open_less;
    s->pending.less = s->parts.less = queue_less;
    s->suspects.less = suspect_less;
    s->ready.less = ready_less;
    s->dues.less = due_less;
    struct list *lists[] = { &s->line, &s->cancels, &s->resets,
                             &s->todo, &s->splits,  &s->reserved };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        list_init(lists[i]);
    return s;
}

void sched_free(struct sched **s_)
{
    struct sched *s = *s_;
    if (!s) return;
    struct chunk *c, *next_c;
    HASH_ITER(hh, s->chunks, c, next_c)
    {
        HASH_DEL(s->chunks, c);
        free(c);
    }
    struct session *w, *next_w;
    HASH_ITER(hh, s->sessions, w, next_w)
    {
        HASH_DEL(s->sessions, w);
        free(w);
    }
    struct heap *heaps[] = { &s->open,     &s->pending, &s->parts,
                             &s->suspects, &s->ready,   &s->dues };
    for (size_t i = 0; i < sizeof heaps / sizeof *heaps; i++)
        heap_free(heaps[i]);
    free(s);
    *s_ = NULL;
}

void sched_arm(struct sched *s, struct due *d, ns_t at)
{
    d->at = at;
    if (d->node.at)
        heap_fix(&s->dues, &d->node);
    else
        heap_push(&s->dues, &d->node);
}

void sched_disarm(struct sched *s, struct due *d)
{
    heap_remove(&s->dues, &d->node);
}

int64_t sched_average(int64_t old, int64_t x)
{
    return old ? old + (x - old) / 8 : x;
}

ns_t sched_backoff(const struct sched *s, uint32_t failures)
{
    uint32_t doublings = failures > 1 ? failures - 1 : 0;
    if (doublings > BACKOFF_DOUBLINGS) doublings = BACKOFF_DOUBLINGS;
    ns_t first = s->o.retry_backoff;
    return first > NS_CAP >> BACKOFF_DOUBLINGS ? first : first << doublings;
}

static struct attempt *free_place(struct chunk *c)
{
    for (int i = 0; i < ATTEMPTS; i++)
        if (!c->attempts[i].session) return &c->attempts[i];
    return NULL;
}

// ---- sessions ----

uint64_t sched_credit(const struct sched *s, const struct session *w)
{
    uint64_t per_slot = s->o.credit_min;
    if (w->run_ns && s->o.credit_work > 0) {
        per_slot = (uint64_t)(s->o.credit_work / w->run_ns) + 1;
        if (per_slot < s->o.credit_min) per_slot = s->o.credit_min;
        if (per_slot > w->credit_cap) per_slot = w->credit_cap;
    }
    return per_slot * w->slots;
}

void sched_session_refresh(struct sched *s, struct session *w)
{
    bool usable = !w->is_reset && !w->draining;
    uint64_t credit = sched_credit(s, w);
    w->grain = credit >= (uint64_t)GRAIN_CREDIT * w->slots ? GRAIN : 1;
    s->running -= w->in_running;
    s->idle -= w->in_idle;
    s->room -= w->in_room;
    w->in_running = w->leased < w->slots ? w->leased : w->slots;
    w->in_idle = usable ? w->slots - w->in_running : 0;
    uint64_t want = credit + w->slots;
    w->in_room = usable && want > w->leased ? want - w->leased : 0;
    s->running += w->in_running;
    s->idle += w->in_idle;
    s->room += w->in_room;

    bool ready = usable && !w->alone && !w->is_reserved && w->leased < credit;
    if (!ready)
        heap_remove(&s->ready, &w->ready);
    else if (w->ready.at)
        heap_fix(&s->ready, &w->ready);
    else
        heap_push(&s->ready, &w->ready);

    if (w->is_reserved && !w->leased && s->reserved.next != &w->reserved) {
        list_take(&w->reserved); // empty ones stand first
        list_add(s->reserved.next, &w->reserved);
    }
}

void sched_session_unreserve(struct sched *s, struct session *w)
{
    if (!w->is_reserved) return;
    w->is_reserved = false;
    list_take(&w->reserved);
    s->n_reserved--;
    sched_session_refresh(s, w);
}

// It gets no work any more; the sums forget it.
static void session_retire(struct sched *s, struct session *w)
{
    if (w->is_reset) return;
    sched_session_unreserve(s, w);
    w->is_reset = true;
    s->n_active--;
    s->slots -= w->slots;
    sched_disarm(s, &w->due);
    sched_session_refresh(s, w);
}

// Short work over a slow line would pile up there, and be lost with the worker.
static void learn_turn(const struct sched *s, struct session *w, ns_t turn)
{
    if (turn <= TURN_MAX && w->credit_cap < s->o.credit_max) w->credit_cap++;
    if (turn > TURN_MAX) w->credit_cap -= (w->credit_cap + 3) / 4;
    if (w->credit_cap < s->o.credit_min) w->credit_cap = s->o.credit_min;
}

void sched_session_measure(struct sched *s, struct session *w, int64_t run_ns, ns_t turn)
{
    const int64_t day = 24 * 3600 * NS_S;
    if (run_ns < 1) run_ns = 1;
    if (run_ns > day) run_ns = day;
    s->run_ns = sched_average(s->run_ns, run_ns);
    w->run_ns = sched_average(w->run_ns, run_ns);
    learn_turn(s, w, turn);
}

// A worker runs what it got in order, so its first `slots` attempts must make progress;
// those behind wait for their turn and no lease runs yet.
void sched_session_turns(struct sched *s, struct session *w, ns_t t)
{
    while (w->untimed && (w->untimed->timed || w->timed < w->slots)) {
        struct attempt *a = w->untimed;
        if (!a->timed) {
            a->timed = true;
            w->timed++;
            sched_arm(s, &a->due, ns_add(t, s->o.lease));
        }
        struct list *next = a->on_session.next;
        w->untimed =
            next == &w->attempts ? NULL : LIST_OF(next, struct attempt, on_session);
    }
}

// ---- chunks: the one function that moves, and the queues ----

void sched_chunk_unqueue(struct sched *s, struct chunk *c)
{
    heap_remove(sched_queue_of(s, c), &c->queue);
    sched_disarm(s, &c->due);
}

void sched_chunk_move(struct sched *s, struct chunk *c, enum chunk_state to, ns_t t)
{
    assert(chunk_may_move(c->state, to));
    if (c->state == CHUNK_RECEIVED) {
        s->waiting -= c->result_bytes;
        c->result_bytes = 0;
    }
    if (is_open(c->state) && !is_open(to)) heap_remove(&s->open, &c->open);
    if (!is_open(c->state) && is_open(to)) heap_push(&s->open, &c->open);
    if (to == CHUNK_RECEIVED) s->waiting += c->result_bytes;
    s->n_trying -= c->trying; // it was leased
    c->trying = false;
    s->count[c->state]--;
    s->count[to]++;
    c->state = to;
    c->since = t;
}

void sched_chunk_enqueue(struct sched *s, struct chunk *c, ns_t delay, ns_t t)
{
    if (delay == 0 && !free_place(c)) delay = sched_backoff(s, 1) + NS_MS;
    if (delay > 0)
        sched_arm(s, &c->due, ns_add(t, delay));
    else
        heap_push(sched_queue_of(s, c), &c->queue);
}

// Cancelled attempts that nobody answered yet no longer count: their worker knows, and what
// it still says about them means nothing to anybody.
void sched_chunk_forget(struct sched *s, struct chunk *c, ns_t t)
{
    list_take(&c->todo);
    for (int i = 0; i < ATTEMPTS; i++)
        if (c->attempts[i].session) sched_attempt_end(s, &c->attempts[i], t);
    s->held -= c->held;
    HASH_DEL(s->chunks, c);
    free(c);
}

void sched_chunk_cancel(struct sched *s, struct chunk *c)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        struct attempt *a = &c->attempts[i];
        if (!a->session || a->cancelled) continue;
        a->cancelled = true;
        list_take(&a->in_line);
        list_add(&s->cancels, &a->in_line);
    }
}

void sched_attempt_end(struct sched *s, struct attempt *a, ns_t t)
{
    struct session *w = a->session;
    if (w->untimed == a) {
        struct list *next = a->on_session.next;
        w->untimed =
            next == &w->attempts ? NULL : LIST_OF(next, struct attempt, on_session);
    }
    list_take(&a->on_session);
    list_take(&a->in_line);
    sched_disarm(s, &a->due);
    w->leased--;
    if (a->timed) w->timed--;
    if (a->alone) w->alone = false;
    a->session = NULL;
    if (!w->is_reset) sched_session_turns(s, w, t);
    sched_session_refresh(s, w);
}

void sched_chunk_release(struct sched *s, struct chunk *c, ns_t delay, ns_t t)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        struct attempt *a = &c->attempts[i];
        if (!a->session || a->cancelled) continue;
        if (!c->suspect && list_empty(&a->in_line)) list_add(&s->line, &a->in_line);
        return; // the other attempt goes on
    }
    sched_chunk_move(s, c, c->suspect ? CHUNK_SUSPECT : CHUNK_PENDING, t);
    sched_chunk_enqueue(s, c, delay, t);
}

void sched_chunk_decide(struct sched *s, struct chunk *c, enum chunk_state end, ns_t t)
{
    sched_chunk_cancel(s, c);
    sched_chunk_move(s, c, end, t);
    list_add(&s->todo, &c->todo);
}

// A failure counts against a chunk only if it was alone by design (R9). Splitting is not
// blame: it loses nothing, so parts of a chunk that failed alone are halved at once.
void sched_chunk_blame(struct sched *s, struct chunk *c, bool alone, ns_t t)
{
    c->lost = c->nacks = 0;
    c->fails++;
    if (alone) c->blame++;
    c->suspect = true;
    if (c->records > 1 && (alone || c->bisect))
        sched_chunk_decide(s, c, CHUNK_SPLIT, t);
    else if (c->records <= 1 && alone && c->blame >= s->o.retries)
        sched_chunk_decide(s, c, CHUNK_REJECTED, t);
    else
        sched_chunk_release(s, c, sched_backoff(s, c->fails), t);
}

// How many sessions in a row must vanish under a lone record for one failure: so many that
// chance, as often as sessions vanish here, rejects an innocent one less than once in a
// million times.
static uint32_t patience(const struct sched *s)
{
    double rate = s->lost ? (double)s->lost / (double)(s->lost + s->ended) : 0;
    double all = rate; // failures in a row: `retries` of them reject
    for (uint32_t i = 1; i < s->o.retries && all > 1e-6; i++)
        all *= rate;
    uint32_t n = LOST_IN_A_ROW;
    double p = all * all * all;
    while (p > 1e-6 && n < LOST_PATIENCE) {
        p *= all;
        n++;
    }
    return n;
}

// The session vanished under the chunk. Once is nobody's fault (R11), but a chunk that
// kills whole workers looks like this and nothing else.
static void lost(struct sched *s, struct chunk *c, bool alone, ns_t t)
{
    c->lost++;
    uint32_t enough = LOST_IN_A_ROW;
    if (alone && c->records <= 1) enough = patience(s);
    if (alone && c->records > 1 && c->kills) enough = 1;
    if (c->lost < enough) { // others get their turn before it is run alone again
        sched_chunk_release(s, c, alone ? sched_backoff(s, c->lost) : 0, t);
    } else if (alone) {
        c->kills = true;
        sched_chunk_blame(s, c, true, t);
    } else {
        c->lost = 0;
        c->suspect = true;
        sched_chunk_release(s, c, 0, t);
    }
}

void sched_tally(struct sched *s, uint64_t *what)
{
    ++*what;
    if (s->ended + s->lost < 4096) return;
    s->ended /= 2;
    s->lost /= 2;
}

void sched_session_drop(struct sched *s, struct session *w, bool vanished, ns_t t)
{
    session_retire(s, w);
    struct list *first;
    while ((first = list_first(&w->attempts))) {
        struct attempt *a = LIST_OF(first, struct attempt, on_session);
        struct chunk *c = a->chunk;
        bool alone = a->alone, wanted = !a->cancelled && is_open(c->state);
        if (s->o.lost)
            s->o.lost(s->o.lost_arg, c->id, a->number,
                      !wanted    ? SCHED_UNWANTED
                      : vanished ? SCHED_LOST
                                 : SCHED_EXPIRED);
        sched_attempt_end(s, a, t);
        if (vanished && !alone) sched_tally(s, &s->lost);
        if (wanted && vanished) lost(s, c, alone, t);
        if (wanted && !vanished) sched_chunk_release(s, c, 0, t);
    }
}

void sched_session_reset(struct sched *s, struct session *w, bool vanished, ns_t t)
{
    sched_session_drop(s, w, vanished, t);
    list_add(&s->resets, &w->reset);
    w->reset_at = t;
}
