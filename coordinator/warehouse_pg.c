// The connection to a PostgreSQL warehouse: opened, lost, opened again.

#include "coordinator/warehouse_pg.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { VERSION_MIN = 130000 }; // pg_current_xact_id()

void wpg_give_up(struct warehouse *w)
{
    pg_close(&w->pg);
}

// ---- errors

err_t wpg_fail(struct warehouse *w, err_t rc, struct err *e, const char *doing)
{
    switch (rc) {
    case ERR_CLOSED:
        wpg_give_up(w);
        err_wrap(e, ERR_BUSY, "the connection was lost while %s", doing);
        return ERR_BUSY;
    case ERR_BUSY:
    case ERR_TIMEOUT:
    case ERR_NOMEM: err_wrap(e, ERR_BUSY, "%s has to wait", doing); return ERR_BUSY;
    case ERR_FULL: return ERR_FULL;
    case ERR_DB:
        if (w->pg && strcmp(w->pg->state, "42501") == 0) {
            err_wrap(e, ERR_INVALID, "%s is not allowed", doing);
            return ERR_INVALID;
        }
        break;
    default: break;
    }
    err_wrap(e, rc, "%s failed", doing);
    return rc;
}

// ---- statements

static err_t lost(struct warehouse *w, struct err *e)
{
    return err_set(e, ERR_BUSY, "%s: the connection is lost", w->shown);
}

err_t wpg_do(struct warehouse *w, struct err *e, const char *doing, const char *fmt, ...)
{
    char *sql = NULL;
    va_list ap;
    if (!w->pg) return lost(w, e);
    va_start(ap, fmt);
    int n = vasprintf(&sql, fmt, ap);
    va_end(ap);
    if (n < 0) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = pg_do(w->pg, sql, e);
    free(sql);
    return rc == ERR_OK ? ERR_OK : wpg_fail(w, rc, e, doing);
}

err_t wpg_query(struct warehouse *w, PGresult **out, struct err *e, const char *doing,
                const char *sql, int n, const char *const *values)
{
    *out = NULL;
    if (!w->pg) return lost(w, e);
    err_t rc = pg_query(w->pg, out, sql, n, values, e);
    return rc == ERR_OK ? ERR_OK : wpg_fail(w, rc, e, doing);
}

const char *wpg_cell(const PGresult *r, int row, int column)
{
    return PQgetisnull(r, row, column) ? NULL : PQgetvalue(r, row, column);
}

uint64_t wpg_u64(const PGresult *r, int row, int column)
{
    return strtoull(PQgetvalue(r, row, column), NULL, 10);
}

err_t wpg_int(struct warehouse *w, struct err *e, int64_t *out, bool *found,
              const char *sql, int n, const char *const *values)
{
    PGresult *r;
    TRY(wpg_query(w, &r, e, "reading", sql, n, values));
    *found = PQntuples(r) > 0 && !PQgetisnull(r, 0, 0);
    *out = *found ? (int64_t)strtoll(PQgetvalue(r, 0, 0), NULL, 10) : 0;
    PQclear(r);
    return ERR_OK;
}

const char *wpg_number(struct wpg_number *room, int64_t v)
{
    snprintf(room->text, sizeof room->text, "%" PRId64, v);
    return room->text;
}

// ---- transactions

err_t wpg_txn_begin(struct warehouse *w, struct err *e)
{
    w->xact[0] = 0;
    return wpg_do(w, e, "starting a transaction",
                  "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
                  "SET CONSTRAINTS ALL IMMEDIATE"); // COMMIT is no place to refuse a row
}

void wpg_txn_rollback(struct warehouse *w)
{
    if (!w->pg || PQtransactionStatus(w->pg->c) == PQTRANS_IDLE) return;
    if (pg_do(w->pg, "ROLLBACK", NULL) != ERR_OK) wpg_give_up(w);
}

err_t wpg_txn_commit(struct warehouse *w, struct err *e)
{
    PGresult *r;
    if (!w->pg) return lost(w, e);
    err_t rc = pg_query(w->pg, &r, "COMMIT", 0, NULL, e);
    if (rc == ERR_OK) {
        bool in = strcmp(PQcmdStatus(r), "COMMIT") == 0;
        PQclear(r);
        return in ? ERR_OK
                  : err_set(e, ERR_DB, "%s: the transaction was rolled back", w->shown);
    }
    if (PQstatus(w->pg->c) == CONNECTION_OK) { // the server lives, and says no
        wpg_txn_rollback(w);
        return wpg_fail(w, rc, e, "committing");
    }
    memcpy(w->unknown, w->xact, sizeof w->unknown);
    wpg_give_up(w);
    err_wrap(e, ERR_UNKNOWN, "the outcome of a commit is unknown");
    return ERR_UNKNOWN;
}

// ---- opening

static err_t check_server(struct warehouse *w, struct err *e)
{
    PGresult *r;
    TRY(wpg_query(w, &r, e, "looking at the server",
                  "SELECT current_setting('server_version_num')::int, "
                  "current_setting('server_encoding'), pg_is_in_recovery(), "
                  "current_setting('transaction_read_only'), current_schema()",
                  0, NULL));
    err_t rc = ERR_OK;
    if (wpg_u64(r, 0, 0) < VERSION_MIN)
        rc = err_set(e, ERR_INVALID,
                     "%s: the server is PostgreSQL %" PRIu64 "; a warehouse wants 13 or "
                     "later",
                     w->shown, wpg_u64(r, 0, 0) / 10000);
    else if (strcmp(PQgetvalue(r, 0, 1), "UTF8") != 0)
        rc = err_set(e, ERR_INVALID,
                     "%s: the database keeps its text as %.40s: a warehouse has UTF-8 "
                     "(CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0)",
                     w->shown, PQgetvalue(r, 0, 1));
    else if (*PQgetvalue(r, 0, 2) == 't')
        rc = err_set(e, ERR_INVALID,
                     "%s: the server is a standby, and read-only: load into its primary",
                     w->shown);
    else if (strcmp(PQgetvalue(r, 0, 3), "off") != 0)
        rc = err_set(e, ERR_INVALID,
                     "%s can't be written: default_transaction_read_only is on for this "
                     "database or role",
                     w->shown);
    else if (!wpg_cell(r, 0, 4))
        rc = err_set(e, ERR_INVALID,
                     "%s: none of the schemas in search_path is there, so no table can "
                     "be made",
                     w->shown);
    PQclear(r);
    return rc;
}

// A COMMIT that got no answer may still be under way: then nothing is certain yet.
static err_t settle_unknown(struct warehouse *w, struct err *e)
{
    PGresult *r;
    const char *const values[] = { w->unknown };
    if (!w->unknown[0]) return ERR_OK;
    err_t rc = pg_query(w->pg, &r, "SELECT pg_xact_status($1::xid8)", 1, values, e);
    if (rc == ERR_CLOSED) return wpg_fail(w, rc, e, "asking for a commit");
    // A number that the server does not know is of a transaction that it lost in a crash.
    bool busy = rc == ERR_OK && strcmp(PQgetvalue(r, 0, 0), "in progress") == 0;
    PQclear(r);
    if (busy)
        return err_set(e, ERR_BUSY, "%s: transaction %s is still being committed", w->shown,
                       w->unknown);
    w->unknown[0] = 0;
    return ERR_OK;
}

static err_t settle(struct warehouse *w, struct err *e)
{
    TRY(wpg_do(w, e, "setting up",
               "SET client_min_messages = warning; SET lock_timeout = '5s'; "
               "SET idle_in_transaction_session_timeout = '30s'"));
    // What is said to be loaded has reached the disk, whatever the server's habit.
    TRY(wpg_do(w, e, "setting up",
               "SELECT set_config('synchronous_commit', 'on', false) "
               "WHERE current_setting('synchronous_commit') = 'off'"));
    TRY(check_server(w, e));
    TRY(settle_unknown(w, e));
    return w->load_id ? wpg_table_settle(w, e) : ERR_OK;
}

err_t wpg_ready(struct warehouse *w, struct err *e)
{
    if (w->pg && PQstatus(w->pg->c) == CONNECTION_OK) return ERR_OK;
    wpg_give_up(w);
    err_t rc = pg_open(&w->pg, w->conninfo, -1, e);
    if (rc == ERR_CLOSED) return err_wrap(e, ERR_BUSY, "the warehouse is not there");
    if (rc == ERR_OK) rc = settle(w, e);
    if (rc != ERR_OK) wpg_give_up(w);
    return rc;
}

static void close_warehouse(struct warehouse **pw)
{
    struct warehouse *w = *pw;
    if (!w) return;
    wpg_give_up(w);
    wpg_forget_load(w);
    if (w->conninfo) explicit_bzero(w->conninfo, strlen(w->conninfo));
    free(w->conninfo);
    free(w->shown);
    buf_free(&w->kept);
    buf_free(&w->reject_rows);
    free(w);
    *pw = NULL;
}

// "postgres:" and a URL, words or a name; or the URL alone.
static const char *conninfo_of(const char *url)
{
    const char *rest = strchr(url, ':') + 1;
    return strncmp(rest, "//", 2) == 0 ? url : rest;
}

static err_t open_warehouse(struct warehouse **out, const char *url, warehouse_say *say,
                            void *say_arg, struct err *e)
{
    *out = NULL;
    struct warehouse *w = calloc(1, sizeof *w);
    if (!w) return err_set(e, ERR_NOMEM, "out of memory");
    w->say = say;
    w->say_arg = say_arg;
    w->watermark.column = -1;
    w->conninfo = strdup(conninfo_of(url));
    err_t rc = w->conninfo ? pg_public_name(w->conninfo, &w->shown, e)
                           : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK) rc = wpg_ready(w, e);
    if (rc == ERR_OK)
        *out = w;
    else
        close_warehouse(&w);
    return rc;
}

#define SHARED                                                                        \
    .scheme = "postgres", .open = open_warehouse, .query_value = wpg_query_value,     \
    .merges = true, .watermark = wpg_watermark_read, .begin = wpg_begin,              \
    .check = wpg_check, .commit = wpg_commit, .note = wpg_note, .finish = wpg_finish, \
    .close = close_warehouse

static const struct warehouse_ops merging = { SHARED, .sink = "rows" };

const struct warehouse_ops warehouse_pg = { SHARED, .sink = "postgres",
                                            .merging = &merging };
