#include "coordinator/journal_db.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATH_BYTES = 4200, APPLICATION = 0x5472616e, VERSION = 2, BUSY_MS = 5000 };

static const char tables[] =
    "CREATE TABLE runs(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT, "
    "job_file TEXT,"
    " into_url TEXT, \"table\" TEXT, spec TEXT, holder TEXT, lock_key TEXT, status TEXT "
    "NOT NULL,"
    " exit_code INT, started_ms INT NOT NULL, ended_ms INT, seconds REAL, rows_read INT,"
    " rows_parsed INT, rows_rejected INT, rows_emitted INT, rows_loaded INT, rows_refused "
    "INT,"
    " chunks INT, retries INT, bytes_read INT, workers INT, error TEXT);"
    "CREATE TABLE loads(seq INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    // chunks > 1: consecutive ones, all of the worker; those that did not end well have
    // rows of their own beside it. `begin` and `end` are byte offsets of input number
    // `input`; no outcome: unfinished.
    "CREATE TABLE attempts(seq INTEGER PRIMARY KEY, load INT NOT NULL REFERENCES "
    "loads(seq),"
    " input INT NOT NULL, begin INT NOT NULL, \"end\" INT NOT NULL, attempt INT NOT NULL,"
    " run INT REFERENCES runs(seq), worker TEXT, started_ms INT, outcome TEXT, ms INT, "
    "peak_kb INT,"
    " text TEXT, chunks INT NOT NULL DEFAULT 1);"
    "CREATE UNIQUE INDEX attempts_of ON attempts(load, input, begin, \"end\", attempt);"
    "CREATE TABLE events(seq INTEGER PRIMARY KEY, run INT REFERENCES runs(seq),"
    " at_ms INT NOT NULL, kind TEXT NOT NULL, text TEXT);";

err_t journal_db_fail(sqlite3 *db, struct err *e)
{
    int rc = sqlite3_errcode(db);
    switch (rc & 0xff) {
    case SQLITE_FULL: return err_set(e, ERR_FULL, "runs.db: no space is left on this disk");
    case SQLITE_NOMEM: return err_set(e, ERR_NOMEM, "runs.db: out of memory");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(e, ERR_BUSY, "runs.db: another program has kept it locked for %d s",
                       BUSY_MS / 1000);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return err_set(
            e, ERR_IO,
            "runs.db cannot be written (%s); TRANCHE_HOME can name another folder",
            sqlite3_errmsg(db));
    case SQLITE_IOERR:
        return err_set(e, ERR_IO, "runs.db: %s (errno %d)", sqlite3_errmsg(db),
                       sqlite3_system_errno(db));
    default: return err_set(e, ERR_DB, "runs.db: %s", sqlite3_errmsg(db));
    }
}

err_t journal_db_exec(sqlite3 *db, const char *sql, struct err *e)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? ERR_OK
                                                                : journal_db_fail(db, e);
}

// Column 0 of the first row; -1 when there is none or it can't be read.
static err_t number(sqlite3 *db, const char *sql, int64_t *out, struct err *e)
{
    sqlite3_stmt *q = NULL;
    *out = -1;
    int rc = sqlite3_prepare_v2(db, sql, -1, &q, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) *out = sqlite3_column_int64(q, 0);
    err_t end = rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : journal_db_fail(db, e);
    sqlite3_finalize(q);
    return end;
}

static err_t connect(sqlite3 **db, const char *path, struct err *e)
{
    int rc = sqlite3_open_v2(path, db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                                 SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOFOLLOW |
                                 SQLITE_OPEN_EXRESCODE,
                             NULL);
    if (rc != SQLITE_OK)
        return *db ? journal_db_fail(*db, e) : err_set(e, ERR_NOMEM, "out of memory");
    sqlite3_db_config(*db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(*db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(*db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(*db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_db_config(*db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(*db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_limit(*db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_busy_timeout(*db, BUSY_MS);
    return journal_db_exec(
        *db, "PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA trusted_schema=OFF", e);
}

enum state { READY, OLDER, EMPTY, NOT_OURS, NEWER };

// What is in the file. An error is damage, or nothing that a new file would help against.
static err_t look(sqlite3 *db, enum state *state, struct err *e)
{
    int64_t objects, app, version, newest;
    TRY(number(db, "SELECT count(*) FROM sqlite_schema", &objects, e));
    TRY(number(db, "PRAGMA application_id", &app, e));
    TRY(number(db, "PRAGMA user_version", &version, e));
    *state = objects == 0         ? EMPTY
             : app != APPLICATION ? NOT_OURS
             : version > VERSION  ? NEWER
             : version < VERSION  ? OLDER
                                  : READY;
    if (*state != READY && *state != OLDER) return ERR_OK;
    // Every column there is, and the rightmost path of each tree: where the next row goes.
    static const char *const probes[] = {
        "SELECT seq, id, name, job_file, into_url, \"table\", spec, holder, lock_key, "
        "status,"
        " exit_code, started_ms, ended_ms, seconds, rows_read, rows_parsed, rows_rejected,"
        " rows_emitted, rows_loaded, rows_refused, chunks, retries, bytes_read, workers, "
        "error"
        " FROM runs ORDER BY seq DESC LIMIT 1",
        "SELECT seq, name FROM loads ORDER BY seq DESC LIMIT 1",
        "SELECT seq, load, input, begin, \"end\", attempt, run, worker, started_ms, "
        "outcome, ms,"
        " peak_kb, text FROM attempts ORDER BY seq DESC LIMIT 1",
        "SELECT seq, run, at_ms, kind, text FROM events ORDER BY seq DESC LIMIT 1",
    };
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++)
        TRY(number(db, probes[i], &newest, e));
    return ERR_OK;
}

static bool is_damage(sqlite3 *db)
{
    switch (db ? sqlite3_errcode(db) & 0xff : SQLITE_OK) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_ERROR: // a table of ours is missing or has other columns
    case SQLITE_FORMAT: return true;
    default: return false;
    }
}

static err_t move_aside(const char *path, const char *why, char *note, size_t note_size,
                        struct err *e)
{
    char stamp[40], from[PATH_BYTES + 8], to[PATH_BYTES + 64];
    static const char *const parts[] = { "", "-wal", "-shm", "-journal" };
    time_t now = time(NULL);
    struct tm tm = { 0 };
    gmtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "damaged-%Y%m%d-%H%M%S", &tm);
    for (int i = 0; i < 4; i++) {
        snprintf(from, sizeof from, "%s%s", path, parts[i]);
        snprintf(to, sizeof to, "%s.%s%s", path, stamp, parts[i]);
        if (rename(from, to) != 0 && errno != ENOENT)
            return err_sys(e, "%s is damaged and cannot be moved aside", from);
    }
    snprintf(
        note, note_size,
        "%s is not usable (%s): it was moved to runs.db.%s and a new history begins; no "
        "data is lost",
        path, why, stamp);
    return ERR_OK;
}

static err_t create_file(const char *path, struct err *e)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) close(fd);
    if (fd >= 0 || errno == EEXIST) return ERR_OK;
    if (errno == ENOSPC || errno == EDQUOT)
        return err_set(e, ERR_FULL, "cannot create %s: no space is left on this disk",
                       path);
    return err_sys(e, "cannot create %s (TRANCHE_HOME can name another folder)", path);
}

static err_t create_tables(sqlite3 *db, struct err *e)
{
    char mark[120];
    snprintf(mark, sizeof mark, "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
             APPLICATION, VERSION);
    TRY(journal_db_exec(db, "PRAGMA journal_mode=WAL; BEGIN IMMEDIATE", e));
    err_t rc = journal_db_exec(db, tables, e);
    if (rc == ERR_OK) rc = journal_db_exec(db, mark, e);
    if (rc != ERR_OK) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

// Version 1 had a row for each attempt.
static err_t upgrade(sqlite3 *db, struct err *e)
{
    int64_t version;
    char mark[120];
    snprintf(mark, sizeof mark, "PRAGMA user_version=%d; COMMIT", VERSION);
    TRY(journal_db_exec(db, "BEGIN IMMEDIATE", e));
    err_t rc = number(db, "PRAGMA user_version", &version, e);
    if (rc == ERR_OK && version < VERSION)
        rc = journal_db_exec(
            db, "ALTER TABLE attempts ADD COLUMN chunks INT NOT NULL DEFAULT 1", e);
    if (rc == ERR_OK) rc = journal_db_exec(db, mark, e);
    if (rc != ERR_OK) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

static err_t usable(sqlite3 **db, const char *path, bool *damaged, enum state *state,
                    struct err *e)
{
    *damaged = false;
    *state = EMPTY;
    err_t rc = connect(db, path, e);
    if (rc == ERR_OK) rc = look(*db, state, e);
    if (rc == ERR_OK && *state == NOT_OURS)
        rc = err_set(e, ERR_DB, "it is the database of another program");
    if (rc == ERR_OK && *state == NEWER)
        return err_set(
            e, ERR_DB,
            "%s was written by a newer tranche: use that one, or move the file away", path);
    *damaged = rc != ERR_OK && (*state == NOT_OURS || is_damage(*db));
    return rc;
}

static void drop(sqlite3 **db)
{
    sqlite3_close(*db);
    *db = NULL;
}

// With the lock on DIR/locks/runs.db.lock, so that of two that find it damaged only one
// moves it, and nobody sees it half made.
static err_t make_usable(sqlite3 **db, const char *path, char *note, size_t note_size,
                         struct err *e)
{
    bool damaged;
    enum state state;
    TRY(create_file(path, e));
    err_t rc = usable(db, path, &damaged, &state, e);
    if (damaged) {
        char why[200];
        snprintf(why, sizeof why, "%.199s", e ? e->text : "damaged");
        drop(db);
        TRY(move_aside(path, why, note, note_size, e));
        TRY(create_file(path, e));
        rc = usable(db, path, &damaged, &state, e);
    }
    if (rc == ERR_OK && state == EMPTY) rc = create_tables(*db, e);
    return rc;
}

static err_t with_lock(sqlite3 **db, const char *dir, const char *path, char *note,
                       size_t note_size, struct err *e)
{
    char lock[PATH_BYTES];
    snprintf(lock, sizeof lock, "%s/locks/runs.db.lock", dir);
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return err_sys(e, "cannot create %s", lock);
    err_t rc = flock(fd, LOCK_EX) == 0 ? make_usable(db, path, note, note_size, e)
                                       : err_sys(e, "cannot lock %s", lock);
    close(fd);
    return rc;
}

err_t journal_db_open(sqlite3 **db, const char *dir, bool create, char *note,
                      size_t note_size, struct err *e)
{
    char path[PATH_BYTES];
    struct stat st;
    struct err scratch;
    if (!e) e = &scratch;
    *db = NULL;
    if (note_size) note[0] = '\0';
    if (snprintf(path, sizeof path, "%s/runs.db", dir) >= PATH_BYTES - 64)
        return err_set(e, ERR_TOOBIG, "%.100s...: the path is too long", dir);
    bool there = stat(path, &st) == 0, damaged = false;
    enum state state = EMPTY;
    if (!there && !create) return ERR_OK;
    err_t rc = there ? usable(db, path, &damaged, &state, e) : ERR_OK;
    if (create && (!there || damaged || (rc == ERR_OK && state == EMPTY))) {
        drop(db);
        rc = with_lock(db, dir, path, note, note_size, e);
    } else if (rc == ERR_OK && state == EMPTY) {
        drop(db);
        return ERR_OK;
    }
    if (rc == ERR_OK && create && state == OLDER) rc = upgrade(*db, e);
    if (rc == ERR_OK) rc = journal_db_exec(*db, "PRAGMA synchronous=NORMAL", e);
    if (rc != ERR_OK) drop(db);
    return rc;
}
