// source_names - column names as files give them, and as tables can take them.

#ifndef COORDINATOR_SOURCE_NAMES_H
#define COORDINATOR_SOURCE_NAMES_H

#include "common/csv_read.h"
#include "common/job.h"
#include "common/types.h"

enum { COLUMN_NAME_MAX = 1024 }; // bytes

// The fields of a header record as they stand; spaces around a name are part of it.
// ERR_INVALID, ERR_TOOBIG: not UTF-8, a NUL, too long, too many; the sentence starts with
// `file`.
MUST_CHECK err_t names_read(const struct csv_value *fields, size_t n, const char *file,
                            struct strings *out, struct err *e);
// The names that the user gave, checked the same way.
MUST_CHECK err_t names_given(const struct strings *given, struct strings *out,
                             struct err *e);
// n names that are empty: column_1, column_2, ... once mended.
MUST_CHECK err_t names_none(size_t n, struct strings *out, struct err *e);

// Two files of one source must have the same names in the same order.
MUST_CHECK err_t names_equal(const struct strings *a, const char *file_a,
                             const struct strings *b, const char *file_b, struct err *e);

// Text columns with unique names: an empty name becomes column_N, one that stands further
// left (ASCII case ignored) gets _2, _3, ... and never the name of another column. `notes`
// (may be NULL) gets one line a change; `say_empty` = false: empty names are no news.
MUST_CHECK err_t names_mend(const struct strings *header, bool say_empty,
                            struct schema *out, struct strings *notes, struct err *e);

#endif
