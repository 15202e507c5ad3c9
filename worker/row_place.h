// row_place - where in the input the rows of a batch come from, for those that are rejected
// after they were read. Slow: the chunk is walked once more, which rejected rows are worth.

#ifndef WORKER_ROW_PLACE_H
#define WORKER_ROW_PLACE_H

#include "worker/reader.h"

struct row_place {
    uint64_t line, byte; // as in struct reject
    struct slice raw;    // borrowed from the chunk, or from the walk until its next row
};

struct row_places; // a walk over the records of a chunk that became rows

// `read` is what the reader rejected of this chunk. Everything is borrowed.
MUST_CHECK err_t row_places_new(struct row_places **out, const struct spec *spec,
                                const struct reader_chunk *c, struct slice read,
                                struct err *e);
void row_places_free(struct row_places **w);
// Of the row with this number, not less than that of the last call. ERR_PROTO: the chunk
// has no such row.
MUST_CHECK err_t row_places_find(struct row_places *w, uint32_t row, struct row_place *out,
                                 struct err *e);

#endif
