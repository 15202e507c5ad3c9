// source_postgres - what the files of the postgres source share; nobody else includes it.

#ifndef COORDINATOR_SOURCE_POSTGRES_H
#define COORDINATOR_SOURCE_POSTGRES_H

#include "common/pg.h"
#include "common/pg_value.h"
#include "coordinator/source_rows.h"

struct pg_rows { // what one connection copies out; used by one thread at a time
    struct pg *pg;
    const char *name;         // of the source, for sentences
    const enum pg_kind *kind; // of each column
    uint32_t n_cols;
    bool begun; // the header was read
    struct buf scratch;
};

struct postgres_source {
    struct row_source rows;
    struct pg *pg;                  // the transaction's; NULL once the last row is read
    char *table;                    // as the server writes it; NULL: a query
    struct postgres_table *by_ctid; // NULL: one connection copies it all
    char *one_only;        // why so few connections read the table; NULL: nothing to say
    char *copy;            // the statement that gives the rows
    enum pg_kind *kind;    // of each column
    struct pg_rows all;    // begun with the first row
    uint64_t planned_rows; // that the server expects
};

// ---- source_postgres_query.c: texts of statements, no connection ----

struct pg_query_text {
    char *sql; // malloced: `$1` stands where :watermark was, nothing behind the statement
    bool watermark;
};
// ERR_INVALID: it is no SELECT, VALUES, TABLE or WITH. Columns stay where they are.
MUST_CHECK err_t postgres_query_read(const char *query, struct pg_query_text *out,
                                     struct err *e);
// The query with the literal (NULL: none) for $1; malloced.
MUST_CHECK err_t postgres_query_bind(const char *sql, const char *literal, char **out,
                                     struct err *e);
// Any statement with texts[i] for each :names[i], and spaces behind it where it is shorter,
// so that what follows stands where it stood; malloced.
MUST_CHECK err_t postgres_query_params(const char *sql, const char *const *names,
                                       const char *const *texts, size_t n, char **out,
                                       struct err *e);
// COPY of a query whose n columns have these kinds; malloced.
MUST_CHECK err_t postgres_query_copy(const char *sql, const enum pg_kind *kind, uint32_t n,
                                     char **out, struct err *e);

// ---- source_postgres_rows.c ----

// Appends the next row as row_code.
MUST_CHECK err_t postgres_step(const struct source *s, struct buf *to, bool *got,
                               struct err *e);
MUST_CHECK err_t postgres_infer(struct source *s, const struct job *j, struct schema *out,
                                struct buf *trial, uint64_t *estimate_rows, struct err *e);

// One statement COPY ... TO STDOUT (FORMAT binary), and its rows as row_code. *got = false:
// there are no more, and the connection is free for the next statement.
MUST_CHECK err_t postgres_rows_begin(struct pg_rows *r, const char *copy, struct err *e);
MUST_CHECK err_t postgres_rows_next(struct pg_rows *r, struct buf *to, bool *got,
                                    struct err *e);

// What the server said about the user's statement.
err_t postgres_source_fail(struct pg *pg, const PGresult *r, const char *sql,
                           struct err *e);

// ---- source_postgres_table.c: a table by ranges of its ctids, several connections ----

// Once the table is prepared, and so locked against being altered. Where ranges cannot be
// read, or are not worth it, x->by_ctid stays NULL; x->one_only says why, if it needs to be
// said. All connections see the state that the transaction of x->pg sees.
MUST_CHECK err_t postgres_table_open(struct source *s, const char *conninfo, struct err *e);
// As postgres_step: rows in the order of their ctids. Readers go ahead by a bounded number
// of bytes.
MUST_CHECK err_t postgres_table_step(const struct source *s, struct buf *to, bool *got,
                                     struct err *e);
void postgres_table_close(struct source *s); // ends what still reads

#endif
