// The connection to a SQLite warehouse: opened hardened, and errors said in sentences.

#include "coordinator/page_memory.h"
#include "coordinator/warehouse_file.h"

#include "common/sql_functions.h"
#include "common/sql_guard.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BUSY_MS = 2000 };

void wsq_set_busy_ms(struct warehouse *w, int ms)
{
    w->busy_ms = ms;
    if (w->db) sqlite3_busy_timeout(w->db, ms);
}

void wsq_give_up(struct warehouse *w)
{
    for (unsigned i = 0; i < WSQ_N_CACHED; i++) {
        sqlite3_finalize(w->cached[i]);
        w->cached[i] = NULL;
    }
    if (!w->db) return;
    int rc = sqlite3_close(w->db);
    assert(rc == SQLITE_OK); // else a statement was forgotten
    w->db = NULL;
    w->slots = false;
}

void wsq_look_afresh(struct warehouse *w)
{
    if (*w->path) wsq_give_up(w);
}

// ---- errors

static err_t fail_busy(struct warehouse *w, struct err *e)
{
    char who[256];
    if (wsq_lock_holder(w->path, who, sizeof who))
        return err_set(e, ERR_BUSY, "%s is locked by %s", w->shown, who);
    return err_set(e, ERR_BUSY, "%s is locked by another connection", w->shown);
}

static err_t fail_io(struct warehouse *w, int rc, struct err *e, const char *doing)
{
    int os = w->db ? sqlite3_system_errno(w->db) : 0;
    if (os == ENOSPC || os == EDQUOT || os == EFBIG)
        return err_set(e, ERR_FULL, "no space left for %s (%s)", w->shown, strerror(os));
    return err_set(e, ERR_IO, "%s: %s failed: %s%s%s", w->shown, doing, sqlite3_errstr(rc),
                   os ? ": " : "", os ? strerror(os) : "");
}

err_t wsq_fail(struct warehouse *w, int rc, struct err *e, const char *doing)
{
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return fail_busy(w, e);
    case SQLITE_NOMEM: return err_set(e, ERR_NOMEM, "out of memory");
    case SQLITE_FULL: return err_set(e, ERR_FULL, "no space left for %s", w->shown);
    case SQLITE_IOERR: return fail_io(w, rc, e, doing);
    case SQLITE_NOTADB:
        return err_set(e, ERR_INVALID, "%s is not a SQLite database", w->shown);
    case SQLITE_CORRUPT:
        return err_set(e, ERR_DB,
                       "%s is damaged (%s failed: %s): restore a backup, or try the "
                       "sqlite3 shell's .recover",
                       w->shown, doing, w->db ? sqlite3_errmsg(w->db) : sqlite3_errstr(rc));
    case SQLITE_READONLY:
        if (rc == SQLITE_READONLY_DBMOVED)
            return err_set(e, ERR_DB, "%s was moved or deleted while it was in use",
                           w->shown);
        return err_set(e, ERR_DB, "%s can't be written: it or its folder is read-only",
                       w->shown);
    case SQLITE_CANTOPEN:
        return err_set(e, ERR_DB, "%s can't be opened: %s", w->shown, sqlite3_errstr(rc));
    default:
        return err_set(e, ERR_DB, "%s: %s failed: %s", w->shown, doing,
                       w->db ? sqlite3_errmsg(w->db) : sqlite3_errstr(rc));
    }
}

// ---- statements

static err_t vprepare(struct warehouse *w, sqlite3_stmt **st, struct err *e,
                      const char *sql, va_list ap)
{
    *st = NULL;
    char *text = sqlite3_vmprintf(sql, ap);
    if (!text) return err_set(e, ERR_NOMEM, "out of memory");
    int rc = sqlite3_prepare_v2(w->db, text, -1, st, NULL);
    sqlite3_free(text);
    if (rc != SQLITE_OK) return wsq_fail(w, rc, e, "preparing a statement");
    return ERR_OK;
}

err_t wsq_prepare(struct warehouse *w, sqlite3_stmt **st, struct err *e, const char *sql,
                  ...)
{
    va_list ap;
    va_start(ap, sql);
    err_t rc = vprepare(w, st, e, sql, ap);
    va_end(ap);
    return rc;
}

err_t wsq_bind(struct warehouse *w, sqlite3_stmt *st, struct err *e, const char *kinds, ...)
{
    va_list ap;
    int rc = SQLITE_OK;
    va_start(ap, kinds);
    for (int i = 1; *kinds && rc == SQLITE_OK; i++, kinds++) {
        if (*kinds == 'i') {
            rc = sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
        } else if (*kinds == 't') {
            rc = sqlite3_bind_text(st, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
        } else if (*kinds == 'n') {
            rc = sqlite3_bind_null(st, i);
        } else {
            const void *p = va_arg(ap, const void *);
            size_t n = va_arg(ap, size_t);
            rc = sqlite3_bind_blob64(st, i, p ? p : "", n, SQLITE_STATIC);
        }
    }
    va_end(ap);
    if (rc != SQLITE_OK) return wsq_fail(w, rc, e, "binding a value");
    return ERR_OK;
}

err_t wsq_step(struct warehouse *w, sqlite3_stmt *st, bool *row, struct err *e,
               const char *doing)
{
    int rc = sqlite3_step(st);
    *row = rc == SQLITE_ROW;
    if (*row) return ERR_OK;
    err_t out = rc == SQLITE_DONE ? ERR_OK : wsq_fail(w, rc, e, doing);
    sqlite3_reset(st);
    return out;
}

err_t wsq_exec(struct warehouse *w, struct err *e, const char *doing, const char *sql, ...)
{
    va_list ap;
    va_start(ap, sql);
    char *text = sqlite3_vmprintf(sql, ap);
    va_end(ap);
    if (!text) return err_set(e, ERR_NOMEM, "out of memory");
    int rc = sqlite3_exec(w->db, text, NULL, NULL, NULL);
    sqlite3_free(text);
    return rc == SQLITE_OK ? ERR_OK : wsq_fail(w, rc, e, doing);
}

err_t wsq_int(struct warehouse *w, struct err *e, int64_t *out, bool *found,
              const char *sql, ...)
{
    sqlite3_stmt *st;
    va_list ap;
    va_start(ap, sql);
    err_t rc = vprepare(w, &st, e, sql, ap);
    va_end(ap);
    bool row = false;
    if (rc == ERR_OK) rc = wsq_step(w, st, &row, e, "reading");
    *found = row && sqlite3_column_type(st, 0) != SQLITE_NULL;
    *out = *found ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_finalize(st);
    return rc;
}

// ---- transactions

err_t wsq_txn_begin(struct warehouse *w, struct err *e)
{
    // BEGIN IMMEDIATE would also want to write to the slots, whose images are read-only. A
    // first statement that writes nothing, but might, takes the same lock of main.
    err_t rc = wsq_exec(w, e, "starting a transaction",
                        w->slots ? "BEGIN; DELETE FROM main.tranche_runs WHERE 0"
                                 : "BEGIN IMMEDIATE");
    if (rc != ERR_OK) wsq_txn_rollback(w);
    return rc;
}

void wsq_txn_rollback(struct warehouse *w)
{
    if (w->db && !sqlite3_get_autocommit(w->db) &&
        sqlite3_exec(w->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
        wsq_give_up(w); // closing rolls back, now or when it is opened next
}

err_t wsq_txn_commit(struct warehouse *w, struct err *e)
{
    int rc = sqlite3_exec(w->db, "COMMIT", NULL, NULL, NULL);
    if (rc == SQLITE_OK) return ERR_OK;
    err_t kind = wsq_fail(w, rc, e, "committing");
    if (kind == ERR_BUSY || kind == ERR_FULL || (rc & 0xff) == SQLITE_CONSTRAINT) {
        wsq_txn_rollback(w);
        if (kind == ERR_FULL) wsq_look_afresh(w);
        return kind;
    }
    wsq_give_up(w); // the commit may or may not be in: only a fresh look tells (R5)
    err_wrap(e, ERR_UNKNOWN, "the outcome of a commit is unknown");
    return ERR_UNKNOWN;
}

// ---- opening

static err_t harden(struct warehouse *w, struct err *e)
{
    TRY(sql_guard_harden(w->db, e));
    TRY(sql_functions_add(w->db, e)); // for params, and for views that use them
    TRY(wsq_rules_add(w, e));
    return wsq_exec(
        w, e, "setting up",
        "PRAGMA synchronous=FULL; PRAGMA locking_mode=NORMAL;"
        "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;"
        "PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY;"
        "PRAGMA secure_delete=FAST");
}

err_t wsq_outlives_power_cuts(struct warehouse *w, bool yes, struct err *e)
{
    return wsq_exec(w, e, "setting up", "PRAGMA main.synchronous=%s",
                    yes ? "EXTRA" : "FULL");
}

err_t wsq_page_cache(struct warehouse *w, unsigned kib, struct err *e)
{
    unsigned most = w->cache_kib ? w->cache_kib : WSQ_CACHE_KIB;
    return wsq_exec(w, e, "setting up", "PRAGMA main.cache_size=-%u",
                    kib && kib < most ? kib : most);
}

// Reads the file for the first time: this is where a file that is no database shows.
static err_t settle_format(struct warehouse *w, struct err *e)
{
    int64_t pages;
    bool found;
    TRY(wsq_int(w, e, &pages, &found, "PRAGMA page_count"));
    if (pages == 0)
        TRY(wsq_exec(w, e, "setting up", "PRAGMA page_size=%d", PAGE_MEMORY_PAGE));
    // Not before: SQLite turns it into a number of pages, and does not do so again when the
    // size of a page changes.
    TRY(wsq_page_cache(w, 0, e));
    if (pages == 0) return ERR_OK;
    int64_t utf8;
    TRY(wsq_int(w, e, &utf8, &found, "SELECT encoding = 'UTF-8' FROM pragma_encoding"));
    if (!utf8)
        return err_set(e, ERR_INVALID, "%s keeps its text as UTF-16: a warehouse has UTF-8",
                       w->shown);
    return ERR_OK;
}

static err_t same_file(struct warehouse *w, struct err *e)
{
    struct stat st;
    if (!*w->path && w->load_id)
        return err_set(e, ERR_DB, "%s is lost after an error: run it again", w->shown);
    if (!*w->path) return ERR_OK;
    if (stat(w->path, &st) != 0) return err_sys(e, "%s", w->shown);
    if (w->ino == 0) {
        w->dev = st.st_dev;
        w->ino = st.st_ino;
    }
    if (w->dev != st.st_dev || w->ino != st.st_ino)
        return err_set(e, ERR_DB, "%s was replaced by another file while it was in use",
                       w->shown);
    return ERR_OK;
}

static err_t connect_db(struct warehouse *w, struct err *e)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX;
    if (w->ino == 0) flags |= SQLITE_OPEN_CREATE;
    int rc = sqlite3_open_v2(w->path, &w->db, flags, NULL);
    if (rc != SQLITE_OK) return wsq_fail(w, rc, e, "opening");
    sqlite3_extended_result_codes(w->db, 1);
    sqlite3_busy_timeout(w->db, w->busy_ms);
    TRY(same_file(w, e));
    TRY(harden(w, e));
    TRY(settle_format(w, e));
    return w->load_id ? w->store->attach(w, e) : ERR_OK;
}

err_t wsq_ready(struct warehouse *w, struct err *e)
{
    if (w->db) return ERR_OK;
    err_t rc = connect_db(w, e);
    if (rc != ERR_OK) wsq_give_up(w);
    return rc;
}

void wsq_close(struct warehouse **pw)
{
    struct warehouse *w = *pw;
    if (!w) return;
    wsq_txn_rollback(w);
    wsq_give_up(w);
    wsq_forget_load(w);
    wf_free(&w->files);
    free(w->path);
    free(w->shown);
    free(w);
    *pw = NULL;
}

err_t wsq_open(struct warehouse **out, const char *path, const struct wsq_store *store,
               warehouse_say *say, void *say_arg, struct err *e)
{
    *out = NULL;
    struct warehouse *w = calloc(1, sizeof *w);
    if (!w) return err_set(e, ERR_NOMEM, "out of memory");
    w->store = store;
    w->say = say;
    w->say_arg = say_arg;
    w->busy_ms = BUSY_MS;
    err_t rc = path ? wsq_resolve(path, &w->path, e) : ERR_OK;
    if (!path) w->path = strdup("");
    w->shown = strdup(path ? path : "the temporary file");
    if (rc == ERR_OK && !(w->path && w->shown)) rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK) rc = wsq_ready(w, e);
    if (rc != ERR_OK) {
        wsq_close(&w);
        return rc;
    }
    *out = w;
    return ERR_OK;
}

static err_t open_warehouse(struct warehouse **out, const char *url, warehouse_say *say,
                            void *say_arg, struct err *e)
{
    return wsq_open(out, strchr(url, ':') + 1, &wsq_tables, say, say_arg, e);
}

const struct warehouse_ops warehouse_sqlite = {
    .scheme = "sqlite",
    .sink = "sqlite",
    .states_sink = "rows",
    .merges = true,
    .try_merge = wsq_try_merge,
    .try_value = wsq_try_value,
    .open = open_warehouse,
    .query_value = wsq_query_value,
    .watermark = wsq_watermark_read,
    .begin = wsq_begin,
    .check = wsq_check,
    .commit = wsq_commit,
    .note = wsq_note,
    .finish = wsq_finish,
    .close = wsq_close,
};
