#include "common/rejects.h"
#include "tests/test.h"

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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(every_truncation_is_bad),
        cmocka_unit_test(a_long_reason_is_cut_between_characters),
    };
    return test_main("rejects", tests, N_OF(tests), NULL, 0);
}
