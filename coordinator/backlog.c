#include "coordinator/backlog.h"

#include "common/clock.h"
#include "common/crash.h"
#include "coordinator/cli.h"
#include "coordinator/journal_db.h"
#include "coordinator/journal_prune.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Not part of the version of runs.db: programs that don't know it lose nothing.
static const char tables[] =
    "CREATE TABLE IF NOT EXISTS jobs(id INTEGER PRIMARY KEY AUTOINCREMENT, token BLOB NOT "
    "NULL UNIQUE, state TEXT NOT NULL, priority INT NOT NULL, starts INT NOT NULL DEFAULT "
    "0, stopping INT NOT NULL DEFAULT 0, name TEXT NOT NULL, owner TEXT NOT NULL, folder "
    "TEXT NOT NULL, file TEXT NOT NULL, loads TEXT, spec BLOB, submitted_ms INT NOT NULL, "
    "started_ms "
    "INT, ended_ms INT, exit_code INT, run TEXT, error TEXT);"
    "CREATE INDEX IF NOT EXISTS jobs_queued ON jobs(id) WHERE state = 'queued'";

struct backlog {
    sqlite3 *db;
};

static const char *const state_texts[] = {
#define X(name, number, text) text,
    BACKLOG_STATES(X)
#undef X
};

const char *backlog_state_text(uint64_t state)
{
    return state < BACKLOG_N_STATES ? state_texts[state] : "?";
}

static enum backlog_state state_of(const char *text)
{
    for (int i = 0; i < BACKLOG_N_STATES; i++)
        if (strcmp(text, state_texts[i]) == 0) return (enum backlog_state)i;
    return BACKLOG_ENDED; // written by a later version: nothing to do here
}

err_t backlog_open(struct backlog **out, const char *dir, char *note, size_t note_size,
                   struct err *e)
{
    *out = NULL;
    struct backlog *b = calloc(1, sizeof *b);
    if (!b) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = journal_db_open(&b->db, dir, true, note, note_size, e);
    if (rc == ERR_OK) rc = journal_db_exec(b->db, "PRAGMA synchronous=FULL", e);
    if (rc == ERR_OK) rc = journal_db_exec(b->db, tables, e);
    if (rc == ERR_OK)
        *out = b;
    else
        backlog_close(&b);
    return rc;
}

err_t backlog_peek(struct backlog **out, sqlite3 *db, struct err *e)
{
    *out = NULL;
    TRY(journal_db_exec(db, tables, e));
    if (!(*out = calloc(1, sizeof **out))) return err_set(e, ERR_NOMEM, "out of memory");
    (*out)->db = db;
    return ERR_OK;
}

void backlog_close(struct backlog **b)
{
    if (!*b) return;
    sqlite3_close((*b)->db);
    free(*b);
    *b = NULL;
}

// ---- statements ----

static err_t prepare(struct backlog *b, sqlite3_stmt **q, const char *sql, struct err *e)
{
    return sqlite3_prepare_v2(b->db, sql, -1, q, NULL) == SQLITE_OK
               ? ERR_OK
               : journal_db_fail(b->db, e);
}

// *rows: how many it changed.
static err_t finish(struct backlog *b, sqlite3_stmt *q, int *rows, struct err *e)
{
    int rc = sqlite3_step(q);
    while (rc == SQLITE_ROW)
        rc = sqlite3_step(q);
    err_t end = rc == SQLITE_DONE ? ERR_OK : journal_db_fail(b->db, e);
    *rows = end == ERR_OK ? sqlite3_changes(b->db) : 0;
    sqlite3_finalize(q);
    return end;
}

static void bind_text(sqlite3_stmt *q, int i, const char *s)
{
    sqlite3_bind_text(q, i, s ? s : "", -1, SQLITE_STATIC);
}

static const char *text(sqlite3_stmt *q, int i)
{
    const char *s = (const char *)sqlite3_column_text(q, i);
    return s ? s : "";
}

// Of what has `id`, or of all when it is 0. A range is found without reading what is over,
// which may be thousands.
static int64_t last_of(int64_t id)
{
    return id ? id : INT64_MAX;
}

// ---- the queue ----

// The first number that the query gives, and then closes it; 0: none.
static err_t number(struct backlog *b, sqlite3_stmt *q, int64_t *out, struct err *e)
{
    int rc = sqlite3_step(q);
    *out = rc == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
    err_t end = rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : journal_db_fail(b->db, e);
    sqlite3_finalize(q);
    return end;
}

static err_t find_token(struct backlog *b, const struct hash128 *token, int64_t *id,
                        struct err *e)
{
    sqlite3_stmt *q;
    TRY(prepare(b, &q, "SELECT id FROM jobs WHERE token = ?", e));
    sqlite3_bind_blob(q, 1, token, sizeof *token, SQLITE_STATIC);
    return number(b, q, id, e);
}

static err_t check_room(struct backlog *b, struct err *e)
{
    sqlite3_stmt *q;
    int64_t n;
    TRY(prepare(b, &q, "SELECT count(*) FROM jobs WHERE state = 'queued'", e));
    TRY(number(b, q, &n, e));
    if (n < BACKLOG_QUEUED_MAX) return ERR_OK;
    return err_set(e, ERR_TOOBIG, "the queue is full: %d jobs wait", BACKLOG_QUEUED_MAX);
}

err_t backlog_add(struct backlog *b, const struct backlog_new *n, int64_t *id, bool *again,
                  struct err *e)
{
    sqlite3_stmt *q;
    int rows;
    TRY(find_token(b, &n->token, id, e));
    *again = *id != 0;
    if (*again) return ERR_OK;
    TRY(check_room(b, e));
    if (n->spec.n > INT32_MAX) return err_set(e, ERR_TOOBIG, "the job is too long");
    crash_point("backlog-before-add");
    TRY(prepare(b, &q,
                "INSERT INTO jobs(token, state, priority, name, owner, folder, file, spec,"
                " submitted_ms, loads) VALUES(?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?)",
                e));
    sqlite3_bind_blob(q, 1, &n->token, sizeof n->token, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, n->priority);
    bind_text(q, 3, n->name);
    bind_text(q, 4, n->owner);
    bind_text(q, 5, n->folder);
    bind_text(q, 6, n->file);
    sqlite3_bind_blob(q, 7, n->spec.p, (int)n->spec.n, SQLITE_STATIC);
    sqlite3_bind_int64(q, 8, clock_wall_ms());
    bind_text(q, 9, n->loads);
    TRY(finish(b, q, &rows, e));
    *id = sqlite3_last_insert_rowid(b->db);
    crash_point("backlog-added");
    journal_prune_jobs(b->db);
    return ERR_OK;
}

err_t backlog_next(struct backlog *b, backlog_may_fn *may, void *arg, int64_t *id,
                   struct err *e)
{
    sqlite3_stmt *q;
    int rc;
    *id = 0;
    TRY(prepare(b, &q,
                "SELECT id, loads FROM jobs WHERE state = 'queued'"
                " ORDER BY starts > 0 DESC, priority DESC, id",
                e));
    while ((rc = sqlite3_step(q)) == SQLITE_ROW && !may(arg, text(q, 1))) {
    }
    if (rc == SQLITE_ROW) *id = sqlite3_column_int64(q, 0);
    err_t end = rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : journal_db_fail(b->db, e);
    sqlite3_finalize(q);
    return end;
}

static err_t no_such(int64_t id, struct err *e)
{
    return err_set(e, ERR_INVALID, "there is no job %lld; 'tranche jobs' lists them",
                   (long long)id);
}

static err_t add_column(sqlite3_stmt *q, int i, struct buf *out, struct err *e)
{
    TRY(buf_add(out, sqlite3_column_blob(q, i), (size_t)sqlite3_column_bytes(q, i), e));
    TRY(buf_reserve(out, 1, e));
    out->p[out->n] = 0;
    return ERR_OK;
}

err_t backlog_spec(struct backlog *b, int64_t id, struct buf *spec, struct buf *loads,
                   struct err *e)
{
    sqlite3_stmt *q;
    TRY(prepare(b, &q, "SELECT spec, loads FROM jobs WHERE id = ?", e));
    sqlite3_bind_int64(q, 1, id);
    int rc = sqlite3_step(q);
    err_t end = rc == SQLITE_ROW    ? add_column(q, 0, spec, e)
                : rc == SQLITE_DONE ? no_such(id, e)
                                    : journal_db_fail(b->db, e);
    if (rc == SQLITE_ROW && end == ERR_OK) end = add_column(q, 1, loads, e);
    sqlite3_finalize(q);
    return end;
}

// ---- moves ----

_Static_assert(BACKLOG_CANCELLED == 3, "the SQL of backlog_list knows the numbers");

enum { FROM_QUEUED = 1 << BACKLOG_QUEUED, FROM_RUNNING = 1 << BACKLOG_RUNNING };

struct move {
    int64_t id; // 0: all that are in such a state
    unsigned from;
    enum backlog_state to;
    int exit_code;
    const char *run, *error;
};

// The only place that changes the state of a job. *rows: how many jobs it was true for.
static err_t move(struct backlog *b, const struct move *m, int *rows, struct err *e)
{
    static const unsigned allowed[BACKLOG_N_STATES] = {
        [BACKLOG_QUEUED] = FROM_RUNNING,
        [BACKLOG_RUNNING] = FROM_QUEUED,
        [BACKLOG_ENDED] = FROM_RUNNING,
        [BACKLOG_CANCELLED] = FROM_QUEUED | FROM_RUNNING,
    };
    sqlite3_stmt *q;
    if (m->from & ~allowed[m->to]) return err_set(e, ERR_INVALID, "no such move");
    crash_point("backlog-before-move");
    TRY(prepare(
        b, &q,
        "UPDATE jobs SET"
        // A job that was to be stopped does not run again.
        " state = CASE WHEN ?2 = 'queued' AND stopping THEN 'cancelled' ELSE ?2 END,"
        " starts = starts + (?2 = 'running'),"
        " started_ms = CASE ?2 WHEN 'running' THEN ?3 ELSE started_ms END,"
        " ended_ms = CASE WHEN ?2 IN ('ended', 'cancelled') OR stopping THEN ?3 END,"
        " exit_code = CASE WHEN ?2 IN ('ended', 'cancelled') THEN ?4"
        "  WHEN stopping THEN 130 END,"
        " run = coalesce(nullif(?5, ''), run), error = nullif(?6, ''),"
        // What a job was is not kept longer than it is of use: it may hold a password.
        " spec = CASE WHEN ?2 IN ('ended', 'cancelled') OR stopping THEN NULL ELSE spec "
        "END,"
        " stopping = 0"
        " WHERE id BETWEEN ?1 AND ?9 AND ((state = 'queued' AND ?7) OR"
        "  (state = 'running' AND ?8))",
        e));
    sqlite3_bind_int64(q, 1, m->id);
    bind_text(q, 2, state_texts[m->to]);
    sqlite3_bind_int64(q, 3, clock_wall_ms());
    sqlite3_bind_int(q, 4, m->exit_code);
    bind_text(q, 5, m->run);
    bind_text(q, 6, m->error);
    sqlite3_bind_int(q, 7, (m->from & FROM_QUEUED) != 0);
    sqlite3_bind_int(q, 8, (m->from & FROM_RUNNING) != 0);
    sqlite3_bind_int64(q, 9, last_of(m->id));
    TRY(finish(b, q, rows, e));
    crash_point("backlog-moved");
    return ERR_OK;
}

static err_t move_one(struct backlog *b, const struct move *m, struct err *e)
{
    int rows;
    TRY(move(b, m, &rows, e));
    if (rows == 1) return ERR_OK;
    return err_set(e, ERR_INVALID, "job %lld is not in a state to be %s", (long long)m->id,
                   state_texts[m->to]);
}

err_t backlog_start(struct backlog *b, int64_t id, struct err *e)
{
    struct move m = { .id = id, .from = FROM_QUEUED, .to = BACKLOG_RUNNING };
    return move_one(b, &m, e);
}

static bool keep_stopping(void *arg, const struct backlog_job *j)
{
    *(bool *)arg = j->stopping;
    return true;
}

// The run of a job that was stopped at once had no time to say why it ended.
static err_t say_cancelled(struct backlog *b, const char *run, struct err *e)
{
    sqlite3_stmt *q;
    int rows;
    TRY(prepare(
        b, &q,
        "UPDATE runs SET status = 'interrupted', error = 'cancelled' WHERE id = ? AND "
        "status = 'running'",
        e));
    bind_text(q, 1, run);
    return finish(b, q, &rows, e);
}

err_t backlog_end(struct backlog *b, int64_t id, int exit_code, const char *run,
                  const char *error, struct err *e)
{
    bool stopping = false;
    TRY(backlog_each(b, id, 1, keep_stopping, &stopping, e));
    // It may have come to its end before the signal came.
    bool stopped = stopping && exit_code == CLI_INTERRUPTED;
    struct move m = { .id = id,
                      .from = FROM_RUNNING,
                      .to = stopped ? BACKLOG_CANCELLED : BACKLOG_ENDED,
                      .exit_code = exit_code,
                      .run = run,
                      .error = error };
    if (stopped && run && *run) TRY(say_cancelled(b, run, e));
    return move_one(b, &m, e);
}

err_t backlog_requeue(struct backlog *b, int64_t id, struct err *e)
{
    struct move m = { .id = id, .from = FROM_RUNNING, .to = BACKLOG_QUEUED };
    return move_one(b, &m, e);
}

err_t backlog_recover(struct backlog *b, uint32_t *n, struct err *e)
{
    int rows;
    struct move m = { .from = FROM_RUNNING, .to = BACKLOG_QUEUED };
    TRY(move(b, &m, &rows, e));
    *n = (uint32_t)rows;
    return ERR_OK;
}

static err_t note_stop(struct backlog *b, int64_t id, int *rows, struct err *e)
{
    sqlite3_stmt *q;
    crash_point("backlog-before-stop");
    TRY(prepare(b, &q, "UPDATE jobs SET stopping = 1 WHERE id = ? AND state = 'running'",
                e));
    sqlite3_bind_int64(q, 1, id);
    TRY(finish(b, q, rows, e));
    crash_point("backlog-stop-noted");
    return ERR_OK;
}

static bool say_how_it_ended(void *arg, const struct backlog_job *j)
{
    struct err *e = arg;
    if (j->state == BACKLOG_CANCELLED)
        err_set(e, ERR_INVALID, "job %lld is cancelled already", (long long)j->id);
    else
        err_set(e, ERR_INVALID, "job %lld has ended already, with exit code %d",
                (long long)j->id, j->exit_code);
    return true;
}

err_t backlog_cancel(struct backlog *b, int64_t id, bool *runs, struct err *e)
{
    int rows;
    struct move m = {
        .id = id, .from = FROM_QUEUED, .to = BACKLOG_CANCELLED, .exit_code = CLI_INTERRUPTED
    };
    if (id <= 0) return no_such(id, e);
    TRY(note_stop(b, id, &rows, e));
    *runs = rows == 1;
    if (*runs) return ERR_OK;
    TRY(move(b, &m, &rows, e));
    if (rows == 1) return ERR_OK;
    no_such(id, e);
    struct err why = *e;
    TRY(backlog_each(b, id, 1, say_how_it_ended, &why, e));
    *e = why;
    return ERR_INVALID;
}

// ---- looking ----

err_t backlog_run_of(struct backlog *b, const char *holder, int64_t since_ms, char out[40],
                     struct err *e)
{
    sqlite3_stmt *q;
    out[0] = 0;
    TRY(prepare(b, &q,
                "SELECT id FROM runs WHERE holder = ? AND started_ms >= ?"
                " ORDER BY seq DESC LIMIT 1",
                e));
    bind_text(q, 1, holder);
    sqlite3_bind_int64(q, 2, since_ms);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) snprintf(out, 40, "%s", text(q, 0));
    err_t end = rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : journal_db_fail(b->db, e);
    sqlite3_finalize(q);
    return end;
}

static bool tell(sqlite3_stmt *q, backlog_fn *fn, void *arg)
{
    struct backlog_job j = {
        .id = sqlite3_column_int64(q, 0),
        .state = state_of(text(q, 1)),
        .priority = (uint32_t)sqlite3_column_int64(q, 2),
        .starts = (uint32_t)sqlite3_column_int64(q, 3),
        .stopping = sqlite3_column_int(q, 4) != 0,
        .exit_code = sqlite3_column_int(q, 5),
        .submitted_ms = sqlite3_column_int64(q, 6),
        .started_ms = sqlite3_column_int64(q, 7),
        .ended_ms = sqlite3_column_int64(q, 8),
        .name = text(q, 9),
        .owner = text(q, 10),
        .folder = text(q, 11),
        .file = text(q, 12),
        .run = text(q, 13),
        .error = text(q, 14),
    };
    return fn(arg, &j);
}

#define LOOK                                                                 \
    "SELECT id, state, priority, starts, stopping, exit_code, submitted_ms," \
    " started_ms, ended_ms, name, owner, folder, file, run, error FROM jobs "

static err_t tell_all(struct backlog *b, sqlite3_stmt *q, backlog_fn *fn, void *arg,
                      struct err *e)
{
    int rc;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW)
        if (!tell(q, fn, arg)) {
            rc = SQLITE_DONE;
            break;
        }
    err_t end = rc == SQLITE_DONE ? ERR_OK : journal_db_fail(b->db, e);
    sqlite3_finalize(q);
    return end;
}

err_t backlog_each(struct backlog *b, int64_t id, uint32_t most, backlog_fn *fn, void *arg,
                   struct err *e)
{
    sqlite3_stmt *q;
    TRY(prepare(b, &q,
                "SELECT * FROM (" LOOK "WHERE id BETWEEN ?1 AND ?3 ORDER BY id DESC"
                " LIMIT ?2) ORDER BY id",
                e));
    sqlite3_bind_int64(q, 1, id);
    sqlite3_bind_int64(q, 2, most);
    sqlite3_bind_int64(q, 3, last_of(id));
    return tell_all(b, q, fn, arg, e);
}

err_t backlog_list(struct backlog *b, const struct backlog_query *query, backlog_fn *fn,
                   void *arg, struct err *e)
{
    static const char which[] =
        LOOK "WHERE id < ?1 AND CASE state WHEN 'queued' THEN 1 WHEN 'running' THEN 2"
             " WHEN 'ended' THEN 4 ELSE 8 END & ?2";
    sqlite3_stmt *q;
    char sql[sizeof which + 100];
    snprintf(sql, sizeof sql, "%s ORDER BY %s LIMIT ?3", which,
             query->as_they_begin ? "starts > 0 DESC, priority DESC, id" : "id DESC");
    TRY(prepare(b, &q, sql, e));
    sqlite3_bind_int64(q, 1, query->before ? query->before : INT64_MAX);
    sqlite3_bind_int64(q, 2, query->states);
    sqlite3_bind_int64(q, 3, query->most);
    return tell_all(b, q, fn, arg, e);
}

err_t backlog_count(struct backlog *b, uint64_t n[BACKLOG_N_STATES], struct err *e)
{
    sqlite3_stmt *q;
    int rc;
    memset(n, 0, BACKLOG_N_STATES * sizeof *n);
    TRY(prepare(b, &q, "SELECT state, count(*) FROM jobs GROUP BY state", e));
    while ((rc = sqlite3_step(q)) == SQLITE_ROW)
        n[state_of(text(q, 0))] += (uint64_t)sqlite3_column_int64(q, 1);
    err_t end = rc == SQLITE_DONE ? ERR_OK : journal_db_fail(b->db, e);
    sqlite3_finalize(q);
    return end;
}
