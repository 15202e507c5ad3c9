#include "common/rejects.h"

#include <string.h>

enum { FIXED = 28 };

static void put(uint8_t **p, const void *v, size_t n)
{
    memcpy(*p, v, n);
    *p += n;
}

// The longest prefix of at most `max` bytes that does not cut a UTF-8 sequence.
static uint32_t cut(struct slice s, size_t max)
{
    if (s.n <= max) return (uint32_t)s.n;
    size_t n = max;
    while (n > max - 4 && (s.p[n] & 0xc0) == 0x80)
        n--;
    return (uint32_t)n;
}

err_t rejects_add(struct rejects *r, const struct reject *row, struct err *e)
{
    uint32_t column = cut(row->column, REJECT_COLUMN_MAX);
    uint32_t reason = cut(row->reason, REJECT_REASON_MAX);
    uint32_t raw = (uint32_t)(row->raw.n < REJECT_RAW_MAX ? row->raw.n : REJECT_RAW_MAX);
    TRY(buf_reserve(&r->bytes, (size_t)FIXED + column + reason + raw, e));
    uint8_t *p = r->bytes.p + r->bytes.n;
    put(&p, &row->line, 8);
    put(&p, &row->byte, 8);
    put(&p, &column, 4);
    put(&p, &reason, 4);
    put(&p, &raw, 4);
    if (column) put(&p, row->column.p, column);
    if (reason) put(&p, row->reason.p, reason);
    if (raw) put(&p, row->raw.p, raw);
    r->bytes.n = (size_t)(p - r->bytes.p);
    r->n++;
    return ERR_OK;
}

void rejects_free(struct rejects *r)
{
    buf_free(&r->bytes);
    r->n = 0;
}

static void get(const uint8_t **p, void *v, size_t n)
{
    memcpy(v, *p, n);
    *p += n;
}

bool rejects_next(struct slice bytes, size_t *at, struct reject *out, bool *bad)
{
    *bad = false;
    if (*at == bytes.n) return false;
    *bad = true;
    if (*at > bytes.n || bytes.n - *at < FIXED) return false;
    const uint8_t *p = bytes.p + *at;
    uint32_t column, reason, raw;
    get(&p, &out->line, 8);
    get(&p, &out->byte, 8);
    get(&p, &column, 4);
    get(&p, &reason, 4);
    get(&p, &raw, 4);
    if (column > REJECT_COLUMN_MAX || reason > REJECT_REASON_MAX || raw > REJECT_RAW_MAX)
        return false;
    if (bytes.n - *at - FIXED < (size_t)column + reason + raw) return false;
    out->column = (struct slice){ p, column };
    out->reason = (struct slice){ p + column, reason };
    out->raw = (struct slice){ p + column + reason, raw };
    *at += (size_t)FIXED + column + reason + raw;
    *bad = false;
    return true;
}
