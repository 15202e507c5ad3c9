#include "coordinator/journal_stats.h"

#include "coordinator/journal_impl.h"

#include <sqlite3.h>
#include <string.h>

static const char tables[] =
    "CREATE TABLE IF NOT EXISTS run_places(run INTEGER PRIMARY KEY REFERENCES runs(seq),"
    " load TEXT NOT NULL, load_id INT NOT NULL, database TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS run_inputs(run INT NOT NULL, input INT NOT NULL,"
    " name TEXT NOT NULL, in_rows INT NOT NULL, begin INT NOT NULL, size INT NOT NULL,"
    " header_lines INT NOT NULL, PRIMARY KEY(run, input)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS run_samples(run INT NOT NULL, n INT NOT NULL, at_ms INT,"
    " rows_read INT, rows_rejected INT, bytes INT, chunks INT, chunks_cached INT,"
    " retries INT, workers INT, slots INT, busy INT, results INT,"
    " PRIMARY KEY(run, n)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS run_workers(run INT NOT NULL, name TEXT NOT NULL,"
    " role TEXT, host TEXT, cpu TEXT, cores INT, slots INT, memory_bytes INT,"
    " sessions INT, came_ms INT, left_ms INT, chunks INT, failed INT, busy_ms INT,"
    " bucket_ms INT, busy TEXT, PRIMARY KEY(run, name)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS run_reused(run INT NOT NULL, input INT NOT NULL,"
    " begin INT NOT NULL, \"end\" INT NOT NULL, chunks INT NOT NULL, why TEXT NOT NULL,"
    " PRIMARY KEY(run, input, begin)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS run_jobs(run INTEGER PRIMARY KEY REFERENCES runs(seq),"
    " job INT NOT NULL);"
    "CREATE INDEX IF NOT EXISTS run_jobs_of ON run_jobs(job);"
    "CREATE TABLE IF NOT EXISTS run_now(run INTEGER PRIMARY KEY REFERENCES runs(seq),"
    " at_ms INT, rows_read INT, rows_rejected INT, rows_loaded INT, chunks INT,"
    " retries INT, bytes_read INT, in_rows INT, bytes INT, bytes_total INT, running INT, "
    "waiting INT,"
    " to_come INT, workers INT, slots INT, busy INT, results INT)";

enum { VALUES_MAX = 18 };

struct value { // text, or a number when that is NULL
    const char *text;
    int64_t n;
};
#define TEXT(s)           \
    (struct value)        \
    {                     \
        (s) ? (s) : "", 0 \
    }
#define NUMBER(x)          \
    (struct value)         \
    {                      \
        NULL, (int64_t)(x) \
    }

static err_t insert(struct journal *j, const char *sql, const struct value *v, int n,
                    struct err *e)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(j->db, sql, -1, &q, NULL) != SQLITE_OK)
        return journal_db_fail(j->db, e);
    for (int i = 0; i < n; i++)
        if (v[i].text)
            sqlite3_bind_text(q, i + 1, v[i].text, -1, SQLITE_STATIC);
        else
            sqlite3_bind_int64(q, i + 1, v[i].n);
    err_t rc = sqlite3_step(q) == SQLITE_DONE ? ERR_OK : journal_db_fail(j->db, e);
    sqlite3_finalize(q);
    return rc;
}

err_t journal_stats_tables(sqlite3 *db, struct err *e)
{
    return journal_db_exec(db, tables, e);
}

static err_t ready(struct journal *j, struct err *e)
{
    if (!j->run) return err_set(e, ERR_INVALID, "no run was begun");
    if (j->has_stats) return ERR_OK;
    TRY(journal_db_exec(j->db, tables, e));
    j->has_stats = true;
    return ERR_OK;
}

static err_t put_place(struct journal *j, const struct journal_place *p, struct err *e)
{
    const struct value place[] = { NUMBER(j->run), TEXT(p->load), NUMBER(p->load_id),
                                   TEXT(p->database) };
    const struct value job[] = { NUMBER(j->run), NUMBER(p->job) };
    TRY(insert(j, "INSERT OR REPLACE INTO run_places VALUES(?,?,?,?)", place, 4, e));
    if (p->job) TRY(insert(j, "INSERT OR REPLACE INTO run_jobs VALUES(?,?)", job, 2, e));
    for (uint32_t i = 0; i < p->n_inputs && i < JOURNAL_INPUTS_MAX; i++) {
        const struct journal_input *in = &p->inputs[i];
        const struct value v[] = { NUMBER(j->run),          NUMBER(i),
                                   TEXT(in->name),          NUMBER(in->in_rows),
                                   NUMBER(in->begin),       NUMBER(in->size),
                                   NUMBER(in->header_lines) };
        TRY(insert(j, "INSERT OR REPLACE INTO run_inputs VALUES(?,?,?,?,?,?,?)", v, 7, e));
    }
    return ERR_OK;
}

err_t journal_stats_begin(struct journal *j, const struct journal_place *p, struct err *e)
{
    TRY(ready(j, e));
    TRY(journal_step(j, S_BEGIN, e));
    return journal_finish(j, put_place(j, p, e), e);
}

err_t journal_job_began(struct journal *j, int64_t job, const char *name, const char *table,
                        bool *yes, struct err *e)
{
    sqlite3_stmt *q = NULL;
    TRY(ready(j, e));
    if (sqlite3_prepare_v2(
            j->db,
            "SELECT 1 FROM run_jobs k JOIN run_places p ON p.run = k.run JOIN "
            "runs r ON r.seq = k.run WHERE k.job = ? AND r.name = ? AND "
            "r.\"table\" = ? LIMIT 1",
            -1, &q, NULL) != SQLITE_OK)
        return journal_db_fail(j->db, e);
    sqlite3_bind_int64(q, 1, job);
    sqlite3_bind_text(q, 2, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 3, table, -1, SQLITE_STATIC);
    int rc = sqlite3_step(q);
    *yes = rc == SQLITE_ROW;
    err_t end = rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : journal_db_fail(j->db, e);
    sqlite3_finalize(q);
    return end;
}

err_t journal_sample_put(struct journal *j, uint64_t n, const struct journal_sample *s,
                         struct err *e)
{
    TRY(ready(j, e));
    const struct value v[] = { NUMBER(j->run),           NUMBER(n),
                               NUMBER(s->at_ms),         NUMBER(s->rows_read),
                               NUMBER(s->rows_rejected), NUMBER(s->bytes),
                               NUMBER(s->chunks),        NUMBER(s->chunks_cached),
                               NUMBER(s->retries),       NUMBER(s->workers),
                               NUMBER(s->slots),         NUMBER(s->busy),
                               NUMBER(s->results) };
    return insert(j, "INSERT OR REPLACE INTO run_samples VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
                  v, 13, e);
}

err_t journal_samples_thin(struct journal *j, uint64_t every, struct err *e)
{
    TRY(ready(j, e));
    const struct value v[] = { NUMBER(j->run), NUMBER(every) };
    return insert(j, "DELETE FROM run_samples WHERE run = ? AND n % ? != 0", v, 2, e);
}

err_t journal_now_put(struct journal *j, const struct journal_now *n, struct err *e)
{
    TRY(ready(j, e));
    const struct value v[] = {
        NUMBER(j->run),           NUMBER(n->at_ms),       NUMBER(n->rows_read),
        NUMBER(n->rows_rejected), NUMBER(n->rows_loaded), NUMBER(n->chunks),
        NUMBER(n->retries),       NUMBER(n->bytes_read),  NUMBER(n->in_rows),
        NUMBER(n->bytes),         NUMBER(n->bytes_total), NUMBER(n->running),
        NUMBER(n->waiting),       NUMBER(n->to_come),     NUMBER(n->workers),
        NUMBER(n->slots),         NUMBER(n->busy),        NUMBER(n->results)
    };
    return insert(
        j, "INSERT OR REPLACE INTO run_now VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", v,
        18, e);
}

static err_t put_worker(struct journal *j, const struct journal_worker *w, struct err *e)
{
    const struct value v[] = { NUMBER(j->run),       TEXT(w->name),
                               TEXT(w->role),        TEXT(w->host),
                               TEXT(w->cpu),         NUMBER(w->cores),
                               NUMBER(w->slots),     NUMBER(w->memory_bytes),
                               NUMBER(w->sessions),  NUMBER(w->came_ms),
                               NUMBER(w->left_ms),   NUMBER(w->chunks),
                               NUMBER(w->failed),    NUMBER(w->busy_ms),
                               NUMBER(w->bucket_ms), TEXT(w->busy) };
    return insert(
        j, "INSERT OR REPLACE INTO run_workers VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", v,
        16, e);
}

err_t journal_workers_put(struct journal *j, const struct journal_worker *v, size_t n,
                          struct err *e)
{
    err_t rc = ERR_OK;
    TRY(ready(j, e));
    TRY(journal_step(j, S_BEGIN, e));
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        rc = put_worker(j, &v[i], e);
    return journal_finish(j, rc, e);
}

err_t journal_reused_put(struct journal *j, struct range r, uint64_t chunks,
                         const char *why, struct err *e)
{
    TRY(ready(j, e));
    const struct value v[] = { NUMBER(j->run), NUMBER(r.input), NUMBER(r.begin),
                               NUMBER(r.end),  NUMBER(chunks),  TEXT(why) };
    return insert(j, "INSERT OR REPLACE INTO run_reused VALUES(?,?,?,?,?,?)", v, 6, e);
}
