#include "common/infer.h"

#include "tests/source_kit.h"
#include "tests/test.h"

struct infer_row {
    const char *name, *values; // | between them; N is a NULL
    enum type type;
};
static const struct infer_row infer_rows[] = {
    { "integers", "1|-2|0|9223372036854775807", TYPE_INTEGER },
    { "nothing", "", TYPE_TEXT },
    { "only_nulls", "N|N", TYPE_TEXT },
    { "nulls_are_skipped", "N|1|N", TYPE_INTEGER },
    { "a_leading_zero", "1|00501", TYPE_TEXT },
    { "only_leading_zeros", "00501|00502", TYPE_TEXT },
    { "minus_zero", "1|-0", TYPE_TEXT },
    { "a_plus", "1|+5", TYPE_TEXT },
    { "twenty_digits", "1|12345678901234567890", TYPE_TEXT },
    { "only_twenty_digits", "12345678901234567890", TYPE_TEXT },
    { "points", "1.5|2.25|-0.5", TYPE_REAL },
    { "integers_and_a_point", "1|2|3.5", TYPE_REAL },
    { "a_point_and_integers", "3.5|1|2", TYPE_REAL },
    { "a_long_integer_is_no_real", "1234567890123456789|1.5", TYPE_TEXT },
    { "and_the_other_way_round", "1.5|1234567890123456789", TYPE_TEXT },
    { "a_17_digit_integer_is_real", "12345678901234567|1.5", TYPE_REAL },
    { "too_many_digits", "1.2345678901234567890", TYPE_TEXT },
    { "exponents_are_codes", "1e5|2e7", TYPE_TEXT },
    { "an_exponent_among_integers", "100|1e5|200", TYPE_TEXT },
    { "an_exponent_among_points", "1.5|1e5", TYPE_REAL },
    { "an_exponent_before_a_point", "1e5|7|1.5", TYPE_REAL },
    { "a_leading_zero_among_points", "1.5|00501", TYPE_TEXT },
    { "a_leading_zero_with_a_point", "1.5|01.5", TYPE_TEXT },
    { "a_plus_among_points", "1.5|+2.5", TYPE_TEXT },
    { "zero_point_five", "0.5|-0.25", TYPE_REAL },
    { "not_a_number", "1.5|NaN", TYPE_TEXT },
    { "infinity", "1.5|inf", TYPE_TEXT },
    { "hexadecimal", "0x10", TYPE_TEXT },
    { "dates", "2024-02-29|1999-12-31", TYPE_DATE },
    { "no_such_day", "2024-02-29|2023-02-29", TYPE_TEXT },
    { "timestamps", "2024-02-29 12:00|2024-02-29T12:00:01.5Z", TYPE_TIMESTAMP },
    { "a_date_among_timestamps", "2024-02-29 12:00|2024-02-29", TYPE_TEXT },
    { "a_date_among_integers", "2024|2024-02-29", TYPE_TEXT },
    { "booleans_stay_text", "true|false", TYPE_TEXT },
    { "zeros_and_ones_are_integers", "0|1", TYPE_INTEGER },
    { "an_empty_string_is_text", "1||2", TYPE_TEXT },
    { "a_space", "1| 2", TYPE_TEXT },
    { "text", "a|b", TYPE_TEXT },
};

static struct csv_value value(const char *p, size_t n)
{
    return (struct csv_value){ p, n, false };
}

static struct infer_column column_of(const char *values)
{
    struct infer_column c = { 0 };
    while (*values) {
        size_t n = strcspn(values, "|");
        struct csv_value v = value(values, n);
        if (n == 1 && *values == 'N')
            infer_null(&c);
        else
            infer_value(&c, &v);
        values += n + (values[n] == '|');
    }
    return c;
}

static void infers(void **state)
{
    const struct infer_row *row = *state;
    struct infer_column c = column_of(row->values);
    assert_string_equal(type_name(row->type), type_name(infer_type(&c)));
}

static void the_evidence_says_what_ruled_a_type_out(void **state)
{
    (void)state;
    struct infer_column c = column_of("1|2|N|n/a|3|x");
    EQ_I64(5, c.values);
    EQ_I64(1, c.nulls);
    assert_int_equal(c.was, TYPE_INTEGER);
    assert_string_equal(c.because, "n/a");
    c = column_of("1|2");
    assert_int_equal(c.was, 0);
    c = column_of(
        "2024-02-29|a\nvery long values with \xe2\x82\xac\xe2\x82\xac\xe2\x82\xac "
        "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac");
    assert_int_equal(c.was, TYPE_DATE);
    assert_string_equal(c.because,
                        "a?very long values with \xe2\x82\xac\xe2\x82\xac\xe2\x82\xac "
                        "\xe2\x82\xac");
}

// ---- samples of files ----

struct sampled {
    struct source *s;
    struct schema schema;
    struct buf trial;
    uint64_t rows;
};

static err_t sample(const struct job *j, struct sampled *out, struct err *e)
{
    *out = (struct sampled){ 0 };
    PASS(e, source_open(&out->s, j, e));
    return source_infer(out->s, j, &out->schema, &out->trial, &out->rows, e);
}

static void sampled_free(struct sampled *m)
{
    source_close(&m->s);
    schema_free(&m->schema);
    buf_free(&m->trial);
}

static void expect_types(const struct schema *s, const char *types)
{
    char got[200] = "";
    for (uint32_t i = 0; i < s->n; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s%s", i ? " " : "",
                 type_name(s->f[i].type), s->f[i].given ? "!" : "");
    assert_string_equal(types, got);
}

struct file_row {
    const char *name, *text, *types;
    uint64_t rows;
};
static const struct file_row file_rows[] = {
    { "each_column_for_itself", "a,b,c\n1,x,1.5\n2,y,2\n", "integer text real", 2 },
    { "quoted_numbers_count", "a\n\"42\"\n7\n", "integer", 2 },
    { "a_quoted_empty_value_is_text", "a,b\n1,\"\"\n2,1\n", "integer text", 2 },
    { "an_unquoted_empty_value_is_null", "a,b\n1,\n2,1\n", "integer integer", 2 },
    { "ragged_rows_say_nothing", "a,b\n1,2\nx\nx,y,z\n3,4\n", "integer integer", 4 },
    { "rows_with_a_nul_say_nothing", "a,b\n1,2\nx,\xff\n3,4\n", "integer integer", 3 },
    { "blank_lines_are_no_rows", "a,b\n\n1,2\n\r\n3,4\n\n", "integer integer", 2 },
    { "in_one_column_they_are", "a\n1\n\n2\n", "integer", 3 },
    { "the_last_line_needs_no_end", "a,b\n1,2\n3,x", "integer text", 2 },
    { "an_open_quote_at_the_end", "a,b\n1,2\n3,\"4\n5,6\n", "integer text", 2 },
    { "a_header_alone", "a,b\n", "text text", 0 },
};

static void samples_small_files_whole(void **state)
{
    const struct file_row *row = *state;
    struct folder f = folder_new();
    struct err e;
    struct sampled m;
    put_text(&f, "a.csv", row->text);
    struct job j = job_of(&f, "a.csv");
    PASS(&e, sample(&j, &m, &e));
    expect_types(&m.schema, row->types);
    EQ_I64(row->rows, m.rows);
    sampled_free(&m);
    job_free(&j);
    folder_rm(&f);
}

static void null_strings_are_skipped(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct sampled m;
    put_text(&f, "a.csv", "a,b,c\n1,2,3\nNA,\"NA\",\n4,5,6\n");
    struct job j = job_of(&f, "a.csv");
    j.nulls_given = true;
    PASS(&e, strings_add(&j.nulls, "NA", 2, &e));
    PASS(&e, sample(&j, &m, &e));
    expect_types(&m.schema, "integer text text"); // "" is not in the list
    sampled_free(&m);
    job_free(&j);
    folder_rm(&f);
}

static void given_types_win(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct sampled m;
    put_text(&f, "a.csv", "Zip,n\n12345,1\n");
    struct job j = job_of(&f, "a.csv");
    PASS(&e, job_pairs_set(&j.types, "zip", "text", &e));
    PASS(&e, sample(&j, &m, &e));
    expect_types(&m.schema, "text! integer");
    uint32_t n;
    const struct infer_column *c = source_evidence(m.s, &n);
    EQ_I64(2, n);
    EQ_I64(1, c[0].values);
    sampled_free(&m);
    job_free(&j);
    folder_rm(&f);
}

static void a_type_for_no_column_is_refused(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct sampled m;
    put_text(&f, "a.csv", "date,delay,origin\n");
    struct job j = job_of(&f, "a.csv");
    PASS(&e, job_pairs_set(&j.types, "delya", "real", &e));
    EXPECT(ERR_INVALID, &e, sample(&j, &m, &e));
    assert_string_equal(e.text, "types: there is no column 'delya', did you mean 'delay'? "
                                "The columns are 'date', 'delay', 'origin'");
    sampled_free(&m);
    job_free(&j);
    j = job_of(&f, "a.csv");
    PASS(&e, job_pairs_set(&j.types, "delay", "float", &e));
    EXPECT(ERR_INVALID, &e, sample(&j, &m, &e));
    assert_string_equal(e.text,
                        "types: delay: 'float' is no type; it is one of integer, real, "
                        "text, boolean, date, timestamp");
    sampled_free(&m);
    job_free(&j);
    folder_rm(&f);
}

static void all_files_are_looked_at(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct sampled m;
    put_text(&f, "a.csv", "a,b\n1,1\n");
    put_gz(&f, "b.csv.gz", "a,b\n1,1.5\n", 10, 1);
    put_text(&f, "c.csv", "a,b\nx,1\n");
    struct job j = job_of(&f, "a.csv b.csv.gz c.csv");
    PASS(&e, sample(&j, &m, &e));
    expect_types(&m.schema, "text real");
    EQ_I64(3, m.rows);
    assert_memory_equal(m.trial.p, "1,1\n", 4);
    EQ_I64(4, m.trial.n);
    sampled_free(&m);
    job_free(&j);
    folder_rm(&f);
}

// A large file of rows "i,text" whose quoted texts have line ends and commas in them.
static char *large_text(size_t rows, size_t odd_row, const char *odd, size_t *n)
{
    char *p = malloc(rows * 100 + 100), *to = p;
    to += sprintf(to, "id,note,x\n");
    for (size_t i = 0; i < rows; i++)
        to += i == odd_row
                  ? sprintf(to, "%s\n", odd)
                  : sprintf(to, "%zu,\"line one, of\nrow %zu,\n\"\"three\"\"\",%zu.5\n", i,
                            i, i % 10);
    *n = (size_t)(to - p);
    return p;
}

static void large_files_are_sampled_in_the_middle_too(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct sampled m;
    size_t rows = 150000, n;
    char *text = large_text(rows, SIZE_MAX, "", &n);
    assert_true(n > 5 << 20);
    put_file(&f, "a.csv", text, n);
    struct job j = job_of(&f, "a.csv");
    PASS(&e, sample(&j, &m, &e));
    expect_types(&m.schema, "integer text real");
    assert_true(m.rows > rows * 95 / 100 && m.rows < rows * 105 / 100);
    assert_true(m.trial.n > 250000 && m.trial.n <= 256 << 10);
    assert_memory_equal(m.trial.p, text + strlen("id,note,x\n"), m.trial.n);
    uint32_t n_columns;
    const struct infer_column *c = source_evidence(m.s, &n_columns);
    assert_true(c[0].values > 10000 && c[0].values < rows);
    sampled_free(&m);
    free(text);

    // Every id past the first third is a code: the head alone would not know.
    text = large_text(rows, SIZE_MAX, "", &n);
    for (char *p = text + n / 3; (p = strstr(p, "\n9")); p++)
        p[1] = 'X';
    put_file(&f, "a.csv", text, n);
    PASS(&e, sample(&j, &m, &e));
    expect_types(&m.schema, "text text real");
    sampled_free(&m);
    free(text);
    job_free(&j);
    folder_rm(&f);
}

static void the_rows_of_compressed_files_are_estimated(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct sampled m;
    size_t rows = 60000, n;
    char *text = large_text(rows, SIZE_MAX, "", &n);
    put_zst(&f, "a.csv.zst", text, n, 1);
    put_gz(&f, "b.csv.gz", text, n, 1);
    struct job j = job_of(&f, "a.csv.zst b.csv.gz");
    PASS(&e, sample(&j, &m, &e));
    expect_types(&m.schema, "integer text real");
    assert_true(m.rows > rows && m.rows < 4 * rows);
    sampled_free(&m);
    job_free(&j);
    free(text);
    folder_rm(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_evidence_says_what_ruled_a_type_out),
        cmocka_unit_test(null_strings_are_skipped),
        cmocka_unit_test(given_types_win),
        cmocka_unit_test(a_type_for_no_column_is_refused),
        cmocka_unit_test(all_files_are_looked_at),
        cmocka_unit_test(large_files_are_sampled_in_the_middle_too),
        cmocka_unit_test(the_rows_of_compressed_files_are_estimated),
    };
    int failed =
        test_main("infer", tests, N_OF(tests), TABLE(infer_rows, infers), N_OF(infer_rows));
    return failed + test_main("sample", NULL, 0,
                              TABLE(file_rows, samples_small_files_whole), N_OF(file_rows));
}
