// sched_bench - what a chunk's life costs the scheduler, in virtual time: added, assigned,
// progress now and then, result, committed. The bench's own queue of completions is
// included.
//
//   sched_bench [workers [chunks [slots [all]]]]     all: every chunk is added before the
//   first result

#include "common/heap.h"
#include "common/list.h"
#include "coordinator/sched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct worker { // runs one chunk after another
    struct heap_node node;
    ns_t at;
    sid_u64 sid;
    struct lease {
        chunk_id c;
        uint32_t attempt;
    } * queue;
    uint32_t first, n, size;
};

static uint64_t calls;

static bool earlier(const struct heap_node *a, const struct heap_node *b)
{
    return LIST_OF(a, struct worker, node)->at < LIST_OF(b, struct worker, node)->at;
}

static void must(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "sched_bench: %s\n", what);
    exit(1);
}

static void assign(struct worker *w, const struct sched_action *a, struct heap *running,
                   ns_t now)
{
    must(a->what == SCHED_ASSIGN, "nothing goes wrong here");
    must(w->n < w->size, "more than the credit");
    w->queue[(w->first + w->n++) % w->size] = (struct lease){ a->chunk, a->attempt };
    if (w->node.at) return;
    w->at = now + NS_MS + (ns_t)(a->chunk % 1000) * 1000;
    heap_push(running, &w->node);
}

static void pump(struct sched *s, struct worker *w, struct heap *running, ns_t now)
{
    struct sched_action a;
    sched_tick(s, now);
    while (calls++, sched_next(s, &a, now))
        assign(&w[a.worker - 1], &a, running, now);
}

static void add(struct sched *s, chunk_id *next, ns_t now)
{
    chunk_id c = (*next)++;
    struct range r = { 0, c * 1000, c * 1000 + 1000 };
    calls++;
    must(sched_chunk_add(s, c, r, 10, 0, 0, 0, now) == ERR_OK, "out of memory");
}

static void complete(struct sched *s, struct worker *w, struct heap *running, ns_t now)
{
    struct lease l = w->queue[w->first];
    w->first = (w->first + 1) % w->size;
    w->n--;
    if (l.c % 4 == 0) sched_progress(s, w->sid, l.c, l.attempt, now), calls++;
    must(sched_result(s, w->sid, l.c, l.attempt, 1000, NS_MS, now), "the first result");
    sched_committed(s, l.c, now);
    calls += 2;
    w->at = now + NS_MS + (ns_t)(l.c * 7 % 1000) * 1000;
    if (w->n)
        heap_fix(running, &w->node);
    else
        heap_remove(running, &w->node);
}

static long rss_kb(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

int main(int argc, char **argv)
{
    uint32_t workers = argc > 1 ? (uint32_t)atol(argv[1]) : 10000;
    uint64_t chunks = argc > 2 ? (uint64_t)atoll(argv[2]) : 1000000;
    uint32_t slots = argc > 3 ? (uint32_t)atol(argv[3]) : 1;
    bool all = argc > 4 && !strcmp(argv[4], "all");
    struct sched_opts o = { .silence = 15 * NS_S,
                            .lease = 30 * NS_S,
                            .retries = 3,
                            .credit_min = 2,
                            .credit_max = 64,
                            .credit_work = 5 * NS_MS,
                            .memory_bytes = (uint64_t)1 << 40 };
    struct sched *s = sched_new(&o);
    struct worker *w = calloc(workers, sizeof *w);
    struct heap running = { .less = earlier };
    must(s && w && heap_reserve(&running, workers) == ERR_OK, "out of memory");
    long before = rss_kb();
    ns_t now = 0, begun = clock_cpu_ns();
    for (uint32_t i = 0; i < workers; i++) {
        w[i].sid = i + 1;
        w[i].size = slots * o.credit_max;
        w[i].queue = calloc(w[i].size, sizeof *w[i].queue);
        must(w[i].queue && sched_worker_join(s, w[i].sid, slots, 0) == ERR_OK, "no memory");
    }
    chunk_id next = 0;
    while (all && next < chunks)
        add(s, &next, now);
    for (;;) {
        for (uint32_t want = sched_wants(s); want && next < chunks; want--)
            add(s, &next, now);
        pump(s, w, &running, now);
        struct heap_node *top = heap_top(&running);
        if (!top) break;
        now = LIST_OF(top, struct worker, node)->at;
        complete(s, LIST_OF(top, struct worker, node), &running, now);
    }
    double seconds = (double)(clock_cpu_ns() - begun) / 1e9;
    struct sched_counts n;
    sched_count(s, &n);
    must(n.by_state[CHUNK_COMMITTED] == chunks, "every chunk is committed");
    printf("%u workers, %llu chunks%s: %.2f CPU s, %.0f chunks/s, %.0f calls/s, %.0f ns a "
           "chunk, "
           "%.1f MiB more at most\n",
           workers, (unsigned long long)chunks, all ? " all at once" : "", seconds,
           (double)chunks / seconds, (double)calls / seconds,
           seconds * 1e9 / (double)chunks, (double)(rss_kb() - before) / 1024);
    sched_free(&s);
    for (uint32_t i = 0; i < workers; i++)
        free(w[i].queue);
    free(w);
    heap_free(&running);
    return 0;
}
