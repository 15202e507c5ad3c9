// Work over time in a bounded number of buckets.

#include "coordinator/busy.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t sum(const struct busy *b)
{
    uint64_t n = 0;
    for (int i = 0; i < BUSY_BUCKETS; i++)
        n += b->us[i];
    return n;
}

static void work_lies_where_it_was_done(void **state)
{
    (void)state;
    struct busy b = { 0 };
    busy_add(&b, 50000, 250000);
    EQ_I64(50000, b.us[0]);
    EQ_I64(100000, b.us[1]);
    EQ_I64(50000, b.us[2]);
    EQ_I64(200000, sum(&b));
}

static void what_lies_before_the_run_is_cut_off_and_nothing_is_nothing(void **state)
{
    (void)state;
    struct busy b = { 0 };
    busy_add(&b, -500, 1000);
    busy_add(&b, 7000, 7000);
    busy_add(&b, 9000, 8000);
    EQ_I64(1000, sum(&b));
}

static void a_long_run_has_wider_buckets_and_loses_nothing(void **state)
{
    (void)state;
    struct busy b = { 0 };
    int64_t day = 24ll * 3600 * 1000000;
    busy_add(&b, 0, 5000);
    busy_add(&b, day - 1000, day);
    EQ_I64(6000, sum(&b));
    EQ_I64(5000, b.us[0]);
    assert_true(b.bucket_us * BUSY_BUCKETS >= day);
    assert_true(b.bucket_us * BUSY_BUCKETS < 2 * day);
}

static void no_time_is_too_far(void **state)
{
    (void)state;
    struct busy b = { 0 };
    busy_add(&b, INT64_MAX - 10, INT64_MAX);
    EQ_I64(0, sum(&b));
    busy_add(&b, INT64_MAX / 4 - 10, INT64_MAX);
    EQ_I64(10, sum(&b));
}

static void random_work_is_all_there(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    for (int round = 0; round < 200; round++) {
        struct busy b = { 0 };
        uint64_t want = 0;
        for (int i = 0; i < 100; i++) {
            int64_t from = rand_r(&seed) % (1 << (rand_r(&seed) % 31));
            int64_t n = rand_r(&seed) % 1000000;
            busy_add(&b, from, from + n);
            want += (uint64_t)n;
        }
        EQ_I64(want, sum(&b));
    }
}

static void text_comes_back(void **state)
{
    (void)state;
    struct busy b = { 0 };
    struct buf t = { 0 };
    struct err e;
    uint64_t ms[BUSY_BUCKETS];
    busy_add(&b, 0, 100000);
    busy_add(&b, 200000, 201500);
    PASS(&e, busy_text(&b, &t, &e));
    assert_string_equal("100 0 2", (char *)t.p);
    EQ_I64(3, busy_parse((char *)t.p, ms, BUSY_BUCKETS));
    EQ_I64(2, ms[2]);
    EQ_I64(2, busy_parse("1 2 3", ms, 2));
    EQ_I64(1, busy_parse("7 x 3", ms, 2));
    EQ_I64(0, busy_parse("", ms, 2));
    buf_free(&t);
}

int main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(work_lies_where_it_was_done),
        cmocka_unit_test(what_lies_before_the_run_is_cut_off_and_nothing_is_nothing),
        cmocka_unit_test(a_long_run_has_wider_buckets_and_loses_nothing),
        cmocka_unit_test(no_time_is_too_far),
        cmocka_unit_test(random_work_is_all_there),
        cmocka_unit_test(text_comes_back),
    };
    return test_main("busy", plain, N_OF(plain), NULL, 0);
}
