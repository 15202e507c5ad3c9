#include "tests/batches.h"
#include "tests/test.h"
#include "worker/transform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS "date date, delay integer, distance real, origin text, late boolean, x any"
#define ROWS                                       \
    "'2008-01-01', 70, 100.5, 'SFO', 1, 1; "       \
    "'2008-01-02', 5, 200.0, 'LAX', 0, 'one'; "    \
    "'2008-01-03', NULL, NULL, 'SFO', NULL, 2.5; " \
    "'2008-01-04', 'NA', 300.0, NULL, 1, NULL; "   \
    "'2008-01-05', 61, 0.5, '00501', 0, '1'"

static char mean[] = "mean", code[] = "code", nothing[] = "nothing";
static struct spec_param params[] = {
    { .name = mean, .value = { CELL_REAL, 0, { .r = 60.5 } } },
    { .name = code, .value = { CELL_TEXT, 3, { .p = (const uint8_t *)"SFO" } } },
    { .name = nothing, .value = { CELL_NULL, 0, { 0 } } },
};

static char holidays[] = "holidays", airports[] = "Airports";
static uint8_t holidays_csv[] = "2008-01-01,New Year,yes\n2008-01-04,\"Rest, long\",no\n";
static uint8_t airports_csv[] = "SFO,San Francisco,37.6\n00501,Holtsville,40.8\nLAX,,\n";

struct xf {
    struct spec spec;
    struct spec_table tables[2];
    struct schema in, result;
    bool want[8];
    void *state;
    struct batch batch, out;
    struct err e;
};

static err_t xf_open(struct xf *x, const char *sql)
{
    *x = (struct xf){ .spec = { .params = params, .n_params = N_OF(params) } };
    x->spec.dialect = (struct csv_dialect){ .delimiter = ',', .quote = '"' };
    x->spec.tables = x->tables;
    x->spec.n_tables = N_OF(x->tables);
    x->tables[0] = (struct spec_table){ .name = holidays,
                                        .csv = holidays_csv,
                                        .csv_bytes = sizeof holidays_csv - 1 };
    x->tables[1] = (struct spec_table){ .name = airports,
                                        .csv = airports_csv,
                                        .csv_bytes = sizeof airports_csv - 1 };
    schema_of(&x->tables[0].schema, "day date, name text, paid boolean");
    schema_of(&x->tables[1].schema, "code text, city text, lat real");
    schema_of(&x->in, COLUMNS);
    batch_of(&x->batch, &x->in, ROWS);
    return transform_sql.open(&x->state, &x->spec, &x->in, SQL_STEP(sql), x->want,
                              &x->result, &x->e);
}

static err_t xf_apply(struct xf *x)
{
    for (uint32_t i = 0; i < x->in.n; i++)
        x->batch.col[i].absent = !x->want[i];
    return transform_sql.apply(x->state, &x->batch, &x->out, NS_NEVER, &x->e);
}

static void xf_close(struct xf *x)
{
    transform_sql.close(&x->state);
    schema_free(&x->tables[0].schema);
    schema_free(&x->tables[1].schema);
    schema_free(&x->in);
    schema_free(&x->result);
    batch_free(&x->batch);
    batch_free(&x->out);
}

struct answer {
    const char *name;
    const char *sql;
    const char *rows;
    const char *columns; // "name type, ..." of the result; NULL: not looked at
    const char *want;    // a letter for each column of the batch: d e s o l x; NULL
};

static const struct answer answers[] = {
    { "late_flights", "SELECT origin, delay FROM batch WHERE delay > 60",
      "'SFO', 70; NULL, 'NA'; '00501', 61", "origin text, delay integer", "eo" },
    { "a_star_wants_all", "SELECT * FROM batch LIMIT 1",
      "'2008-01-01', 70, 100.5, 'SFO', 1, 1", COLUMNS, "desolx" },
    { "a_count_wants_nothing", "SELECT count(*) FROM batch", "5", "count(*) any", "" },
    { "an_expression_has_sqlites_name", "SELECT delay*2 FROM batch LIMIT 1", "140",
      "delay*2 any", "e" },
    { "same_names_get_a_suffix", "SELECT delay, Delay, late AS delay FROM batch LIMIT 1",
      "70, 70, 1", "delay integer, delay_2 integer, delay_3 boolean", "el" },
    { "a_suffix_avoids_names_there_are",
      "SELECT delay AS delay_2, delay, delay FROM batch LIMIT 1", "70, 70, 70",
      "delay_2 integer, delay integer, delay_3 integer", "e" },
    { "an_empty_name_gets_one", "SELECT late AS \"\" FROM batch LIMIT 1", "1",
      "column boolean", "l" },
    { "types_pass_through_subqueries",
      "SELECT d, l FROM (SELECT date AS d, late AS l FROM batch) LIMIT 1",
      "'2008-01-01', 1", "d date, l boolean", NULL },
    { "text_compares_as_text", "SELECT origin FROM batch WHERE origin = '00501'", "'00501'",
      "origin text", "o" },
    { "a_number_is_made_text_to_compare", "SELECT origin FROM batch WHERE origin = 501", "",
      NULL, "o" },
    { "text_is_made_a_number_to_compare", "SELECT delay FROM batch WHERE delay < '6'", "5",
      NULL, "e" },
    { "nulls_match_no_comparison", "SELECT delay FROM batch WHERE delay <> 5",
      "70; 'NA'; 61", NULL, NULL },
    { "nulls_are_found", "SELECT date FROM batch WHERE delay IS NULL", "'2008-01-03'", NULL,
      "de" },
    { "dates_have_an_order", "SELECT date FROM batch WHERE date >= '2008-01-04'",
      "'2008-01-04'; '2008-01-05'", "date date", "d" },
    { "rows_keep_their_order_with_or",
      "SELECT delay FROM batch WHERE delay = 61 OR delay = 70 OR delay = 5", "70; 5; 61",
      NULL, NULL },
    { "rows_keep_their_order_with_in", "SELECT delay FROM batch WHERE delay IN (61, 5, 70)",
      "70; 5; 61", NULL, NULL },
    { "a_natural_join_wants_its_columns",
      "SELECT count(*) FROM batch a JOIN batch b USING(origin)", "6", NULL, "o" },
    { "order_by", "SELECT distance FROM batch ORDER BY distance DESC",
      "300.0; 200.0; 100.5; 0.5; NULL", "distance real", "s" },
    { "order_by_text_is_copied",
      "SELECT origin, x FROM batch ORDER BY origin, delay LIMIT 3",
      "NULL, NULL; '00501', '1'; 'LAX', 'one'", NULL, NULL },
    { "group_by",
      "SELECT origin, count(*) AS n FROM batch GROUP BY origin ORDER BY n, origin",
      "NULL, 1; '00501', 1; 'LAX', 1; 'SFO', 2", "origin text, n any", "o" },
    { "windows", "SELECT row_number() OVER (ORDER BY date DESC) FROM batch LIMIT 2", "1; 2",
      NULL, "d" },
    { "common_table_expressions",
      "WITH m(d) AS (SELECT distance FROM batch) SELECT max(d), (SELECT count(*) FROM m) "
      "FROM m",
      "300.0, 5", NULL, "s" },
    { "unions_keep_each_value",
      "SELECT delay FROM batch WHERE delay = 5 UNION ALL SELECT 'x'", "5; 'x'", NULL,
      NULL },
    { "one_row_to_many",
      "SELECT origin, value FROM batch, json_each('[1,2]') WHERE delay = 5",
      "'LAX', 1; 'LAX', 2", NULL, NULL },
    { "json_of_the_batch", "SELECT json_group_array(origin) FROM batch",
      "'[\"SFO\",\"LAX\",\"SFO\",null,\"00501\"]'", NULL, "o" },
    { "params_by_colon", "SELECT delay FROM batch WHERE delay > :mean AND origin = :code",
      "70", NULL, "eo" },
    { "params_by_at_and_dollar", "SELECT @mean, $code, :nothing", "60.5, 'SFO', NULL",
      "@mean any, $code any, :nothing any", "" },
    { "our_own_functions",
      "SELECT median(distance), x REGEXP '^o' FROM batch WHERE x='one'", "200.0, 1", NULL,
      NULL },
    { "strptime_of_a_column", "SELECT strptime(date, '%Y-%m-%d') FROM batch LIMIT 1",
      "'2008-01-01 00:00:00'", NULL, "d" },
    { "blobs", "SELECT CAST(origin AS BLOB), zeroblob(2), x'' FROM batch LIMIT 1",
      "x'53464f', x'0000', x''", NULL, NULL },
    { "infinity", "SELECT 9e999, -9e999", "inf, -inf", NULL, NULL },
    { "values", "VALUES (1, 'a'), (2, 'b')", "1, 'a'; 2, 'b'", NULL, "" },
    { "a_semicolon_at_the_end", "SELECT delay FROM batch LIMIT 1;", "70", NULL, NULL },
    { "a_comment_at_the_end", "SELECT delay FROM batch LIMIT 1 -- one; only", "70", NULL,
      NULL },
    { "a_comment_never_closed", "SELECT delay, origin FROM batch LIMIT 1 /* one; only",
      "70, 'SFO'", "delay integer, origin text", NULL },
    { "lookup_tables_are_joined",
      "SELECT date, city, lat FROM batch JOIN airports ON code = origin ORDER BY date",
      "'2008-01-01', 'San Francisco', 37.6; '2008-01-02', NULL, NULL; "
      "'2008-01-03', 'San Francisco', 37.6; '2008-01-05', 'Holtsville', 40.8",
      "date date, city text, lat real", "do" },
    { "lookup_tables_are_joined_from_the_left",
      "SELECT delay, name, paid FROM batch LEFT JOIN holidays h ON h.day = batch.date",
      "70, 'New Year', 1; 5, NULL, NULL; NULL, NULL, NULL; 'NA', 'Rest, long', 0; "
      "61, NULL, NULL",
      "delay integer, name text, paid boolean", "de" },
    { "lookup_tables_alone", "SELECT count(*) FROM holidays", "2", NULL, "" },
    { "lookup_tables_in_a_condition",
      "SELECT delay FROM batch WHERE date IN (SELECT day FROM holidays)", "70; 'NA'", NULL,
      "de" },
    { "columns_beside_expressions_are_of_the_same_row",
      "SELECT delay, x, delay || '', distance, origin FROM batch WHERE delay IS NOT 5",
      "70, 1, '70', 100.5, 'SFO'; NULL, 2.5, NULL, NULL, 'SFO'; 'NA', NULL, 'NA', 300.0, "
      "NULL; 61, '1', '61', 0.5, '00501'",
      "delay integer, x any, delay || '' any, distance real, origin text", "eosx" },
    { "columns_alone_where_nothing_matches", "SELECT delay, x FROM batch WHERE delay = 900",
      "", "delay integer, x any", "ex" },
    { "dates_without_now", "SELECT date(date, '+1 month') FROM batch LIMIT 1",
      "'2008-02-01'", NULL, "d" },
};

static void is_answered(void **state)
{
    const struct answer *row = *state;
    struct xf x;
    PASS(&x.e, xf_open(&x, row->sql));
    PASS(&x.e, xf_apply(&x));
    char *got = batch_show(&x.out);
    assert_string_equal(row->rows, got);
    free(got);
    if (row->columns) {
        char all[1000] = "";
        for (uint32_t i = 0; i < x.result.n; i++) {
            size_t n = strlen(all);
            snprintf(all + n, sizeof all - n, "%s%s %s", i ? ", " : "", x.result.f[i].name,
                     type_name(x.result.f[i].type));
        }
        assert_string_equal(row->columns, all);
    }
    for (uint32_t i = 0; row->want && i < x.in.n; i++)
        EQ_I64(!!strchr(row->want, "desolx"[i]), x.want[i]);
    xf_close(&x);
}

struct mistake {
    const char *name;
    const char *sql;
    const char *says;
};

static const struct mistake mistakes[] = {
    { "an_unknown_column", "SELECT origin, delai FROM batch",
      "line 1, column 16: no such column: delai; the batch has: date, delay, distance, "
      "origin, "
      "late, x; did you mean 'delay'?" },
    { "an_unknown_column_of_an_alias", "SELECT b.delai FROM batch b",
      "did you mean 'delay'?" },
    { "a_column_like_no_other", "SELECT zzzzzzzzz FROM batch", "late, x" },
    { "text_in_double_quotes", "SELECT delay FROM batch WHERE origin = \"SFO\"",
      "text is written in single quotes: 'SFO'" },
    { "an_unknown_table", "SELECT * FROM bach",
      "no such table: bach; there are: batch, holidays, Airports; did you mean 'batch'?" },
    { "a_write_to_a_table", "DELETE FROM holidays",
      "not allowed in a transform: DELETE FROM holidays" },
    { "a_column_of_a_table", "SELECT h.dya FROM holidays h", "no such column: h.dya" },
    { "a_syntax_error", "SELECT origin\nFORM batch",
      "line 2, column 6: near \"batch\": syntax error" },
    { "an_unknown_function", "SELECT medain(delay) FROM batch",
      "no such function: medain" },
    { "rowid", "SELECT rowid FROM batch", "not allowed in a transform: rowid of batch" },
    { "rowid_by_another_name", "SELECT _rowid_ FROM batch", "rowid of batch" },
    { "an_unknown_param", "SELECT :meen",
      "no such param: :meen; the params are: mean, code, "
      "nothing; did you mean 'mean'?" },
    { "a_param_without_a_name", "SELECT ?",
      "params are bound by name: write :name, not ?" },
    { "a_numbered_param", "SELECT ?1", "not ?1" },
    { "two_statements", "SELECT 1; SELECT 2", "one statement is wanted" },
    { "no_statement", " ", "there is no SQL statement" },
    { "an_update", "UPDATE batch SET delay = 1", "" },
    { "a_delete", "DELETE FROM batch", "" },
    { "a_table_of_its_own", "CREATE TABLE x(y)", "not allowed in a transform: CREATE" },
    { "attach", "ATTACH 'x' AS y", "not allowed in a transform: ATTACH" },
    { "a_pragma", "PRAGMA database_list",
      "not allowed in a transform: PRAGMA database_list" },
    { "load_extension", "SELECT load_extension('x')",
      "not allowed in a transform: load_extension()" },
    { "random", "SELECT random() FROM batch", "not allowed in a transform: random()" },
    { "the_schema", "SELECT * FROM sqlite_schema", "not allowed in a transform: reading" },
    { "current_timestamp", "SELECT CURRENT_TIMESTAMP", "pass the time as a param" },
    { "the_function_that_collects_rows", "SELECT tranche_emit(delay) FROM batch",
      "no such function" },
    { "a_function_of_the_table", "SELECT * FROM batch('x')",
      "too many arguments on batch" },
};

static void is_explained(void **state)
{
    const struct mistake *row = *state;
    struct xf x;
    EXPECT(ERR_TRANSFORM, &x.e, xf_open(&x, row->sql));
    if (!strstr(x.e.text, row->says)) fail_msg("%s", x.e.text);
    assert_null(x.state);
    EQ_I64(0, x.result.n);
    xf_close(&x);
}

static const struct mistake failures[] = {
    { "a_runtime_error", "SELECT abs(-9223372036854775807 - 1)", "integer overflow" },
    { "now", "SELECT date('now') FROM batch", "'now' is not allowed in a transform" },
    { "now_by_default", "SELECT datetime() FROM batch", "pass the time as a param" },
    { "now_in_a_condition", "SELECT 1 FROM batch WHERE date < date('n' || 'ow')", "'now'" },
    { "localtime", "SELECT datetime(date, 'localtime') FROM batch", "time zone" },
    { "a_large_value", "SELECT zeroblob(40000000)", "larger than 32 MiB" },
    { "malformed_json", "SELECT json_extract(origin, '$.a') FROM batch", "malformed JSON" },
};

static void fails(void **state)
{
    const struct mistake *row = *state;
    struct xf x;
    PASS(&x.e, xf_open(&x, row->sql));
    EXPECT(ERR_TRANSFORM, &x.e, xf_apply(&x));
    if (!strstr(x.e.text, row->says)) fail_msg("%s", x.e.text);
    xf_close(&x);
}

static bool lies_in(const uint8_t *p, const struct vec *v, uint32_t rows)
{
    return p >= v->bytes && p < v->bytes + v->off[rows];
}

static void text_of_the_batch_is_borrowed_and_other_text_copied(void **state)
{
    (void)state;
    struct xf x;
    PASS(&x.e, xf_open(&x, "SELECT origin, origin || '', :code FROM batch"));
    PASS(&x.e, xf_apply(&x));
    const struct vec *origin = &x.batch.col[3];
    assert_true(lies_in(batch_cell(&x.out, 0, 0).p, origin, x.batch.rows));
    assert_false(lies_in(batch_cell(&x.out, 1, 0).p, origin, x.batch.rows));
    transform_sql.close(&x.state); // what was copied outlives SQLite
    char *got = batch_show(&x.out);
    assert_string_equal("'SFO', 'SFO', 'SFO'; 'LAX', 'LAX', 'SFO'; 'SFO', 'SFO', 'SFO'; "
                        "NULL, NULL, 'SFO'; '00501', '00501', 'SFO'",
                        got);
    free(got);
    xf_close(&x);
}

static void a_result_can_have_two_thousand_columns(void **state)
{
    (void)state;
    struct xf x;
    struct buf sql = { 0 };
    struct err e;
    for (int i = 0; i < 2000; i++)
        PASS(&e, buf_printf(&sql, &e, "%s", i ? ", delay" : "SELECT delay"));
    PASS(&e, buf_printf(&sql, &e, " FROM batch WHERE delay = 5"));
    PASS(&x.e, xf_open(&x, (const char *)sql.p));
    PASS(&x.e, xf_apply(&x));
    EQ_I64(2000, x.out.n_cols);
    EQ_I64(1, x.out.rows);
    assert_string_equal("delay_2000", x.result.f[1999].name);
    EQ_I64(5, batch_cell(&x.out, 1999, 0).i);
    xf_close(&x);
    buf_free(&sql);
}

static void two_statements_do_not_share_anything(void **state)
{
    (void)state;
    struct xf a, b;
    PASS(&a.e, xf_open(&a, "SELECT delay FROM batch WHERE delay = 5"));
    PASS(&b.e, xf_open(&b, "SELECT origin FROM batch WHERE origin = 'LAX'"));
    PASS(&a.e, xf_apply(&a));
    PASS(&b.e, xf_apply(&b));
    PASS(&a.e, xf_apply(&a));
    EQ_I64(5, batch_cell(&a.out, 0, 0).i);
    EQ_I64(3, batch_cell(&b.out, 0, 0).len);
    xf_close(&a);
    xf_close(&b);
}

static void refuses_lookup_tables_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        const char *name, *csv, *says;
    } bad[] = {
        { "batch", "1\n", "cannot be named 'batch'" },
        { "SQLITE_x", "1\n", "cannot be named" },
        { "json_each", "1\n", "cannot be named" },
        { "", "1\n", "cannot be named" },
        { "codes", "1\n1,2\n", "table codes: line 3: " },
        { "codes", "\"1\n", "table codes: line 2: " },
    };
    for (size_t i = 0; i < N_OF(bad); i++) {
        struct err e;
        char name[20], csv[20];
        strcpy(name, bad[i].name);
        strcpy(csv, bad[i].csv);
        struct spec_table t = { .name = name,
                                .csv = (uint8_t *)csv,
                                .csv_bytes = strlen(csv) };
        struct spec spec = { .tables = &t, .n_tables = 1 };
        spec.dialect = (struct csv_dialect){ .delimiter = ',', .quote = '"' };
        struct schema in, result;
        bool want[1];
        void *x;
        schema_of(&t.schema, "id integer");
        schema_of(&in, "id integer");
        EXPECT(ERR_TRANSFORM, &e,
               transform_sql.open(&x, &spec, &in, SQL_STEP("SELECT 1"), want, &result, &e));
        if (!strstr(e.text, bad[i].says)) fail_msg("%s", e.text);
        assert_null(x);
        schema_free(&t.schema);
        schema_free(&in);
    }
}

static void hostile_column_names_are_only_names(void **state)
{
    (void)state;
    struct err e;
    struct spec spec = { 0 };
    struct schema in = { 0 }, result;
    static const char *const names[] = { "a\"b",        "); DROP TABLE x; --",
                                         "select",      " ",
                                         "rowid",       "x hidden",
                                         "caf\xc3\xa9", "a'b" };
    for (size_t i = 0; i < N_OF(names); i++)
        PASS(&e, schema_add(&in, names[i], strlen(names[i]), TYPE_INTEGER, false, &e));
    struct batch b = { 0 }, out = { 0 };
    batch_of(&b, &in, "1, 2, 3, 4, 5, 6, 7, 8");
    bool want[N_OF(names)] = { false };
    void *x;
    PASS(&e, transform_sql.open(&x, &spec, &in, SQL_STEP("SELECT *, rowid FROM batch"),
                                want, &result, &e));
    for (size_t i = 0; i < N_OF(names); i++) {
        assert_true(want[i]);
        assert_string_equal(names[i], result.f[i].name);
    }
    PASS(&e, transform_sql.apply(x, &b, &out, NS_NEVER, &e));
    char *got = batch_show(&out);
    assert_string_equal("1, 2, 3, 4, 5, 6, 7, 8, 5", got);
    free(got);
    transform_sql.close(&x);
    schema_free(&in);
    schema_free(&result);
    batch_free(&b);
    batch_free(&out);
}

static const struct sums {
    const char *name, *sql;
    bool sums;
} sums[] = {
    { "a_group_by_sums_up", "SELECT origin, count(*) FROM batch GROUP BY origin", true },
    { "a_count_sums_up", "SELECT count(*) FROM batch", true },
    { "a_maximum_sums_up", "SELECT max(delay) FROM batch WHERE late", true },
    { "a_join_is_summed_up",
      "SELECT a.city, sum(delay) FROM batch JOIN airports a ON a.code = origin GROUP BY 1",
      true },
    { "a_part_of_a_union_sums_up",
      "SELECT delay FROM batch UNION ALL SELECT sum(delay) FROM batch", true },
    { "a_subquery_over_the_batch_is_summed_up",
      "SELECT count(*) FROM (SELECT DISTINCT origin FROM batch)", true },
    { "a_filter_sums_nothing_up", "SELECT delay FROM batch WHERE delay > 60", false },
    { "the_larger_of_two_values_sums_nothing_up", "SELECT max(delay, 60) FROM batch",
      false },
    { "a_column_named_count_sums_nothing_up", "SELECT delay AS \"count(*)\" FROM batch",
      false },
    { "a_sum_over_a_lookup_table_is_whole",
      "SELECT delay - (SELECT avg(lat) FROM airports) FROM batch", false },
    { "a_sum_over_the_matching_rows_of_a_lookup_table_is_whole",
      "SELECT delay, (SELECT max(lat) FROM airports WHERE code = origin) FROM batch",
      false },
    { "groups_of_a_lookup_table_are_whole",
      "SELECT delay, n FROM batch JOIN (SELECT code, count(*) AS n FROM airports GROUP BY "
      "code) ON code = origin",
      false },
    { "elements_of_a_list_are_the_rows_own",
      "SELECT (SELECT sum(value) FROM json_each('[1,2]')) FROM batch", false },
    { "a_window_is_no_group", "SELECT row_number() OVER (ORDER BY delay) FROM batch",
      false },
};

static void is_told_to_sum_up(void **state)
{
    const struct sums *s = *state;
    struct xf x;
    PASS(&x.e, xf_open(&x, s->sql));
    EQ_I64(s->sums, transform_sql.gathers(x.state, SQL_STEP(s->sql)));
    PASS(&x.e, xf_apply(&x)); // it was only looked at
    xf_close(&x);
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(text_of_the_batch_is_borrowed_and_other_text_copied),
        cmocka_unit_test(a_result_can_have_two_thousand_columns),
        cmocka_unit_test(two_statements_do_not_share_anything),
        cmocka_unit_test(refuses_lookup_tables_that_cannot_be),
        cmocka_unit_test(hostile_column_names_are_only_names),
    };
    int bad =
        test_main("xf_sql", plain, N_OF(plain), TABLE(answers, is_answered), N_OF(answers));
    bad += test_main("xf_sql mistakes", NULL, 0, TABLE(mistakes, is_explained),
                     N_OF(mistakes));
    bad += test_main("xf_sql failures", NULL, 0, TABLE(failures, fails), N_OF(failures));
    bad += test_main("xf_sql sums", NULL, 0, TABLE(sums, is_told_to_sum_up), N_OF(sums));
    return bad;
}
