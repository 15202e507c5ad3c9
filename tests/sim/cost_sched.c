// What an event costs the scheduler, counted and not timed: the compiler puts a call before
// each piece of its code without a branch (-fsanitize-coverage=trace-pc). Ten times the
// chunks, or the workers, may cost a few steps more, as a heap is a level or three higher.
//
//   cost_sched [workers chunks [slots]]     figures of one size, in place of the tests

#include "bench/sched_load.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t steps;

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
    steps++;
}

static struct sched_load load(uint32_t workers, uint64_t chunks, uint32_t slots,
                              uint64_t vanish, bool all)
{
    struct sched_load l = { .workers = workers,
                            .slots = slots,
                            .chunks = chunks,
                            .vanish = vanish,
                            .all = all,
                            .steps = &steps };
    sched_load_run(&l);
    return l;
}

static double each(const struct sched_load *l)
{
    return (double)l->steps_in_all / (double)l->events;
}

static unsigned levels(uint64_t n)
{
    return 64u - (unsigned)__builtin_clzll(n);
}

struct growth {
    const char *name;
    uint32_t workers[2];
    uint64_t chunks[2];
    uint64_t vanish;
    bool all;
};

static const struct growth growths[] = {
    { "ten_times_the_chunks", { 100, 100 }, { 10000, 100000 }, 0, false },
    { "ten_times_the_chunks_at_once", { 100, 100 }, { 10000, 100000 }, 0, true },
    { "ten_times_the_workers", { 100, 1000 }, { 50000, 50000 }, 0, false },
    { "a_hundred_times_of_both", { 20, 2000 }, { 2000, 200000 }, 0, true },
    { "sessions_vanish", { 100, 1000 }, { 10000, 100000 }, 100, true },
};

// A heap of n takes at most two comparisons a level, and each is some steps.
static void an_event_costs_what_a_heap_costs(void **state)
{
    enum { STEPS_A_LEVEL = 8 };
    const struct growth *g = *state;
    struct sched_load small = load(g->workers[0], g->chunks[0], 2, g->vanish, g->all);
    struct sched_load large = load(g->workers[1], g->chunks[1], 2, g->vanish, g->all);
    unsigned higher = levels(g->chunks[1]) - levels(g->chunks[0]) + levels(g->workers[1]) -
                      levels(g->workers[0]);
    printf("%.1f steps an event, then %.1f; %u levels more\n", each(&small), each(&large),
           higher);
    assert_true(each(&small) > 1); // they are counted
    assert_true(each(&large) < each(&small) + STEPS_A_LEVEL * higher);
}

static int figures(int argc, char **argv)
{
    struct sched_load l = load((uint32_t)atol(argv[1]), (uint64_t)atoll(argv[2]),
                               argc > 3 ? (uint32_t)atol(argv[3]) : 1, 0, false);
    printf("%u workers, %llu chunks: %llu events, %.1f steps each, %llu at most\n",
           l.workers, (unsigned long long)l.chunks, (unsigned long long)l.events, each(&l),
           (unsigned long long)l.steps_at_most);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 2) return figures(argc, argv);
    return test_main("cost_sched", NULL, 0,
                     TABLE(growths, an_event_costs_what_a_heap_costs), N_OF(growths));
}
