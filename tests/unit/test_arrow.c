// Batches as Arrow C Data, out and in, and everything that may be wrong with what comes in.

#include "worker/arrow.h"

#include "tests/batches.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct schema no_schema;
static struct arrow_layout no_layout;

// ---- out ----

struct lent {
    struct schema s;
    struct batch b;
    struct arena mem;
    struct ArrowArray a;
    struct arrow_loan *loan;
    unsigned char reads[16];
};

static void lend(struct lent *l, const char *columns, const char *rows)
{
    struct err e;
    *l = (struct lent){ 0 };
    memset(l->reads, 1, sizeof l->reads);
    schema_of(&l->s, columns);
    batch_of(&l->b, &l->s, rows);
    PASS(&e, arrow_lend(&l->s, &l->b, l->reads, &l->mem, &l->a, &l->loan, &e));
}

static void give_back(struct lent *l)
{
    arrow_release(&l->a);
    assert_true(arrow_loan_end(&l->loan));
    arena_free(&l->mem);
    batch_free(&l->b);
    schema_free(&l->s);
}

#define TYPED "i integer, r real, t text, b boolean, d date, s timestamp"
#define TYPED_ROWS                                                            \
    "100, 1.5, 'SFO', 1, '2008-02-29', '2008-02-29 10:00:00'; "               \
    "NULL, NULL, NULL, NULL, NULL, NULL; "                                    \
    "-9223372036854775808, -0.0, '', 0, 'never', '2008-02-29T10:00:00.25Z'; " \
    "9223372036854775807, 1e+300, 'a''b', 1, '0001-01-01', 'x'"

static void what_goes_out_comes_back(void **state)
{
    (void)state;
    struct err e;
    struct lent l;
    struct ArrowSchema schema;
    struct schema back;
    struct arrow_layout layout;
    struct batch out = { 0 };
    lend(&l, TYPED, TYPED_ROWS);
    PASS(&e, arrow_schema_write(&l.s, &schema, &e));
    assert_string_equal("+s", schema.format);
    PASS(&e, arrow_schema_read(&schema, &back, &layout, &e));
    PASS(&e, batch_start(&out, &back, &e));
    PASS(&e, arrow_read(&layout, &l.a, &out, &e));
    char *got = batch_show(&out);
    assert_string_equal(TYPED_ROWS, got);
    free(got);
    arrow_schema_release(&schema);
    assert_null(schema.release);
    arrow_layout_free(&layout);
    schema_free(&back);
    batch_free(&out);
    give_back(&l);
}

static void values_and_texts_are_lent_without_a_copy(void **state)
{
    (void)state;
    struct err e;
    struct lent l;
    lend(&l, TYPED, TYPED_ROWS);
    EQ_I64(4, l.a.length);
    for (int i = 0; i < 6; i++) {
        const struct ArrowArray *c = l.a.children[i];
        EQ_I64(1, c->null_count);
        assert_ptr_equal(l.b.col[i].valid, c->buffers[0]);
        if (i != 3) assert_ptr_equal(l.b.col[i].i64, c->buffers[1]);
        if (c->n_buffers == 3) assert_ptr_equal(l.b.col[i].bytes, c->buffers[2]);
    }
    // ... and taken back without one.
    struct arrow_column number = { .name = "i", .kind = ARROW_INT64 };
    struct vec v = { .type = TYPE_INTEGER };
    struct batch out = { .col = &v, .n_cols = 1 };
    struct arrow_layout layout = { &number, 1 };
    struct ArrowArray one = l.a;
    one.n_children = 1;
    PASS(&e, arrow_read(&layout, &one, &out, &e));
    assert_ptr_equal(l.b.col[0].i64, v.i64);
    arena_free(&out.mem);
    give_back(&l);
}

static void a_column_that_nobody_reads_is_null(void **state)
{
    (void)state;
    struct err e;
    struct lent l = { 0 };
    schema_of(&l.s, "i integer, t text, x any");
    batch_of(&l.b, &l.s, "1, 'a', 2; 3, 'b', 'c'");
    for (int i = 0; i < 3; i++)
        l.b.col[i] = (struct vec){ .type = l.s.f[i].type, .absent = true };
    PASS(&e, arrow_lend(&l.s, &l.b, l.reads, &l.mem, &l.a, &l.loan, &e));
    for (int i = 0; i < 3; i++)
        EQ_I64(2, l.a.children[i]->null_count);
    EQ_I64(0, ((const int32_t *)l.a.children[1]->buffers[1])[2]);
    give_back(&l);
}

static void any_columns_go_out_as_text(void **state)
{
    (void)state;
    struct lent l;
    lend(&l, "x any", "5; 'SFO'; NULL; 0.1; 1e+300; ''; -7");
    const int32_t *off = l.a.children[0]->buffers[1];
    const char *bytes = l.a.children[0]->buffers[2];
    assert_memory_equal("5SFO0.11e+300-7", bytes, (size_t)off[7]);
    EQ_I64(15, off[7]);
    EQ_I64(1, l.a.children[0]->null_count);
    give_back(&l);
}

struct misfit_row {
    const char *name, *columns, *rows, *sentence;
};
static const struct misfit_row misfits[] = {
    { "a misfit of a column of integers", "i integer", "1; '00501'",
      "row 2 of the batch, column 'i': '00501' is no integer" },
    { "a misfit of a column of reals", "r real", "'NA'; 1.5",
      "row 1 of the batch, column 'r': 'NA' is no real" },
    { "a blob has no text", "x any", "1; x'00ff'", "column 'x': 'a blob' is no any" },
};

static void is_refused_with_its_row(void **state)
{
    const struct misfit_row *row = *state;
    struct err e;
    struct lent l = { .reads = { 1, 1, 1 } };
    schema_of(&l.s, row->columns);
    batch_of(&l.b, &l.s, row->rows);
    EXPECT(ERR_TRANSFORM, &e, arrow_lend(&l.s, &l.b, l.reads, &l.mem, &l.a, &l.loan, &e));
    if (!strstr(e.text, row->sentence))
        fail_msg("'%s' is not in: %s", row->sentence, e.text);
    assert_null(l.a.release);
    give_back(&l);
}

static void cells_become_what_the_schema_promised(void **state)
{
    (void)state;
    struct err e;
    struct lent l = { .reads = { 1, 1, 1, 1 } };
    struct schema any;
    schema_of(&any, "i any, r any, b any, t any");
    batch_of(&l.b, &any, "1, 2, 1, 'x'; NULL, NULL, NULL, NULL; -3, 0.5, 0, ''");
    schema_of(&l.s, "i integer, r real, b boolean, t text");
    PASS(&e, arrow_lend(&l.s, &l.b, l.reads, &l.mem, &l.a, &l.loan, &e));
    EQ_I64(-3, tranche_int64s(&l.a, 0)[2]);
    assert_true(tranche_doubles(&l.a, 1)[0] == 2.0);
    assert_true(tranche_doubles(&l.a, 1)[2] == 0.5);
    EQ_I64(1, *(const uint8_t *)l.a.children[2]->buffers[1]);
    for (int i = 0; i < 4; i++) {
        EQ_I64(1, l.a.children[i]->null_count);
        assert_true(tranche_is_null(&l.a, i, 1));
        assert_false(tranche_is_null(&l.a, i, 2));
    }
    schema_free(&any);
    give_back(&l);
}

// Texts, and what they are as days and microseconds.
static const struct moment_row {
    const char *name, *type, *text;
    int64_t value;
    const char *back; // as it is written again; NULL: it does not fit
} moments[] = {
    { "the first day", "date", "1970-01-01", 0, "1970-01-01" },
    { "the day before", "date", "1969-12-31", -1, "1969-12-31" },
    { "a leap day", "date", "2008-02-29", 13938, "2008-02-29" },
    { "the last day", "date", "9999-12-31", 2932896, "9999-12-31" },
    { "no date", "date", "2007-02-29", 0, NULL },
    { "a day of one digit", "date", "2007-02-1", 0, NULL },
    { "minutes", "timestamp", "1970-01-01 00:01", 60000000, "1970-01-01T00:01:00" },
    { "seconds", "timestamp", "1970-01-02T00:00:01", 86401000000, "1970-01-02T00:00:01" },
    { "a fraction", "timestamp", "1969-12-31 23:59:59.5", -500000,
      "1969-12-31T23:59:59.500000" },
    { "microseconds", "timestamp", "1970-01-01 00:00:00.000001", 1,
      "1970-01-01T00:00:00.000001" },
    { "noughts behind them", "timestamp", "1970-01-01 00:00:00.0000010000", 1,
      "1970-01-01T00:00:00.000001" },
    { "nanoseconds", "timestamp", "1970-01-01 00:00:00.0000001", 0, NULL },
    { "a zone", "timestamp", "1970-01-01T01:30:00+01:30", 0, "1970-01-01T00:00:00" },
    { "a zone in the west", "timestamp", "1970-01-01 00:00-08", 28800000000,
      "1970-01-01T08:00:00" },
    { "a Z", "timestamp", "1970-01-01T00:00:00.25Z", 250000, "1970-01-01T00:00:00.250000" },
    { "no time", "timestamp", "1970-01-01", 0, NULL },
};

static void a_time_goes_out_as_a_number(void **state)
{
    const struct moment_row *row = *state;
    struct err e;
    struct lent l = { .reads = { TRANCHE_READ_TIME } };
    char columns[40], rows[80], back[ARROW_MOMENT_MAX];
    uint32_t n;
    bool date = strcmp(row->type, "date") == 0;
    snprintf(columns, sizeof columns, "x %s", row->type);
    snprintf(rows, sizeof rows, "NULL; '%s'", row->text);
    schema_of(&l.s, columns);
    batch_of(&l.b, &l.s, rows);
    err_t rc = arrow_lend(&l.s, &l.b, l.reads, &l.mem, &l.a, &l.loan, &e);
    if (!row->back) {
        assert_int_equal(ERR_TRANSFORM, rc);
        if (!strstr(e.text, "row 2 of the batch, column 'x': '") ||
            !strstr(e.text, row->type))
            fail_msg("%s", e.text);
    } else {
        assert_int_equal(ERR_OK, rc);
        const struct ArrowArray *c = l.a.children[0];
        EQ_I64(2, c->n_buffers);
        EQ_I64(1, c->null_count);
        int64_t got = date ? ((const int32_t *)c->buffers[1])[1]
                           : ((const int64_t *)c->buffers[1])[1];
        EQ_I64(row->value, got);
        assert_true(
            arrow_moment(date ? ARROW_DATE_DAYS : ARROW_TIME_US, false, got, back, &n));
        EQ_I64(strlen(row->back), n);
        assert_memory_equal(row->back, back, n);
    }
    give_back(&l);
}

static void who_keeps_part_of_a_loan_is_found_out(void **state)
{
    (void)state;
    struct lent l;
    lend(&l, "i integer, t text", "1, 'a'");
    struct ArrowArray kept = *l.a.children[1];
    l.a.children[1]->release = NULL;
    arrow_release(&l.a);
    struct arrow_loan *loan = l.loan;
    assert_false(arrow_loan_end(&l.loan));
    assert_null(l.loan);
    kept.release(&kept); // late, and harmless
    assert_true(arrow_loan_end(&loan));
    give_back(&l);
}

// ---- in: types ----

struct type_row {
    const char *name, *format;
    const void *values; // buffer 1
    const char *want;
    enum type type;
    const void *bytes; // buffer 2
};
#define OF(t, ...)  \
    (const t[])     \
    {               \
        __VA_ARGS__ \
    }
static const struct type_row types[] = {
    { "int8", "c", OF(int8_t, -128, 0, 127), "-128; NULL; 127", TYPE_INTEGER, NULL },
    { "uint8", "C", OF(uint8_t, 0, 9, 255), "0; NULL; 255", TYPE_INTEGER, NULL },
    { "int16", "s", OF(int16_t, -32768, 0, 5), "-32768; NULL; 5", TYPE_INTEGER, NULL },
    { "uint16", "S", OF(uint16_t, 1, 0, 65535), "1; NULL; 65535", TYPE_INTEGER, NULL },
    { "int32", "i", OF(int32_t, INT32_MIN, 0, 5), "-2147483648; NULL; 5", TYPE_INTEGER,
      NULL },
    { "uint32", "I", OF(uint32_t, 1, 0, UINT32_MAX), "1; NULL; 4294967295", TYPE_INTEGER,
      NULL },
    { "int64", "l", OF(int64_t, INT64_MIN, 0, 1), "-9223372036854775808; NULL; 1",
      TYPE_INTEGER, NULL },
    { "uint64, too large where it is NULL", "L", OF(uint64_t, 1, UINT64_MAX, INT64_MAX),
      "1; NULL; 9223372036854775807", TYPE_INTEGER, NULL },
    { "float", "f", OF(float, 0.5f, 0, -2), "0.5; NULL; -2.0", TYPE_REAL, NULL },
    { "double", "g", OF(double, 0.1, INFINITY, 1e300), "0.1; NULL; 1e+300", TYPE_REAL,
      NULL },
    { "NaN is NULL", "g", OF(double, NAN, 0, 1), "NULL; NULL; 1.0", TYPE_REAL, NULL },
    { "bool", "b", OF(uint8_t, 0x5), "1; NULL; 1", TYPE_BOOLEAN, NULL },
    { "utf8", "u", OF(int32_t, 0, 2, 4, 5), "'ab'; NULL; 'e'", TYPE_TEXT, "abcde" },
    { "utf8, broken where it is NULL", "u", OF(int32_t, 0, 1, 2, 3), "'a'; NULL; 'c'",
      TYPE_TEXT,
      "a\xff"
      "c" },
    { "utf8 that begins behind the buffer's begin", "u", OF(int32_t, 1, 3, 3, 5),
      "'bc'; NULL; 'de'", TYPE_TEXT, "abcde" },
    { "large utf8", "U", OF(int64_t, 1, 3, 3, 5), "'bc'; NULL; 'de'", TYPE_TEXT, "abcde" },
    { "binary", "z", OF(int32_t, 0, 1, 1, 2), "x'00'; NULL; x'ff'", TYPE_ANY, "\0\xff" },
    { "large binary", "Z", OF(int64_t, 0, 1, 1, 2), "x'00'; NULL; x'ff'", TYPE_ANY,
      "\0\xff" },
    { "days", "tdD", OF(int32_t, 0, 0, -1), "'1970-01-01'; NULL; '1969-12-31'", TYPE_DATE,
      NULL },
    { "the first and the last day", "tdD", OF(int32_t, -719162, 0, 2932896),
      "'0001-01-01'; NULL; '9999-12-31'", TYPE_DATE, NULL },
    { "leap days", "tdD", OF(int32_t, 11016, 0, 13938), "'2000-02-29'; NULL; '2008-02-29'",
      TYPE_DATE, NULL },
    { "days as milliseconds", "tdm", OF(int64_t, 86400000, 0, -86400000),
      "'1970-01-02'; NULL; '1969-12-31'", TYPE_DATE, NULL },
    { "seconds", "tss:", OF(int64_t, 0, 0, -1),
      "'1970-01-01T00:00:00'; NULL; "
      "'1969-12-31T23:59:59'",
      TYPE_TIMESTAMP, NULL },
    { "milliseconds of a zone", "tsm:Europe/Berlin", OF(int64_t, 1, 0, 1000),
      "'1970-01-01T00:00:00.001Z'; NULL; '1970-01-01T00:00:01Z'", TYPE_TIMESTAMP, NULL },
    { "microseconds", "tsu:UTC", OF(int64_t, -1, 0, 1),
      "'1969-12-31T23:59:59.999999Z'; NULL; '1970-01-01T00:00:00.000001Z'", TYPE_TIMESTAMP,
      NULL },
    { "nanoseconds", "tsn:", OF(int64_t, INT64_MIN, 0, INT64_MAX),
      "'1677-09-21T00:12:43.145224192'; NULL; '2262-04-11T23:47:16.854775807'",
      TYPE_TIMESTAMP, NULL },
};

// A result of one column of three rows, the middle one NULL, lent from static memory.
static int released;
static void count_release(struct ArrowArray *a)
{
    released++;
    a->release = NULL;
}

struct given {
    struct ArrowSchema s, column, words_schema;
    struct ArrowSchema *columns[1];
    struct ArrowArray a, child, words;
    struct ArrowArray *children[1];
    const void *none[1], *buffers[3], *words_buffers[3];
    struct schema schema;
    struct arrow_layout layout;
    struct batch out;
};

static void release_nothing(struct ArrowSchema *s)
{
    s->release = NULL;
}

static void give(struct given *g, const char *format, const void *values, const void *bytes)
{
    static const uint8_t valid[1] = { 0x5 };
    *g = (struct given){ 0 };
    g->column =
        (struct ArrowSchema){ .format = format, .name = "x", .release = release_nothing };
    g->columns[0] = &g->column;
    g->s = (struct ArrowSchema){
        .format = "+s", .n_children = 1, .children = g->columns, .release = release_nothing
    };
    g->buffers[0] = valid;
    g->buffers[1] = values;
    g->buffers[2] = bytes;
    g->child = (struct ArrowArray){ .length = 3,
                                    .null_count = 1,
                                    .n_buffers = strchr("uUzZ", *format) ? 3 : 2,
                                    .buffers = g->buffers,
                                    .release = count_release };
    g->children[0] = &g->child;
    g->a = (struct ArrowArray){ .length = 3,
                                .n_buffers = 1,
                                .buffers = g->none,
                                .n_children = 1,
                                .children = g->children,
                                .release = count_release };
}

static err_t take(struct given *g, struct err *e)
{
    TRY(arrow_schema_read(&g->s, &g->schema, &g->layout, e));
    TRY(batch_start(&g->out, &g->schema, e));
    return arrow_read(&g->layout, &g->a, &g->out, e);
}

static void drop(struct given *g)
{
    schema_free(&g->schema);
    arrow_layout_free(&g->layout);
    batch_free(&g->out);
}

static void shows(struct given *g, const char *want)
{
    struct err e;
    PASS(&e, take(g, &e));
    char *got = batch_show(&g->out);
    assert_string_equal(want, got);
    free(got);
    drop(g);
}

static void is_read(void **state)
{
    const struct type_row *row = *state;
    struct given g;
    struct err e;
    give(&g, row->format, row->values, row->bytes);
    PASS(&e, take(&g, &e));
    EQ_I64(row->type, g.schema.f[0].type);
    drop(&g);
    give(&g, row->format, row->values, row->bytes);
    shows(&g, row->want);
}

static void slices_are_read_where_they_begin(void **state)
{
    (void)state;
    struct given g;
    static const int64_t numbers[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    static const uint8_t valid[] = { 0xff, 0x0b };
    give(&g, "l", numbers, NULL);
    g.buffers[0] = valid;
    g.child.length = 8;
    g.child.offset = 3;
    g.child.null_count = -1;
    g.a.offset = 4;
    shows(&g, "8; 9; 10");
    give(&g, "l", numbers, NULL);
    g.buffers[0] = valid;
    g.child = (struct ArrowArray){ .length = 3,
                                   .offset = 8,
                                   .null_count = 1,
                                   .n_buffers = 2,
                                   .buffers = g.buffers,
                                   .release = count_release };
    shows(&g, "9; 10; NULL");
    give(&g, "l", numbers, NULL);
    g.buffers[0] = NULL;
    g.child.null_count = 0;
    shows(&g, "1; 2; 3");
}

static void numbers_need_not_be_aligned(void **state)
{
    (void)state;
    struct given g;
    static uint8_t bytes[40];
    int64_t v[] = { 7, 0, -9 };
    memcpy(bytes + 1, v, sizeof v);
    give(&g, "l", bytes + 1, NULL);
    shows(&g, "7; NULL; -9");
    int32_t off[] = { 0, 1, 1, 2 };
    memcpy(bytes + 1, off, sizeof off);
    give(&g, "u", bytes + 1, "ab");
    shows(&g, "'a'; NULL; 'b'");
}

static void dictionary(struct given *g, const char *format, const void *indices)
{
    static const int32_t off[] = { 0, 1, 3, 3 };
    give(g, format, indices, NULL);
    g->words_schema = (struct ArrowSchema){ .format = "u", .release = release_nothing };
    g->column.dictionary = &g->words_schema;
    g->words_buffers[1] = off;
    g->words_buffers[2] = "abc";
    g->words = (struct ArrowArray){
        .length = 3, .n_buffers = 3, .buffers = g->words_buffers, .release = count_release
    };
    g->child.dictionary = &g->words;
}

static void dictionaries_of_text_are_text(void **state)
{
    (void)state;
    struct given g;
    struct err e;
    dictionary(&g, "c", OF(int8_t, 1, 99, 0));
    shows(&g, "'bc'; NULL; 'a'");
    dictionary(&g, "L", OF(uint64_t, 2, UINT64_MAX, 1));
    shows(&g, "''; NULL; 'bc'");
    dictionary(&g, "i", OF(int32_t, 0, 0, 3));
    EXPECT(ERR_TRANSFORM, &e, take(&g, &e));
    assert_string_equal(
        "the plugin's column 'x': row 3: 3 is no index of its dictionary of 3", e.text);
    drop(&g);
    dictionary(&g, "i", OF(int32_t, 0, 0, -1));
    EXPECT(ERR_TRANSFORM, &e, take(&g, &e));
    drop(&g);
}

static void a_null_column_and_an_empty_batch_need_no_buffers(void **state)
{
    (void)state;
    struct given g;
    give(&g, "n", NULL, NULL);
    g.child = (struct ArrowArray){ .length = 3, .null_count = 3, .release = count_release };
    shows(&g, "NULL; NULL; NULL");
    give(&g, "u", NULL, NULL);
    g.buffers[0] = NULL;
    g.a.length = g.child.length = g.child.null_count = 0;
    shows(&g, "");
}

// ---- in: what is refused ----

#define KEPT(t, ...)                             \
    ({                                           \
        static const t kept[] = { __VA_ARGS__ }; \
        (const void *)kept;                      \
    })
#define BREAK(f) static void f(struct given *g)
BREAK(no_schema_at_all)
{
    g->s.release = NULL;
}
BREAK(root_is_no_struct)
{
    g->s.format = "l";
}
BREAK(no_columns)
{
    g->s.n_children = 0;
}
BREAK(minus_one_column)
{
    g->s.n_children = -1;
}
BREAK(too_many_columns)
{
    g->s.n_children = 2001;
}
BREAK(no_children_array)
{
    g->s.children = NULL;
}
BREAK(null_child)
{
    g->columns[0] = NULL;
}
BREAK(released_child)
{
    g->column.release = NULL;
}
BREAK(no_format)
{
    g->column.format = NULL;
}
BREAK(no_name)
{
    g->column.name = NULL;
}
BREAK(empty_name)
{
    g->column.name = "";
}
BREAK(name_not_utf8)
{
    g->column.name = "\xff";
}
BREAK(unknown_format)
{
    g->column.format = "q";
}
BREAK(list)
{
    g->column.format = "+l";
}
BREAK(decimal)
{
    g->column.format = "d:10,2";
}
BREAK(half)
{
    g->column.format = "e";
}
BREAK(fixed_size)
{
    g->column.format = "w:16";
}
BREAK(column_with_children)
{
    g->column.n_children = 1;
}
BREAK(dictionary_of_numbers)
{
    g->words_schema = (struct ArrowSchema){ .format = "l", .release = release_nothing };
    g->column.dictionary = &g->words_schema;
}
BREAK(no_array)
{
    g->a.release = NULL;
}
BREAK(negative_length)
{
    g->a.length = -1;
}
BREAK(huge_length)
{
    g->a.length = INT64_MAX;
}
BREAK(negative_offset)
{
    g->a.offset = -1;
}
BREAK(huge_offset)
{
    g->a.offset = INT64_MAX;
}
BREAK(one_row_too_many)
{
    g->a.length = 4;
}
BREAK(two_columns)
{
    g->a.n_children = 2;
}
BREAK(children_missing)
{
    g->a.children = NULL;
}
BREAK(two_buffers)
{
    g->a.n_buffers = 2;
}
BREAK(null_structs)
{
    g->a.null_count = 1;
}
BREAK(perhaps_null_structs)
{
    g->a.null_count = -1, g->none[0] = "\7";
}
BREAK(null_column)
{
    g->children[0] = NULL;
}
BREAK(released_column)
{
    g->child.release = NULL;
}
BREAK(column_too_short)
{
    g->child.length = 2;
}
BREAK(column_ends_early)
{
    g->a.offset = 1;
}
BREAK(column_of_huge_offset)
{
    g->child.offset = INT64_MAX;
}
BREAK(column_with_one_buffer)
{
    g->child.n_buffers = 1;
}
BREAK(column_without_buffers)
{
    g->child.buffers = NULL;
}
BREAK(column_has_children)
{
    g->child.n_children = 1;
}
BREAK(surprising_dictionary)
{
    g->child.dictionary = &g->words;
}
BREAK(null_count_too_small)
{
    g->child.null_count = 0;
}
BREAK(null_count_too_large)
{
    g->child.null_count = 3;
}
BREAK(null_count_over_length)
{
    g->child.null_count = 4;
}
BREAK(null_count_minus_two)
{
    g->child.null_count = -2;
}
BREAK(nulls_without_bitmap)
{
    g->buffers[0] = NULL;
}
BREAK(no_values)
{
    g->buffers[1] = NULL;
}
BREAK(infinite)
{
    g->column.format = "g", g->buffers[1] = KEPT(double, 1, 2, INFINITY);
}
BREAK(too_large)
{
    g->column.format = "L", g->buffers[1] = KEPT(uint64_t, 1, 2, UINT64_MAX);
}
static void text(struct given *g, const int32_t *off, const char *bytes)
{
    g->column.format = "u";
    g->child.n_buffers = 3;
    g->buffers[1] = off;
    g->buffers[2] = bytes;
}
BREAK(offsets_descend)
{
    text(g, KEPT(int32_t, 0, 2, 1, 3), "abc");
}
BREAK(offsets_negative)
{
    text(g, KEPT(int32_t, -1, 0, 1, 3), "abc");
}
BREAK(last_offset_negative)
{
    text(g, KEPT(int32_t, 0, 0, 1, -3), "abc");
}
BREAK(no_text)
{
    text(g, KEPT(int32_t, 0, 0, 1, 3), NULL);
}
BREAK(not_utf8)
{
    text(g, KEPT(int32_t, 0, 0, 1, 3),
         "a\xff"
         "b");
}
BREAK(cut_in_a_character)
{
    text(g, KEPT(int32_t, 0, 1, 1, 2), "\xc3\xa4");
}
BREAK(nul_in_text)
{
    text(g, KEPT(int32_t, 0, 1, 1, 2), "a");
}
BREAK(large_offsets_descend)
{
    text(g, NULL, "abc");
    g->column.format = "U";
    g->buffers[1] = KEPT(int64_t, 0, 2, 1, 3);
}
BREAK(large_offsets_over_4_gib)
{
    text(g, NULL, "abc");
    g->column.format = "U";
    g->buffers[1] = KEPT(int64_t, 0, 0, 0, INT64_MAX);
}
BREAK(day_of_the_year_10000)
{
    g->column.format = "tdD";
    g->buffers[1] = KEPT(int32_t, 0, 0, 2932897);
}

struct broken_row {
    const char *name;
    void (*break_it)(struct given *g);
    const char *sentence;
};
static const struct broken_row broken[] = {
#define B(f, s)  \
    {            \
#f, f, s \
    }
    B(no_schema_at_all, "bind gave no schema"),
    B(root_is_no_struct, "not a struct"),
    B(no_columns, "gave 0 columns"),
    B(minus_one_column, "gave -1 columns"),
    B(too_many_columns, "gave 2001 columns; 1 to 2000 can be"),
    B(no_children_array, "gave 1 columns"),
    B(null_child, "column 1 of the plugin has no schema"),
    B(released_child, "column 1 of the plugin has no schema"),
    B(no_format, "one without a format"),
    B(no_name, "column 1 of the plugin has no name"),
    B(empty_name, "column 1 of the plugin has no name"),
    B(name_not_utf8, "is not UTF-8"),
    B(unknown_format, "has the Arrow type 'q': not one of"),
    B(list, "a table has no place for nested values"),
    B(decimal, "decimals are not supported: give a double, or text"),
    B(half, "has the Arrow type 'e'"),
    B(fixed_size, "has the Arrow type 'w:16'"),
    B(column_with_children, "has children, which 'l' has not"),
    B(dictionary_of_numbers, "its values text"),
    B(no_array, "gave no array"),
    B(negative_length, "the length -1"),
    B(huge_length, "the length 9223372036854775807"),
    B(negative_offset, "the offset -1"),
    B(huge_offset, "the offset 9223372036854775807"),
    B(one_row_too_many, "it has 3 rows, the array 4"),
    B(two_columns, "array has 2 columns, its schema 1"),
    B(children_missing, "array has 1 columns"),
    B(two_buffers, "it has 2 buffers"),
    B(null_structs, "has NULL structs"),
    B(perhaps_null_structs, "does not say that it has none"),
    B(null_column, "'x': it has no array"),
    B(released_column, "'x': it has no array, or a released one"),
    B(column_too_short, "it has 2 rows, the array 3"),
    B(column_ends_early, "it has 3 rows, the array 3 from row 1 on"),
    B(column_of_huge_offset, "its offset 9223372036854775807"),
    B(column_with_one_buffer, "it has 1 buffers, its type 2"),
    B(column_without_buffers, "buffers, its type 2"),
    B(column_has_children, "it has children"),
    B(surprising_dictionary, "it has a dictionary, its schema has not"),
    B(null_count_too_small, "its null count is 0, but 1 values are NULL"),
    B(null_count_too_large, "its null count is 3, but 1 values are NULL"),
    B(null_count_over_length, "its null count is 4 of 3 rows"),
    B(null_count_minus_two, "its null count is -2"),
    B(nulls_without_bitmap, "its null count is 1, but 0 values are NULL"),
    B(no_values, "its buffer 1 is NULL, and it has 3 rows"),
    B(infinite, "'x': row 3 is infinite"),
    B(too_large, "row 3: 18446744073709551615 is larger than an integer can be"),
    B(offsets_descend, "row 2: its offsets are negative, descend"),
    B(offsets_negative, "row 1: its offsets are negative"),
    B(last_offset_negative, "row 3: its offsets are negative"),
    B(no_text, "its buffer 2 is NULL, and it has 3 bytes"),
    B(not_utf8, "row 3 is not UTF-8 text"),
    B(cut_in_a_character, "row 1 is not UTF-8 text"),
    B(nul_in_text, "row 3 is not UTF-8 text (or has a NUL in it)"),
    B(large_offsets_descend, "row 2: its offsets"),
    B(large_offsets_over_4_gib, "row 3: its offsets"),
    B(day_of_the_year_10000, "row 3: 2932897 is not within the years 1 to 9999"),
};

static void is_refused(void **state)
{
    const struct broken_row *row = *state;
    struct given g;
    struct err e;
    give(&g, "l", KEPT(int64_t, 1, 2, 3), NULL);
    row->break_it(&g);
    EXPECT(ERR_TRANSFORM, &e, take(&g, &e));
    if (!strstr(e.text, row->sentence))
        fail_msg("'%s' is not in: %s", row->sentence, e.text);
    drop(&g);
    assert_memory_equal(&no_schema, &g.schema, sizeof no_schema);
    assert_memory_equal(&no_layout, &g.layout, sizeof no_layout);
    EQ_I64(0, released);
}

static void two_columns_of_one_name_are_refused(void **state)
{
    (void)state;
    struct ArrowSchema s;
    struct schema out;
    struct arrow_layout layout;
    struct err e;
    tranche_schema_begin(&s);
    assert_int_equal(0, tranche_schema_add(&s, "delay", "l"));
    assert_int_equal(0, tranche_schema_add(&s, "DELAY", "l"));
    EXPECT(ERR_TRANSFORM, &e, arrow_schema_read(&s, &out, &layout, &e));
    assert_non_null(strstr(e.text, "two of the plugin's columns are named 'DELAY'"));
    arrow_schema_release(&s);
}

// Every day of 10,000 years, against the C library.
static void every_day_has_its_date(void **state)
{
    (void)state;
    for (int64_t day = -719162; day <= 2932896; day += 13) {
        char got[ARROW_MOMENT_MAX], want[40];
        uint32_t n;
        time_t t = (time_t)day * 86400;
        struct tm tm;
        assert_non_null(gmtime_r(&t, &tm));
        snprintf(want, sizeof want, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1,
                 tm.tm_mday);
        int64_t back;
        assert_true(arrow_moment(ARROW_DATE_DAYS, false, day, got, &n));
        assert_true(arrow_moment_read(true, (const uint8_t *)got, n, &back));
        EQ_I64(day, back);
        EQ_I64(10, n);
        assert_memory_equal(want, got, 10);
    }
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(what_goes_out_comes_back),
        cmocka_unit_test(values_and_texts_are_lent_without_a_copy),
        cmocka_unit_test(a_column_that_nobody_reads_is_null),
        cmocka_unit_test(any_columns_go_out_as_text),
        cmocka_unit_test(cells_become_what_the_schema_promised),
        cmocka_unit_test(who_keeps_part_of_a_loan_is_found_out),
        cmocka_unit_test(slices_are_read_where_they_begin),
        cmocka_unit_test(numbers_need_not_be_aligned),
        cmocka_unit_test(dictionaries_of_text_are_text),
        cmocka_unit_test(a_null_column_and_an_empty_batch_need_no_buffers),
        cmocka_unit_test(two_columns_of_one_name_are_refused),
        cmocka_unit_test(every_day_has_its_date),
    };
    struct CMUnitTest *rows = TABLE(types, is_read);
    int failed = test_main("arrow", plain, N_OF(plain), rows, N_OF(types));
    rows = TABLE(broken, is_refused);
    failed |= test_main("arrow, broken", NULL, 0, rows, N_OF(broken));
    rows = TABLE(moments, a_time_goes_out_as_a_number);
    failed |= test_main("arrow, times", NULL, 0, rows, N_OF(moments));
    rows = TABLE(misfits, is_refused_with_its_row);
    failed |= test_main("arrow, misfits", NULL, 0, rows, N_OF(misfits));
    return failed;
}
