#include "coordinator/journal.h"
#include "coordinator/journal_plan.h"
#include "tests/test.h"

#include "common/rmtree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char top[64], dir[80];
static struct err e;

static int fresh(void **state)
{
    (void)state;
    strcpy(top, "/tmp/test_journal_plan_XXXXXX");
    if (!mkdtemp(top)) return -1;
    snprintf(dir, sizeof dir, "%s/.tranche", top);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rmtree(top);
    return 0;
}

static const struct journal_plan some = {
    .workers = 2, .seconds = 1.5, .rows = 1000, .rows_rejected = 3, .output_bytes = 65536
};

static bool find(const char *spec, struct journal_plan *out)
{
    bool found = true;
    PASS(&e, journal_plan_find(dir, spec, out, &found, &e));
    return found;
}

static void a_plan_is_found_by_the_text_of_its_job(void **state)
{
    (void)state;
    struct journal_plan p;
    PASS(&e, journal_plan_put(dir, "job 1", &some, &e));
    assert_true(find("job 1", &p));
    EQ_I64(2, p.workers);
    assert_true(p.seconds == 1.5 && p.at_ms > 0);
    EQ_I64(1000, p.rows);
    EQ_I64(3, p.rows_rejected);
    EQ_I64(65536, p.output_bytes);
    assert_false(find("job 2", &p));
}

static void a_later_plan_of_the_same_job_takes_its_place(void **state)
{
    (void)state;
    struct journal_plan p = some;
    PASS(&e, journal_plan_put(dir, "job", &p, &e));
    p.seconds = 9;
    PASS(&e, journal_plan_put(dir, "job", &p, &e));
    assert_true(find("job", &p));
    assert_true(p.seconds == 9);
}

static void without_a_history_nothing_is_found_and_none_is_made(void **state)
{
    (void)state;
    struct journal_plan p;
    struct stat st;
    assert_false(find("job", &p));
    assert_int_equal(-1, stat(dir, &st));
}

static void a_history_without_plans_has_none(void **state)
{
    (void)state;
    struct journal_plan p;
    struct journal *j = NULL;
    PASS(&e, journal_open(&j, dir, "key", &e));
    journal_close(&j);
    assert_false(find("job", &p));
}

static void a_run_finds_it_in_the_history_that_it_has_open(void **state)
{
    (void)state;
    bool found;
    struct journal_plan p;
    struct journal *j = NULL;
    PASS(&e, journal_open(&j, dir, "key", &e));
    PASS(&e, journal_plan_of(j, "job", &p, &found, &e));
    assert_false(found);
    journal_close(&j);
    PASS(&e, journal_plan_put(dir, "job", &some, &e));
    PASS(&e, journal_open(&j, dir, "key", &e));
    PASS(&e, journal_plan_of(j, "job", &p, &found, &e));
    assert_true(found && p.seconds == 1.5);
    journal_close(&j);
}

static void a_folder_that_cannot_be_made_is_an_error(void **state)
{
    (void)state;
    EXPECT(ERR_IO, &e, journal_plan_put("/proc/none/.tranche", "job", &some, &e));
}

static void the_error_is_a_share_of_what_was_planned(void **state)
{
    (void)state;
    assert_true(journal_plan_error(&some, 3.0) == 1.0);
    assert_true(journal_plan_error(&some, 0.75) == -0.5);
    assert_true(journal_plan_error(&(struct journal_plan){ 0 }, 1) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)
        T(a_plan_is_found_by_the_text_of_its_job),
        T(a_later_plan_of_the_same_job_takes_its_place),
        T(without_a_history_nothing_is_found_and_none_is_made),
        T(a_history_without_plans_has_none),
        T(a_run_finds_it_in_the_history_that_it_has_open),
        T(a_folder_that_cannot_be_made_is_an_error),
        T(the_error_is_a_share_of_what_was_planned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
