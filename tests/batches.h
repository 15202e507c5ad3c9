// batches - batches from literals and back, for tests.
//
//   columns  "origin text, delay integer, x any"
//   rows     "'SFO', 5; 'LAX', NULL; 'JFK', 'NA'": SQL literals; integers, reals with a
//            point, text in quotes (a quote is doubled), x'00ff', NULL. Text in a column
//            of numbers is a misfit. Text of a date is not checked.

#ifndef TESTS_BATCHES_H
#define TESTS_BATCHES_H

#include "common/batch.h"
#include "common/buf.h"
#include "common/step.h"

// A step of a statement that is borrowed.
#define SQL_STEP(text) \
    (&(struct step){ .kind = STEP_SQL, .sql = (char *)(uintptr_t)(text) })

void schema_of(struct schema *s, const char *columns);                    // asserts
void batch_of(struct batch *b, const struct schema *s, const char *rows); // asserts
// One value of column i; text and blobs are borrowed from the batch.
struct cell batch_cell(const struct batch *b, uint32_t column, uint32_t row);
void cell_show(const struct cell *c, struct buf *out);
// The rows in the notation above. free() it.
char *batch_show(const struct batch *b);

#endif
