#include "coordinator/scheduled_past.h"

#include "common/clock.h"
#include "coordinator/journal.h"
#include "coordinator/journal_db.h"
#include "coordinator/journal_prune.h"
#include "coordinator/run_lock.h"
#include "coordinator/scheduled.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char table[] =
    "CREATE TABLE IF NOT EXISTS scheduled(seq INTEGER PRIMARY KEY, job TEXT NOT NULL,"
    " began_ms INT NOT NULL, ended_ms INT, exit_code INT, holder TEXT)";

// Runs the statement, which is freed; NULL: there was no memory for it.
static err_t change(const char *dir, char *sql, int64_t *row, struct err *e)
{
    sqlite3 *db = NULL;
    char note[1200];
    err_t rc = sql ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK) rc = journal_db_open(&db, dir, true, note, sizeof note, e);
    if (rc == ERR_OK) rc = journal_db_exec(db, table, e);
    if (rc == ERR_OK) rc = journal_db_exec(db, sql, e);
    if (rc == ERR_OK && row) {
        *row = sqlite3_last_insert_rowid(db);
        journal_prune_scheduled(db);
    }
    sqlite3_close(db);
    sqlite3_free(sql);
    return rc;
}

err_t scheduled_begin(const char *dir, const char *job, int64_t began, int64_t *row,
                      struct err *e)
{
    char holder[RUN_LOCK_HOLDER];
    run_lock_holder(holder);
    return change(dir,
                  sqlite3_mprintf("INSERT INTO scheduled(job, began_ms, holder)"
                                  " VALUES(%Q, %lld, %Q)",
                                  job, (long long)began * 1000, holder),
                  row, e);
}

err_t scheduled_end(const char *dir, int64_t row, int exit_code, struct err *e)
{
    return change(dir,
                  sqlite3_mprintf("UPDATE scheduled SET ended_ms = %lld, exit_code = %d"
                                  " WHERE seq = %lld",
                                  (long long)clock_wall_ms(), exit_code, (long long)row),
                  NULL, e);
}

// ---- the last one ----

static const char *status_of(int code)
{
    switch (code) {
    case CLI_OK: return "loaded";
    case CLI_REJECTS: return "loaded with rejects";
    case CLI_LIMIT: return "limit passed";
    case CLI_INTERRUPTED: return "interrupted";
    case SCHEDULED_REFUSED: return "refused";
    default: return "failed";
    }
}

static err_t last_scheduled(const char *dir, const char *job, struct scheduled_past *out,
                            int64_t *ended, struct err *e)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    TRY(journal_db_open(&db, dir, false, NULL, 0, e));
    if (!db) return ERR_OK;
    // An error is most often that there is no such table yet.
    if (sqlite3_prepare_v2(db,
                           "SELECT began_ms, ended_ms, exit_code, holder FROM scheduled"
                           " WHERE job = ?1 ORDER BY seq DESC LIMIT 1",
                           -1, &st, NULL) == SQLITE_OK &&
        sqlite3_bind_text(st, 1, job, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW) {
        const char *holder = (const char *)sqlite3_column_text(st, 3);
        bool over = sqlite3_column_type(st, 1) != SQLITE_NULL;
        bool dead = !over && !(holder && run_lock_holder_lives(holder));
        int code = sqlite3_column_int(st, 2);
        out->began = sqlite3_column_int64(st, 0) / 1000;
        out->exit_code = over && code >= 0 ? code : -1;
        *ended = over ? sqlite3_column_int64(st, 1) : dead ? 0 : INT64_MAX;
        snprintf(out->status, sizeof out->status, "%s",
                 over   ? status_of(code)
                 : dead ? "interrupted"
                        : "running");
    }
    sqlite3_finalize(st);
    sqlite3_close(db);
    return ERR_OK;
}

struct looking {
    const char *job;
    struct scheduled_past *out;
    int64_t ended; // of the last scheduled run: what began before was a part of it
};

// A relative path was seen from wherever the run was begun: then its name must do.
static bool is_of(const char *file, const char *job)
{
    const char *a = strrchr(file, '/'), *b = strrchr(job, '/');
    char *real = *file == '/' ? realpath(file, NULL) : NULL;
    bool same =
        real ? strcmp(real, job) == 0 : strcmp(a ? a + 1 : file, b ? b + 1 : job) == 0;
    free(real);
    return same;
}

static int look(void *arg, const struct journal_run *run, int64_t started_ms)
{
    struct looking *l = arg;
    if (started_ms <= l->ended || started_ms / 1000 <= l->out->began) return 0;
    if (!is_of(run->job_file, l->job)) return 1;
    l->out->began = started_ms / 1000;
    l->out->exit_code = strcmp(run->status, "running") == 0 ? -1 : run->exit_code;
    snprintf(l->out->status, sizeof l->out->status, "%s", run->status);
    return 0;
}

err_t scheduled_past(const char *dir, const char *job, struct scheduled_past *out,
                     struct err *e)
{
    struct looking l = { .job = job, .out = out };
    *out = (struct scheduled_past){ .exit_code = -1 };
    TRY(last_scheduled(dir, job, out, &l.ended, e));
    return journal_runs(dir, look, &l, e);
}
