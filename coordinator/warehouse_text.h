// warehouse_text - rows as text: what stands before them, and whether what a worker sent is
// what it says. Formats: "csv", "jsonl". Pure.

#ifndef COORDINATOR_WAREHOUSE_TEXT_H
#define COORDINATOR_WAREHOUSE_TEXT_H

#include "coordinator/warehouse.h"

// What every file begins with: the names of the columns; of jsonl nothing.
MUST_CHECK err_t text_header(const char *format, const struct schema *s, struct buf *out,
                             struct err *e);
// ERR_PROTO: r->image is not r->row.rows_emitted rows of the schema.
MUST_CHECK err_t text_check(const char *format, const struct schema *s,
                            const struct result *r, struct err *e);

#endif
