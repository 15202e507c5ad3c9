#include "common/csv_quote.h"

#include <stdbool.h>

err_t csv_quote(struct buf *out, const void *text, size_t n, struct err *e)
{
    const char *p = text;
    bool plain = true;
    for (size_t i = 0; i < n && plain; i++)
        plain = p[i] != '"' && p[i] != ',' && p[i] != '\n' && p[i] != '\r';
    if (plain && n) return buf_add(out, p, n, e);
    TRY(buf_add(out, "\"", 1, e));
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '"') TRY(buf_add(out, "\"", 1, e));
        TRY(buf_add(out, p + i, 1, e));
    }
    return buf_add(out, "\"", 1, e);
}
