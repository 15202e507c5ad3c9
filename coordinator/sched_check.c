#include "coordinator/sched_impl.h"

static void check_heap(const struct heap *h)
{
    for (size_t i = 0; i < h->n; i++) {
        assert(h->nodes[i]->at == i + 1);
        if (i) assert(!h->less(h->nodes[i], h->nodes[(i - 1) / 2]));
    }
}

static void check_attempt(const struct attempt *a)
{
    assert(!a->session->is_reset);
    assert(a->cancelled || a->chunk->state == CHUNK_LEASED);
    assert(a->timed == (a->due.node.at != 0));
    assert(!a->alone || a->session->alone);
    int found = 0;
    const struct list *all = &a->session->attempts;
    for (const struct list *l = all->next; l != all; l = l->next)
        found += l == &a->on_session;
    assert(found == 1);
}

static void check_chunk(const struct sched *s, const struct chunk *c)
{
    int live = 0;
    for (int i = 0; i < ATTEMPTS; i++) {
        const struct attempt *a = &c->attempts[i];
        assert(a->chunk == c);
        if (!a->session) {
            assert(!a->due.node.at && a->in_line.next == &a->in_line);
            continue;
        }
        check_attempt(a);
        live += !a->cancelled;
    }
    bool waits = c->state == CHUNK_PENDING || c->state == CHUNK_SUSPECT;
    assert((c->state == CHUNK_LEASED) == (live > 0));
    assert((c->open.at != 0) == is_open(c->state));
    assert((c->queue.at != 0) + (c->due.node.at != 0) == (waits ? 1 : 0));
    assert(!waits || (c->state == CHUNK_SUSPECT) == c->suspect);
    const struct heap *q = c->suspect ? &s->suspects : c->bisect ? &s->parts : &s->pending;
    assert(!c->queue.at || q->nodes[c->queue.at - 1] == &c->queue);
    assert(!c->trying || (c->bisect && c->state == CHUNK_LEASED));
    bool listed = c->todo.next != &c->todo; // a SPLIT until confirmed, a REJECT until told
    if (c->state == CHUNK_SPLIT)
        assert(listed);
    else
        assert(!listed || c->state == CHUNK_REJECTED);
}

static void check_session(const struct sched *s, const struct session *w)
{
    uint32_t leased = 0, timed = 0;
    bool alone = false, seen_untimed = false;
    for (const struct list *l = w->attempts.next; l != &w->attempts; l = l->next) {
        const struct attempt *a = LIST_OF(l, struct attempt, on_session);
        assert(a->session == w);
        if (a == w->untimed) seen_untimed = true;
        if (!a->timed) assert(seen_untimed);
        leased++;
        timed += a->timed;
        alone |= a->alone;
    }
    assert(leased == w->leased && timed == w->timed && alone == w->alone);
    assert(!w->untimed || (seen_untimed && !w->untimed->timed));
    assert(!w->untimed || w->timed >= w->slots);
    assert(!alone || leased == 1);
    assert(leased <= (uint64_t)w->slots * s->o.credit_max);
    assert(!w->is_reset || (!leased && !w->ready.at && !w->is_reserved));
    assert(w->is_reserved == (w->reserved.next != &w->reserved));
    bool ready = !w->is_reset && !w->draining && !w->alone && !w->is_reserved &&
                 w->leased < sched_credit(s, w);
    assert(ready == (w->ready.at != 0));
    assert(w->in_running == (leased < w->slots ? leased : w->slots));
}

void sched_check(const struct sched *s)
{
    const struct heap *heaps[] = { &s->open,     &s->pending, &s->parts,
                                   &s->suspects, &s->ready,   &s->dues };
    for (size_t i = 0; i < sizeof heaps / sizeof *heaps; i++)
        check_heap(heaps[i]);

    uint64_t count[CHUNK_N_STATES] = { 0 }, held = 0, waiting = 0;
    uint32_t trying = 0;
    for (const struct chunk *c = s->chunks; c; c = c->hh.next) {
        check_chunk(s, c);
        count[c->state]++;
        held += c->held;
        trying += c->trying;
        waiting += c->result_bytes;
        assert(c->state == CHUNK_RECEIVED || !c->result_bytes);
    }
    assert(held == s->held && waiting == s->waiting && trying == s->n_trying);
    for (int i = 0; i < CHUNK_N_STATES; i++)
        assert(chunk_terminal(i) ? s->count[i] >= count[i] : s->count[i] == count[i]);

    uint32_t splits = 0;
    for (const struct list *l = s->splits.next; l != &s->splits; l = l->next)
        splits++;
    assert(splits == s->n_splits);

    uint64_t slots = 0, running = 0, idle = 0, room = 0;
    uint32_t active = 0, reserved = 0;
    for (const struct session *w = s->sessions; w; w = w->hh.next) {
        check_session(s, w);
        running += w->in_running;
        idle += w->in_idle;
        room += w->in_room;
        reserved += w->is_reserved;
        if (w->is_reset) continue;
        active++;
        slots += w->slots;
    }
    assert(slots == s->slots && running == s->running && idle == s->idle &&
           room == s->room);
    assert(active == s->n_active && reserved == s->n_reserved);
}
