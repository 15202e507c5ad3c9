// Values in PostgreSQL's binary formats.

#include "common/pg_copy.h"

#include "common/csv_quote.h"
#include "common/csv_value.h"
#include "common/number.h"
#include "common/pg_time.h"
#include "common/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

const uint8_t PG_COPY_HEADER[PG_COPY_HEADER_BYTES] = { 'P', 'G',  'C',  'O',  'P',
                                                       'Y', '\n', 0xff, '\r', '\n' };
const uint8_t PG_COPY_TRAILER[PG_COPY_TRAILER_BYTES] = { 0xff, 0xff };

const char *pg_copy_type(enum type t)
{
    switch (t) {
    case TYPE_INTEGER: return "bigint";
    case TYPE_REAL: return "double precision";
    case TYPE_BOOLEAN: return "boolean";
    case TYPE_DATE: return "date";
    case TYPE_TIMESTAMP: return "timestamp without time zone";
    case TYPE_TEXT:
    case TYPE_ANY: break;
    }
    return "text";
}

size_t pg_copy_value_max(const struct cell *c)
{
    return 4 + (c->kind < CELL_TEXT    ? NUMBER_MAX
                : c->kind == CELL_TEXT ? c->len + 8u
                                       : 2 + 2ul * c->len);
}

static const char *article(enum type t)
{
    switch (t) {
    case TYPE_INTEGER: return "an integer";
    case TYPE_REAL: return "a number";
    case TYPE_BOOLEAN: return "true or false";
    case TYPE_DATE: return "a date that PostgreSQL has";
    case TYPE_TIMESTAMP: return "a timestamp that PostgreSQL has";
    case TYPE_TEXT:
    case TYPE_ANY: break;
    }
    return "a text";
}

// The value as people write it, cut; for the sentence.
static void show(const struct cell *c, char out[64])
{
    size_t n = 0;
    char number[NUMBER_MAX];
    switch (c->kind) {
    case CELL_NULL: snprintf(out, 64, "NULL"); return;
    case CELL_INTEGER: n = number_put_integer(number, c->i); break;
    case CELL_REAL: n = number_put_real(number, c->r); break;
    case CELL_BLOB: snprintf(out, 64, "a blob of %" PRIu32 " bytes", c->len); return;
    default: {
        size_t cut = utf8_cut(c->p, c->len, 40), good = utf8_bad(c->p, cut);
        snprintf(out, 64, "'%.*s%s'", (int)good, (const char *)c->p,
                 good < c->len ? "..." : "");
        return;
    }
    }
    snprintf(out, 64, "%.*s", (int)n, number);
}

static uint8_t *refuse(enum type t, const struct cell *c, char why[PG_COPY_WHY_MAX])
{
    char shown[64];
    show(c, shown);
    snprintf(why, PG_COPY_WHY_MAX, "%s is not %s, which is the type of the column", shown,
             article(t));
    return NULL;
}

static uint8_t *put_bytes(uint8_t *p, const void *bytes, size_t n)
{
    return (uint8_t *)memcpy(pg_put32(p, (uint32_t)n), bytes, n) + n;
}

static uint8_t *put_text(uint8_t *p, const struct cell *c, char why[PG_COPY_WHY_MAX])
{
    size_t bad = utf8_bad(c->p, c->len);
    if (bad == c->len) return put_bytes(p, c->p, c->len);
    snprintf(why, PG_COPY_WHY_MAX,
             c->p[bad] ? "byte %zu of the text is not UTF-8, and PostgreSQL has no other"
                       : "byte %zu of the text is NUL, which PostgreSQL has in no text",
             bad + 1);
    return NULL;
}

static uint8_t *put_as_text(uint8_t *p, const struct cell *c, char why[PG_COPY_WHY_MAX])
{
    if (c->kind == CELL_TEXT) return put_text(p, c, why);
    if (c->kind == CELL_BLOB) {
        uint8_t *to = pg_put32(p, 2 + 2 * c->len);
        memcpy(to, "\\x", 2);
        return number_put_hex(to + 2, c->p, c->len);
    }
    char number[NUMBER_MAX];
    size_t n = c->kind == CELL_INTEGER ? number_put_integer(number, c->i)
                                       : number_put_real(number, c->r);
    return put_bytes(p, number, n);
}

static uint8_t *put_real(uint8_t *p, double r)
{
    uint64_t bits;
    memcpy(&bits, &r, sizeof bits);
    return pg_put64(pg_put32(p, 8), bits);
}

// A value of another kind that says the same: 3.0 is an integer, '3' in a number's column
// is a number, as SQLite's affinities have it.
static bool as_integer(const struct cell *c, int64_t *out)
{
    if (c->kind == CELL_INTEGER) {
        *out = c->i;
        return true;
    }
    if (c->kind == CELL_REAL && c->r >= -0x1p63 && c->r < 0x1p63 && c->r == trunc(c->r)) {
        *out = (int64_t)c->r;
        return true;
    }
    return c->kind == CELL_TEXT && csv_parse_integer(c->p, c->len, true, out);
}

static bool as_real(const struct cell *c, double *out)
{
    if (c->kind == CELL_INTEGER) *out = (double)c->i;
    if (c->kind == CELL_REAL) *out = c->r;
    if (c->kind == CELL_INTEGER || c->kind == CELL_REAL) return true;
    return c->kind == CELL_TEXT && csv_parse_real(c->p, c->len, true, out);
}

static uint8_t *put_time(uint8_t *p, enum type t, const struct cell *c,
                         char why[PG_COPY_WHY_MAX])
{
    int32_t days;
    int64_t us;
    if (c->kind != CELL_TEXT) return refuse(t, c, why);
    if (t == TYPE_DATE && pg_date_read(c->p, c->len, &days))
        return pg_put32(pg_put32(p, 4), (uint32_t)days);
    if (t == TYPE_TIMESTAMP && pg_timestamp_read(c->p, c->len, &us))
        return pg_put64(pg_put32(p, 8), (uint64_t)us);
    return refuse(t, c, why);
}

uint8_t *pg_copy_put(uint8_t *p, enum type t, const struct cell *c,
                     char why[PG_COPY_WHY_MAX])
{
    int64_t i;
    double r;
    if (c->kind == CELL_NULL) return pg_put32(p, UINT32_MAX);
    switch (t) {
    case TYPE_INTEGER:
        return as_integer(c, &i) ? pg_put64(pg_put32(p, 8), (uint64_t)i)
                                 : refuse(t, c, why);
    case TYPE_REAL: return as_real(c, &r) ? put_real(p, r) : refuse(t, c, why);
    case TYPE_BOOLEAN:
        if (c->kind == CELL_TEXT ? !csv_parse_boolean(c->p, c->len, &i)
                                 : !as_integer(c, &i))
            return refuse(t, c, why);
        if (i != 0 && i != 1) return refuse(t, c, why);
        p = pg_put32(p, 1);
        *p = (uint8_t)i;
        return p + 1;
    case TYPE_DATE:
    case TYPE_TIMESTAMP: return put_time(p, t, c, why);
    case TYPE_TEXT:
    case TYPE_ANY: break;
    }
    return put_as_text(p, c, why);
}

err_t pg_copy_field(const struct cell *c, struct buf *out, struct err *e)
{
    char number[NUMBER_MAX];
    switch (c->kind) {
    case CELL_INTEGER: return buf_add(out, number, number_put_integer(number, c->i), e);
    case CELL_REAL: return buf_add(out, number, number_put_real(number, c->r), e);
    case CELL_TEXT:
    case CELL_BLOB: return csv_quote(out, c->p, c->len, e);
    default: return ERR_OK;
    }
}
