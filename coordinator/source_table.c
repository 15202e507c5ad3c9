// A whole table, by ranges of its rowids: the coordinator finds where a range of so many
// rows ends and reads none of them. Runners that see the same state of the same file
// (common/sqlite_view) read the rows themselves; for all others they are read here.
//
// Ranges are of rowids, from 0 on: a range is all rows with these rowids, and may have
// fewer rows than its length. What is committed is believed if the state is the one that it
// was read from, else it is read again and must have the digest that it had.

#include "common/hash.h"
#include "common/row_code.h"
#include "common/row_step.h"
#include "common/sqlite_view.h"
#include "coordinator/source_sqlite.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_MOST = 1 << 24, // of a chunk
    LOOK_ROWS = 8,       // read where a chunk begins, for how large they are
    LOOK_EVERY = 2048,   // rows
};

struct by_rowid {
    char *query;          // ?1 and ?2 are the range; the rowid comes first
    sqlite3_stmt *last;   // rowid of the ?3rd row from ?1 on, below ?2
    sqlite3_stmt *count;  // rows of a range
    pthread_mutex_t lock; // of the connection: chunks are read again by other threads
    uint64_t at;
    uint64_t row_bytes, unlooked; // of a row, about; rows since that was looked at
};

static unsigned long long ull(uint64_t n)
{
    return n;
}

// ---- which tables ----

// NULL: an ordinary one.
static err_t kind_of(const struct source *s, const char *name, const char **why_not,
                     struct err *e)
{
    static const char sql[] = "SELECT type, wr FROM pragma_table_list "
                              "WHERE schema = 'main' AND name = ?1 COLLATE NOCASE";
    struct sqlite_source *q = s->own;
    sqlite3_stmt *st = NULL;
    *why_not = "this SQLite does not tell what it is";
    int rc = sqlite3_prepare_v2(q->db, sql, -1, &st, NULL);
    if (rc == SQLITE_ERROR) return ERR_OK; // it has no such table
    if (rc != SQLITE_OK) return sqlite_source_fail(s, rc, e);
    rc = sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK) rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        const char *type = (const char *)sqlite3_column_text(st, 0);
        bool table = type && strcmp(type, "table") == 0;
        *why_not = !table                      ? "it is not an ordinary table"
                   : sqlite3_column_int(st, 1) ? "it is WITHOUT ROWID"
                                               : NULL;
    }
    sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : sqlite_source_fail(s, rc, e);
}

static err_t columns_named(const struct source *s, const char *table, const char *column,
                           int *n, struct err *e)
{
    static const char sql[] =
        "SELECT count(*) FROM pragma_table_xinfo(?1) WHERE name = ?2 COLLATE NOCASE";
    struct sqlite_source *q = s->own;
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(q->db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK) rc = sqlite3_bind_text(st, 2, column, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK) rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) *n = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return rc == SQLITE_ROW ? ERR_OK : sqlite_source_fail(s, rc, e);
}

// The rowid's name that no column of the table has; NULL: they have all.
static err_t rowid_name(const struct source *s, const char *table, const char **out,
                        struct err *e)
{
    static const char *const names[] = { "rowid", "_rowid_", "oid" };
    *out = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !*out; i++) {
        int n = 0;
        TRY(columns_named(s, table, names[i], &n, e));
        if (n == 0) *out = names[i];
    }
    return ERR_OK;
}

// Takes the text, which may be NULL.
static err_t prepare(const struct source *s, char *sql, sqlite3_stmt **out, struct err *e)
{
    struct sqlite_source *q = s->own;
    int rc = sql ? sqlite3_prepare_v2(q->db, sql, -1, out, NULL) : SQLITE_NOMEM;
    sqlite3_free(sql);
    return rc == SQLITE_OK ? ERR_OK : sqlite_source_fail(s, rc, e);
}

static err_t one_rowid(const struct source *s, char *sql, int64_t *out, struct err *e)
{
    sqlite3_stmt *st = NULL;
    TRY(prepare(s, sql, &st, e));
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW && sqlite3_column_type(st, 0) == SQLITE_INTEGER)
        *out = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return rc == SQLITE_ROW ? ERR_OK : sqlite_source_fail(s, rc, e);
}

// From 0 to below the largest that there can be. *end is past the last.
static err_t look_at_span(const struct source *s, const char *rowid, const char *table,
                          uint64_t *end, const char **why_not, struct err *e)
{
    int64_t first = 0, last = -1;
    TRY(one_rowid(s, sqlite3_mprintf("SELECT min(%s) FROM \"%w\"", rowid, table), &first,
                  e));
    TRY(one_rowid(s, sqlite3_mprintf("SELECT max(%s) FROM \"%w\"", rowid, table), &last,
                  e));
    if (first < 0 || last == INT64_MAX)
        *why_not = "it has a negative rowid, or the largest there can be";
    *end = (uint64_t)last + 1;
    return ERR_OK;
}

static err_t make_statements(const struct source *s, struct by_rowid *t, const char *rowid,
                             const char *table, struct err *e)
{
    t->query = sqlite3_mprintf("SELECT %s, * FROM \"%w\" WHERE %s >= ?1 AND %s < ?2 "
                               "ORDER BY %s",
                               rowid, table, rowid, rowid, rowid);
    if (!t->query) return err_set(e, ERR_NOMEM, "out of memory");
    TRY(prepare(s,
                sqlite3_mprintf("SELECT %s FROM \"%w\" WHERE %s >= ?1 AND %s < ?2 "
                                "ORDER BY %s LIMIT 1 OFFSET ?3 - 1",
                                rowid, table, rowid, rowid, rowid),
                &t->last, e));
    return prepare(s,
                   sqlite3_mprintf("SELECT count(*) FROM \"%w\" WHERE %s >= ?1 AND %s < ?2",
                                   table, rowid, rowid),
                   &t->count, e);
}

err_t source_table_open(struct source *s, const char *name, struct err *e)
{
    struct sqlite_source *q = s->own;
    const char *rowid = NULL;
    uint64_t end = 0;
    TRY(kind_of(s, name, &q->why_not, e));
    if (q->why_not) return ERR_OK;
    TRY(rowid_name(s, name, &rowid, e));
    if (!rowid) q->why_not = "its columns have taken all names of the rowid";
    if (rowid) TRY(look_at_span(s, rowid, name, &end, &q->why_not, e));
    if (q->why_not) return ERR_OK;
    struct by_rowid *t = q->table = calloc(1, sizeof *t);
    if (!t || pthread_mutex_init(&t->lock, NULL) != 0) {
        free(t);
        q->table = NULL;
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    q->rows.lead = 1;
    s->in->size = end;
    return make_statements(s, t, rowid, name, e);
}

const char *source_table_query(const struct by_rowid *t)
{
    return t->query;
}

void source_table_close(struct by_rowid *t)
{
    if (!t) return;
    sqlite3_free(t->query);
    sqlite3_finalize(t->last);
    sqlite3_finalize(t->count);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

// ---- statements: between lock and unlock ----

static int bind_range(sqlite3_stmt *st, struct range r)
{
    sqlite3_reset(st);
    int rc = sqlite3_bind_int64(st, 1, (sqlite3_int64)r.begin);
    return rc == SQLITE_OK ? sqlite3_bind_int64(st, 2, (sqlite3_int64)r.end) : rc;
}

// Of the rows in the range the rows-th: its rowid, if there are so many.
static err_t rowid_of(const struct source *s, struct range r, uint64_t rows, bool *there,
                      uint64_t *rowid, struct err *e)
{
    const struct sqlite_source *q = s->own;
    sqlite3_stmt *st = q->table->last;
    int rc = bind_range(st, r);
    if (rc == SQLITE_OK) rc = sqlite3_bind_int64(st, 3, (sqlite3_int64)rows);
    if (rc == SQLITE_OK) rc = sqlite3_step(st);
    *there = rc == SQLITE_ROW;
    if (*there) *rowid = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : sqlite_source_fail(s, rc, e);
}

static err_t count_rows(const struct source *s, struct range r, uint64_t *rows,
                        struct err *e)
{
    const struct sqlite_source *q = s->own;
    sqlite3_stmt *st = q->table->count;
    int rc = bind_range(st, r);
    if (rc == SQLITE_OK) rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) *rows = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return rc == SQLITE_ROW ? ERR_OK : sqlite_source_fail(s, rc, e);
}

// Gives the rows of a range, one after the other, in `row`.
typedef err_t each_row(void *arg, struct buf *row, bool *enough, struct err *e);

static err_t read_rows(const struct source *s, struct range r, struct buf *row,
                       each_row *each, void *arg, struct err *e)
{
    const struct sqlite_source *q = s->own;
    bool enough = false;
    err_t code = ERR_OK;
    int rc = bind_range(q->st, r);
    if (rc != SQLITE_OK) return sqlite_source_fail(s, rc, e);
    while (code == ERR_OK && !enough && (rc = sqlite3_step(q->st)) == SQLITE_ROW) {
        code = row_step_put(q->st, q->rows.lead + q->rows.n_cols, row, e);
        if (code == ERR_OK) code = each(arg, row, &enough, e);
    }
    sqlite3_reset(q->st);
    if (code != ERR_OK || rc == SQLITE_ROW || rc == SQLITE_DONE) return code;
    return sqlite_source_fail(s, rc, e);
}

// ---- the beginning ----

// What this state is, in place of what is known of files. For later runs the file's time
// belongs to it: in WAL mode a change that has been written back, by the last connection as
// it closes, is in no index and not in the change counter.
static err_t show_state(struct source *s, struct err *e)
{
    struct sqlite_source *q = s->own;
    uint64_t state[] = { q->proof.lo, q->proof.hi, (uint64_t)s->in->mtime_ns };
    struct hash128 later = hash_bytes(state, sizeof state);
    s->in->proof = q->proof;
    s->in->mtime_ns = (int64_t)(later.lo >> 1);
    s->in->ctime_ns = (int64_t)(later.hi >> 1);
    if (!sqlite_view_proven(q->proof)) return ERR_OK; // nobody else is to read it
    const char *path = sqlite3_db_filename(q->db, "main");
    s->in->path = strdup(path ? path : "");
    return s->in->path ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

err_t source_table_begin(struct source *s, struct err *e)
{
    struct sqlite_source *q = s->own;
    s->ops = &source_table;
    s->in->by_value = false;
    int rc = bind_range(q->st, (struct range){ 0, 0, s->in->size });
    return rc == SQLITE_OK ? show_state(s, e) : sqlite_source_fail(s, rc, e);
}

uint64_t source_table_sampled(struct source *s, uint64_t rows)
{
    struct sqlite_source *q = s->own;
    struct by_rowid *t = q->table;
    uint64_t bytes = q->rows.head.n, last = 0;
    if (!q->rows.at_end && rows) last = (uint64_t)sqlite3_column_int64(q->st, 0);
    t->row_bytes = rows ? bytes / rows + 1 : 1;
    sqlite3_reset(q->st);
    buf_free(&q->rows.head);
    if (!last) return rows;
    return (uint64_t)((double)rows / (double)(last + 1) * (double)s->in->size);
}

// ---- what is committed ----

static err_t changed(const struct source *s, struct range r, const char *how, struct err *e)
{
    return err_set(
        e, ERR_CHANGED,
        "%s: the table %s rows %llu-%llu that were loaded before; --fresh starts "
        "over",
        s->in->name, how, ull(r.begin), ull(r.end));
}

static err_t add_to_hash(void *arg, struct buf *row, bool *enough, struct err *e)
{
    (void)enough, (void)e;
    hash_stream_add(arg, row->p, row->n);
    row->n = 0;
    return ERR_OK;
}

static err_t check_committed(const struct source *s, const struct committed *c,
                             struct err *e)
{
    const struct sqlite_source *q = s->own;
    struct buf row = { 0 };
    hash_stream_reset(q->rows.hash);
    err_t rc = read_rows(s, c->range, &row, add_to_hash, q->rows.hash, e);
    buf_free(&row);
    if (rc != ERR_OK || hash_equal(hash_stream_value(q->rows.hash), c->digest)) return rc;
    return changed(s, c->range, "has other values in the", e);
}

static err_t table_skip(struct source *s, uint32_t input, const struct committed *c,
                        size_t n, bool same_file, struct err *e)
{
    struct sqlite_source *q = s->own;
    (void)input;
    TRY(rows_take_done(s, c, n, &q->rows.done, e));
    q->rows.n_done = n;
    if (c[n - 1].range.end > s->in->size)
        return changed(s, c[n - 1].range, "has no more the", e);
    for (size_t i = 0; i < n && !(same_file && sqlite_view_proven(q->proof)); i++)
        TRY(check_committed(s, &c[i], e));
    return ERR_OK;
}

// ---- chunks ----

static err_t add_up(void *arg, struct buf *row, bool *enough, struct err *e)
{
    uint64_t *rows = arg;
    (void)row, (void)e;
    *enough = ++*rows == LOOK_ROWS;
    return ERR_OK;
}

// Rows may grow in the course of a table. What is here and there much larger counts at
// once, what is smaller in the long run.
static err_t look_at_rows(struct source *s, struct range r, uint64_t *row_bytes,
                          struct err *e)
{
    struct sqlite_source *q = s->own;
    struct by_rowid *t = q->table;
    struct buf rows = { 0 };
    uint64_t n = 0;
    *row_bytes = t->row_bytes;
    if (t->row_bytes && t->unlooked < LOOK_EVERY) return ERR_OK;
    t->unlooked = 0;
    err_t rc = read_rows(s, r, &rows, add_up, &n, e);
    uint64_t here = n ? rows.n / n + 1 : 1;
    buf_free(&rows);
    TRY(rc);
    t->row_bytes = t->row_bytes ? (3 * t->row_bytes + here) / 4 : here;
    if (here > *row_bytes) *row_bytes = here;
    return ERR_OK;
}

static uint64_t rows_of_chunk(const struct source *s, uint64_t target, uint64_t row_bytes)
{
    uint64_t most = s->batch_bytes_most / row_bytes, rows = target / row_bytes;
    if (s->batch_rows) rows = s->batch_rows;
    if (rows > most) rows = most;
    if (rows > ROWS_MOST) rows = ROWS_MOST;
    return rows ? rows : 1;
}

static err_t new_chunk(struct range r, uint64_t rows, uint64_t row_bytes,
                       struct chunk_data **out, struct err *e)
{
    struct chunk_data *d = calloc(1, sizeof *d);
    if (!d) return err_set(e, ERR_NOMEM, "out of memory");
    d->range = r;
    d->records = rows;
    d->unread = true;
    d->about_bytes = rows * row_bytes;
    *out = d;
    return ERR_OK;
}

// The next rows of a gap, which is what is left of it when there are no more.
static err_t cut(struct source *s, struct range gap, uint64_t target,
                 struct chunk_data **out, struct err *e)
{
    struct by_rowid *t = ((struct sqlite_source *)s->own)->table;
    uint64_t row_bytes, rows, last;
    bool there;
    TRY(look_at_rows(s, gap, &row_bytes, e));
    rows = rows_of_chunk(s, target, row_bytes);
    TRY(rowid_of(s, gap, rows, &there, &last, e));
    if (there)
        gap.end = last + 1;
    else
        TRY(count_rows(s, gap, &rows, e));
    TRY(new_chunk(gap, rows, row_bytes, out, e));
    t->unlooked += rows;
    t->at = gap.end;
    return ERR_OK;
}

static err_t table_next(struct source *s, const _Atomic uint64_t *target_bytes,
                        struct chunk_data **out, struct chunk_data **bad, struct err *e)
{
    struct sqlite_source *q = s->own;
    struct by_rowid *t = q->table;
    (void)bad;
    while (q->rows.next_done < q->rows.n_done &&
           q->rows.done[q->rows.next_done].range.begin == t->at)
        t->at = q->rows.done[q->rows.next_done++].range.end;
    bool more = q->rows.next_done < q->rows.n_done;
    struct range gap = { 0, t->at,
                         more ? q->rows.done[q->rows.next_done].range.begin : s->in->size };
    if (gap.begin == gap.end) {
        s->in->data_end = gap.end;
        return ERR_OK;
    }
    pthread_mutex_lock(&t->lock);
    err_t rc =
        cut(s, gap, atomic_load_explicit(target_bytes, memory_order_relaxed), out, e);
    pthread_mutex_unlock(&t->lock);
    return rc;
}

// ---- again ----

static err_t halve(const struct source *s, struct range r, struct chunk_data *out[2],
                   struct err *e)
{
    const struct by_rowid *t = ((struct sqlite_source *)s->own)->table;
    struct range left = r, right = r;
    uint64_t rows, middle;
    bool there;
    TRY(count_rows(s, r, &rows, e));
    if (rows < 2) return new_chunk(r, rows, t->row_bytes, &out[0], e);
    TRY(rowid_of(s, r, rows / 2, &there, &middle, e));
    left.end = right.begin = there ? middle + 1 : r.end;
    TRY(new_chunk(left, rows / 2, t->row_bytes, &out[0], e));
    err_t rc = new_chunk(right, rows - rows / 2, t->row_bytes, &out[1], e);
    if (rc != ERR_OK) chunk_data_free(&out[0]);
    return rc;
}

struct keep {
    const struct source *s;
    struct range r;
    uint64_t rows;
};

static err_t keep_row(void *arg, struct buf *rows, bool *enough, struct err *e)
{
    struct keep *k = arg;
    uint64_t most = k->s->batch_bytes_most;
    (void)enough;
    if (k->rows++ && rows->n > most)
        return err_set(e, ERR_TOOBIG,
                       "%s: rows %llu-%llu have more than %llu bytes, which is half of "
                       "limits.memory: take a smaller batch.rows, or raise --memory",
                       k->s->in->name, ull(k->r.begin), ull(k->r.end), ull(most));
    return ERR_OK;
}

static err_t read_chunk(const struct source *s, struct range r, struct chunk_data **out,
                        struct err *e)
{
    struct keep keep = { s, r, 0 };
    struct buf rows = { 0 };
    struct cell rowid = { 0 };
    size_t at = 0;
    err_t rc = read_rows(s, r, &rows, keep_row, &keep, e);
    if (rc == ERR_OK) rc = rows_chunk(r, 0, rows.p, rows.n, out, e);
    if (rc == ERR_OK && row_code_next(rows.p, rows.n, &at, &rowid))
        (*out)->first_row = (uint64_t)rowid.i - r.begin;
    if (rc == ERR_OK) (*out)->records = keep.rows;
    buf_free(&rows);
    return rc;
}

static err_t table_reread(const struct source *s, struct range r, uint64_t first_line,
                          struct hash128 digest, bool halves, struct chunk_data *out[2],
                          struct err *e)
{
    struct by_rowid *t = ((struct sqlite_source *)s->own)->table;
    (void)first_line, (void)digest; // nobody has read it before, and the state is held
    pthread_mutex_lock(&t->lock);
    err_t rc = halves ? halve(s, r, out, e) : read_chunk(s, r, &out[0], e);
    pthread_mutex_unlock(&t->lock);
    return rc;
}

static err_t table_halve(const struct source *s, const struct chunk_data *c,
                         struct chunk_data *out[2], struct err *e)
{
    return table_reread(s, c->range, 0, c->digest, true, out, e);
}

const struct source_ops source_table = {
    .reader = "rows",
    .open = sqlite_source_open,
    .names = sqlite_source_names,
    .infer = sqlite_source_infer,
    .skip = table_skip,
    .next = table_next,
    .reread = table_reread,
    .halve = table_halve,
    .show = rows_show,
    .close = sqlite_source_close,
};
