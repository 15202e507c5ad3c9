#include "common/pg.h"
#include "common/clock.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    CONNECT_S = 10,
    CONNECT_S_MOST = 3600,
    KEEP_IDLE_S =
        30, // a dead peer is noticed after KEEP_IDLE_S + KEEP_COUNT * KEEP_EVERY_S
    KEEP_EVERY_S = 10,
    KEEP_COUNT = 3,
    UNACKED_MS = 60000,
};

static const char SESSION[] =
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN "
    "('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', "
    "'idle_session_timeout', 'transaction_timeout');"
    "SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC';"
    "SET bytea_output = 'hex'; SET extra_float_digits = 1;"
    "SET standard_conforming_strings = on";

// ---- sentences ----

// One line; what the server adds for its own developers is left out.
static void say_plainly(const char *said, char *out, size_t size)
{
    const char *end = strstr(said, "\nLOCATION:");
    size_t n = end ? (size_t)(end - said) : strlen(said), k = 0;
    for (size_t i = 0; i < n && k + 2 < size;) {
        size_t space = strspn(said + i, " \t\n");
        if (space == 0) {
            out[k++] = said[i++];
            continue;
        }
        bool sentence =
            memchr(said + i, '\n', space) && isupper((unsigned char)said[i + space]);
        i += space;
        if (k && sentence) out[k++] = ';';
        if (k) out[k++] = ' ';
    }
    while (k && strchr(" .;", out[k - 1]))
        k--;
    out[k] = 0;
}

// What libpq says while it connects has the state in it: "FATAL:  28P01: ...". It is cut
// out.
static void take_state(char *said, char state[6])
{
    state[0] = 0;
    for (char *at = strstr(said, ": "); at; at = strstr(at + 2, ": ")) {
        char *s = at + 2;
        if (strspn(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 5) continue;
        if (strncmp(s + 5, ": ", 2) != 0 || strcspn(s, "0123456789") > 4) continue;
        memcpy(state, s, 5);
        state[5] = 0;
        memmove(s, s + 7, strlen(s + 7) + 1);
        return;
    }
}

static bool state_is(const char *state, const char *const *prefixes)
{
    for (; *prefixes; prefixes++)
        if (strncmp(state, *prefixes, strlen(*prefixes)) == 0) return true;
    return false;
}

static err_t code_of(const char *state, bool connected)
{
    static const char *const gone[] = { "08", "57P01", "57P02", "57P05", NULL };
    static const char *const busy[] = { "55P03", "40001", "40P01", "53300",
                                        "57P03", "55006", NULL };
    static const char *const full[] = { "53100", NULL }, *const memory[] = { "53200",
                                                                             NULL };
    static const char *const ended[] = { "57014", NULL };
    if (!*state) return connected ? ERR_DB : ERR_CLOSED;
    if (state_is(state, gone)) return ERR_CLOSED;
    if (state_is(state, busy)) return ERR_BUSY;
    if (state_is(state, full)) return ERR_FULL;
    if (state_is(state, memory)) return ERR_NOMEM;
    return state_is(state, ended) ? ERR_TIMEOUT : ERR_DB;
}

bool pg_blames_statement(const struct pg *p)
{
    static const char *const statement[] = {
        "42", "22", "0A", "2B", "21", "34", "3F", NULL
    };
    return state_is(p->state, statement);
}

bool pg_blames_writing(const struct pg *p)
{
    return strcmp(p->state, "25006") == 0;
}

static void where_in(const char *sql, const char *position, char *out, size_t size)
{
    unsigned long at = position ? strtoul(position, NULL, 10) : 0;
    unsigned line = 1, column = 1;
    out[0] = 0;
    if (!sql || !at) return;
    for (const char *s = sql; *s && at > 1; s++) { // the server counts characters
        if (((unsigned char)s[1] & 0xc0) == 0x80) continue;
        at--;
        column = *s == '\n' ? 1 : column + 1;
        line += *s == '\n';
    }
    if (strchr(sql, '\n'))
        snprintf(out, size, " (line %u, column %u)", line, column);
    else
        snprintf(out, size, " (column %u)", column);
}

err_t pg_fail(struct pg *p, const PGresult *r, const char *sql, struct err *e)
{
    const char *said = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    bool connected = p->c && PQstatus(p->c) == CONNECTION_OK;
    char text[512], where[64];
    snprintf(p->state, sizeof p->state, "%s", state ? state : "");
    err_t code = code_of(p->state, connected);
    if (!connected && code == ERR_DB) code = ERR_CLOSED;
    if (!said) {
        const char *plain = r ? PQresultErrorMessage(r) : "";
        if (!*plain && p->c) plain = PQerrorMessage(p->c);
        say_plainly(plain, text, sizeof text);
        return err_set(e, code, "%s: %s", p->name, *text ? text : "the connection is lost");
    }
    const char *detail = PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(r, PG_DIAG_MESSAGE_HINT);
    say_plainly(said, text, sizeof text);
    where_in(sql, PQresultErrorField(r, PG_DIAG_STATEMENT_POSITION), where, sizeof where);
    err_set(e, code, "%s: %s%s", p->name, text, where);
    for (int i = 0; i < 2; i++) {
        if (!(i ? hint : detail) || !e) continue;
        say_plainly(i ? hint : detail, text, sizeof text);
        size_t n = strlen(e->text);
        snprintf(e->text + n, sizeof e->text - n, "; %s", text);
    }
    return code;
}

static err_t stopped(const struct pg *p, struct err *e)
{
    return err_set(e, ERR_CLOSED, "%s is not waited for any further", p->name);
}

// ---- waiting ----

static err_t wait_for(struct pg *p, short events, int timeout_ms, struct err *e)
{
    struct pollfd f[2] = { { PQsocket(p->c), events, 0 }, { p->stop_fd, POLLIN, 0 } };
    if (f[0].fd < 0) return pg_fail(p, NULL, NULL, e);
    int n;
    do
        n = poll(f, p->stop_fd < 0 ? 1 : 2, timeout_ms);
    while (n < 0 && errno == EINTR);
    if (n < 0) return err_sys(e, "%s: poll", p->name);
    if (p->stop_fd >= 0 && f[1].revents) return stopped(p, e);
    return n == 0 ? err_set(e, ERR_TIMEOUT, "%s: no answer", p->name) : ERR_OK;
}

err_t pg_wait(struct pg *p, struct err *e)
{
    int left = PQflush(p->c);
    if (left < 0) return pg_fail(p, NULL, NULL, e);
    TRY(wait_for(p, left ? POLLIN | POLLOUT : POLLIN, -1, e));
    // A lost line is no failure here: what the server said before is still to be read.
    (void)PQconsumeInput(p->c);
    return ERR_OK;
}

err_t pg_result(struct pg *p, PGresult **out, struct err *e)
{
    *out = NULL;
    while (PQisBusy(p->c) && PQstatus(p->c) == CONNECTION_OK)
        TRY(pg_wait(p, e));
    *out = PQgetResult(p->c);
    return ERR_OK;
}

void pg_cancel(const struct pg *p)
{
    char why[256];
    PGcancel *x = p->c ? PQgetCancel(p->c) : NULL;
    if (x) (void)PQcancel(x, why, sizeof why);
    PQfreeCancel(x);
}

// ---- connecting ----

static ns_t deadline_of(PGconn *c)
{
    PQconninfoOption *all = PQconninfo(c);
    const char *given = pg_option(all, "connect_timeout");
    long s = given ? strtol(given, NULL, 10) : CONNECT_S;
    PQconninfoFree(all);
    if (s <= 0) return NS_NEVER;
    return clock_ns() + (s < CONNECT_S_MOST ? s : CONNECT_S_MOST) * NS_S;
}

static void number(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value,
                     sizeof value); // a line without it works too
}

// libpq turns keepalives on, but leaves hours between them where nobody says otherwise.
static void keep_alive(PGconn *c)
{
    PQconninfoOption *all = PQconninfo(c);
    int fd = PQsocket(c), family = 0;
    socklen_t n = sizeof family;
    bool off =
        pg_option(all, "keepalives") && strcmp(pg_option(all, "keepalives"), "0") == 0;
    bool tcp = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &n) == 0 &&
               (family == AF_INET || family == AF_INET6);
    if (tcp && !off) {
        if (!pg_option(all, "keepalives_idle"))
            number(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S);
        if (!pg_option(all, "keepalives_interval"))
            number(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEP_EVERY_S);
        if (!pg_option(all, "keepalives_count"))
            number(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEP_COUNT);
        if (!pg_option(all, "tcp_user_timeout"))
            number(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_MS);
    }
    PQconninfoFree(all);
}

static err_t cannot_connect(struct pg *p, struct err *e)
{
    char text[640];
    say_plainly(PQerrorMessage(p->c), text, sizeof text);
    take_state(text, p->state);
    const char *hint = "";
    if (PQconnectionNeedsPassword(p->c) || strcmp(p->state, "28P01") == 0)
        hint = "; a password is taken from the password file (~/.pgpass, PGPASSFILE) or "
               "PGPASSWORD";
    return err_set(e, code_of(p->state, false), "%s: cannot connect: %s%s", p->name, text,
                   hint);
}

static err_t connect_until(struct pg *p, ns_t deadline, struct err *e)
{
    PostgresPollingStatusType want = PGRES_POLLING_WRITING;
    while (want != PGRES_POLLING_OK) {
        if (want == PGRES_POLLING_FAILED || PQstatus(p->c) == CONNECTION_BAD)
            return cannot_connect(p, e);
        ns_t left = deadline == NS_NEVER ? NS_NEVER : deadline - clock_ns();
        if (left <= 0)
            return err_set(e, ERR_CLOSED,
                           "%s: cannot connect: no answer within the time that "
                           "connect_timeout gives",
                           p->name);
        int ms = left == NS_NEVER ? -1 : (int)(left / NS_MS) + 1;
        err_t rc = wait_for(p, want == PGRES_POLLING_READING ? POLLIN : POLLOUT, ms, e);
        if (rc == ERR_TIMEOUT) continue;
        TRY(rc);
        want = PQconnectPoll(p->c);
    }
    return ERR_OK;
}

static void swallow(void *arg, const PGresult *r) // notices
{
    (void)arg, (void)r;
}

static err_t start(struct pg *p, const char *conninfo, struct err *e)
{
    const char *const keys[] = { "fallback_application_name", "dbname", "client_encoding",
                                 NULL };
    const char *const values[] = { "tranche", conninfo, "UTF8", NULL };
    TRY(pg_public_name(conninfo, &p->name, e));
    p->c = PQconnectStartParams(keys, values, 1);
    if (!p->c) return err_set(e, ERR_NOMEM, "out of memory");
    PQsetErrorVerbosity(p->c, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(p->c, swallow, NULL);
    TRY(connect_until(p, deadline_of(p->c), e));
    PQsetErrorVerbosity(p->c, PQERRORS_DEFAULT);
    keep_alive(p->c);
    return pg_do(p, SESSION, e);
}

err_t pg_open(struct pg **out, const char *conninfo, int stop_fd, struct err *e)
{
    struct pg *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p) return err_set(e, ERR_NOMEM, "out of memory");
    p->stop_fd = stop_fd;
    err_t rc = start(p, conninfo, e);
    if (rc != ERR_OK)
        pg_close(&p);
    else
        *out = p;
    return rc;
}

void pg_close(struct pg **p)
{
    if (!*p) return;
    PQfinish((*p)->c);
    free((*p)->name);
    free(*p);
    *p = NULL;
}

// ---- statements ----

static bool good(const PGresult *r)
{
    ExecStatusType s = PQresultStatus(r);
    return s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK || s == PGRES_EMPTY_QUERY;
}

static bool is_copy(const PGresult *r)
{
    ExecStatusType s = PQresultStatus(r);
    return s == PGRES_COPY_IN || s == PGRES_COPY_OUT || s == PGRES_COPY_BOTH;
}

// Its result never ends, and what it wants or gives belongs to nobody here.
static err_t end_copy(struct pg *p, struct err *e)
{
    PQfinish(p->c);
    p->c = NULL;
    p->state[0] = 0;
    return err_set(
        e, ERR_INVALID,
        "%s: a COPY from STDIN or to STDOUT is no statement that can be run here", p->name);
}

// Reads all results; the first failure counts. *out, if wanted, gets the last one.
static err_t finish(struct pg *p, const char *sql, PGresult **out, struct err *e)
{
    err_t rc = ERR_OK;
    for (;;) {
        PGresult *r;
        err_t got = pg_result(p, &r, e);
        if (got != ERR_OK) {
            pg_cancel(p);
            rc = got;
            break;
        }
        if (!r) break;
        if (is_copy(r)) {
            PQclear(r);
            rc = end_copy(p, e);
            break;
        }
        if (!good(r) && rc == ERR_OK) rc = pg_fail(p, r, sql, e);
        if (out && rc == ERR_OK) {
            PQclear(*out);
            *out = r;
        } else {
            PQclear(r);
        }
        if (PQstatus(p->c) != CONNECTION_OK) break;
    }
    if (rc == ERR_OK && PQstatus(p->c) != CONNECTION_OK) rc = pg_fail(p, NULL, NULL, e);
    if (rc != ERR_OK && out) {
        PQclear(*out);
        *out = NULL;
    }
    return rc;
}

err_t pg_do(struct pg *p, const char *sql, struct err *e)
{
    if (!PQsendQuery(p->c, sql)) return pg_fail(p, NULL, NULL, e);
    return finish(p, sql, NULL, e);
}

err_t pg_query(struct pg *p, PGresult **out, const char *sql, int n,
               const char *const *args, struct err *e)
{
    *out = NULL;
    if (!PQsendQueryParams(p->c, sql, n, NULL, args, NULL, NULL, 0))
        return pg_fail(p, NULL, NULL, e);
    return finish(p, sql, out, e);
}

char *pg_quoted(const char *identifier)
{
    size_t n = strlen(identifier);
    char *out = malloc(2 * n + 3), *to = out;
    if (!out) return NULL;
    *to++ = '"';
    for (; *identifier; identifier++) {
        if (*identifier == '"') *to++ = '"';
        *to++ = *identifier;
    }
    memcpy(to, "\"", 2);
    return out;
}
