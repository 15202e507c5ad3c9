#include "common/csv_write.h"

#include "common/csv_swar.h"
#include "common/number.h"

#include <stdlib.h>
#include <string.h>

struct csv_writer {
    struct schema schema;
    uint8_t delimiter, quote;
    char *null;   // what NULL is written as
    char **nulls; // texts that must be quoted to be no NULL; without ""
    size_t n_nulls, null_len;
    bool special[256]; // bytes that make a text need quotes
};

struct put { // room that is left
    uint8_t *p, *end;
    bool full;       // a value did not fit
    bool unquotable; // a value needs quotes, and there are none
};

static err_t check(const struct csv_dialect *d, struct err *e)
{
    uint8_t c = d->delimiter, q = d->quote;
    if (c && c < 0x80 && c != '\n' && c != '\r' && q < 0x80 && q != '\n' && q != '\r' &&
        c != q)
        return ERR_OK;
    return err_set(e, ERR_INVALID, "no CSV dialect has the delimiter %u and the quote %u",
                   c, q);
}

static err_t set_nulls(struct csv_writer *w, const struct csv_dialect *d, struct err *e)
{
    bool empty = !d->nulls || d->n_nulls == 0;
    w->nulls = calloc(d->n_nulls + 1, sizeof *w->nulls);
    for (size_t i = 0; w->nulls && d->nulls && i < d->n_nulls; i++) {
        empty |= !*d->nulls[i];
        if (!*d->nulls[i]) continue;
        if (!(w->nulls[w->n_nulls] = strdup(d->nulls[i]))) break;
        w->n_nulls++;
    }
    w->null = w->nulls ? strdup(empty ? "" : d->nulls[0]) : NULL;
    if (!w->null) return err_set(e, ERR_NOMEM, "out of memory: a CSV writer");
    w->null_len = strlen(w->null);
    return ERR_OK;
}

err_t csv_writer_new(struct csv_writer **out, const struct csv_dialect *d,
                     const struct schema *schema, struct err *e)
{
    *out = NULL;
    TRY(check(d, e));
    struct csv_writer *w = calloc(1, sizeof *w);
    if (!w) return err_set(e, ERR_NOMEM, "out of memory: a CSV writer");
    w->delimiter = d->delimiter;
    w->quote = d->quote;
    w->special[d->delimiter] = w->special['\n'] = w->special['\r'] = true;
    w->special[d->quote] = d->quote;
    err_t rc = schema_copy(&w->schema, schema, e);
    if (rc == ERR_OK) rc = set_nulls(w, d, e);
    if (rc == ERR_OK)
        *out = w;
    else
        csv_writer_free(&w);
    return rc;
}

void csv_writer_free(struct csv_writer **wp)
{
    struct csv_writer *w = *wp;
    if (!w) return;
    schema_free(&w->schema);
    for (size_t i = 0; i < w->n_nulls; i++)
        free(w->nulls[i]);
    free(w->nulls);
    free(w->null);
    free(w);
    *wp = NULL;
}

static bool word_is_special(const struct csv_writer *w, const uint8_t *p)
{
    uint64_t x = swar_load(p);
    return swar_find(x, w->delimiter) | swar_find(x, w->quote ? w->quote : '\n') |
           swar_find(x, '\n') | swar_find(x, '\r');
}

static bool is_null_string(const struct csv_writer *w, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < w->n_nulls; i++)
        if (strlen(w->nulls[i]) == n && memcmp(w->nulls[i], p, n) == 0) return true;
    return false;
}

static bool needs_quotes(const struct csv_writer *w, const uint8_t *p, size_t n)
{
    bool special = false;
    if (n == 0) return true;
    if (n < 8) {
        for (size_t i = 0; i < n; i++)
            special |= w->special[p[i]];
    } else {
        for (size_t i = 0; i + 8 <= n && !special; i += 8)
            special = word_is_special(w, p + i);
        special |= word_is_special(w, p + n - 8);
    }
    return special || (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) ||
           (w->n_nulls && is_null_string(w, p, n));
}

static void put_quoted(const struct csv_writer *w, struct put *o, const uint8_t *p,
                       size_t n)
{
    uint8_t *to = o->p;
    o->unquotable |= !w->quote;
    *to++ = w->quote;
    while (n) {
        const uint8_t *q = memchr(p, w->quote, n);
        size_t k = q ? (size_t)(q - p) + 1 : n;
        memcpy(to, p, k);
        to += k;
        if (q) *to++ = w->quote;
        p += k;
        n -= k;
    }
    *to++ = w->quote;
    o->p = to;
}

static void put_text(const struct csv_writer *w, struct put *o, const uint8_t *p, size_t n)
{
    if ((size_t)(o->end - o->p) < 2 * n + 3) {
        o->full = true;
    } else if (needs_quotes(w, p, n)) {
        put_quoted(w, o, p, n);
    } else {
        memcpy(o->p, p, n);
        o->p += n;
    }
}

static void put_blob(struct put *o, const uint8_t *p, size_t n)
{
    if ((size_t)(o->end - o->p) < 2 * n + 3) {
        o->full = true;
        return;
    }
    memcpy(o->p, "\\x", 2);
    o->p = number_put_hex(o->p + 2, p, n);
}

static void put_cell(const struct csv_writer *w, struct put *o, const struct cell *c,
                     enum type t)
{
    size_t least = NUMBER_MAX + 1 > w->null_len ? NUMBER_MAX + 1 : w->null_len + 1;
    if ((size_t)(o->end - o->p) < least) {
        o->full = true;
        return;
    }
    switch ((enum cell_kind)c->kind) {
    case CELL_NULL:
        memcpy(o->p, w->null, w->null_len);
        o->p += w->null_len;
        return;
    case CELL_INTEGER:
        if (t == TYPE_BOOLEAN && (c->i == 0 || c->i == 1))
            o->p = (uint8_t *)stpcpy((char *)o->p, c->i ? "true" : "false");
        else
            o->p += number_put_integer((char *)o->p, c->i);
        return;
    case CELL_REAL: o->p += number_put_real((char *)o->p, c->r); return;
    case CELL_TEXT: put_text(w, o, c->p, c->len); return;
    case CELL_BLOB: put_blob(o, c->p, c->len); return;
    }
}

static void put_row(const struct csv_writer *w, struct put *o, const struct batch *b,
                    uint32_t row)
{
    for (uint32_t i = 0; i < w->schema.n && !o->full; i++) {
        const struct vec *v = &b->col[i];
        struct cell c = { .kind = CELL_NULL };
        if (!v->absent) c = vec_cell(v, row);
        put_cell(w, o, &c, w->schema.f[i].type);
        if (o->full) break; // otherwise put_cell left room for one more byte
        *o->p++ = i + 1 < w->schema.n ? w->delimiter : '\n';
    }
}

static err_t wrong(const struct put *o, struct err *e)
{
    if (!o->unquotable) return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "a text is empty, or holds a delimiter or a line end, and this CSV "
                   "dialect has no quotes to write it with");
}

err_t csv_write_header(struct csv_writer *w, struct region *to, struct err *e)
{
    struct put o = { .p = to->p + to->n, .end = to->p + to->cap };
    for (uint32_t i = 0; i < w->schema.n && !o.full; i++) {
        const char *name = w->schema.f[i].name;
        put_text(w, &o, (const uint8_t *)name, strlen(name));
        if (o.p == o.end) o.full = true;
        if (!o.full) *o.p++ = i + 1 < w->schema.n ? w->delimiter : '\n';
    }
    TRY(wrong(&o, e));
    if (o.full) return err_set(e, ERR_TOOBIG, "the column names take too much room");
    to->n = (size_t)(o.p - to->p);
    return ERR_OK;
}

err_t csv_write_rows(struct csv_writer *w, const struct batch *b, uint32_t *row,
                     struct region *to, struct err *e)
{
    struct put o = { .p = to->p + to->n, .end = to->p + to->cap };
    for (; *row < b->rows; ++*row) {
        put_row(w, &o, b, *row);
        if (o.full || o.unquotable) break;
        to->n = (size_t)(o.p - to->p);
    }
    return wrong(&o, e);
}
