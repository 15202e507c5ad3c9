// Which columns of a result are taken from the batch past SQLite: of what columns they are,
// and in which statements the batch's cursor stands at the row that is emitted.

#include "tests/batches.h"
#include "tests/test.h"
#include "worker/xf_sql.h"

#include <stdio.h>
#include <string.h>

static const struct row {
    const char *name, *sql;
    const char *source; // a letter for each column: a b c of the batch, - is computed
    bool once;
} rows[] = {
    { "columns_alone", "SELECT c, a FROM batch", "ca", true },
    { "columns_beside_expressions", "SELECT a, b + 1, a || '' FROM batch", "a--", true },
    { "another_name", "SELECT a AS x, t.B FROM batch t", "ab", true },
    { "a_star", "SELECT * FROM batch", "abc", true },
    { "an_operator_that_does_nothing", "SELECT +a, (b), a COLLATE NOCASE FROM batch", "-b-",
      true },
    { "conditions", "SELECT a FROM batch WHERE b > 5 AND (c LIKE 'x%' OR b IS NULL)", "a",
      true },
    { "a_list_of_choices", "SELECT a FROM batch WHERE b IN (1, 2)", "a", true },
    { "choices_and_functions",
      "SELECT a, CASE WHEN b BETWEEN 1 AND 3 THEN coalesce(a, c) ELSE a || 'y' END, "
      "iif(b > 3, 1, -b), NOT b, max(b, 4), nullif(b, 0) FROM batch",
      "a-----", true },
    { "a_subquery", "SELECT a, x FROM (SELECT a, b + 1 AS x FROM batch)", "--", true },
    { "a_value_that_may_be_missing", "SELECT (SELECT a WHERE b > 5), b FROM batch", "--",
      false },
    { "an_order", "SELECT a FROM batch ORDER BY b", "a", false },
    { "distinct_rows", "SELECT DISTINCT a FROM batch", "a", false },
    { "groups", "SELECT a FROM batch GROUP BY a", "a", false },
    { "groups_by_nothing", "SELECT a FROM batch GROUP BY 'x'", "a", false },
    { "a_column_beside_a_maximum", "SELECT a, max(b) FROM batch", "a-", false },
    { "a_limit", "SELECT a FROM batch LIMIT 2", "a", false },
    { "a_window", "SELECT a, row_number() OVER () FROM batch", "a-", false },
    { "a_batch_beside_itself", "SELECT x.a FROM batch x JOIN batch y ON x.b = y.b", "a",
      false },
    { "a_batch_that_may_be_missing",
      "SELECT batch.a FROM (SELECT 1 AS k) LEFT JOIN batch ON b = k", "-", false },
    { "a_union", "SELECT a FROM batch UNION ALL SELECT 'x'", "-", false },
    { "a_union_with_nothing", "SELECT a FROM batch UNION ALL SELECT 'x' WHERE 0", "-",
      false },
    { "a_union_of_the_batch", "SELECT a FROM batch UNION ALL SELECT c FROM batch", "-",
      false },
    { "a_lookup_table", "SELECT batch.a FROM batch JOIN other ON b = k", "a", false },
    { "a_column_of_a_lookup_table", "SELECT k FROM other", "-", false },
    { "a_condition_on_a_lookup_table",
      "SELECT a FROM batch WHERE b IN (SELECT k FROM other)", "-", false },
    { "elements_of_a_list", "SELECT a FROM batch, json_each('[1,2]')", "a", false },
    { "values_that_are_a_subquery", "SELECT (VALUES(a) EXCEPT VALUES(b)), b FROM batch",
      "--", false },
    { "the_first_of_several_values", "SELECT (VALUES(a),(c)), b FROM batch", "--", false },
    { "a_value_alone", "SELECT (Values(a)), b FROM batch", "--", false },
    { "a_list_of_three_choices", "SELECT a FROM batch WHERE b IN (1, 2, 3)", "a", false },
    { "a_subquery_over_the_batch", "SELECT (SELECT a FROM batch), b FROM batch", "--",
      false },
};

static void prepare(sqlite3 *db, struct xf_sql_batch *b, struct xf_sql_out *o)
{
    struct err e;
    PASS(&e, xf_sql_vtab_add(db, b, &e));
    PASS(&e, xf_sql_out_add(db, o, &e));
    EQ_I64(SQLITE_OK, sqlite3_exec(db, "CREATE TABLE other(k)", NULL, NULL, NULL));
}

static void is_found(void **state)
{
    const struct row *r = *state;
    struct schema in;
    struct xf_sql_batch b = { .schema = &in };
    struct xf_sql_out o = { 0 };
    sqlite3 *db;
    sqlite3_stmt *stmt;
    uint32_t source[8], n = (uint32_t)strlen(r->source), plain = 0;
    char sql[500], computed[100] = "", all[100] = "";
    schema_of(&in, "a text, b integer, c any");
    EQ_I64(SQLITE_OK, sqlite3_open(":memory:", &db));
    prepare(db, &b, &o);
    EQ_I64(SQLITE_OK, sqlite3_prepare_v2(db, r->sql, -1, &stmt, NULL));
    EQ_I64(n, sqlite3_column_count(stmt));
    uint32_t found = xf_sql_plain(stmt, &in, source);
    for (uint32_t i = 0; i < n; i++) {
        bool is_plain = r->source[i] != '-';
        EQ_I64(is_plain ? (uint32_t)(r->source[i] - 'a') : XF_SQL_COMPUTED, source[i]);
        plain += is_plain;
        snprintf(all + strlen(all), 16, "%sc%u", i ? "," : "", i);
        if (!is_plain)
            snprintf(computed + strlen(computed), 16, "%sc%u", *computed ? "," : "", i);
    }
    EQ_I64(plain, found);
    snprintf(sql, sizeof sql, "WITH r(%s) AS (%s) SELECT %s(%s) FROM r", all, r->sql,
             XF_SQL_EMIT, computed);
    EQ_I64(r->once, xf_sql_scans_once(db, sql));
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    schema_free(&in);
}

static void what_is_no_statement_does_not_scan(void **state)
{
    (void)state;
    sqlite3 *db;
    EQ_I64(SQLITE_OK, sqlite3_open(":memory:", &db));
    assert_false(xf_sql_scans_once(db, "SELECT nothing FROM nowhere"));
    assert_false(xf_sql_scans_once(db, "SELECT 1"));
    sqlite3_close(db);
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(what_is_no_statement_does_not_scan),
    };
    return test_main("xf_sql_plain", plain, N_OF(plain), TABLE(rows, is_found), N_OF(rows));
}
