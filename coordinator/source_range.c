// The rows 0 to N - 1: chunks are ranges of their numbers, and hold nothing else.

#include "common/text.h"
#include "coordinator/source_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNKS_LEAST = 64,    // of a range that has so many rows
    ROWS_MOST = 16 << 20, // of a chunk
    TRIAL_ROWS = 256,
};

struct range_source {
    uint64_t at;
    struct committed *done; // sorted by begin
    size_t n_done, next_done;
};

err_t rows_input(struct source *s, const char *name, uint64_t rows, struct err *e)
{
    s->in = calloc(1, sizeof *s->in);
    if (s->in) s->in->name = strdup(name);
    if (!s->in || !s->in->name) return err_set(e, ERR_NOMEM, "out of memory");
    s->n = 1;
    s->in->in_rows = true;
    s->in->size = rows;
    return ERR_OK;
}

static err_t range_open(struct source *s, const struct job *j, struct err *e)
{
    s->own = calloc(1, sizeof(struct range_source));
    if (!s->own) return err_set(e, ERR_NOMEM, "out of memory");
    TRY(rows_input(s, "range", j->range_rows, e));
    s->in->data_end = UINT64_MAX;
    return ERR_OK;
}

static err_t range_names(struct source *s, struct schema *names_as_text,
                         struct strings *notes, struct err *e)
{
    (void)s, (void)notes;
    return schema_add(names_as_text, "i", 1, TYPE_TEXT, false, e);
}

static err_t range_infer(struct source *s, const struct job *j, struct schema *out,
                         struct buf *trial, uint64_t *estimate_rows, struct err *e)
{
    static const char zeros[TRIAL_ROWS]; // a byte a row
    uint64_t rows = s->in->size;
    struct schema schema = { 0 };
    (void)j;
    *estimate_rows = rows;
    TRY(buf_add(trial, zeros, rows < TRIAL_ROWS ? (size_t)rows : TRIAL_ROWS, e));
    err_t rc = schema_add(&schema, "i", 1, TYPE_INTEGER, false, e);
    if (rc == ERR_OK)
        *out = schema;
    else
        schema_free(&schema);
    return rc;
}

static err_t range_skip(struct source *s, uint32_t input, const struct committed *c,
                        size_t n, bool same_file, struct err *e)
{
    struct range_source *r = s->own;
    (void)input, (void)same_file;
    for (size_t i = 0; i < n; i++)
        if (c[i].range.begin >= c[i].range.end || c[i].range.end > s->in->size ||
            (i && c[i].range.begin < c[i - 1].range.end))
            return err_set(
                e, ERR_CHANGED,
                "range: rows %llu-%llu were loaded, which are not of this range; "
                "--fresh starts over",
                (unsigned long long)c[i].range.begin, (unsigned long long)c[i].range.end);
    r->done = malloc(n * sizeof *r->done);
    if (!r->done) return err_set(e, ERR_NOMEM, "out of memory");
    memcpy(r->done, c, n * sizeof *r->done);
    r->n_done = n;
    return ERR_OK;
}

static err_t new_chunk(struct range r, struct chunk_data **out, struct err *e)
{
    struct chunk_data *d = calloc(1, sizeof *d);
    if (!d) return err_set(e, ERR_NOMEM, "out of memory");
    d->range = r;
    d->records = r.end - r.begin;
    d->digest = hash_bytes("", 0);
    *out = d;
    return ERR_OK;
}

// A heavy transform must not find all rows in one chunk only because they take no room.
static uint64_t rows_of_chunk(const struct source *s, uint64_t target_bytes)
{
    if (s->batch_rows) return s->batch_rows < ROWS_MOST ? s->batch_rows : ROWS_MOST;
    uint64_t share = s->in->size / CHUNKS_LEAST + 1,
             rows = target_bytes / RANGE_ROW_BYTES + 1;
    if (rows > share) rows = share;
    return rows < ROWS_MOST ? rows : ROWS_MOST;
}

static err_t range_next(struct source *s, const _Atomic uint64_t *target_bytes,
                        struct chunk_data **out, struct chunk_data **bad, struct err *e)
{
    struct range_source *r = s->own;
    (void)bad;
    while (r->next_done < r->n_done && r->done[r->next_done].range.begin == r->at)
        r->at = r->done[r->next_done++].range.end;
    uint64_t end =
        r->next_done < r->n_done ? r->done[r->next_done].range.begin : s->in->size;
    if (r->at == end) {
        s->in->data_end = end;
        return ERR_OK;
    }
    uint64_t rows =
        rows_of_chunk(s, atomic_load_explicit(target_bytes, memory_order_relaxed));
    if (rows < end - r->at) end = r->at + rows;
    TRY(new_chunk((struct range){ 0, r->at, end }, out, e));
    r->at = end;
    return ERR_OK;
}

static err_t halve(struct range r, struct chunk_data *out[2], struct err *e)
{
    uint64_t middle = r.begin + (r.end - r.begin) / 2;
    struct range left = { r.input, r.begin, middle }, right = { r.input, middle, r.end };
    if (middle == r.begin) return new_chunk(r, &out[0], e);
    TRY(new_chunk(left, &out[0], e));
    err_t rc = new_chunk(right, &out[1], e);
    if (rc != ERR_OK) chunk_data_free(&out[0]);
    return rc;
}

// Its text, for the row that stands among the rejects.
static err_t as_text(struct range r, struct chunk_data **out, struct err *e)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)r.begin);
    struct chunk_data *d;
    TRY(new_chunk(r, &d, e));
    d->block = source_block((size_t)n);
    if (!d->block) {
        chunk_data_free(&d);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    d->bytes = d->block + CSV_PAD;
    d->held = (size_t)n;
    memcpy(d->bytes, text, (size_t)n);
    *out = d;
    return ERR_OK;
}

static err_t range_reread(const struct source *s, struct range r, uint64_t first_line,
                          struct hash128 digest, bool halves, struct chunk_data *out[2],
                          struct err *e)
{
    (void)s, (void)first_line, (void)digest;
    return halves ? halve(r, out, e) : as_text(r, &out[0], e);
}

static err_t range_halve(const struct source *s, const struct chunk_data *c,
                         struct chunk_data *out[2], struct err *e)
{
    (void)s;
    return halve(c->range, out, e);
}

static void range_close(struct source *s)
{
    struct range_source *r = s->own;
    if (r) free(r->done);
    free(r);
}

const struct source_ops source_range = {
    .reader = "range",
    .open = range_open,
    .names = range_names,
    .infer = range_infer,
    .skip = range_skip,
    .next = range_next,
    .reread = range_reread,
    .halve = range_halve,
    .close = range_close,
};
