// csv_rows - cuts a chunk into blocks of rows that have as many fields as the schema, and
// says where each field stands. Rows that do not come out as faults; blank lines are
// counted.

#ifndef COMMON_CSV_ROWS_H
#define COMMON_CSV_ROWS_H

#include "common/csv_faults.h"
#include "common/csv_simd.h"

// Field j of row r is the bytes from p + at[r * stride + j] + 1 (modulo 2^32: -1 stands
// before the chunk) up to p + at[r * stride + j + 1], CR before the line end included.
struct csv_grid {
    const uint8_t *p;
    const uint32_t *at;
    size_t stride;
    uint32_t rows, n_cols;
    uint32_t size; // bytes of the chunk: a row that ends there has no line end
};

static inline uint32_t csv_grid_begin(const struct csv_grid *g, uint32_t row, uint32_t col)
{
    return g->at[row * g->stride + col] + 1;
}

// Where column `col` ends, the CR of a CR LF taken off.
static inline uint32_t csv_grid_end(const struct csv_grid *g, uint32_t row, uint32_t col)
{
    uint32_t end = g->at[row * g->stride + col + 1];
    bool cr = col + 1 == g->n_cols && end < g->size && end != csv_grid_begin(g, row, col) &&
              g->p[end - 1] == '\r';
    return end - cr;
}

struct csv_rows {
    uint32_t n_cols;
    uint32_t *at;     // [0]: the byte before the first record; then the index
    uint32_t *picked; // the index of the good rows of a block that is not all good
    size_t full;
    const struct csv_dialect *dialect;

    const uint8_t *p;
    size_t n, scanned;
    struct csv_scan scan;
    struct csv_index index; // into at + 1
    size_t used;            // entries that the last block used up
    uint64_t lost;          // entries dropped from a record that is larger than the index
    bool tail;              // the last entry is the end of the chunk, not a line end
    uint64_t blank;         // lines skipped
};

// `d` is borrowed.
MUST_CHECK err_t csv_rows_init(struct csv_rows *r, const struct csv_dialect *d,
                               uint32_t n_cols, struct err *e);
void csv_rows_close(struct csv_rows *r);
uint32_t csv_rows_max(const struct csv_rows *r); // rows that a grid may have

void csv_rows_start(struct csv_rows *r, const uint8_t *p, size_t n);
// The next block (perhaps of no rows); false at the end. The grid is good until the next
// call.
MUST_CHECK err_t csv_rows_next(struct csv_rows *r, struct csv_grid *g, bool *more,
                               struct csv_faults *faults, struct err *e);

#endif
