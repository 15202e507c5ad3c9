// csv_faults - the rows of a block that will be rejects, and the sentences that say why.

#ifndef COMMON_CSV_FAULTS_H
#define COMMON_CSV_FAULTS_H

#include "common/csv_read.h"

enum csv_fault_kind {
    CSV_FAULT_FIELDS, // `number` fields
    CSV_FAULT_LONG,   // field of `number` bytes
    CSV_FAULT_NUL,    // at `number` in the chunk
    CSV_FAULT_UTF8,   // at `number` in the chunk
    CSV_FAULT_OPEN,   // the quote at `number` in the chunk
    CSV_FAULT_TYPE,   // field `text` does not fit its given type
};

enum { CSV_NO_COLUMN = UINT32_MAX };

struct csv_fault {
    enum csv_fault_kind kind;
    uint32_t begin, end; // the record in the chunk, without its line end
    uint32_t column;     // of the schema; CSV_NO_COLUMN
    uint64_t number;
    struct slice text; // raw field in the chunk
};

struct csv_faults { // zero-initialised is a valid empty list
    struct csv_fault *v;
    size_t n, cap;
};

MUST_CHECK err_t csv_faults_add(struct csv_faults *f, const struct csv_fault *fault,
                                struct err *e);
void csv_faults_free(struct csv_faults *f);

struct csv_place { // of a chunk; begins with its first byte and moves with the rejects
    const uint8_t *p;
    struct csv_read_pos pos;
    uint32_t seen; // bytes whose LFs are counted
    uint64_t seen_lfs;
    uint8_t quote;
    const struct schema *schema;
};

// Appends all faults as rejects, in the order of the input, and empties the list.
MUST_CHECK err_t csv_faults_tell(struct csv_faults *f, struct csv_place *at,
                                 struct rejects *rejects, struct err *e);

#endif
