#include "coordinator/source_rows.h"
#include "common/row_code.h"
#include "common/text.h"
#include "coordinator/source_names.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_MOST = 1 << 24, // of a chunk
    TRIAL_BYTES = 256 << 10,
};

static unsigned long long ull(uint64_t n)
{
    return n;
}

static err_t see_group(struct row_source *q, size_t row_at, struct err *e)
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
    struct row_source *q = s->own;
    size_t begin = q->head_at, row_at = q->open.n;
    if (begin < q->head.n) {
        rows_skip_row(q, &q->head, &q->head_at);
        TRY(buf_add(&q->open, q->head.p + begin, q->head_at - begin, e));
        *got = true;
        if (q->head_at == q->head.n) {
            buf_free(&q->head);
            q->head_at = 0;
        }
    } else {
        TRY(q->step(s, &q->open, got, e));
    }
    if (!*got) return ERR_OK;
    q->open_rows++;
    return q->by < 0 ? ERR_OK : see_group(q, row_at, e);
}

// ---- chunks ----

err_t rows_take_done(const struct source *s, const struct committed *c, size_t n,
                     struct committed **out, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (c[i].range.begin >= c[i].range.end ||
            (i && c[i].range.begin < c[i - 1].range.end))
            return err_set(e, ERR_INVALID,
                           "%s: the ledger's rows %llu-%llu are out of order", s->in->name,
                           ull(c[i].range.begin), ull(c[i].range.end));
    *out = malloc(n * sizeof **out);
    if (!*out) return err_set(e, ERR_NOMEM, "out of memory");
    memcpy(*out, c, n * sizeof **out);
    return ERR_OK;
}

err_t rows_skip(struct source *s, uint32_t input, const struct committed *c, size_t n,
                bool same_file, struct err *e)
{
    struct row_source *q = s->own;
    (void)input, (void)same_file;
    TRY(rows_take_done(s, c, n, &q->done, e));
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
    struct row_source *q = s->own;
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
    const struct row_source *q = s->own;
    char shown[TEXT_QUOTED];
    groups_show(q->groups, shown, sizeof shown);
    return err_set(e, ERR_TOOBIG,
                   "batch.by: the group %s has more than %llu bytes, which is half of "
                   "limits.memory: raise --memory, or group by a finer column",
                   shown, ull(s->batch_bytes_most));
}

err_t rows_chunk(struct range r, uint64_t groups, const uint8_t *p, size_t n,
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
    struct row_source *q = s->own;
    struct range r = { 0, q->at, q->at + b.rows };
    if (b.rows == 0) return ERR_OK;
    TRY(rows_chunk(r, b.groups, q->open.p, b.bytes, out, e));
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
    struct row_source *q = s->own;
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

err_t rows_next(struct source *s, const _Atomic uint64_t *target_bytes,
                struct chunk_data **out, struct chunk_data **bad, struct err *e)
{
    struct row_source *q = s->own;
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
    const struct row_source *q = s->own;
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

err_t rows_halve(const struct source *s, const struct chunk_data *c,
                 struct chunk_data *out[2], struct err *e)
{
    size_t bytes;
    uint64_t rows = 0, groups = 0;
    struct range left = c->range, right = c->range;
    TRY(middle(s, c, &bytes, &rows, &groups, e));
    if (!bytes) return rows_chunk(left, c->groups, c->bytes, c->held, &out[0], e);
    bool by = c->groups > 0;
    left.end = right.begin = left.begin + rows;
    TRY(rows_chunk(left, by ? groups : 0, c->bytes, bytes, &out[0], e));
    err_t rc = rows_chunk(right, by ? c->groups - groups : 0, c->bytes + bytes,
                          c->held - bytes, &out[1], e);
    if (rc != ERR_OK) chunk_data_free(&out[0]);
    return rc;
}

err_t rows_reread(const struct source *s, struct range r, uint64_t first_line,
                  struct hash128 digest, bool halves, struct chunk_data *out[2],
                  struct err *e)
{
    (void)first_line, (void)digest, (void)halves, (void)out;
    return err_set(e, ERR_INVALID, "%s: rows %llu-%llu cannot be read again", s->in->name,
                   ull(r.begin), ull(r.end));
}

// ---- rows among the rejects ----

err_t rows_show(const struct source *s, const struct chunk_data *c, size_t *at,
                struct buf *to, struct err *e)
{
    const struct row_source *q = s->own;
    bool there = row_code_skip(c->bytes, c->held, at, q->lead);
    size_t begin = *at;
    there = there && row_code_skip(c->bytes, c->held, at, q->n_cols);
    assert(there);
    return row_code_show(c->bytes + begin, *at - begin, q->n_cols, to, e);
}

// ---- opening, sampling, closing ----

err_t rows_open_groups(struct source *s, const struct job *j, struct err *e)
{
    struct row_source *q = s->own;
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

err_t rows_start(struct source *s, const char *name, struct err *e)
{
    struct row_source *q = s->own;
    q->by = -1;
    q->hash = hash_stream_new();
    if (!q->hash) return err_set(e, ERR_NOMEM, "out of memory");
    TRY(rows_input(s, name, 0, e));
    s->in->by_value = true;
    s->in->data_end = UINT64_MAX;
    return ERR_OK;
}

err_t rows_trial(const struct row_source *q, struct buf *trial, struct err *e)
{
    size_t end = 0;
    while (end < q->head.n && end < TRIAL_BYTES)
        rows_skip_row(q, &q->head, &end);
    return end ? buf_add(trial, q->head.p, end, e) : ERR_OK;
}

void rows_skip_row(const struct row_source *q, const struct buf *b, size_t *at)
{
    bool there = row_code_skip(b->p, b->n, at, q->lead + q->n_cols);
    assert(there);
}

err_t rows_names(struct source *s, struct schema *names_as_text, struct strings *notes,
                 struct err *e)
{
    const struct row_source *q = s->own;
    return names_mend(&q->names, true, names_as_text, notes, e);
}

void rows_close(struct row_source *q)
{
    strings_free(&q->names);
    groups_free(&q->groups);
    buf_free(&q->head);
    buf_free(&q->open);
    free(q->done);
    if (q->hash) hash_stream_free(&q->hash);
}
