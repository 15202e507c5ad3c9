#include "worker/xf_sql.h"

err_t xf_sql_tables_load(sqlite3 *db, const struct spec *spec, struct buf *names,
                         struct err *e)
{
    (void)db;
    (void)names;
    if (spec->n_tables) return err_set(e, ERR_TRANSFORM, "lookup tables are not read yet");
    return ERR_OK;
}
