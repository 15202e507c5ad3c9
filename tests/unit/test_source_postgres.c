// The postgres source: statements as they are read, values as the server itself writes
// them, one state of the database, and what goes wrong.

#include "common/row_code.h"
#include "coordinator/source_postgres.h"
#include "tests/pg_source_kit.h"

// ---- statements, without a server ----

struct statement {
    const char *name, *query, *sql; // sql NULL: refused
    bool watermark;
};
static const struct statement statements[] = {
    { "a_select_stays", "SELECT 1", "SELECT 1", false },
    { "what_is_behind_it_is_cut", "SELECT 1 ; -- end", "SELECT 1 ", false },
    { "watermark_is_a_parameter", "SELECT :watermark, x", "SELECT $1        , x", true },
    { "a_cast_is_none", "SELECT a::watermark", "SELECT a::watermark", false },
    { "a_longer_name_is_none", "SELECT :watermarks", "SELECT :watermarks", false },
    { "a_text_is_none", "SELECT ':watermark;'';'", "SELECT ':watermark;'';'", false },
    { "an_escaped_text_is_none", "SELECT e'\\':watermark'", "SELECT e'\\':watermark'",
      false },
    { "a_name_is_none", "SELECT \":watermark;\"", "SELECT \":watermark;\"", false },
    { "a_comment_is_none", "/* :watermark; /* ; */ */ SELECT 1 --;:watermark",
      "/* :watermark; /* ; */ */ SELECT 1 --;:watermark", false },
    { "dollars_quote", "SELECT $a$;$b$:watermark$a$ || $$;$$",
      "SELECT $a$;$b$:watermark$a$ || $$;$$", false },
    { "ends_are_cut", "SELECT 1;;\n; /* ; */", "SELECT 1", false },
    { "a_dollar_in_a_name_does_not", "SELECT a$b;", "SELECT a$b", false },
    { "with_and_values_and_brackets", "(VALUES (1))", "(VALUES (1))", false },
    { "a_backslash_is_plain", "SELECT 'a\\', :watermark", "SELECT 'a\\', $1        ",
      true },
    { "delete_is_refused", "DELETE FROM t", NULL, false },
    { "selection_is_no_select", "selection", NULL, false },
    { "nothing_is_refused", " -- SELECT 1", NULL, false },
};

static void a_second_statement_is_refused_with_its_place(void **state)
{
    (void)state;
    struct err e;
    struct pg_query_text q;
    EXPECT(ERR_INVALID, &e,
           postgres_query_read("SELECT ';'; ; -- end\n  DROP TABLE t", &q, &e));
    assert_string_equal("source.query: one statement is wanted; a second begins at line 2, "
                        "column 3",
                        e.text);
    assert_null(q.sql);
}

static void is_read(void **state)
{
    const struct statement *t = *state;
    struct err e;
    struct pg_query_text q;
    EXPECT(t->sql ? ERR_OK : ERR_INVALID, &e, postgres_query_read(t->query, &q, &e));
    if (t->sql) assert_string_equal(t->sql, q.sql);
    if (!t->sql) assert_string_equal("source.query: it must be one SELECT", e.text);
    EQ_I64(t->watermark, q.watermark);
    free(q.sql);
}

static void a_copy_casts_what_is_not_known(void **state)
{
    (void)state;
    struct err e;
    char *sql;
    enum pg_kind kinds[] = { PG_TEXT, PG_OTHER };
    PASS(&e, postgres_query_copy("TABLE t", kinds, 1, &sql, &e));
    assert_string_equal("COPY (TABLE t\n) TO STDOUT (FORMAT binary)", sql);
    free(sql);
    PASS(&e, postgres_query_copy("TABLE t -- it", kinds, 2, &sql, &e));
    assert_string_equal("COPY (SELECT c0, c1::text FROM (TABLE t -- it\n) AS q(c0, c1)) TO "
                        "STDOUT (FORMAT binary)",
                        sql);
    free(sql);
}

static const struct with_params {
    const char *name, *query, *want;
} with_params[] = {
    { "a_short_value_is_filled_up", "SELECT :day, x", "SELECT 7   , x" },
    { "a_long_value_is_not_cut", "SELECT :e'x'", "SELECT '2001-01-01''x'" },
    { "a_cast_stays", "SELECT a::day", "SELECT a::day" },
    { "a_longer_name_stays", "SELECT :days", "SELECT :days" },
    { "texts_and_comments_stay", "SELECT ':day', $$:day$$, \":day\" -- :day",
      "SELECT ':day', $$:day$$, \":day\" -- :day" },
    { "the_rest_stays_too", ":day; :e", "7   ; '2001-01-01'" },
};

static void params_become_their_values(void **state)
{
    const struct with_params *t = *state;
    static const char *const names[] = { "day", "e" };
    static const char *const texts[] = { "7", "'2001-01-01'" };
    struct err e;
    char *sql;
    PASS(&e, postgres_query_params(t->query, names, texts, 2, &sql, &e));
    assert_string_equal(t->want, sql);
    free(sql);
}

static void a_parameter_becomes_its_value(void **state)
{
    (void)state;
    struct err e;
    char *sql;
    PASS(&e, postgres_query_bind("SELECT '$1', $1, $$1$$, a$1", "'x'::date", &sql, &e));
    assert_string_equal("SELECT '$1',  'x'::date , $$1$$, a$1", sql);
    free(sql);
}

static void bytes_that_are_no_value_are_refused(void **state)
{
    (void)state;
    static const uint8_t bytes[64] = { 0, 1, 0, 0, 0x12, 0x34, 0, 0, 0x27, 0x10 };
    struct err e;
    struct buf scratch = { 0 };
    struct cell c;
    for (uint32_t n = 0; n < 16; n++) {
        EXPECT(n == 8 ? ERR_OK : ERR_PROTO, &e,
               pg_value_cell(PG_TIMESTAMP, bytes, n, &scratch, &c, &e));
        EXPECT(n == 4 ? ERR_OK : ERR_PROTO, &e,
               pg_value_cell(PG_DATE, bytes, n, &scratch, &c, &e));
        EXPECT(ERR_PROTO, &e, pg_value_cell(PG_NUMERIC, bytes, n, &scratch, &c, &e));
    }
    buf_free(&scratch);
}

struct value {
    const char *name, *sql, *text; // text NULL: what the server writes
    enum type type;
};
static const struct value values[] = {
    { "smallint", "(-32768)::int2", NULL, TYPE_INTEGER },
    { "integer", "(-2147483648)::int4", NULL, TYPE_INTEGER },
    { "bigint", "9223372036854775807", NULL, TYPE_INTEGER },
    { "oid", "4000000000::oid", NULL, TYPE_INTEGER },
    { "true", "true", "1", TYPE_BOOLEAN },
    { "null", "NULL::int", "", TYPE_INTEGER },
    { "real", "0.1::float4", NULL, TYPE_REAL },
    { "real_of_nine_digits", "16777.217::float4", NULL, TYPE_REAL },
    { "real_max", "3.4028235e38::float4", NULL, TYPE_REAL },
    { "double", "0.1::float8 + 0.2", NULL, TYPE_REAL },
    { "double_nan", "'NaN'::float8", "NaN", TYPE_REAL },
    { "double_infinity", "'-Infinity'::float8", "-inf", TYPE_REAL },
    { "numeric", "123.456", NULL, TYPE_REAL },
    { "numeric_of_fifteen_digits", "0.000000999999999999999", "9.99999999999999e-07",
      TYPE_REAL },
    { "numeric_of_sixteen_digits", "1234567890.123456", NULL, TYPE_REAL },
    { "numeric_long", "-98765432109876543210.000100", NULL, TYPE_REAL },
    { "numeric_very_small", "1e-400::numeric", NULL, TYPE_REAL },
    { "numeric_large_and_round", "1e300::numeric", "1e+300", TYPE_REAL },
    { "numeric_beyond_reals", "1e400::numeric", NULL, TYPE_REAL },
    { "numeric_zero", "0.00", "0.0", TYPE_REAL },
    { "numeric_nan", "'NaN'::numeric", "NaN", TYPE_REAL },
    { "numeric_infinity", "'Infinity'::numeric", "inf", TYPE_REAL },
    { "numeric_9_0", "(-120000000)::numeric(9,0)", NULL, TYPE_INTEGER },
    { "numeric_18_0", "999999999999999999::numeric(18,0)", NULL, TYPE_INTEGER },
    { "numeric_18_0_round", "100000000000000000::numeric(18,0)", NULL, TYPE_INTEGER },
    { "numeric_18_0_zero", "0::numeric(18,0)", NULL, TYPE_INTEGER },
    { "numeric_20_0", "12345678901234567890::numeric(20,0)", NULL, TYPE_TEXT },
    { "numeric_20_0_short", "7::numeric(20,0)", NULL, TYPE_TEXT },
    { "date", "date '2024-02-29'", NULL, TYPE_DATE },
    { "date_of_1900", "date '1900-03-01'", NULL, TYPE_DATE },
    { "date_before_christ", "date '0044-03-15 BC'", NULL, TYPE_DATE },
    { "date_first", "date '4714-11-24 BC'", NULL, TYPE_DATE },
    { "date_last", "date '5874897-12-31'", NULL, TYPE_DATE },
    { "date_infinity", "date 'infinity'", NULL, TYPE_DATE },
    { "timestamp", "timestamp '1969-12-31 23:59:59.5'", NULL, TYPE_TIMESTAMP },
    { "timestamp_of_microseconds", "timestamp '2001-02-03 04:05:06.000007'", NULL,
      TYPE_TIMESTAMP },
    { "timestamp_before_christ", "timestamp '0001-01-01 00:00 BC'", NULL, TYPE_TIMESTAMP },
    { "timestamp_infinity", "timestamp '-infinity'", NULL, TYPE_TIMESTAMP },
    { "timestamptz", "timestamptz '2001-02-03 04:05:06+02'", "2001-02-03 02:05:06+00",
      TYPE_TIMESTAMP },
    { "text", "'ä '::text", NULL, TYPE_TEXT },
    { "unknown", "'x'", NULL, TYPE_TEXT },
    { "empty_text", "''", "\"\"", TYPE_TEXT },
    { "char", "'x'::char(3)", "x  ", TYPE_TEXT },
    { "json", "'{\"a\":  1}'::json::text::json->'a'", NULL, TYPE_TEXT },
    { "jsonb", "'[1, 2]'::jsonb->1", NULL, TYPE_TEXT },
    { "uuid", "'00000000-0000-0000-0000-00000000000A'::uuid", NULL, TYPE_TEXT },
    { "interval", "interval '1 day 2 hours'", NULL, TYPE_TEXT },
    { "time", "time '01:02:03.5'", NULL, TYPE_TEXT },
    { "array", "ARRAY[1]", NULL, TYPE_TEXT },
    { "range", "int4range(1, 2)", "\"[1,2)\"", TYPE_TEXT },
    { "bytea", "'\\x00ff'::bytea", "x'00ff'", TYPE_ANY },
};

static void is_what_the_server_writes(void **state)
{
    const struct value *v = *state;
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT (%s)::text", v->sql);
    char *want = v->text ? strdup(v->text) : pg_kit_one(server.url, sql);
    snprintf(sql, sizeof sql, "SELECT %s AS v", v->sql);
    struct result r = result_of(sql);
    r.text.p[r.text.n - 2] = 0;
    assert_string_equal(type_name(v->type), type_name(r.schema.f[0].type));
    double a, b;
    char *end_a, *end_b;
    a = strtod(want, &end_a);
    b = strtod((char *)r.text.p, &end_b);
    bool same_number = v->type == TYPE_REAL && !v->text && strlen(want) < 18 && !*end_a &&
                       !*end_b && a == b; // 1e+05 is 100000
    if (!same_number) assert_string_equal(want, (char *)r.text.p);
    result_free(&r);
    free(want);
}

static void random_numbers_come_through(void **state)
{
    (void)state;
    char *want = pg_kit_one(
        server.url,
        "CREATE TABLE r AS SELECT 0 AS i, 0::numeric(17,0) AS d, "
        "0.0::numeric "
        "AS n WHERE false; INSERT INTO r(i, d, n) SELECT i, (random() * 10 ^ (i % "
        "17))::numeric(17,0) "
        "* (1 - i % 2 * 2), ((random() * 1e6)::int * (10::numeric ^ (i % 25 - 12))) FROM "
        "generate_series(1, 20000) i; SELECT count(*) || ' ' || sum(d) FROM r");
    struct result r = result_of("SELECT d::numeric(17,0), n::float8, n FROM r");
    long long rows = 0, sum = 0;
    char *lines = (char *)r.text.p, *line, got[64];
    while ((line = strsep(&lines, "\n")) && *line) {
        char *d = strsep(&line, ","), *f = strsep(&line, ",");
        sum += strtoll(d, NULL, 10);
        assert_string_equal(f, line); // the server's rounding of a numeric, and ours
        rows++;
    }
    snprintf(got, sizeof got, "%lld %lld", rows, sum);
    assert_string_equal(want, got);
    free(want);
    result_free(&r);
    pg_kit_do(server.url, "DROP TABLE r");
}

// ---- one state ----

static void what_others_write_meanwhile_is_not_seen(void **state)
{
    (void)state;
    struct err e;
    struct result r;
    struct job j = job_of_query("SELECT * FROM many");
    pg_kit_do(server.url, MAKE_MANY);
    struct source *s;
    PASS(&e, source_open(&s, &j, &e));
    pg_kit_do(server.url, "INSERT INTO many VALUES (-1, 'late')");
    source_close(&s);
    s = begun(&j, &r);
    pg_kit_do(server.url,
              "DELETE FROM many WHERE i % 2 = 0; UPDATE many SET t = 'changed'; "
              "INSERT INTO many VALUES (-2, 'later')");
    PASS(&e, read_rest(s, &r.text, &e));
    EQ_I64(MANY + 1, lines_in(&r.text));
    assert_null(memmem(r.text.p, r.text.n, "changed", 7));
    assert_null(memmem(r.text.p, r.text.n, "later", 5));
    assert_non_null(memmem(r.text.p, r.text.n, "-1,late", 7));
    // The transaction is over with its last row: others may have the table for themselves.
    pg_kit_do(server.url, "SET lock_timeout = '10s'; DROP TABLE many");
    source_close(&s);
    result_free(&r);
    job_free(&j);
}

static void a_killed_backend_ends_the_read(void **state)
{
    (void)state;
    struct err e;
    struct result r;
    struct job j = job_of_query("SELECT * FROM many");
    pg_kit_do(server.url, MAKE_MANY);
    struct source *s = begun(&j, &r);
    pg_kit_do(server.url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                          "application_name = 'tranche'");
    EXPECT(ERR_CLOSED, &e, read_rest(s, &r.text, &e));
    assert_true(lines_in(&r.text) < MANY);
    source_close(&s);
    result_free(&r);
    job_free(&j);
}

static void a_read_that_waits_can_be_stopped(void **state)
{
    (void)state;
    struct err e;
    struct job j = job_of_query("SELECT pg_sleep(3600)::text");
    struct source *s;
    struct schema schema = { 0 };
    struct buf trial = { 0 };
    uint64_t rows;
    PASS(&e, source_open(&s, &j, &e));
    source_stop(s);
    EXPECT(ERR_CLOSED, &e, source_infer(s, &j, &schema, &trial, &rows, &e));
    source_close(&s);
    job_free(&j);
}

// ---- :watermark ----

static void above(const char *query, const struct cell *w, const char *want)
{
    struct err e;
    struct job j = job_of_query(query);
    struct source *s;
    struct result r = { 0 };
    struct buf trial = { 0 };
    uint64_t rows;
    j.mode = MODE_INCREMENTAL;
    PASS(&e, source_open_above(&s, &j, w, &e));
    PASS(&e, source_infer(s, &j, &r.schema, &trial, &rows, &e));
    PASS(&e, read_rest(s, &r.text, &e));
    PASS(&e, buf_add(&r.text, "", 1, &e));
    assert_string_equal(want, (char *)r.text.p);
    buf_free(&trial);
    source_close(&s);
    result_free(&r);
    job_free(&j);
}

static void rows_above_the_watermark_are_read(void **state)
{
    (void)state;
    struct cell day = { .kind = CELL_TEXT, .len = 10, .p = (const uint8_t *)"2024-01-02" };
    struct cell seven = { .kind = CELL_INTEGER, .i = 7 };
    struct cell half = { .kind = CELL_REAL, .r = 0.5 };
#define FROM_T                                                                           \
    " FROM (VALUES (date '2024-01-02', 7, 0.5, 'it''s'), ('2024-01-03', 8, 0.75, 'k')) " \
    "AS t(d, i, n, x)"
    above("SELECT i" FROM_T " WHERE d > :watermark", &day, "8\n");
    above("SELECT i" FROM_T " WHERE d > :watermark", NULL, "7\n8\n");
    above("SELECT i" FROM_T " WHERE i > :watermark", &seven, "8\n");
    above("SELECT i" FROM_T " WHERE i > :watermark", NULL, "7\n8\n");
    above("SELECT i" FROM_T " WHERE n > :watermark OR :watermark > 1", &half, "8\n");
    above("SELECT i" FROM_T " WHERE n > :watermark", NULL, "7\n8\n");
    struct cell text = { .kind = CELL_TEXT, .len = 4, .p = (const uint8_t *)"it's" };
    above("SELECT i, ':watermark'" FROM_T " WHERE x > :watermark", &text, "8,:watermark\n");
    above("SELECT i" FROM_T " WHERE x > :watermark", NULL, "7\n8\n");
}

// ---- wrong inputs ----

static void refused(struct job *j, err_t want, const char *why)
{
    struct err e;
    struct source *s = NULL;
    EXPECT(want, &e, source_open(&s, j, &e));
    if (!strstr(e.text, why)) fail_msg("'%s' lacks '%s'", e.text, why);
    job_free(j);
}

static void refused_query(const char *query, const char *why)
{
    struct job j = job_of_query(query);
    refused(&j, ERR_INVALID, why);
}

static void wrong_queries_are_refused(void **state)
{
    (void)state;
    refused_query("SELECT nothing FROM pg_class", "source.query: postgresql://");
    refused_query("SELECT nothing FROM pg_class",
                  "column \"nothing\" does not exist (column 8)");
    refused_query("SELECT 1,\n  FROM x",
                  "syntax error at or near \"FROM\" (line 2, column 3)");
    refused_query("SELECT * FROM nowhere",
                  "relation \"nowhere\" does not exist (column 15)");
    refused_query("SELECT $1::int", "$1 is nothing that is bound here");
    refused_query("SELECT 1 WHERE 1 > :watermark", "give load.mode incremental");
    refused_query("SELECT", "it gives no columns");
    refused_query("WITH x AS (DELETE FROM pg_class RETURNING 1) TABLE x, y",
                  "syntax error");
}

static void a_query_that_writes_is_refused(void **state)
{
    (void)state;
    struct err e;
    struct source *s;
    struct schema schema = { 0 };
    struct buf trial = { 0 };
    uint64_t rows;
    pg_kit_do(server.url, "CREATE SEQUENCE numbers");
    struct job j = job_of_query("SELECT nextval('numbers')");
    PASS(&e, source_open(&s, &j, &e));
    EXPECT(ERR_INVALID, &e, source_infer(s, &j, &schema, &trial, &rows, &e));
    assert_non_null(strstr(e.text, "cannot execute nextval() in a read-only transaction"));
    source_close(&s);
    job_free(&j);
}

static void a_table_is_found_as_it_is_written(void **state)
{
    (void)state;
    static const char *const good[] = { "plain",    "PLAIN",        "public.plain",
                                        "Odd name", "\"Odd name\"", "deep.\"Odd name\"",
                                        "seen" };
    struct err e;
    pg_kit_do(
        server.url,
        "CREATE SCHEMA deep; CREATE TABLE plain(x int); CREATE TABLE \"Odd name\"(x int);"
        "CREATE TABLE deep.\"Odd name\"(x int); CREATE VIEW seen AS SELECT 1 AS x");
    for (size_t i = 0; i < N_OF(good); i++) {
        struct job j = job_of_table(good[i]);
        struct source *s;
        PASS(&e, source_open(&s, &j, &e));
        source_close(&s);
        job_free(&j);
    }
    struct job j = job_of_table("nowhere.plain");
    refused(&j, ERR_INVALID, "has no table 'nowhere.plain'");
}

static void what_is_not_allowed_is_said(void **state)
{
    (void)state;
    pg_kit_do(server.url, "CREATE TABLE secret(x int); CREATE ROLE poor LOGIN");
    struct job j = job_of_query("SELECT * FROM secret");
    free(j.postgres);
    assert_true(
        asprintf(&j.postgres, "postgresql://poor@127.0.0.1:%d/postgres", server.port) > 0);
    refused(&j, ERR_INVALID, "permission denied for table secret");
}

static void how_many_rows_there_are_is_what_the_server_expects(void **state)
{
    (void)state;
    struct err e;
    struct source *s;
    struct schema schema = { 0 };
    struct buf trial = { 0 };
    uint64_t rows;
    struct job j = job_of_query("SELECT * FROM generate_series(1, 5000) WITH ORDINALITY");
    PASS(&e, source_open(&s, &j, &e));
    PASS(&e, source_infer(s, &j, &schema, &trial, &rows, &e));
    EQ_I64(5000, rows);
    schema_free(&schema);
    buf_free(&trial);
    source_close(&s);
    job_free(&j);
}

int main(void)
{
    const struct CMUnitTest pure[] = {
        cmocka_unit_test(a_copy_casts_what_is_not_known),
        cmocka_unit_test(a_second_statement_is_refused_with_its_place),
        cmocka_unit_test(a_parameter_becomes_its_value),
        cmocka_unit_test(bytes_that_are_no_value_are_refused),
    };
    const struct CMUnitTest served[] = {
        cmocka_unit_test(random_numbers_come_through),
        cmocka_unit_test(what_others_write_meanwhile_is_not_seen),
        cmocka_unit_test(a_killed_backend_ends_the_read),
        cmocka_unit_test(a_read_that_waits_can_be_stopped),
        cmocka_unit_test(rows_above_the_watermark_are_read),
        cmocka_unit_test(wrong_queries_are_refused),
        cmocka_unit_test(a_query_that_writes_is_refused),
        cmocka_unit_test(a_table_is_found_as_it_is_written),
        cmocka_unit_test(what_is_not_allowed_is_said),
        cmocka_unit_test(how_many_rows_there_are_is_what_the_server_expects),
    };
    int failed = test_main("source_postgres_query", pure, N_OF(pure),
                           TABLE(statements, is_read), N_OF(statements));
    failed += test_main("source_postgres_params", NULL, 0,
                        TABLE(with_params, params_become_their_values), N_OF(with_params));
    pg_kit_start(&server);
    failed += test_main("source_postgres_values", NULL, 0,
                        TABLE(values, is_what_the_server_writes), N_OF(values));
    failed += cmocka_run_group_tests_name("source_postgres", served, NULL, NULL);
    pg_kit_end(&server);
    return failed;
}
