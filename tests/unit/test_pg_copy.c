#include "common/pg_copy.h"
#include "common/rejects.h"
#include "tests/random_batch.h"
#include "tests/test.h"

enum { ROOM = 1 << 20 };

// ---- one value of every kind for every column

struct row {
    const char *name;
    enum type type;
    struct cell cell;
    const char *csv; // what comes back; NULL: the column can't have it ...
    const char *why; // ... and that is a part of why
};

#define INT(v)                         \
    {                                  \
        .kind = CELL_INTEGER, .i = (v) \
    }
#define REAL(v)                     \
    {                               \
        .kind = CELL_REAL, .r = (v) \
    }
#define TEXT(s)                                                            \
    {                                                                      \
        .kind = CELL_TEXT, .len = sizeof(s) - 1, .p = (const uint8_t *)(s) \
    }
#define BLOB(s)                                                            \
    {                                                                      \
        .kind = CELL_BLOB, .len = sizeof(s) - 1, .p = (const uint8_t *)(s) \
    }

static const struct row ROWS[] = {
    { "an_integer", TYPE_INTEGER, INT(-7), "-7", NULL },
    { "a_whole_real_is_an_integer", TYPE_INTEGER, REAL(3.0), "3", NULL },
    { "the_text_of_an_integer_is_one", TYPE_INTEGER, TEXT("12"), "12", NULL },
    { "a_fraction_is_no_integer", TYPE_INTEGER, REAL(3.5), NULL, "3.5 is not an integer" },
    { "a_huge_real_is_no_integer", TYPE_INTEGER, REAL(0x1p63), NULL, "not an integer" },
    { "a_word_is_no_integer", TYPE_INTEGER, TEXT("abc"), NULL, "'abc' is not an integer" },
    { "a_blob_is_no_integer", TYPE_INTEGER, BLOB("ab"), NULL, "a blob of 2 bytes" },
    { "a_real", TYPE_REAL, REAL(0.1), "0.1", NULL },
    { "an_integer_is_a_real", TYPE_REAL, INT(2), "2.0", NULL },
    { "a_word_is_no_real", TYPE_REAL, TEXT("x"), NULL, "'x' is not a number" },
    { "true", TYPE_BOOLEAN, INT(1), "1", NULL },
    { "true_as_text", TYPE_BOOLEAN, TEXT("true"), "1", NULL },
    { "two_is_no_truth", TYPE_BOOLEAN, INT(2), NULL, "2 is not true or false" },
    { "a_date", TYPE_DATE, TEXT("2001-02-03"), "2001-02-03", NULL },
    { "no_date", TYPE_DATE, TEXT("2001-02-30"), NULL, "is not a date" },
    { "a_number_is_no_date", TYPE_DATE, INT(1), NULL, "1 is not a date" },
    { "a_timestamp", TYPE_TIMESTAMP, TEXT("2001-02-03T04:05"), "2001-02-03 04:05:00",
      NULL },
    { "the_year_0", TYPE_TIMESTAMP, TEXT("0000-02-03T04:05"), NULL, "that PostgreSQL has" },
    { "a_text", TYPE_TEXT, TEXT("a,\"b"), "\"a,\"\"b\"", NULL },
    { "an_empty_text", TYPE_TEXT, TEXT(""), "\"\"", NULL },
    { "a_number_as_text", TYPE_ANY, REAL(1.0), "1.0", NULL },
    { "a_blob_as_text", TYPE_ANY, BLOB("\x01\xff"), "\\x01ff", NULL },
    { "nothing", TYPE_INTEGER, { .kind = CELL_NULL }, "", NULL },
    { "a_nul", TYPE_TEXT, TEXT("a\0b"), NULL, "byte 2 of the text is NUL" },
    { "bad_utf8", TYPE_TEXT, TEXT("ab\xff"), NULL, "byte 3 of the text is not UTF-8" },
};

static struct batch one_cell(const struct schema *s, const struct cell *c)
{
    struct batch b = { 0 };
    struct err e;
    PASS(&e, batch_start(&b, s, &e));
    b.rows = 1;
    b.col[0].absent = false;
    b.col[0].type = TYPE_ANY;
    b.col[0].any = arena_alloc(&b.mem, sizeof *c);
    *b.col[0].any = *c;
    return b;
}

static void value_is_written_or_refused(void **state)
{
    const struct row *row = *state;
    struct schema s = { 0 };
    struct pg_copy_writer *w;
    struct err e;
    uint8_t room[4096];
    struct region to = { room, sizeof room, 0 };
    PASS(&e, schema_add(&s, "c", 1, row->type, false, &e));
    struct batch b = one_cell(&s, &row->cell);
    PASS(&e, pg_copy_writer_new(&w, &s, &e));
    PASS(&e, pg_copy_write(w, &b, &to, &e));
    PASS(&e, pg_copy_check(to.p, to.n, &s, 1, &e));
    struct pg_copy x = pg_copy_parts(to.p, to.n);
    if (row->csv) {
        struct buf csv = { 0 };
        EQ_I64(0, x.refused.n);
        PASS(&e, pg_copy_csv(&s, x.tuples.p, &csv, &e));
        assert_int_equal(csv.n, strlen(row->csv));
        assert_memory_equal(csv.p, row->csv, csv.n);
        buf_free(&csv);
    } else {
        struct reject r;
        size_t at = 0;
        bool bad;
        EQ_I64(0, x.tuples.n);
        assert_true(rejects_next(x.refused, &at, &r, &bad));
        if (!memmem(r.reason.p, r.reason.n, row->why, strlen(row->why)))
            fail_msg("'%.*s' lacks '%s'", (int)r.reason.n, (const char *)r.reason.p,
                     row->why);
        EQ_I64(1, r.column.n);
    }
    pg_copy_writer_free(&w);
    batch_free(&b);
    schema_free(&s);
}

// ---- whole batches, and what a liar may send

struct sent {
    struct schema schema;
    struct region to;
    uint32_t rows;
};

static struct sent send_random(const char *name)
{
    static const struct batch_taste TASTE = { 10, 10, 3, 5, 20, 500 };
    struct rnd r = rnd_seed(name);
    struct sent x = { .to = { malloc(ROOM), ROOM, 0 }, .rows = 200 };
    struct batch b = { 0 };
    struct pg_copy_writer *w;
    struct err e;
    random_schema(&r, 8, 12, &x.schema);
    random_batch(&r, &x.schema, x.rows, &TASTE, &b);
    PASS(&e, pg_copy_writer_new(&w, &x.schema, &e));
    PASS(&e, pg_copy_write(w, &b, &x.to, &e));
    pg_copy_writer_free(&w);
    batch_free(&b);
    return x;
}

static void sent_free(struct sent *x)
{
    schema_free(&x->schema);
    free(x->to.p);
}

static void every_row_arrives_or_is_refused(void **state)
{
    (void)state;
    struct err e;
    for (int i = 0; i < 20; i++) {
        struct sent x = send_random("every_row_arrives_or_is_refused");
        PASS(&e, pg_copy_check(x.to.p, x.to.n, &x.schema, x.rows, &e));
        EXPECT(ERR_PROTO, &e, pg_copy_check(x.to.p, x.to.n, &x.schema, x.rows + 1, &e));
        sent_free(&x);
    }
}

static void every_cut_is_found(void **state)
{
    (void)state;
    struct err e;
    struct sent x = send_random("every_cut_is_found");
    for (size_t n = 0; n < x.to.n; n += 1 + n / 64) {
        uint8_t *copy = malloc(n ? n : 1); // what stands behind it is not ours
        memcpy(copy, x.to.p, n);
        EXPECT(ERR_PROTO, &e, pg_copy_check(copy, n, &x.schema, x.rows, &e));
        free(copy);
    }
    sent_free(&x);
}

static void a_trailer_in_the_middle_is_no_row(void **state)
{
    (void)state;
    struct err e;
    struct sent x = send_random("a_trailer_in_the_middle_is_no_row");
    memcpy(x.to.p + PG_COPY_FRONT, PG_COPY_TRAILER, PG_COPY_TRAILER_BYTES);
    EXPECT(ERR_PROTO, &e, pg_copy_check(x.to.p, x.to.n, &x.schema, x.rows, &e));
    sent_free(&x);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_arrives_or_is_refused),
        cmocka_unit_test(every_cut_is_found),
        cmocka_unit_test(a_trailer_in_the_middle_is_no_row),
    };
    return test_main("pg_copy", tests, N_OF(tests), NULL, 0) +
           test_main("values", NULL, 0, TABLE(ROWS, value_is_written_or_refused),
                     N_OF(ROWS));
}
