#include "common/sqlite_view.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    HEADER = 100, // of the file
    WRITE_VERSION = 18,
    WAL = 2,
    INDEX_HEADER = 48, // of the WAL index, which has two copies of it
    INDEX_REGION = 32 << 10,
    TRIES = 100,
};

struct state { // which the proof is the digest of; no padding
    uint8_t bytes[2 * INDEX_HEADER + 4];
    uint8_t kind[4];
    uint64_t dev, ino; // of the WAL index
};

static sqlite3_file *file_of(sqlite3 *db)
{
    sqlite3_file *f = NULL;
    return sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &f) == SQLITE_OK
               ? f
               : NULL;
}

// Through SQLite's own descriptors: to close another one of the same file would drop all
// locks that this process has on it (fcntl, F_SETLK).
static bool file_header(sqlite3_file *f, uint8_t *to)
{
    memset(to, 0, HEADER);
    int rc = f && f->pMethods ? f->pMethods->xRead(f, to, HEADER, 0) : SQLITE_IOERR;
    return rc == SQLITE_OK || rc == SQLITE_IOERR_SHORT_READ;
}

// False: there is none, or somebody is just writing it.
static bool index_header(sqlite3_file *f, uint8_t *to)
{
    void volatile *p = NULL;
    if (f->pMethods->iVersion < 2 || !f->pMethods->xShmMap) return false;
    int rc = f->pMethods->xShmMap(f, 0, INDEX_REGION, 0, &p);
    if ((rc != SQLITE_OK && rc != SQLITE_READONLY) || !p) return false;
    const volatile uint8_t *from = p;
    for (size_t i = 0; i < (size_t)2 * INDEX_HEADER; i++)
        to[i] = from[i];
    return memcmp(to, to + INDEX_HEADER, INDEX_HEADER) == 0;
}

// Two names of one file have an index each.
static void index_file(sqlite3 *db, struct state *s)
{
    char path[4200];
    struct stat st;
    const char *name = sqlite3_db_filename(db, "main");
    snprintf(path, sizeof path, "%s-shm", name ? name : "");
    if (stat(path, &st) != 0) return;
    s->dev = (uint64_t)st.st_dev;
    s->ino = (uint64_t)st.st_ino;
}

static int begin(sqlite3 *db)
{
    int rc =
        sqlite3_exec(db, "BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1", NULL, NULL, NULL);
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

// The transaction has begun; `before` is the index header as it was then, if it was there.
static bool prove(sqlite3 *db, sqlite3_file *f, const uint8_t *before, bool wal,
                  struct hash128 *proof)
{
    struct state s = { .kind = { wal } };
    if (!wal) {
        if (!file_header(f, s.bytes)) return false;
    } else {
        if (!index_header(f, s.bytes)) return false;
        if (memcmp(before, s.bytes, (size_t)2 * INDEX_HEADER) != 0) return false;
        index_file(db, &s);
    }
    *proof = hash_bytes(&s, sizeof s);
    return true;
}

static bool is_wal(sqlite3_file *f)
{
    uint8_t header[HEADER];
    return file_header(f, header) && header[WRITE_VERSION] == WAL;
}

int sqlite_view_begin(sqlite3 *db, struct hash128 *proof)
{
    uint8_t before[2 * INDEX_HEADER] = { 0 };
    *proof = (struct hash128){ 0 };
    int rc = begin(db); // only now it is known which mode the file is in
    if (rc != SQLITE_OK) return rc;
    sqlite3_file *f = file_of(db);
    bool wal = is_wal(f);
    if (!wal || !f) return prove(db, f, before, false, proof), SQLITE_OK;
    for (int i = 0; i < TRIES; i++) {
        bool there = index_header(f, before);
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
        rc = begin(db);
        if (rc != SQLITE_OK) return rc;
        if (there && is_wal(f) && prove(db, f, before, true, proof)) break;
    }
    return SQLITE_OK;
}
