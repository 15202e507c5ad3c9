// row_filter - skips rows of a batch that a comparison of SQL cannot keep, 64 at a time.
//
// A filter answers "may this row match `column op value`?" and errs towards yes: SQLite
// judges every row that is left. It never says no to a row that SQLite would keep, whose
// rules are those of sqlite.org/datatype3.html: NULL matches no comparison, integers and
// reals compare exactly, text compares byte by byte (BINARY), and a column's declared type
// decides what is converted before.

#ifndef WORKER_ROW_FILTER_H
#define WORKER_ROW_FILTER_H

#include "common/batch.h"

enum row_filter_op {
    ROW_FILTER_EQ,
    ROW_FILTER_NE,
    ROW_FILTER_LT,
    ROW_FILTER_LE,
    ROW_FILTER_GT,
    ROW_FILTER_GE,
    ROW_FILTER_IS, // EQ, except that NULL IS NULL
    ROW_FILTER_ISNULL,
    ROW_FILTER_NOTNULL,
};

struct row_filter { // borrows the vec, and the value's text
    const struct vec *v;
    uint32_t rows;
    uint32_t misfit; // the first one at or after the last word asked for
    enum {
        ROW_FILTER_KEEP_NONE,
        ROW_FILTER_KEEP_NULLS,
        ROW_FILTER_KEEP_VALUES,
        ROW_FILTER_KEEP_NUMBERS, // in the ranges below
        ROW_FILTER_KEEP_TEXTS,   // that compare to `text` as `op` says
    } keep;
    enum row_filter_op op;
    bool invert; // numbers outside the range match
    int64_t int_lo, int_hi;
    double real_lo, real_hi; // both ends belong to it; lo > hi: empty
    struct {
        const uint8_t *p;
        uint32_t n;
    } text;
};

// `declared` is the column's type in the schema, which an ANY vec does not tell.
// `value` is not read for ISNULL and NOTNULL.
void row_filter_init(struct row_filter *f, const struct vec *v, uint32_t rows,
                     enum type declared, enum row_filter_op op, const struct cell *value);

// Bits of rows 64 w .. 64 w + 63; bits of rows that do not exist are 0. Words are asked for
// in ascending order.
uint64_t row_filter_word(struct row_filter *f, uint32_t w);

#endif
