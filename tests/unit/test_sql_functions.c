#include "common/sql_functions.h"
#include "tests/test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

struct row {
    const char *name;
    const char *sql;
    const char *want;  // the one value as text; NULL: NULL
    const char *error; // a part of the message
};

static const struct row rows[] = {
    { "strptime_reads_date_and_time",
      "strptime('03/Feb/2008 7:05:09', '%d/%b/%Y %H:%M:%S')", "2008-02-03 07:05:09", NULL },
    { "strptime_fills_up_with_midnight", "strptime('20080203', '%Y%m%d')",
      "2008-02-03 00:00:00", NULL },
    { "strptime_fills_up_with_the_day_sqlite_takes", "strptime('12:30', '%H:%M')",
      "2000-01-01 12:30:00", NULL },
    { "strptime_wants_the_whole_text", "strptime('2008-02-03x', '%Y-%m-%d')", NULL, NULL },
    { "strptime_knows_there_is_no_30th_of_february", "strptime('2008-02-30', '%Y-%m-%d')",
      NULL, NULL },
    { "strptime_knows_the_29th_in_a_leap_year", "strptime('2008-02-29', '%F')",
      "2008-02-29 00:00:00", NULL },
    { "strptime_knows_1900_had_no_29th", "strptime('1900-02-29', '%F')", NULL, NULL },
    { "strptime_gives_utc_for_an_offset",
      "strptime('2008-01-01 00:30:00 +0100', '%Y-%m-%d %H:%M:%S %z')",
      "2007-12-31 23:30:00", NULL },
    { "strptime_of_null_is_null", "strptime(NULL, '%Y')", NULL, NULL },
    { "strptime_takes_numbers_as_text", "strptime(20080203, '%Y%m%d')",
      "2008-02-03 00:00:00", NULL },
    { "reject_fails_with_its_text", "reject('amount is ' || -1)", NULL, "amount is -1" },
    { "reject_of_what_is_not_reached", "CASE WHEN 1 > 2 THEN reject('no') ELSE 7 END", "7",
      NULL },
    { "reject_without_a_reason", "reject(NULL)", NULL, "no reason was given" },
    { "reject_of_no_text", "reject('')", NULL, "no reason was given" },
    { "strptime_refuses_seconds_since_1970", "strptime('0', '%s')", NULL, "'%s'" },
    { "strptime_refuses_what_it_does_not_know", "strptime('0', '%f')", NULL, "'%f'" },
    { "strptime_refuses_a_lone_percent", "strptime('0', '%')", NULL, "not a conversion" },
    { "strptime_takes_a_percent_sign", "strptime('5%2008', '%m%%%Y')",
      "2008-05-01 00:00:00", NULL },

    { "regexp_matches_anywhere", "'tail N123A' REGEXP 'N[0-9]+[A-Z]?'", "1", NULL },
    { "regexp_can_fail", "'tail' REGEXP '^N'", "0", NULL },
    { "regexp_knows_intervals", "'94103-1234' REGEXP '^[0-9]{5}(-[0-9]{4})?$'", "1", NULL },
    { "regexp_of_null_is_null", "NULL REGEXP 'a'", NULL, NULL },
    { "regexp_reports_a_bad_pattern", "'a' REGEXP '('", NULL, "regexp '('" },
    { "regexp_says_where_a_pattern_is_wrong", "'a' REGEXP 'ab['", NULL, "at byte 4" },
    { "regexp_knows_groups_that_come_again", "'aa' REGEXP '^(a)\\1$'", "1", NULL },
    { "regexp_takes_a_character_for_one", "'le caf\xc3\xa9 noir' REGEXP '\\bcaf. noir$'",
      "1", NULL },
    { "regexp_may_ignore_case", "'ABC' REGEXP '(?i)^abc$'", "1", NULL },
    { "regexp_copes_with_bytes_that_are_no_text",
      "cast(x'61ff62' AS text) REGEXP '^a' AND NOT cast(x'61ff62' AS text) REGEXP 'a.b'",
      "1", NULL },
    { "regexp_refuses_nested_repetition", "'a' REGEXP '((a{1,100}){1,100}){1,100}'", NULL,
      "too large" },
    { "regexp_takes_pluses_in_a_row_for_what_they_are",
      "'an' REGEXP 'n' || replace(hex(zeroblob(400)), '0', '+')", NULL, "quantifier" },
    { "regexp_bounds_nested_pluses",
      "'b' REGEXP replace(hex(zeroblob(20)), '0', '(') || 'a' || "
      "replace(hex(zeroblob(20)), '00', ')+)+')",
      "0", NULL },
    { "regexp_refuses_deep_nesting", "'a' REGEXP replace(hex(zeroblob(60)), '0', '(')",
      NULL, "nested" },
    { "regexp_refuses_long_patterns", "'a' REGEXP hex(zeroblob(600))", NULL, "1000 bytes" },
    { "regexp_gives_up_on_endless_matches", "hex(zeroblob(50)) || 'x' REGEXP '^(0|0|00)+$'",
      NULL, "limit exceeded" },
    { "regexp_takes_braces_in_brackets", "'{' REGEXP '[{]9{1}|[{]'", "1", NULL },
    { "regexp_takes_a_closing_bracket_in_brackets", "']{' REGEXP '^[]{]{2}$'", "1", NULL },
    { "regexp_takes_classes", "'a{9' REGEXP '^[[:alpha:]][{]9$'", "1", NULL },

    { "variance_is_of_a_sample", "(SELECT variance(x) FROM t)", "2.5", NULL },
    { "stddev_is_its_root", "(SELECT round(stddev(x), 6) FROM t)", "1.581139", NULL },
    { "variance_of_one_is_null", "(SELECT variance(x) FROM t WHERE x = 1)", NULL, NULL },
    { "variance_of_none_is_null", "(SELECT variance(x) FROM t WHERE 0)", NULL, NULL },
    { "variance_keeps_small_differences_of_large_numbers",
      "(SELECT variance(x + 1e9) FROM t)", "2.5", NULL },
    { "median_of_an_odd_number", "(SELECT median(x) FROM t)", "3.0", NULL },
    { "median_of_an_even_number", "(SELECT median(x) FROM t WHERE x < 5)", "2.5", NULL },
    { "median_of_none_is_null", "(SELECT median(x) FROM t WHERE x IS NULL)", NULL, NULL },
    { "quantile_interpolates", "(SELECT quantile(x, 0.9) FROM t)", "4.6", NULL },
    { "quantile_zero_is_the_least", "(SELECT quantile(x, 0) FROM t)", "1.0", NULL },
    { "quantile_one_is_the_largest", "(SELECT quantile(x, 1) FROM t)", "5.0", NULL },
    { "quantile_takes_numbers_in_text", "(SELECT quantile(cast(x AS text), 1) FROM t)",
      "5.0", NULL },
    { "quantile_skips_other_text",
      "(SELECT median(y) FROM (SELECT x AS y FROM t UNION ALL SELECT 'NA'))", "3.0", NULL },
    { "quantile_refuses_q_over_one", "(SELECT quantile(x, 1.5) FROM t)", NULL, "0 to 1" },
    { "quantile_refuses_q_null", "(SELECT quantile(x, NULL) FROM t)", NULL, "0 to 1" },
    { "quantile_refuses_a_moving_q", "(SELECT quantile(x, x / 10.0) FROM t)", NULL,
      "same" },
    { "count_distinct_counts_values_once",
      "(SELECT count_distinct(y) FROM (SELECT x AS y FROM t UNION ALL SELECT x FROM t))",
      "5", NULL },
    { "count_distinct_of_none_is_0", "(SELECT count_distinct(x) FROM t WHERE 0)", "0",
      NULL },
    { "count_distinct_of_null_is_0", "(SELECT count_distinct(x) FROM t WHERE x IS NULL)",
      "0", NULL },
    { "count_distinct_takes_1_and_1_0_for_one_value_and_texts_for_others",
      "(SELECT count_distinct(column1) FROM (VALUES (1), (1.0), ('1'), ('1.0'), (x'31'), "
      "(0.0), (-0.0), (0), (1.5), (''), (x''), (9e999), (-9e999), (9223372036854775807), "
      "(9223372036854775808.0)))",
      "12", NULL },
    { "math_is_compiled_in", "round(sqrt(2) + ln(1) + pow(2, 3), 4)", "9.4142", NULL },
    { "json_is_compiled_in", "json_extract('{\"a\":[1,2]}', '$.a[1]')", "2", NULL },
};

static void gives(void **state)
{
    const struct row *row = *state;
    struct err e;
    sqlite3 *db;
    sqlite3_stmt *stmt;
    char sql[1000];
    assert_int_equal(SQLITE_OK, sqlite3_open(":memory:", &db));
    PASS(&e, sql_functions_add(db, &e));
    assert_int_equal(SQLITE_OK, sqlite3_exec(db,
                                             "CREATE TABLE t(x); INSERT INTO t VALUES"
                                             "(3),(1),(NULL),(5),(2),(4)",
                                             NULL, NULL, NULL));
    snprintf(sql, sizeof sql, "SELECT %s", row->sql);
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL)) fail_msg("%s", sqlite3_errmsg(db));
    int rc = sqlite3_step(stmt);
    if (row->error) {
        assert_int_equal(SQLITE_ERROR, rc);
        if (!strstr(sqlite3_errmsg(db), row->error)) fail_msg("%s", sqlite3_errmsg(db));
    } else {
        if (rc != SQLITE_ROW) fail_msg("%s", sqlite3_errmsg(db));
        const char *got = (const char *)sqlite3_column_text(stmt, 0);
        if (row->want && got)
            assert_string_equal(row->want, got);
        else if (row->want != got)
            fail_msg("wanted %s, got %s", row->want ? row->want : "NULL",
                     got ? got : "NULL");
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

static sqlite3_int64 number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt;
    assert_int_equal(SQLITE_OK, sqlite3_prepare_v2(db, sql, -1, &stmt, NULL));
    assert_int_equal(SQLITE_ROW, sqlite3_step(stmt));
    sqlite3_int64 n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return n;
}

static void count_distinct_keeps_values_and_not_rows(void **state)
{
    (void)state;
    struct err e;
    sqlite3 *db;
    assert_int_equal(SQLITE_OK, sqlite3_open(":memory:", &db));
    PASS(&e, sql_functions_add(db, &e));
    sqlite3_int64 before = sqlite3_memory_used();
    sqlite3_memory_highwater(1);
    EQ_I64(7,
           number(db,
                  "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n "
                  "WHERE i < 299999) SELECT count_distinct('value ' || (i % 7)) FROM n"));
    assert_true(sqlite3_memory_highwater(0) - before < 256 << 10);
    static const char many[] =
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM "
        "n WHERE i < 299999), v(x) AS (SELECT CASE i % 3 WHEN 0 THEN "
        "i % 75000 ELSE 'text ' || (i % 37500) END FROM n) ";
    char ours[400], theirs[400];
    snprintf(ours, sizeof ours, "%s SELECT count_distinct(x) FROM v", many);
    snprintf(theirs, sizeof theirs, "%s SELECT count(DISTINCT x) FROM v", many);
    EQ_I64(number(db, theirs), number(db, ours));
    sqlite3_close(db);
}

int main(void)
{
    static const struct CMUnitTest more[] = { cmocka_unit_test(
        count_distinct_keeps_values_and_not_rows) };
    return test_main("sql_functions", more, N_OF(more), TABLE(rows, gives), N_OF(rows));
}
