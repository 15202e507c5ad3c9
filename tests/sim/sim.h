// sim - virtual time: a queue of events, and a random generator that a seed repeats.

#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "common/clock.h"
#include "common/heap.h"
#include "common/list.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

// The seed stands in every failure, so that SIM_SEED can replay it.
#define SIM_CHECK(sim, cond)                                                             \
    do {                                                                                 \
        if (!(cond)) {                                                                   \
            fprintf(stderr, "%s:%d: SIM_SEED=%llu: %s, at %.3f s\n", __FILE__, __LINE__, \
                    (unsigned long long)(sim)->seed, #cond, (double)(sim)->now / 1e9);   \
            abort();                                                                     \
        }                                                                                \
    } while (0)

struct sim {
    uint64_t seed, random, order, events;
    ns_t now;
    struct heap queue;
};

struct sim_event { // first member of what the test queues
    struct heap_node node;
    ns_t at;
    uint64_t order; // of creation: equal times stay in order
};

static inline bool sim_less(const struct heap_node *a, const struct heap_node *b)
{
    const struct sim_event *x = LIST_OF(a, struct sim_event, node);
    const struct sim_event *y = LIST_OF(b, struct sim_event, node);
    return x->at != y->at ? x->at < y->at : x->order < y->order;
}

static inline void sim_init(struct sim *s, uint64_t seed)
{
    *s = (struct sim){ .seed = seed, .random = seed, .queue = { .less = sim_less } };
}

static inline uint64_t sim_random(struct sim *s) // splitmix64 (Steele, Lea, Flood 2014)
{
    uint64_t z = s->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline uint64_t sim_below(struct sim *s, uint64_t n)
{
    return n ? sim_random(s) % n : 0;
}

static inline ns_t sim_between(struct sim *s, ns_t least, ns_t most)
{
    return least + (ns_t)sim_below(s, (uint64_t)(most - least) + 1);
}

static inline bool sim_chance(struct sim *s, double p)
{
    return (double)(sim_random(s) >> 11) < p * 9007199254740992.0; // 2^53
}

static inline void sim_at(struct sim *s, ns_t at, struct sim_event *x)
{
    x->at = at > s->now ? at : s->now;
    x->order = s->order++;
    SIM_CHECK(s, heap_reserve(&s->queue, s->queue.n + 1) == ERR_OK);
    heap_push(&s->queue, &x->node);
}

// The next event, which is the caller's now; time goes on to it. NULL: none.
static inline struct sim_event *sim_next(struct sim *s)
{
    struct heap_node *top = heap_top(&s->queue);
    if (!top) return NULL;
    heap_remove(&s->queue, top);
    struct sim_event *x = LIST_OF(top, struct sim_event, node);
    s->now = x->at;
    s->events++;
    return x;
}

#endif
