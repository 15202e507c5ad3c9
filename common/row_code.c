#include "common/row_code.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NULL_VALUE, INT8, INT16, INT32, INT64, REAL64, TEXT, BLOB, SHORT };
enum { SHORT_MAX = UINT8_MAX - SHORT, SHOWN_BLOB = 64 };

static uint8_t width_of(int64_t i)
{
    return i == (int8_t)i    ? INT8
           : i == (int16_t)i ? INT16
           : i == (int32_t)i ? INT32
                             : INT64;
}

err_t row_code_put(struct buf *to, const struct cell *c, struct err *e)
{
    bool has_bytes = c->kind == CELL_TEXT || c->kind == CELL_BLOB;
    TRY(buf_reserve(to, 1 + 8 + (has_bytes ? (size_t)c->len : 0), e));
    uint8_t *p = to->p + to->n, *at = p + 1;
    switch ((enum cell_kind)c->kind) {
    case CELL_NULL: *p = NULL_VALUE; break;
    case CELL_INTEGER:
        *p = width_of(c->i);
        memcpy(at, &c->i, 8); // the low bytes come first
        at += 1u << (*p - INT8);
        break;
    case CELL_REAL:
        *p = REAL64;
        memcpy(at, &c->r, 8);
        at += 8;
        break;
    case CELL_TEXT:
    case CELL_BLOB:
        *p = c->kind == CELL_BLOB ? BLOB : TEXT;
        if (c->kind == CELL_TEXT && c->len <= SHORT_MAX) {
            *p = (uint8_t)(SHORT + c->len);
        } else {
            memcpy(at, &c->len, 4);
            at += 4;
        }
        if (c->len) memcpy(at, c->p, c->len);
        at += c->len;
    }
    to->n += (size_t)(at - p);
    return ERR_OK;
}

static int64_t integer(const uint8_t *p, unsigned bytes)
{
    int64_t v = 0;
    memcpy(&v, p, bytes);
    unsigned shift = 64 - 8 * bytes;
    return (int64_t)((uint64_t)v << shift) >> shift;
}

static bool bytes_of(const uint8_t *p, size_t left, uint8_t tag, size_t *head,
                     uint32_t *len)
{
    *head = 1;
    *len = 0;
    if (tag >= SHORT) {
        *len = tag - (uint32_t)SHORT;
    } else {
        if (left < 5) return false;
        memcpy(len, p + 1, 4);
        *head = 5;
    }
    return left - *head >= *len;
}

bool row_code_next(const uint8_t *p, size_t n, size_t *at, struct cell *c)
{
    if (*at >= n) return false;
    size_t left = n - *at, head;
    const uint8_t *v = p + *at;
    uint8_t tag = *v;
    if (tag == NULL_VALUE) {
        *c = (struct cell){ .kind = CELL_NULL };
        *at += 1;
    } else if (tag <= INT64) {
        unsigned bytes = 1u << (tag - INT8);
        if (left < 1 + bytes) return false;
        *c = (struct cell){ .kind = CELL_INTEGER, .i = integer(v + 1, bytes) };
        *at += 1 + bytes;
    } else if (tag == REAL64) {
        if (left < 9) return false;
        *c = (struct cell){ .kind = CELL_REAL };
        memcpy(&c->r, v + 1, 8);
        *at += 9;
    } else {
        uint32_t len;
        if (!bytes_of(v, left, tag, &head, &len)) return false;
        *c = (struct cell){ .kind = tag == BLOB ? CELL_BLOB : CELL_TEXT, .len = len };
        c->p = v + head;
        *at += head + len;
    }
    return true;
}

bool row_code_skip(const uint8_t *p, size_t n, size_t *at, uint64_t values)
{
    struct cell c;
    size_t to = *at;
    for (; values; values--)
        if (!row_code_next(p, n, &to, &c)) return false;
    *at = to;
    return true;
}

static err_t show_text(const struct cell *c, struct buf *to, struct err *e)
{
    bool quote = false;
    for (uint32_t i = 0; i < c->len; i++)
        quote |= c->p[i] == '"' || c->p[i] == ',' || c->p[i] == '\n' || c->p[i] == '\r';
    if (!quote && c->len) return buf_add(to, c->p, c->len, e);
    TRY(buf_add(to, "\"", 1, e));
    for (uint32_t i = 0; i < c->len; i++) {
        if (c->p[i] == '"') TRY(buf_add(to, "\"", 1, e));
        TRY(buf_add(to, c->p + i, 1, e));
    }
    return buf_add(to, "\"", 1, e);
}

static err_t show_blob(const struct cell *c, struct buf *to, struct err *e)
{
    uint32_t shown = c->len < SHOWN_BLOB ? c->len : SHOWN_BLOB;
    TRY(buf_add(to, "x'", 2, e));
    for (uint32_t i = 0; i < shown; i++)
        TRY(buf_printf(to, e, "%02x", c->p[i]));
    return buf_add(to, shown < c->len ? "'..." : "'", shown < c->len ? 4 : 1, e);
}

static err_t show_real(double r, struct buf *to, struct err *e)
{
    char text[32];
    snprintf(text, sizeof text, "%.17g", r);
    for (int digits = 1; digits < 17; digits++) {
        char shorter[32];
        snprintf(shorter, sizeof shorter, "%.*g", digits, r);
        if (strtod(shorter, NULL) == r) {
            memcpy(text, shorter, sizeof text);
            break;
        }
    }
    return buf_printf(to, e, "%s%s", text, strpbrk(text, ".einf") ? "" : ".0");
}

err_t row_code_show(const uint8_t *p, size_t n, uint32_t columns, struct buf *to,
                    struct err *e)
{
    size_t at = 0;
    struct cell c;
    for (uint32_t i = 0; i < columns && row_code_next(p, n, &at, &c); i++) {
        if (i) TRY(buf_add(to, ",", 1, e));
        switch ((enum cell_kind)c.kind) {
        case CELL_NULL: break;
        case CELL_INTEGER: TRY(buf_printf(to, e, "%lld", (long long)c.i)); break;
        case CELL_REAL: TRY(show_real(c.r, to, e)); break;
        case CELL_TEXT: TRY(show_text(&c, to, e)); break;
        case CELL_BLOB: TRY(show_blob(&c, to, e)); break;
        }
    }
    return ERR_OK;
}
