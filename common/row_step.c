#include "common/row_step.h"

#include "common/row_code.h"

// By way of the value: each sqlite3_column function takes a lock and looks for errors.
static struct cell cell_of(sqlite3_value *v)
{
    struct cell c = { .kind = CELL_NULL };
    switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER:
        c.kind = CELL_INTEGER;
        c.i = sqlite3_value_int64(v);
        break;
    case SQLITE_FLOAT:
        c.kind = CELL_REAL;
        c.r = sqlite3_value_double(v);
        break;
    case SQLITE_TEXT:
        c.kind = CELL_TEXT;
        c.p = sqlite3_value_text(v);
        c.len = (uint32_t)sqlite3_value_bytes(v);
        break;
    case SQLITE_BLOB:
        c.kind = CELL_BLOB;
        c.p = sqlite3_value_blob(v);
        c.len = (uint32_t)sqlite3_value_bytes(v);
    }
    return c;
}

err_t row_step_put(sqlite3_stmt *st, uint32_t columns, struct buf *to, struct err *e)
{
    for (uint32_t i = 0; i < columns; i++) {
        struct cell c = cell_of(sqlite3_column_value(st, (int)i));
        if (c.len && !c.p) return err_set(e, ERR_NOMEM, "out of memory");
        TRY(row_code_put(to, &c, e));
    }
    return ERR_OK;
}
