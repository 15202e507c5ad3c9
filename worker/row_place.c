#include "worker/row_place.h"

#include "common/csv_read.h"
#include "common/json_line.h"
#include "common/row_code.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { CSV, JSONL, LINES, ROWS, RANGE };

struct row_places {
    const struct spec *spec;
    struct reader_chunk c;
    struct slice read;
    enum kind kind;
    struct json_line *json; // of lines that are read by a list
    size_t read_at;         // in the rejects
    uint64_t read_byte;     // of the next of them
    size_t at;              // in the chunk
    uint64_t number, line;  // of the next record
    uint32_t row;           // the next row's number
    struct row_place now;
    struct arena mem;
    struct buf text;
};

static void next_reject(struct row_places *w)
{
    struct reject r;
    bool bad;
    w->read_byte = rejects_next(w->read, &w->read_at, &r, &bad) ? r.byte : UINT64_MAX;
}

static enum kind kind_of(const char *reader)
{
    static const char *const names[] = { "csv", "jsonl", "lines", "rows", "range" };
    for (int i = JSONL; i <= RANGE; i++)
        if (strcmp(names[i], reader) == 0) return (enum kind)i;
    return CSV;
}

err_t row_places_new(struct row_places **out, const struct spec *spec,
                     const struct reader_chunk *c, struct slice read, struct err *e)
{
    struct row_places *w = *out = calloc(1, sizeof *w);
    if (!w) return err_set(e, ERR_NOMEM, "out of memory: rejected rows");
    w->spec = spec;
    w->c = *c;
    w->read = read;
    w->kind = kind_of(spec->reader ? spec->reader : "");
    w->number = c->begin;
    w->line = c->first_line;
    next_reject(w);
    if (w->kind != JSONL || !spec->list) return ERR_OK;
    err_t rc = json_line_new(&w->json, &spec->fields, e);
    if (rc == ERR_OK) rc = json_line_by_list(w->json, spec->list, e);
    if (rc != ERR_OK) row_places_free(out);
    return rc;
}

void row_places_free(struct row_places **ww)
{
    struct row_places *w = *ww;
    *ww = NULL;
    if (!w) return;
    json_line_free(&w->json);
    arena_free(&w->mem);
    buf_free(&w->text);
    free(w);
}

// ---- the next record of each kind: its bytes, and whether it can be a row ----

static err_t next_csv(struct row_places *w, size_t *used, bool *blank, struct err *e)
{
    struct csv_value *fields;
    size_t n;
    arena_reset(&w->mem);
    TRY(csv_read_record(&w->spec->dialect, w->c.bytes + w->at, w->c.n - w->at, true,
                        &w->mem, &fields, &n, used, e));
    *blank = w->spec->in.n > 1 && n == 1 && fields[0].n == 0 && !fields[0].quoted;
    return ERR_OK;
}

static size_t text_of(const uint8_t *p, size_t n) // without its line end
{
    if (n && p[n - 1] == '\n')
        n--;
    else
        return n;
    return n - (n && p[n - 1] == '\r');
}

static void next_line(struct row_places *w, size_t *used, bool *blank)
{
    const uint8_t *p = w->c.bytes + w->at, *lf = memchr(p, '\n', w->c.n - w->at);
    *used = lf ? (size_t)(lf + 1 - p) : w->c.n - w->at;
    size_t n = text_of(p, *used), spaces = 0;
    while (spaces < n && strchr(" \t\r", p[spaces]) && p[spaces])
        spaces++;
    *blank = w->kind == JSONL && spaces == n;
}

static err_t next_text(struct row_places *w, bool *blank, struct err *e)
{
    size_t used = 0;
    const uint8_t *p = w->c.bytes + w->at;
    if (w->kind == CSV)
        TRY(next_csv(w, &used, blank, e));
    else
        next_line(w, &used, blank);
    w->now = (struct row_place){ .line = w->line,
                                 .byte = w->c.begin + w->at,
                                 .raw = { p, text_of(p, used) } };
    for (size_t i = 0; i < used; i++)
        w->line += p[i] == '\n';
    w->at += used;
    return ERR_OK;
}

// A table's rows bring their rowids along; those of a query are counted.
static err_t take_number(struct row_places *w, struct err *e)
{
    struct cell v;
    if (!row_code_next(w->c.bytes, w->c.n, &w->at, &v) || v.kind != CELL_INTEGER)
        return err_set(e, ERR_PROTO, "the rows of a chunk are damaged");
    w->number = (uint64_t)v.i;
    return ERR_OK;
}

static err_t next_row(struct row_places *w, struct err *e)
{
    if (w->kind == ROWS && w->spec->query) TRY(take_number(w, e));
    size_t begin = w->at;
    w->now = (struct row_place){ .byte = w->number++ };
    w->text.n = 0;
    if (w->kind == RANGE) {
        TRY(buf_printf(&w->text, e, "%llu", (unsigned long long)w->now.byte));
    } else {
        if (!row_code_skip(w->c.bytes, w->c.n, &w->at, w->spec->in.n))
            return err_set(e, ERR_PROTO, "the rows of a chunk are damaged");
        TRY(row_code_show(w->c.bytes + begin, w->at - begin, w->spec->in.n, &w->text, e));
    }
    w->now.raw = (struct slice){ w->text.p, w->text.n };
    return ERR_OK;
}

static bool at_end(const struct row_places *w)
{
    return w->kind == RANGE ? w->number >= w->c.end : w->at >= w->c.n;
}

// Rows of the record that it stands at, which the reader took.
static err_t rows_of_record(struct row_places *w, size_t *rows, struct err *e)
{
    const struct json_value *values;
    char why[JSON_LINE_WHY];
    bool good;
    *rows = 1;
    if (!w->json) return ERR_OK;
    json_line_reset(w->json);
    TRY(json_line_read(w->json, w->now.raw.p, w->now.raw.n, &values, &good, why, e));
    if (good) *rows = json_line_rows(w->json);
    return ERR_OK;
}

err_t row_places_find(struct row_places *w, uint32_t row, struct row_place *out,
                      struct err *e)
{
    while (w->row <= row) {
        bool blank = false;
        if (at_end(w)) return err_set(e, ERR_PROTO, "a chunk has no row %u", row);
        TRY(w->kind == ROWS || w->kind == RANGE ? next_row(w, e) : next_text(w, &blank, e));
        if (blank) continue;
        size_t rows = 0;
        if (w->now.byte == w->read_byte)
            next_reject(w);
        else
            TRY(rows_of_record(w, &rows, e));
        w->row += (uint32_t)rows;
    }
    *out = w->now;
    return ERR_OK;
}
