// source_sqlite - what the files of the sqlite source share; nobody else includes it.

#ifndef COORDINATOR_SOURCE_SQLITE_H
#define COORDINATOR_SOURCE_SQLITE_H

#include "coordinator/source_rows.h"

#include <sqlite3.h>

struct by_rowid; // source_table.c
struct aside;    // source_aside.c

struct sqlite_source {
    struct row_source rows;
    sqlite3 *db;
    sqlite3_stmt *st;
    struct by_rowid *table; // NULL: rows are numbered as they come
    const char *why_not;    // a whole table is not read by rowids, static; NULL: it is
    struct hash128 proof;   // of the state that is read
    bool also_loaded;       // the job loads into this very file
    struct aside *aside;    // NULL: rows come from the database
};

// What SQLite said, as a sentence.
err_t sqlite_source_fail(const struct source *s, int rc, struct err *e);
MUST_CHECK err_t sqlite_source_open(struct source *s, const struct job *j, struct err *e);
void sqlite_source_close(struct source *s);
MUST_CHECK err_t sqlite_source_names(struct source *s, struct schema *names_as_text,
                                     struct strings *notes, struct err *e);
// Steps a little, keeps what it saw as `head`, and settles the types that are not given.
MUST_CHECK err_t sqlite_source_infer(struct source *s, const struct job *j,
                                     struct schema *out, struct buf *trial,
                                     uint64_t *estimate_rows, struct err *e);
// Steps once, and appends the row. *got = false: there is none any more.
MUST_CHECK err_t sqlite_source_step(const struct source *s, struct buf *to, bool *got,
                                    struct err *e);

// ---- source_aside.c ----

// If the job loads into this file: puts all rows aside and closes the database.
MUST_CHECK err_t source_aside_put(struct source *s, struct err *e);
void source_aside_close(struct aside *a);

// ---- source_table.c: by rowids ----

// In the read transaction. Sets s->own's table if every row has a rowid that can be a
// position, or why_not.
MUST_CHECK err_t source_table_open(struct source *s, const char *name, struct err *e);
const char *source_table_query(const struct by_rowid *t); // what gives the rows of a range
// The source is a table indeed: its statement stands. Takes over what is done with chunks.
MUST_CHECK err_t source_table_begin(struct source *s, struct err *e);
// So many rows were sampled from its beginning. How many it has, about.
uint64_t source_table_sampled(struct source *s, uint64_t rows);
void source_table_close(struct by_rowid *t);

#endif
