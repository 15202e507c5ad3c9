// A table of PostgreSQL by several connections: the rows and the order that one would give,
// one state, and one end for all of them.

#include "tests/pg_source_kit.h"

// Blocks with holes, some of them empty, and rows that moved to the end.
#define MAKE_HOLES                                                           \
    MAKE_MANY "; DELETE FROM many WHERE i % 10 = 0 OR i BETWEEN 100000 AND " \
              "150000; UPDATE many SET t = 'moved ' || i WHERE i % 7 = 0"

static void check_connections(const struct source *s)
{
    const struct postgres_source *x = s->own;
    char *n = pg_kit_one(server.url, "SELECT count(*) > 1 FROM pg_stat_activity WHERE "
                                     "application_name = 'tranche'");
    bool several = sysconf(_SC_NPROCESSORS_ONLN) > 1;
    assert_string_equal(several ? "t" : "f", n);
    EQ_I64(several, x->by_ctid != NULL);
    assert_null(x->one_only);
    free(n);
}

static void rows_come_in_the_order_of_their_places(void **state)
{
    (void)state;
    struct err e;
    struct result r, want;
    struct job j = job_of_table("many");
    pg_kit_do(server.url, MAKE_HOLES);
    want = result_of("SELECT * FROM many ORDER BY ctid");
    struct source *s = begun(&j, &r);
    check_connections(s);
    PASS(&e, read_rest(s, &r.text, &e));
    EQ_I64(want.text.n - 1, r.text.n); // a NUL is counted there
    assert_memory_equal(want.text.p, r.text.p, r.text.n);
    // No connection is left in a transaction.
    pg_kit_do(server.url, "SET lock_timeout = '10s'; DROP TABLE many");
    source_close(&s);
    result_free(&want);
    result_free(&r);
    job_free(&j);
}

// Few blocks, whose rows have their values elsewhere.
static void large_values_are_read_by_several_connections(void **state)
{
    (void)state;
    struct err e;
    struct result r, want;
    struct job j = job_of_table("large");
    pg_kit_do(server.url,
              "CREATE UNLOGGED TABLE large(i int, t text); ALTER TABLE large ALTER t SET "
              "STORAGE external; INSERT INTO large SELECT i, repeat(i::text, 2000) FROM "
              "generate_series(10000, 12500) i; DELETE FROM large WHERE i % 3 = 0");
    want = result_of("SELECT * FROM large ORDER BY ctid");
    struct source *s = begun(&j, &r);
    check_connections(s);
    PASS(&e, read_rest(s, &r.text, &e));
    EQ_I64(want.text.n - 1, r.text.n);
    assert_memory_equal(want.text.p, r.text.p, r.text.n);
    source_close(&s);
    result_free(&want);
    result_free(&r);
    job_free(&j);
}

static void all_connections_see_one_state(void **state)
{
    (void)state;
    struct err e;
    struct result r;
    struct job j = job_of_table("many");
    pg_kit_do(server.url, MAKE_MANY);
    struct source *s = begun(&j, &r);
    check_connections(s);
    pg_kit_do(server.url,
              "DELETE FROM many WHERE i % 2 = 0; UPDATE many SET t = 'changed'; "
              "INSERT INTO many SELECT i, 'later' FROM generate_series(1, 99999) i");
    PASS(&e, read_rest(s, &r.text, &e));
    EQ_I64(MANY, lines_in(&r.text));
    assert_null(memmem(r.text.p, r.text.n, "changed", 7));
    assert_null(memmem(r.text.p, r.text.n, "later", 5));
    source_close(&s);
    result_free(&r);
    job_free(&j);
}

// Larger than what lanes read ahead, so that somebody still reads.
#define MAKE_WIDE                                                                     \
    "DROP TABLE IF EXISTS wide; CREATE UNLOGGED TABLE wide AS SELECT i, repeat('x', " \
    "1000) AS t FROM generate_series(1, 80000) i"

static void one_killed_backend_of_several_ends_the_read(void **state)
{
    (void)state;
    struct err e;
    struct result r;
    struct job j = job_of_table("wide");
    pg_kit_do(server.url, MAKE_WIDE);
    struct source *s = begun(&j, &r);
    check_connections(s);
    pg_kit_do(server.url,
              "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
              "application_name = 'tranche' ORDER BY backend_start DESC LIMIT 1");
    EXPECT(ERR_CLOSED, &e, read_rest(s, &r.text, &e));
    assert_non_null(strstr(e.text, "postgresql://"));
    source_close(&s);
    result_free(&r);
    job_free(&j);
}

static void a_table_is_left_in_the_middle(void **state)
{
    (void)state;
    struct err e;
    struct result r;
    struct job j = job_of_table("wide");
    pg_kit_do(server.url, MAKE_WIDE);
    struct source *s = begun(&j, &r);
    check_connections(s);
    source_close(&s);
    result_free(&r);
    s = begun(&j, &r);
    source_stop(s);
    EXPECT(ERR_CLOSED, &e, read_rest(s, &r.text, &e));
    source_close(&s);
    pg_kit_do(server.url, "SET lock_timeout = '60s'; DROP TABLE wide");
    result_free(&r);
    job_free(&j);
}

struct alone {
    const char *name, *sql, *why;
};
static const struct alone alone[] = {
    { "a_view", "CREATE VIEW a AS SELECT 1 AS x", "it is not an ordinary table" },
    { "a_materialized_view", "CREATE MATERIALIZED VIEW a AS SELECT 1 AS x",
      "it is not an ordinary table" },
    { "a_partitioned_table", "CREATE TABLE a(x int) PARTITION BY RANGE (x)",
      "it is not an ordinary table" },
    { "a_parent", "CREATE TABLE a(x int); CREATE TABLE b() INHERITS (a)",
      "other tables inherit from it" },
    { "a_table_with_policies",
      "CREATE TABLE a(x int); ALTER TABLE a ENABLE ROW LEVEL SECURITY",
      "it has row level security" },
    { "a_small_table", "CREATE TABLE a(x int)", NULL },
};

static void is_read_by_one_connection(void **state)
{
    const struct alone *t = *state;
    struct err e;
    struct source *s;
    struct schema schema = { 0 };
    struct strings notes = { 0 };
    char sql[300];
    struct job j = job_of_table("alone.a");
    snprintf(sql, sizeof sql, "CREATE SCHEMA alone; SET search_path = alone; %s", t->sql);
    pg_kit_do(server.url, sql);
    PASS(&e, source_open(&s, &j, &e));
    PASS(&e, source_names(s, &schema, &notes, &e));
    EQ_I64(t->why != NULL, notes.n);
    if (t->why) assert_non_null(strstr(notes.v[0], "one connection reads it: "));
    if (t->why) assert_non_null(strstr(notes.v[0], t->why));
    assert_null(((struct postgres_source *)s->own)->by_ctid);
    source_close(&s);
    pg_kit_do(server.url, "SET client_min_messages = error; DROP SCHEMA alone CASCADE");
    schema_free(&schema);
    strings_free(&notes);
    job_free(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_in_the_order_of_their_places),
        cmocka_unit_test(large_values_are_read_by_several_connections),
        cmocka_unit_test(all_connections_see_one_state),
        cmocka_unit_test(one_killed_backend_of_several_ends_the_read),
        cmocka_unit_test(a_table_is_left_in_the_middle),
    };
    pg_kit_start(&server);
    int failed = test_main("source_postgres_table", NULL, 0,
                           TABLE(alone, is_read_by_one_connection), N_OF(alone));
    failed += cmocka_run_group_tests_name("source_postgres_table", tests, NULL, NULL);
    pg_kit_end(&server);
    return failed;
}
