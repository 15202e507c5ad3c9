#include "coordinator/journal_impl.h"

#include "common/clock.h"
#include "coordinator/journal_prune.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static err_t prepare_once(struct journal *j, sqlite3_stmt **q, const char *sql,
                          struct err *e)
{
    if (sqlite3_prepare_v2(j->db, sql, -1, q, NULL) != SQLITE_OK)
        return journal_db_fail(j->db, e);
    return ERR_OK;
}

static err_t step_once(struct journal *j, sqlite3_stmt *q, struct err *e)
{
    int rc = sqlite3_step(q);
    err_t end = rc == SQLITE_DONE ? ERR_OK : journal_db_fail(j->db, e);
    sqlite3_finalize(q);
    return end;
}

static err_t name_run(char id[40], struct err *e)
{
    uint16_t random;
    time_t now = time(NULL);
    struct tm tm = { 0 };
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return err_sys(e, "no random numbers");
    gmtime_r(&now, &tm);
    size_t n = strftime(id, 40, "%Y%m%d-%H%M%S", &tm);
    snprintf(id + n, 40 - n, "-%04x", random);
    return ERR_OK;
}

static err_t end_dead_runs(struct journal *j, struct err *e)
{
    sqlite3_stmt *q;
    TRY(prepare_once(j, &q,
                     "UPDATE runs SET status = 'interrupted', error = 'its process died'"
                     " WHERE status = 'running' AND lock_key = ?",
                     e));
    sqlite3_bind_text(q, 1, j->lock_key, -1, SQLITE_STATIC);
    return step_once(j, q, e);
}

static err_t insert_run(struct journal *j, const struct journal_run *run, const char *spec,
                        struct err *e)
{
    sqlite3_stmt *q;
    char holder[RUN_LOCK_HOLDER];
    run_lock_holder(holder);
    TRY(prepare_once(
        j, &q,
        "INSERT INTO runs(id, name, job_file, into_url, \"table\", spec, holder,"
        " lock_key, status, started_ms, workers) VALUES(?,?,?,?,?,?,?,?,?,?,?)",
        e));
    const char *texts[] = { run->id, run->name, run->job_file, run->into,  run->table,
                            spec,    holder,    j->lock_key,   run->status };
    for (int i = 0; i < 9; i++)
        sqlite3_bind_text(q, i + 1, texts[i] ? texts[i] : "", -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 10, clock_wall_ms());
    sqlite3_bind_int64(q, 11, run->workers);
    return step_once(j, q, e);
}

static err_t begin_run(struct journal *j, struct journal_run *run, const char *spec,
                       struct err *e)
{
    TRY(end_dead_runs(j, e));
    err_t rc = ERR_DB;
    for (int tries = 0; tries < 16 && rc != ERR_OK; tries++) {
        TRY(name_run(run->id, e));
        rc = insert_run(j, run, spec, e);
        if (rc != ERR_OK && sqlite3_errcode(j->db) != SQLITE_CONSTRAINT_UNIQUE) return rc;
    }
    j->run = sqlite3_last_insert_rowid(j->db);
    sqlite3_stmt *q;
    TRY(prepare_once(j, &q, "SELECT coalesce(max(seq), 0) FROM attempts", e));
    if (sqlite3_step(q) == SQLITE_ROW) j->attempts_before = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return rc;
}

err_t journal_run_begin(struct journal *j, struct journal_run *run, const char *spec_text,
                        struct err *e)
{
    TRY(journal_flush(j, e));
    TRY(journal_step(j, S_BEGIN, e));
    err_t rc = journal_finish(j, begin_run(j, run, spec_text, e), e);
    if (rc != ERR_OK) j->run = 0;
    if (rc == ERR_OK) journal_prune_runs(j->db);
    return rc;
}

static err_t end_attempts(struct journal *j, struct err *e)
{
    sqlite3_stmt *q;
    TRY(prepare_once(j, &q,
                     "UPDATE attempts SET outcome = 'interrupted'"
                     " WHERE seq > ? AND run = ? AND outcome IS NULL",
                     e));
    sqlite3_bind_int64(q, 1, j->attempts_before);
    sqlite3_bind_int64(q, 2, j->run);
    return step_once(j, q, e);
}

static err_t update_run(struct journal *j, const struct journal_run *run, struct err *e)
{
    sqlite3_stmt *q;
    TRY(prepare_once(
        j, &q,
        "UPDATE runs SET status=?, error=?, seconds=?, exit_code=?, ended_ms=?,"
        " rows_read=?, rows_parsed=?, rows_rejected=?, rows_emitted=?, rows_loaded=?,"
        " rows_refused=?, chunks=?, retries=?, bytes_read=?, workers=? WHERE seq=?",
        e));
    sqlite3_bind_text(q, 1, run->status ? run->status : "", -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 2, run->error ? run->error : "", -1, SQLITE_STATIC);
    sqlite3_bind_double(q, 3, run->seconds);
    const uint64_t numbers[] = { (uint64_t)(int64_t)run->exit_code,
                                 (uint64_t)clock_wall_ms(),
                                 run->rows_read,
                                 run->rows_parsed,
                                 run->rows_rejected,
                                 run->rows_emitted,
                                 run->rows_loaded,
                                 run->rows_refused,
                                 run->chunks,
                                 run->retries,
                                 run->bytes_read,
                                 run->workers,
                                 (uint64_t)j->run };
    for (int i = 0; i < 13; i++)
        sqlite3_bind_int64(q, i + 4, (int64_t)numbers[i]);
    return step_once(j, q, e);
}

err_t journal_run_end(struct journal *j, const struct journal_run *run, struct err *e)
{
    if (!j->run) return err_set(e, ERR_INVALID, "no run was begun");
    TRY(journal_flush(j, e));
    TRY(journal_step(j, S_BEGIN, e));
    err_t rc = end_attempts(j, e);
    if (rc == ERR_OK) rc = update_run(j, run, e);
    TRY(journal_finish(j, rc, e));
    j->run = 0;
    return ERR_OK;
}

static const char *text(sqlite3_stmt *q, int i)
{
    const char *s = (const char *)sqlite3_column_text(q, i);
    return s ? s : "";
}

static bool tell_run(sqlite3_stmt *q, journal_run_fn *fn, void *arg)
{
    struct journal_run run = {
        .name = text(q, 1),
        .job_file = text(q, 2),
        .into = text(q, 3),
        .table = text(q, 4),
        .status = text(q, 5),
        .error = text(q, 6),
        .seconds = sqlite3_column_double(q, 9),
        .exit_code = sqlite3_column_int(q, 10),
        .rows_read = (uint64_t)sqlite3_column_int64(q, 11),
        .rows_parsed = (uint64_t)sqlite3_column_int64(q, 12),
        .rows_rejected = (uint64_t)sqlite3_column_int64(q, 13),
        .rows_emitted = (uint64_t)sqlite3_column_int64(q, 14),
        .rows_loaded = (uint64_t)sqlite3_column_int64(q, 15),
        .rows_refused = (uint64_t)sqlite3_column_int64(q, 16),
        .chunks = (uint64_t)sqlite3_column_int64(q, 17),
        .retries = (uint64_t)sqlite3_column_int64(q, 18),
        .bytes_read = (uint64_t)sqlite3_column_int64(q, 19),
        .workers = (uint32_t)sqlite3_column_int64(q, 20),
    };
    snprintf(run.id, sizeof run.id, "%s", text(q, 0));
    if (!strcmp(run.status, "running") && !run_lock_holder_lives(text(q, 7))) {
        run.status = "interrupted";
        run.error = "its process died";
    }
    return fn(arg, &run, sqlite3_column_int64(q, 8));
}

err_t journal_runs(const char *dir, journal_run_fn *fn, void *arg, struct err *e)
{
    sqlite3 *db;
    TRY(journal_db_open(&db, dir, false, NULL, 0, e));
    if (!db) return ERR_OK;
    sqlite3_stmt *q;
    int rc = sqlite3_prepare_v2(
        db,
        "SELECT id, name, job_file, into_url, \"table\", status, error, holder, started_ms,"
        " seconds, exit_code, rows_read, rows_parsed, rows_rejected, rows_emitted, "
        "rows_loaded,"
        " rows_refused, chunks, retries, bytes_read, workers FROM runs ORDER BY seq DESC",
        -1, &q, NULL);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(q);
        if (rc == SQLITE_ROW && !tell_run(q, fn, arg)) rc = SQLITE_DONE;
    }
    err_t end = rc == SQLITE_DONE ? ERR_OK : journal_db_fail(db, e);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return end;
}
