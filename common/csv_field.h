// csv_field - one field as it stands in the file: whether it is NULL, and what it says
// without its quotes.

#ifndef COMMON_CSV_FIELD_H
#define COMMON_CSV_FIELD_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/csv.h"
#include "common/err.h"

#include <string.h>

struct csv_nulls {   // see csv_dialect.nulls
    struct slice *v; // owned; the unquoted empty field is not among them
    size_t n;
    uint64_t lengths; // bit min(length, 63): some null string is that long
    bool digits;      // some null string has a digit: numbers may be NULL
};

MUST_CHECK err_t csv_nulls_init(struct csv_nulls *nulls, const struct csv_dialect *d,
                                struct err *e);
void csv_nulls_close(struct csv_nulls *nulls);

bool csv_nulls_match(const struct csv_nulls *nulls, const uint8_t *p, size_t n);

// Whether the unquoted field p is NULL.
static inline bool csv_is_null(const struct csv_nulls *nulls, const uint8_t *p, size_t n)
{
    if (!(nulls->lengths >> (n < 63 ? n : 63) & 1)) return false;
    return n == 0 || csv_nulls_match(nulls, p, n);
}

static inline bool csv_is_quoted(uint8_t quote, const uint8_t *p, size_t n)
{
    return n && quote && *p == quote;
}

// What a quoted field says, written to `out` (room for n bytes); returns its length, < n.
size_t csv_unquote(uint8_t quote, const uint8_t *p, size_t n, uint8_t *out);

// The same without writing, when the text is one piece of the field: "abc" but not "a""b".
bool csv_peek_quoted(uint8_t quote, const uint8_t *p, size_t n, struct slice *out);

#endif
