#include "coordinator/journal_crew.h"

#include "common/clock.h"
#include "coordinator/journal_impl.h"
#include "coordinator/journal_prune.h"

#include <sqlite3.h>
#include <stdio.h>

static const char table[] =
    "CREATE TABLE IF NOT EXISTS retired(run INT NOT NULL, name TEXT NOT NULL,"
    " asked_ms INT NOT NULL, PRIMARY KEY(run, name)) WITHOUT ROWID";

err_t journal_crew_tables(sqlite3 *db, struct err *e)
{
    return journal_db_exec(db, table, e);
}

static const char *text(sqlite3_stmt *q, int i)
{
    const char *s = (const char *)sqlite3_column_text(q, i);
    return s ? s : "";
}

static bool tell(sqlite3_stmt *q, journal_member_fn *fn, void *arg)
{
    struct journal_member m = {
        .run = sqlite3_column_int64(q, 0),
        .holder = text(q, 1),
        .name = text(q, 2),
        .role = text(q, 3),
        .host = text(q, 4),
        .slots = (uint32_t)sqlite3_column_int64(q, 5),
        .since_ms = sqlite3_column_int64(q, 6),
        .leaving = sqlite3_column_int(q, 7) != 0,
        .begin = (uint64_t)sqlite3_column_int64(q, 8),
        .end = (uint64_t)sqlite3_column_int64(q, 9),
        .chunks = (uint64_t)sqlite3_column_int64(q, 10),
        .input = text(q, 11),
        .in_rows = sqlite3_column_int(q, 12) != 0,
    };
    // What a run that died has left says nothing.
    return run_lock_holder_lives(m.holder) ? fn(arg, &m) : true;
}

// The newest attempts are the ones that run: the others need not be looked at.
static const char crew[] =
    " open AS (SELECT run, worker, max(seq) AS seq FROM attempts"
    "  WHERE seq > (SELECT max(seq) FROM attempts) - 5000 AND outcome IS NULL"
    "  GROUP BY run, worker)"
    " SELECT r.seq, r.holder, w.name, w.role, w.host, w.slots, r.started_ms + w.came_ms,"
    "  t.name IS NOT NULL AND t.asked_ms >= r.started_ms + w.came_ms,"
    "  a.begin, a.\"end\", a.chunks, i.name, i.in_rows"
    " FROM runs r JOIN run_workers w ON w.run = r.seq"
    " LEFT JOIN retired t ON t.run = r.seq AND t.name = w.name"
    " LEFT JOIN open o ON o.run = r.seq AND o.worker = w.name"
    " LEFT JOIN attempts a ON a.seq = o.seq"
    " LEFT JOIN run_inputs i ON i.run = r.seq AND i.input = a.input"
    " WHERE r.status = 'running' AND w.left_ms < 0 AND w.role <> 'coordinator'"
    " ORDER BY r.seq, w.name";

static const char retired[] = "WITH";
static const char nobody[] = // who was never asked to leave
    "WITH retired(run, name, asked_ms) AS (SELECT NULL, NULL, NULL WHERE 0),";

// *q stays NULL when no run has ever told of its workers.
static err_t prepare(sqlite3 *db, sqlite3_stmt **q, struct err *e)
{
    const char *const ways[] = { retired, nobody };
    int rc = SQLITE_ERROR; // a table is missing
    for (int i = 0; i < 2 && rc == SQLITE_ERROR; i++) {
        char sql[sizeof crew + sizeof nobody];
        snprintf(sql, sizeof sql, "%s%s", ways[i], crew);
        rc = sqlite3_prepare_v2(db, sql, -1, q, NULL) & 0xff;
    }
    return rc == SQLITE_OK || rc == SQLITE_ERROR ? ERR_OK : journal_db_fail(db, e);
}

err_t journal_crew(const char *dir, journal_member_fn *fn, void *arg, struct err *e)
{
    sqlite3 *db;
    sqlite3_stmt *q = NULL;
    TRY(journal_db_open(&db, dir, false, NULL, 0, e));
    if (!db) return ERR_OK;
    err_t rc = prepare(db, &q, e);
    int step = SQLITE_DONE;
    while (q && (step = sqlite3_step(q)) == SQLITE_ROW)
        if (!tell(q, fn, arg)) break;
    if (step != SQLITE_DONE && step != SQLITE_ROW) rc = journal_db_fail(db, e);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return rc;
}

err_t journal_retire(const char *dir, int64_t run, const char *name, struct err *e)
{
    sqlite3 *db;
    sqlite3_stmt *q = NULL;
    TRY(journal_db_open(&db, dir, true, NULL, 0, e));
    err_t rc = journal_db_exec(db, table, e);
    if (rc == ERR_OK &&
        sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO retired VALUES(?,?,?)", -1, &q,
                           NULL) != SQLITE_OK)
        rc = journal_db_fail(db, e);
    if (rc == ERR_OK) {
        sqlite3_bind_int64(q, 1, run);
        sqlite3_bind_text(q, 2, name, -1, SQLITE_STATIC);
        sqlite3_bind_int64(q, 3, clock_wall_ms());
        if (sqlite3_step(q) != SQLITE_DONE) rc = journal_db_fail(db, e);
    }
    sqlite3_finalize(q);
    if (rc == ERR_OK) journal_prune_retired(db);
    sqlite3_close(db);
    return rc;
}

err_t journal_retired(struct journal *j, journal_retired_fn *fn, void *arg, struct err *e)
{
    sqlite3_stmt *q = NULL;
    if (!j->run) return ERR_OK;
    if (!j->has_retired) TRY(journal_db_exec(j->db, table, e)); // whoever comes first
    j->has_retired = true;
    if (sqlite3_prepare_v2(j->db, "SELECT name, asked_ms FROM retired WHERE run = ?", -1,
                           &q, NULL) != SQLITE_OK)
        return journal_db_fail(j->db, e);
    sqlite3_bind_int64(q, 1, j->run);
    int rc;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW)
        fn(arg, text(q, 0), sqlite3_column_int64(q, 1));
    err_t end = rc == SQLITE_DONE ? ERR_OK : journal_db_fail(j->db, e);
    sqlite3_finalize(q);
    return end;
}
