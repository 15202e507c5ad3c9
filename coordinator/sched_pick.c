#include "coordinator/sched_impl.h"

static struct chunk *lowest_open(const struct sched *s)
{
    struct heap_node *top = heap_top(&s->open);
    return top ? LIST_OF(top, struct chunk, open) : NULL;
}

static struct chunk *first_of(const struct heap *queue)
{
    struct heap_node *top = heap_top(queue);
    return top ? LIST_OF(top, struct chunk, queue) : NULL;
}

static struct session *first_ready(const struct sched *s)
{
    struct heap_node *top = heap_top(&s->ready);
    return top ? LIST_OF(top, struct session, ready) : NULL;
}

// Bytes held, results that wait, and what the leased chunks will probably bring.
static uint64_t memory_bound(const struct sched *s)
{
    return s->held + s->waiting + s->count[CHUNK_LEASED] * s->result_avg;
}

static bool memory_full(const struct sched *s)
{
    return memory_bound(s) + s->result_avg > s->o.memory_bytes;
}

// The chunk of the queue that is next. In ordered mode everything may wait for the first
// one of all: it is never held back.
static struct chunk *next_of(struct sched *s, const struct heap *queue)
{
    if (!memory_full(s)) return first_of(queue);
    struct chunk *c = lowest_open(s);
    return c && c->queue.at && sched_queue_of(s, c) == queue ? c : NULL;
}

static void lease(struct sched *s, struct chunk *c, struct session *w, bool alone, ns_t t)
{
    struct attempt *a = c->attempts[0].session ? &c->attempts[1] : &c->attempts[0];
    assert(!a->session && !w->is_reset && !w->draining && !w->alone);
    assert(!alone || !w->leased);
    a->session = w;
    a->number = ++c->last_attempt;
    a->since = t;
    a->sent = 0;
    a->alone = alone;
    a->timed = a->cancelled = false;
    list_add(&w->attempts, &a->on_session);
    w->leased++;
    w->alone = alone;
    if (!w->untimed) w->untimed = a;
    sched_session_turns(s, w, t);
    sched_session_refresh(s, w);
}

static void tell_assign(const struct session *w, const struct chunk *c,
                        struct sched_action *out)
{
    *out = (struct sched_action){ SCHED_ASSIGN, w->sid, c->id, c->last_attempt };
}

static void assign(struct sched *s, struct chunk *c, struct session *w, ns_t t,
                   struct sched_action *out)
{
    heap_remove(sched_queue_of(s, c), &c->queue);
    if (c->assigned++) s->retries++;
    sched_chunk_move(s, c, CHUNK_LEASED, t);
    c->trying = c->bisect && !c->suspect;
    s->n_trying += c->trying;
    sched_session_unreserve(s, w);
    lease(s, c, w, c->suspect, t);
    for (int i = 0; i < ATTEMPTS && !c->suspect; i++) {
        struct attempt *a = &c->attempts[i];
        if (a->session && !a->cancelled) list_add(&s->line, &a->in_line);
    }
    tell_assign(w, c, out);
}

// ---- suspects run alone on their worker (R8, R9) ----

static struct session *empty_session(const struct sched *s)
{
    struct list *first = list_first(&s->reserved);
    struct session *w = first ? LIST_OF(first, struct session, reserved) : first_ready(s);
    if (w && w->leased) w = first_ready(s);
    return w && !w->leased ? w : NULL;
}

// Depth first: a whole batch that failed begins to be halved only when fewer parts of
// others are to be tried than workers are there. Without that a transform that fails at
// every row would be tried on all of a long input before the first row at fault is found
// and limits.bad_rows ends the run. But results that must be in order wait for the first.
static struct chunk *suspect_to_run(struct sched *s)
{
    struct chunk *c = lowest_open(s);
    if (c && c->queue.at && c->suspect) return c;
    c = next_of(s, &s->suspects);
    bool begins = c && sched_begins(c);
    return begins && s->parts.n + s->n_trying + s->n_splits >= s->n_active ? NULL : c;
}

// Stops feeding as many workers as suspects wait, but at most a quarter of all (or one).
static void reserve_for_suspects(struct sched *s)
{
    size_t want = s->n_active / 4 ? s->n_active / 4 : 1;
    if (want > s->suspects.n) want = s->suspects.n;
    if (!suspect_to_run(s)) want = 0;
    while (s->n_reserved > want)
        sched_session_unreserve(s, LIST_OF(s->reserved.prev, struct session, reserved));
    struct session *w;
    while (s->n_reserved < want && (w = first_ready(s))) {
        w->is_reserved = true;
        list_add(&s->reserved, &w->reserved);
        s->n_reserved++;
        sched_session_refresh(s, w);
    }
}

static bool next_suspect(struct sched *s, struct sched_action *out, ns_t t)
{
    struct chunk *c = suspect_to_run(s);
    struct session *w = c ? empty_session(s) : NULL;
    if (w) assign(s, c, w, t, out);
    reserve_for_suspects(s);
    return w != NULL;
}

// Parts fail faster than their splits are confirmed: without a limit they would be tried
// breadth first.
static bool parts_wait(const struct sched *s)
{
    uint64_t most = 2 * s->slots > PARTS_AT_ONCE ? 2 * s->slots : PARTS_AT_ONCE;
    return (uint64_t)s->n_trying + s->n_splits >= most;
}

// Parts of what failed go first, but healthy work keeps half of the slots.
static struct chunk *pending_to_run(struct sched *s)
{
    struct chunk *part = parts_wait(s) ? NULL : next_of(s, &s->parts);
    struct chunk *whole = next_of(s, &s->pending);
    bool enough = 2 * (uint64_t)s->n_trying >= s->slots;
    return part && !(whole && enough) ? part : whole;
}

static bool next_pending(struct sched *s, struct sched_action *out, ns_t t)
{
    struct session *w = first_ready(s);
    struct chunk *c = w ? pending_to_run(s) : NULL;
    if (!c) return false;
    assign(s, c, w, t, out);
    return true;
}

// ---- stragglers ----

ns_t sched_straggler_age(const struct sched *s)
{
    if (!s->run_ns) return NS_CAP;
    return 2 * s->run_ns > STRAGGLER_MIN ? 2 * s->run_ns : STRAGGLER_MIN;
}

// Somebody idle who is not `busy`: the least loaded of all, or the next after it.
static struct session *idle_other(const struct sched *s, const struct session *busy)
{
    for (size_t i = 0; i < 3 && i < s->ready.n; i++) {
        struct session *w = LIST_OF(s->ready.nodes[i], struct session, ready);
        if (w != busy && w->leased < w->slots) return w;
    }
    return NULL;
}

static bool speed_up(struct sched *s, struct attempt *a, struct sched_action *out, ns_t t)
{
    struct chunk *c = a->chunk;
    bool has_place = !c->attempts[0].session || !c->attempts[1].session;
    struct session *w = has_place ? idle_other(s, a->session) : NULL;
    if (!w || ns_sub(t, a->since) < sched_straggler_age(s)) return false;
    list_take(&a->in_line);
    s->speculated++;
    lease(s, c, w, false, t);
    tell_assign(w, c, out);
    return true;
}

static bool next_straggler(struct sched *s, struct sched_action *out, ns_t t)
{
    if (!s->idle || !s->run_ns) return false;
    if (s->pending.n +
        s->parts.n) { // memory holds them back: only the first chunk can free it
        struct chunk *c = lowest_open(s);
        for (int i = 0; i < ATTEMPTS; i++) {
            struct attempt *a = &c->attempts[i];
            bool in_line = a->session && !a->cancelled && !list_empty(&a->in_line);
            if (in_line && speed_up(s, a, out, t)) return true;
        }
        return false;
    }
    int looked = 0;
    for (struct list *l = s->line.next; l != &s->line && looked < STRAGGLERS_LOOKED_AT;
         l = l->next, looked++)
        if (speed_up(s, LIST_OF(l, struct attempt, in_line), out, t)) return true;
    return false;
}

// ---- answers ----

static bool next_told(struct sched *s, struct sched_action *out)
{
    struct list *l;
    if ((l = list_first(&s->resets))) {
        struct session *w = LIST_OF(l, struct session, reset);
        list_take(l);
        *out = (struct sched_action){ .what = SCHED_RESET, .worker = w->sid };
        return true;
    }
    if ((l = list_first(&s->cancels))) {
        struct attempt *a = LIST_OF(l, struct attempt, in_line);
        list_take(l);
        *out =
            (struct sched_action){ SCHED_CANCEL, a->session->sid, a->chunk->id, a->number };
        return true;
    }
    if ((l = list_first(&s->todo))) {
        struct chunk *c = LIST_OF(l, struct chunk, todo);
        bool split = c->state == CHUNK_SPLIT;
        list_take(l);
        if (split) list_add(&s->splits, l);
        c->told = split;
        s->n_splits += split;
        *out = (struct sched_action){ .what = split ? SCHED_SPLIT : SCHED_REJECT,
                                      .chunk = c->id,
                                      .attempt = c->last_attempt };
        return true;
    }
    return false;
}

bool sched_next(struct sched *s, struct sched_action *out, ns_t now)
{
    ns_t t = inside(s, now);
    *out = (struct sched_action){ 0 };
    if (next_told(s, out)) return true;
    return !s->hold && (next_suspect(s, out, t) || next_pending(s, out, t) ||
                        next_straggler(s, out, t));
}

void sched_hold(struct sched *s, bool on)
{
    s->hold = on;
}

uint32_t sched_wants(const struct sched *s)
{
    if (s->no_more || s->hold) return 0;
    uint64_t queued = s->count[CHUNK_PENDING] + s->count[CHUNK_SUSPECT];
    uint64_t want = s->room > queued ? s->room - queued : 0;
    if (!queued && !want) want = 1; // without workers too: is there anything to do at all?

    uint64_t bound = memory_bound(s) + queued * s->result_avg;
    uint64_t each = s->held_avg + s->result_avg;
    uint64_t left = bound < s->o.memory_bytes ? s->o.memory_bytes - bound : 0;
    uint64_t fit = !left ? 0 : each ? left / each : UINT32_MAX;
    if (!fit && !s->chunks) fit = 1; // one that is larger than the memory must go, too
    if (want > fit) want = fit;
    return want < UINT32_MAX ? (uint32_t)want : UINT32_MAX;
}

bool sched_finished(const struct sched *s)
{
    return s->no_more && !s->chunks;
}

static uint32_t cut(uint64_t x)
{
    return x < UINT32_MAX ? (uint32_t)x : UINT32_MAX;
}

void sched_count(const struct sched *s, struct sched_counts *out)
{
    *out = (struct sched_counts){
        .retries = s->retries,
        .expired = s->expired,
        .duplicates = s->duplicates,
        .speculated = s->speculated,
        .failing = s->count[CHUNK_SUSPECT] + s->parts.n + s->n_trying,
        .workers = s->n_active,
        .slots = cut(s->slots),
        .running = cut(s->running),
        .idle_slots = cut(s->idle),
        .held_bytes = s->held + s->waiting,
    };
    for (int i = 0; i < CHUNK_N_STATES; i++)
        out->by_state[i] = s->count[i];
}

bool sched_waits_for(const struct sched *s, struct sched_wait *out)
{
    const struct chunk *c = lowest_open(s);
    if (!c) return false;
    *out = (struct sched_wait){ .chunk = c->id, .state = c->state, .since = c->since };
    for (int i = ATTEMPTS - 1; i >= 0; i--) {
        const struct attempt *a = &c->attempts[i];
        if (!a->session || a->cancelled) continue;
        out->worker = a->session->sid;
        out->attempt = a->number;
        out->since = a->since;
    }
    out->since = ns_add(out->since, s->paused);
    return true;
}
