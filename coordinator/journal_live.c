// What a run that takes workers is doing at the moment: one row a run, replaced every
// second.

#include "coordinator/journal_impl.h"

#include "common/clock.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { STALE_MS = 15000 };

// Not part of the version of runs.db: programs that don't know it lose nothing.
static const char table[] =
    "CREATE TABLE IF NOT EXISTS live(run INTEGER PRIMARY KEY REFERENCES runs(seq),"
    " at_ms INT NOT NULL, workers INT, slots INT, idle_slots INT, running INT, waiting INT,"
    " to_come INT)"; // NULL: unknown

static err_t put(struct journal *j, const struct journal_live *l, struct err *e)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(j->db, "INSERT OR REPLACE INTO live VALUES(?,?,?,?,?,?,?,?)", -1,
                           &q, NULL) != SQLITE_OK)
        return journal_db_fail(j->db, e);
    const int64_t v[] = { j->run,        clock_wall_ms(),     l->workers,         l->slots,
                          l->idle_slots, (int64_t)l->running, (int64_t)l->waiting };
    for (int i = 0; i < 7; i++)
        sqlite3_bind_int64(q, i + 1, v[i]);
    if (l->to_come >= 0) sqlite3_bind_int64(q, 8, l->to_come);
    err_t rc = sqlite3_step(q) == SQLITE_DONE ? ERR_OK : journal_db_fail(j->db, e);
    sqlite3_finalize(q);
    return rc;
}

err_t journal_live_put(struct journal *j, const struct journal_live *l, struct err *e)
{
    if (!j->run) return err_set(e, ERR_INVALID, "no run was begun");
    if (!j->has_live) TRY(journal_db_exec(j->db, table, e));
    j->has_live = true;
    return put(j, l, e);
}

static bool is_fresh(int64_t at_ms)
{
    return clock_wall_ms() - at_ms < STALE_MS;
}

// Its loop stands still while indexes are built, and another container's process ids say
// nothing here: only both together mean that it is gone.
static enum journal_live_state state_of(int64_t ended_ms, const char *status, int64_t at_ms,
                                        const char *holder)
{
    if (ended_ms) return JOURNAL_LIVE_ENDED;
    if (is_fresh(at_ms) && strcmp(status, "running") == 0) return JOURNAL_LIVE_RUNS;
    return run_lock_holder_lives(holder) ? JOURNAL_LIVE_RUNS : JOURNAL_LIVE_DIED;
}

static const char *text(sqlite3_stmt *q, int i)
{
    const char *s = (const char *)sqlite3_column_text(q, i);
    return s ? s : "";
}

static void read_row(sqlite3_stmt *q, struct journal_live *out)
{
    *out = (struct journal_live){
        .state = state_of(sqlite3_column_int64(q, 1), text(q, 2),
                          sqlite3_column_int64(q, 4), text(q, 3)),
        .workers = (uint32_t)sqlite3_column_int64(q, 5),
        .slots = (uint32_t)sqlite3_column_int64(q, 6),
        .idle_slots = (uint32_t)sqlite3_column_int64(q, 7),
        .running = (uint64_t)sqlite3_column_int64(q, 8),
        .waiting = (uint64_t)sqlite3_column_int64(q, 9),
        .to_come =
            sqlite3_column_type(q, 10) == SQLITE_NULL ? -1 : sqlite3_column_int64(q, 10),
        .seq = sqlite3_column_int64(q, 11),
    };
    snprintf(out->run, sizeof out->run, "%s", text(q, 0));
}

// The newest; or, when that is over, one before it that goes on without a doubt.
static err_t pick(sqlite3 *db, struct journal_live *out, struct err *e)
{
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(
        db,
        "SELECT r.id, r.ended_ms, r.status, r.holder, l.at_ms, l.workers, l.slots,"
        " l.idle_slots, l.running, l.waiting, l.to_come, r.seq FROM live l JOIN runs r ON"
        " r.seq = l.run ORDER BY l.run DESC LIMIT 50",
        -1, &q, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) read_row(q, out);
    bool goes_on = out->state == JOURNAL_LIVE_RUNS;
    while (rc == SQLITE_ROW && !goes_on && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct journal_live older;
        read_row(q, &older);
        goes_on = older.state == JOURNAL_LIVE_RUNS && is_fresh(sqlite3_column_int64(q, 4));
        if (goes_on) *out = older;
    }
    err_t end = rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : journal_db_fail(db, e);
    sqlite3_finalize(q);
    return end;
}

static bool has_table(sqlite3 *db)
{
    return sqlite3_table_column_metadata(db, NULL, "live", "to_come", NULL, NULL, NULL,
                                         NULL, NULL) == SQLITE_OK;
}

err_t journal_live_get(const char *dir, struct journal_live *out, struct err *e)
{
    sqlite3 *db;
    *out = (struct journal_live){ .state = JOURNAL_LIVE_NONE };
    TRY(journal_db_open(&db, dir, false, NULL, 0, e));
    if (!db) return ERR_OK;
    err_t rc = journal_db_exec(db, "PRAGMA query_only=ON", e);
    if (rc == ERR_OK && has_table(db)) rc = pick(db, out, e);
    sqlite3_close(db);
    return rc;
}
