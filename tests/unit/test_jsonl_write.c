#include "common/jsonl_write.h"

#include "tests/batches.h"
#include "tests/test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text {
    struct region to;
    uint8_t room[65536];
};

static const char *written(struct text *t, const struct schema *s, const struct batch *b)
{
    struct err e;
    struct jsonl_writer *w;
    uint32_t row = 0;
    t->to = (struct region){ .p = t->room, .cap = sizeof t->room - 1 };
    PASS(&e, jsonl_writer_new(&w, s, &e));
    jsonl_write_rows(w, b, &row, &t->to);
    EQ_I64(b->rows, row);
    jsonl_writer_free(&w);
    assert_null(w);
    t->room[t->to.n] = 0;
    return (const char *)t->room;
}

struct golden {
    const char *name, *columns, *rows, *want;
};

static const struct golden golden[] = {
    { "no_rows", "a text", "", "" },
    { "numbers_and_texts", "a text, i integer, r real", "'x', 5, 1.5; 'y', -7, 2.0",
      "{\"a\":\"x\",\"i\":5,\"r\":1.5}\n{\"a\":\"y\",\"i\":-7,\"r\":2.0}\n" },
    { "nulls", "a text, i integer", "NULL, NULL; '', 0",
      "{\"a\":null,\"i\":null}\n{\"a\":\"\",\"i\":0}\n" },
    { "booleans_dates_and_misfits", "b boolean, d date, i integer",
      "1, '2008-02-29', '007'; 0, 'never', 7",
      "{\"b\":true,\"d\":\"2008-02-29\",\"i\":\"007\"}\n"
      "{\"b\":false,\"d\":\"never\",\"i\":7}\n" },
    { "any", "x any", "5; 5.0; 'a'; x'00ff'; NULL",
      "{\"x\":5}\n{\"x\":5.0}\n{\"x\":\"a\"}\n{\"x\":\"\\\\x00ff\"}\n{\"x\":null}\n" },
    { "escapes", "a text", "'\"\\/\b\f\n\r\t\x01\x1f\x7f\xc3\xa4'",
      "{\"a\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa4\"}\n" },
    { "escapes_in_names", "a\"\\ text", "'x'", "{\"a\\\"\\\\\":\"x\"}\n" },
};

static void is_written_so(void **state)
{
    const struct golden *g = *state;
    static struct text t;
    struct schema s;
    struct batch b = { 0 };
    schema_of(&s, g->columns);
    batch_of(&b, &s, g->rows);
    assert_string_equal(g->want, written(&t, &s, &b));
    batch_free(&b);
    schema_free(&s);
}

// SQLite's JSON functions are the judge.
static void every_byte_of_text_comes_back(void **state)
{
    (void)state;
    static struct text t;
    struct schema s;
    struct batch b = { 0 };
    sqlite3 *db;
    sqlite3_stmt *stmt;
    schema_of(&s, "a text");
    batch_of(&b, &s, "'12345678901234567890123456789012'");
    assert_int_equal(SQLITE_OK, sqlite3_open(":memory:", &db));
    assert_int_equal(SQLITE_OK,
                     sqlite3_prepare_v2(db, "SELECT ?1 ->> 'a'", -1, &stmt, NULL));
    for (int c = 1; c < 128; c++) {
        memset(b.col[0].bytes + 3, c, 20);
        written(&t, &s, &b);
        sqlite3_bind_text(stmt, 1, (char *)t.room, (int)t.to.n, SQLITE_STATIC);
        assert_int_equal(SQLITE_ROW, sqlite3_step(stmt));
        EQ_I64(32, sqlite3_column_bytes(stmt, 0));
        assert_memory_equal(b.col[0].bytes, sqlite3_column_text(stmt, 0), 32);
        sqlite3_reset(stmt);
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    batch_free(&b);
    schema_free(&s);
}

static void rows_that_do_not_fit_wait_for_more_room(void **state)
{
    (void)state;
    struct err e;
    static struct text t, whole;
    struct jsonl_writer *w;
    struct schema s;
    struct batch b = { 0 };
    schema_of(&s, "a text, b real");
    batch_of(&b, &s, "'x,y', 1.5; NULL, NULL; 'a long, long text', 0.1; '', -2.0");
    written(&whole, &s, &b);
    PASS(&e, jsonl_writer_new(&w, &s, &e));
    for (size_t room = 0; room < 300; room++) {
        uint32_t row = 0, before = 1;
        t.to = (struct region){ .p = t.room };
        while (row != before) {
            before = row;
            t.to.cap = t.to.n + room;
            jsonl_write_rows(w, &b, &row, &t.to);
            assert_memory_equal(whole.room, t.room, t.to.n);
            assert_true(t.to.n == 0 || t.room[t.to.n - 1] == '\n');
        }
        if (room > 200) EQ_I64(whole.to.n, t.to.n);
    }
    jsonl_writer_free(&w);
    batch_free(&b);
    schema_free(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_of_text_comes_back),
        cmocka_unit_test(rows_that_do_not_fit_wait_for_more_room),
    };
    return test_main("jsonl_write", tests, N_OF(tests), TABLE(golden, is_written_so),
                     N_OF(golden));
}
