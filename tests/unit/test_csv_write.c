#include "common/csv_write.h"

#include "common/csv_read.h"
#include "common/number.h"
#include "tests/batches.h"
#include "tests/random_batch.h"
#include "tests/test.h"

static const struct csv_dialect plain = { .delimiter = ',', .quote = '"' };

struct text { // a region with a NUL behind what is in it
    struct region to;
    uint8_t room[4096];
};

static const char *written(struct text *t)
{
    t->room[t->to.n] = 0;
    return (const char *)t->room;
}

static void write_all(struct text *t, const struct csv_dialect *d, const struct schema *s,
                      const struct batch *b)
{
    struct err e;
    struct csv_writer *w;
    uint32_t row = 0;
    t->to = (struct region){ .p = t->room, .cap = sizeof t->room - 1 };
    PASS(&e, csv_writer_new(&w, d, s, &e));
    PASS(&e, csv_write_header(w, &t->to, &e));
    PASS(&e, csv_write_rows(w, b, &row, &t->to, &e));
    EQ_I64(b->rows, row);
    csv_writer_free(&w);
    assert_null(w);
}

struct golden {
    const char *name, *columns, *rows, *want;
    struct csv_dialect dialect;
};

static const char *const na[] = { "NA", "-" }, *const na_and_empty[] = { "NA", "" };

static const struct golden golden[] = {
    { "nothing", "a text", "", "a\n", { ',', '"', 0, 0 } },
    { "plain_values",
      "a text, i integer, r real",
      "'x', 5, 1.5; 'y y', -7, -0.0",
      "a,i,r\nx,5,1.5\ny y,-7,-0.0\n",
      { ',', '"', 0, 0 } },
    { "null_is_not_the_empty_text",
      "a text, b text",
      "NULL, ''; '', NULL",
      "a,b\n,\"\"\n\"\",\n",
      { ',', '"', 0, 0 } },
    { "null_alone_is_a_blank_line",
      "a text",
      "NULL; ''; 'x'",
      "a\n\n\"\"\nx\n",
      { ',', '"', 0, 0 } },
    { "what_needs_quotes_gets_them",
      "a text",
      "'a,b'; '\"'; 'a\"b\"'; 'a\nb'; 'a\rb'; ' a '; ';'; '\xef\xbb\xbfx'",
      "a\n\"a,b\"\n\"\"\"\"\n\"a\"\"b\"\"\"\n\"a\nb\"\n\"a\rb\"\n a "
      "\n;\n\"\xef\xbb\xbfx\"\n",
      { ',', '"', 0, 0 } },
    { "long_texts_are_searched_to_their_end",
      "a text",
      "'12345678,'; '1234567\"123456789'; '123456789012345\n'; '123456789012345'",
      "a\n\"12345678,"
      "\"\n\"1234567\"\"123456789\"\n\"123456789012345\n\"\n123456789012345\n",
      { ',', '"', 0, 0 } },
    { "names_are_quoted_too", "axb text", "", "\"axb\"\n", { 'x', '"', 0, 0 } },
    { "another_dialect",
      "a text, b integer",
      "'a,b', 1; 'a;b', 2; 'a''b', 3; '\"', 4",
      "a;b\na,b;1\n'a;b';2\n'a''b';3\n\";4\n",
      { ';', '\'', 0, 0 } },
    { "null_strings",
      "a text, b text",
      "NULL, 'NA'; '-', ''",
      "a,b\nNA,\"NA\"\n\"-\",\"\"\n",
      { ',', '"', na, 2 } },
    { "the_empty_string_among_them",
      "a text, b text",
      "NULL, 'NA'",
      "a,b\n,\"NA\"\n",
      { ',', '"', na_and_empty, 2 } },
    { "booleans_dates_and_misfits",
      "b boolean, d date, i integer",
      "1, '2008-02-29', 'n/a'; 0, 'never', '00501'",
      "b,d,i\ntrue,2008-02-29,n/a\nfalse,never,00501\n",
      { ',', '"', 0, 0 } },
    { "any",
      "x any",
      "5; 5.0; 'a,b'; x'00ff'; NULL; 0.1",
      "x\n5\n5.0\n\"a,b\"\n\\x00ff\n\n0.1\n",
      { ',', '"', 0, 0 } },
    { "no_quotes_needed_where_there_are_none",
      "a text",
      "'a\"b'; NULL",
      "a\na\"b\n\n",
      { ',', 0, 0, 0 } },
};

static void is_written_so(void **state)
{
    const struct golden *g = *state;
    struct text t;
    struct schema s;
    struct batch b = { 0 };
    schema_of(&s, g->columns);
    batch_of(&b, &s, g->rows);
    write_all(&t, &g->dialect, &s, &b);
    assert_string_equal(g->want, written(&t));
    batch_free(&b);
    schema_free(&s);
}

static void absent_columns_are_null(void **state)
{
    (void)state;
    struct text t;
    struct schema s;
    struct batch b = { 0 };
    schema_of(&s, "a text, b integer");
    batch_of(&b, &s, "'x', 1; 'y', 2");
    b.col[0].absent = true;
    write_all(&t, &plain, &s, &b);
    assert_string_equal("a,b\n,1\n,2\n", written(&t));
    batch_free(&b);
    schema_free(&s);
}

static void texts_that_need_quotes_are_refused_without(void **state)
{
    (void)state;
    struct err e;
    struct csv_writer *w;
    struct text t;
    struct schema s;
    struct batch b = { 0 };
    uint32_t row = 0;
    schema_of(&s, "a text");
    batch_of(&b, &s, "'fine'; 'a,b'");
    t.to = (struct region){ .p = t.room, .cap = sizeof t.room };
    struct csv_dialect d = { .delimiter = ',', .quote = 0 };
    PASS(&e, csv_writer_new(&w, &d, &s, &e));
    EXPECT(ERR_INVALID, &e, csv_write_rows(w, &b, &row, &t.to, &e));
    assert_non_null(strstr(e.text, "no quotes"));
    EQ_I64(1, row);
    csv_writer_free(&w);
    d.delimiter = '\n';
    EXPECT(ERR_INVALID, &e, csv_writer_new(&w, &d, &s, &e));
    assert_null(w);
    batch_free(&b);
    schema_free(&s);
}

// Whatever the room is, the pieces together are the whole, and each is whole rows.
static void rows_that_do_not_fit_wait_for_more_room(void **state)
{
    (void)state;
    struct err e;
    struct csv_writer *w;
    struct text t, whole;
    struct schema s;
    struct batch b = { 0 };
    schema_of(&s, "a text, b real");
    batch_of(&b, &s, "'x,y', 1.5; NULL, NULL; 'a long, long, long text', 0.1; '', -2.0");
    write_all(&whole, &plain, &s, &b);
    PASS(&e, csv_writer_new(&w, &plain, &s, &e));
    for (size_t room = 0; room < 200; room++) {
        uint32_t row = 0;
        t.to = (struct region){ .p = t.room, .cap = room };
        err_t rc = csv_write_header(w, &t.to, &e);
        assert_true(rc == ERR_OK || (rc == ERR_TOOBIG && t.to.n == 0));
        for (uint32_t before = 1; rc == ERR_OK && row != before;) {
            before = row;
            t.to.cap = t.to.n + room;
            PASS(&e, csv_write_rows(w, &b, &row, &t.to, &e));
            assert_memory_equal(whole.room, t.room, t.to.n);
            assert_true(t.room[t.to.n - 1] == '\n');
        }
        if (rc == ERR_OK && room > 100) {
            EQ_I64(b.rows, row);
            EQ_I64(whole.to.n, t.to.n);
        }
    }
    csv_writer_free(&w);
    batch_free(&b);
    schema_free(&s);
}

// What a seed makes is read back by csv_read, with the types given.

static void spice(struct rnd *r, struct batch *b) // with what needs quotes
{
    static const char special[] = ",\"\n\r ";
    for (uint32_t i = 0; i < b->n_cols; i++) {
        struct vec *v = &b->col[i];
        if (!type_is_text(v->type)) continue;
        for (uint32_t k = 0; k < v->off[b->rows]; k++)
            if (rnd_percent(r, 10)) v->bytes[k] = (uint8_t)special[rnd_below(r, 5)];
    }
}

static void any_batch_reads_back_the_same(void **state)
{
    (void)state;
    struct err e;
    struct rnd r = rnd_seed("csv_write");
    static uint8_t block[(4 << 20) + 2 * CSV_PAD];
    for (int i = 0; i < 200; i++) {
        struct schema s = { 0 };
        struct batch b = { 0 }, got = { 0 };
        struct rejects rejects = { 0 };
        struct csv_read_stats stats;
        struct csv_reader *reader;
        struct csv_writer *w;
        struct batch_taste taste = {
            .nulls = 20, .text_max = 12, .long_texts = 5, .long_max = 300
        };
        random_schema(&r, 1 + rnd_below(&r, 8), 30, &s);
        for (uint32_t k = 0; k < s.n; k++)
            if (s.f[k].type == TYPE_ANY) s.f[k].type = TYPE_TEXT;
        random_batch(&r, &s, 1 + rnd_below(&r, 200), &taste, &b);
        spice(&r, &b);
        struct region to = { .p = block + CSV_PAD, .cap = 4 << 20 };
        uint32_t row = 0;
        PASS(&e, csv_writer_new(&w, &plain, &s, &e));
        PASS(&e, csv_write_rows(w, &b, &row, &to, &e));
        EQ_I64(b.rows, row);
        memset(to.p + to.n, '"', CSV_PAD);
        PASS(&e, csv_reader_new(&reader, &plain, &s, NULL, &e));
        PASS(&e, csv_read_chunk(reader, to.p, to.n, (struct csv_read_pos){ 0, 1 }, &got,
                                &rejects, &stats, &e));
        EQ_I64(0, rejects.n);
        char *was = batch_show(&b), *is = batch_show(&got);
        size_t at = 0;
        while (was[at] && was[at] == is[at])
            at++;
        if (was[at] != is[at])
            fail_msg("byte %zu: wanted %.60s\n  got %.60s", at, was + at, is + at);
        free(was);
        free(is);
        csv_reader_free(&reader);
        csv_writer_free(&w);
        rejects_free(&rejects);
        batch_free(&b);
        batch_free(&got);
        schema_free(&s);
    }
}

static void numbers_are_as_short_as_they_can_be(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *want;
    } rows[] = {
        { 0.0, "0.0" },
        { -0.0, "-0.0" },
        { 1.0, "1.0" },
        { 0.1, "0.1" },
        { -12.25, "-12.25" },
        { 1e-5, "0.00001" },
        { 1e-6, "1e-06" },
        { 123456.789, "123456.789" },
        { 1e14, "100000000000000.0" },
        { 1e15, "1e+15" },
        { 1e22, "1e+22" },
        { 1e300, "1e+300" },
        { 0.1 + 0.2, "0.30000000000000004" },
        { 1.0 / 3, "0.3333333333333333" },
        { 9007199254740993.0, "9007199254740992.0" },
        { 13363020379541362.0, "1.3363020379541362e+16" },
        { 1.7976931348623157e308, "1.7976931348623157e+308" },
        { __builtin_inf(), "9e999" },
        { -__builtin_inf(), "-9e999" },
        { __builtin_nan(""), "0.0" },
    };
    for (size_t i = 0; i < N_OF(rows); i++) {
        char got[NUMBER_MAX + 1];
        got[number_put_real(got, rows[i].v)] = 0;
        assert_string_equal(rows[i].want, got);
    }
    static const int64_t integers[] = { 0, -1, 9, 10, 99, 100, INT64_MAX, INT64_MIN };
    for (size_t i = 0; i < N_OF(integers); i++) {
        char got[NUMBER_MAX + 1], want[NUMBER_MAX + 1];
        got[number_put_integer(got, integers[i])] = 0;
        snprintf(want, sizeof want, "%lld", (long long)integers[i]);
        assert_string_equal(want, got);
    }
}

static void every_real_reads_back_the_same(void **state)
{
    (void)state;
    struct rnd r = rnd_seed("number");
    for (int i = 0; i < 200000; i++) {
        char got[NUMBER_MAX + 1], best[40];
        double v = random_real(&r);
        if (rnd_percent(&r, 40)) v = (double)(int64_t)rnd_below(&r, 1000000) / 1000;
        size_t n = number_put_real(got, v);
        assert_true(n <= NUMBER_MAX);
        got[n] = 0;
        double back = strtod(got, NULL);
        if (memcmp(&back, &v, sizeof v) != 0) fail_msg("%.17g was written as %s", v, got);
        if (!strpbrk(got, ".e")) fail_msg("%s is an integer", got);
        snprintf(best, sizeof best, "%.17g", v);
        if (n > strlen(best) + 5) fail_msg("%s is longer than %s", got, best);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_columns_are_null),
        cmocka_unit_test(texts_that_need_quotes_are_refused_without),
        cmocka_unit_test(rows_that_do_not_fit_wait_for_more_room),
        cmocka_unit_test(any_batch_reads_back_the_same),
        cmocka_unit_test(numbers_are_as_short_as_they_can_be),
        cmocka_unit_test(every_real_reads_back_the_same),
    };
    return test_main("csv_write", tests, N_OF(tests), TABLE(golden, is_written_so),
                     N_OF(golden));
}
