#include "coordinator/estimate.h"
#include "tests/test.h"

#include <math.h>

// 24 rows, then 1,000,000 in 0.4 s of work with two slots on two cores.
static const struct estimate_in computes = {
    .first = { .rows = 24,
               .chunks = 1,
               .wall = 0.05,
               .busy = 0.001,
               .worker_cpu = 0.001,
               .coordinator = 0.01,
               .loading = 0.001 },
    .last = { .rows = 1000000,
              .chunks = 40,
              .wall = 0.45,
              .busy = 0.5,
              .worker_cpu = 0.5,
              .coordinator = 0.31,
              .loading = 0.2 },
    .rows = 10000000,
    .slots = 2,
    .lanes = 1,
    .cores = 2,
};

// A row waits 10 ms; batches of 4,000 rows.
static const struct estimate_in waits = {
    .first = { .rows = 24, .chunks = 1, .wall = 0.29, .busy = 0.24, .worker_cpu = 0.0001 },
    .last = { .rows = 24, .chunks = 1, .wall = 0.29, .busy = 0.24, .worker_cpu = 0.0001 },
    .rows = 2611892,
    .batch_rows = 4000,
    .slots = 2,
    .lanes = 330,
    .cores = 2,
};

static double wall(const struct estimate_in *in, uint32_t slots, enum estimate_bound *b)
{
    struct estimate x;
    enum estimate_bound nobody;
    estimate_init(&x, in);
    return estimate_wall(&x, slots, b ? b : &nobody);
}

static void near(double want, double got)
{
    if (fabs(want - got) > 0.02 * want) fail_msg("%g, not %g", got, want);
}

static void what_was_tried_is_carried_on_to_all_rows(void **state)
{
    (void)state;
    near(0.05 + 0.4 * 10, wall(&computes, 2, NULL));
}

static void an_input_that_was_tried_whole_takes_what_it_took(void **state)
{
    (void)state;
    struct estimate_in in = computes;
    in.rows = in.last.rows;
    assert_true(wall(&in, 2, NULL) == in.last.wall);
}

static void one_worker_takes_longer_and_more_do_not(void **state)
{
    (void)state;
    enum estimate_bound b;
    double two = wall(&computes, 2, NULL);
    assert_true(wall(&computes, 1, &b) > 1.1 * two);
    EQ_I64(ESTIMATE_WORKERS, b);
    assert_true(wall(&computes, 16, &b) < two);
    EQ_I64(ESTIMATE_LOADING, b);
    assert_true(wall(&computes, 16, NULL) == wall(&computes, 1000, NULL));
}

static void whole_batches_that_wait_go_round_by_round(void **state)
{
    (void)state;
    enum estimate_bound b;
    near(0.05 + 40, wall(&waits, 2, &b)); // 653 batches in 660 places
    EQ_I64(ESTIMATE_WAITING, b);
    near(0.05 + 2 * 40, wall(&waits, 1, NULL));
    near(0.05 + 40, wall(&waits, 16, NULL));
}

static void transforms_that_cannot_wait_do_not(void **state)
{
    (void)state;
    enum estimate_bound b;
    struct estimate_in in = waits;
    in.computes = true;
    wall(&in, 2, &b);
    assert_int_not_equal(ESTIMATE_WAITING, b);
    in.rows = in.last.rows; // also when all of it was tried
    wall(&in, 2, &b);
    assert_int_not_equal(ESTIMATE_WAITING, b);
}

static void rows_that_fail_are_what_holds_it_up(void **state)
{
    (void)state;
    enum estimate_bound b;
    struct estimate_in in = computes;
    in.fails = true;
    wall(&in, 2, &b);
    EQ_I64(ESTIMATE_FAILING, b);
    assert_string_equal("finding the rows that the transforms fail on",
                        estimate_bound_text(b));
}

static void batches_cut_by_bytes_that_wait_come_out_even(void **state)
{
    (void)state;
    struct estimate_in in = waits;
    in.batch_rows = 0;
    near(0.05 + 2611892 * 0.01 / 660, wall(&in, 2, NULL));
}

static void a_program_that_starts_anew_costs_for_each_batch(void **state)
{
    (void)state;
    struct estimate_in in = waits; // 0.1 s a batch and 1 ms a row
    in.lanes = 1;
    in.batch_rows = 1000;
    in.rows = 10000;
    in.first = (struct trial_cost){
        .rows = 10, .chunks = 1, .wall = 0.16, .busy = 0.11, .worker_cpu = 0.001
    };
    in.last = (struct trial_cost){
        .rows = 400, .chunks = 1, .wall = 0.55, .busy = 0.5, .worker_cpu = 0.001
    };
    near(0.05 + 5 * (0.1 + 1), wall(&in, 2, NULL));
}

static void requests_wait_for_the_slowest_of_a_batch(void **state)
{
    (void)state;
    struct estimate_in in = {
        .first = { .rows = 8,
                   .chunks = 1,
                   .wall = 0.11,
                   .busy = 0.06,
                   .worker_cpu = 0.001 },
        .last = { .rows = 24, .chunks = 1, .wall = 0.95, .busy = 0.9, .worker_cpu = 0.004 },
        .rows = 201,
        .batch_rows = 80,
        .slots = 2,
        .lanes = 1,
        .cores = 2,
        .requests = 40,
    };
    near(0.05 + 2 * 0.9, wall(&in, 2, NULL));
    in.last.busy = 0.06;
    near(0.05 + 201 * 0.06 / 40, wall(&in, 2, NULL));
    in.gap = 0.1;
    near(0.05 + 20.1, wall(&in, 16, NULL));
}

static void a_slow_source_holds_everything_up(void **state)
{
    (void)state;
    enum estimate_bound b;
    struct estimate_in in = computes;
    in.source = 30;
    near(30.05, wall(&in, 2, &b));
    EQ_I64(ESTIMATE_SOURCE, b);
    in.loading = 60;
    near(60.05, wall(&in, 2, &b));
    EQ_I64(ESTIMATE_LOADING, b);
}

static void a_short_run_is_starting_and_ending(void **state)
{
    (void)state;
    enum estimate_bound b;
    struct estimate_in in = computes;
    in.rows = 24;
    in.last = in.first;
    near(0.05, wall(&in, 2, &b));
    EQ_I64(ESTIMATE_START, b);
}

static void an_empty_input_is_no_division_by_zero(void **state)
{
    (void)state;
    struct estimate_in in = { .slots = 2,
                              .first = { .wall = 0.03 },
                              .last = { .wall = 0.03 } };
    assert_true(wall(&in, 2, NULL) == 0.03);
    assert_true(isfinite(wall(&in, 1, NULL)));
    in.batch_rows = 10;
    assert_true(isfinite(wall(&in, 16, NULL)));
    EQ_I64(0, estimate_next_rows(&in, 1, 0, 1000));
}

static void trials_grow_until_they_take_long_enough(void **state)
{
    (void)state;
    struct estimate_in in = { .rows = 1000000,
                              .slots = 1,
                              .last = { .rows = 10, .chunks = 1, .busy = 0.001 } };
    EQ_I64(2560, estimate_next_rows(&in, 1, 0, UINT64_MAX)); // not more than 256 times
    in.last.busy = 0.1;
    EQ_I64(100, estimate_next_rows(&in, 1, 0, UINT64_MAX));
    EQ_I64(60, estimate_next_rows(&in, 1, 0, 60)); // all there are
    in.last.busy = 0.5;
    EQ_I64(0, estimate_next_rows(&in, 1, 0, UINT64_MAX));
    in.last.busy = 0.1;
    EQ_I64(0, estimate_next_rows(&in, 1, 5, UINT64_MAX)); // time is up
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_tried_is_carried_on_to_all_rows),
        cmocka_unit_test(an_input_that_was_tried_whole_takes_what_it_took),
        cmocka_unit_test(one_worker_takes_longer_and_more_do_not),
        cmocka_unit_test(whole_batches_that_wait_go_round_by_round),
        cmocka_unit_test(transforms_that_cannot_wait_do_not),
        cmocka_unit_test(rows_that_fail_are_what_holds_it_up),
        cmocka_unit_test(batches_cut_by_bytes_that_wait_come_out_even),
        cmocka_unit_test(a_program_that_starts_anew_costs_for_each_batch),
        cmocka_unit_test(requests_wait_for_the_slowest_of_a_batch),
        cmocka_unit_test(a_slow_source_holds_everything_up),
        cmocka_unit_test(a_short_run_is_starting_and_ending),
        cmocka_unit_test(an_empty_input_is_no_division_by_zero),
        cmocka_unit_test(trials_grow_until_they_take_long_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
