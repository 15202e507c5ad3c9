// Workers, time and the cache, told to the journal for explain and report.

#include "coordinator/app_impl.h"

#include "common/host.h"
#include "coordinator/journal_stats.h"
#include "coordinator/result_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const ns_t SAMPLE_FIRST = NS_S / 10, WRITE_WORKERS = 10 * NS_S;
static const ns_t WRITE_SERVED = NS_S; // who asks a server wants to see them now
enum { WRITTEN_AT_ONCE = 64 };

static int64_t since_ms(const struct app *a, ns_t now)
{
    return (now - a->in->run_began) / NS_MS;
}

// ---- workers ----

static struct stat_worker *worker_of(struct app *a, const char *name)
{
    struct stat_worker *w;
    HASH_FIND_STR(a->stats.workers, name, w);
    if (w || HASH_COUNT(a->stats.workers) >= JOURNAL_WORKERS_MAX) return w;
    if (!(w = calloc(1, sizeof *w))) return NULL;
    snprintf(w->name, sizeof w->name, "%s", name);
    HASH_ADD_STR(a->stats.workers, name, w);
    if (!w->hh.tbl) return free(w), NULL;
    return w;
}

static void copy(char *to, size_t size, struct msg_str s)
{
    snprintf(to, size, "%.*s", (int)s.n, s.p);
}

void app_stats_came(struct app *a, struct session *s, const struct msg_HELLO *h, ns_t now)
{
    struct stat_worker *w = a->in->journal ? worker_of(a, s->name) : NULL;
    s->stat = w;
    if (!w) return;
    if (!w->sessions) w->came_ms = since_ms(a, now);
    copy(w->host, sizeof w->host, h->host);
    copy(w->cpu, sizeof w->cpu, h->cpu);
    w->role = s->peer.link == APP_IPC ? "local" : "remote";
    w->cores = h->cores < UINT32_MAX ? (uint32_t)h->cores : 0;
    w->memory_bytes = h->memory_bytes < INT64_MAX ? h->memory_bytes : 0;
    w->slots = s->slots;
    w->sessions++;
    w->here++;
    w->left_ms = -1;
    w->changed = true;
}

void app_stats_left(struct app *a, struct session *s, ns_t now)
{
    struct stat_worker *w = s->stat;
    if (!w) return;
    if (--w->here == 0) w->left_ms = since_ms(a, now);
    w->changed = true;
    s->stat = NULL;
}

void app_stats_worked(struct app *a, const struct session *s, ns_t run, bool failed,
                      ns_t now)
{
    struct stat_worker *w = s ? s->stat : NULL;
    if (!w) return;
    int64_t to = (now - a->in->run_began) / 1000, us = run > 0 ? run / 1000 : 0;
    int64_t most = to - w->came_ms * 1000; // whatever it says
    if (us > most) us = most > 0 ? most : 0;
    busy_add(&w->busy, to - us, to);
    w->busy_us += (uint64_t)us;
    w->chunks += !failed;
    w->failed += failed;
    w->changed = true;
}

static struct journal_worker row_of(const struct stat_worker *w, const char *busy)
{
    return (struct journal_worker){ .name = w->name,
                                    .role = w->role,
                                    .host = w->host,
                                    .cpu = w->cpu,
                                    .cores = w->cores,
                                    .slots = w->slots,
                                    .memory_bytes = w->memory_bytes,
                                    .sessions = w->sessions,
                                    .came_ms = w->came_ms,
                                    .left_ms = w->left_ms,
                                    .chunks = w->chunks,
                                    .failed = w->failed,
                                    .busy_ms = (int64_t)(w->busy_us / 1000),
                                    .bucket_ms = w->busy.bucket_us / 1000,
                                    .busy = busy };
}

static void write_some(struct app *a, struct stat_worker **v, size_t n)
{
    struct journal_worker rows[WRITTEN_AT_ONCE] = { 0 };
    struct buf text[WRITTEN_AT_ONCE] = { 0 };
    err_t rc = ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        rc = busy_text(&v[i]->busy, &text[i], &a->scratch);
        rows[i] = row_of(v[i], (const char *)text[i].p);
    }
    if (rc == ERR_OK) rc = journal_workers_put(a->in->journal, rows, n, &a->scratch);
    if (rc != ERR_OK) app_journal_failed(a);
    for (size_t i = 0; i < n; i++) {
        v[i]->changed = false;
        buf_free(&text[i]);
    }
}

static void write_workers(struct app *a, ns_t now)
{
    struct stat_worker *v[WRITTEN_AT_ONCE], *w, *tmp;
    size_t n = 0;
    a->stats.written = now;
    HASH_ITER(hh, a->stats.workers, w, tmp)
    {
        if (!w->changed) continue;
        v[n++] = w;
        if (n == WRITTEN_AT_ONCE) write_some(a, v, n), n = 0;
    }
    if (n) write_some(a, v, n);
}

// ---- time ----

static void thin(struct app *a)
{
    struct app_stats *s = &a->stats;
    s->sample_step *= 2;
    s->sample_every *= 2;
    s->sample = (s->sample + s->sample_step - 1) / s->sample_step * s->sample_step;
    s->kept = (s->kept + 1) / 2;
    if (journal_samples_thin(a->in->journal, s->sample_step, &a->scratch) != ERR_OK)
        app_journal_failed(a);
}

static void sample(struct app *a, ns_t now)
{
    struct app_stats *s = &a->stats;
    struct sched_counts c;
    sched_count(a->sched, &c);
    struct journal_sample x = { .at_ms = since_ms(a, now),
                                .rows_read = a->t->rows_read,
                                .rows_rejected = a->t->rows_rejected + a->t->rows_refused,
                                .bytes = a->t->bytes_read,
                                .chunks = a->t->chunks,
                                .chunks_cached = a->t->chunks_cached,
                                .retries = c.retries,
                                .workers = c.workers,
                                .slots = c.slots,
                                .busy = c.running,
                                .results = a->in_loader };
    s->sampled = now;
    if (journal_sample_put(a->in->journal, s->sample, &x, &a->scratch) != ERR_OK)
        app_journal_failed(a);
    s->sample += s->sample_step;
    if (++s->kept >= JOURNAL_SAMPLES_MAX) thin(a);
}

// ---- the cache ----

static void write_reused(struct app *a)
{
    struct app_stats *s = &a->stats;
    if (s->reused.chunks &&
        journal_reused_put(a->in->journal, s->reused.range, s->reused.chunks, s->reused.why,
                           &a->scratch) != ERR_OK)
        app_journal_failed(a);
    s->reused.chunks = 0;
}

void app_stats_reused(struct app *a, struct range r, const char *why)
{
    struct app_stats *s = &a->stats;
    if (!a->in->journal) return;
    bool goes_on = s->reused.chunks && s->reused.range.input == r.input &&
                   s->reused.range.end == r.begin && !strcmp(s->reused.why, why);
    if (!goes_on) {
        write_reused(a);
        s->reused.range = r;
        s->reused.why = why;
    }
    s->reused.range.end = r.end;
    s->reused.chunks++;
}

// ---- all of it ----

void app_stats_open(struct app *a)
{
    char host[HOST_NAME], cpu[HOST_CPU];
    a->stats.sample_step = 1;
    a->stats.sample_every = SAMPLE_FIRST;
    a->stats.written = clock_ns();
    if (!a->in->journal) return;
    // Who adds up hosts needs that of the coordinator, too.
    struct journal_worker own = { .name = "(coordinator)",
                                  .role = "coordinator",
                                  .host = host_name(host),
                                  .cpu = host_cpu(cpu),
                                  .cores = host_cores(),
                                  .memory_bytes = host_memory_bytes(),
                                  .left_ms = -1 };
    if (journal_workers_put(a->in->journal, &own, 1, &a->scratch) != ERR_OK)
        app_journal_failed(a);
}

void app_stats_tick(struct app *a, ns_t now)
{
    if (!a->in->journal || a->journal_failed) return;
    if (now - a->stats.sampled >= a->stats.sample_every) sample(a, now);
    // Who asks while it goes on shall see what was said.
    if (now - a->stats.flushed >= NS_S) {
        a->stats.flushed = now;
        if (journal_flush(a->in->journal, &a->scratch) != ERR_OK) app_journal_failed(a);
    }
    if (now - a->stats.written >= (a->in->job->served ? WRITE_SERVED : WRITE_WORKERS)) {
        write_workers(a, now);
        write_reused(a);
    }
}

void app_stats_close(struct app *a)
{
    struct stat_worker *w, *tmp;
    ns_t now = clock_ns();
    if (a->in->journal && !a->journal_failed) {
        if (a->sched) sample(a, now);
        write_workers(a, now);
        write_reused(a);
    }
    HASH_ITER(hh, a->stats.workers, w, tmp)
    {
        HASH_DEL(a->stats.workers, w);
        free(w);
    }
}
