// The rows of a query on an SQLite database, in its order. One reader steps it, in one read
// transaction from the first look at the columns to the last row, so that nobody else's
// writing is seen; chunks hold their rows (common/row_code), ranges are numbers of rows.
//
// A resume steps the query from its beginning. Rows that are committed pass by, and their
// digest says whether they are what was loaded.

#include "common/row_code.h"
#include "common/sql_guard.h"
#include "common/text.h"
#include "coordinator/source_groups.h"
#include "coordinator/source_impl.h"
#include "coordinator/source_names.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUSY_MS = 5000,
    SAMPLE_ROWS = 2000, // looked at for their types; they become the first chunks
    SAMPLE_BYTES = 1 << 20,
    TRIAL_BYTES = 256 << 10,
    ROWS_MOST = 1 << 24,  // of a chunk
    STEPS_A_LOOK = 20000, // of SQLite's machine, between looks whether to stop
};

struct sqlite_source {
    sqlite3 *db;
    sqlite3_stmt *st;
    uint32_t n_cols;
    struct strings names;
    int by;                // column of batch.by; -1: none
    struct groups *groups; // of batch.by
    struct buf head;       // rows that were sampled; the next of them stands at head_at
    size_t head_at;
    struct buf open; // rows of the chunk that is being made
    uint64_t open_rows, open_groups;
    struct before { // what stands before its last group
        size_t bytes;
        uint64_t rows, groups;
    } before;
    bool begins; // the last row begins that group
    uint64_t at; // number of the first of them
    bool at_end;
    struct committed *done;
    size_t n_done, next_done;
    struct hash_stream *hash; // of committed rows that pass by
};

static unsigned long long ull(uint64_t n)
{
    return n;
}

static err_t fail(const struct source *s, int rc, struct err *e)
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

// ---- opening ----

// Called by SQLite now and then: not 0 ends the statement.
static int look_whether_to_stop(void *arg)
{
    const struct source *s = arg;
    struct pollfd p = { s->stop_fd, POLLIN, 0 };
    return poll(&p, 1, 0) > 0;
}

// The load would wait for the read transaction, and that for the load.
static err_t check_not_warehouse(const struct job *j, const struct stat *source,
                                 struct err *e)
{
    static const char scheme[] = "sqlite:";
    struct stat st;
    if (!j->into || strncmp(j->into, scheme, sizeof scheme - 1) != 0) return ERR_OK;
    if (stat(j->into + sizeof scheme - 1, &st) != 0 || st.st_dev != source->st_dev ||
        st.st_ino != source->st_ino)
        return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "%s is both read and loaded into: load into another file, e.g. "
                   "sqlite:new.db",
                   j->sqlite_written);
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
    TRY(check_not_warehouse(j, &st, e));
    s->in->dev = st.st_dev;
    s->in->ino = st.st_ino;
    s->in->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    // One thread at a time uses it, and a lock for each value costs more than the value.
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(j->sqlite, &q->db, flags, NULL);
    if (rc != SQLITE_OK) return fail(s, rc, e);
    sqlite3_extended_result_codes(q->db, 1);
    sqlite3_busy_timeout(q->db, BUSY_MS);
    TRY(sql_guard_harden(q->db, e));
    sqlite3_progress_handler(q->db, STEPS_A_LOOK, look_whether_to_stop, s);
    rc = sqlite3_exec(q->db, "BEGIN", NULL, NULL, NULL);
    return rc == SQLITE_OK ? ERR_OK : fail(s, rc, e);
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
        if (rc != SQLITE_OK) return fail(s, rc, e);
    }
    return ERR_OK;
}

static err_t prepare(struct source *s, const struct job *j, struct err *e)
{
    struct sqlite_source *q = s->own;
    char *sql = j->query ? strdup(j->query) : NULL;
    if (!sql) {
        char *made = sqlite3_mprintf("SELECT * FROM \"%w\"", j->sqlite_table);
        sql = made ? strdup(made) : NULL;
        sqlite3_free(made);
    }
    if (!sql) return err_set(e, ERR_NOMEM, "out of memory");
    // The schema is read here, and mistakes of the file are seen.
    int rc = sqlite3_exec(q->db, "SELECT 1 FROM sqlite_schema", NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        free(sql);
        return fail(s, rc, e);
    }
    sql_guard_read_only(q->db, true);
    err_t code = sql_guard_prepare(q->db, sql, "a query", ERR_INVALID, &q->st, e);
    free(sql);
    if (code != ERR_OK)
        return err_wrap(e, code, j->query ? "source.query" : "source.sqlite_table");
    TRY(bind_watermark(s, j, e));
    q->n_cols = (uint32_t)sqlite3_column_count(q->st);
    for (uint32_t i = 0; i < q->n_cols; i++) {
        const char *name = sqlite3_column_name(q->st, (int)i);
        if (!name) return err_set(e, ERR_NOMEM, "out of memory");
        TRY(strings_add(&q->names, name, strlen(name), e));
    }
    return ERR_OK;
}

static err_t open_groups(struct source *s, const struct job *j, struct err *e)
{
    struct sqlite_source *q = s->own;
    struct schema schema = { 0 };
    char shown[TEXT_QUOTED];
    q->by = -1;
    if (!j->batch_by) return ERR_OK;
    TRY(names_mend(&q->names, true, &schema, NULL, e));
    q->by = schema_find(&schema, j->batch_by);
    schema_free(&schema);
    if (q->by < 0)
        return err_set(e, ERR_INVALID, "batch.by: the query has no column %s",
                       text_quoted(j->batch_by, shown));
    q->groups = groups_new();
    return q->groups ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

static err_t sqlite_open(struct source *s, const struct job *j, struct err *e)
{
    struct sqlite_source *q = s->own = calloc(1, sizeof *q);
    if (!q) return err_set(e, ERR_NOMEM, "out of memory");
    q->hash = hash_stream_new();
    if (!q->hash) return err_set(e, ERR_NOMEM, "out of memory");
    TRY(rows_input(s, j->sqlite_written, 0, e));
    s->in->by_value = true;
    s->in->data_end = UINT64_MAX;
    TRY(open_database(s, j, e));
    TRY(prepare(s, j, e));
    return open_groups(s, j, e);
}

static void sqlite_close(struct source *s)
{
    struct sqlite_source *q = s->own;
    if (!q) return;
    sqlite3_finalize(q->st);
    sqlite3_close(q->db);
    strings_free(&q->names);
    groups_free(&q->groups);
    buf_free(&q->head);
    buf_free(&q->open);
    free(q->done);
    if (q->hash) hash_stream_free(&q->hash);
    free(q);
}

// ---- rows ----

static struct cell cell_of(sqlite3_stmt *st, int i)
{
    struct cell c = { .kind = CELL_NULL };
    switch (sqlite3_column_type(st, i)) {
    case SQLITE_INTEGER:
        c.kind = CELL_INTEGER;
        c.i = sqlite3_column_int64(st, i);
        break;
    case SQLITE_FLOAT:
        c.kind = CELL_REAL;
        c.r = sqlite3_column_double(st, i);
        break;
    case SQLITE_TEXT:
        c.kind = CELL_TEXT;
        c.p = sqlite3_column_text(st, i);
        c.len = (uint32_t)sqlite3_column_bytes(st, i);
        break;
    case SQLITE_BLOB:
        c.kind = CELL_BLOB;
        c.p = sqlite3_column_blob(st, i);
        c.len = (uint32_t)sqlite3_column_bytes(st, i);
    }
    return c;
}

// Steps once, and appends the row.
static err_t step(const struct source *s, struct buf *to, bool *got, struct err *e)
{
    struct sqlite_source *q = s->own;
    *got = false;
    if (q->at_end) return ERR_OK;
    int rc = sqlite3_step(q->st);
    q->at_end = rc == SQLITE_DONE;
    if (q->at_end) return ERR_OK;
    if (rc != SQLITE_ROW) return fail(s, rc, e);
    for (uint32_t i = 0; i < q->n_cols; i++) {
        struct cell c = cell_of(q->st, (int)i);
        if (c.len && !c.p) return err_set(e, ERR_NOMEM, "out of memory");
        TRY(row_code_put(to, &c, e));
    }
    *got = true;
    return ERR_OK;
}

// Of rows that this program encoded itself.
static void skip_row(const struct sqlite_source *q, const struct buf *b, size_t *at)
{
    bool there = row_code_skip(b->p, b->n, at, q->n_cols);
    assert(there);
}

static err_t see_group(struct sqlite_source *q, size_t row_at, struct err *e)
{
    struct cell c;
    size_t at = row_at;
    bool there = row_code_skip(q->open.p, q->open.n, &at, (uint64_t)q->by) &&
                 row_code_next(q->open.p, q->open.n, &at, &c);
    assert(there);
    TRY(groups_row(q->groups, q->at + q->open_rows - 1, &c, &q->begins, e));
    q->begins |= q->open_rows == 1;
    if (q->begins)
        q->before = (struct before){ row_at, q->open_rows - 1, q->open_groups++ };
    return ERR_OK;
}

// The next row, sampled or stepped, joins the open chunk.
static err_t pull(struct source *s, bool *got, struct err *e)
{
    struct sqlite_source *q = s->own;
    size_t begin = q->head_at, row_at = q->open.n;
    if (begin < q->head.n) {
        skip_row(q, &q->head, &q->head_at);
        TRY(buf_add(&q->open, q->head.p + begin, q->head_at - begin, e));
        *got = true;
        if (q->head_at == q->head.n) {
            buf_free(&q->head);
            q->head_at = 0;
        }
    } else {
        TRY(step(s, &q->open, got, e));
    }
    if (!*got) return ERR_OK;
    q->open_rows++;
    return q->by < 0 ? ERR_OK : see_group(q, row_at, e);
}

// ---- types ----

static enum type declared(const char *decl)
{
    static const struct {
        const char *word;
        enum type type;
    } words[] = {
        // the order of sqlite.org/datatype3.html 3.1, and what it does not know
        { "BOOL", TYPE_BOOLEAN }, { "INT", TYPE_INTEGER }, { "CHAR", TYPE_TEXT },
        { "CLOB", TYPE_TEXT },    { "TEXT", TYPE_TEXT },   { "REAL", TYPE_REAL },
        { "FLOA", TYPE_REAL },    { "DOUB", TYPE_REAL },
    };
    for (size_t i = 0; decl && i < sizeof words / sizeof *words; i++)
        if (strcasestr(decl, words[i].word)) return words[i].type;
    return TYPE_ANY;
}

struct seen { // of one column's values
    uint64_t n[CELL_BLOB + 1];
    bool other_than_0_and_1;
    struct infer_column text;
};

static void look_at(struct seen *x, const struct cell *c)
{
    x->n[c->kind]++;
    x->other_than_0_and_1 |= c->kind == CELL_INTEGER && (c->i & ~1ll);
    if (c->kind == CELL_TEXT)
        infer_json(&x->text, &(struct json_value){ JSON_TEXT, c->p, c->len });
}

// What the values are; what is declared decides where they leave it open.
static enum type settle(const struct seen *x, enum type decl)
{
    uint64_t integers = x->n[CELL_INTEGER], reals = x->n[CELL_REAL];
    bool text = x->n[CELL_TEXT], numbers = integers || reals;
    if (x->n[CELL_BLOB] || (text && numbers)) return TYPE_ANY;
    if (text) {
        enum type t = infer_type(&x->text);
        return t == TYPE_DATE || t == TYPE_TIMESTAMP ? t : TYPE_TEXT;
    }
    if (!numbers) return decl;
    if (decl == TYPE_BOOLEAN && !reals && !x->other_than_0_and_1) return TYPE_BOOLEAN;
    return reals || decl == TYPE_REAL ? TYPE_REAL : TYPE_INTEGER;
}

static err_t sample(struct source *s, struct seen *seen, uint64_t *rows, struct err *e)
{
    struct sqlite_source *q = s->own;
    struct cell c;
    bool got = true;
    for (*rows = 0; *rows < SAMPLE_ROWS && q->head.n < SAMPLE_BYTES; ++*rows) {
        size_t at = q->head.n;
        TRY(step(s, &q->head, &got, e));
        if (!got) break;
        for (uint32_t i = 0; i < q->n_cols; i++)
            if (row_code_next(q->head.p, q->head.n, &at, &c)) look_at(&seen[i], &c);
    }
    return ERR_OK;
}

static err_t keep_trial(const struct sqlite_source *q, struct buf *trial, struct err *e)
{
    size_t end = 0;
    while (end < q->head.n && end < TRIAL_BYTES)
        skip_row(q, &q->head, &end);
    return end ? buf_add(trial, q->head.p, end, e) : ERR_OK;
}

static err_t settle_types(struct source *s, const struct job *j, struct schema *schema,
                          uint64_t *rows, struct err *e)
{
    struct sqlite_source *q = s->own;
    TRY(names_mend(&q->names, true, schema, NULL, e));
    TRY(source_give_types(j, schema, e));
    struct seen *seen = calloc(q->n_cols, sizeof *seen);
    if (!seen) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = sample(s, seen, rows, e);
    for (uint32_t i = 0; rc == ERR_OK && i < q->n_cols; i++) {
        enum type decl = declared(sqlite3_column_decltype(q->st, (int)i));
        if (!schema->f[i].given) schema->f[i].type = settle(&seen[i], decl);
    }
    free(seen);
    return rc;
}

static err_t sqlite_infer(struct source *s, const struct job *j, struct schema *out,
                          struct buf *trial, uint64_t *estimate_rows, struct err *e)
{
    struct sqlite_source *q = s->own;
    struct schema schema = { 0 };
    err_t rc = settle_types(s, j, &schema, estimate_rows, e);
    if (rc == ERR_OK) rc = keep_trial(q, trial, e);
    if (rc != ERR_OK) {
        schema_free(&schema);
        return rc;
    }
    *out = schema;
    return ERR_OK;
}

static err_t sqlite_names(struct source *s, struct schema *names_as_text,
                          struct strings *notes, struct err *e)
{
    struct sqlite_source *q = s->own;
    return names_mend(&q->names, true, names_as_text, notes, e);
}

// ---- chunks ----

static err_t sqlite_skip(struct source *s, uint32_t input, const struct committed *c,
                         size_t n, bool same_file, struct err *e)
{
    struct sqlite_source *q = s->own;
    (void)input, (void)same_file;
    for (size_t i = 0; i < n; i++)
        if (c[i].range.begin >= c[i].range.end ||
            (i && c[i].range.begin < c[i - 1].range.end))
            return err_set(e, ERR_INVALID,
                           "%s: the ledger's rows %llu-%llu are out of order", s->in->name,
                           ull(c[i].range.begin), ull(c[i].range.end));
    q->done = malloc(n * sizeof *q->done);
    if (!q->done) return err_set(e, ERR_NOMEM, "out of memory");
    memcpy(q->done, c, n * sizeof *q->done);
    q->n_done = n;
    return ERR_OK;
}

static err_t changed(const struct source *s, const struct committed *d, const char *how,
                     struct err *e)
{
    return err_set(
        e, ERR_CHANGED,
        "%s: the query %s rows %llu-%llu that were loaded before; --fresh starts "
        "over (without ORDER BY a database may give rows in any order)",
        s->in->name, how, ull(d->range.begin), ull(d->range.end));
}

// What is committed passes by, and must be what was loaded.
static err_t pass_by(struct source *s, const struct committed *d, struct err *e)
{
    struct sqlite_source *q = s->own;
    assert(q->open_rows == 0);
    hash_stream_reset(q->hash);
    while (q->at < d->range.end) {
        bool got;
        TRY(pull(s, &got, e));
        if (!got) return changed(s, d, "gives no more the", e);
        hash_stream_add(q->hash, q->open.p, q->open.n);
        q->open.n = 0;
        q->open_rows = q->open_groups = 0;
        q->before = (struct before){ 0 };
        q->at++;
    }
    if (hash_equal(hash_stream_value(q->hash), d->digest)) return ERR_OK;
    return changed(s, d, "gives other values in the", e);
}

static err_t group_too_large(const struct source *s, struct err *e)
{
    const struct sqlite_source *q = s->own;
    char shown[TEXT_QUOTED];
    groups_show(q->groups, shown, sizeof shown);
    return err_set(e, ERR_TOOBIG,
                   "batch.by: the group %s has more than %llu bytes, which is half of "
                   "limits.memory: raise --memory, or group by a finer column",
                   shown, ull(s->batch_bytes_most));
}

static err_t new_chunk(struct range r, uint64_t groups, const uint8_t *p, size_t n,
                       struct chunk_data **out, struct err *e)
{
    struct chunk_data *d = calloc(1, sizeof *d);
    uint8_t *block = source_block(n);
    if (!d || !block) {
        free(d);
        free(block);
        return err_set(e, ERR_NOMEM, "out of memory: %zu bytes wanted", n);
    }
    *d = (struct chunk_data){ .range = r,
                              .records = r.end - r.begin,
                              .groups = groups,
                              .digest = hash_bytes(p, n),
                              .block = block,
                              .bytes = block + CSV_PAD,
                              .held = n };
    memcpy(d->bytes, p, n);
    *out = d;
    return ERR_OK;
}

// The open chunk's first rows become one of their own.
static err_t emit(struct source *s, struct before b, struct chunk_data **out, struct err *e)
{
    struct sqlite_source *q = s->own;
    struct range r = { 0, q->at, q->at + b.rows };
    if (b.rows == 0) return ERR_OK;
    TRY(new_chunk(r, b.groups, q->open.p, b.bytes, out, e));
    memmove(q->open.p, q->open.p + b.bytes, q->open.n - b.bytes);
    q->open.n -= b.bytes;
    q->open_rows -= b.rows;
    q->open_groups -= b.groups;
    q->before = (struct before){ 0 };
    q->at = r.end;
    return ERR_OK;
}

// One chunk of at most `most_rows` rows, unless the query is over.
static err_t cut(struct source *s, uint64_t goal_bytes, uint64_t most_rows,
                 struct chunk_data **out, struct err *e)
{
    struct sqlite_source *q = s->own;
    uint64_t goal_rows = s->batch_rows ? s->batch_rows : ROWS_MOST;
    uint64_t most_bytes = s->batch_bytes_most;
    if (s->batch_rows || goal_bytes > most_bytes) goal_bytes = most_bytes;
    for (bool got = true; got && q->open_rows < most_rows;) {
        bool full = q->open_rows >= goal_rows || q->open.n >= goal_bytes;
        if (full && q->by < 0) break;
        if (q->open.n > most_bytes)
            return q->before.rows ? emit(s, q->before, out, e) : group_too_large(s, e);
        TRY(pull(s, &got, e));
        if (got && full && q->begins) return emit(s, q->before, out, e);
    }
    struct before everything = { q->open.n, q->open_rows, q->open_groups };
    return emit(s, everything, out, e);
}

static err_t sqlite_next(struct source *s, const _Atomic uint64_t *target_bytes,
                         struct chunk_data **out, struct chunk_data **bad, struct err *e)
{
    struct sqlite_source *q = s->own;
    uint64_t target = atomic_load_explicit(target_bytes, memory_order_relaxed);
    (void)bad;
    while (q->next_done < q->n_done && q->done[q->next_done].range.begin == q->at)
        TRY(pass_by(s, &q->done[q->next_done++], e));
    bool more = q->next_done < q->n_done;
    uint64_t gap = more ? q->done[q->next_done].range.begin - q->at : UINT64_MAX;
    TRY(cut(s, target ? target : 1, gap, out, e));
    if (*out) return ERR_OK;
    if (more) return changed(s, &q->done[q->next_done], "gives no more the", e);
    s->in->data_end = q->at;
    return ERR_OK;
}

// ---- halves ----

// The row boundary nearest the middle; groups stay whole. 0: there is none inside.
static err_t middle(const struct source *s, const struct chunk_data *c, size_t *bytes,
                    uint64_t *rows, uint64_t *groups, struct err *e)
{
    const struct sqlite_source *q = s->own;
    struct groups *g = q->by < 0 ? NULL : groups_new();
    uint64_t begun = 0, best = UINT64_MAX;
    size_t at = 0;
    bool begins = true;
    err_t rc = q->by < 0 || g ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
    *bytes = 0;
    for (uint64_t row = 0; rc == ERR_OK && row < c->records; row++) {
        size_t value = at;
        struct cell v = { 0 };
        bool there = row_code_skip(c->bytes, c->held, &value, g ? (uint64_t)q->by : 0) &&
                     row_code_next(c->bytes, c->held, &value, &v);
        assert(there);
        if (g) rc = groups_row(g, row, &v, &begins, e);
        uint64_t half = c->records / 2, away = row < half ? half - row : row - half;
        if (row && begins && away < best) {
            best = away;
            *bytes = at;
            *rows = row;
            *groups = begun;
        }
        begun += begins;
        there = row_code_skip(c->bytes, c->held, &at, q->n_cols);
        assert(there);
    }
    groups_free(&g);
    return rc;
}

static err_t sqlite_halve(const struct source *s, const struct chunk_data *c,
                          struct chunk_data *out[2], struct err *e)
{
    size_t bytes;
    uint64_t rows = 0, groups = 0;
    struct range left = c->range, right = c->range;
    TRY(middle(s, c, &bytes, &rows, &groups, e));
    if (!bytes) return new_chunk(left, c->groups, c->bytes, c->held, &out[0], e);
    bool by = c->groups > 0;
    left.end = right.begin = left.begin + rows;
    TRY(new_chunk(left, by ? groups : 0, c->bytes, bytes, &out[0], e));
    err_t rc = new_chunk(right, by ? c->groups - groups : 0, c->bytes + bytes,
                         c->held - bytes, &out[1], e);
    if (rc != ERR_OK) chunk_data_free(&out[0]);
    return rc;
}

static err_t sqlite_reread(const struct source *s, struct range r, uint64_t first_line,
                           struct hash128 digest, bool halves, struct chunk_data *out[2],
                           struct err *e)
{
    (void)first_line, (void)digest, (void)halves, (void)out;
    return err_set(e, ERR_INVALID, "%s: rows %llu-%llu cannot be read again", s->in->name,
                   ull(r.begin), ull(r.end));
}

// ---- rows among the rejects ----

static err_t sqlite_show(const struct source *s, const struct chunk_data *c, size_t *at,
                         struct buf *to, struct err *e)
{
    const struct sqlite_source *q = s->own;
    size_t begin = *at;
    bool there = row_code_skip(c->bytes, c->held, at, q->n_cols);
    assert(there);
    return row_code_show(c->bytes + begin, *at - begin, q->n_cols, to, e);
}

const struct source_ops source_sqlite = {
    .reader = "rows",
    .open = sqlite_open,
    .names = sqlite_names,
    .infer = sqlite_infer,
    .skip = sqlite_skip,
    .next = sqlite_next,
    .reread = sqlite_reread,
    .halve = sqlite_halve,
    .show = sqlite_show,
    .close = sqlite_close,
};
