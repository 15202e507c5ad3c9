#include "common/csv_read.h"

#include "tests/csv_read_kit.h"

static const struct csv_dialect rfc = { .delimiter = ',', .quote = '"' };

struct row {
    const char *name;
    const char *types;
    const char *text;
    const char *rows; // each ends in LF
    const char *why;  // reason of the only reject
};

static const struct row cases[] = {
    { "integers", "i",
      "0\n-1\n12345678\n123456789\n9223372036854775807\n-9223372036854775808\n",
      "i:0|\ni:-1|\ni:12345678|\ni:123456789|\ni:9223372036854775807|\n"
      "i:-9223372036854775808|\n",
      NULL },
    { "what does not round-trip is no inferred integer", "i",
      "007\n-0\n+1\n 1\n1 \n00\n9223372036854775808\n1.0\n-\n1e5\n\"\"\n",
      "m:007|\nm:-0|\nm:+1|\nm: 1|\nm:1 "
      "|\nm:00|\nm:9223372036854775808|\nm:1.0|\nm:-|\nm:1e5|\nm:|\n",
      NULL },
    { "a given integer takes more", "I", "007\n-0\n+1\n 1 \n\"  5\"\n-0012345678901\n",
      "i:7|\ni:0|\ni:1|\ni:1|\ni:5|\ni:-12345678901|\n", NULL },
    { "quoted numbers are numbers", "ir", "\"5\",\"2.5\"\n\"1\"2,\"\"7\n",
      "i:5|r:0x1.4p+1|\ni:12|r:0x1.cp+2|\n", NULL },
    { "a misfit says what the quotes say", "i", "\"a\"\"b\"\n", "m:a\"b|\n", NULL },
    { "NULL is the unquoted empty field", "irtbds", ",,,,,\n", "n|n|n|n|n|n|\n", NULL },
    { "the quoted empty field is an empty text", "tr", "\"\",1\n", "t:|r:0x1p+0|\n", NULL },
    { "reals", "r", "1.5\n-0.25\n5\n.5\n5.\n1e3\n-2.5E-1\n0\n-0\n123456789.125\n",
      "r:0x1.8p+0|\nr:-0x1p-2|\nr:0x1.4p+2|\nr:0x1p-1|\nr:0x1.4p+2|\nr:0x1.f4p+9|\n"
      "r:-0x1p-2|\nr:0x0p+0|\nr:-0x0p+0|\nr:0x1.d6f34548p+26|\n",
      NULL },
    { "no inferred reals", "r",
      "01.5\n+1\n.\n-\n1e\n1.2.3\n 1\nnan\ninf\n0x10\n1e999\n123456789012345678\n",
      "m:01.5|\nm:+1|\nm:.|\nm:-|\nm:1e|\nm:1.2.3|\nm: 1|\nm:nan|\nm:inf|\nm:0x10|\n"
      "m:1e999|\nm:123456789012345678|\n",
      NULL },
    { "a given real takes more", "R", "01.5\n+1\n 1 \n123456789012345678\n",
      "r:0x1.8p+0|\nr:0x1p+0|\nr:0x1p+0|\nr:0x1.b69b4ba630f35p+56|\n", NULL },
    { "booleans", "b", "true\nF\nYES\nno\n1\n0\n2\ntru\ny\nN\n",
      "i:1|\ni:0|\ni:1|\ni:0|\ni:1|\ni:0|\nm:2|\nm:tru|\ni:1|\ni:0|\n", NULL },
    { "dates", "d",
      "2024-02-29\n2023-02-29\n1900-02-29\n2000-02-29\n2024-13-01\n2024-1-1\n\"2024-04-"
      "30\"\n2024-04-31\n",
      "t:2024-02-29|\nm:2023-02-29|\nm:1900-02-29|\nt:2000-02-29|\nm:2024-13-01|\nm:2024-1-"
      "1|\n"
      "t:2024-04-30|\nm:2024-04-31|\n",
      NULL },
    { "timestamps", "s",
      "2024-02-29 12:34\n2024-02-29T12:34:56\n2024-02-29 12:34:56.789Z\n2024-02-29 "
      "12:34+01\n"
      "2024-02-29 12:34-01:30\n2024-02-29\n2024-02-29 24:00\n2024-02-29 12:60\n"
      "2024-02-29 12:34:56.\n2024-02-29 12:34Zx\n2024-02-29 12\n2024-02-29 12:34:5\n",
      "t:2024-02-29 12:34|\nt:2024-02-29T12:34:56|\nt:2024-02-29 12:34:56.789Z|\n"
      "t:2024-02-29 12:34+01|\nt:2024-02-29 12:34-01:30|\nm:2024-02-29|\nm:2024-02-29 "
      "24:00|\n"
      "m:2024-02-29 12:60|\nm:2024-02-29 12:34:56.|\nm:2024-02-29 12:34Zx|\nm:2024-02-29 "
      "12|\n"
      "m:2024-02-29 12:34:5|\n",
      NULL },
    { "CR LF", "it", "1,a\r\n2,\r\n\r\n3,\"b\"\r\n", "i:1|t:a|\ni:2|n|\ni:3|t:b|\n", NULL },
    { "a lone CR is data", "tt", "a\rb,c\r\r\n", "t:a\rb|t:c\r|\n", NULL },
    { "the last record needs no line end", "it", "1,a\n2,b", "i:1|t:a|\ni:2|t:b|\n", NULL },
    { "CR at the end of the input is data", "t", "a\r", "t:a\r|\n", NULL },
    { "an empty last field without a line end", "it", "1,", "i:1|n|\n", NULL },
    { "blank lines are skipped", "it", "\n1,a\n\n\r\n2,b\n\n", "i:1|t:a|\ni:2|t:b|\n",
      NULL },
    { "of one column they are rows", "t", "a\n\n\r\nb\n", "t:a|\nn|\nn|\nt:b|\n", NULL },
    { "quoted text", "tt", "\"a,\n\"\"b\"\"\",\"x\"y\"z\"\n", "t:a,\n\"b\"|t:xy\"z\"|\n",
      NULL },
    { "text longer than one copy", "tt",
      "0123456789abcdef0,0123456789abcdef\n\"0123456789abcdef\"\"0123456789\",x\n",
      "t:0123456789abcdef0|t:0123456789abcdef|\nt:0123456789abcdef\"0123456789|t:x|\n",
      NULL },
    { "nothing", "it", "", "", NULL },
    { "too few fields", "ttt", "a,b,c\na,b\nd,e,f\n", "t:a|t:b|t:c|\nt:d|t:e|t:f|\n",
      "2 fields, the header has 3" },
    { "too many fields", "tt", "a,b,c\n", "", "3 fields, the header has 2" },
    { "one field", "tt", "a\n", "", "1 field, the header has 2" },
    { "a given integer that is none", "TI", "x,1\ny,abc\nz,3\n", "t:x|i:1|\nt:z|i:3|\n",
      "'abc' is not an integer" },
    { "a given type and the quoted empty field", "I", "\"\"\n", "",
      "'' is not an integer" },
    { "a given real that is none", "R", "\"1,5\"\n", "", "'1,5' is not a number" },
    { "a given boolean that is none", "B", "maybe\n", "", "'maybe' is not a boolean" },
    { "a given date that is none", "D", "2023-02-29\n", "", "'2023-02-29' is not a date" },
    { "a given timestamp that is none", "S", "2023-02-28\n", "",
      "'2023-02-28' is not a timestamp" },
    { "the first column of a row is blamed", "II", "x,y\n", "", "'x' is not an integer" },
    { "a long value is cut between characters", "I",
      "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
      "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
      "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
      "x\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
      "\xc3\xa4\n",
      "",
      "'\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
      "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
      "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
      "x\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4...' is "
      "not an integer" },
    { "not UTF-8", "tt", "a,b\nc,\xff\nd,\xc3\xa4\n", "t:a|t:b|\nt:d|t:\xc3\xa4|\n",
      "byte 1006 is not UTF-8" },
    { "quotes that are never closed", "tt", "a,b\nc,\"d\n", "t:a|t:b|\n",
      "the quote at byte 1006 is never closed" },
    { "a misfit of a rejected row is forgotten", "iI", "x,1\ny,2z\nz,3\n",
      "m:x|i:1|\nm:z|i:3|\n", "'2z' is not an integer" },
    { "text of a rejected row is forgotten", "tIt", "aa,1,b\ncc,x,d\n,3,f\n",
      "t:aa|i:1|t:b|\nn|i:3|t:f|\n", "'x' is not an integer" },
};

static void reads(void **state)
{
    const struct row *c = *state;
    struct schema s = schema_of(c->types);
    struct chunk chunk = chunk_of(c->text, strlen(c->text));
    struct csv_reader *r;
    struct err e;
    struct reading x = { 0 };
    struct csv_read_pos pos = { 1000, 50 };
    PASS(&e, csv_reader_new(&r, &rfc, &s, NULL, &e));
    PASS(&e, csv_read_chunk(r, chunk.p, chunk.n, pos, &x.b, &x.rejects, &x.stats, &e));

    struct oracle_rows rows = { 0 };
    oracle_batch(&x.b, &rows);
    char got[4096] = "";
    for (size_t i = 0; i < rows.n; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s\n", rows.v[i]);
    assert_string_equal(c->rows, got);
    EQ_I64(c->why != NULL, x.rejects.n);
    if (c->why) {
        size_t at = 0;
        bool bad;
        struct reject reject;
        assert_true(rejects_next((struct slice){ x.rejects.bytes.p, x.rejects.bytes.n },
                                 &at, &reject, &bad));
        snprintf(got, sizeof got, "%.*s", (int)reject.reason.n,
                 (const char *)reject.reason.p);
        assert_string_equal(c->why, got);
    }
    compare(&rfc, &s, NULL, &chunk, pos, r, c->name);
    oracle_free(&rows);
    reading_free(&x);
    csv_reader_free(&r);
    schema_free(&s);
    free(chunk.block);
}

static void a_reject_says_where_and_what(void **state)
{
    (void)state;
    static const char text[] = "a,1\n\"b\n\n\",x\r\nc,d,e\r\n\nf,\0002\n";
    struct schema s = schema_of("TI");
    struct chunk c = chunk_of(text, sizeof text - 1);
    struct csv_reader *r;
    struct err e;
    struct reading x = { 0 };
    struct csv_read_pos pos = { 1000, 50 };
    PASS(&e, csv_reader_new(&r, &rfc, &s, NULL, &e));
    PASS(&e, csv_read_chunk(r, c.p, c.n, pos, &x.b, &x.rejects, &x.stats, &e));
    static const struct {
        unsigned line, byte;
        const char *column, *why, *raw;
    } want[] = {
        { 51, 1004, "c1", "'x' is not an integer", "\"b\n\n\",x" },
        { 54, 1013, "", "3 fields, the header has 2", "c,d,e" },
        { 56, 1021, "", "NUL byte at 1023", "f," },
    };
    struct slice all = { x.rejects.bytes.p, x.rejects.bytes.n };
    struct reject got;
    size_t at = 0;
    bool bad;
    for (size_t i = 0; i < N_OF(want); i++) {
        assert_true(rejects_next(all, &at, &got, &bad));
        EQ_I64(want[i].line, got.line);
        EQ_I64(want[i].byte, got.byte);
        EQ_I64(strlen(want[i].column), got.column.n);
        assert_memory_equal(want[i].column, got.column.p, got.column.n);
        EQ_I64(strlen(want[i].why), got.reason.n);
        assert_memory_equal(want[i].why, got.reason.p, got.reason.n);
        assert_true(got.raw.n >= strlen(want[i].raw));
        assert_memory_equal(want[i].raw, got.raw.p, strlen(want[i].raw));
    }
    EQ_I64(4, got.raw.n); // f , NUL 2
    EQ_I64(1, x.stats.parsed);
    EQ_I64(3, x.stats.rejected);
    EQ_I64(1, x.stats.blank);
    reading_free(&x);
    csv_reader_free(&r);
    schema_free(&s);
    free(c.block);
}

static void a_given_list_of_nulls_replaces_the_default(void **state)
{
    (void)state;
    static const char *const nulls[] = { "NA", "-999", "" };
    struct csv_dialect with = { ',', '"', nulls, 3 }, without = { ',', '"', nulls, 2 };
    static const char text[] =
        "NA,NA\n-999,-999\n,\n\"NA\",\"NA\"\n-99,NAN\n\"-999\",\"\"\n";
    static const char *const with_empty =
        "n|n|\nn|n|\nn|n|\nm:NA|t:NA|\ni:-99|t:NAN|\ni:-999|t:|\n";
    static const char *const no_empty =
        "n|n|\nn|n|\nm:|t:|\nm:NA|t:NA|\ni:-99|t:NAN|\ni:-999|t:|\n";
    for (int k = 0; k < 2; k++) {
        struct schema s = schema_of("it");
        struct chunk c = chunk_of(text, sizeof text - 1);
        struct csv_reader *r;
        struct err e;
        struct reading x = { 0 };
        PASS(&e, csv_reader_new(&r, k ? &without : &with, &s, NULL, &e));
        PASS(&e, csv_read_chunk(r, c.p, c.n, (struct csv_read_pos){ 0, 1 }, &x.b,
                                &x.rejects, &x.stats, &e));
        struct oracle_rows rows = { 0 };
        oracle_batch(&x.b, &rows);
        char got[512] = "";
        for (size_t i = 0; i < rows.n; i++)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s\n", rows.v[i]);
        assert_string_equal(k ? no_empty : with_empty, got);
        oracle_free(&rows);
        reading_free(&x);
        csv_reader_free(&r);
        schema_free(&s);
        free(c.block);
    }
}

static void a_field_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        size_t n = 2 + CSV_FIELD_MAX + more + 5;
        char *text = malloc(n);
        memset(text, 'x', n);
        memcpy(text, "a,", 2);
        memcpy(text + n - 5, "\nb,c\n", 5);
        struct schema s = schema_of("tt");
        struct chunk c = chunk_of(text, n);
        struct csv_reader *r;
        struct err e;
        struct reading x = { 0 };
        PASS(&e, csv_reader_new(&r, &rfc, &s, NULL, &e));
        PASS(&e, csv_read_chunk(r, c.p, c.n, (struct csv_read_pos){ 0, 1 }, &x.b,
                                &x.rejects, &x.stats, &e));
        EQ_I64(2 - more, x.stats.parsed);
        EQ_I64(more, x.stats.rejected);
        struct reject got;
        size_t at = 0;
        bool bad;
        if (more) {
            assert_true(rejects_next((struct slice){ x.rejects.bytes.p, x.rejects.bytes.n },
                                     &at, &got, &bad));
            assert_memory_equal("a field of 16777217 bytes, at most 16777216 are allowed",
                                got.reason.p, got.reason.n);
            assert_memory_equal("c1", got.column.p, got.column.n);
        } else {
            EQ_I64(CSV_FIELD_MAX, x.b.col[1].off[1]);
        }
        reading_free(&x);
        csv_reader_free(&r);
        schema_free(&s);
        free(c.block);
        free(text);
    }
}

static void a_record_of_countless_fields_is_one_reject(void **state)
{
    (void)state;
    enum { N = 300000 };
    static char text[N + 9] = "a,b\n";
    memset(text + 4, ',', N);
    memcpy(text + 4 + N, "\nc,d\n", 5);
    struct schema s = schema_of("tt");
    struct chunk c = chunk_of(text, sizeof text);
    struct csv_reader *r;
    struct err e;
    struct reading x = { 0 };
    PASS(&e, csv_reader_new(&r, &rfc, &s, NULL, &e));
    PASS(&e, csv_read_chunk(r, c.p, c.n, (struct csv_read_pos){ 0, 1 }, &x.b, &x.rejects,
                            &x.stats, &e));
    EQ_I64(2, x.stats.parsed);
    struct reject got;
    size_t at = 0;
    bool bad;
    assert_true(rejects_next((struct slice){ x.rejects.bytes.p, x.rejects.bytes.n }, &at,
                             &got, &bad));
    assert_memory_equal("300001 fields, the header has 2", got.reason.p, got.reason.n);
    EQ_I64(2, got.line);
    reading_free(&x);
    csv_reader_free(&r);
    schema_free(&s);
    free(c.block);
}

static void what_makes_no_dialect_is_refused(void **state)
{
    (void)state;
    static const struct csv_dialect bad[] = {
        { .delimiter = 0, .quote = '"' },    { .delimiter = '\n', .quote = '"' },
        { .delimiter = '\r', .quote = '"' }, { .delimiter = '"', .quote = '"' },
        { .delimiter = ',', .quote = '\n' }, { .delimiter = 0xa7, .quote = '"' },
        { .delimiter = ',', .quote = 0xff },
    };
    struct schema s = schema_of("t"), none = { 0 };
    struct csv_reader *r;
    struct err e;
    for (size_t i = 0; i < N_OF(bad); i++) {
        EXPECT(ERR_INVALID, &e, csv_reader_new(&r, &bad[i], &s, NULL, &e));
        assert_null(r);
    }
    EXPECT(ERR_INVALID, &e, csv_reader_new(&r, &rfc, &none, NULL, &e));
    csv_reader_free(&r);
    s.f[0].type = TYPE_ANY;
    EXPECT(ERR_INVALID, &e, csv_reader_new(&r, &rfc, &s, NULL, &e));
    schema_free(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reject_says_where_and_what),
        cmocka_unit_test(a_given_list_of_nulls_replaces_the_default),
        cmocka_unit_test(a_field_may_be_as_long_as_the_limit_and_no_longer),
        cmocka_unit_test(a_record_of_countless_fields_is_one_reject),
        cmocka_unit_test(what_makes_no_dialect_is_refused),
    };
    return test_main("csv_read", tests, N_OF(tests), TABLE(cases, reads), N_OF(cases));
}
