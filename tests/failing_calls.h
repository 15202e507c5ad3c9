// failing_calls - what our code asks of the C library, SQLite and libpq fails, one call
// after the other.
//
// A test program that includes this has those calls wrapped (tests/CMakeLists.txt looks for
// the lines with __real_). As in no_memory.h only calls of our own code count, and none of
// other threads. A failing call does nothing, except that a statement of PostgreSQL is
// replaced by one that the server refuses, or its line is cut.
//
// The ladder: a step is tried with its first call failing, then the second, ..., until none
// is left to fail. What the tries before left behind is part of the test.

#ifndef TESTS_FAILING_CALLS_H
#define TESTS_FAILING_CALLS_H

#include "tests/no_memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum failing_kind {
    FAILING_FILES = 1,
    FAILING_SQLITE = 2,
    FAILING_POSTGRES = 4,
    FAILING_MEMORY = 8,
};

static _Thread_local struct {
    long left;       // calls until one fails; negative: none does
    unsigned kinds;  // that count
    int error;       // errno of files
    int sqlite;      // result code
    bool cut;        // PostgreSQL: the line is cut, else the server refuses a statement
    const char *was; // what failed last
    sqlite3 *db;     // that was last told `sqlite`: what it is asked for then
} failing = { .left = -1, .error = EIO, .sqlite = SQLITE_IOERR };

static inline bool failing_now(unsigned kind, const char *what)
{
    if (failing.left < 0 || !(failing.kinds & kind)) return false;
    if (failing.left-- > 0) return false;
    failing.was = what;
    if (kind == FAILING_FILES) errno = failing.error;
    return true;
}

#define FAILING(kind, type, name, params, args, otherwise) \
    type __wrap_##name params;                             \
    type __wrap_##name params                              \
    {                                                      \
        if (failing_now(kind, #name)) return otherwise;    \
        return __real_##name args;                         \
    }
#define FAILING_FILE(type, name, params, args, otherwise) \
    FAILING(FAILING_FILES, type, name, params, args, otherwise)

// ---- files

int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_ftruncate(int fd, off_t n);
int __real_fstat(int fd, struct stat *st);
int __real_stat(const char *path, struct stat *st);
int __real_lstat(const char *path, struct stat *st);
int __real_fstatat(int dir, const char *path, struct stat *st, int flags);
int __real_mkdir(const char *path, mode_t mode);
int __real_rename(const char *from, const char *to);
int __real_renameat(int dir, const char *from, int to_dir, const char *to);
int __real_renameat2(int dir, const char *from, int to_dir, const char *to, unsigned flags);
int __real_unlink(const char *path);
int __real_unlinkat(int dir, const char *path, int flags);
int __real_access(const char *path, int how);
int __real_pipe2(int fd[2], int flags);
int __real_eventfd(unsigned first, int flags);
int __real_glob(const char *p, int flags, int (*f)(const char *, int), glob_t *to);
int __real_open(const char *path, int flags, ...);
int __real_openat(int dir, const char *path, int flags, ...);
int __real___open_2(const char *path, int flags);
ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __real_pread(int fd, void *p, size_t n, off_t at);
ssize_t __real___pread_chk(int fd, void *p, size_t n, off_t at, size_t room);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __real_readlink(const char *path, char *to, size_t n);
DIR *__real_opendir(const char *path);
DIR *__real_fdopendir(int fd);
FILE *__real_fopen(const char *path, const char *mode);
FILE *__real_fdopen(int fd, const char *mode);
char *__real_realpath(const char *path, char *to);
char *__real_mkdtemp(char *name);
void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t from);

FAILING_FILE(int, fsync, (int fd), (fd), -1)
FAILING_FILE(int, fdatasync, (int fd), (fd), -1)
FAILING_FILE(int, ftruncate, (int fd, off_t n), (fd, n), -1)
FAILING_FILE(int, fstat, (int fd, struct stat *st), (fd, st), -1)
FAILING_FILE(int, stat, (const char *path, struct stat *st), (path, st), -1)
FAILING_FILE(int, lstat, (const char *path, struct stat *st), (path, st), -1)
FAILING_FILE(int, fstatat, (int dir, const char *path, struct stat *st, int flags),
             (dir, path, st, flags), -1)
FAILING_FILE(int, mkdir, (const char *path, mode_t mode), (path, mode), -1)
FAILING_FILE(int, rename, (const char *from, const char *to), (from, to), -1)
FAILING_FILE(int, renameat, (int dir, const char *from, int to_dir, const char *to),
             (dir, from, to_dir, to), -1)
FAILING_FILE(int, renameat2,
             (int dir, const char *from, int to_dir, const char *to, unsigned flags),
             (dir, from, to_dir, to, flags), -1)
FAILING_FILE(int, unlink, (const char *path), (path), -1)
FAILING_FILE(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags), -1)
FAILING_FILE(int, access, (const char *path, int how), (path, how), -1)
FAILING_FILE(int, pipe2, (int fd[2], int flags), (fd, flags), -1)
FAILING_FILE(int, eventfd, (unsigned first, int flags), (first, flags), -1)
FAILING_FILE(int, glob, (const char *p, int flags, int (*f)(const char *, int), glob_t *to),
             (p, flags, f, to), GLOB_NOSPACE)
FAILING_FILE(int, __open_2, (const char *path, int flags), (path, flags), -1)
FAILING_FILE(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n), -1)
FAILING_FILE(ssize_t, pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at), -1)
FAILING_FILE(ssize_t, __pread_chk, (int fd, void *p, size_t n, off_t at, size_t room),
             (fd, p, n, at, room), -1)
FAILING_FILE(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n), -1)
FAILING_FILE(ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at),
             -1)
FAILING_FILE(ssize_t, readlink, (const char *path, char *to, size_t n), (path, to, n), -1)
FAILING_FILE(DIR *, opendir, (const char *path), (path), NULL)
FAILING_FILE(DIR *, fdopendir, (int fd), (fd), NULL)
FAILING_FILE(FILE *, fopen, (const char *path, const char *mode), (path, mode), NULL)
FAILING_FILE(FILE *, fdopen, (int fd, const char *mode), (fd, mode), NULL)
FAILING_FILE(char *, realpath, (const char *path, char *to), (path, to), NULL)
FAILING_FILE(char *, mkdtemp, (char *name), (name), NULL)
FAILING_FILE(void *, mmap, (void *at, size_t n, int prot, int flags, int fd, off_t from),
             (at, n, prot, flags, fd, from), (void *)-1)

static inline mode_t failing_mode(int flags, va_list ap)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = failing_mode(flags, ap);
    va_end(ap);
    return failing_now(FAILING_FILES, "open") ? -1 : __real_open(path, flags, mode);
}

int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = failing_mode(flags, ap);
    va_end(ap);
    return failing_now(FAILING_FILES, "openat") ? -1
                                                : __real_openat(dir, path, flags, mode);
}

// ---- SQLite

int __real_sqlite3_open_v2(const char *path, sqlite3 **db, int flags, const char *vfs);
int __real_sqlite3_prepare_v2(sqlite3 *d, const char *s, int n, sqlite3_stmt **t,
                              const char **r);
int __real_sqlite3_prepare_v3(sqlite3 *d, const char *s, int n, unsigned f,
                              sqlite3_stmt **t, const char **r);
int __real_sqlite3_exec(sqlite3 *d, const char *s, int (*f)(void *, int, char **, char **),
                        void *arg, char **why);
int __real_sqlite3_step(sqlite3_stmt *st);
int __real_sqlite3_bind_int64(sqlite3_stmt *st, int i, sqlite3_int64 v);
int __real_sqlite3_bind_null(sqlite3_stmt *st, int i);
int __real_sqlite3_bind_text(sqlite3_stmt *t, int i, const char *p, int n,
                             void (*f)(void *));
int __real_sqlite3_bind_blob64(sqlite3_stmt *t, int i, const void *p, sqlite3_uint64 n,
                               void (*f)(void *));
int __real_sqlite3_bind_value(sqlite3_stmt *t, int i, const sqlite3_value *v);
int __real_sqlite3_errcode(sqlite3 *db);
int __real_sqlite3_extended_errcode(sqlite3 *db);
char *__real_sqlite3_vmprintf(const char *fmt, va_list ap);
char *__real_sqlite3_mprintf(const char *fmt, ...);

// What a connection is asked for after a failing call.
static inline bool failing_sqlite(sqlite3 *db, const char *what)
{
    bool yes = failing_now(FAILING_SQLITE, what);
    if (yes)
        failing.db = db;
    else if (failing.db == db)
        failing.db = NULL;
    return yes;
}

#define FAILING_DB(name, db, params, args)                                      \
    int __wrap_##name params;                                                   \
    int __wrap_##name params                                                    \
    {                                                                           \
        return failing_sqlite(db, #name) ? failing.sqlite : __real_##name args; \
    }

FAILING_DB(sqlite3_exec, d,
           (sqlite3 * d, const char *s, int (*f)(void *, int, char **, char **), void *arg,
            char **why),
           (d, s, f, arg, why))
FAILING_DB(sqlite3_step, sqlite3_db_handle(st), (sqlite3_stmt * st), (st))
FAILING_DB(sqlite3_bind_int64, sqlite3_db_handle(st),
           (sqlite3_stmt * st, int i, sqlite3_int64 v), (st, i, v))
FAILING_DB(sqlite3_bind_null, sqlite3_db_handle(st), (sqlite3_stmt * st, int i), (st, i))
FAILING_DB(sqlite3_bind_text, sqlite3_db_handle(st),
           (sqlite3_stmt * st, int i, const char *p, int n, void (*f)(void *)),
           (st, i, p, n, f))
FAILING_DB(sqlite3_bind_blob64, sqlite3_db_handle(st),
           (sqlite3_stmt * st, int i, const void *p, sqlite3_uint64 n, void (*f)(void *)),
           (st, i, p, n, f))
FAILING_DB(sqlite3_bind_value, sqlite3_db_handle(st),
           (sqlite3_stmt * st, int i, const sqlite3_value *v), (st, i, v))

int __wrap_sqlite3_open_v2(const char *path, sqlite3 **db, int flags, const char *vfs);
int __wrap_sqlite3_open_v2(const char *path, sqlite3 **db, int flags, const char *vfs)
{
    *db = NULL; // as when there is no memory for it
    return failing_now(FAILING_SQLITE, "sqlite3_open_v2")
               ? failing.sqlite
               : __real_sqlite3_open_v2(path, db, flags, vfs);
}

int __wrap_sqlite3_prepare_v2(sqlite3 *d, const char *s, int n, sqlite3_stmt **t,
                              const char **r);
int __wrap_sqlite3_prepare_v2(sqlite3 *d, const char *s, int n, sqlite3_stmt **t,
                              const char **r)
{
    *t = NULL;
    return failing_sqlite(d, s) ? failing.sqlite : __real_sqlite3_prepare_v2(d, s, n, t, r);
}

int __wrap_sqlite3_prepare_v3(sqlite3 *d, const char *s, int n, unsigned f,
                              sqlite3_stmt **t, const char **r);
int __wrap_sqlite3_prepare_v3(sqlite3 *d, const char *s, int n, unsigned f,
                              sqlite3_stmt **t, const char **r)
{
    *t = NULL;
    return failing_sqlite(d, s) ? failing.sqlite
                                : __real_sqlite3_prepare_v3(d, s, n, f, t, r);
}

int __wrap_sqlite3_errcode(sqlite3 *db);
int __wrap_sqlite3_errcode(sqlite3 *db)
{
    return db && failing.db == db ? failing.sqlite : __real_sqlite3_errcode(db);
}

int __wrap_sqlite3_extended_errcode(sqlite3 *db);
int __wrap_sqlite3_extended_errcode(sqlite3 *db)
{
    return db && failing.db == db ? failing.sqlite : __real_sqlite3_extended_errcode(db);
}

char *__wrap_sqlite3_vmprintf(const char *fmt, va_list ap);
char *__wrap_sqlite3_vmprintf(const char *fmt, va_list ap)
{
    return no_memory_now() ? NULL : __real_sqlite3_vmprintf(fmt, ap);
}

char *__wrap_sqlite3_mprintf(const char *fmt, ...);
char *__wrap_sqlite3_mprintf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *out = no_memory_now() ? NULL : __real_sqlite3_vmprintf(fmt, ap);
    va_end(ap);
    return out;
}

// ---- libpq

int __real_PQsendQuery(PGconn *c, const char *sql);
int __real_PQsendQueryParams(PGconn *c, const char *sql, int n, const Oid *types,
                             const char *const *v, const int *lengths, const int *formats,
                             int f);
PGresult *__real_PQexec(PGconn *c, const char *sql);
PGresult *__real_PQexecParams(PGconn *c, const char *sql, int n, const Oid *types,
                              const char *const *v, const int *lengths, const int *formats,
                              int f);
int __real_PQputCopyData(PGconn *c, const char *p, int n);
int __real_PQputCopyEnd(PGconn *c, const char *why);
int __real_PQgetCopyData(PGconn *c, char **out, int async);

static const char failing_statement[] =
    "DO $$ BEGIN RAISE EXCEPTION 'it was made to fail' USING ERRCODE = '53100'; END $$";

// What is sent instead of `sql`: the same into a line that is cut, or what is refused.
static inline const char *failing_sql(PGconn *c, const char *sql)
{
    if (!failing_now(FAILING_POSTGRES, sql)) return sql;
    if (!failing.cut) return failing_statement;
    shutdown(PQsocket(c), SHUT_RDWR);
    return sql;
}

int __wrap_PQsendQuery(PGconn *c, const char *sql);
int __wrap_PQsendQuery(PGconn *c, const char *sql)
{
    return __real_PQsendQuery(c, failing_sql(c, sql));
}

PGresult *__wrap_PQexec(PGconn *c, const char *sql);
PGresult *__wrap_PQexec(PGconn *c, const char *sql)
{
    return __real_PQexec(c, failing_sql(c, sql));
}

int __wrap_PQsendQueryParams(PGconn *c, const char *sql, int n, const Oid *types,
                             const char *const *v, const int *lengths, const int *formats,
                             int f);
int __wrap_PQsendQueryParams(PGconn *c, const char *sql, int n, const Oid *types,
                             const char *const *v, const int *lengths, const int *formats,
                             int f)
{
    const char *send = failing_sql(c, sql);
    return __real_PQsendQueryParams(c, send, send == sql ? n : 0, types, v, lengths,
                                    formats, f);
}

PGresult *__wrap_PQexecParams(PGconn *c, const char *sql, int n, const Oid *types,
                              const char *const *v, const int *lengths, const int *formats,
                              int f);
PGresult *__wrap_PQexecParams(PGconn *c, const char *sql, int n, const Oid *types,
                              const char *const *v, const int *lengths, const int *formats,
                              int f)
{
    const char *send = failing_sql(c, sql);
    return __real_PQexecParams(c, send, send == sql ? n : 0, types, v, lengths, formats, f);
}

int __wrap_PQputCopyData(PGconn *c, const char *p, int n);
int __wrap_PQputCopyData(PGconn *c, const char *p, int n)
{
    return failing_now(FAILING_POSTGRES, "COPY") ? -1 : __real_PQputCopyData(c, p, n);
}

int __wrap_PQputCopyEnd(PGconn *c, const char *why);
int __wrap_PQputCopyEnd(PGconn *c, const char *why)
{
    bool yes = failing_now(FAILING_POSTGRES, "the end of COPY");
    if (yes && failing.cut) shutdown(PQsocket(c), SHUT_RDWR);
    return __real_PQputCopyEnd(c, yes ? "it was made to fail" : why);
}

int __wrap_PQgetCopyData(PGconn *c, char **out, int async);
int __wrap_PQgetCopyData(PGconn *c, char **out, int async)
{
    if (!failing_now(FAILING_POSTGRES, "rows of COPY"))
        return __real_PQgetCopyData(c, out, async);
    if (failing.cut) shutdown(PQsocket(c), SHUT_RDWR);
    return failing.cut ? __real_PQgetCopyData(c, out, async) : -2;
}

// ---- the ladder

// What fails: a row of a table of tests.
struct failing_way {
    const char *name;
    unsigned kinds;
    int error, sqlite;
    bool cut;
};

static inline void failing_begin(const struct failing_way *way, long at)
{
    failing.kinds = way->kinds;
    failing.error = way->error;
    failing.sqlite = way->sqlite;
    failing.cut = way->cut;
    failing.was = "";
    failing.left = way->kinds & ~FAILING_MEMORY ? at : -1;
    no_memory_left = way->kinds & FAILING_MEMORY ? at : -1;
}

// True: it came so far that something failed.
static inline bool failing_end(const struct failing_way *way)
{
    bool hit = (way->kinds & ~FAILING_MEMORY && failing.left < 0) ||
               (way->kinds & FAILING_MEMORY && no_memory_left < 0);
    failing.left = no_memory_left = -1;
    failing.db = NULL;
    return hit;
}

#ifdef __SANITIZE_ADDRESS__
enum { FAILING_STRIDE = 2 }; // it takes five times as long
#else
enum { FAILING_STRIDE = 1 };
#endif

// Another may hold what is wanted, and does not for long: a server has not seen yet that a
// line is cut.
static inline err_t failing_patiently(no_memory_fn *step, void *arg, struct err *e)
{
    enum { TRIES = 60000 };
    err_t rc = ERR_BUSY;
    for (int i = 0; rc == ERR_BUSY && i < TRIES; i++) {
        if (i) usleep(1000);
        rc = step(arg, e);
    }
    return rc;
}

// `after` is told how each try ended with something failing: it puts back what the step
// needs, so that it can be tried again. Returns how many calls were made to fail.
static inline long failing_ladder(const struct failing_way *way, no_memory_fn *step,
                                  void (*after)(void *arg, err_t rc, const struct err *e),
                                  void *arg)
{
    long n = 0;
    for (long at = 0;; at += FAILING_STRIDE) {
        struct err e = { 0 };
        failing_begin(way, at);
        err_t rc = step(arg, &e);
        bool hit = failing_end(way);
        if (!hit && rc == ERR_BUSY) rc = failing_patiently(step, arg, &e);
        if (!hit) PASS(&e, rc);
        if (!hit) return n;
        if (rc != ERR_OK && !*e.text)
            fail_msg("call %ld (%s) failed without a sentence", at, failing.was);
        if (after) after(arg, rc, &e);
        n++;
    }
}

#endif
