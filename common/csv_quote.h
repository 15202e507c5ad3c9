// csv_quote - one field of CSV, in quotes when it needs them. An empty text is "", so that
// it is no NULL.

#ifndef COMMON_CSV_QUOTE_H
#define COMMON_CSV_QUOTE_H

#include "common/buf.h"

MUST_CHECK err_t csv_quote(struct buf *out, const void *text, size_t n, struct err *e);

#endif
