#include "common/jsonl_write.h"

#include "common/buf.h"
#include "common/number.h"

#include <stdlib.h>
#include <string.h>

struct jsonl_writer {
    struct schema schema;
    struct buf names;  // {"a": then ,"b": and so on
    size_t *name_ends; // of each column's piece
};

struct put { // room that is left
    uint8_t *p, *end;
    bool full;
};

// 0: as it is; 'u': \u00XX; else the letter after the backslash.
static const char escapes[256] = {
    ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
    ['\t'] = 't', [0] = 'u',     [1] = 'u',    [2] = 'u',    [3] = 'u',    [4] = 'u',
    [5] = 'u',    [6] = 'u',     [7] = 'u',    [11] = 'u',   [14] = 'u',   [15] = 'u',
    [16] = 'u',   [17] = 'u',    [18] = 'u',   [19] = 'u',   [20] = 'u',   [21] = 'u',
    [22] = 'u',   [23] = 'u',    [24] = 'u',   [25] = 'u',   [26] = 'u',   [27] = 'u',
    [28] = 'u',   [29] = 'u',    [30] = 'u',   [31] = 'u',
};

enum { ESCAPED_MAX = 6 }; // bytes that one byte of text may become

static uint8_t *put_escaped(uint8_t *to, const uint8_t *p, size_t n)
{
    *to++ = '"';
    for (size_t i = 0; i < n; i++) {
        char c = escapes[p[i]];
        if (!c) {
            *to++ = p[i];
            continue;
        }
        *to++ = '\\';
        *to++ = (uint8_t)c;
        if (c != 'u') continue;
        memcpy(to, "00", 2);
        to = number_put_hex(to + 2, p + i, 1);
    }
    *to++ = '"';
    return to;
}

static err_t add_name(struct jsonl_writer *w, uint32_t i, struct err *e)
{
    const char *name = w->schema.f[i].name;
    size_t n = strlen(name);
    TRY(buf_reserve(&w->names, ESCAPED_MAX * n + 4, e));
    uint8_t *p = w->names.p + w->names.n;
    *p++ = i ? ',' : '{';
    p = put_escaped(p, (const uint8_t *)name, n);
    *p++ = ':';
    w->names.n = (size_t)(p - w->names.p);
    w->name_ends[i] = w->names.n;
    return ERR_OK;
}

err_t jsonl_writer_new(struct jsonl_writer **out, const struct schema *schema,
                       struct err *e)
{
    *out = NULL;
    struct jsonl_writer *w = calloc(1, sizeof *w);
    if (!w) return err_set(e, ERR_NOMEM, "out of memory: a JSON writer");
    err_t rc = schema_copy(&w->schema, schema, e);
    w->name_ends = calloc(schema->n + 1, sizeof *w->name_ends);
    if (rc == ERR_OK && !w->name_ends)
        rc = err_set(e, ERR_NOMEM, "out of memory: a JSON writer");
    for (uint32_t i = 0; rc == ERR_OK && i < schema->n; i++)
        rc = add_name(w, i, e);
    if (rc == ERR_OK)
        *out = w;
    else
        jsonl_writer_free(&w);
    return rc;
}

void jsonl_writer_free(struct jsonl_writer **wp)
{
    struct jsonl_writer *w = *wp;
    if (!w) return;
    schema_free(&w->schema);
    buf_free(&w->names);
    free(w->name_ends);
    free(w);
    *wp = NULL;
}

static void put_text(struct put *o, const uint8_t *p, size_t n)
{
    size_t room = (size_t)(o->end - o->p);
    if (room < n + 3 || room / ESCAPED_MAX < n + 1)
        o->full = true;
    else
        o->p = put_escaped(o->p, p, n);
}

static void put_blob(struct put *o, const uint8_t *p, size_t n)
{
    if ((size_t)(o->end - o->p) < 2 * n + 6) {
        o->full = true;
        return;
    }
    memcpy(o->p, "\"\\\\x", 4);
    o->p = number_put_hex(o->p + 4, p, n);
    *o->p++ = '"';
}

static void put_cell(struct put *o, const struct cell *c, enum type t)
{
    if (o->end - o->p < NUMBER_MAX) {
        o->full = true;
        return;
    }
    switch ((enum cell_kind)c->kind) {
    case CELL_NULL: o->p = (uint8_t *)stpcpy((char *)o->p, "null"); return;
    case CELL_INTEGER:
        if (t == TYPE_BOOLEAN && (c->i == 0 || c->i == 1))
            o->p = (uint8_t *)stpcpy((char *)o->p, c->i ? "true" : "false");
        else
            o->p += number_put_integer((char *)o->p, c->i);
        return;
    case CELL_REAL: o->p += number_put_real((char *)o->p, c->r); return;
    case CELL_TEXT: put_text(o, c->p, c->len); return;
    case CELL_BLOB: put_blob(o, c->p, c->len); return;
    }
}

static void put_row(const struct jsonl_writer *w, struct put *o, const struct batch *b,
                    uint32_t row)
{
    size_t from = 0;
    for (uint32_t i = 0; i < w->schema.n && !o->full; i++) {
        size_t n = w->name_ends[i] - from;
        if ((size_t)(o->end - o->p) < n) {
            o->full = true;
            return;
        }
        memcpy(o->p, w->names.p + from, n);
        o->p += n;
        from += n;
        struct cell c = { .kind = CELL_NULL };
        if (!b->col[i].absent) c = vec_cell(&b->col[i], row);
        put_cell(o, &c, w->schema.f[i].type);
    }
    if (o->full || o->end - o->p < 2) {
        o->full = true;
        return;
    }
    memcpy(o->p, "}\n", 2);
    o->p += 2;
}

void jsonl_write_rows(struct jsonl_writer *w, const struct batch *b, uint32_t *row,
                      struct region *to)
{
    struct put o = { .p = to->p + to->n, .end = to->p + to->cap };
    for (; *row < b->rows; ++*row) {
        put_row(w, &o, b, *row);
        if (o.full) break;
        to->n = (size_t)(o.p - to->p);
    }
}
