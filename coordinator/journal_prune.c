#include "coordinator/journal_prune.h"

#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>

enum { JOBS_AT_ONCE = 100, RUNS_AT_ONCE = 100, ROWS_AT_ONCE = 20000 };

// The number that a query with one parameter gives; 0: none, or it cannot be read.
static int64_t number(sqlite3 *db, const char *sql, int64_t parameter)
{
    sqlite3_stmt *q = NULL;
    int64_t out = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK) return 0;
    sqlite3_bind_int64(q, 1, parameter);
    if (sqlite3_step(q) == SQLITE_ROW) out = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return out;
}

static void change(sqlite3 *db, const char *sql, int64_t parameter)
{
    sqlite3_stmt *q = NULL;
    // An error is most often that no run has needed the table yet.
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK) return;
    sqlite3_bind_int64(q, 1, parameter);
    (void)sqlite3_step(q);
    sqlite3_finalize(q);
}

#define OVER                                                                  \
    "(status <> 'running' OR started_ms < (SELECT max(started_ms) FROM runs)" \
    " - 86400000 * %d)"

// The last one of those that go; 0: none goes.
static int64_t last_to_go(sqlite3 *db)
{
    char sql[400];
    int64_t newest = number(db, "SELECT max(seq) FROM runs WHERE ?1 = 0", 0);
    if (newest <= JOURNAL_KEPT) return 0;
    snprintf(sql, sizeof sql,
             "SELECT max(seq) FROM (SELECT seq FROM runs WHERE seq <= ?1 AND " OVER
             " ORDER BY seq LIMIT %d)",
             JOURNAL_RUNS_DAYS, RUNS_AT_ONCE);
    return number(db, sql, newest - JOURNAL_KEPT);
}

// Tables without a key that begins with the run are in the order of time, or nearly so: of
// these only the oldest rows are looked at.
static void forget(sqlite3 *db, int64_t last)
{
    static const char *const by_run[] = { "run_places",  "run_inputs", "run_samples",
                                          "run_workers", "run_reused", "run_charts",
                                          "run_now",     "run_jobs",   "live",
                                          "retired" };
    static const char *const by_age[] = { "attempts", "events" };
    char sql[500], over[200];
    snprintf(over, sizeof over, "SELECT seq FROM runs WHERE seq <= ?1 AND " OVER,
             JOURNAL_RUNS_DAYS);
    for (size_t i = 0; i < sizeof by_run / sizeof *by_run; i++) {
        snprintf(sql, sizeof sql, "DELETE FROM %s WHERE run IN (%s)", by_run[i], over);
        change(db, sql, last);
    }
    for (size_t i = 0; i < sizeof by_age / sizeof *by_age; i++) {
        snprintf(sql, sizeof sql,
                 "DELETE FROM %s WHERE seq IN (SELECT seq FROM (SELECT seq, run FROM %s"
                 " ORDER BY seq LIMIT %d) WHERE run IS NULL OR (run <= ?1 AND run NOT IN"
                 " (SELECT seq FROM runs WHERE seq <= ?1 AND NOT " OVER ")))",
                 by_age[i], by_age[i], ROWS_AT_ONCE, JOURNAL_RUNS_DAYS);
        change(db, sql, last);
    }
    snprintf(sql, sizeof sql, "DELETE FROM runs WHERE seq IN (%s)", over);
    change(db, sql, last);
}

void journal_prune_runs(sqlite3 *db)
{
    int64_t last = last_to_go(db);
    if (!last || sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) return;
    forget(db, last);
    if (sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK &&
        !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

void journal_prune_jobs(sqlite3 *db)
{
    char sql[300];
    int64_t newest = number(db, "SELECT max(id) FROM jobs WHERE ?1 = 0", 0);
    if (newest <= JOURNAL_KEPT) return;
    snprintf(sql, sizeof sql,
             "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE id <= ?1 AND state IN"
             " ('ended', 'cancelled') ORDER BY id LIMIT %d)",
             JOBS_AT_ONCE);
    change(db, sql, newest - JOURNAL_KEPT);
}

void journal_prune_scheduled(sqlite3 *db)
{
    int64_t newest = number(db, "SELECT max(seq) FROM scheduled WHERE ?1 = 0", 0);
    if (newest <= JOURNAL_KEPT) return;
    change(db,
           "DELETE FROM scheduled WHERE seq <= ?1 AND seq NOT IN"
           " (SELECT max(seq) FROM scheduled GROUP BY job)",
           newest - JOURNAL_KEPT);
}

void journal_prune_retired(sqlite3 *db)
{
    change(db,
           "DELETE FROM retired WHERE run IN (SELECT seq FROM runs"
           " WHERE status <> 'running') AND ?1 = 0",
           0);
}
