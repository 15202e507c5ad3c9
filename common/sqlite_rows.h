// sqlite_rows - rows of a batch in SQLite's record format, before they have a page.
//
// Most rows have short values only. Those are encoded 64 at a time, column by column, each
// into a slot of its own: tight loops without a branch on the data. A row with a value that
// is too long for a slot, or with a misfit, is odd: sqlite_rows_long describes it alone.

#ifndef COMMON_SQLITE_ROWS_H
#define COMMON_SQLITE_ROWS_H

#include "common/batch.h"

enum { SQLITE_ROWS_BLOCK = 64 }; // one word of a validity bitmap

struct sqlite_value { // one column of an odd row
    uint64_t serial;
    const uint8_t *p; // n bytes of body
    uint32_t n;
    uint8_t number[8];
};

struct sqlite_rows {
    uint32_t n_cols;
    uint32_t text_max; // bytes; a longer value makes its row odd
    uint32_t *misfit;  // index of each column's next misfit

    size_t stride;  // from one slot to the next
    uint8_t *slots; // row r of the block: its record begins at sqlite_rows_record(x, r)
    uint8_t *end[SQLITE_ROWS_BLOCK]; // ... and ends here
    uint64_t odd;                    // bit r: the slot of row r holds nothing

    struct sqlite_value *value; // the odd row: n_cols values ...
    uint8_t *header;            // ... and the record's header
    uint32_t header_bytes;
    uint64_t payload; // bytes of header and bodies
};

enum { SQLITE_ROWS_FRONT = 32 }; // writable bytes of a slot before its record

static inline uint8_t *sqlite_rows_record(const struct sqlite_rows *x, uint32_t r)
{
    return x->slots + r * x->stride + SQLITE_ROWS_FRONT;
}

MUST_CHECK err_t sqlite_rows_init(struct sqlite_rows *x, uint32_t n_cols, struct err *e);
void sqlite_rows_close(struct sqlite_rows *x); // copes with a failed init

// Blocks of a batch are encoded in order: start, then first = 0, 64, 128, ...
void sqlite_rows_start(struct sqlite_rows *x);
void sqlite_rows_block(struct sqlite_rows *x, const struct batch *b, uint32_t first);

// Fills value, header, header_bytes and payload; value[].p borrows from the batch.
void sqlite_rows_long(struct sqlite_rows *x, const struct batch *b, uint32_t row);

#endif
