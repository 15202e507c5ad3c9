#include "coordinator/journal_plan.h"

#include "common/clock.h"
#include "coordinator/journal_impl.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

// Not part of the version of runs.db: programs that don't know it lose nothing. `job` is
// the hash of runs.spec.
static const char table[] =
    "CREATE TABLE IF NOT EXISTS plans(job TEXT PRIMARY KEY, at_ms INT NOT NULL,"
    " workers INT NOT NULL, seconds REAL NOT NULL, rows_read INT NOT NULL,"
    " rows_rejected INT NOT NULL, output_bytes INT NOT NULL) WITHOUT ROWID";

static void name_job(const char *spec_text, char out[HASH_HEX])
{
    hash_hex(hash_bytes(spec_text, strlen(spec_text)), out);
}

static err_t prepare(sqlite3 *db, const char *sql, const char *job, sqlite3_stmt **q,
                     struct err *e)
{
    if (sqlite3_prepare_v2(db, sql, -1, q, NULL) != SQLITE_OK ||
        sqlite3_bind_text(*q, 1, job, -1, SQLITE_STATIC) != SQLITE_OK)
        return journal_db_fail(db, e);
    return ERR_OK;
}

static err_t put(sqlite3 *db, const char *job, const struct journal_plan *p, struct err *e)
{
    sqlite3_stmt *q = NULL;
    TRY(journal_db_exec(db, table, e));
    err_t rc =
        prepare(db, "INSERT OR REPLACE INTO plans VALUES(?,?,?,?,?,?,?)", job, &q, e);
    if (rc == ERR_OK) {
        sqlite3_bind_int64(q, 2, clock_wall_ms());
        sqlite3_bind_int64(q, 3, p->workers);
        sqlite3_bind_double(q, 4, p->seconds);
        sqlite3_bind_int64(q, 5, (int64_t)p->rows);
        sqlite3_bind_int64(q, 6, (int64_t)p->rows_rejected);
        sqlite3_bind_int64(q, 7, (int64_t)p->output_bytes);
        if (sqlite3_step(q) != SQLITE_DONE) rc = journal_db_fail(db, e);
    }
    sqlite3_finalize(q);
    return rc;
}

err_t journal_plan_put(const char *dir, const char *spec_text, const struct journal_plan *p,
                       struct err *e)
{
    char job[HASH_HEX], key[HASH_HEX + 8];
    struct journal *j = NULL;
    name_job(spec_text, job);
    snprintf(key, sizeof key, "plan %s", job);
    TRY(journal_open(&j, dir, key, e));
    err_t rc = put(j->db, job, p, e);
    journal_close(&j);
    return rc;
}

static void read_row(sqlite3_stmt *q, struct journal_plan *out)
{
    *out = (struct journal_plan){
        .at_ms = sqlite3_column_int64(q, 0),
        .workers = (uint32_t)sqlite3_column_int64(q, 1),
        .seconds = sqlite3_column_double(q, 2),
        .rows = (uint64_t)sqlite3_column_int64(q, 3),
        .rows_rejected = (uint64_t)sqlite3_column_int64(q, 4),
        .output_bytes = (uint64_t)sqlite3_column_int64(q, 5),
    };
}

static err_t find(sqlite3 *db, const char *job, struct journal_plan *out, bool *found,
                  struct err *e)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_table_column_metadata(db, NULL, "plans", "output_bytes", NULL, NULL, NULL,
                                      NULL, NULL) != SQLITE_OK)
        return ERR_OK;
    err_t rc = prepare(db,
                       "SELECT at_ms, workers, seconds, rows_read, rows_rejected,"
                       " output_bytes FROM plans WHERE job = ?",
                       job, &q, e);
    int step = rc == ERR_OK ? sqlite3_step(q) : SQLITE_DONE;
    *found = step == SQLITE_ROW;
    if (*found) read_row(q, out);
    if (step != SQLITE_ROW && step != SQLITE_DONE) rc = journal_db_fail(db, e);
    sqlite3_finalize(q);
    return rc;
}

err_t journal_plan_of(struct journal *j, const char *spec_text, struct journal_plan *out,
                      bool *found, struct err *e)
{
    char job[HASH_HEX];
    *found = false;
    name_job(spec_text, job);
    return find(j->db, job, out, found, e);
}

err_t journal_plan_find(const char *dir, const char *spec_text, struct journal_plan *out,
                        bool *found, struct err *e)
{
    sqlite3 *db;
    char job[HASH_HEX];
    *found = false;
    name_job(spec_text, job);
    TRY(journal_db_open(&db, dir, false, NULL, 0, e));
    if (!db) return ERR_OK;
    err_t rc = journal_db_exec(db, "PRAGMA query_only=ON", e);
    if (rc == ERR_OK) rc = find(db, job, out, found, e);
    sqlite3_close(db);
    return rc;
}
