// csv_write - batches as CSV text that csv_read reads back as the same values.
//
// RFC 4180 with LF line ends. NULL is the unquoted empty field (or the dialect's first null
// string, when its list lacks ""), the empty text is "". A text is quoted when it is empty,
// holds the delimiter, a quote, CR or LF, begins with a byte order mark, or is one of the
// null strings. Reals are the shortest text that reads back as the same real, with a point
// or an exponent ("3.0"); booleans are true and false, blobs \x and hex digits. A table of
// one column has its NULLs as blank lines, which csv_read takes for what they are.

#ifndef COMMON_CSV_WRITE_H
#define COMMON_CSV_WRITE_H

#include "common/batch.h"
#include "common/csv.h"
#include "common/region.h"

struct csv_writer;

// Schema and dialect are copied. ERR_INVALID: what csv.h does not allow.
MUST_CHECK err_t csv_writer_new(struct csv_writer **out, const struct csv_dialect *d,
                                const struct schema *schema, struct err *e);
void csv_writer_free(struct csv_writer **w);

// The line of column names. ERR_TOOBIG: it does not fit; nothing is written then.
MUST_CHECK err_t csv_write_header(struct csv_writer *w, struct region *to, struct err *e);
// Appends whole rows from *row on while they fit, and sets *row to the first that did not
// (b->rows: all did). The batch has the schema's columns; absent ones are written as NULL.
// A row needs up to 2 bytes a byte of text, and 40 a value, of room.
// ERR_INVALID: a text that needs quotes in a dialect without.
MUST_CHECK err_t csv_write_rows(struct csv_writer *w, const struct batch *b, uint32_t *row,
                                struct region *to, struct err *e);

#endif
