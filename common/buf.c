#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

err_t buf_reserve(struct buf *b, size_t more, struct err *e)
{
    if (b->cap - b->n >= more) return ERR_OK;
    if (more > SIZE_MAX / 2 - b->n)
        return err_set(e, ERR_NOMEM, "buffer of %zu bytes cannot grow by %zu", b->n, more);
    size_t cap = b->cap ? b->cap : 256;
    while (cap < b->n + more)
        cap *= 2;
    uint8_t *p = realloc(b->p, cap);
    if (!p) return err_set(e, ERR_NOMEM, "out of memory: %zu bytes wanted", cap);
    b->p = p;
    b->cap = cap;
    return ERR_OK;
}

err_t buf_add(struct buf *b, const void *p, size_t n, struct err *e)
{
    TRY(buf_reserve(b, n, e));
    if (n) memcpy(b->p + b->n, p, n);
    b->n += n;
    return ERR_OK;
}

err_t buf_printf(struct buf *b, struct err *e, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    err_t rc = n < 0 ? err_set(e, ERR_INVALID, "cannot format '%s'", fmt)
                     : buf_reserve(b, (size_t)n + 1, e);
    if (rc == ERR_OK) {
        vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
    return rc;
}

void buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){ 0 };
}
