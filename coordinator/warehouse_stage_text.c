// Rows of a statement as text, in the words that workers use for rows.

#include "coordinator/warehouse_file.h"

#include "coordinator/press.h"

#include <string.h>

struct printer {
    struct warehouse *w;
    wf_put *put;
    struct press press;
    struct sheet *sheet; // being filled
};

static err_t put(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    struct printer *x = arg;
    return x->put(x->w, p, n, e);
}

static err_t end_row(struct printer *p, struct err *e)
{
    struct sheet *s = p->sheet;
    struct batch *b = &s->batch;
    for (uint32_t i = 0; i < b->n_cols; i++) {
        const struct cell *c = &b->col[i].any[b->rows];
        if (c->kind == CELL_TEXT || c->kind == CELL_BLOB) s->text_bytes += c->len;
    }
    b->rows++;
    if (b->rows < SHEET_ROWS && s->text_bytes < SHEET_TEXT) return ERR_OK;
    TRY(press_turn(&p->press, e));
    return press_sheet(&p->press, &p->sheet, e);
}

// The last sheet, and all that is still being printed.
static err_t end_all(struct printer *p, struct err *e)
{
    if (p->sheet->batch.rows) TRY(press_turn(&p->press, e));
    return press_end(&p->press, e);
}

static err_t take_row(struct printer *p, sqlite3_stmt *st, struct err *e)
{
    struct batch *b = &p->sheet->batch;
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
    struct batch *b = &p->sheet->batch;
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
    for (uint32_t i = 0; i < p->sheet->batch.n_cols; i++)
        TRY(take_cell(p, i, i < n_keys ? &key[i] : &value[i - n_keys], e));
    p->w->merge->rows_out++;
    return end_row(p, e);
}

static err_t take_all(struct printer *p, sqlite3_stmt *st, struct err *e)
{
    bool row;
    TRY(press_sheet(&p->press, &p->sheet, e));
    if (!st) {
        TRY(wsq_runs_merge(p->w, take_group, p, e));
        return end_all(p, e);
    }
    for (;;) {
        TRY(wsq_merge_step(p->w, st, &row, e));
        if (!row) return end_all(p, e);
        TRY(take_row(p, st, e));
    }
}

err_t wf_rows_text(struct warehouse *w, sqlite3_stmt *rows, wf_put *to, struct err *e)
{
    struct printer p = { .w = w, .put = to };
    const struct sink_ops *sink = sink_find(w->files->format);
    err_t rc = press_open(&p.press, sink, &w->schema, put, &p, e);
    if (rc == ERR_OK) rc = take_all(&p, rows, e);
    press_close(&p.press);
    return rc;
}
