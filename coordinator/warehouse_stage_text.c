// Rows of a statement as text, in the words that workers use for rows.

#include "coordinator/warehouse_file.h"

#include "common/sink.h"

#include <string.h>

enum { ROWS_AT_ONCE = 512, TEXT_AT_ONCE = 256 << 10 };

// What a value needs at most as text: see csv_write.h and jsonl_write.h.
enum { VALUE_MAX = 48, ESCAPED_MAX = 6 };

struct printer {
    struct warehouse *w;
    const struct sink_ops *sink;
    void *encoder;
    wf_put *put;
    struct batch batch;
    size_t text_bytes; // of the values in the batch
    size_t row_bytes;  // of a row without them
    struct buf out;
};

static err_t start(struct printer *p, struct err *e)
{
    const struct schema *s = &p->w->schema;
    TRY(batch_start(&p->batch, s, e));
    p->text_bytes = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        struct vec *v = &p->batch.col[i];
        *v = (struct vec){ .type = TYPE_ANY };
        v->any = arena_alloc(&p->batch.mem, ROWS_AT_ONCE * sizeof *v->any);
        if (!v->any) return err_set(e, ERR_NOMEM, "out of memory");
    }
    return ERR_OK;
}

static err_t print(struct printer *p, struct err *e)
{
    if (p->batch.rows == 0) return ERR_OK;
    p->out.n = 0;
    TRY(buf_reserve(&p->out, p->batch.rows * p->row_bytes + ESCAPED_MAX * p->text_bytes,
                    e));
    struct region to = { p->out.p, p->out.cap, 0 };
    TRY(p->sink->encode(p->encoder, &p->batch, &to, e));
    TRY(p->put(p->w, to.p, to.n, e));
    return start(p, e);
}

static err_t end_row(struct printer *p, struct err *e)
{
    struct batch *b = &p->batch;
    for (uint32_t i = 0; i < b->n_cols; i++) {
        const struct cell *c = &b->col[i].any[b->rows];
        if (c->kind == CELL_TEXT || c->kind == CELL_BLOB) p->text_bytes += c->len;
    }
    b->rows++;
    if (b->rows < ROWS_AT_ONCE && p->text_bytes < TEXT_AT_ONCE) return ERR_OK;
    return print(p, e);
}

static err_t take_row(struct printer *p, sqlite3_stmt *st, struct err *e)
{
    struct batch *b = &p->batch;
    for (uint32_t i = 0; i < b->n_cols; i++)
        TRY(wsq_copy_cell(st, (int)i, &b->mem, &b->col[i].any[b->rows], e));
    return end_row(p, e);
}

// A value as it comes out of a column of this type. False: a table has to say it.
static bool as_column(enum type type, struct cell *c)
{
    bool text = c->kind == CELL_TEXT,
         number = c->kind == CELL_INTEGER || c->kind == CELL_REAL;
    if (type_is_text(type)) return !number;
    if (type == TYPE_ANY) return true;
    if (type != TYPE_REAL) return !text && c->kind != CELL_REAL;
    if (c->kind == CELL_INTEGER) *c = (struct cell){ .kind = CELL_REAL, .r = (double)c->i };
    return !text;
}

static err_t take_cell(struct printer *p, uint32_t column, const struct cell *from,
                       struct err *e)
{
    struct batch *b = &p->batch;
    struct cell *c = &b->col[column].any[b->rows];
    *c = *from;
    if (!as_column(p->w->schema.f[column].type, c)) {
        p->w->unfit = true;
        return err_set(e, ERR_INVALID, "a value needs its column");
    }
    if (c->kind != CELL_TEXT && c->kind != CELL_BLOB) return ERR_OK;
    c->p = (const uint8_t *)arena_strdup(&b->mem, (const char *)from->p, from->len);
    return c->p ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

static err_t take_group(void *arg, const struct cell *key, const struct cell *value,
                        struct err *e)
{
    struct printer *p = arg;
    uint32_t n_keys = (uint32_t)p->w->merge->spec->aggregate.by.n;
    for (uint32_t i = 0; i < p->batch.n_cols; i++)
        TRY(take_cell(p, i, i < n_keys ? &key[i] : &value[i - n_keys], e));
    p->w->merge->rows_out++;
    return end_row(p, e);
}

static err_t print_groups(struct printer *p, struct err *e)
{
    TRY(wsq_runs_merge(p->w, take_group, p, e));
    return print(p, e);
}

static err_t print_all(struct printer *p, sqlite3_stmt *st, struct err *e)
{
    bool row;
    const struct schema *s = &p->w->schema;
    for (uint32_t i = 0; i < s->n; i++)
        p->row_bytes += VALUE_MAX + ESCAPED_MAX * strlen(s->f[i].name);
    TRY(start(p, e));
    if (!st) return print_groups(p, e);
    for (;;) {
        TRY(wsq_merge_step(p->w, st, &row, e));
        if (!row) return print(p, e);
        TRY(take_row(p, st, e));
    }
}

err_t wf_rows_text(struct warehouse *w, sqlite3_stmt *rows, wf_put *put, struct err *e)
{
    struct printer p = { .w = w, .sink = sink_find(w->files->format), .put = put };
    TRY(p.sink->open(&p.encoder, &w->schema, e));
    err_t rc = print_all(&p, rows, e);
    p.sink->close(&p.encoder);
    batch_free(&p.batch);
    buf_free(&p.out);
    return rc;
}
