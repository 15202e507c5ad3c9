// vec_build - fills one column of a batch row by row, from texts: for readers whose input
// does not come in columns. What fits a type is what csv_read.h says.
//
// A row is put at its number, and may be put again: whoever gives rows up starts the next
// one at the number of the first of them.

#ifndef COMMON_VEC_BUILD_H
#define COMMON_VEC_BUILD_H

#include "common/batch.h"

struct vec_build { // zero-initialised is a valid one without a column
    enum type type;
    bool given;
    struct vec *vec;
    struct arena *mem; // of the batch
    size_t byte_cap;   // of text, padding not counted
    uint32_t n_misfits, misfit_cap;
    struct misfit *misfit; // kept from batch to batch
};

// The column has room for `rows_most` rows. Field, vec and arena are borrowed until finish.
MUST_CHECK err_t vec_build_start(struct vec_build *b, const struct field *f, struct vec *v,
                                 struct arena *mem, uint32_t rows_most, struct err *e);
// Room for more, when the column has `rows` that are to be kept.
MUST_CHECK err_t vec_build_grow(struct vec_build *b, uint32_t rows, uint32_t rows_most,
                                struct err *e);
void vec_build_null(struct vec_build *b, uint32_t row);
// *fits = false: the type was given, and the text does not fit it. Where the type was not
// given, such a text becomes a misfit; it must outlive the batch then.
MUST_CHECK err_t vec_build_text(struct vec_build *b, uint32_t row, const uint8_t *p,
                                size_t n, bool *fits, struct err *e);
// The same for a text that must not be taken for a number, whatever it looks like.
MUST_CHECK err_t vec_build_words(struct vec_build *b, uint32_t row, const uint8_t *p,
                                 size_t n, bool *fits, struct err *e);
MUST_CHECK err_t vec_build_finish(struct vec_build *b, uint32_t rows, struct err *e);
void vec_build_close(struct vec_build *b);

#endif
