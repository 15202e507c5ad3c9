// The connection to PostgreSQL: how it is found, what it says, and what it never says.

#include "common/pg.h"
#include "tests/pg_kit.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>

// ---- names ----

struct name {
    const char *name, *conninfo, *public; // public NULL: refused
};
static const struct name names[] = {
    { "a_url_stays", "postgresql://me@db.example:5433/sales",
      "postgresql://me@db.example:5433/sales" },
    { "the_short_scheme_is_the_long_one", "postgres://me@db/sales",
      "postgresql://me@db/sales" },
    { "a_password_is_cut_out", "postgresql://me:s3cret@db/sales",
      "postgresql://me@db/sales" },
    { "a_password_in_the_query_is_cut_out", "postgresql://db/sales?password=s3cret&user=me",
      "postgresql://me@db/sales" },
    { "words_become_a_url", "host=db port=5433 user=me password='s3 cret' dbname=sales",
      "postgresql://me@db:5433/sales" },
    { "a_socket_stands_in_the_query", "host=/run/pg dbname=sales",
      "postgresql:///sales?host=/run/pg" },
    { "a_bare_name_is_a_database", "sales", "postgresql:///sales" },
    { "nothing_is_what_the_environment_says", "", "postgresql://" },
    { "a_service_stays", "service=prod", "postgresql://?service=prod" },
    { "the_password_of_a_key_is_cut_out",
      "host=db sslkey=/k sslpassword=s3cret sslmode=verify-full",
      "postgresql://db?sslmode=verify-full&sslkey=/k" },
    { "two_hosts_stand_in_the_query", "postgresql://a:1,b:2/sales",
      "postgresql:///sales?host=a,b&port=1,2" },
    { "ipv6_keeps_its_brackets", "postgresql://[::1]:5433/x", "postgresql://[::1]:5433/x" },
    { "odd_letters_are_escaped", "user='a b@c' dbname='x/y'",
      "postgresql://a%20b%40c@/x%2Fy" },
    { "a_broken_url_is_refused", "postgresql://me:s3cret@[db/sales", NULL },
    { "an_unknown_word_is_refused", "hots=db password=s3cret", NULL },
    { "a_space_in_a_password_is_refused", "password=two s3cret", NULL },
    { "a_control_character_is_refused", "host=a\nb", NULL },
};

static void is_named(void **state)
{
    const struct name *n = *state;
    struct err e;
    char *public = NULL;
    err_t rc = pg_public_name(n->conninfo, &public, &e);
    EXPECT(n->public ? ERR_OK : ERR_INVALID, &e, rc);
    EXPECT(n->public ? ERR_OK : ERR_INVALID, &e, pg_check(n->conninfo, &e));
    if (n->public) assert_string_equal(n->public, public);
    if (!n->public) assert_null(strstr(e.text, "s3cret"));
    free(public);
}

static void a_public_name_is_its_own_public_name(void **state)
{
    (void)state;
    struct err e;
    for (size_t i = 0; i < N_OF(names); i++) {
        char *again;
        if (!names[i].public) continue;
        PASS(&e, pg_public_name(names[i].public, &again, &e));
        assert_string_equal(names[i].public, again);
        free(again);
    }
}

static void a_mistake_without_a_secret_is_shown(void **state)
{
    (void)state;
    struct err e;
    EXPECT(ERR_INVALID, &e, pg_check("hots=db", &e));
    assert_non_null(strstr(e.text, "invalid connection option \"hots\""));
    char *db;
    PASS(&e, pg_setting("postgresql://db/sales", "dbname", &db, &e));
    assert_string_equal(db, "sales");
    free(db);
    PASS(&e, pg_setting("postgresql://db", "dbname", &db, &e));
    assert_null(db);
}

// ---- a real server ----

static struct pg_server server;

static int start(void **state)
{
    (void)state;
    pg_kit_start(&server);
    pg_kit_do(server.url, "CREATE ROLE guarded LOGIN PASSWORD 's3cret'");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    pg_kit_end(&server);
    return 0;
}

static const char *url_of(const char *user, const char *more)
{
    static char url[256];
    snprintf(url, sizeof url, "postgresql://%s@127.0.0.1:%d/%s", user, server.port, more);
    return url;
}

static struct pg *opened(void)
{
    struct err e;
    struct pg *p;
    PASS(&e, pg_open(&p, server.url, -1, &e));
    return p;
}

static void does_not_open(err_t want, const char *url, const char *says)
{
    struct err e;
    struct pg *p;
    EXPECT(want, &e, pg_open(&p, url, -1, &e));
    assert_null(p);
    if (!strstr(e.text, says)) fail_msg("'%s' does not say '%s'", e.text, says);
    assert_null(strstr(e.text, "s3cret"));
    assert_null(strstr(e.text, "LOCATION"));
    assert_null(strchr(e.text, '\n'));
}

static void asks_and_is_answered(void **state)
{
    (void)state;
    struct err e;
    struct pg *p = opened();
    PGresult *r;
    const char *args[] = { "20", NULL };
    PASS(&e, pg_do(p, "CREATE TEMP TABLE t(x int); INSERT INTO t VALUES (1), (22)", &e));
    PASS(&e, pg_query(p, &r, "SELECT x, $2::text FROM t WHERE x > $1::int", 2, args, &e));
    EQ_I64(1, PQntuples(r));
    assert_string_equal("22", PQgetvalue(r, 0, 0));
    assert_true(PQgetisnull(r, 0, 1));
    PQclear(r);
    PASS(&e, pg_query(p, &r, "SHOW TimeZone", 0, NULL, &e));
    assert_string_equal("UTC", PQgetvalue(r, 0, 0));
    PQclear(r);
    pg_close(&p);
}

static void a_mistake_in_a_statement_is_pointed_at(void **state)
{
    (void)state;
    struct err e;
    struct pg *p = opened();
    PGresult *r;
    EXPECT(ERR_DB, &e, pg_query(p, &r, "SELECT 'é',\n  nonsense", 0, NULL, &e));
    assert_null(r);
    assert_non_null(
        strstr(e.text, "column \"nonsense\" does not exist (line 2, column 3)"));
    assert_string_equal("42703", p->state);
    assert_true(pg_blames_statement(p));
    EXPECT(ERR_DB, &e, pg_do(p, "SELECT 'é', nonsense", &e));
    assert_non_null(strstr(e.text, "(column 13)"));
    PASS(&e, pg_do(p, "SELECT 1", &e));
    pg_close(&p);
}

static void a_server_that_is_not_there_is_said(void **state)
{
    (void)state;
    does_not_open(ERR_CLOSED, "postgresql://me:s3cret@127.0.0.1:1/x", "Connection refused");
    does_not_open(ERR_CLOSED, "host=/nowhere password=s3cret", "No such file or directory");
}

static void a_database_that_is_not_there_is_said(void **state)
{
    (void)state;
    does_not_open(ERR_DB, url_of("tranche", "nothing"),
                  "failed: FATAL: database \"nothing\" does not exist");
}

static void a_password_is_wanted_and_checked(void **state)
{
    (void)state;
    struct err e;
    struct pg *p;
    unsetenv("PGPASSWORD");
    setenv("PGPASSFILE", "/nonexistent", 1);
    does_not_open(ERR_CLOSED, url_of("guarded", "postgres"), "password file");
    does_not_open(ERR_DB, url_of("guarded:not-s3cret", "postgres"),
                  "password authentication failed for user \"guarded\"");
    PASS(&e, pg_open(&p, url_of("guarded:s3cret", "postgres"), -1, &e));
    assert_null(strstr(p->name, "s3cret"));
    EXPECT(ERR_DB, &e, pg_do(p, "CREATE TABLE denied()", &e));
    assert_true(pg_blames_statement(p));
    pg_close(&p);
}

static void the_password_file_is_read(void **state)
{
    (void)state;
    struct err e;
    struct pg *p;
    char path[96];
    snprintf(path, sizeof path, "%s/pgpass", server.dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "127.0.0.1:%d:*:guarded:s3cret\n", server.port);
    fclose(f);
    assert_int_equal(chmod(path, 0600), 0);
    setenv("PGPASSFILE", path, 1);
    PASS(&e, pg_open(&p, url_of("guarded", "postgres"), -1, &e));
    pg_close(&p);
    unsetenv("PGPASSFILE");
}

static void the_environment_and_a_service_say_where(void **state)
{
    (void)state;
    struct err e;
    struct pg *p;
    char port[16], path[96];
    snprintf(port, sizeof port, "%d", server.port);
    setenv("PGHOST", server.dir, 1);
    setenv("PGPORT", port, 1);
    setenv("PGUSER", "tranche", 1);
    PASS(&e, pg_open(&p, "postgres", -1, &e));
    pg_close(&p);
    unsetenv("PGHOST");
    unsetenv("PGPORT");
    unsetenv("PGUSER");
    snprintf(path, sizeof path, "%s/service", server.dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "[mine]\nhost=%s\nport=%d\nuser=tranche\ndbname=postgres\n", server.dir,
            server.port);
    fclose(f);
    setenv("PGSERVICEFILE", path, 1);
    PASS(&e, pg_open(&p, "service=mine", -1, &e));
    pg_close(&p);
    unsetenv("PGSERVICEFILE");
}

static void a_killed_backend_is_a_lost_connection(void **state)
{
    (void)state;
    struct err e;
    struct pg *p = opened();
    EXPECT(ERR_CLOSED, &e, pg_do(p, "SELECT pg_terminate_backend(pg_backend_pid())", &e));
    assert_non_null(strstr(e.text, "terminating connection due to administrator command"));
    EXPECT(ERR_CLOSED, &e, pg_do(p, "SELECT 1", &e));
    pg_close(&p);
}

// Its results would never come to an end.
static void a_copy_is_refused_and_ends_the_connection(void **state)
{
    (void)state;
    static const char *const copies[] = { "COPY (SELECT 1) TO STDOUT",
                                          "COPY pg_temp.t FROM STDIN" };
    struct err e;
    for (size_t i = 0; i < N_OF(copies); i++) {
        struct pg *p = opened();
        PGresult *r;
        PASS(&e, pg_do(p, "CREATE TEMP TABLE t(i int)", &e));
        EXPECT(ERR_INVALID, &e, pg_query(p, &r, copies[i], 0, NULL, &e));
        assert_null(r);
        assert_non_null(strstr(e.text, "a COPY from STDIN or to STDOUT"));
        EXPECT(ERR_CLOSED, &e, pg_do(p, "SELECT 1", &e));
        pg_cancel(p);
        pg_close(&p);
    }
}

static void a_lock_that_is_not_had_is_busy(void **state)
{
    (void)state;
    struct err e;
    struct pg *a = opened(), *b = opened();
    PASS(&e, pg_do(a, "SELECT pg_advisory_lock(7)", &e));
    EXPECT(ERR_BUSY, &e,
           pg_do(b, "SET lock_timeout = '1ms'; SELECT pg_advisory_lock(7)", &e));
    pg_close(&a);
    pg_close(&b);
}

static void a_wait_ends_when_told_to(void **state)
{
    (void)state;
    struct err e;
    struct pg *p;
    int told[2];
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    PASS(&e, pg_open(&p, server.url, told[0], &e));
    PASS(&e, pg_do(p, "SELECT 1", &e));
    assert_int_equal(write(told[1], "x", 1), 1);
    EXPECT(ERR_CLOSED, &e, pg_do(p, "SELECT pg_sleep(3600)", &e));
    pg_close(&p);
    EXPECT(ERR_CLOSED, &e, pg_open(&p, server.url, told[0], &e));
    close(told[0]);
    close(told[1]);
}

// Cancels until it helps: the statement may not have begun.
static void *cancel_until_told(void *arg)
{
    struct {
        struct pg *p;
        int done;
    } *x = arg;
    struct pollfd f = { x->done, POLLIN, 0 };
    do
        pg_cancel(x->p);
    while (poll(&f, 1, 5) == 0);
    return NULL;
}

static void a_statement_can_be_cancelled(void **state)
{
    (void)state;
    struct err e;
    int done[2];
    assert_int_equal(pipe2(done, O_CLOEXEC), 0);
    struct {
        struct pg *p;
        int done;
    } x = { opened(), done[0] };
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, cancel_until_told, &x), 0);
    EXPECT(ERR_TIMEOUT, &e, pg_do(x.p, "SELECT pg_sleep(3600)", &e));
    assert_int_equal(write(done[1], "x", 1), 1);
    pthread_join(t, NULL);
    pg_close(&x.p);
    close(done[0]);
    close(done[1]);
}

static void a_restart_loses_the_connection_and_no_more(void **state)
{
    (void)state;
    struct err e;
    struct pg *p = opened();
    pg_kit_stop(&server, SIGINT);
    EXPECT(ERR_CLOSED, &e, pg_do(p, "SELECT 1", &e));
    pg_close(&p);
    does_not_open(ERR_CLOSED, server.url, "Connection refused");
    pg_kit_serve(&server);
    p = opened();
    PASS(&e, pg_do(p, "SELECT 1", &e));
    pg_close(&p);
}

static void an_identifier_is_quoted(void **state)
{
    (void)state;
    char *q = pg_quoted("a\"b");
    assert_string_equal("\"a\"\"b\"", q);
    free(q);
}

int main(void)
{
    const struct CMUnitTest pure[] = {
        cmocka_unit_test(a_public_name_is_its_own_public_name),
        cmocka_unit_test(a_mistake_without_a_secret_is_shown),
        cmocka_unit_test(an_identifier_is_quoted),
    };
    const struct CMUnitTest served[] = {
        cmocka_unit_test(asks_and_is_answered),
        cmocka_unit_test(a_mistake_in_a_statement_is_pointed_at),
        cmocka_unit_test(a_server_that_is_not_there_is_said),
        cmocka_unit_test(a_database_that_is_not_there_is_said),
        cmocka_unit_test(a_password_is_wanted_and_checked),
        cmocka_unit_test(the_password_file_is_read),
        cmocka_unit_test(the_environment_and_a_service_say_where),
        cmocka_unit_test(a_killed_backend_is_a_lost_connection),
        cmocka_unit_test(a_copy_is_refused_and_ends_the_connection),
        cmocka_unit_test(a_lock_that_is_not_had_is_busy),
        cmocka_unit_test(a_wait_ends_when_told_to),
        cmocka_unit_test(a_statement_can_be_cancelled),
        cmocka_unit_test(a_restart_loses_the_connection_and_no_more),
    };
    int failed =
        test_main("pg_name", pure, N_OF(pure), TABLE(names, is_named), N_OF(names));
    return failed + cmocka_run_group_tests_name("pg", served, start, stop);
}
