// Batches to tuples. Columns whose values are already what the column wants go straight
// from the batch; everything else takes the way of one value after another.

#include "common/pg_copy.h"

#include "common/pg_time.h"
#include "common/rejects.h"
#include "common/utf8.h"

#include <stdlib.h>

enum way { WAY_NULL, WAY_WORD, WAY_TEXT, WAY_BOOLEAN, WAY_TIMESTAMP, WAY_VALUE };

struct pg_copy_writer {
    struct schema schema;
    enum way *way;  // of each column, for the batch at hand
    uint32_t *text; // columns whose length depends on the row
    uint32_t n_text;
    size_t fixed_bytes; // of a row, at most, without those
    struct buf csv;
    struct rejects refused;
};

err_t pg_copy_writer_new(struct pg_copy_writer **out, const struct schema *s, struct err *e)
{
    *out = NULL;
    struct pg_copy_writer *w = calloc(1, sizeof *w);
    if (!w) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = schema_copy(&w->schema, s, e);
    w->way = calloc(s->n + 1, sizeof *w->way);
    w->text = calloc(s->n + 1, sizeof *w->text);
    if (rc == ERR_OK && (!w->way || !w->text)) rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK)
        *out = w;
    else
        pg_copy_writer_free(&w);
    return rc;
}

void pg_copy_writer_free(struct pg_copy_writer **pw)
{
    struct pg_copy_writer *w = *pw;
    if (!w) return;
    schema_free(&w->schema);
    free(w->way);
    free(w->text);
    buf_free(&w->csv);
    rejects_free(&w->refused);
    free(w);
    *pw = NULL;
}

// ---- the plan for a batch

static bool all_ascii(const struct vec *v, uint32_t rows)
{
    const uint8_t *p = v->bytes;
    uint8_t high = 0, nul = 0;
    for (uint32_t i = v->off[0], end = v->off[rows]; i < end; i++) {
        high |= p[i];
        nul |= p[i] == 0;
    }
    return !nul && high < 0x80;
}

static enum way way_of(enum type want, const struct vec *v, uint32_t rows)
{
    bool text = want == TYPE_TEXT || want == TYPE_ANY;
    if (v->absent) return WAY_NULL;
    if (v->type == TYPE_ANY || v->n_misfits) return WAY_VALUE;
    if (v->type == want && (want == TYPE_INTEGER || want == TYPE_REAL)) return WAY_WORD;
    if (v->type == want && want == TYPE_BOOLEAN) return WAY_BOOLEAN;
    if (v->type == want && want == TYPE_TIMESTAMP) return WAY_TIMESTAMP;
    return text && type_is_text(v->type) && all_ascii(v, rows) ? WAY_TEXT : WAY_VALUE;
}

static void plan(struct pg_copy_writer *w, const struct batch *b)
{
    w->n_text = 0;
    w->fixed_bytes = 2;
    for (uint32_t c = 0; c < w->schema.n; c++) {
        w->way[c] = way_of(w->schema.f[c].type, &b->col[c], b->rows);
        w->fixed_bytes += 12;
        if (w->way[c] == WAY_TEXT || w->way[c] == WAY_VALUE) w->text[w->n_text++] = c;
    }
}

static size_t row_max(const struct pg_copy_writer *w, const struct batch *b, uint32_t row)
{
    size_t n = w->fixed_bytes;
    for (uint32_t i = 0; i < w->n_text; i++) {
        const struct vec *v = &b->col[w->text[i]];
        if (w->way[w->text[i]] == WAY_TEXT) {
            n += v->off[row + 1] - v->off[row];
        } else {
            struct cell c = vec_cell(v, row);
            n += pg_copy_value_max(&c);
        }
    }
    return n;
}

// ---- rows

static err_t refuse(struct pg_copy_writer *w, const struct batch *b, uint32_t row,
                    uint32_t column, const char *why, struct err *e)
{
    w->csv.n = 0;
    TRY(buf_reserve(&w->csv, 1, e));
    for (uint32_t c = 0; c < w->schema.n && w->csv.n < REJECT_RAW_MAX; c++) {
        if (c) TRY(buf_add(&w->csv, ",", 1, e));
        if (b->col[c].absent) continue;
        struct cell v = vec_cell(&b->col[c], row);
        TRY(pg_copy_field(&v, &w->csv, e));
    }
    const char *name = w->schema.f[column].name;
    struct reject r = { .byte = REJECT_NO_BYTE,
                        .column = { (const uint8_t *)name, strlen(name) },
                        .reason = { (const uint8_t *)why, strlen(why) },
                        .raw = { w->csv.p, w->csv.n } };
    return rejects_add(&w->refused, &r, e);
}

static uint8_t *put_value(const struct pg_copy_writer *w, const struct vec *v, uint32_t row,
                          uint32_t column, uint8_t *p, char why[PG_COPY_WHY_MAX])
{
    struct cell c = vec_cell(v, row);
    return pg_copy_put(p, w->schema.f[column].type, &c, why);
}

// NULL: a value of the row is none of its column, which is *at.
static uint8_t *put_row(const struct pg_copy_writer *w, const struct batch *b, uint32_t row,
                        uint8_t *p, uint32_t *at, char why[PG_COPY_WHY_MAX])
{
    p = pg_put16(p, (uint16_t)w->schema.n);
    for (uint32_t c = 0; c < w->schema.n; c++) {
        const struct vec *v = &b->col[c];
        enum way way = w->way[c];
        int64_t us;
        if (way == WAY_NULL || (way != WAY_VALUE && !vec_valid(v, row))) {
            p = pg_put32(p, UINT32_MAX);
            continue;
        }
        switch (way) {
        case WAY_WORD: p = pg_put64(pg_put32(p, 8), (uint64_t)v->i64[row]); break;
        case WAY_TEXT: {
            uint32_t n = v->off[row + 1] - v->off[row];
            p = (uint8_t *)memcpy(pg_put32(p, n), v->bytes + v->off[row], n) + n;
            break;
        }
        case WAY_BOOLEAN:
            p = pg_put32(p, 1);
            *p++ = v->i64[row] != 0;
            break;
        case WAY_TIMESTAMP:
            if (pg_timestamp_read(v->bytes + v->off[row], v->off[row + 1] - v->off[row],
                                  &us)) {
                p = pg_put64(pg_put32(p, 8), (uint64_t)us);
                break;
            } // fall through
        default: p = put_value(w, v, row, c, p, why); break;
        }
        *at = c;
        if (!p) return NULL;
    }
    return p;
}

static err_t too_big(const struct region *to, struct err *e)
{
    return err_set(e, ERR_TOOBIG, "the batch has more than %zu bytes for PostgreSQL",
                   to->cap - to->n);
}

err_t pg_copy_write(struct pg_copy_writer *w, const struct batch *b, struct region *to,
                    struct err *e)
{
    uint8_t *start = to->p + to->n, *end = to->p + to->cap, *p = start + PG_COPY_FRONT;
    char why[PG_COPY_WHY_MAX];
    uint32_t column;
    w->refused.bytes.n = 0;
    w->refused.n = 0;
    if (to->cap - to->n < PG_COPY_FRONT) return too_big(to, e);
    plan(w, b);
    for (uint32_t row = 0; row < b->rows; row++) {
        size_t most = w->n_text ? row_max(w, b, row) : w->fixed_bytes;
        if ((size_t)(end - p) < most) return too_big(to, e);
        uint8_t *next = put_row(w, b, row, p, &column, why);
        if (next)
            p = next;
        else
            TRY(refuse(w, b, row, column, why, e));
    }
    if ((size_t)(end - p) < w->refused.bytes.n) return too_big(to, e);
    uint64_t bytes = (uint64_t)(p - start) - PG_COPY_FRONT;
    memcpy(start, &bytes, sizeof bytes);
    if (w->refused.n) memcpy(p, w->refused.bytes.p, w->refused.bytes.n);
    to->n += PG_COPY_FRONT + bytes + w->refused.bytes.n;
    return ERR_OK;
}
