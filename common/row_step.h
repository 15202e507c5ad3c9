// row_step - a row that a statement of SQLite stands on, encoded as row_code.

#ifndef COMMON_ROW_STEP_H
#define COMMON_ROW_STEP_H

#include "common/buf.h"

#include <sqlite3.h>

// Appends the statement's first `columns` values. Only for a statement that no other thread
// touches meanwhile. ERR_NOMEM.
MUST_CHECK err_t row_step_put(sqlite3_stmt *st, uint32_t columns, struct buf *to,
                              struct err *e);

#endif
