// csv_column - converts one column of a block of rows into a vec.

#ifndef COMMON_CSV_COLUMN_H
#define COMMON_CSV_COLUMN_H

#include "common/batch.h"
#include "common/csv_field.h"
#include "common/csv_rows.h"

struct csv_column {
    uint32_t number; // in the schema
    bool given;
    uint8_t quote;
    const struct csv_nulls *nulls;
    // Of the chunk being read:
    struct vec *vec;
    struct arena *mem; // of the batch
    size_t row_cap;    // rows that vec has room for
    size_t byte_cap;   // bytes of text that vec has room for, padding not counted
    // Kept from chunk to chunk:
    struct misfit *misfit;
    uint32_t n_misfits, misfit_cap;
};

struct csv_block_rows { // a block of rows on its way into the batch
    struct csv_grid grid;
    uint32_t base;  // row of the batch that the block's first row becomes
    uint64_t *dead; // bit r: row r of the block does not fit a given type
    uint32_t n_dead;
    uint32_t *scratch; // room for two entries a row
    struct csv_faults *faults;
};

void csv_column_start(struct csv_column *c, struct vec *v, struct arena *mem);
// Adds the block's values at row `base`. Rows whose value does not fit a given type get a
// fault and their `dead` bit.
MUST_CHECK err_t csv_column_add(struct csv_column *c, struct csv_block_rows *b,
                                struct err *e);
void csv_column_squeeze(struct csv_column *c, const struct csv_block_rows *b); // the dead
MUST_CHECK err_t csv_column_finish(struct csv_column *c, struct err *e);
void csv_column_close(struct csv_column *c);

#endif
