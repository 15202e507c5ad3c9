// Whole clusters in virtual time: the real scheduler against workers that crash, stop and
// hang, a network that loses, doubles and delays, records that fail or kill, and
// coordinators that die and resume from the ledger.
//
// After every event: sched_check, and the rules of memory, credit and attempt numbers. At
// the end: every record committed or rejected exactly once, and only poisonous ones
// rejected. SIM_SEED=n replays one cluster, SIM_ROUNDS=n runs so many.

#include "tests/sim/cluster.h"
#include "tests/test.h"

#include <string.h>

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
                cluster_queue(c, t, x);
            }
        }
    for (uint64_t n = calm ? 0 : sim_below(s, 4); n; n--)
        cluster_queue(c, sim_between(s, 0, 60 * NS_S),
                      (struct event){ .what = COORDINATOR_DIES });
    if (sim_chance(s, 0.2))
        cluster_queue(c, sim_between(s, 0, 20 * NS_S),
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
        cluster_queue(c, sim_between(s, 0, 10 * NS_S),
                      (struct event){ .what = WORKER_STARTS, .worker = (int)w });
    }
    make_faults(c);
    cluster_start(c);
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
            cluster_on_worker(c, x);
        else
            cluster_on_coordinator(c, x);
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
