// What a trial is made of: parts of the inputs, and values of params.

#include "coordinator/survey_params.h"
#include "tests/source_kit.h"
#include "tests/test.h"

#include <fcntl.h>
#include <math.h>
#include <sqlite3.h>
#include <unistd.h>

static struct err e;

// ---- values as SQL ----

static void literal(const struct cell *c, char out[200])
{
    struct buf b = { 0 };
    PASS(&e, survey_literal(c, &b, &e));
    assert_true(b.n < 200);
    memcpy(out, b.p, b.n);
    out[b.n] = 0;
    buf_free(&b);
}

static void values_are_the_same_in_sql(void **state)
{
    (void)state;
    static const char odd[] = "o'x\"; DROP TABLE t; --";
    static const uint8_t blob[] = { 0, 255, '\'' };
    const struct cell cells[] = {
        { .kind = CELL_NULL },
        { .kind = CELL_INTEGER, .i = INT64_MIN },
        { .kind = CELL_INTEGER, .i = -37 },
        { .kind = CELL_REAL, .r = 0.1 },
        { .kind = CELL_REAL, .r = 3 },
        { .kind = CELL_REAL, .r = INFINITY },
        { .kind = CELL_TEXT, .len = sizeof odd - 1, .p = (const uint8_t *)odd },
        { .kind = CELL_TEXT, .len = 0, .p = (const uint8_t *)"" },
        { .kind = CELL_BLOB, .len = 3, .p = blob },
    };
    sqlite3 *db;
    assert_int_equal(SQLITE_OK, sqlite3_open(":memory:", &db));
    for (size_t i = 0; i < N_OF(cells); i++) {
        const struct cell *c = &cells[i];
        char sql[200];
        sqlite3_stmt *q = NULL;
        literal(c, sql);
        if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK) fail_msg("%s", sql);
        assert_int_equal(SQLITE_ROW, sqlite3_step(q));
        static const int types[] = { SQLITE_NULL, SQLITE_INTEGER, SQLITE_FLOAT, SQLITE_TEXT,
                                     SQLITE_BLOB };
        EQ_I64(types[c->kind], sqlite3_column_type(q, 0));
        if (c->kind == CELL_INTEGER) EQ_I64(c->i, sqlite3_column_int64(q, 0));
        if (c->kind == CELL_REAL) assert_true(c->r == sqlite3_column_double(q, 0));
        if (c->kind >= CELL_TEXT) {
            EQ_I64(c->len, sqlite3_column_bytes(q, 0));
            assert_true(c->len == 0 ||
                        memcmp(c->p, sqlite3_column_blob(q, 0), c->len) == 0);
        }
        sqlite3_finalize(q);
    }
    sqlite3_close(db);
}

// ---- parts of the inputs ----

struct part {
    struct folder f;
    struct excerpt x;
    char *text; // of the excerpt
};

static void cut(struct part *p, const char *files, uint64_t bytes)
{
    struct source *s = NULL;
    struct schema schema = { 0 };
    struct buf trial = { 0 };
    uint64_t rows;
    char path[PATH_SPACE];
    struct job j = job_of(&p->f, files);
    PASS(&e, source_open(&s, &j, &e));
    PASS(&e, source_infer(s, &j, &schema, &trial, &rows, &e));
    in_folder(&p->f, "excerpt", path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    PASS(&e, source_excerpt(s, schema.n, bytes, fd, &p->x, &e));
    p->text = calloc(1, p->x.bytes + 1);
    EQ_I64(p->x.bytes, pread(fd, p->text, p->x.bytes, 0));
    close(fd);
    source_close(&s);
    schema_free(&schema);
    buf_free(&trial);
    job_free(&j);
}

static void part_free(struct part *p)
{
    free(p->text);
    folder_rm(&p->f);
}

// Rows "number,text": some texts have line ends in quotes.
static char *numbered(size_t rows, size_t *n)
{
    char *p = malloc(rows * 40 + 10);
    *n = (size_t)sprintf(p, "i,text\n");
    for (size_t i = 0; i < rows; i++)
        *n += (size_t)sprintf(p + *n, i % 3 ? "%zu,abc\n" : "%zu,\"a,\nb\"\n", i);
    return p;
}

static void head_middle_and_tail_are_whole_records(void **state)
{
    (void)state;
    enum { ROWS = 300000 };
    size_t n;
    struct part p = { .f = folder_new() };
    char *text = numbered(ROWS, &n);
    put_file(&p.f, "a.csv", text, n);
    cut(&p, "a.csv", 30000);
    if (p.x.bytes < 25000 || p.x.bytes > 40000)
        fail_msg("%llu", (unsigned long long)p.x.bytes);
    EQ_I64(0, strtol(p.text, NULL, 10));
    bool middle = false, last = false;
    for (char *line = p.text; *line; line = strchr(line, '\n') + 1) {
        if (*line == 'b') continue; // within quotes
        size_t i = (size_t)strtol(line, NULL, 10);
        char want[40];
        int k = sprintf(want, i % 3 ? "%zu,abc\n" : "%zu,\"a,\nb\"\n", i);
        if (strncmp(line, want, (size_t)k) != 0) fail_msg("%.40s", line);
        middle |= i > ROWS / 3 && i < 2 * ROWS / 3;
        last |= i == ROWS - 1;
    }
    assert_true(middle && last);
    free(text);
    part_free(&p);
}

static void a_byte_is_found_again_where_it_came_from(void **state)
{
    (void)state;
    size_t n;
    struct part p = { .f = folder_new() };
    char *text = numbered(100000, &n);
    put_file(&p.f, "a.csv", text, n);
    cut(&p, "a.csv", 9000);
    for (uint64_t at = 0; at < p.x.bytes; at += 97) {
        uint32_t input;
        uint64_t byte;
        assert_true(excerpt_origin(&p.x, at, &input, &byte));
        EQ_I64(0, input);
        EQ_I64(p.text[at], text[byte]);
    }
    free(text);
    part_free(&p);
}

static void parts_go_over_the_ends_of_files(void **state)
{
    (void)state;
    struct part p = { .f = folder_new() };
    put_file(&p.f, "a.csv", "i\n1\n2", 5); // the last line has no end
    put_file(&p.f, "b.csv", "i\n", 2);
    put_file(&p.f, "c.csv", "i\n3\n4\n", 6);
    cut(&p, "?.csv", 1000);
    assert_string_equal("1\n2\n3\n4\n", p.text);
    part_free(&p);
}

static void no_input_makes_no_part(void **state)
{
    (void)state;
    uint32_t input;
    uint64_t byte;
    struct part p = { .f = folder_new() };
    put_file(&p.f, "a.csv", "i,j\n", 4);
    cut(&p, "a.csv", 1000);
    EQ_I64(0, p.x.bytes);
    assert_false(excerpt_origin(&p.x, 0, &input, &byte));
    part_free(&p);
}

// A record that is longer than any block: head and middle are left out.
static void a_record_without_end_is_left_out(void **state)
{
    enum { LONG = 10 << 20 };
    (void)state;
    struct part p = { .f = folder_new() };
    char *text = malloc(LONG);
    memset(text, 'x', LONG);
    memcpy(text, "i,j\n1,2\n3,\"", 11);
    memcpy(text + LONG - 8, "\"\n4,5\n6", 8);
    put_file(&p.f, "a.csv", text, LONG);
    cut(&p, "a.csv", 300);
    if (strncmp(p.text, "1,2\n", 4) != 0) fail_msg("%.40s", p.text);
    assert_true(p.x.bytes < 1000);
    free(text);
    part_free(&p);
}

// Quotes that never end make no record of what stands behind them.
static void a_quote_that_never_ends_is_left_out(void **state)
{
    (void)state;
    struct part p = { .f = folder_new() };
    put_text(&p.f, "a.csv", "i,j\n1,2\n3,\"x\n5,6\n");
    cut(&p, "a.csv", 1000);
    assert_string_equal("1,2\n", p.text);
    part_free(&p);
}

static void many_files_give_as_many_parts_as_there_may_be(void **state)
{
    enum { MANY = EXCERPT_PIECES + 40 };
    (void)state;
    struct part p = { .f = folder_new() };
    char name[40], text[40];
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "%03d.csv", i);
        int n = snprintf(text, sizeof text, "i\n%d\n", i);
        put_file(&p.f, name, text, (size_t)n);
    }
    cut(&p, "*.csv", UINT64_MAX);
    EQ_I64(EXCERPT_PIECES, p.x.n);
    if (strncmp(p.text, "0\n1\n2\n", 6) != 0) fail_msg("%.40s", p.text);
    part_free(&p);
}

static void one_byte_is_a_record_at_each_place(void **state)
{
    (void)state;
    size_t n;
    struct part p = { .f = folder_new() };
    char *text = numbered(1000, &n);
    put_file(&p.f, "a.csv", text, n);
    cut(&p, "a.csv", 1);
    assert_true(p.x.n >= 1 && p.x.n <= 3);
    if (strncmp(p.text, "0,\"a,\nb\"\n", 9) != 0) fail_msg("%.40s", p.text);
    free(text);
    part_free(&p);
}

// Of those that are compressed only heads are read, and none beside plain ones.
static void compressed_files_are_read_from_their_heads(void **state)
{
    (void)state;
    size_t n;
    struct part p = { .f = folder_new() }, mixed = { .f = folder_new() };
    char *text = numbered(40000, &n);
    for (int i = 0; i < 4; i++) {
        char name[20];
        snprintf(name, sizeof name, "%d.csv.gz", i);
        put_gz(&p.f, name, text, i % 2 ? n : 60, 1);
    }
    cut(&p, "*.csv.gz", 100000);
    assert_true(p.x.n >= 2 && p.x.unpacked > 0);
    assert_true(p.x.bytes >= 50000 && p.x.bytes < 400000);
    put_gz(&mixed.f, "a.csv.gz", text, n, 1);
    put_file(&mixed.f, "b.csv", text, 80);
    cut(&mixed, "a.csv.gz b.csv", 100000);
    EQ_I64(0, mixed.x.unpacked);
    EQ_I64(1, mixed.x.v[0].input);
    free(text);
    part_free(&p);
    part_free(&mixed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_the_same_in_sql),
        cmocka_unit_test(head_middle_and_tail_are_whole_records),
        cmocka_unit_test(a_byte_is_found_again_where_it_came_from),
        cmocka_unit_test(parts_go_over_the_ends_of_files),
        cmocka_unit_test(no_input_makes_no_part),
        cmocka_unit_test(a_record_without_end_is_left_out),
        cmocka_unit_test(a_quote_that_never_ends_is_left_out),
        cmocka_unit_test(many_files_give_as_many_parts_as_there_may_be),
        cmocka_unit_test(one_byte_is_a_record_at_each_place),
        cmocka_unit_test(compressed_files_are_read_from_their_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
