// Rows in bytes: what goes in comes out, the bytes are pinned, and every cut is seen.

#include "common/row_code.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *name;
    struct cell c;
    const char *hex, *shown;
};

#define I(v)                         \
    {                                \
        .kind = CELL_INTEGER, .i = v \
    }
#define R(v)                      \
    {                             \
        .kind = CELL_REAL, .r = v \
    }
#define T(kind_, s)                                                    \
    {                                                                  \
        .kind = kind_, .len = sizeof(s) - 1, .p = (const uint8_t *)(s) \
    }

static const struct row rows[] = {
    { "null", { .kind = CELL_NULL }, "00", "" },
    { "zero", I(0), "0100", "0" },
    { "one_byte", I(-128), "0180", "-128" },
    { "two_bytes", I(128), "028000", "128" },
    { "two_bytes_negative", I(-32768), "020080", "-32768" },
    { "four_bytes", I(32768), "0300800000", "32768" },
    { "eight_bytes", I(INT64_MIN), "040000000000000080", "-9223372036854775808" },
    { "greatest", I(INT64_MAX), "04ffffffffffffff7f", "9223372036854775807" },
    { "real", R(1.5), "05000000000000f83f", "1.5" },
    { "real_without_a_point", R(2.0), "050000000000000040", "2.0" },
    { "real_of_many_digits", R(0.1), "059a9999999999b93f", "0.1" },
    { "infinity", R(INFINITY), "05000000000000f07f", "inf" },
    { "empty_text", T(CELL_TEXT, ""), "08", "\"\"" },
    { "text", T(CELL_TEXT, "ab"), "0a6162", "ab" },
    { "text_to_be_quoted", T(CELL_TEXT, "a,\"b\n"), "0d612c22620a", "\"a,\"\"b\n\"" },
    { "empty_blob", T(CELL_BLOB, ""), "0700000000", "x''" },
    { "blob", T(CELL_BLOB, "\0\xff"), "070200000000ff", "x'00ff'" },
};

static void there_and_back(void **state)
{
    const struct row *r = *state;
    struct buf b = { 0 }, shown = { 0 };
    struct err e;
    struct cell back = { .kind = 99 };
    char hex[64] = "";
    size_t at = 0;
    PASS(&e, row_code_put(&b, &r->c, &e));
    for (size_t i = 0; i < b.n; i++)
        snprintf(hex + 2 * i, 3, "%02x", b.p[i]);
    assert_string_equal(r->hex, hex);
    assert_true(row_code_next(b.p, b.n, &at, &back));
    EQ_I64(b.n, at);
    EQ_I64(r->c.kind, back.kind);
    EQ_I64(r->c.len, back.len);
    if (r->c.kind == CELL_TEXT || r->c.kind == CELL_BLOB)
        assert_memory_equal(r->c.p, back.p, r->c.len);
    else
        EQ_I64(r->c.i, back.i);
    for (size_t cut = 0; cut < b.n; cut++) {
        at = 0;
        assert_false(row_code_next(b.p, cut, &at, &back));
        EQ_I64(0, at);
    }
    PASS(&e, row_code_show(b.p, b.n, 1, &shown, &e));
    PASS(&e, buf_add(&shown, "", 1, &e));
    assert_string_equal(r->shown, (char *)shown.p);
    buf_free(&b);
    buf_free(&shown);
}

static void texts_of_every_length_come_back(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    struct cell back;
    uint8_t text[600];
    memset(text, 'x', sizeof text);
    for (uint32_t n = 0; n < sizeof text; n++) {
        struct cell c = { .kind = CELL_TEXT, .len = n, .p = text };
        size_t at = 0;
        b.n = 0;
        PASS(&e, row_code_put(&b, &c, &e));
        EQ_I64(n <= 247 ? n + 1 : n + 5, b.n);
        assert_true(row_code_next(b.p, b.n, &at, &back));
        EQ_I64(n, back.len);
    }
    buf_free(&b);
}

static void rows_are_shown_as_csv(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 }, shown = { 0 };
    for (size_t i = 0; i < N_OF(rows); i++)
        PASS(&e, row_code_put(&b, &rows[i].c, &e));
    PASS(&e, row_code_show(b.p, b.n, 3, &shown, &e));
    assert_memory_equal(",0,-128", shown.p, shown.n);
    EQ_I64(7, shown.n);
    size_t at = 0;
    assert_true(row_code_skip(b.p, b.n, &at, N_OF(rows)));
    EQ_I64(b.n, at);
    at = 0;
    assert_false(row_code_skip(b.p, b.n, &at, N_OF(rows) + 1));
    EQ_I64(0, at);
    buf_free(&b);
    buf_free(&shown);
}

int main(void)
{
    static const struct CMUnitTest own[] = {
        cmocka_unit_test(texts_of_every_length_come_back),
        cmocka_unit_test(rows_are_shown_as_csv),
    };
    return test_main("row_code", own, N_OF(own), TABLE(rows, there_and_back), N_OF(rows));
}
