// libpq, loaded when a job first names PostgreSQL: with all that it needs itself it would
// make every start of the program 3 ms longer. Its functions are defined here under their
// own names; each calls the one that was loaded.

#include "common/pg_lib.h"

#include <assert.h>
#include <dlfcn.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

// F(result, name, parameters, arguments): what the project calls of libpq, and nothing
// else.
#define FUNCTIONS(F)                                                                    \
    F(int, PQcancel, (PGcancel * c, char *why, int n), (c, why, n))                     \
    F(void, PQclear, (PGresult * r), (r))                                               \
    F(char *, PQcmdStatus, (PGresult * r), (r))                                         \
    F(char *, PQcmdTuples, (PGresult * r), (r))                                         \
    F(PostgresPollingStatusType, PQconnectPoll, (PGconn * c), (c))                      \
    F(PGconn *, PQconnectStartParams,                                                   \
      (const char *const *keys, const char *const *values, int expand),                 \
      (keys, values, expand))                                                           \
    F(int, PQconnectionNeedsPassword, (const PGconn *c), (c))                           \
    F(PQconninfoOption *, PQconninfo, (PGconn * c), (c))                                \
    F(void, PQconninfoFree, (PQconninfoOption * o), (o))                                \
    F(PQconninfoOption *, PQconninfoParse, (const char *text, char **why), (text, why)) \
    F(int, PQconsumeInput, (PGconn * c), (c))                                           \
    F(char *, PQerrorMessage, (const PGconn *c), (c))                                   \
    F(char *, PQescapeLiteral, (PGconn * c, const char *p, size_t n), (c, p, n))        \
    F(PGresult *, PQexec, (PGconn * c, const char *sql), (c, sql))                      \
    F(PGresult *, PQexecParams,                                                         \
      (PGconn * c, const char *sql, int n, const Oid *types, const char *const *values, \
       const int *lengths, const int *formats, int format),                             \
      (c, sql, n, types, values, lengths, formats, format))                             \
    F(void, PQfinish, (PGconn * c), (c))                                                \
    F(int, PQflush, (PGconn * c), (c))                                                  \
    F(int, PQfmod, (const PGresult *r, int column), (r, column))                        \
    F(char *, PQfname, (const PGresult *r, int column), (r, column))                    \
    F(void, PQfreeCancel, (PGcancel * c), (c))                                          \
    F(void, PQfreemem, (void *p), (p))                                                  \
    F(Oid, PQftype, (const PGresult *r, int column), (r, column))                       \
    F(PGcancel *, PQgetCancel, (PGconn * c), (c))                                       \
    F(int, PQgetCopyData, (PGconn * c, char **out, int async), (c, out, async))         \
    F(PGresult *, PQgetResult, (PGconn * c), (c))                                       \
    F(int, PQgetisnull, (const PGresult *r, int row, int column), (r, row, column))     \
    F(int, PQgetlength, (const PGresult *r, int row, int column), (r, row, column))     \
    F(char *, PQgetvalue, (const PGresult *r, int row, int column), (r, row, column))   \
    F(int, PQisBusy, (PGconn * c), (c))                                                 \
    F(int, PQnfields, (const PGresult *r), (r))                                         \
    F(int, PQnparams, (const PGresult *r), (r))                                         \
    F(int, PQntuples, (const PGresult *r), (r))                                         \
    F(Oid, PQparamtype, (const PGresult *r, int i), (r, i))                             \
    F(PGresult *, PQprepare,                                                            \
      (PGconn * c, const char *name, const char *sql, int n, const Oid *types),         \
      (c, name, sql, n, types))                                                         \
    F(int, PQputCopyData, (PGconn * c, const char *p, int n), (c, p, n))                \
    F(int, PQputCopyEnd, (PGconn * c, const char *why), (c, why))                       \
    F(char *, PQresultErrorField, (const PGresult *r, int field), (r, field))           \
    F(char *, PQresultErrorMessage, (const PGresult *r), (r))                           \
    F(ExecStatusType, PQresultStatus, (const PGresult *r), (r))                         \
    F(int, PQsendDescribePrepared, (PGconn * c, const char *name), (c, name))           \
    F(int, PQsendPrepare,                                                               \
      (PGconn * c, const char *name, const char *sql, int n, const Oid *types),         \
      (c, name, sql, n, types))                                                         \
    F(int, PQsendQuery, (PGconn * c, const char *sql), (c, sql))                        \
    F(int, PQsendQueryParams,                                                           \
      (PGconn * c, const char *sql, int n, const Oid *types, const char *const *values, \
       const int *lengths, const int *formats, int format),                             \
      (c, sql, n, types, values, lengths, formats, format))                             \
    F(PGVerbosity, PQsetErrorVerbosity, (PGconn * c, PGVerbosity v), (c, v))            \
    F(PQnoticeReceiver, PQsetNoticeReceiver,                                            \
      (PGconn * c, PQnoticeReceiver receiver, void *arg), (c, receiver, arg))           \
    F(int, PQsocket, (const PGconn *c), (c))                                            \
    F(ConnStatusType, PQstatus, (const PGconn *c), (c))                                 \
    F(PGTransactionStatusType, PQtransactionStatus, (const PGconn *c), (c))             \
    F(unsigned char *, PQunescapeBytea, (const unsigned char *text, size_t *n), (text, n))

enum at {
#define NUMBER(result, name, parameters, arguments) AT_##name,
    FUNCTIONS(NUMBER) N_FUNCTIONS
};

static const char *const names[] = {
#define NAME(result, name, parameters, arguments) #name,
    FUNCTIONS(NAME)
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void *function[N_FUNCTIONS];
static bool loaded;

static void load(void)
{
    void *lib = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
    loaded = lib != NULL;
    for (int i = 0; loaded && i < N_FUNCTIONS; i++) {
        function[i] = dlsym(lib, names[i]);
        loaded = function[i] != NULL;
    }
}

err_t pg_lib_load(struct err *e)
{
    pthread_once(&once, load);
    return loaded ? ERR_OK
                  : err_set(e, ERR_IO,
                            "PostgreSQL is spoken to with libpq.so.5, which is not here: "
                            "install libpq5");
}

static void *at(enum at i)
{
    pthread_once(&once, load);
    assert(loaded); // whoever calls it has a connection, or has looked at the name of one
    return function[i];
}

#define DEFINE(result, name, parameters, arguments) \
    result name parameters                          \
    {                                               \
        result(*f) parameters = at(AT_##name);      \
        return f arguments;                         \
    }
FUNCTIONS(DEFINE)
