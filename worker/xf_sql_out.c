#include "worker/xf_sql.h"

#include <stdlib.h>
#include <string.h>

const char XF_SQL_EMIT[] = "tranche_emit";

struct xf_sql_span {
    const uint8_t *begin, *end;
};

static err_t fail(struct xf_sql_out *o, err_t code, const char *text)
{
    if (o->rc == ERR_OK) o->rc = err_set(o->e, code, "%s", text);
    return o->rc;
}

// NULL: failed, and said so.
static void *take(struct xf_sql_out *o, size_t n)
{
    if (n > o->max_bytes || o->out->mem.used_bytes > o->max_bytes - n) {
        if (o->rc == ERR_OK)
            o->rc = err_set(
                o->e, ERR_TOOBIG,
                "the SQL's result for one batch passes its memory limit of %llu MiB;"
                " raise limits.worker_memory or make batches smaller",
                (unsigned long long)(o->max_bytes >> 20));
        return NULL;
    }
    void *p = arena_alloc(&o->out->mem, n);
    if (!p) fail(o, ERR_NOMEM, "out of memory: the SQL's result");
    return p;
}

static bool is_plain(const struct xf_sql_out *o, uint32_t column)
{
    return o->source && o->source[column] != XF_SQL_COMPUTED;
}

static bool grow_rows(struct xf_sql_out *o, uint64_t cap)
{
    uint32_t *row = take(o, cap * sizeof *row);
    if (!row) return false;
    if (o->rows) memcpy(row, o->row, o->rows * sizeof *row);
    o->row = row;
    return true;
}

static bool grow(struct xf_sql_out *o, uint64_t cap)
{
    if (cap > UINT32_MAX) cap = UINT32_MAX;
    if (o->rows >= cap) return fail(o, ERR_TOOBIG, "more than 4294967295 rows"), false;
    if (o->source && !grow_rows(o, cap)) return false;
    for (uint32_t i = 0; i < o->n_cols; i++) {
        if (is_plain(o, i)) continue;
        struct cell *cells = take(o, cap * sizeof *cells);
        if (!cells) return false;
        if (o->rows) memcpy(cells, o->cells[i], o->rows * sizeof *cells);
        o->cells[i] = cells;
    }
    o->cap = (uint32_t)cap;
    return true;
}

static int by_begin(const void *a, const void *b)
{
    const struct xf_sql_span *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static void find_spans(struct xf_sql_out *o)
{
    for (uint32_t i = 0; i < o->in->n_cols; i++) {
        const struct vec *v = &o->in->col[i];
        if (v->absent || !type_is_text(v->type) || !v->off[o->in->rows]) continue;
        o->spans[o->n_spans++] =
            (struct xf_sql_span){ v->bytes, v->bytes + v->off[o->in->rows] };
    }
    qsort(o->spans, o->n_spans, sizeof *o->spans, by_begin);
}

err_t xf_sql_out_begin(struct xf_sql_out *o, uint32_t n_cols)
{
    o->rc = ERR_OK;
    o->rows = o->cap = o->n_spans = 0;
    o->text_left = 0;
    o->n_cols = n_cols;
    o->cells = take(o, n_cols * sizeof *o->cells);
    o->spans = o->cells ? take(o, (o->in->n_cols + 1) * sizeof *o->spans) : NULL;
    if (!o->spans) return o->rc;
    find_spans(o);
    enum { LEAST = 256 };
    return grow(o, o->guess > LEAST ? o->guess : LEAST) ? ERR_OK : o->rc;
}

// Whether p is text of the batch. Such text need not be copied: it outlives the result.
static bool borrowed(const struct xf_sql_out *o, const uint8_t *p)
{
    uint32_t lo = 0, hi = o->n_spans; // the last span that begins at or before p is lo - 1
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (o->spans[mid].begin <= p)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo > 0 && p < o->spans[lo - 1].end;
}

static const uint8_t *copy(struct xf_sql_out *o, const uint8_t *p, uint32_t n)
{
    enum { ROOM = 64 * 1024 };
    if (n > o->text_left) {
        size_t room = n > ROOM ? n : ROOM;
        uint8_t *text = take(o, room);
        if (!text) return NULL;
        o->text = text;
        o->text_left = room;
    }
    uint8_t *to = o->text;
    memcpy(to, p, n);
    o->text += n;
    o->text_left -= n;
    return to;
}

static void keep_bytes(struct xf_sql_out *o, sqlite3_value *v, struct cell *c)
{
    const uint8_t *p = sqlite3_value_blob(v); // the text's own bytes, not converted
    uint32_t n = (uint32_t)sqlite3_value_bytes(v);
    c->len = n;
    c->p = n == 0 ? (const uint8_t *)"" : borrowed(o, p) ? p : copy(o, p, n);
}

static void keep(struct xf_sql_out *o, sqlite3_value *v, struct cell *c)
{
    switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER:
        *c = (struct cell){ .kind = CELL_INTEGER, .i = sqlite3_value_int64(v) };
        break;
    case SQLITE_FLOAT:
        *c = (struct cell){ .kind = CELL_REAL, .r = sqlite3_value_double(v) };
        break;
    case SQLITE_TEXT:
        c->kind = CELL_TEXT;
        keep_bytes(o, v, c);
        break;
    case SQLITE_BLOB:
        c->kind = CELL_BLOB;
        keep_bytes(o, v, c);
        break;
    default: *c = (struct cell){ .kind = CELL_NULL };
    }
}

void xf_sql_out_row(struct xf_sql_out *o, sqlite3_value **v)
{
    if (o->rc != ERR_OK) return;
    if (o->rows == o->cap && !grow(o, (uint64_t)o->cap * 4)) return;
    if (o->source) o->row[o->rows] = *o->at;
    for (uint32_t i = 0; i < o->n_cols; i++)
        if (!is_plain(o, i)) keep(o, *v++, &o->cells[i][o->rows]);
    if (o->rc == ERR_OK) o->rows++;
}

static bool fill(struct xf_sql_out *o, uint32_t column)
{
    struct cell *to = take(o, o->rows * sizeof *to);
    if (!to) return false;
    xf_sql_plain_fill(to, &o->in->col[o->source[column]], o->row, o->rows);
    o->cells[column] = to;
    return true;
}

void xf_sql_out_end(struct xf_sql_out *o)
{
    o->out->rows = o->rows;
    for (uint32_t i = 0; i < o->n_cols; i++) {
        if (is_plain(o, i) && !fill(o, i)) return;
        o->out->col[i] = (struct vec){ .type = TYPE_ANY, .any = o->cells[i] };
    }
    o->guess = o->rows + o->rows / 8;
}

static void emit_step(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    struct xf_sql_out *o = sqlite3_user_data(ctx);
    xf_sql_out_row(o, v);
    if (o->rc != ERR_OK) sqlite3_result_error_code(ctx, SQLITE_ABORT);
}

static void emit_final(sqlite3_context *ctx)
{
    sqlite3_result_null(ctx);
}

err_t xf_sql_out_add(sqlite3 *db, struct xf_sql_out *o, struct err *e)
{
    int rc =
        sqlite3_create_function_v2(db, XF_SQL_EMIT, -1, SQLITE_UTF8 | SQLITE_DIRECTONLY, o,
                                   NULL, emit_step, emit_final, NULL);
    if (rc == SQLITE_OK) return ERR_OK;
    return err_set(e, rc == SQLITE_NOMEM ? ERR_NOMEM : ERR_DB, "%s", sqlite3_errmsg(db));
}
