// Runs and their workers, as runs.db has them.

#include "coordinator/web_view_impl.h"

#include "coordinator/run_lock.h"

#include <stdio.h>
#include <string.h>

enum { LATE_MS = 10000 }; // what "of late" means

// ---- runs ----

#define RUN_COLUMNS                                                                   \
    "r.seq, r.id, r.name, r.job_file, r.into_url, r.\"table\", r.status, r.error,"    \
    " r.holder, r.started_ms, r.ended_ms, r.seconds, r.exit_code, r.rows_read,"       \
    " r.rows_parsed, r.rows_rejected, r.rows_emitted, r.rows_loaded, r.rows_refused," \
    " r.chunks, r.retries, r.bytes_read, r.workers, j.job, n.at_ms, n.rows_read,"     \
    " n.rows_rejected, n.rows_loaded, n.chunks, n.retries, n.bytes_read, n.in_rows, " \
    "n.bytes,"                                                                        \
    " n.bytes_total, n.running, n.waiting, n.to_come, n.workers, n.slots, n.busy,"    \
    " n.results FROM runs r LEFT JOIN run_jobs j ON j.run = r.seq"                    \
    " LEFT JOIN run_now n ON n.run = r.seq "

static void read_totals(struct web_view *v, sqlite3_stmt *q, struct web_run *out)
{
    struct journal_run *r = &out->run;
    const char **texts[] = { &r->name,   &r->job_file, &r->into,    &r->table,
                             &r->status, &r->error,    &out->holder };
    uint64_t *numbers[] = { &r->rows_read,    &r->rows_parsed, &r->rows_rejected,
                            &r->rows_emitted, &r->rows_loaded, &r->rows_refused,
                            &r->chunks,       &r->retries,     &r->bytes_read };
    const char *id = (const char *)sqlite3_column_text(q, 1);
    out->seq = sqlite3_column_int64(q, 0);
    snprintf(r->id, sizeof r->id, "%s", id ? id : "");
    for (int i = 0; i < 7; i++)
        *texts[i] = web_view_text(v, q, 2 + i);
    out->started_ms = sqlite3_column_int64(q, 9);
    out->ended_ms = sqlite3_column_int64(q, 10);
    r->seconds = sqlite3_column_double(q, 11);
    r->exit_code = sqlite3_column_int(q, 12);
    for (int i = 0; i < 9; i++)
        *numbers[i] = web_view_u64(q, 13 + i);
    r->workers = (uint32_t)web_view_u64(q, 22);
    out->job = sqlite3_column_int64(q, 23);
}

static void read_now(sqlite3_stmt *q, struct web_run *out)
{
    struct journal_now *n = &out->now;
    uint64_t *numbers[] = { &n->rows_read, &n->rows_rejected, &n->rows_loaded,
                            &n->chunks,    &n->retries,       &n->bytes_read };
    uint32_t *here[] = { &n->workers, &n->slots, &n->busy };
    n->at_ms = sqlite3_column_int64(q, 24);
    for (int i = 0; i < 6; i++)
        *numbers[i] = web_view_u64(q, 25 + i);
    n->in_rows = sqlite3_column_int(q, 31) != 0;
    n->bytes = web_view_u64(q, 32);
    n->bytes_total = web_view_u64(q, 33);
    n->running = web_view_u64(q, 34);
    n->waiting = web_view_u64(q, 35);
    n->to_come = sqlite3_column_int64(q, 36);
    for (int i = 0; i < 3; i++)
        *here[i] = (uint32_t)web_view_u64(q, 37 + i);
    n->results = web_view_u64(q, 40);
}

struct point { // of run_samples
    int64_t at_ms;
    uint64_t rows, bytes;
};

// The newest, and the newest of those that are a while older; zeros when there is none.
static err_t read_points(struct web_view *v, const struct web_run *r, struct point p[2],
                         struct err *e)
{
    sqlite3_stmt *q;
    err_t rc = ERR_OK;
    int n = 0;
    p[0] = p[1] = (struct point){ 0 };
    TRY(web_view_ask(v, &q,
                     "SELECT at_ms, rows_read, bytes FROM run_samples WHERE run = ?"
                     " ORDER BY n DESC LIMIT 200",
                     &r->seq, 1, e));
    while (web_view_next(q, &rc, e)) {
        struct point x = { sqlite3_column_int64(q, 0), web_view_u64(q, 1),
                           web_view_u64(q, 2) };
        if (n == 0) p[n++] = x;
        if (n == 1 && x.at_ms <= p[0].at_ms - LATE_MS) p[n++] = x;
    }
    return rc;
}

static double rate(uint64_t from, uint64_t to, int64_t ms)
{
    return ms > 0 && to > from ? (double)(to - from) * 1000 / (double)ms : 0;
}

static err_t foretell(struct web_view *v, struct web_run *r, struct err *e)
{
    struct point p[2];
    const struct journal_now *n = &r->now;
    TRY(read_points(v, r, p, e));
    bool newer = n->at_ms > p[0].at_ms;
    r->rows_per_second = newer ? rate(p[1].rows, n->rows_read, n->at_ms - p[1].at_ms)
                               : rate(p[1].rows, p[0].rows, p[0].at_ms - p[1].at_ms);
    double each = n->in_rows ? r->rows_per_second
                             : rate(p[1].bytes, p[0].bytes, p[0].at_ms - p[1].at_ms);
    bool known = n->at_ms && n->bytes_total && each > 0;
    uint64_t left = n->bytes < n->bytes_total ? n->bytes_total - n->bytes : 0;
    r->left_ms = known ? (int64_t)((double)left / each * 1000) : -1;
    return ERR_OK;
}

static err_t read_run(struct web_view *v, sqlite3_stmt *q, struct web_run *out,
                      struct err *e)
{
    *out = (struct web_run){ .left_ms = -1 };
    read_totals(v, q, out);
    bool running = strcmp(out->run.status, "running") == 0;
    out->goes_on = running && run_lock_holder_lives(out->holder);
    if (running && !out->goes_on) {
        out->run.status = "interrupted";
        out->run.error = "its process died";
    }
    if (!out->goes_on) return ERR_OK;
    read_now(q, out);
    return foretell(v, out, e);
}

// Those that go on, and the newest of the others.
err_t web_view_read_runs(struct web_view *v, struct err *e)
{
    static const char sql[] =
        "SELECT " RUN_COLUMNS
        "WHERE r.seq > (SELECT max(seq) FROM runs) - 1000 AND (r.status = 'running' OR"
        " r.seq > (SELECT max(seq) FROM runs) - ?) ORDER BY r.seq DESC";
    const int64_t most = WEB_RUNS_SHOWN;
    sqlite3_stmt *q;
    err_t rc = ERR_OK;
    TRY(web_view_ask(v, &q, sql, &most, 1, e));
    while (web_view_next(q, &rc, e)) {
        rc = web_view_grow(v, &v->runs, v->n_runs, sizeof *v->runs, e);
        if (rc == ERR_OK) rc = read_run(v, q, &v->runs[v->n_runs], e);
        if (rc == ERR_OK) v->n_runs++;
    }
    TRY(rc);
    TRY(web_view_ask(v, &q, "SELECT count(*) FROM runs", NULL, 0, e));
    while (web_view_next(q, &rc, e))
        v->all_runs = web_view_u64(q, 0);
    return rc;
}

static err_t tell_runs(struct web_view *v, sqlite3_stmt *q, web_run_fn *fn, void *arg,
                       uint64_t *n, struct err *e)
{
    err_t rc = ERR_OK;
    bool more = true;
    *n = 0;
    while (web_view_next(q, &rc, e)) {
        struct web_run run;
        if (!more) continue;
        ++*n;
        rc = read_run(v, q, &run, e);
        if (rc == ERR_OK) more = fn(arg, &run);
    }
    return rc;
}

static err_t readable(const struct web_view *v, struct err *e)
{
    return v->db ? ERR_OK : err_set(e, ERR_BUSY, "the history cannot be read now");
}

err_t web_view_runs(struct web_view *v, int64_t before, uint32_t most, web_run_fn *fn,
                    void *arg, struct err *e)
{
    const int64_t numbers[] = { before ? before : INT64_MAX, most };
    sqlite3_stmt *q;
    uint64_t n;
    TRY(readable(v, e));
    TRY(web_view_ask(v, &q,
                     "SELECT " RUN_COLUMNS "WHERE r.seq < ? ORDER BY r.seq DESC LIMIT ?",
                     numbers, 2, e));
    return tell_runs(v, q, fn, arg, &n, e);
}

err_t web_view_runs_of(struct web_view *v, int64_t job, uint32_t most, web_run_fn *fn,
                       void *arg, struct err *e)
{
    const int64_t numbers[] = { job, most };
    sqlite3_stmt *q;
    uint64_t n;
    TRY(readable(v, e));
    TRY(web_view_ask(v, &q,
                     "SELECT " RUN_COLUMNS "WHERE j.job = ? ORDER BY r.seq DESC LIMIT ?",
                     numbers, 2, e));
    return tell_runs(v, q, fn, arg, &n, e);
}

err_t web_view_run(struct web_view *v, const char *run, web_run_fn *fn, void *arg,
                   struct err *e)
{
    sqlite3_stmt *q;
    uint64_t n;
    TRY(readable(v, e));
    TRY(web_view_ask(
        v, &q,
        "SELECT " RUN_COLUMNS
        "WHERE r.id = ?1 OR (?1 = 'last' AND r.seq = (SELECT max(seq) FROM runs))",
        NULL, 0, e));
    sqlite3_bind_text(q, 1, run, -1, SQLITE_STATIC);
    TRY(tell_runs(v, q, fn, arg, &n, e));
    return n ? ERR_OK : err_set(e, ERR_INVALID, "there is no run %.100s", run);
}

// ---- workers ----

static void read_worker(struct web_view *v, sqlite3_stmt *q, struct web_worker *out)
{
    struct journal_worker *w = &out->w;
    *out = (struct web_worker){
        .leaving = sqlite3_column_int(q, 12) != 0,
        .begin = web_view_u64(q, 13),
        .end = web_view_u64(q, 14),
        .chunks = web_view_u64(q, 15),
        .input = web_view_text(v, q, 16),
        .in_rows = sqlite3_column_int(q, 17) != 0,
    };
    const char **texts[] = { &w->name, &w->role, &w->host, &w->cpu };
    for (int i = 0; i < 4; i++)
        *texts[i] = web_view_text(v, q, i);
    w->cores = (uint32_t)web_view_u64(q, 4);
    w->slots = (uint32_t)web_view_u64(q, 5);
    w->memory_bytes = web_view_u64(q, 6);
    w->sessions = (uint32_t)web_view_u64(q, 7);
    w->came_ms = sqlite3_column_int64(q, 8);
    w->left_ms = -1;
    w->chunks = web_view_u64(q, 9);
    w->failed = web_view_u64(q, 10);
    w->busy_ms = sqlite3_column_int64(q, 11);
    w->busy = "";
}

// The newest attempts are the ones that run: the others need not be looked at.
static const char crew[] =
    "WITH open AS (SELECT worker, max(seq) AS seq FROM attempts"
    "  WHERE seq > (SELECT max(seq) FROM attempts) - 5000 AND run = ?1 AND outcome IS NULL"
    "  GROUP BY worker)"
    " SELECT w.name, w.role, w.host, w.cpu, w.cores, w.slots, w.memory_bytes, w.sessions,"
    "  w.came_ms, w.chunks, w.failed, w.busy_ms,"
    "  t.name IS NOT NULL AND t.asked_ms >= ?2 + w.came_ms,"
    "  a.begin, a.\"end\", a.chunks, i.name, i.in_rows"
    " FROM run_workers w LEFT JOIN retired t ON t.run = ?1 AND t.name = w.name"
    " LEFT JOIN open o ON o.worker = w.name LEFT JOIN attempts a ON a.seq = o.seq"
    " LEFT JOIN run_inputs i ON i.run = ?1 AND i.input = a.input"
    " WHERE w.run = ?1 AND w.left_ms < 0 AND w.role <> 'coordinator'"
    " ORDER BY w.name LIMIT ?3";

static err_t read_crew(struct web_view *v, const struct web_run *r, struct err *e)
{
    const int64_t numbers[] = { r->seq, r->started_ms, WEB_WORKERS_MAX - v->n_workers };
    sqlite3_stmt *q;
    err_t rc = ERR_OK;
    TRY(web_view_ask(v, &q, crew, numbers, 3, e));
    while (web_view_next(q, &rc, e)) {
        rc = web_view_grow(v, &v->workers, v->n_workers, sizeof *v->workers, e);
        if (rc != ERR_OK) continue;
        struct web_worker *w = &v->workers[v->n_workers++];
        read_worker(v, q, w);
        w->run = r;
    }
    return rc;
}

err_t web_view_read_workers(struct web_view *v, struct err *e)
{
    for (uint32_t i = v->n_runs; i-- > 0;)
        if (v->runs[i].goes_on) TRY(read_crew(v, &v->runs[i], e));
    return ERR_OK;
}
