#include "worker/runner_rows.h"

#include "common/csv.h"
#include "common/row_step.h"
#include "common/sql_guard.h"
#include "common/sqlite_view.h"

#include <sys/stat.h>

enum { BUSY_MS = 200 }; // somebody waits to commit, and will not before the run ends

static err_t unseen(struct err *e, const char *path, const char *why)
{
    return err_set(e, ERR_CHANGED, "%s: its rows cannot be read here: %s", path, why);
}

static err_t prepare(struct runner_rows *r, const struct spec *spec, const char *path,
                     struct err *e)
{
    static const char little[] = "PRAGMA cache_size = -256"; // KiB: each page is read once
    sqlite3_extended_result_codes(r->db, 1);
    sqlite3_busy_timeout(r->db, BUSY_MS);
    TRY(sql_guard_harden(r->db, e));
    sqlite3_exec(r->db, little, NULL, NULL, NULL);
    if (sqlite_view_begin(r->db, &r->proof) != SQLITE_OK)
        return unseen(e, path, sqlite3_errmsg(r->db));
    sql_guard_read_only(r->db, true);
    TRY(sql_guard_prepare(r->db, spec->query, "a query", ERR_CHANGED, &r->st, e));
    if ((uint32_t)sqlite3_column_count(r->st) != spec->in.n + 1)
        return unseen(e, path, "the table has other columns");
    return ERR_OK;
}

static err_t open_database(struct runner_rows *r, const struct spec *spec,
                           const struct runner_task *t, struct err *e)
{
    struct stat st;
    if (!spec->query) return err_set(e, ERR_PROTO, "rows of a database without a query");
    if (stat(t->path, &st) != 0) return unseen(e, t->path, "it is not there");
    if ((uint64_t)st.st_dev != t->dev || (uint64_t)st.st_ino != t->ino)
        return unseen(e, t->path, "another file has taken its place");
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(t->path, &r->db, flags, NULL) != SQLITE_OK)
        return unseen(e, t->path, r->db ? sqlite3_errmsg(r->db) : "out of memory");
    return prepare(r, spec, t->path, e);
}

// A transaction that saw nothing useful must not keep others waiting.
static void drop(struct runner_rows *r)
{
    sqlite3_finalize(r->st);
    sqlite3_close(r->db);
    r->st = NULL;
    r->db = NULL;
}

static err_t see(struct runner_rows *r, const struct spec *spec,
                 const struct runner_task *t, struct err *e)
{
    if (!r->opened) {
        r->opened = true;
        r->why.code = open_database(r, spec, t, &r->why);
        if (r->why.code == ERR_OK && !hash_equal(r->proof, t->digest))
            r->why.code = unseen(&r->why, t->path, "it was written to since the run began");
        if (r->why.code != ERR_OK) drop(r);
    }
    if (r->why.code == ERR_OK && hash_equal(r->proof, t->digest)) return ERR_OK;
    if (r->why.code != ERR_OK) return err_set(e, ERR_CHANGED, "%s", r->why.text);
    return unseen(e, t->path, "another state is asked for");
}

static err_t step_all(struct runner_rows *r, uint32_t columns, size_t limit, struct buf *to,
                      uint32_t *rows, const struct runner_task *t, struct err *e)
{
    int rc;
    for (*rows = 0; (rc = sqlite3_step(r->st)) == SQLITE_ROW; ++*rows) {
        TRY(row_step_put(r->st, columns, to, e));
        if (*rows && to->n > limit)
            return err_set(e, ERR_TOOBIG,
                           "rows %llu-%llu of %s have more than %zu bytes: take a smaller "
                           "batch.rows, or raise --worker-memory",
                           (unsigned long long)t->begin, (unsigned long long)t->end,
                           t->path, limit);
    }
    if (rc == SQLITE_NOMEM) return err_set(e, ERR_NOMEM, "out of memory: a batch of rows");
    return rc == SQLITE_DONE ? ERR_OK : unseen(e, t->path, sqlite3_errmsg(r->db));
}

static err_t read_range(struct runner_rows *r, const struct spec *spec,
                        const struct runner_task *t, size_t limit, struct buf *to,
                        uint32_t *rows, struct err *e)
{
    TRY(see(r, spec, t, e));
    sqlite3_bind_int64(r->st, 1, (sqlite3_int64)t->begin);
    sqlite3_bind_int64(r->st, 2, (sqlite3_int64)t->end);
    err_t rc = step_all(r, spec->in.n + 1, limit, to, rows, t, e);
    sqlite3_reset(r->st);
    return rc;
}

err_t runner_rows_read(struct runner_rows *r, const struct spec *spec,
                       const struct runner_task *t, size_t limit_bytes, struct buf *to,
                       struct reader_chunk *c, struct err *e)
{
    static const uint8_t pad[CSV_PAD];
    to->n = 0;
    TRY(buf_add(to, pad, sizeof pad, e));
    pthread_mutex_lock(&r->lock);
    err_t rc = read_range(r, spec, t, limit_bytes, to, &c->rows, e);
    pthread_mutex_unlock(&r->lock);
    if (rc == ERR_OK) rc = buf_add(to, pad, sizeof pad, e);
    if (rc != ERR_OK) return rc;
    c->bytes = to->p + CSV_PAD;
    c->n = to->n - 2 * CSV_PAD;
    return ERR_OK;
}
