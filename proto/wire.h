// wire - what the codecs put around the msgpack library: a check before it reads, and a
// buffer that it writes to.
//
// The library believes the counts it reads: a hundred bytes can make it reserve gigabytes,
// and it does not check UTF-8. After wire_check every count is covered by bytes that are
// really there, so what unpacking costs is known: `values` objects, no more.

#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include "common/buf.h"
#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

enum { WIRE_DEPTH_MAX = 8 };

// p[0..n) is exactly one value of nil, booleans, integers, float64, str, bin and arrays
// (never maps, extensions or float32), arrays nested at most `depth` deep (up to
// WIRE_DEPTH_MAX), at most `values` values in all, and each str is UTF-8. ERR_PROTO names
// the byte that is wrong.
MUST_CHECK err_t wire_check(const uint8_t *p, size_t n, unsigned depth, uint32_t values,
                            struct err *e);

// Bytes of the longest prefix that is UTF-8 (RFC 3629: no surrogates, no overlong forms,
// nothing past U+10FFFF). n: all of it.
size_t wire_utf8(const void *text, size_t n);

// A msgpack_packer's destination: its `data`, and its callback, which appends to `to`.
// After a pack call failed, `rc` and `e` say why.
struct wire_writer {
    struct buf *to;
    struct err *e;
    err_t rc;
};
int wire_write(void *writer, const char *p, size_t n);

#endif
