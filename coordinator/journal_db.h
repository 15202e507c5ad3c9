// journal_db - opens runs.db: hardened, its tables there, a damaged one moved aside.

#ifndef COORDINATOR_JOURNAL_DB_H
#define COORDINATOR_JOURNAL_DB_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

struct sqlite3;

// DIR exists. A file that is damaged or belongs to something else is renamed to
// runs.db.damaged-TIME and `note` says so; a new one takes its place. ERR_DB: a newer
// program wrote it. With create = false a missing file gives ERR_OK and *db = NULL, and a
// damaged one ERR_DB.
MUST_CHECK err_t journal_db_open(struct sqlite3 **db, const char *dir, bool create,
                                 char *note, size_t note_size, struct err *e);
// Translates the connection's last error: ERR_FULL, ERR_BUSY, ERR_NOMEM, ERR_IO or ERR_DB.
err_t journal_db_fail(struct sqlite3 *db, struct err *e);
MUST_CHECK err_t journal_db_exec(struct sqlite3 *db, const char *sql, struct err *e);

#endif
