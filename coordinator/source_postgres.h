// source_postgres - what the files of the postgres source share; nobody else includes it.

#ifndef COORDINATOR_SOURCE_POSTGRES_H
#define COORDINATOR_SOURCE_POSTGRES_H

#include "common/pg.h"
#include "common/pg_value.h"
#include "coordinator/source_rows.h"

struct postgres_source {
    struct row_source rows;
    struct pg *pg;         // NULL once the last row is read
    char *copy;            // the statement that gives the rows
    enum pg_kind *kind;    // of each column
    bool copying, begun;   // the statement was sent; its header was read
    uint64_t planned_rows; // that the server expects
    struct buf scratch;
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

// What the server said about the user's statement.
err_t postgres_source_fail(const struct source *s, const PGresult *r, const char *sql,
                           struct err *e);

#endif
