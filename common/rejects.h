// rejects - the list of rows that did not make it, with everything a person needs to
// find and mend them. One flat encoding, built where the row is refused and read where
// it is loaded; it crosses the wire as it is, so the reader trusts nothing.

#ifndef COMMON_REJECTS_H
#define COMMON_REJECTS_H

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { REJECT_RAW_MAX = 1 << 20, REJECT_REASON_MAX = 1024, REJECT_COLUMN_MAX = 1024 };

#define REJECT_NO_BYTE ((uint64_t)INT64_MAX)

struct reject {
    uint64_t line;       // physical line of the record's first byte, from 1; 0: no lines
    uint64_t byte;       // offset of the record's first byte in the input, or number of its
                         // row; REJECT_NO_BYTE: it is a result, not a record
    struct slice column; // name of the offending column; empty: the whole row
    struct slice reason; // "'abc' is not an integer"
    struct slice raw;    // the record as it stood, without its line end; cut at
                         // REJECT_RAW_MAX, column and reason at theirs (UTF-8 safe)
};

struct rejects { // zero-initialised is a valid empty list
    struct buf bytes;
    uint64_t n;
};

// Encoding: u64 line, u64 byte, u32 column length, u32 reason length, u32 raw length,
// little-endian, then the three strings.
MUST_CHECK err_t rejects_add(struct rejects *r, const struct reject *row, struct err *e);
void rejects_free(struct rejects *r);

// Walks an encoded list. Starts with *at = 0; false at the end, or with *bad set where the
// bytes are no list (a length past the end, over its limit). `out` borrows from `bytes`.
bool rejects_next(struct slice bytes, size_t *at, struct reject *out, bool *bad);

#endif
