#include "common/sql_functions.h"
#include "common/sql_guard.h"
#include "tests/test.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// One guarded connection with a table `t` of five rows and a table `other` that reads of
// its column `secret` are refused for.
struct cage {
    struct sql_guard guard;
    sqlite3 *db;
};

static const char *no_secrets(void *arg, const char *table, const char *column)
{
    (void)arg;
    return strcmp(table, "other") == 0 && strcmp(column, "secret") == 0 ? "the secret"
                                                                        : NULL;
}

static int setup(void **state)
{
    struct err e;
    struct cage *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->guard.read = no_secrets;
    PASS(&e, sql_guard_open(&c->db, &e));
    PASS(&e, sql_functions_add(c->db, &e));
    assert_int_equal(SQLITE_OK, sqlite3_exec(c->db,
                                             "CREATE TABLE t(x, y);"
                                             "INSERT INTO t VALUES(1,2),(3,4),(5,6);"
                                             "CREATE TABLE other(secret, open);",
                                             NULL, NULL, NULL));
    PASS(&e, sql_guard_close_doors(&c->guard, c->db, NULL, &e));
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct cage *c = *state;
    assert_int_equal(SQLITE_OK, sqlite3_close(c->db));
    free(c);
    return 0;
}

struct abuse {
    const char *name;
    const char *sql;
    const char *says; // a part of the sentence
};

static const struct abuse abuses[] = {
    { "attach", "ATTACH '/tmp/x.db' AS x", "not allowed in a test: ATTACH" },
    { "detach", "DETACH main", "DETACH" },
    { "vacuum_into_a_file", "VACUUM INTO '/tmp/x.db'", "" },
    { "pragma", "PRAGMA user_version", "PRAGMA user_version" },
    { "pragma_as_a_table", "SELECT * FROM pragma_database_list", "own" },
    { "pragma_as_a_table_counted", "SELECT count(*) FROM pragma_database_list", "own" },
    { "writable_schema", "PRAGMA writable_schema = 1", "PRAGMA writable_schema" },
    { "load_extension", "SELECT load_extension('/lib/x.so')",
      "not allowed in a test: load_extension()" },
    { "fts3_tokenizer", "SELECT fts3_tokenizer('simple')", "fts3_tokenizer()" },
    { "random", "SELECT random() FROM t", "random()" },
    { "randomblob", "SELECT randomblob(1000000000)", "randomblob()" },
    { "changes", "SELECT changes()", "changes()" },
    { "the_version", "SELECT sqlite_version()", "sqlite_version()" },
    { "readfile", "SELECT readfile('/etc/passwd')", "no such function: readfile" },
    { "edit", "SELECT edit('x', 'vi')", "no such function: edit" },
    { "reading_the_schema", "SELECT sql FROM sqlite_schema", "reading sqlite_" },
    { "reading_the_schema_by_its_old_name", "SELECT sql FROM sqlite_master",
      "sqlite_master" },
    { "counting_the_schema", "SELECT count(*) FROM sqlite_master", "sqlite_" },
    { "the_temp_schema", "SELECT * FROM sqlite_temp_schema", "sqlite_temp" },
    { "writing_the_schema", "UPDATE sqlite_schema SET sql = ''", "" },
    { "create_table", "CREATE TABLE z(x)", "CREATE" },
    { "create_temp_table", "CREATE TEMP TABLE z AS SELECT 1", "CREATE" },
    { "create_view", "CREATE VIEW v AS SELECT 1", "CREATE" },
    { "create_trigger", "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END",
      "CREATE" },
    { "create_virtual_table", "CREATE VIRTUAL TABLE f USING fts5(x)", "CREATE" },
    { "drop", "DROP TABLE t", "DROP" },
    { "alter", "ALTER TABLE t ADD COLUMN z", "" },
    { "insert", "INSERT INTO t VALUES(1, 2)", "INSERT INTO t" },
    { "insert_returning", "INSERT INTO t VALUES(1, 2) RETURNING x", "INSERT INTO t" },
    { "update", "UPDATE t SET x = 1", "UPDATE t" },
    { "delete", "DELETE FROM t", "DELETE FROM t" },
    { "begin", "BEGIN", "BEGIN" },
    { "savepoint", "SAVEPOINT s", "SAVEPOINT" },
    { "analyze", "ANALYZE", "" },
    { "reindex", "REINDEX", "" },
    { "explain", "EXPLAIN SELECT * FROM t", "EXPLAIN" },
    { "explain_query_plan", "EXPLAIN QUERY PLAN SELECT * FROM t", "EXPLAIN" },
    { "two_statements", "SELECT 1; SELECT 2", "a second begins at line 1, column 11" },
    { "a_forbidden_second_statement", "SELECT 1;\n PRAGMA x", "line 2, column 2" },
    { "a_broken_second_statement", "SELECT 1; SELEC", "a second begins" },
    { "nothing", "", "there is no SQL" },
    { "only_a_comment", " -- nothing\n /* here */ ;", "there is no SQL" },
    { "module_dbstat", "SELECT * FROM dbstat", "no such table: dbstat" },
    { "module_sqlite_stmt", "SELECT * FROM sqlite_stmt", "sqlite_stmt" },
    { "module_fts3tokenize", "SELECT * FROM fts3tokenize('simple', 'a b')",
      "no such table" },
    { "a_column_somebody_refuses", "SELECT secret FROM other", "test: the secret" },
    { "that_column_in_a_star", "SELECT * FROM other", "the secret" },
    { "that_column_in_a_where", "SELECT open FROM other WHERE secret > 1", "the secret" },
    { "current_timestamp", "SELECT CURRENT_TIMESTAMP", "pass the time as a param" },
    { "current_date_in_a_comparison", "SELECT * FROM t WHERE x < CURRENT_DATE",
      "as a param" },
    { "text_in_double_quotes", "SELECT * FROM t WHERE x = \"SFO\"",
      "line 1, column 27: no such column: SFO" },
    { "a_syntax_error", "SELECT x\n  FORM t",
      "line 2, column 8: near \"t\": syntax error" },
    { "an_unfinished_statement", "SELECT x FROM", "incomplete input" },
};

static void is_refused(void **state)
{
    const struct abuse *row = *state;
    struct err e;
    struct cage *c;
    setup((void **)&c);
    sqlite3_stmt *stmt;
    EXPECT(ERR_INVALID, &e,
           sql_guard_prepare(c->db, row->sql, "a test", ERR_INVALID, &stmt, &e));
    assert_null(stmt);
    if (!strstr(e.text, row->says)) fail_msg("%s", e.text);
    teardown((void **)&c);
}

// Runs a statement; its rows, or -1 with *rc.
static int rows_of(sqlite3 *db, const char *sql, int *rc)
{
    struct err e;
    sqlite3_stmt *stmt;
    PASS(&e, sql_guard_prepare(db, sql, "a test", ERR_INVALID, &stmt, &e));
    int n = 0;
    while ((*rc = sqlite3_step(stmt)) == SQLITE_ROW)
        n++;
    sqlite3_finalize(stmt);
    return *rc == SQLITE_DONE ? n : -1;
}

static void honest_statements_run(void **state)
{
    struct cage *c = *state;
    static const char *const honest[] = {
        "SELECT * FROM t",
        ";; -- a comment first\n SELECT x FROM t; -- and one after\n ;",
        "WITH c AS (SELECT x FROM t) SELECT count(*), (SELECT 1 FROM c) FROM c, t "
        "GROUP BY c.x",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) "
        "SELECT i, row_number() OVER (ORDER BY i DESC) FROM n",
        "SELECT value FROM json_each('[1, 2, 3]')",
        "SELECT key FROM json_tree('[1, 2]')",
        "SELECT open FROM other UNION ALL SELECT x FROM t",
        "VALUES (1), (2), (3)",
    };
    for (size_t i = 0; i < N_OF(honest); i++) {
        int rc;
        EQ_I64(3, rows_of(c->db, honest[i], &rc));
    }
}

static void an_endless_statement_ends_at_its_deadline(void **state)
{
    struct cage *c = *state;
    ns_t past = 0;
    sql_guard_deadline(c->db, &past);
    int rc;
    EQ_I64(-1, rows_of(c->db,
                       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                       "SELECT count(*) FROM n",
                       &rc));
    EQ_I64(SQLITE_INTERRUPT, rc);
    sql_guard_deadline(c->db, NULL);
    EQ_I64(3, rows_of(c->db, "SELECT * FROM t", &rc));
}

static void large_values_are_refused(void **state)
{
    struct cage *c = *state;
    static const char *const large[] = {
        "SELECT zeroblob(1000000000)",
        "SELECT hex(zeroblob(20000000))",
        "SELECT replace(hex(zeroblob(1000)), '0', hex(zeroblob(100000)))",
        "WITH RECURSIVE n(s) AS (SELECT 'x' UNION ALL SELECT s||s FROM n) SELECT 1 FROM n",
    };
    for (size_t i = 0; i < N_OF(large); i++) {
        int rc;
        EQ_I64(-1, rows_of(c->db, large[i], &rc));
        EQ_I64(SQLITE_TOOBIG, rc);
    }
}

static void the_heap_has_a_limit(void **state)
{
    (void)state;
    struct err e;
    struct sql_guard g = { .heap_bytes = 8 << 20 };
    sqlite3 *db;
    PASS(&e, sql_guard_open(&db, &e));
    PASS(&e, sql_guard_close_doors(&g, db, NULL, &e));
    int rc;
    EQ_I64(-1, rows_of(db,
                       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                       "LIMIT 1000000) SELECT i FROM n ORDER BY -i",
                       &rc));
    EQ_I64(SQLITE_NOMEM, rc & 0xff);
    sqlite3_close(db);
    sqlite3_hard_heap_limit64(0);
}

static void a_pattern_bomb_is_refused(void **state)
{
    struct cage *c = *state;
    int rc;
    EQ_I64(-1,
           rows_of(c->db, "SELECT 'a' LIKE replace(hex(zeroblob(60)), '0', '%a')", &rc));
}

static void deep_expressions_are_refused(void **state)
{
    struct cage *c = *state;
    struct err e;
    sqlite3_stmt *stmt;
    char sql[2000] = "SELECT ";
    for (int i = 0; i < 300; i++)
        strcat(sql, "x + ");
    strcat(sql, "1 FROM t");
    EXPECT(ERR_INVALID, &e,
           sql_guard_prepare(c->db, sql, "a test", ERR_INVALID, &stmt, &e));
    assert_non_null(strstr(e.text, "tree"));
}

static void asking_for_the_time_is_noticed(void **state)
{
    struct cage *c = *state;
    static const char *const askers[] = {
        "SELECT date('now')",          "SELECT datetime('n' || 'ow')", "SELECT time()",
        "SELECT strftime('%s','now')", "SELECT julianday()",           "SELECT unixepoch()",
    };
    int rc;
    (void)sql_guard_clock_asked();
    for (size_t i = 0; i < N_OF(askers); i++) {
        EQ_I64(1, rows_of(c->db, askers[i], &rc));
        assert_true(sql_guard_clock_asked());
        assert_false(sql_guard_clock_asked());
    }
    EQ_I64(1, rows_of(c->db, "SELECT date('2008-01-31', '+1 month')", &rc));
    assert_false(sql_guard_clock_asked());
}

static void local_time_is_an_error(void **state)
{
    struct cage *c = *state;
    int rc;
    EQ_I64(-1, rows_of(c->db, "SELECT datetime('2008-01-31', 'localtime')", &rc));
    assert_string_equal("local time unavailable", sqlite3_errmsg(c->db));
}

static void a_warehouse_can_be_read_only_for_a_while(void **state)
{
    (void)state;
    struct err e;
    sqlite3 *db;
    sqlite3_stmt *stmt;
    int rc;
    assert_int_equal(SQLITE_OK, sqlite3_open(":memory:", &db));
    PASS(&e, sql_guard_harden(db, &e));
    assert_int_equal(SQLITE_OK, sqlite3_exec(db, "CREATE TABLE flights(delay)", 0, 0, 0));
    sql_guard_read_only(db, true);
    EQ_I64(1, rows_of(db, "SELECT avg(delay), date('now'), CURRENT_TIMESTAMP FROM flights",
                      &rc));
    EXPECT(ERR_INVALID, &e,
           sql_guard_prepare(db, "DELETE FROM flights", "a param", ERR_INVALID, &stmt, &e));
    assert_string_equal("not allowed in a param: DELETE FROM flights", e.text);
    EXPECT(ERR_INVALID, &e,
           sql_guard_prepare(db, "SELECT load_extension('x')", "a param", ERR_INVALID,
                             &stmt, &e));
    sql_guard_read_only(db, false);
    assert_int_equal(SQLITE_OK, sqlite3_exec(db, "DELETE FROM flights", 0, 0, 0));
    sqlite3_close(db);
}

static void our_own_function_is_allowed_only_when_said(void **state)
{
    struct cage *c = *state;
    struct err e;
    sqlite3_stmt *stmt;
    const char *sql = "SELECT sqlite_version()";
    EXPECT(ERR_INVALID, &e,
           sql_guard_prepare(c->db, sql, "a test", ERR_INVALID, &stmt, &e));
    c->guard.own_function = "sqlite_version";
    PASS(&e, sql_guard_prepare(c->db, sql, "a test", ERR_INVALID, &stmt, &e));
    sqlite3_finalize(stmt);
}

int main(void)
{
#define CAGED(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    static const struct CMUnitTest tests[] = {
        CAGED(honest_statements_run),
        CAGED(an_endless_statement_ends_at_its_deadline),
        CAGED(large_values_are_refused),
        cmocka_unit_test(the_heap_has_a_limit),
        CAGED(a_pattern_bomb_is_refused),
        CAGED(deep_expressions_are_refused),
        CAGED(asking_for_the_time_is_noticed),
        CAGED(local_time_is_an_error),
        cmocka_unit_test(a_warehouse_can_be_read_only_for_a_while),
        CAGED(our_own_function_is_allowed_only_when_said),
    };
    return test_main("sql_guard", tests, N_OF(tests), TABLE(abuses, is_refused),
                     N_OF(abuses));
}
