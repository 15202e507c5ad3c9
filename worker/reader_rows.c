// Rows of a database, as common/row_code writes them. Values keep the type that they have;
// of a column whose type was given they are converted like a CSV field with the same text.

#include "common/row_code.h"
#include "common/utf8.h"
#include "common/vec_build.h"
#include "worker/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rows_reader {
    struct schema schema;
    bool *want;
    uint32_t lead; // values of a row before its columns: 1 if the first is its number
    struct vec_build *col; // of the columns whose type was given
    struct cell *row;      // the one being read
    struct buf text;       // of a value that is converted
};

static void rows_close(void **state)
{
    struct rows_reader *r = *state;
    if (!r) return;
    for (uint32_t i = 0; r->col && i < r->schema.n; i++)
        vec_build_close(&r->col[i]);
    free(r->col);
    free(r->want);
    free(r->row);
    buf_free(&r->text);
    schema_free(&r->schema);
    free(r);
    *state = NULL;
}

static err_t prepare(struct rows_reader *r, const struct spec *spec, const bool *want,
                     struct err *e)
{
    TRY(schema_copy(&r->schema, &spec->in, e));
    r->col = calloc(spec->in.n, sizeof *r->col);
    r->want = calloc(spec->in.n, sizeof *r->want);
    r->row = calloc(spec->in.n, sizeof *r->row);
    if (!r->col || !r->want || !r->row) return err_set(e, ERR_NOMEM, "out of memory");
    r->lead = spec->query != NULL;
    for (uint32_t i = 0; i < spec->in.n; i++)
        r->want[i] = !want || want[i];
    return ERR_OK;
}

static err_t rows_open(void **state, const struct spec *spec, const bool *want,
                       struct err *e)
{
    *state = NULL;
    if (spec->in.n == 0) return err_set(e, ERR_INVALID, "rows without a column");
    struct rows_reader *r = calloc(1, sizeof *r);
    if (!r) return err_set(e, ERR_NOMEM, "out of memory");
    *state = r;
    err_t rc = prepare(r, spec, want, e);
    if (rc != ERR_OK) rows_close(state);
    return rc;
}

static err_t damaged(struct err *e)
{
    return err_set(e, ERR_PROTO, "the rows of a chunk are damaged");
}

// How many there are, unless somebody has counted them.
static err_t count_rows(const struct rows_reader *r, const struct reader_chunk *c,
                        uint32_t *rows, struct err *e)
{
    size_t at = 0;
    if ((*rows = c->rows)) return ERR_OK;
    for (*rows = 0; at < c->n; ++*rows)
        if (!row_code_skip(c->bytes, c->n, &at, r->lead + r->schema.n)) return damaged(e);
    return ERR_OK;
}

static err_t start(struct rows_reader *r, uint32_t rows, struct batch *out, struct err *e)
{
    TRY(batch_start(out, &r->schema, e));
    for (uint32_t i = 0; i < r->schema.n; i++) {
        const struct field *f = &r->schema.f[i];
        struct vec *v = &out->col[i];
        if (!r->want[i]) continue;
        if (f->given) {
            TRY(vec_build_start(&r->col[i], f, v, &out->mem, rows, e));
            continue;
        }
        *v = (struct vec){ .type = TYPE_ANY };
        v->any = arena_alloc(&out->mem, sizeof *v->any * ((size_t)rows + 1));
        if (!v->any)
            return err_set(e, ERR_NOMEM, "out of memory: a batch of %u rows", rows);
    }
    return ERR_OK;
}

struct fault {
    uint32_t column;
    char why[200];
};

static bool is_bad_text(const struct cell *c, struct fault *f)
{
    if (c->kind != CELL_TEXT) return false;
    size_t bad = utf8_bad(c->p, c->len);
    if (bad == c->len) return false;
    snprintf(f->why, sizeof f->why,
             c->p[bad] ? "byte %zu of the text is not UTF-8"
                       : "NUL byte at %zu of the text",
             bad);
    return true;
}

// Of a given type: what a CSV field of that text would be.
static err_t convert(struct rows_reader *r, uint32_t i, uint32_t row, bool *fits,
                     struct err *e)
{
    const struct cell *c = &r->row[i];
    struct vec_build *b = &r->col[i];
    *fits = true;
    if (c->kind == CELL_NULL) {
        vec_build_null(b, row);
        return ERR_OK;
    }
    if (c->kind == CELL_TEXT) return vec_build_text(b, row, c->p, c->len, fits, e);
    struct buf encoded = { 0 };
    r->text.n = 0;
    err_t rc = row_code_put(&encoded, c, e);
    if (rc == ERR_OK) rc = row_code_show(encoded.p, encoded.n, 1, &r->text, e);
    buf_free(&encoded);
    TRY(rc);
    return vec_build_text(b, row, r->text.p, r->text.n, fits, e);
}

static err_t add_row(struct rows_reader *r, struct batch *out, struct fault *f, bool *good,
                     struct err *e)
{
    *good = true;
    for (uint32_t i = 0; *good && i < r->schema.n; i++) {
        f->column = i;
        if (!r->want[i]) continue;
        *good = !is_bad_text(&r->row[i], f);
        if (!*good) break;
        if (!r->schema.f[i].given) {
            out->col[i].any[out->rows] = r->row[i];
            continue;
        }
        TRY(convert(r, i, out->rows, good, e));
        if (!*good)
            snprintf(f->why, sizeof f->why, "the value is not of the type %s",
                     type_name(r->schema.f[i].type));
    }
    out->rows += *good;
    return ERR_OK;
}

static err_t reject(struct rows_reader *r, uint64_t number, const struct fault *f,
                    const uint8_t *p, size_t n, struct rejects *rejects, struct err *e)
{
    const char *column = r->schema.f[f->column].name;
    r->text.n = 0;
    TRY(row_code_show(p, n, r->schema.n, &r->text, e));
    struct reject row = { .byte = number,
                          .column = { (const uint8_t *)column, strlen(column) },
                          .reason = { (const uint8_t *)f->why, strlen(f->why) },
                          .raw = { r->text.p, r->text.n } };
    return rejects_add(rejects, &row, e);
}

static err_t take_number(const struct reader_chunk *c, size_t *at, uint64_t *number,
                         struct err *e)
{
    struct cell v;
    if (!row_code_next(c->bytes, c->n, at, &v) || v.kind != CELL_INTEGER) return damaged(e);
    *number = (uint64_t)v.i;
    return ERR_OK;
}

static err_t rows_read(void *state, const struct reader_chunk *c, struct batch *out,
                       struct rejects *rejects, struct reader_stats *stats, struct err *e)
{
    struct rows_reader *r = state;
    uint64_t before = rejects->n, number = c->begin;
    uint32_t rows;
    TRY(count_rows(r, c, &rows, e));
    TRY(start(r, rows, out, e));
    uint32_t row = 0;
    for (size_t at = 0; at < c->n; number++) {
        if (row++ == rows) return damaged(e);
        struct fault fault;
        bool good;
        if (r->lead) TRY(take_number(c, &at, &number, e));
        size_t begin = at;
        for (uint32_t i = 0; i < r->schema.n; i++)
            if (!row_code_next(c->bytes, c->n, &at, &r->row[i])) return damaged(e);
        TRY(add_row(r, out, &fault, &good, e));
        if (!good) TRY(reject(r, number, &fault, c->bytes + begin, at - begin, rejects, e));
    }
    if (row != rows) return damaged(e);
    for (uint32_t i = 0; i < r->schema.n; i++)
        if (r->want[i] && r->schema.f[i].given)
            TRY(vec_build_finish(&r->col[i], out->rows, e));
    *stats = (struct reader_stats){ .rows = rows,
                                    .parsed = out->rows,
                                    .rejected = rejects->n - before };
    return ERR_OK;
}

const struct reader_ops reader_rows = {
    .name = "rows", .open = rows_open, .read = rows_read, .close = rows_close
};
