// JSON lines: the members that the spec names, one a column; without names the whole line
// in one text column. Blank lines are skipped. With a list, each of its elements is a row.

#include "common/json_line.h"
#include "common/vec_build.h"
#include "worker/reader.h"

#include "common/csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct jsonl_reader {
    struct schema schema;
    struct json_line *json;
    struct vec_build *col; // schema.n
    bool *want;
    bool whole;    // the line itself is the value
    uint32_t room; // rows that the columns of the batch have room for
};

struct line {
    const uint8_t *p; // without its line end
    size_t n;
    uint64_t number;
};

static void jsonl_close(void **state)
{
    struct jsonl_reader *r = *state;
    if (!r) return;
    for (uint32_t i = 0; r->col && i < r->schema.n; i++)
        vec_build_close(&r->col[i]);
    free(r->col);
    free(r->want);
    json_line_free(&r->json);
    schema_free(&r->schema);
    free(r);
    *state = NULL;
}

static err_t prepare(struct jsonl_reader *r, const struct spec *spec, const bool *want,
                     struct err *e)
{
    TRY(schema_copy(&r->schema, &spec->in, e));
    TRY(json_line_new(&r->json, &spec->fields, e));
    if (spec->list) TRY(json_line_by_list(r->json, spec->list, e));
    r->whole = spec->fields.n == 0;
    r->col = calloc(spec->in.n, sizeof *r->col);
    r->want = malloc(spec->in.n * sizeof *r->want);
    if (!r->col || !r->want) return err_set(e, ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < spec->in.n; i++)
        r->want[i] = !want || want[i];
    return ERR_OK;
}

static err_t jsonl_open(void **state, const struct spec *spec, const bool *want,
                        struct err *e)
{
    *state = NULL;
    uint32_t columns = spec->fields.n ? (uint32_t)spec->fields.n : 1;
    bool good = spec->in.n == columns;
    for (uint32_t i = 0; good && i < spec->in.n; i++)
        good = spec->in.f[i].type != TYPE_ANY;
    good = good && (!spec->list || spec->fields.n);
    if (!good) return err_set(e, ERR_INVALID, "JSON lines: one typed column a field");
    struct jsonl_reader *r = calloc(1, sizeof *r);
    if (!r) return err_set(e, ERR_NOMEM, "out of memory");
    *state = r;
    err_t rc = prepare(r, spec, want, e);
    if (rc != ERR_OK) jsonl_close(state);
    return rc;
}

static err_t put(struct vec_build *b, uint32_t row, const struct json_value *v, bool *fits,
                 struct err *e)
{
    *fits = true;
    switch (v->kind) {
    case JSON_NULL: vec_build_null(b, row); return ERR_OK;
    case JSON_NUMBER: return vec_build_text(b, row, v->p, v->n, fits, e);
    case JSON_BOOLEAN:
        if (b->type == TYPE_BOOLEAN) return vec_build_text(b, row, v->p, v->n, fits, e);
        break;
    case JSON_TEXT:
        if (b->type == TYPE_DATE || b->type == TYPE_TIMESTAMP)
            return vec_build_text(b, row, v->p, v->n, fits, e);
        break;
    case JSON_NESTED: break;
    }
    return vec_build_words(b, row, v->p, v->n, fits, e);
}

static err_t reject(struct rejects *rejects, const struct reader_chunk *c,
                    const struct line *l, const char *column, const char *reason,
                    struct err *e)
{
    struct reject row = { .line = l->number,
                          .byte = c->begin + (size_t)(l->p - c->bytes),
                          .column = { (const uint8_t *)column, strlen(column) },
                          .reason = { (const uint8_t *)reason, strlen(reason) },
                          .raw = { l->p, l->n } };
    return rejects_add(rejects, &row, e);
}

static err_t reject_value(const struct jsonl_reader *r, struct rejects *rejects,
                          const struct reader_chunk *c, const struct line *l, uint32_t i,
                          const struct json_value *v, struct err *e)
{
    const struct field *f = &r->schema.f[i];
    char why[200];
    int n = v->n < 80 ? (int)v->n : 80;
    snprintf(why, sizeof why, "'%.*s%s' is not %s %s", n, (const char *)v->p,
             v->n > 80 ? "..." : "", f->type == TYPE_INTEGER ? "an" : "a",
             type_name(f->type));
    return reject(rejects, c, l, f->name, why, e);
}

static err_t make_room(struct jsonl_reader *r, const struct batch *out, struct err *e)
{
    if (out->rows < r->room) return ERR_OK;
    if (r->room > UINT32_MAX / 2 - 1)
        return err_set(e, ERR_TOOBIG, "more than %u rows in one batch", r->room);
    r->room = 2 * r->room + 2;
    for (uint32_t i = 0; i < r->schema.n; i++)
        if (r->want[i]) TRY(vec_build_grow(&r->col[i], out->rows, r->room, e));
    return ERR_OK;
}

// *misfit: the column whose given type a value does not fit; else schema.n.
static err_t add_row(struct jsonl_reader *r, const struct json_value *values,
                     struct batch *out, uint32_t *misfit, struct err *e)
{
    bool fits = true;
    TRY(make_room(r, out, e));
    for (*misfit = 0; *misfit < r->schema.n; ++*misfit) {
        if (!r->want[*misfit]) continue;
        TRY(put(&r->col[*misfit], out->rows, &values[*misfit], &fits, e));
        if (!fits) return ERR_OK;
    }
    out->rows++;
    return ERR_OK;
}

// All of its rows or none: a line that is rejected can be mended and loaded again.
static err_t add_rows(struct jsonl_reader *r, const struct reader_chunk *c,
                      const struct line *l, const struct json_value *whole,
                      struct batch *out, struct rejects *rejects, struct err *e)
{
    uint32_t before = out->rows, misfit;
    size_t rows = whole ? 1 : json_line_rows(r->json);
    for (size_t k = 0; k < rows; k++) {
        const struct json_value *values = whole ? whole : json_line_row(r->json, k);
        TRY(add_row(r, values, out, &misfit, e));
        if (misfit == r->schema.n) continue;
        out->rows = before;
        return reject_value(r, rejects, c, l, misfit, &values[misfit], e);
    }
    return ERR_OK;
}

static err_t read_line(struct jsonl_reader *r, const struct reader_chunk *c,
                       const struct line *l, struct batch *out, struct rejects *rejects,
                       struct err *e)
{
    const struct json_value *values, whole = { JSON_TEXT, l->p, l->n };
    char why[JSON_LINE_WHY];
    bool good;
    TRY(json_line_read(r->json, l->p, l->n, &values, &good, why, e));
    if (good && l->n > CSV_FIELD_MAX) {
        snprintf(why, sizeof why, "a line of %zu bytes, at most %d are allowed", l->n,
                 CSV_FIELD_MAX);
        good = false;
    }
    if (!good) return reject(rejects, c, l, "", why, e);
    return add_rows(r, c, l, r->whole ? &whole : NULL, out, rejects, e);
}

static bool is_blank(const struct line *l)
{
    size_t i = 0;
    while (i < l->n && (l->p[i] == ' ' || l->p[i] == '\t' || l->p[i] == '\r'))
        i++;
    return i == l->n;
}

static size_t count_lines(const struct reader_chunk *c)
{
    size_t n = 0;
    const uint8_t *stop = c->bytes + c->n;
    for (const uint8_t *p = c->bytes; p < stop; n++) {
        const uint8_t *lf = memchr(p, '\n', (size_t)(stop - p));
        p = lf ? lf + 1 : stop;
    }
    return n;
}

static err_t start(struct jsonl_reader *r, const struct reader_chunk *c, struct batch *out,
                   struct err *e)
{
    if (c->n > UINT32_MAX - CSV_PAD)
        return err_set(e, ERR_TOOBIG, "a chunk of %zu bytes, at most 4 GiB are allowed",
                       c->n);
    r->room = (uint32_t)count_lines(c);
    json_line_reset(r->json);
    TRY(batch_start(out, &r->schema, e));
    for (uint32_t i = 0; i < r->schema.n; i++)
        if (r->want[i])
            TRY(vec_build_start(&r->col[i], &r->schema.f[i], &out->col[i], &out->mem,
                                r->room, e));
    return ERR_OK;
}

static err_t jsonl_read(void *state, const struct reader_chunk *c, struct batch *out,
                        struct rejects *rejects, struct reader_stats *stats, struct err *e)
{
    struct jsonl_reader *r = state;
    const uint8_t *next = c->bytes, *stop = c->bytes + c->n;
    uint64_t before = rejects->n, number = c->first_line;
    *stats = (struct reader_stats){ 0 };
    TRY(start(r, c, out, e));
    for (; next < stop; number++) {
        const uint8_t *lf = memchr(next, '\n', (size_t)(stop - next));
        struct line l = { next, (size_t)((lf ? lf : stop) - next), number };
        next = lf ? lf + 1 : stop;
        if (lf && l.n && l.p[l.n - 1] == '\r') l.n--;
        if (is_blank(&l)) {
            stats->blank++;
        } else {
            stats->rows++;
            TRY(read_line(r, c, &l, out, rejects, e));
        }
    }
    for (uint32_t i = 0; i < r->schema.n; i++) {
        if (!r->want[i]) continue;
        TRY(vec_build_finish(&r->col[i], out->rows, e));
        stats->misfits += out->col[i].n_misfits;
    }
    stats->rejected = rejects->n - before;
    stats->parsed = stats->rows - stats->rejected;
    return ERR_OK;
}

const struct reader_ops reader_jsonl = {
    .name = "jsonl", .open = jsonl_open, .read = jsonl_read, .close = jsonl_close
};
