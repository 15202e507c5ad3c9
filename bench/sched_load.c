#include "bench/sched_load.h"

#include "common/heap.h"
#include "common/list.h"
#include "coordinator/sched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

struct state {
    struct sched_load *load;
    struct sched *s;
    struct worker *w;
    struct heap running;
    uint64_t begun; // steps before the event
    uint64_t results;
    sid_u64 next_sid;
    chunk_id next;
    ns_t now;
};

static bool earlier(const struct heap_node *a, const struct heap_node *b)
{
    return LIST_OF(a, struct worker, node)->at < LIST_OF(b, struct worker, node)->at;
}

static void must(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "sched_load: %s\n", what);
    exit(1);
}

// Around each call of the scheduler.
static void begin(struct state *x)
{
    x->begun = x->load->steps ? *x->load->steps : 0;
}

static void end(struct state *x)
{
    struct sched_load *l = x->load;
    uint64_t steps = l->steps ? *l->steps - x->begun : 0;
    l->events++;
    l->steps_in_all += steps;
    if (steps > l->steps_at_most) l->steps_at_most = steps;
}

static struct worker *worker_of(struct state *x, sid_u64 sid)
{
    return &x->w[sid % x->load->workers]; // a session comes back to its worker's place
}

static void assign(struct state *x, const struct sched_action *a)
{
    struct worker *w = worker_of(x, a->worker);
    if (a->what == SCHED_RESET || a->what == SCHED_CANCEL) return;
    must(a->what == SCHED_ASSIGN && w->sid == a->worker, "nothing else goes wrong here");
    must(w->n < w->size, "more than the credit");
    w->queue[(w->first + w->n++) % w->size] = (struct lease){ a->chunk, a->attempt };
    if (w->node.at) return;
    w->at = x->now + NS_MS + (ns_t)(a->chunk % 1000) * 1000;
    heap_push(&x->running, &w->node);
}

static void pump(struct state *x)
{
    struct sched_action a;
    begin(x);
    sched_tick(x->s, x->now);
    end(x);
    for (bool more = true; more;) {
        begin(x);
        more = sched_next(x->s, &a, x->now);
        end(x);
        if (more) assign(x, &a);
    }
}

static void add(struct state *x)
{
    chunk_id c = x->next++;
    struct range r = { 0, c * 1000, c * 1000 + 1000 };
    begin(x);
    err_t rc = sched_chunk_add(x->s, c, r, 10, 0, 0, 0, x->now);
    end(x);
    must(rc == ERR_OK, "out of memory");
}

static void join(struct state *x, struct worker *w)
{
    begin(x);
    err_t rc = sched_worker_join(x->s, w->sid, x->load->slots, x->now);
    end(x);
    must(rc == ERR_OK, "out of memory");
}

static void vanish(struct state *x, struct worker *w)
{
    heap_remove(&x->running, &w->node);
    w->first = w->n = 0;
    begin(x);
    sched_worker_gone(x->s, w->sid, x->now);
    end(x);
    w->sid += x->load->workers;
    x->load->lost++;
    join(x, w);
}

static void complete(struct state *x, struct worker *w)
{
    struct lease l = w->queue[w->first];
    w->first = (w->first + 1) % w->size;
    w->n--;
    if (l.c % 4 == 0) {
        begin(x);
        sched_progress(x->s, w->sid, l.c, l.attempt, x->now);
        end(x);
    }
    begin(x);
    bool first = sched_result(x->s, w->sid, l.c, l.attempt, 1000, NS_MS, x->now);
    end(x);
    if (first) {
        begin(x);
        sched_committed(x->s, l.c, x->now);
        end(x);
    }
    w->at = x->now + NS_MS + (ns_t)(l.c * 7 % 1000) * 1000;
    if (w->n)
        heap_fix(&x->running, &w->node);
    else
        heap_remove(&x->running, &w->node);
}

static void start(struct state *x)
{
    struct sched_opts o = { .silence = 15 * NS_S,
                            .lease = 30 * NS_S,
                            .retries = 3,
                            .credit_min = 2,
                            .credit_max = 64,
                            .credit_work = 5 * NS_MS,
                            .memory_bytes = (uint64_t)1 << 40 };
    struct sched_load *l = x->load;
    x->s = sched_new(&o);
    x->w = calloc(l->workers, sizeof *x->w);
    x->running.less = earlier;
    must(x->s && x->w && heap_reserve(&x->running, l->workers) == ERR_OK, "out of memory");
    for (uint32_t i = 0; i < l->workers; i++) {
        struct worker *w = &x->w[i];
        w->sid = i + l->workers;
        w->size = l->slots * o.credit_max;
        w->queue = calloc(w->size, sizeof *w->queue);
        must(w->queue, "out of memory");
        join(x, w);
    }
}

static void stop(struct state *x)
{
    struct sched_counts n;
    sched_count(x->s, &n);
    must(n.by_state[CHUNK_COMMITTED] == x->load->chunks, "every chunk is committed");
    sched_free(&x->s);
    for (uint32_t i = 0; i < x->load->workers; i++)
        free(x->w[i].queue);
    free(x->w);
    heap_free(&x->running);
}

void sched_load_run(struct sched_load *l)
{
    struct state x = { .load = l };
    start(&x);
    while (l->all && x.next < l->chunks)
        add(&x);
    for (;;) {
        for (uint32_t want = sched_wants(x.s); want && x.next < l->chunks; want--)
            add(&x);
        pump(&x);
        struct heap_node *top = heap_top(&x.running);
        if (!top) break;
        struct worker *w = LIST_OF(top, struct worker, node);
        x.now = w->at;
        if (l->vanish && ++x.results % l->vanish == 0)
            vanish(&x, w);
        else
            complete(&x, w);
    }
    stop(&x);
}
