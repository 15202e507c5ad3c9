// Tuples as they come back from workers, which nobody trusts before pg_copy_check.

#include "common/pg_copy.h"

#include "common/pg_time.h"
#include "common/rejects.h"
#include "common/utf8.h"

#include <inttypes.h>

enum { PG_NULL = -1 };

static bool value_is_good(enum type t, const uint8_t *p, uint32_t n)
{
    switch (t) {
    case TYPE_INTEGER:
    case TYPE_REAL: return n == 8;
    case TYPE_BOOLEAN: return n == 1 && *p <= 1;
    case TYPE_DATE: return n == 4 && pg_date_is_good((int32_t)pg_get32(p));
    case TYPE_TIMESTAMP: return n == 8 && pg_timestamp_is_good((int64_t)pg_get64(p));
    case TYPE_TEXT:
    case TYPE_ANY: break;
    }
    return utf8_bad(p, n) == n;
}

// Past the tuple; NULL: it is none.
static const uint8_t *check_tuple(const struct schema *s, const uint8_t *p,
                                  const uint8_t *end)
{
    if (end - p < 2 || pg_get16(p) != s->n) return NULL;
    p += 2;
    for (uint32_t c = 0; c < s->n; c++) {
        if (end - p < 4) return NULL;
        int32_t n = (int32_t)pg_get32(p);
        p += 4;
        if (n == PG_NULL) continue;
        if (n < 0 || n > end - p || !value_is_good(s->f[c].type, p, (uint32_t)n))
            return NULL;
        p += n;
    }
    return p;
}

static bool count_refused(struct slice list, uint64_t *n)
{
    size_t at = 0;
    bool bad;
    struct reject one;
    for (*n = 0; rejects_next(list, &at, &one, &bad); ++*n)
        if (one.line || one.byte != REJECT_NO_BYTE) return false;
    return !bad;
}

struct pg_copy pg_copy_parts(const uint8_t *p, size_t n)
{
    uint64_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    const uint8_t *behind = p + PG_COPY_FRONT + bytes;
    return (struct pg_copy){ { p + PG_COPY_FRONT, bytes },
                             { behind, (size_t)(p + n - behind) } };
}

err_t pg_copy_check(const uint8_t *p, size_t n, const struct schema *s, uint64_t rows,
                    struct err *e)
{
    uint64_t bytes, refused, tuples = 0;
    if (n < PG_COPY_FRONT) return err_set(e, ERR_PROTO, "the rows are cut");
    memcpy(&bytes, p, sizeof bytes);
    if (bytes > n - PG_COPY_FRONT) return err_set(e, ERR_PROTO, "the rows are cut");
    struct pg_copy x = pg_copy_parts(p, n);
    const uint8_t *at = x.tuples.p, *end = at + x.tuples.n;
    for (; at < end; tuples++) {
        at = check_tuple(s, at, end);
        if (!at)
            return err_set(e, ERR_PROTO, "row %" PRIu64 " is none of the table",
                           tuples + 1);
    }
    if (!count_refused(x.refused, &refused))
        return err_set(e, ERR_PROTO, "the list of refused rows is damaged");
    if (tuples + refused != rows)
        return err_set(e, ERR_PROTO,
                       "%" PRIu64 " rows were announced, %" PRIu64 " and %" PRIu64
                       " refused ones came",
                       rows, tuples, refused);
    return ERR_OK;
}

static const uint8_t *skip_value(const uint8_t *p)
{
    int32_t n = (int32_t)pg_get32(p);
    return p + 4 + (n > 0 ? n : 0);
}

const uint8_t *pg_copy_skip(const uint8_t *at)
{
    uint16_t columns = pg_get16(at);
    at += 2;
    while (columns--)
        at = skip_value(at);
    return at;
}

static struct cell text_cell(const void *p, size_t n)
{
    return (struct cell){ .kind = CELL_TEXT, .len = (uint32_t)n, .p = p };
}

static struct cell cell_at(enum type t, const uint8_t *p, char room[PG_TIME_TEXT])
{
    int32_t n = (int32_t)pg_get32(p);
    struct cell c = { .kind = CELL_INTEGER };
    p += 4;
    if (n == PG_NULL) return (struct cell){ .kind = CELL_NULL };
    switch (t) {
    case TYPE_INTEGER: c.i = (int64_t)pg_get64(p); return c;
    case TYPE_BOOLEAN: c.i = *p; return c;
    case TYPE_REAL: {
        uint64_t bits = pg_get64(p);
        c.kind = CELL_REAL;
        memcpy(&c.r, &bits, sizeof c.r);
        return c;
    }
    case TYPE_DATE: return text_cell(room, pg_date_show(room, (int32_t)pg_get32(p)));
    case TYPE_TIMESTAMP:
        return text_cell(room, pg_timestamp_show(room, (int64_t)pg_get64(p)));
    case TYPE_TEXT:
    case TYPE_ANY: break;
    }
    return text_cell(p, (size_t)n);
}

struct cell pg_copy_cell(const struct schema *s, const uint8_t *tuple, uint32_t column,
                         char room[PG_TIME_TEXT])
{
    const uint8_t *p = tuple + 2;
    for (uint32_t c = 0; c < column; c++)
        p = skip_value(p);
    return cell_at(s->f[column].type, p, room);
}

err_t pg_copy_csv(const struct schema *s, const uint8_t *tuple, struct buf *out,
                  struct err *e)
{
    char room[PG_TIME_TEXT];
    const uint8_t *p = tuple + 2;
    out->n = 0;
    TRY(buf_reserve(out, 1, e));
    for (uint32_t c = 0; c < s->n && out->n < REJECT_RAW_MAX; c++, p = skip_value(p)) {
        struct cell v = cell_at(s->f[c].type, p, room);
        if (c) TRY(buf_add(out, ",", 1, e));
        TRY(pg_copy_field(&v, out, e));
    }
    return ERR_OK;
}
