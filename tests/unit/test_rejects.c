#include "common/rejects.h"
#include "coordinator/reject_kinds.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct slice text(const char *s)
{
    return (struct slice){ (const uint8_t *)s, strlen(s) };
}

static void what_goes_in_comes_out(void **state)
{
    (void)state;
    struct err e;
    struct rejects r = { 0 };
    struct reject a = { 7, 99, text("delay"), text("'abc' is not an integer"),
                        text("x,abc") };
    struct reject b = { 8, 105, text(""), text("3 fields, wanted 2"), text("") };
    PASS(&e, rejects_add(&r, &a, &e));
    PASS(&e, rejects_add(&r, &b, &e));
    EQ_I64(2, r.n);

    size_t at = 0;
    bool bad;
    struct reject got;
    struct slice all = { r.bytes.p, r.bytes.n };
    assert_true(rejects_next(all, &at, &got, &bad));
    EQ_I64(7, got.line);
    EQ_I64(99, got.byte);
    EQ_I64(5, got.column.n);
    assert_memory_equal(got.raw.p, "x,abc", 5);
    assert_true(rejects_next(all, &at, &got, &bad));
    EQ_I64(0, got.raw.n);
    assert_false(rejects_next(all, &at, &got, &bad));
    assert_false(bad);
    rejects_free(&r);
}

static void every_truncation_is_bad(void **state)
{
    (void)state;
    struct err e;
    struct rejects r = { 0 };
    struct reject a = { 7, 99, text("delay"), text("why"), text("x,abc") };
    PASS(&e, rejects_add(&r, &a, &e));
    for (size_t n = 1; n < r.bytes.n; n++) {
        uint8_t *copy = malloc(n);
        memcpy(copy, r.bytes.p, n);
        size_t at = 0;
        bool bad;
        struct reject got;
        assert_false(rejects_next((struct slice){ copy, n }, &at, &got, &bad));
        assert_true(bad);
        free(copy);
    }
    rejects_free(&r);
}

static void a_long_reason_is_cut_between_characters(void **state)
{
    (void)state;
    struct err e;
    struct rejects r = { 0 };
    char reason[2 * REJECT_REASON_MAX];
    reason[0] = 'x';
    for (size_t i = 1; i + 1 < sizeof reason; i += 2)
        memcpy(reason + i, "\xc3\xa4", 2);
    struct reject a = { .reason = { (const uint8_t *)reason, sizeof reason - 1 } };
    PASS(&e, rejects_add(&r, &a, &e));
    size_t at = 0;
    bool bad;
    struct reject got;
    assert_true(rejects_next((struct slice){ r.bytes.p, r.bytes.n }, &at, &got, &bad));
    EQ_I64(REJECT_REASON_MAX - 1, got.reason.n);
    rejects_free(&r);
}

static void put(struct reject_kinds *k, const char *column, const char *reason)
{
    struct err e;
    struct rejects r = { 0 };
    struct reject a = { 7, 99, text(column), text(reason), text("x") };
    PASS(&e, rejects_add(&r, &a, &e));
    reject_kinds_add(k, (struct slice){ r.bytes.p, r.bytes.n });
    rejects_free(&r);
}

static void the_most_frequent_kind_of_reason_is_told_with_an_example(void **state)
{
    (void)state;
    static struct reject_kinds k;
    char other[40];
    assert_null(reject_kinds_most(&k));
    reject_kinds_add(&k, (struct slice){ NULL, 0 });
    put(&k, "", "NUL byte at 7");
    put(&k, "d", "'31.12.2023' is not a date");
    for (int i = 0; i < 100; i++) {
        snprintf(other, sizeof other, "%d fields, the header has 1", i);
        put(&k, "", other);
    }
    put(&k, "e", "'30.12.2023' is not a date");
    put(&k, "e", "'x' is not a date");
    const struct reject_kind *most = reject_kinds_most(&k);
    EQ_I64(REJECT_KINDS, k.n);
    EQ_I64(3, most->rows);
    assert_string_equal("'...' is not a date", most->kind);
    assert_string_equal("column d: '31.12.2023' is not a date", most->like);
}

static void a_long_kind_fits_into_its_room(void **state)
{
    (void)state;
    static struct reject_kinds k;
    char column[300], reason[900];
    memset(column, 'c', sizeof column);
    memset(reason, 'r', sizeof reason);
    column[sizeof column - 1] = reason[sizeof reason - 1] = 0;
    put(&k, column, reason);
    put(&k, column, reason);
    EQ_I64(2, reject_kinds_most(&k)->rows);
    EQ_I64(7 + 60 + 2 + REJECT_KIND - 80, strlen(k.v[0].like));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(every_truncation_is_bad),
        cmocka_unit_test(the_most_frequent_kind_of_reason_is_told_with_an_example),
        cmocka_unit_test(a_long_kind_fits_into_its_room),
        cmocka_unit_test(a_long_reason_is_cut_between_characters),
    };
    return test_main("rejects", tests, N_OF(tests), NULL, 0);
}
