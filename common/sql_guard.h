// sql_guard - runs SQL that somebody else wrote without letting it out of the rows it is
// for.
//
// A default-deny authorizer (SELECT, reads of ordinary tables, a list of functions; nothing
// else), SQLite's own switches and limits, and a connection without a clock. The list of
// dangers is that of sqlite.org/security.html and
// sqlite.org/c3ref/c_dbconfig_defensive.html.
//
// Two uses:
//   transforms  sql_guard_open, then tables and modules are made, then
//   sql_guard_close_doors:
//               from then on every statement prepared on the connection is judged.
//   params      sql_guard_read_only(db, true) on a warehouse connection, sql_guard_prepare,
//               step, finalize, sql_guard_read_only(db, false).

#ifndef COMMON_SQL_GUARD_H
#define COMMON_SQL_GUARD_H

#include "common/clock.h"
#include "common/err.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

// Asked for every column that a statement reads; column "" when a table is named but no
// column of it is read. The table may then be a common table expression. NULL: allowed;
// otherwise what is refused, e.g. "rowid of batch".
typedef const char *sql_guard_read(void *arg, const char *table, const char *column);

struct sql_guard {        // must outlive the connection; everything zero is a valid guard
    sql_guard_read *read; // NULL: every table except SQLite's own
    void *arg;
    const char *own_function; // one more function allowed; may be set between statements
    uint64_t heap_bytes;      // hard limit of SQLite's heap, for the whole process; 0: none
    bool clock;               // CURRENT_TIMESTAMP and its like are allowed
};

// Switches off what no connection of ours needs: extensions, the fts3 tokenizer hole, text
// in double quotes, trust in functions named by a schema; sets defensive mode.
MUST_CHECK err_t sql_guard_harden(sqlite3 *db, struct err *e);

// A hardened in-memory connection, for one thread, that keeps everything in memory and has
// no clock: see sql_guard_clock_asked. Turns local time off for the whole process, because
// it depends on the host ('localtime' and 'utc' fail with "local time unavailable").
// *db is NULL on failure.
MUST_CHECK err_t sql_guard_open(sqlite3 **db, struct err *e);

// Limits, module list (json_each, json_tree and `keep`, NULL: none) and authorizer.
MUST_CHECK err_t sql_guard_close_doors(struct sql_guard *g, sqlite3 *db, const char *keep,
                                       struct err *e);

// The authorizer alone: SELECT from ordinary tables and views, the functions of the list,
// dates with their clock. Statements prepared before are not touched.
void sql_guard_read_only(sqlite3 *db, bool on);

// The same with a guard of the caller's own; NULL: off.
void sql_guard_judge(sqlite3 *db, struct sql_guard *g);

// Prepares exactly one statement that returns rows. `code` is what a mistake in the SQL is
// reported as; the sentence has the position, and what is not allowed by its name:
// "line 1, column 8: no such column: delai", "not allowed in a transform: ATTACH".
// `where` is that "a transform". ERR_NOMEM is possible too.
MUST_CHECK err_t sql_guard_prepare(sqlite3 *db, const char *sql, const char *where,
                                   err_t code, sqlite3_stmt **out, struct err *e);

// Whether a statement of this thread asked what time it is on a connection of
// sql_guard_open since the last call. It was answered with an error, which SQLite's date
// functions turn into NULL: whoever steps the statement must look here.
bool sql_guard_clock_asked(void);

// Interrupts statements on db past *deadline (clock_ns). `deadline` must outlive the
// connection or the next call; NULL: never. The statement then fails with SQLITE_INTERRUPT.
void sql_guard_deadline(sqlite3 *db, const ns_t *deadline);

#endif
