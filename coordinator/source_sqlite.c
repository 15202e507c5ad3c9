// The rows of a query on an SQLite database, in its order. One reader steps it, in one read
// transaction from the first look at the columns to the last row, so that nobody else's
// writing is seen.

#include "coordinator/source_sqlite.h"
#include "common/sql_guard.h"
#include "common/sqlite_view.h"
#include "common/text.h"
#include "coordinator/source_names.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    BUSY_MS = 5000,
    STEPS_A_LOOK = 20000, // of SQLite's machine, between looks whether to stop
};

err_t sqlite_source_fail(const struct source *s, int rc, struct err *e)
{
    struct sqlite_source *q = s->own;
    const char *name = s->in->name;
    switch (rc & 0xff) {
    case SQLITE_NOMEM: return err_set(e, ERR_NOMEM, "out of memory");
    case SQLITE_INTERRUPT:
        return err_set(e, ERR_CLOSED, "%s is not read any further", name);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(e, ERR_BUSY, "%s is locked by somebody who writes to it", name);
    case SQLITE_NOTADB: return err_set(e, ERR_INVALID, "%s is not a SQLite database", name);
    case SQLITE_CORRUPT:
        return err_set(e, ERR_DB, "%s is damaged: %s", name, sqlite3_errmsg(q->db));
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return err_set(e, ERR_IO, "cannot read %s: %s", name, sqlite3_errmsg(q->db));
    default: break;
    }
    return err_set(e, ERR_INVALID, "source.query: %s", sqlite3_errmsg(q->db));
}

// Called by SQLite now and then: not 0 ends the statement.
static int look_whether_to_stop(void *arg)
{
    const struct source *s = arg;
    struct pollfd p = { s->stop_fd, POLLIN, 0 };
    return poll(&p, 1, 0) > 0;
}

static bool is_warehouse(const struct job *j, const struct stat *source)
{
    static const char scheme[] = "sqlite:";
    struct stat st;
    return j->into && strncmp(j->into, scheme, sizeof scheme - 1) == 0 &&
           stat(j->into + sizeof scheme - 1, &st) == 0 && st.st_dev == source->st_dev &&
           st.st_ino == source->st_ino;
}

static err_t check_other_table(const struct job *j, struct err *e)
{
    if (!j->sqlite_table || strcasecmp(j->sqlite_table, j->table) != 0) return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "the table %s of %s is both read and loaded into: load into another "
                   "table",
                   j->table, j->sqlite_written);
}

static err_t open_database(struct source *s, const struct job *j, struct err *e)
{
    struct sqlite_source *q = s->own;
    struct stat st;
    if (stat(j->sqlite, &st) != 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? err_set(e, ERR_INVALID, "%s does not exist", j->sqlite_written)
                   : err_sys(e, "cannot examine %s", j->sqlite_written);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID, "%s is not a database file", j->sqlite_written);
    q->also_loaded = is_warehouse(j, &st);
    if (q->also_loaded) TRY(check_other_table(j, e));
    s->in->dev = st.st_dev;
    s->in->ino = st.st_ino;
    s->in->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    // One thread at a time uses it, and a lock for each value costs more than the value.
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(j->sqlite, &q->db, flags, NULL);
    if (rc != SQLITE_OK) return sqlite_source_fail(s, rc, e);
    sqlite3_extended_result_codes(q->db, 1);
    sqlite3_busy_timeout(q->db, BUSY_MS);
    TRY(sql_guard_harden(q->db, e));
    sqlite3_progress_handler(q->db, STEPS_A_LOOK, look_whether_to_stop, s);
    rc = sqlite_view_begin(q->db, &q->proof); // mistakes of the file are seen
    return rc == SQLITE_OK ? ERR_OK : sqlite_source_fail(s, rc, e);
}

static int bind_cell(sqlite3_stmt *st, int i, const struct cell *c)
{
    switch ((enum cell_kind)c->kind) {
    case CELL_INTEGER: return sqlite3_bind_int64(st, i, c->i);
    case CELL_REAL: return sqlite3_bind_double(st, i, c->r);
    case CELL_TEXT:
        return sqlite3_bind_text(st, i, (const char *)c->p, (int)c->len, SQLITE_STATIC);
    case CELL_BLOB: return sqlite3_bind_blob(st, i, c->p, (int)c->len, SQLITE_STATIC);
    case CELL_NULL: break;
    }
    return sqlite3_bind_null(st, i);
}

// :watermark, $watermark or @watermark. As long as nothing is loaded it is below every
// number, and below every text that begins with a digit or a letter.
static err_t bind_watermark(struct source *s, const struct job *j, struct err *e)
{
    struct sqlite_source *q = s->own;
    struct cell least = { .kind = CELL_REAL, .r = -INFINITY };
    char shown[TEXT_QUOTED];
    for (int i = 1; i <= sqlite3_bind_parameter_count(q->st); i++) {
        const char *name = sqlite3_bind_parameter_name(q->st, i);
        if (!name || strcmp(name + 1, "watermark") != 0)
            return err_set(e, ERR_INVALID,
                           "source.query: %s is nothing that is bound here: there is "
                           ":watermark, with load.mode incremental",
                           text_quoted(name ? name : "?", shown));
        if (j->mode != MODE_INCREMENTAL)
            return err_set(e, ERR_INVALID,
                           "source.query: :watermark is what an incremental load has seen; "
                           "give load.mode incremental, and load.watermark");
        int rc = bind_cell(q->st, i, s->watermark ? s->watermark : &least);
        if (rc != SQLITE_OK) return sqlite_source_fail(s, rc, e);
    }
    return ERR_OK;
}

static err_t prepare(struct source *s, const struct job *j, struct err *e)
{
    struct sqlite_source *q = s->own;
    char *made = NULL;
    const char *sql = q->table ? source_table_query(q->table) : j->query;
    if (!sql) sql = made = sqlite3_mprintf("SELECT * FROM \"%w\"", j->sqlite_table);
    if (!sql) return err_set(e, ERR_NOMEM, "out of memory");
    sql_guard_read_only(q->db, true);
    err_t code = sql_guard_prepare(q->db, sql, "a query", ERR_INVALID, &q->st, e);
    sqlite3_free(made);
    if (code != ERR_OK)
        return err_wrap(e, code, j->query ? "source.query" : "source.sqlite_table");
    if (j->query) TRY(bind_watermark(s, j, e));
    q->rows.n_cols = (uint32_t)sqlite3_column_count(q->st) - q->rows.lead;
    for (uint32_t i = 0; i < q->rows.n_cols; i++) {
        const char *name = sqlite3_column_name(q->st, (int)(q->rows.lead + i));
        if (!name) return err_set(e, ERR_NOMEM, "out of memory");
        TRY(strings_add(&q->rows.names, name, strlen(name), e));
    }
    return ERR_OK;
}

err_t sqlite_source_open(struct source *s, const struct job *j, struct err *e)
{
    struct sqlite_source *q = s->own = calloc(1, sizeof *q);
    if (!q) return err_set(e, ERR_NOMEM, "out of memory");
    q->rows.step = sqlite_source_step;
    TRY(rows_start(s, j->sqlite_written, e));
    TRY(open_database(s, j, e));
    if (!j->query && !j->batch_by && !q->also_loaded)
        TRY(source_table_open(s, j->sqlite_table, e));
    TRY(prepare(s, j, e));
    return q->table ? source_table_begin(s, e) : rows_open_groups(s, j, e);
}

void sqlite_source_close(struct source *s)
{
    struct sqlite_source *q = s->own;
    if (!q) return;
    sqlite3_finalize(q->st);
    source_table_close(q->table);
    sqlite3_close(q->db);
    source_aside_close(q->aside);
    rows_close(&q->rows);
    free(q);
}

const struct source_ops source_sqlite = {
    .reader = "rows",
    .open = sqlite_source_open,
    .names = sqlite_source_names,
    .infer = sqlite_source_infer,
    .settle = source_aside_put,
    .skip = rows_skip,
    .next = rows_next,
    .reread = rows_reread,
    .halve = rows_halve,
    .show = rows_show,
    .close = sqlite_source_close,
};
