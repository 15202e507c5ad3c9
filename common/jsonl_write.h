// jsonl_write - batches as JSON lines: an object a row, members in the order of the
// columns.
//
// NULL is null, and every member is there. Reals are the shortest text that reads back as
// the same real ("3.0"); booleans are true and false; text, dates and values kept as text
// are strings; blobs are strings of \x and hex digits. Bytes that are not UTF-8 (SQL can
// make such text) are written as they are.

#ifndef COMMON_JSONL_WRITE_H
#define COMMON_JSONL_WRITE_H

#include "common/batch.h"
#include "common/region.h"

struct jsonl_writer;

MUST_CHECK err_t jsonl_writer_new(struct jsonl_writer **out, const struct schema *schema,
                                  struct err *e); // copies the schema
void jsonl_writer_free(struct jsonl_writer **w);

// As csv_write_rows; a row needs up to 6 bytes a byte of text, and 40 a value and its name.
void jsonl_write_rows(struct jsonl_writer *w, const struct batch *b, uint32_t *row,
                      struct region *to);

#endif
