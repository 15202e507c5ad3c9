#include "coordinator/busy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void halve(struct busy *b)
{
    for (int i = 0; i < BUSY_BUCKETS / 2; i++)
        b->us[i] = b->us[2 * i] + b->us[2 * i + 1];
    memset(b->us + BUSY_BUCKETS / 2, 0, sizeof b->us / 2);
    b->bucket_us *= 2;
}

void busy_add(struct busy *b, int64_t from, int64_t to)
{
    const int64_t far = INT64_MAX / 4;
    if (from < 0) from = 0;
    if (to > far) to = far;
    if (from >= to) return;
    if (!b->bucket_us) b->bucket_us = BUSY_FIRST_US;
    while ((to - 1) / b->bucket_us >= BUSY_BUCKETS)
        halve(b);
    for (int64_t i = from / b->bucket_us; from < to; i++) {
        int64_t end = (i + 1) * b->bucket_us < to ? (i + 1) * b->bucket_us : to;
        b->us[i] += (uint64_t)(end - from);
        from = end;
    }
}

err_t busy_text(const struct busy *b, struct buf *out, struct err *e)
{
    int n = BUSY_BUCKETS;
    while (n && !b->us[n - 1])
        n--;
    for (int i = 0; i < n; i++)
        TRY(buf_printf(out, e, "%s%" PRIu64, i ? " " : "", (b->us[i] + 500) / 1000));
    return buf_printf(out, e, "%s", "");
}

uint32_t busy_parse(const char *text, uint64_t *ms, uint32_t max)
{
    uint32_t n = 0;
    for (char *end; n < max; text = end) {
        uint64_t v = strtoull(text, &end, 10);
        if (end == text) break;
        ms[n++] = v;
    }
    return n;
}
