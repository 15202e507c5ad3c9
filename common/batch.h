// batch - typed columns in memory, in Apache Arrow's layout where Arrow has one
// (arrow.apache.org/docs/format/Columnar.html): validity bitmap, little-endian
// values, uint32 offsets and bytes for text.

#ifndef COMMON_BATCH_H
#define COMMON_BATCH_H

#include "common/arena.h"
#include "common/err.h"
#include "common/types.h"

#include <stdbool.h>
#include <stdint.h>

enum cell_kind { CELL_NULL, CELL_INTEGER, CELL_REAL, CELL_TEXT, CELL_BLOB };

struct cell {      // one value of an ANY column
    uint32_t kind; // enum cell_kind
    uint32_t len;  // bytes of TEXT and BLOB
    union {
        int64_t i;
        double r;
        const uint8_t *p;
    };
};

// A value that does not fit its column's inferred type and is kept as the text it was.
struct misfit {
    uint32_t row;
    uint32_t len;
    const uint8_t *p;
};

struct vec { // one column of a batch
    enum type type;
    bool absent;     // nobody asked for it: no pointer below is set
    uint64_t *valid; // bit r%64 of word r/64: 1 value, 0 NULL; not used by ANY
    union {
        int64_t *i64;     // INTEGER, BOOLEAN
        double *f64;      // REAL; always finite
        uint32_t *off;    // TEXT, DATE, TIMESTAMP: rows + 1 offsets into bytes, off[0] = 0
        struct cell *any; // ANY
    };
    uint8_t *bytes;        // text; readable 16 bytes past the last
    struct misfit *misfit; // ascending row; their valid bit is 1, their value 0
    uint32_t n_misfits;
};

// A batch owns its arena; every pointer in it points there, or into the chunk that the
// batch was parsed from (misfits, cells), which must outlive it.
struct batch {
    struct arena mem;
    uint32_t rows;
    uint32_t n_cols;
    struct vec *col; // in the arena
};

static inline bool vec_valid(const struct vec *v, uint32_t row)
{
    return v->valid[row / 64] >> (row % 64) & 1;
}

// The misfit that stands in this row; NULL: the row has a value of the column's type, or
// none.
const struct misfit *vec_misfit(const struct vec *v, uint32_t row);

// One value of a column that is not absent, whatever the column's type; text and blobs are
// borrowed. Booleans are the integers 0 and 1.
static inline struct cell vec_cell(const struct vec *v, uint32_t row)
{
    if (v->type == TYPE_ANY) return v->any[row];
    if (!vec_valid(v, row)) return (struct cell){ .kind = CELL_NULL };
    if (v->n_misfits) {
        const struct misfit *m = vec_misfit(v, row);
        if (m) return (struct cell){ .kind = CELL_TEXT, .len = m->len, .p = m->p };
    }
    if (v->type == TYPE_REAL) return (struct cell){ .kind = CELL_REAL, .r = v->f64[row] };
    if (!type_is_text(v->type))
        return (struct cell){ .kind = CELL_INTEGER, .i = v->i64[row] };
    return (struct cell){ .kind = CELL_TEXT,
                          .len = v->off[row + 1] - v->off[row],
                          .p = v->bytes + v->off[row] };
}

static inline uint32_t batch_words(uint32_t rows) // words of a validity bitmap
{
    return rows / 64 + 1;
}

// Empties the batch and gives it n_cols columns of the schema's types, without values.
MUST_CHECK err_t batch_start(struct batch *b, const struct schema *s, struct err *e);
void batch_free(struct batch *b); // leaves a valid empty batch

#endif
