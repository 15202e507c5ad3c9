#include "coordinator/progress.h"
#include "tests/test.h"

#include <string.h>

static const char *line(const struct progress_view *v)
{
    static char out[512];
    struct progress p;
    progress_init(&p, PROGRESS_NONE, true, 0);
    progress_render(&p, v, 10 * NS_S, out, sizeof out);
    return out;
}

static void says_how_long_it_will_take(void **state)
{
    (void)state;
    struct progress_view v = {
        .bytes_done = 500, .bytes_total = 1000, .rows = 50, .workers = 1
    };
    assert_string_equal(" 50%  50 rows  5 rows/s  50 B/s  ETA 10s  1 worker", line(&v));
}

// How long it takes to find them is no measure of the rest.
static void says_that_rows_are_looked_for_and_not_how_long_it_will_take(void **state)
{
    (void)state;
    struct progress_view v = {
        .bytes_done = 500, .bytes_total = 1000, .rows = 50, .workers = 1, .failing = 1200
    };
    assert_string_equal(" 50%  50 rows  5 rows/s  50 B/s  1 worker"
                        "  1,200 batches failed, looking for the rows",
                        line(&v));
    v.failing = 1;
    assert_non_null(strstr(line(&v), "  1 batch failed, looking for the rows"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_how_long_it_will_take),
        cmocka_unit_test(says_that_rows_are_looked_for_and_not_how_long_it_will_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
