// Where the rows of a batch stand in the input: told by a second walk, and held against
// what the readers made of the same bytes.

#include "common/row_code.h"
#include "tests/batches.h"
#include "tests/test.h"
#include "worker/row_place.h"

#include <stdlib.h>
#include <string.h>

struct row {
    const char *name, *reader, *columns, *bytes;
    const char *want; // "row@line:byte raw;" for each row the reader keeps
};
static const struct row rows[] = {
    { "csv", "csv", "a text, b text", "1,x\n2,y\n", "0@5:100 1,x;1@6:104 2,y;" },
    { "csv_without_last_line_end", "csv", "a text", "1\n2", "0@5:100 1;1@6:102 2;" },
    { "csv_crlf_and_line_ends_in_quotes", "csv", "a text, b text", "1,\"x\ny\"\r\n2,y\r\n",
      "0@5:100 1,\"x\ny\";1@7:109 2,y;" },
    { "csv_blank_lines_are_no_rows", "csv", "a text, b text", "\n1,x\n\r\n\n2,y\n",
      "0@6:101 1,x;1@9:108 2,y;" },
    { "csv_blank_lines_of_one_column_are", "csv", "a text", "\n1\n",
      "0@5:100 ;1@6:101 1;" },
    { "csv_rows_that_the_reader_rejects_are_not", "csv", "a text, b text",
      "1,x,z\n2,y\n3\n4,\xff\n5,z\n", "0@6:106 2,y;1@9:116 5,z;" },
    { "csv_quoted_empty_field", "csv", "a text, b text", "\"\",x\n", "0@5:100 \"\",x;" },
    { "lines", "lines", "line text", "a\n\nb\xff\nc\r\nd",
      "0@5:100 a;1@6:102 ;2@8:106 c;3@9:109 d;" },
    { "jsonl", "jsonl", "line text", "{}\n \t\n[1]\nno\n{\"a\": 1}",
      "0@5:100 {};1@7:106 [1];2@9:113 {\"a\": 1};" },
    { "jsonl_by_list", "jsonl", "e integer",
      "{\"e\": [1,2]}\n{}\nno\n{\"e\": []}\n{\"e\": [3]}",
      "0@5:100 {\"e\": [1,2]};1@5:100 {\"e\": [1,2]};2@9:129 {\"e\": [3]};" },
    { "jsonl_by_list_with_elements_that_are_rejected", "jsonl", "e date",
      "{\"e\": [\"2024-01-01\",2]}\n{\"e\": 1}\n{\"e\": []}\n{\"e\": "
      "[\"2024-01-02\"]}\n",
      "0@8:143 {\"e\": [\"2024-01-02\"]};" },
    { "range", "range", "i integer", "", "0@0:100 100;1@0:101 101;2@0:102 102;" },
};

static const uint8_t *padded(const char *bytes, size_t n, uint8_t **block)
{
    *block = calloc(1, n + 2 * CSV_PAD);
    assert_non_null(*block);
    if (n) memcpy(*block + CSV_PAD, bytes, n);
    return *block + CSV_PAD;
}

// What the reader makes of the chunk says which rows there are.
static uint32_t read_chunk(const struct spec *spec, const struct reader_chunk *c,
                           struct rejects *rejects)
{
    const struct reader_ops *ops = reader_find(spec->reader);
    struct reader_stats stats;
    struct batch b = { 0 };
    struct err e;
    void *state;
    PASS(&e, ops->open(&state, spec, NULL, &e));
    PASS(&e, ops->read(state, c, &b, rejects, &stats, &e));
    uint32_t n = b.rows;
    ops->close(&state);
    batch_free(&b);
    return n;
}

static void gives(void **state)
{
    const struct row *t = *state;
    static char e_list[] = "e";
    struct spec spec = { .reader = (char *)(uintptr_t)t->reader,
                         .dialect = { .delimiter = ',', .quote = '"' } };
    struct rejects rejects = { 0 };
    struct row_places *w;
    struct row_place at;
    struct buf got = { 0 };
    struct err e;
    uint8_t *block;
    size_t n = strlen(t->bytes);
    bool range = strcmp(t->reader, "range") == 0;
    struct reader_chunk c = { .bytes = padded(t->bytes, n, &block),
                              .n = n,
                              .begin = 100,
                              .end = range ? 103 : 100 + n,
                              .first_line = range ? 0 : 5 };
    schema_of(&spec.in, t->columns);
    if (strncmp(t->name, "jsonl_by_list", 13) == 0) spec.list = e_list;
    for (uint32_t i = 0; spec.list && i < spec.in.n; i++) {
        spec.in.f[i].given = true;
        PASS(&e,
             strings_add(&spec.fields, spec.in.f[i].name, strlen(spec.in.f[i].name), &e));
    }
    uint32_t n_rows = read_chunk(&spec, &c, &rejects);
    struct slice read = { rejects.bytes.p, rejects.bytes.n };
    PASS(&e, row_places_new(&w, &spec, &c, read, &e));
    for (uint32_t i = 0; i < n_rows; i++) {
        PASS(&e, row_places_find(w, i, &at, &e));
        PASS(&e, buf_printf(&got, &e, "%u@%llu:%llu %.*s;", i, (unsigned long long)at.line,
                            (unsigned long long)at.byte, (int)at.raw.n,
                            at.raw.n ? (const char *)at.raw.p : ""));
    }
    assert_string_equal(t->want, (char *)got.p);
    EXPECT(ERR_PROTO, &e, row_places_find(w, n_rows, &at, &e));
    row_places_free(&w);
    PASS(&e, row_places_new(&w, &spec, &c, read, &e)); // rows may be passed over
    PASS(&e, row_places_find(w, n_rows - 1, &at, &e));
    EQ_I64(range ? 0 : at.line, at.line);
    row_places_free(&w);
    rejects_free(&rejects);
    schema_free(&spec.in);
    strings_free(&spec.fields);
    buf_free(&got);
    free(block);
}

static void rows_of_a_database_have_numbers_and_are_shown(void **state)
{
    (void)state;
    struct spec spec = { .reader = (char *)(uintptr_t) "rows" };
    struct buf b = { 0 };
    struct row_places *w;
    struct row_place at;
    struct err e;
    schema_of(&spec.in, "a any, b any");
    for (int64_t i = 0; i < 3; i++) {
        struct cell number = { .kind = CELL_INTEGER, .i = i };
        struct cell text = { .kind = CELL_TEXT, .len = 3, .p = (const uint8_t *)"x,y" };
        PASS(&e, row_code_put(&b, &number, &e));
        PASS(&e, row_code_put(&b, &text, &e));
    }
    struct reader_chunk c = { .bytes = b.p, .n = b.n, .begin = 40, .end = 43 };
    PASS(&e, row_places_new(&w, &spec, &c, (struct slice){ 0 }, &e));
    PASS(&e, row_places_find(w, 2, &at, &e));
    EQ_I64(0, at.line);
    EQ_I64(42, at.byte);
    EQ_I64(7, at.raw.n);
    assert_memory_equal("2,\"x,y\"", at.raw.p, 7);
    row_places_free(&w);
    c.n--; // a row that is cut
    PASS(&e, row_places_new(&w, &spec, &c, (struct slice){ 0 }, &e));
    EXPECT(ERR_PROTO, &e, row_places_find(w, 2, &at, &e));
    row_places_free(&w);
    schema_free(&spec.in);
    buf_free(&b);
}

static void put_numbered(struct buf *b, int64_t rowid, const char *text)
{
    struct cell number = { .kind = CELL_INTEGER, .i = rowid };
    struct cell v = { .kind = CELL_TEXT,
                      .len = (uint32_t)strlen(text),
                      .p = (const uint8_t *)text };
    struct err e;
    PASS(&e, row_code_put(b, &number, &e));
    PASS(&e, row_code_put(b, &v, &e));
    PASS(&e, row_code_put(b, &number, &e));
}

static void rows_of_a_table_have_the_numbers_they_came_with(void **state)
{
    (void)state;
    struct spec spec = { .reader = (char *)(uintptr_t) "rows",
                         .query = (char *)(uintptr_t) "SELECT" };
    struct rejects rejects = { 0 };
    struct buf b = { 0 }, got = { 0 };
    struct row_places *w;
    struct row_place at;
    struct err e;
    schema_of(&spec.in, "a any, b any");
    put_numbered(&b, 0, "first");
    put_numbered(&b, 3, "x,y");
    put_numbered(&b, 7, "\xff"); // the reader rejects it
    put_numbered(&b, 8, "next");
    put_numbered(&b, 1000000000000, "far");
    struct reader_chunk c = { .bytes = b.p, .n = b.n, .begin = 0, .end = 1000000000001 };
    EQ_I64(4, read_chunk(&spec, &c, &rejects));
    struct slice read = { rejects.bytes.p, rejects.bytes.n };
    PASS(&e, row_places_new(&w, &spec, &c, read, &e));
    for (uint32_t i = 0; i < 4; i++) {
        PASS(&e, row_places_find(w, i, &at, &e));
        PASS(&e, buf_printf(&got, &e, "%lld %.*s;", (long long)at.byte, (int)at.raw.n,
                            (const char *)at.raw.p));
    }
    assert_string_equal("0 first,0;3 \"x,y\",3;8 next,8;1000000000000 far,1000000000000;",
                        (char *)got.p);
    EXPECT(ERR_PROTO, &e, row_places_find(w, 4, &at, &e));
    row_places_free(&w);
    rejects_free(&rejects);
    schema_free(&spec.in);
    buf_free(&got);
    buf_free(&b);
}

static void a_row_of_a_table_without_its_number_is_damaged(void **state)
{
    (void)state;
    struct spec spec = { .reader = (char *)(uintptr_t) "rows",
                         .query = (char *)(uintptr_t) "SELECT" };
    struct cell v = { .kind = CELL_TEXT, .len = 1, .p = (const uint8_t *)"x" };
    struct buf b = { 0 };
    struct row_places *w;
    struct row_place at;
    struct err e;
    schema_of(&spec.in, "a any");
    PASS(&e, row_code_put(&b, &v, &e));
    PASS(&e, row_code_put(&b, &v, &e));
    struct reader_chunk c = { .bytes = b.p, .n = b.n, .begin = 0, .end = 1 };
    PASS(&e, row_places_new(&w, &spec, &c, (struct slice){ 0 }, &e));
    EXPECT(ERR_PROTO, &e, row_places_find(w, 0, &at, &e));
    row_places_free(&w);
    schema_free(&spec.in);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_a_database_have_numbers_and_are_shown),
        cmocka_unit_test(rows_of_a_table_have_the_numbers_they_came_with),
        cmocka_unit_test(a_row_of_a_table_without_its_number_is_damaged),
    };
    return test_main("row_place", tests, N_OF(tests), TABLE(rows, gives), N_OF(rows));
}
