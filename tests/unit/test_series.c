// Numbers over time for charts.

#include "coordinator/series.h"
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

static void near(double want, double got)
{
    if (!(fabs(want - got) < 1e-6 * (1 + fabs(want)))) fail_msg("%g, wanted %g", got, want);
}

static void rows_come_evenly_between_samples(void **state)
{
    (void)state;
    const struct journal_sample s[] = { { .at_ms = 0 },
                                        { .at_ms = 1000, .rows_read = 100 },
                                        { .at_ms = 2000, .rows_read = 100 },
                                        { .at_ms = 4000, .rows_read = 500 } };
    double v[4];
    EQ_I64(4000, series_end_ms(s, 4, NULL, 0));
    series_of(SERIES_ROWS, s, 4, 4000, v, 4);
    near(100, v[0]);
    near(0, v[1]);
    near(200, v[2]);
    near(200, v[3]);
    near(200, series_max(v, 4));
}

static void levels_hold_until_the_next_sample(void **state)
{
    (void)state;
    const struct journal_sample s[] = { { .at_ms = 0, .busy = 9 },
                                        { .at_ms = 100, .busy = 2 },
                                        { .at_ms = 400, .busy = 4 } };
    double v[4];
    series_of(SERIES_BUSY, s, 3, 400, v, 4);
    near(2, v[0]);
    near(4, v[1]);
    near(4, v[3]);
}

static void a_worker_is_busy_by_its_slots_and_absent_before_it_came(void **state)
{
    (void)state;
    const struct journal_worker w = {
        .slots = 2, .came_ms = 200, .left_ms = 399, .bucket_ms = 100, .busy = "0 0 200 100"
    };
    double v[6];
    EQ_I64(399, series_end_ms(NULL, 0, &w, 1));
    series_worker(&w, 600, v, 6);
    near(-1, v[0]);
    near(1, v[2]);
    near(0.5, v[3]);
    near(-1, v[5]);
}

static void damaged_numbers_do_no_harm(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    for (int round = 0; round < 500; round++) {
        struct journal_sample s[5];
        double v[7];
        for (int i = 0; i < 5; i++)
            s[i] = (struct journal_sample){
                .at_ms = (int64_t)((uint64_t)rand_r(&seed) << 33 >> rand_r(&seed) % 64),
                .rows_read = (uint64_t)rand_r(&seed)
            };
        struct journal_worker w = { .slots = (uint32_t)rand_r(&seed) % 3,
                                    .came_ms = s[0].at_ms,
                                    .left_ms = s[1].at_ms,
                                    .bucket_ms = s[2].at_ms,
                                    .busy = "18446744073709551615 1 2 x" };
        int64_t end = series_end_ms(s, 5, &w, 1);
        assert_true(end >= 1);
        series_of(SERIES_ROWS, s, 5, end, v, 7);
        for (int i = 0; i < 7; i++)
            assert_true(isfinite(v[i]));
        series_worker(&w, end, v, 7);
        for (int i = 0; i < 7; i++)
            assert_true(v[i] >= -1 && v[i] <= 1);
    }
}

static void the_top_of_an_axis_is_round_and_not_below(void **state)
{
    (void)state;
    near(1, series_top(0));
    near(1, series_top(NAN));
    near(1, series_top(INFINITY));
    near(2, series_top(1.5));
    near(5, series_top(3));
    near(10, series_top(7));
    near(100000, series_top(52471));
}

int main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(rows_come_evenly_between_samples),
        cmocka_unit_test(levels_hold_until_the_next_sample),
        cmocka_unit_test(a_worker_is_busy_by_its_slots_and_absent_before_it_came),
        cmocka_unit_test(damaged_numbers_do_no_harm),
        cmocka_unit_test(the_top_of_an_axis_is_round_and_not_below),
    };
    return test_main("series", plain, N_OF(plain), NULL, 0);
}
