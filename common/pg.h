// pg - a connection to PostgreSQL, for the source and the warehouse of that name.
//
// It is found as users of libpq expect: a postgresql:// URL, "key=value ..." words, a
// service, or the bare name of a database; what they leave out comes from the PG* variables
// of the environment, the service file and the password file (libpq documentation, 34.1).
// No password is ever part of a sentence, a name or a digest.
//
// A connection is used by one thread at a time; pg_cancel may come from any.

#ifndef COMMON_PG_H
#define COMMON_PG_H

#include "common/err.h"

#include <libpq-fe.h>
#include <stdbool.h>

struct pg {
    PGconn *c;
    char *name;    // what may be shown: the URL without secrets
    char state[6]; // SQLSTATE of the last failure; "" when the server did not say
    int stop_fd;   // readable: waits end with ERR_CLOSED; -1: none
};

// Whether libpq can make sense of it: ERR_INVALID otherwise. Connects to nothing.
MUST_CHECK err_t pg_check(const char *conninfo, struct err *e);
// The same place as a URL without passwords: for sentences, the journal, the identity of a
// job. Equal settings give equal texts, however they were written. *out is malloced.
MUST_CHECK err_t pg_public_name(const char *conninfo, char **out, struct err *e);
// What is wanted of it; malloced, NULL in *out: it does not say. E.g. "dbname", "host".
MUST_CHECK err_t pg_setting(const char *conninfo, const char *key, char **out,
                            struct err *e);

// The same of settings that are parsed; NULL: not given, or empty. Borrowed from `all`.
const char *pg_option(const PQconninfoOption *all, const char *key);

// Connects within connect_timeout (default 10 s). The session speaks UTF-8, ISO dates in
// UTC and has no time limits; a TCP line that is dead is noticed within about a minute.
// ERR_CLOSED: the server is not there; ERR_BUSY: it is starting, stopping, or full; ERR_DB:
// it says no.
MUST_CHECK err_t pg_open(struct pg **out, const char *conninfo, int stop_fd, struct err *e);
void pg_close(struct pg **p); // what is open is rolled back by the server

// Statements without rows, separated by ';'. Waits. ERR_INVALID, here and below: a COPY,
// which ends the connection.
MUST_CHECK err_t pg_do(struct pg *p, const char *sql, struct err *e);
// One statement with its parameters $1 ... as text (NULL: NULL); *out has its rows as text
// and is the caller's to PQclear; NULL on failure. Waits.
MUST_CHECK err_t pg_query(struct pg *p, PGresult **out, const char *sql, int n,
                          const char *const *args, struct err *e);

// Sends what waits to be sent and waits until something has come in. ERR_CLOSED: stop_fd.
MUST_CHECK err_t pg_wait(struct pg *p, struct err *e);
// The next result of what was sent, NULL when there is none any more; without blocking in
// libpq, so that stop_fd is seen.
MUST_CHECK err_t pg_result(struct pg *p, PGresult **out, struct err *e);
// Asks the server to end what it does for this connection. From any thread.
void pg_cancel(const struct pg *p);

// What a failed result, or with NULL the connection, says: the server's sentence, detail
// and hint, and where in `sql` (NULL: unknown) it points to. Sets p->state. Codes:
// ERR_CLOSED (the connection is gone, the server stops), ERR_FULL, ERR_NOMEM, ERR_BUSY
// (locks, deadlocks, too many connections), ERR_TIMEOUT (cancelled), else ERR_DB.
err_t pg_fail(struct pg *p, const PGresult *r, const char *sql, struct err *e);
// The statement itself was wrong, or not allowed (SQLSTATE classes 42, 22, 0A, 2B ...).
bool pg_blames_statement(const struct pg *p);
// It writes where only reading is allowed (a read-only transaction, a standby).
bool pg_blames_writing(const struct pg *p);

// "a""b"; malloced, NULL: out of memory.
char *pg_quoted(const char *identifier);

#endif
