#include "worker/xf_http.h"

#include "common/csv_value.h"
#include "common/number.h"
#include "common/utf8.h"

#include <stdlib.h>
#include <string.h>

static err_t no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory: the answer of a request");
}

// ---- columns ----

static err_t add(struct schema *s, const char *name, enum type t, struct err *e)
{
    if (schema_find(s, name) >= 0)
        return err_set(e, ERR_TRANSFORM,
                       "the column '%.100s' is one of the row's and one of the answer's: "
                       "leave it out of keep, or give the answer's another name, as in "
                       "fields: {other: %.100s}",
                       name, name);
    return schema_add(s, name, strlen(name), t, false, e);
}

err_t xf_http_columns(struct xf_http *x, struct schema *out, struct err *e)
{
    const struct step_http *h = &x->step.http;
    uint32_t before = out->n;
    if (!h->rows) {
        TRY(add(out, "status", TYPE_INTEGER, e));
        TRY(add(out, "body", TYPE_TEXT, e));
    } else if (!h->fields_given) {
        TRY(add(out, "item", TYPE_ANY, e));
    }
    for (size_t i = 0; h->rows && i < h->fields.n; i++)
        TRY(add(out, h->fields.v[i].name, TYPE_ANY, e));
    x->n_answer = out->n - before;
    if (out->n) return ERR_OK;
    return err_set(e, ERR_TRANSFORM, "no column: keep and fields are empty");
}

err_t xf_http_open_paths(struct xf_http *x, struct err *e)
{
    const struct step_http *h = &x->step.http;
    struct strings members = { 0 };
    err_t rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < h->fields.n; i++)
        rc = strings_add(&members, h->fields.v[i].value, strlen(h->fields.v[i].value), e);
    if (rc == ERR_OK && h->rows)
        rc = json_pick_new(&x->rows, h->rows, &members, "the answer", e);
    strings_free(&members);
    if (rc == ERR_OK && h->next && strcmp(h->next, "link") != 0)
        rc = json_pick_new(&x->next, h->next, &(struct strings){ 0 }, "the answer", e);
    return rc == ERR_INVALID ? err_wrap(e, ERR_TRANSFORM, "a path") : rc;
}

// ---- values ----

static void set_number(struct cell *c, const struct json_value *v)
{
    bool whole = true;
    for (size_t i = 0; i < v->n; i++)
        whole &= v->p[i] == '-' || (v->p[i] >= '0' && v->p[i] <= '9');
    if (whole && csv_parse_integer(v->p, v->n, false, &c->i))
        c->kind = CELL_INTEGER;
    else if (!whole && csv_parse_real(v->p, v->n, true, &c->r))
        c->kind = CELL_REAL;
}

// Texts go to x->text; where, is told by an offset as long as it grows.
static err_t add_value(struct xf_http *x, const struct json_value *v, struct err *e)
{
    struct cell c = { .kind = CELL_NULL };
    if (v->kind == JSON_BOOLEAN)
        c = (struct cell){ .kind = CELL_INTEGER, .i = *v->p == 't' };
    if (v->kind == JSON_NUMBER) set_number(&c, v);
    if (c.kind == CELL_NULL && v->kind != JSON_NULL) {
        if (v->n > UINT32_MAX) return err_set(e, ERR_TOOBIG, "a text of %zu bytes", v->n);
        c = (struct cell){ .kind = CELL_TEXT, .len = (uint32_t)v->n };
        c.p = (const uint8_t *)(uintptr_t)x->text.n;
        if (v->n) TRY(buf_add(&x->text, v->p, v->n, e));
    }
    return buf_add(&x->cells, &c, sizeof c, e);
}

static err_t too_big(const struct xf_http *x, struct err *e)
{
    return err_set(e, ERR_TOOBIG,
                   "the answers to one batch give more than %zu MiB: take fewer rows a "
                   "batch (batch.rows)",
                   x->max_bytes >> 20);
}

static err_t add_row(void *arg, const struct json_value *values, struct err *e)
{
    struct xf_http *x = arg;
    for (uint32_t i = 0; i < x->n_answer; i++)
        TRY(add_value(x, &values[i], e));
    x->n_rows++;
    size_t n = x->mem->used_bytes + x->cells.n + x->text.n;
    return n > x->max_bytes ? too_big(x, e) : ERR_OK;
}

// ---- pages ----

static struct xf_http_page *new_page(struct xf_http *x)
{
    struct xf_http_page *p = arena_alloc(x->mem, sizeof *p + x->cells.n + 16);
    uint8_t *text = arena_alloc(x->mem, x->text.n + 1);
    if (!p || !text) return NULL;
    size_t n = x->cells.n / sizeof(struct cell);
    *p =
        (struct xf_http_page){ .rows = x->n_rows, .cells = (struct cell *)(void *)(p + 1) };
    _Static_assert(_Alignof(struct cell) <= _Alignof(struct xf_http_page), "cells follow");
    if (n) memcpy(p->cells, x->cells.p, x->cells.n);
    if (x->text.n) memcpy(text, x->text.p, x->text.n);
    for (size_t i = 0; i < n; i++)
        if (p->cells[i].kind == CELL_TEXT) p->cells[i].p = text + (uintptr_t)p->cells[i].p;
    return p;
}

static err_t keep_page(struct xf_http_call *c, struct err *e)
{
    struct xf_http *x = c->x;
    struct xf_http_row *row = &x->row[c->row];
    if (x->n_rows == 0) return ERR_OK;
    struct xf_http_page *p = new_page(x);
    if (!p) return no_memory(e);
    if (row->last)
        row->last->next = p;
    else
        row->first = p;
    row->last = p;
    return x->mem->used_bytes > x->max_bytes ? too_big(x, e) : ERR_OK;
}

static err_t whole_body(struct xf_http_call *c, long status, const char **why,
                        struct err *e)
{
    char digits[NUMBER_MAX];
    size_t bad = utf8_bad(c->body.p, c->body.n);
    if (bad < c->body.n) {
        *why = xf_http_say(c->x,
                           c->body.p[bad] ? "the answer is no text: byte %zu is not UTF-8"
                                          : "the answer is no text: NUL byte at %zu",
                           bad);
        return *why ? ERR_OK : no_memory(e);
    }
    size_t n = number_put_integer(digits, status);
    struct json_value v[] = { { JSON_NUMBER, (uint8_t *)digits, n },
                              { JSON_TEXT, c->body.p, c->body.n } };
    return add_row(c->x, v, e);
}

static err_t pick_rows(struct xf_http_call *c, const char **why, struct err *e)
{
    struct xf_http *x = c->x;
    char text[JSON_LINE_WHY];
    bool good;
    TRY(json_pick_read(x->rows, c->body.p, c->body.n, add_row, x, &good, text, e));
    if (good) return ERR_OK;
    *why = xf_http_say(x, "%s", text);
    return *why ? ERR_OK : no_memory(e);
}

// ---- the next page ----

struct found {
    char *text; // malloc
    bool other; // something that is neither a text nor nothing
};

static err_t on_next(void *arg, const struct json_value *v, struct err *e)
{
    struct found *f = arg;
    f->other = v->kind != JSON_TEXT && v->kind != JSON_NULL &&
               !(v->kind == JSON_BOOLEAN && *v->p == 'f');
    if (v->kind != JSON_TEXT || v->n == 0) return ERR_OK;
    if (memchr(v->p, 0, v->n)) {
        f->other = true;
        return ERR_OK;
    }
    f->text = strndup((const char *)v->p, v->n);
    return f->text ? ERR_OK : no_memory(e);
}

// Where nothing is on the way to it there is none.
static err_t pick_next(struct xf_http_call *c, const char **why, char **next, struct err *e)
{
    struct xf_http *x = c->x;
    struct found f = { 0 };
    char text[JSON_LINE_WHY] = "";
    bool good;
    TRY(json_pick_read(x->next, c->body.p, c->body.n, on_next, &f, &good, text, e));
    *next = f.text;
    if (good ? f.other : !json_pick_found_nothing(x->next)) {
        *why = xf_http_say(x, "the next page: %s", good ? "its address is no text" : text);
        if (!*why) return no_memory(e);
    }
    return ERR_OK;
}

static err_t find_next(struct xf_http_call *c, const char **why, char **next, struct err *e)
{
    if (c->x->next) return pick_next(c, why, next, e);
    if (!c->link) return ERR_OK;
    *next = c->link;
    c->link = NULL;
    return ERR_OK;
}

err_t xf_http_answer(struct xf_http_call *c, long status, const char **why, char **next,
                     struct err *e)
{
    struct xf_http *x = c->x;
    *why = NULL;
    *next = NULL;
    x->cells.n = x->text.n = 0;
    x->n_rows = 0;
    if (x->rows && c->body.n == 0 && status == 204) return ERR_OK; // "no content"
    TRY(x->rows ? pick_rows(c, why, e) : whole_body(c, status, why, e));
    if (!*why) TRY(find_next(c, why, next, e));
    return *why ? ERR_OK : keep_page(c, e);
}
