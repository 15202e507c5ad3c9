#include "common/csv_read.h"

#include "common/csv_split.h"
#include "tests/csv_noise.h"
#include "tests/csv_oracle.h"
#include "tests/test.h"

static const struct csv_dialect rfc = { .delimiter = ',', .quote = '"' };

// A chunk with nothing readable but its padding, which is full of traps.
struct chunk {
    uint8_t *block, *p;
    size_t n;
};

static struct chunk chunk_of(const void *text, size_t n)
{
    struct chunk c = { malloc(n + 2 * CSV_PAD), NULL, n };
    assert_non_null(c.block);
    c.p = c.block + CSV_PAD;
    memset(c.block, '7', n + 2 * CSV_PAD);
    memcpy(c.p, text, n);
    return c;
}

static struct schema schema_of(const char *types) // "i r t": given when upper case
{
    struct schema s = { 0 };
    struct err e;
    for (; *types; types++) {
        char name[16];
        enum type t = TYPE_TEXT;
        switch (*types | 32) {
        case 'i': t = TYPE_INTEGER; break;
        case 'r': t = TYPE_REAL; break;
        case 'b': t = TYPE_BOOLEAN; break;
        case 'd': t = TYPE_DATE; break;
        case 's': t = TYPE_TIMESTAMP; break;
        default: break;
        }
        snprintf(name, sizeof name, "c%u", s.n);
        PASS(&e, schema_add(&s, name, strlen(name), t, *types < 'a', &e));
    }
    return s;
}

struct reading {
    struct batch b;
    struct rejects rejects;
    struct csv_read_stats stats;
};

static void reading_free(struct reading *r)
{
    batch_free(&r->b);
    rejects_free(&r->rejects);
}

// All rows and rejects in the order of the input, as oracle_read tells them.
static void tell(const struct reading *r, const struct schema *s, struct oracle_rows *rows,
                 struct oracle_rows *rejects)
{
    oracle_batch(&r->b, rows);
    size_t at = 0;
    bool bad;
    struct reject x;
    while (rejects_next((struct slice){ r->rejects.bytes.p, r->rejects.bytes.n }, &at, &x,
                        &bad)) {
        struct buf b = { 0 };
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)x.column.n, (const char *)x.column.p);
        oracle_printf(&b, "REJECT %llu %llu %d", (unsigned long long)x.line,
                      (unsigned long long)x.byte, x.column.n ? schema_find(s, name) : -1);
        oracle_push(rejects, &b);
        buf_free(&b);
    }
    assert_false(bad);
}

static void compare(const struct csv_dialect *d, const struct schema *s, const bool *want,
                    const struct chunk *c, struct csv_read_pos pos, struct csv_reader *r,
                    const char *what)
{
    struct reading x = { 0 };
    struct oracle_rows expected = { 0 }, rows = { 0 }, rejects = { 0 };
    struct err e;
    PASS(&e, csv_read_chunk(r, c->p, c->n, pos, &x.b, &x.rejects, &x.stats, &e));
    oracle_read(d, s, want, c->p, c->n, pos, &expected);
    tell(&x, s, &rows, &rejects);
    size_t row = 0, reject = 0;
    for (size_t i = 0; i < expected.n; i++) {
        bool bad = strncmp(expected.v[i], "REJECT", 6) == 0;
        struct oracle_rows *from = bad ? &rejects : &rows;
        size_t *at = bad ? &reject : &row;
        if (*at >= from->n || strcmp(from->v[*at], expected.v[i]) != 0)
            fail_msg("%s: row %zu\n  wanted %s\n  got    %s", what, i, expected.v[i],
                     *at < from->n ? from->v[*at] : "(nothing)");
        ++*at;
    }
    EQ_I64(row, rows.n);
    EQ_I64(reject, rejects.n);
    EQ_I64(x.stats.rows, x.stats.parsed + x.stats.rejected);
    EQ_I64(expected.n, x.stats.rows);
    EQ_I64(expected.n_parsed, x.stats.parsed);
    EQ_I64(expected.n_blank, x.stats.blank);
    EQ_I64(expected.n_misfits, x.stats.misfits);
    oracle_free(&expected);
    oracle_free(&rows);
    oracle_free(&rejects);
    reading_free(&x);
}

// --- cases ----------------------------------------------------------------------------

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

// --- more than one case
// -------------------------------------------------------------------

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

// --- against the oracle
// -------------------------------------------------------------------

// A field that often fits its type and often nearly does.
static size_t noise_field(struct noise *r, char type, const struct csv_dialect *d,
                          char *out)
{
    static const char *const odd[] = {
        "",  "NA", "-",    "0",   "-0",  "00",  "1e5",  "\"",   "\r",   "+1",   " 1",
        ".", "1.", "true", "x\"", "nan", "1,2", "\xc3", "2\n3", "-999", "12:34"
    };
    char text[64];
    size_t n = 0;
    uint64_t a = noise_below(r, 1000000), b = noise_below(r, 1ull << 40);
    if (noise_below(r, 12) == 0) type = "irtbds"[noise_below(r, 6)];
    switch (type) {
    case 'i':
        n = (size_t)sprintf(text, "%s%llu", b % 3 ? "" : "-",
                            (unsigned long long)(a % 2 ? a : b * a));
        break;
    case 'r':
        n = (size_t)sprintf(text, "%.*f", (int)(b % 9), (double)a / (double)(1 + b % 999));
        break;
    case 'b': n = (size_t)sprintf(text, "%s", a % 2 ? "true" : "0"); break;
    case 'd':
        n = (size_t)sprintf(text, "20%02d-%02d-%02d", (int)(a % 100), (int)(b % 13),
                            (int)(a % 32));
        break;
    case 's':
        n = (size_t)sprintf(text, "2024-01-%02d%c%02d:%02d%s", (int)(a % 32), "T "[b % 2],
                            (int)(a % 25), (int)(b % 61), a % 2 ? ":30Z" : "");
        break;
    default:
        n = noise_below(r, noise_below(r, 3) ? 12 : 40);
        for (size_t i = 0; i < n; i++)
            text[i] = "abcdefgh \xc3\xa4"[noise_below(r, noise_below(r, 20) ? 9 : 11)];
    }
    if (noise_below(r, 15) == 0) {
        const char *o = odd[noise_below(r, sizeof odd / sizeof *odd)];
        n = strlen(o);
        memcpy(text, o, n);
    }
    if (d->quote == 0 || noise_below(r, 5)) {
        memcpy(out, text, n);
        return n;
    }
    size_t k = 0;
    out[k++] = (char)d->quote;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == (char)d->quote) out[k++] = text[i];
        out[k++] = text[i];
    }
    out[k++] = (char)d->quote;
    return k;
}

static size_t noise_rows(struct noise *r, const char *types, const struct csv_dialect *d,
                         size_t rows, char *out)
{
    size_t n = 0;
    uint64_t ragged = noise_below(r, 3) ? 0 : 1 + noise_below(r, 60); // percent
    for (size_t i = 0; i < rows; i++) {
        if (noise_below(r, 100) < ragged) { // anything
            uint8_t junk[40];
            size_t len = noise_below(r, sizeof junk);
            noise_fill(r, d, junk, len);
            memcpy(out + n, junk, len);
            n += len;
        } else {
            for (const char *t = types; *t; t++) {
                if (t > types) out[n++] = (char)d->delimiter;
                n += noise_field(r, (char)(*t | 32), d, out + n);
            }
        }
        if (noise_below(r, 30) == 0) out[n++] = '\r';
        if (i + 1 < rows || noise_below(r, 2)) out[n++] = '\n';
    }
    return n;
}

static void chunks_equal_the_oracle(void **state)
{
    (void)state;
    struct noise r = noise_new();
    static const char *const nulls[] = { "NA", "-999", "0", "" };
    static char text[1 << 20];
    for (int round = 0; round < 250; round++) {
        char types[24] = "";
        size_t n_cols = 1 + noise_below(&r, noise_below(&r, 3) ? 6 : 22);
        for (size_t i = 0; i < n_cols; i++)
            types[i] = "irtbdstttTIRBDS"[noise_below(&r, noise_below(&r, 2) ? 9 : 15)];
        struct csv_dialect d = noise_dialect(&r);
        if (noise_below(&r, 2)) {
            d.n_nulls = noise_below(&r, 5);
            d.nulls = nulls;
        }
        bool want[24];
        for (size_t i = 0; i < n_cols; i++)
            want[i] = noise_below(&r, 3) != 0;
        bool *wanted = noise_below(&r, 2) ? want : NULL;
        struct schema s = schema_of(types);
        struct csv_reader *reader;
        struct err e;
        PASS(&e, csv_reader_new(&reader, &d, &s, wanted, &e));
        char what[64];
        for (int k = 0; k < 3; k++) { // one reader, several chunks
            size_t rows = noise_below(&r, noise_below(&r, 4) ? 40 : 1500);
            struct chunk c = chunk_of(text, noise_rows(&r, types, &d, rows, text));
            snprintf(what, sizeof what, "seed %llu, round %d", (unsigned long long)r.seed,
                     round);
            compare(&d, &s, wanted, &c, (struct csv_read_pos){ 77, 5 }, reader, what);
            free(c.block);
        }
        csv_reader_free(&reader);
        schema_free(&s);
    }
}

static void read_pieces(const struct csv_dialect *d, const struct schema *s,
                        struct csv_reader *r, const uint8_t *p, size_t n, uint64_t target,
                        struct oracle_rows *rows, struct oracle_rows *rejects)
{
    struct csv_split split;
    struct csv_cut cut;
    struct err e;
    bool found = true, more = true;
    uint64_t line = 1;
    csv_split_init(&split, d, 0, 0);
    for (size_t at = 0, used; more; at += used) {
        PASS(&e, csv_split_feed(&split, p + at, n - at, target, &used, &found, &cut, &e));
        if (!found) {
            more = false;
            uint64_t bad = n;
            if (csv_split_finish(&split, &found, &cut, &e) != ERR_OK) {
                found = csv_split_before_bad(&split, &cut, &bad);
                if (!found) cut = (struct csv_cut){ .begin = bad, .end = n };
                cut.end = n; // with the open quotes
                found = true;
            }
        }
        if (!found) break;
        struct reading x = { 0 };
        struct csv_read_pos pos = { cut.begin, line };
        PASS(&e, csv_read_chunk(r, p + cut.begin, cut.end - cut.begin, pos, &x.b,
                                &x.rejects, &x.stats, &e));
        if (cut.end < n) EQ_I64(cut.records, x.stats.rows + x.stats.blank);
        tell(&x, s, rows, rejects);
        reading_free(&x);
        line += cut.lines;
    }
}

static void expect_equal(const struct oracle_rows *a, const struct oracle_rows *b,
                         uint64_t seed)
{
    EQ_I64(a->n, b->n);
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->v[i], b->v[i]) != 0)
            fail_msg("seed %llu: row %zu: %s became %s", (unsigned long long)seed, i,
                     a->v[i], b->v[i]);
}

static void any_chunks_give_the_same_rows(void **state)
{
    (void)state;
    struct noise r = noise_new();
    static char text[1 << 20];
    for (int round = 0; round < 40; round++) {
        static const char *const types[] = { "it", "t", "IrTbDs", "titrtstdtbtttIttttttt" };
        const char *t = types[noise_below(&r, N_OF(types))];
        struct csv_dialect d = noise_dialect(&r);
        struct schema s = schema_of(t);
        struct csv_reader *reader;
        struct err e;
        PASS(&e, csv_reader_new(&reader, &d, &s, NULL, &e));
        struct chunk c = chunk_of(text, noise_rows(&r, t, &d, noise_below(&r, 800), text));
        struct oracle_rows rows = { 0 }, rejects = { 0 }, one = { 0 }, one_rejects = { 0 };
        read_pieces(&d, &s, reader, c.p, c.n, c.n + 1, &one, &one_rejects);
        read_pieces(&d, &s, reader, c.p, c.n, noise_below(&r, 3000), &rows, &rejects);
        expect_equal(&one, &rows, r.seed);
        expect_equal(&one_rejects, &rejects, r.seed);
        oracle_free(&rows);
        oracle_free(&rejects);
        oracle_free(&one);
        oracle_free(&one_rejects);
        csv_reader_free(&reader);
        schema_free(&s);
        free(c.block);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reject_says_where_and_what),
        cmocka_unit_test(a_given_list_of_nulls_replaces_the_default),
        cmocka_unit_test(a_field_may_be_as_long_as_the_limit_and_no_longer),
        cmocka_unit_test(a_record_of_countless_fields_is_one_reject),
        cmocka_unit_test(what_makes_no_dialect_is_refused),
        cmocka_unit_test(chunks_equal_the_oracle),
        cmocka_unit_test(any_chunks_give_the_same_rows),
    };
    return test_main("csv_read", tests, N_OF(tests), TABLE(cases, reads), N_OF(cases));
}
