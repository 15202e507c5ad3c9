// reader - how the bytes of a chunk become a batch: the worker half of a source.
//
// A reader is opened once a job and reads many chunks, one at a time. It knows nothing of
// files: the runner has the bytes, and has checked their digest.

#ifndef WORKER_READER_H
#define WORKER_READER_H

#include "common/batch.h"
#include "common/rejects.h"
#include "proto/spec.h"

struct reader_chunk {
    const uint8_t *bytes; // CSV_PAD bytes before them and past bytes + n are readable
    size_t n;             // < 4 GiB; 0: the chunk is nothing but its range
    uint64_t begin, end;  // in the input: byte offsets, or numbers of rows
    uint64_t first_line;  // physical line of the first byte, from 1; 0: it has no lines
    uint32_t rows;        // encoded rows in it, if that is known; 0: it is not
};

struct reader_stats { // of one chunk
    uint64_t rows;    // records: parsed + rejected
    uint64_t parsed;  // ... that became rows; of JSON lines by a list, any number of them
    uint64_t rejected;
    uint64_t blank;   // records that are no rows: blank lines of a CSV file
    uint64_t misfits; // values kept as text
};

struct reader_ops {
    const char *name; // as the spec says it: "csv"
    // want[i] (spec->in.n entries; NULL: all) says which columns are asked for. Spec and
    // want are copied. ERR_INVALID: the spec makes no sense to this reader.
    MUST_CHECK err_t (*open)(void **state, const struct spec *spec, const bool *want,
                             struct err *e);
    // Starts `out` anew, with the columns of spec->in; unwanted ones stay absent, and any
    // may be ANY, whatever the schema says. Rows that
    // break the rules are appended to `rejects`, in the order of the input. The batch may
    // point into the chunk. Errors: ERR_NOMEM, ERR_TOOBIG; ERR_PROTO: the bytes are not
    // what the coordinator's half writes.
    MUST_CHECK err_t (*read)(void *state, const struct reader_chunk *c, struct batch *out,
                             struct rejects *rejects, struct reader_stats *stats,
                             struct err *e);
    void (*close)(void **state); // copes with NULL
};

extern const struct reader_ops reader_csv;
extern const struct reader_ops reader_lines;
extern const struct reader_ops reader_jsonl;
extern const struct reader_ops reader_range;
extern const struct reader_ops reader_rows;

const struct reader_ops *reader_find(const char *name); // NULL: none; "" is csv

#endif
