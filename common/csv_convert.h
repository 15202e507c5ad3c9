// csv_convert - fields to values, for all rows of a block at once. The vec has room for
// them.

#ifndef COMMON_CSV_CONVERT_H
#define COMMON_CSV_CONVERT_H

#include "common/csv_column.h"

enum { CSV_TEXT_PAD = 16 }; // text is copied in pieces of this size: padding behind it

struct csv_view { // where the fields of one column stand: like csv_grid, without the CR
    const uint8_t *p;
    const uint32_t *at;
    size_t stride;
};

static inline struct slice csv_view_field(const struct csv_view *v, uint32_t row)
{
    const uint32_t *at = v->at + row * v->stride;
    uint32_t begin = at[0] + 1;
    return (struct slice){ v->p + begin, at[1] - begin };
}

MUST_CHECK err_t csv_convert_numbers(struct csv_column *c, struct csv_block_rows *b,
                                     const struct csv_view *v, struct err *e);
void csv_convert_texts(struct csv_column *c, const struct csv_block_rows *b,
                       const struct csv_view *v);
MUST_CHECK err_t csv_convert_moments(struct csv_column *c, struct csv_block_rows *b,
                                     const struct csv_view *v, struct err *e);

#endif
