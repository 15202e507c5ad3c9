#include "coordinator/web_view_impl.h"

#include "common/utf8.h"
#include "coordinator/journal_crew.h"
#include "coordinator/journal_db.h"
#include "coordinator/run_lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const ns_t LOOK_EVERY = NS_S;
enum { TEXT_MAX = 2000, ASKED_MAX = 8 << 20 };

// ---- reading ----

err_t web_view_ask(struct web_view *v, sqlite3_stmt **q, const char *sql,
                   const int64_t *numbers, int n, struct err *e)
{
    if (sqlite3_prepare_v2(v->db, sql, -1, q, NULL) != SQLITE_OK)
        return journal_db_fail(v->db, e);
    for (int i = 0; i < n; i++)
        sqlite3_bind_int64(*q, i + 1, numbers[i]);
    return ERR_OK;
}

bool web_view_next(sqlite3_stmt *q, err_t *rc, struct err *e)
{
    int step = *rc == ERR_OK ? sqlite3_step(q) : SQLITE_DONE;
    if (step == SQLITE_ROW) return true;
    if (step != SQLITE_DONE) *rc = journal_db_fail(sqlite3_db_handle(q), e);
    sqlite3_finalize(q);
    return false;
}

const char *web_view_keep(struct web_view *v, const char *s)
{
    if (!s || !*s) return "";
    char *copy =
        arena_strdup(&v->mem, s, utf8_cut((const uint8_t *)s, strlen(s), TEXT_MAX));
    return copy ? copy : "";
}

const char *web_view_text(struct web_view *v, sqlite3_stmt *q, int column)
{
    return web_view_keep(v, (const char *)sqlite3_column_text(q, column));
}

err_t web_view_grow(struct web_view *v, void *list, uint32_t n, size_t size, struct err *e)
{
    void **at = list;
    if (n & (n - 1)) return ERR_OK; // room is made at 0, 1, 2, 4, ...
    void *more = arena_alloc(&v->mem, (n ? 2 * (size_t)n : 1) * size);
    if (!more) return err_set(e, ERR_NOMEM, "out of memory");
    if (n) memcpy(more, *at, n * size);
    *at = more;
    return ERR_OK;
}

// ---- the connection ----

static void close_db(struct web_view *v)
{
    free(v->backlog);
    v->backlog = NULL;
    sqlite3_close(v->db);
    v->db = NULL;
    v->seen = -1;
}

static err_t open_db(struct web_view *v, struct err *e)
{
    TRY(journal_db_open(&v->db, v->facts.state, true, NULL, 0, e));
    err_t rc = journal_stats_tables(v->db, e);
    if (rc == ERR_OK) rc = journal_crew_tables(v->db, e);
    if (rc == ERR_OK) rc = backlog_peek(&v->backlog, v->db, e);
    if (rc == ERR_OK) rc = journal_db_exec(v->db, "PRAGMA query_only=ON", e);
    if (rc != ERR_OK) close_db(v);
    return rc;
}

// A damaged one was moved aside, and another has taken its place.
static err_t follow_db(struct web_view *v, struct err *e)
{
    char path[4200];
    struct stat st;
    snprintf(path, sizeof path, "%s/runs.db", v->facts.state);
    bool there = stat(path, &st) == 0;
    if (v->db && there && st.st_ino == v->inode) return ERR_OK;
    close_db(v);
    TRY(open_db(v, e));
    if (stat(path, &st) == 0) v->inode = st.st_ino;
    return ERR_OK;
}

// What changes when another connection has written.
static err_t look(struct web_view *v, int64_t *out, struct err *e)
{
    sqlite3_stmt *q;
    err_t rc = ERR_OK;
    TRY(web_view_ask(v, &q, "PRAGMA data_version", NULL, 0, e));
    while (web_view_next(q, &rc, e))
        *out = sqlite3_column_int64(q, 0);
    return rc;
}

// ---- jobs ----

struct taking {
    struct web_view *v;
    struct web_job **list;
    uint32_t *n;
    err_t rc;
    struct err *e;
};

// The newest of its runs that goes on.
static const struct web_run *run_of(const struct web_view *v, int64_t job)
{
    for (uint32_t i = 0; i < v->n_runs; i++)
        if (v->runs[i].job == job && v->runs[i].goes_on) return &v->runs[i];
    return NULL;
}

static bool take(void *arg, const struct backlog_job *j)
{
    struct taking *t = arg;
    struct web_view *v = t->v;
    t->rc = web_view_grow(v, t->list, *t->n, sizeof **t->list, t->e);
    if (t->rc != ERR_OK) return false;
    struct web_job *out = &(*t->list)[(*t->n)++];
    *out = (struct web_job){ .job = *j };
    const char **texts[] = { &out->job.name, &out->job.owner, &out->job.folder,
                             &out->job.file, &out->job.run,   &out->job.error };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = web_view_keep(v, *texts[i]);
    if (j->state == BACKLOG_RUNNING) out->run = run_of(v, j->id);
    return true;
}

static err_t read_jobs(struct web_view *v, const struct backlog_query *query,
                       struct web_job **list, uint32_t *n, struct err *e)
{
    struct taking t = { .v = v, .list = list, .n = n, .e = e };
    TRY(backlog_list(v->backlog, query, take, &t, e));
    return t.rc;
}

static err_t read_queue(struct web_view *v, struct err *e)
{
    const struct backlog_query runs = { .states = 1 << BACKLOG_RUNNING,
                                        .as_they_begin = true,
                                        .most = WEB_JOBS_SHOWN },
                               waits = { .states = 1 << BACKLOG_QUEUED,
                                         .as_they_begin = true,
                                         .most = WEB_JOBS_SHOWN },
                               over = { .states =
                                            1 << BACKLOG_ENDED | 1 << BACKLOG_CANCELLED,
                                        .most = WEB_JOBS_OVER };
    TRY(read_jobs(v, &runs, &v->running, &v->n_running, e));
    TRY(read_jobs(v, &waits, &v->waiting, &v->n_waiting, e));
    TRY(read_jobs(v, &over, &v->over, &v->n_over, e));
    return backlog_count(v->backlog, v->jobs_in, e);
}

// ---- the snapshot ----

static void forget(struct web_view *v)
{
    arena_reset(&v->mem);
    v->running = v->waiting = v->over = NULL;
    v->runs = NULL;
    v->workers = NULL;
    v->n_running = v->n_waiting = v->n_over = v->n_runs = v->n_workers = 0;
    memset(v->jobs_in, 0, sizeof v->jobs_in);
    v->all_runs = 0;
}

static err_t read_all(struct web_view *v, struct err *e)
{
    TRY(web_view_read_runs(v, e));
    TRY(web_view_read_workers(v, e));
    TRY(web_totals_read(v, &v->totals, e));
    return read_queue(v, e);
}

static err_t take_snapshot(struct web_view *v, struct err *e)
{
    TRY(journal_db_exec(v->db, "BEGIN", e));
    err_t rc = read_all(v, e);
    sqlite3_exec(v->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

// A process that was killed has written nothing.
static bool somebody_died(const struct web_view *v)
{
    for (uint32_t i = 0; i < v->n_runs; i++)
        if (v->runs[i].goes_on && !run_lock_holder_lives(v->runs[i].holder)) return true;
    return false;
}

void web_view_init(struct web_view *v, const struct web_facts *facts)
{
    *v = (struct web_view){ .facts = *facts, .seen = -1 };
}

void web_view_close(struct web_view *v)
{
    close_db(v);
    arena_free(&v->mem);
}

err_t web_view_refresh(struct web_view *v, ns_t now, struct err *e)
{
    int64_t seen = -1;
    bool full = v->mem.used_bytes - v->snapshot_bytes > ASKED_MAX; // of older ones
    bool just = v->looked && now - v->looked < LOOK_EVERY;
    if (just && v->seen >= 0 && !full) return ERR_OK;
    v->looked = now;
    err_t rc = follow_db(v, e);
    if (rc == ERR_OK) rc = look(v, &seen, e);
    if (rc == ERR_OK && seen == v->seen && !full && !somebody_died(v)) {
        v->taken_ms = clock_wall_ms();
        return ERR_OK;
    }
    v->version++;
    v->taken_ms = clock_wall_ms();
    forget(v);
    if (rc == ERR_OK) rc = take_snapshot(v, e);
    if (rc == ERR_OK) {
        v->seen = seen;
        v->snapshot_bytes = v->mem.used_bytes;
        return ERR_OK;
    }
    forget(v);
    close_db(v); // whatever it was, another connection may not have it
    return rc;
}

// ---- older ones ----

struct telling {
    struct web_view *v;
    web_job_fn *fn;
    void *arg;
    bool told;
};

static bool tell(void *arg, const struct backlog_job *j)
{
    struct telling *t = arg;
    const struct web_job job = { .job = *j,
                                 .run = j->state == BACKLOG_RUNNING ? run_of(t->v, j->id)
                                                                    : NULL };
    t->told = true;
    return t->fn(t->arg, &job);
}

err_t web_view_jobs(struct web_view *v, int64_t before, uint32_t most, web_job_fn *fn,
                    void *arg, struct err *e)
{
    struct telling t = { .v = v, .fn = fn, .arg = arg };
    const struct backlog_query q = { .states = ~0u, .before = before, .most = most };
    if (!v->backlog) return err_set(e, ERR_BUSY, "the history cannot be read now");
    return backlog_list(v->backlog, &q, tell, &t, e);
}

err_t web_view_job(struct web_view *v, int64_t id, web_job_fn *fn, void *arg, struct err *e)
{
    struct telling t = { .v = v, .fn = fn, .arg = arg };
    if (!v->backlog) return err_set(e, ERR_BUSY, "the history cannot be read now");
    TRY(backlog_each(v->backlog, id, 1, tell, &t, e));
    if (t.told && id) return ERR_OK;
    return err_set(e, ERR_INVALID, "there is no job %lld", (long long)id);
}
