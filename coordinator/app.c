#include "coordinator/app_impl.h"

#include "coordinator/interrupt.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    // Of the local worker without a result in between: more than a record that kills whole
    // workers needs to be found out.
    LOCAL_DEATHS_MAX = 40,
    SAY_QUEUE = 256,
    REMOTE_SLOTS = 16, // how many there will be, as long as nobody knows
};
static const ns_t PING_EVERY = 5 * NS_S, SLEEP_MAX = NS_S,
                  PAUSED = 5 * NS_S, // to stand still is more than to sleep
    FULL_QUEUE = 5 * NS_MS,
                  LOOK_AT_PEERS = NS_S / 10; // there may be thousands

void app_fails(struct app *a, const struct err *e)
{
    if (!a->over) a->e = *e;
    a->over = true;
}

void app_fails_nomem(struct app *a)
{
    err_set(&a->scratch, ERR_NOMEM, "out of memory");
    app_fails(a, &a->scratch);
}

// ---- saying ----

void app_journal_failed(struct app *a)
{
    char line[1200];
    if (a->journal_failed) return;
    a->journal_failed = true;
    snprintf(line, sizeof line, "%s; the run goes on, its history has gaps",
             a->scratch.text);
    progress_say(a->in->progress, line);
}

void app_say(struct app *a, const char *kind, const char *text)
{
    if (a->in->job->output != OUTPUT_QUIET) progress_say(a->in->progress, text);
    if (a->in->journal && journal_event(a->in->journal, kind, text, &a->scratch) != ERR_OK)
        app_journal_failed(a);
}

static void say_from_loader(void *arg, const char *text)
{
    struct app *a = arg;
    char *copy = strdup(text);
    if (copy && !queue_push(a->says, copy, 0)) free(copy);
}

static void pass_on_says(struct app *a)
{
    for (char *s; (s = queue_pop(a->says, 0));) {
        app_say(a, "warehouse", s);
        free(s);
    }
}

const char *app_chunk_name(const struct app *a, const struct work *k, char *out, size_t cap)
{
    uint32_t n;
    const struct source_input *in = source_inputs(a->in->source, &n);
    snprintf(out, cap, "%.200s %s %llu-%llu", in[k->key.input].name,
             in[k->key.input].in_rows ? "rows" : "bytes", (unsigned long long)k->key.begin,
             (unsigned long long)k->key.end);
    return out;
}

// ---- time, signals, the local worker ----

static void on_local_death(struct app *a)
{
    char how[256], line[400];
    ns_t now = clock_ns();
    if (!local_reap(a->in->local, how, sizeof how)) return;
    app_take_messages(
        a); // its last words may still be there: they say more than its exit code
    if (a->over) return;
    struct session *s, *tmp;
    HASH_ITER(by_sid, a->sessions.sids, s, tmp)
    {
        if (s->peer.link == APP_IPC) app_session_end(a, s, now);
    }
    a->t->worker_deaths++;
    if (++a->local_deaths > LOCAL_DEATHS_MAX) {
        err_set(&a->scratch, ERR_DIED,
                "the local worker %s, %u times without a result in between", how,
                a->local_deaths);
        app_fails(a, &a->scratch);
        return;
    }
    snprintf(line, sizeof line, "the local worker %s; starting another", how);
    app_say(a, "worker", line);
    if (local_start(a->in->local, a->in->slots, &a->scratch) != ERR_OK)
        app_fails(a, &a->scratch);
}

static void on_signal(struct app *a)
{
    if (interrupt_reload_asked()) app_look_at_gate(a, true, clock_ns());
    if (a->t->interrupted || !interrupt_seen()) return;
    a->t->interrupted = true;
    err_set(&a->scratch, ERR_CLOSED, "interrupted by %s", strsignal(interrupt_seen()));
    app_fails(a, &a->scratch);
}

// A connection that ended says nothing of whose it was: all are asked, and a peer that is
// gone cannot be sent to.
static void ping_the_quiet(struct app *a, ns_t now)
{
    struct session *s, *tmp;
    struct link_events seen = { 0 };
    char line[120];
    if (now - a->peers_seen < clock_protocol(LOOK_AT_PEERS)) return;
    a->peers_seen = now;
    if (a->in->link[APP_TCP]) link_state(a->in->link[APP_TCP], &seen);
    bool lost = seen.lost != a->lost_seen;
    a->lost_seen = seen.lost;
    app_tell_cut(a, &seen);
    ns_t ping_every = clock_protocol(PING_EVERY);
    HASH_ITER(by_sid, a->sessions.sids, s, tmp)
    {
        bool ask = lost && s->peer.link == APP_TCP;
        struct msg m = { .type = MSG_PING, .PING = { ++a->seq } };
        if (ask || now - s->sent >= ping_every) app_post(a, s, &m, NULL, 0, NULL, NULL);
        if (s->missed) {
            app_begin_anew(a, &s->peer, now);
            continue;
        }
        if (!s->gone || s->peer.link != APP_TCP) continue;
        snprintf(line, sizeof line, "worker %s is gone", s->name);
        app_say(a, "worker", line);
        a->t->worker_deaths++;
        app_session_end(a, s, now);
    }
}

static ns_t tick(struct app *a)
{
    ns_t now = clock_ns(), gap = now - a->last_loop;
    if (gap > clock_protocol(PAUSED))
        sched_paused(a->sched, gap, now); // we stood still, not they
    app_look_at_lines(a, now);
    ns_t next = sched_tick(a->sched, now);
    ping_the_quiet(a, now);
    app_look_at_gate(a, false, now);
    app_complaints_tick(a, now);
    app_gather(a, now);
    app_mind_stall(a, now);
    app_stats_tick(a, now);
    app_tell_cache(a);
    struct sched_counts c;
    uint32_t n;
    sched_count(a->sched, &c);
    a->t->retries = c.retries;
    app_tell_live(a, &c, false, now);
    app_tell_now(a, &c, now);
    app_mind_retired(a, now);
    struct progress_view v = { .bytes_done = a->bytes_done,
                               .bytes_total = a->bytes_total,
                               .in_rows = source_inputs(a->in->source, &n)->in_rows,
                               .rows = a->t->rows_read,
                               .rejects = a->t->rows_rejected,
                               .workers = c.workers,
                               .slots_busy = c.running,
                               .failing = c.failing,
                               .waits_for = a->waits[0] ? a->waits : NULL };
    ns_t bar = progress_tick(a->in->progress, &v, now);
    return bar < next ? bar : next;
}

static int sleep_ms(ns_t until)
{
    ns_t left = until - clock_ns(), most = clock_protocol(SLEEP_MAX);
    if (left <= 0) return 0;
    return (int)((left < most ? left : most) / NS_MS) + 1;
}

static int fd_of(const struct link *l)
{
    return l ? link_fd(l) : -1; // which poll leaves out
}

static void wait_for_events(struct app *a, ns_t until)
{
    bool want_chunks = app_wants_chunks(a);
    struct pollfd f[] = {
        { fd_of(a->in->link[APP_IPC]), POLLIN, 0 },
        { fd_of(a->in->link[APP_TCP]), POLLIN, 0 },
        { loader_fd(a->loader), POLLIN, 0 },
        { queue_fd(a->says), POLLIN, 0 },
        { interrupt_fd(), POLLIN, 0 },
        { a->in->local->pidfd, POLLIN, 0 },
        { want_chunks ? feeder_fd(a->feeder) : -1, POLLIN, 0 },
        { a->fetch ? fetch_fd(a->fetch) : -1, POLLIN, 0 },
    };
    a->last_loop = clock_ns();
    poll(f, sizeof f / sizeof f[0], a->more ? 0 : sleep_ms(until));
    ns_t now = clock_ns();
    if (now - a->last_loop <= clock_protocol(PAUSED)) a->last_loop = now;
    if (f[4].revents) on_signal(a);
    if (f[5].revents) on_local_death(a);
}

static bool finished(const struct app *a)
{
    return a->fed && sched_finished(a->sched) && a->in_loader == 0 && a->works.n == 0;
}

// Sends what was kept for company. False: a queue is full, and nothing will tell when not.
static bool flush_links(struct app *a)
{
    bool all = true;
    for (int i = 0; i < APP_LINKS; i++)
        all &= !a->in->link[i] || link_flush(a->in->link[i]);
    return all;
}

static void loop(struct app *a)
{
    app_take_messages(a);
    while (!a->over && !finished(a)) {
        app_take_loaded(a);
        app_mind_loader(a);
        pass_on_says(a);
        app_take_chunks(a);
        app_take_fetched(a);
        app_act(a);
        if (a->over || finished(a)) return;
        ns_t next = tick(a);
        app_mind_loader(a);
        app_act(a);
        bool all_left = flush_links(a);
        loader_flush(a->loader);
        a->more |= app_take_messages(a); // sending may have eaten ZeroMQ's edge
        ns_t soon = clock_ns() + FULL_QUEUE;
        wait_for_events(a, all_left || next < soon ? next : soon);
        app_take_messages(a);
    }
}

// ---- start and end ----

static void measure_input(struct app *a)
{
    uint32_t n;
    const struct source_input *in = source_inputs(a->in->source, &n);
    bool known = true;
    for (uint32_t i = 0; i < n; i++) {
        known &= !in[i].by_value;
        a->bytes_total += in[i].size > in[i].data_begin ? in[i].size - in[i].data_begin : 0;
    }
    if (!known) a->bytes_total = 0;
    for (size_t i = 0; i < a->in->load->n_ledger; i++) {
        const struct ledger_row *r = &a->in->load->ledger[i];
        if (r->state != LEDGER_SPLIT) a->bytes_done += r->range.end - r->range.begin;
    }
    a->ledger_bytes = a->bytes_done;
}

static err_t app_open(struct app *a, struct err *e)
{
    const struct job *j = a->in->job;
    struct sched_opts o = { .silence = APP_SILENCE,
                            .lease = clock_protocol(30 * NS_S),
                            .retry_backoff = 50 * NS_MS,
                            .retries = j->retries,
                            // Of those that wait for something else nobody waits for the
                            // next batch: credit_work sees to the quick ones among them.
                            .credit_min = j->workers_concurrency > 1 ? 1 : 2,
                            .credit_max = 64,
                            .credit_work = 40 * NS_MS,
                            .lost = app_attempt_lost,
                            .lost_arg = a,
                            .memory_bytes = j->memory_bytes / 2 };
    a->job = hash_bytes(a->in->spec->p, a->in->spec->n);
    a->sessions.epoch = a->in->load->epoch;
    a->sched = sched_new(&o);
    a->says = queue_new(SAY_QUEUE, QUEUE_ANY);
    if (!a->sched || !a->says) return err_set(e, ERR_NOMEM, "out of memory");
    TRY(app_share_open(a, e));
    app_stats_open(a);
    measure_input(a);
    // An aggregate's batches are cut alike however fast they are (docs/AGGREGATE.md), and
    // those of the cache, which would not be found again (docs/CACHE.md).
    uint64_t fixed = j->batch_rows ? 1 : j->batch_bytes;
    if (!fixed && (job_aggregates(j) || j->cache_bytes))
        fixed = tune_aggregate_bytes(j->memory_bytes);
    tune_init(&a->tune, fixed, a->bytes_total,
              (a->in->slots ? a->in->slots : REMOTE_SLOTS) * j->workers_concurrency,
              j->memory_bytes);
    TRY(loader_start(&a->loader, a->in->ops, a->in->warehouse, say_from_loader, a, e));
    return feeder_start(&a->feeder, a->in->source, &a->tune.target_bytes, e);
}

static void stop_workers(struct app *a)
{
    static const char reason[] = "the run is over";
    struct session *s, *tmp;
    HASH_ITER(by_sid, a->sessions.sids, s, tmp)
    {
        if (app_keeps_for_next(a, s)) {
            app_reset(a, &s->peer, s->sid, "the job is over: another one comes");
            continue;
        }
        struct msg m = { .type = MSG_STOP, .STOP = { msg_str(reason, sizeof reason - 1) } };
        bool told = app_post(a, s, &m, NULL, 0, NULL, NULL);
        if (s->peer.link == APP_IPC) a->in->local->told_to_stop |= told;
    }
}

// What was handed to the loader is committed even when the run ends early: work is not
// lost.
static void drain_loader(struct app *a)
{
    if (!a->loader) return;
    // A full disk or a lock must not hold up a run that ends with an error anyway.
    if (a->over) loader_give_up_waiting(a->loader);
    if (a->t->interrupted && a->in_loader) {
        char line[120];
        snprintf(line, sizeof line,
                 "%s: committing what is finished; a second signal ends it at once",
                 strsignal(interrupt_seen()));
        app_say(a, "run", line);
    }
    loader_stop(a->loader);
    a->t->commit_ns = (uint64_t)loader_busy_ns(a->loader);
    for (struct load_item *i; (i = loader_next(a->loader));) {
        if (i->kind == LOAD_RESULT && i->code == ERR_OK) app_add_totals(a, &i->result.row);
        load_item_free(&i);
    }
    pass_on_says(a);
}

static void app_close(struct app *a)
{
    stop_workers(a);
    app_tell_live(a, &(struct sched_counts){ 0 }, true, clock_ns());
    feeder_free(&a->feeder);
    drain_loader(a);
    app_close_cache(a);
    app_stats_close(a);
    if (a->in->journal && journal_flush(a->in->journal, &a->scratch) != ERR_OK)
        app_journal_failed(a);
    progress_end(a->in->progress);
    loader_free(&a->loader);
    if (a->t->handed_over) {
        char line[120];
        snprintf(line, sizeof line,
                 "%llu batches that workers had finished for an earlier coordinator were "
                 "taken over",
                 (unsigned long long)a->t->handed_over);
        app_say(a, "worker", line);
    }
    fetch_close(&a->fetch);
    app_drop_early(a);
    works_free(&a->works);
    app_guard_close(a);
    app_share_close(a);
    sessions_free(&a->sessions);
    sched_free(&a->sched);
    queue_free(&a->says);
}

err_t app_run(const struct app_in *in, struct app_totals *t, struct err *e)
{
    struct app a = { .in = in, .t = t };
    a.last_result = a.last_loaded = a.last_fed = a.last_loop = a.began = clock_ns();
    interrupt_reload_on_hangup(in->link[APP_TCP] != NULL);
    interrupt_watch(true);
    err_t rc = app_open(&a, e);
    if (rc == ERR_OK) {
        loop(&a);
        if (a.over) {
            *e = a.e;
            rc = a.e.code;
        }
    }
    interrupt_watch(false); // nobody polls any more
    app_close(&a);
    if (rc != ERR_OK || !interrupt_seen()) return rc;
    t->interrupted = true; // it came when the loop was over already
    return err_set(e, ERR_CLOSED, "interrupted by %s", strsignal(interrupt_seen()));
}
