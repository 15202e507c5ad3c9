// past_impl - what the files of past share. Nobody else includes it.

#ifndef COORDINATOR_PAST_IMPL_H
#define COORDINATOR_PAST_IMPL_H

#include "coordinator/past.h"

#include <sqlite3.h>

struct past_value { // text, or a number when that is NULL
    const char *text;
    int64_t n;
};
#define PAST_TEXT(s)   ((struct past_value){ (s), 0 })
#define PAST_NUMBER(x) ((struct past_value){ NULL, (int64_t)(x) })

// Prepares and binds. ERR_OK with *q = NULL: a table or column is not there, because an
// older program wrote the file.
MUST_CHECK err_t past_ask(sqlite3 *db, sqlite3_stmt **q, const char *sql,
                          const struct past_value *v, int n, struct err *e);
// A row; at the end, or without a statement, false, and *rc says how it ended.
bool past_next(sqlite3_stmt *q, err_t *rc, struct err *e);
const char *past_text(struct past *p, sqlite3_stmt *q, int column); // "" for NULL
static inline uint64_t past_u64(sqlite3_stmt *q, int column)
{
    int64_t n = sqlite3_column_int64(q, column);
    return n > 0 ? (uint64_t)n : 0;
}
// Opens a warehouse to read it: hardened, without views, and nothing waits for long. What
// SQLite returns; *db is to be closed in any case.
MUST_CHECK int past_database(const char *path, sqlite3 **db);
// Room for one more of size bytes in an array of the arena; NULL: no memory.
void *past_grow(struct past *p, void **v, uint32_t n, size_t size);
MUST_CHECK err_t past_count(sqlite3 *db, const char *sql, const struct past_value *v, int n,
                            uint64_t *out,
                            struct err *e); // column 0 of the first row, or 0
// Of the warehouse, only to read. NULL: *why says why not.
sqlite3 *past_open_ledger(struct past *p, const char **why);
// What to say of an error in it: that it took too long, or the sentence.
const char *past_ledger_trouble(struct past *p, sqlite3 *db, const struct err *e);

#endif
