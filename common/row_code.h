// row_code - rows on their way from a database to a worker: values one after another, each
// with its type and length before it, and nothing between rows. Whoever reads knows how
// many columns a row has. A row is the same bytes whenever it has the same values, so that
// a digest of rows is a proof.
//
// A value is a byte that says what follows (integers and reals little-endian):
//   0        NULL
//   1 2 3 4  an integer of 1, 2, 4, 8 bytes: the least that hold it
//   5        a real of 8 bytes
//   6 7      text, blob: u32 length, bytes
//   8        text of 0 bytes; 9 to 255: of 1 to 247
// Texts are whatever the database has: whoever reads checks that they are UTF-8.

#ifndef COMMON_ROW_CODE_H
#define COMMON_ROW_CODE_H

#include "common/batch.h"
#include "common/buf.h"

MUST_CHECK err_t row_code_put(struct buf *to, const struct cell *c, struct err *e);

// The value at *at, which moves past it; texts and blobs point into p. False: the bytes end
// before it does; *at stays.
bool row_code_next(const uint8_t *p, size_t n, size_t *at, struct cell *c);
// Moves *at past so many values. False: they are not there.
bool row_code_skip(const uint8_t *p, size_t n, size_t *at, uint64_t values);

// A row as a line of CSV without its line end, for a person: blobs as x'00ff', reals so
// that they read back.
MUST_CHECK err_t row_code_show(const uint8_t *p, size_t n, uint32_t columns, struct buf *to,
                               struct err *e);

#endif
