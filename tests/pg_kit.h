// pg_kit - a PostgreSQL server of the test's own (tests/tools/pg_server.sh), and words to
// say to it that are no part of what is tested. It dies with the test.

#ifndef TESTS_PG_KIT_H
#define TESTS_PG_KIT_H

#include "tests/test.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct pg_server {
    char dir[64]; // the socket is in it; its log is dir/log
    int port;
    pid_t pid;     // of the server; 0: it does not run
    char url[128]; // over TCP, database postgres, as superuser
};

enum { PG_DEADLINE_S = 120 };

static inline void pg_kit_show_log(const struct pg_server *s)
{
    char path[96], text[4096];
    snprintf(path, sizeof path, "%s/log", s->dir);
    FILE *f = fopen(path, "r");
    if (!f) return;
    if (fseek(f, -(long)sizeof text, SEEK_END) != 0) rewind(f);
    size_t n = fread(text, 1, sizeof text, f);
    fprintf(stderr, "--- log of PostgreSQL\n%.*s\n", (int)n, text);
    fclose(f);
}

// A child that ends with this process.
static inline pid_t pg_kit_run(const char *const argv[], const char *log)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (log && (!freopen(log, "a", stdout) || !freopen(log, "a", stderr))) _exit(126);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static inline int pg_kit_free_port(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    close(fd);
    return ntohs(a.sin_port);
}

// Starts the server on its port, and waits until it answers.
static inline bool pg_kit_try_serve(struct pg_server *s)
{
    char port[16], log[96];
    snprintf(port, sizeof port, "%d", s->port);
    snprintf(log, sizeof log, "%s/log", s->dir);
    s->pid = pg_kit_run((const char *[]){ PG_SERVER, "serve", s->dir, port, NULL }, log);
    time_t end = time(NULL) + PG_DEADLINE_S;
    while (PQping(s->url) != PQPING_OK) {
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid) return false;
        if (time(NULL) > end) fail_msg("PostgreSQL does not answer");
        usleep(5000);
    }
    return true;
}

static inline void pg_kit_serve(struct pg_server *s)
{
    if (pg_kit_try_serve(s)) return;
    pg_kit_show_log(s);
    fail_msg("PostgreSQL does not start");
}

static inline void pg_kit_stop(struct pg_server *s, int sig) // SIGINT, SIGQUIT, SIGKILL
{
    if (s->pid > 0) {
        kill(s->pid, sig);
        waitpid(s->pid, NULL, 0);
    }
    s->pid = 0;
}

static inline int pg_kit_rm_one(const char *path, const struct stat *st, int kind,
                                struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static inline void pg_kit_end(struct pg_server *s)
{
    pg_kit_stop(s, SIGQUIT);
    if (s->dir[0]) nftw(s->dir, pg_kit_rm_one, 16, FTW_DEPTH | FTW_PHYS);
    s->dir[0] = 0;
}

static inline void pg_kit_start(struct pg_server *s)
{
    static int serial;
    int status;
    *s = (struct pg_server){ 0 };
    snprintf(s->dir, sizeof s->dir, "/tmp/tranche-pg-%d-%d", (int)getpid(), serial++);
    pid_t init = pg_kit_run((const char *[]){ PG_SERVER, "init", s->dir, NULL }, NULL);
    assert_int_equal(waitpid(init, &status, 0), init);
    assert_int_equal(status, 0);
    for (int tries = 0;; tries++) { // somebody else may take the port
        s->port = pg_kit_free_port();
        snprintf(s->url, sizeof s->url, "postgresql://tranche@127.0.0.1:%d/postgres",
                 s->port);
        if (pg_kit_try_serve(s)) return;
        if (tries == 3) break;
    }
    pg_kit_show_log(s);
    fail_msg("PostgreSQL does not start");
}

static inline void pg_kit_no_notice(void *arg, const PGresult *r)
{
    (void)arg, (void)r;
}

// What psql would show of the first value; malloced.
static inline char *pg_kit_one(const char *url, const char *sql)
{
    PGconn *c = PQconnectdb(url);
    if (PQstatus(c) != CONNECTION_OK) fail_msg("%s", PQerrorMessage(c));
    PQsetNoticeReceiver(c, pg_kit_no_notice, NULL);
    PGresult *r = PQexec(c, sql);
    ExecStatusType st = PQresultStatus(r);
    if (st != PGRES_COMMAND_OK && st != PGRES_TUPLES_OK)
        fail_msg("%s\n%s", sql, PQresultErrorMessage(r));
    char *out = strdup(PQntuples(r) && PQnfields(r) ? PQgetvalue(r, 0, 0) : "");
    PQclear(r);
    PQfinish(c);
    return out;
}

static inline void pg_kit_do(const char *url, const char *sql)
{
    free(pg_kit_one(url, sql));
}

#endif
