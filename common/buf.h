// buf - a byte string that grows, and the slice that borrows from one.

#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

struct slice { // borrowed; says nothing about how long it lives
    const uint8_t *p;
    size_t n;
};

struct buf { // zero-initialised is a valid empty buffer
    uint8_t *p;
    size_t n, cap;
};

// Room for `more` bytes past n. ERR_NOMEM leaves the buffer as it was.
MUST_CHECK err_t buf_reserve(struct buf *b, size_t more, struct err *e);
MUST_CHECK err_t buf_add(struct buf *b, const void *p, size_t n, struct err *e);
MUST_CHECK err_t buf_printf(struct buf *b, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4))); // a NUL follows the text, not counted in n
void buf_free(struct buf *b);              // leaves a valid empty buffer

#endif
