#include "tests/test.h"

#include "common/conf.h"
#include "common/near_file.h"
#include "common/rmtree.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/tranche-near-XXXXXX";

static bool make(void)
{
    static const char *const names[] = { "late-flights.yaml", "late-flightz.yaml",
                                         "nightly.yml", ".yaml", "notes.txt" };
    if (!mkdtemp(folder)) return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[300];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        FILE *f = fopen(path, "w");
        if (!f || fclose(f) != 0) return false;
    }
    return true;
}

struct row {
    const char *name, *typed, *meant; // meant: NULL for nobody
};

static const struct row rows[] = {
    { "a letter is missing", "late-fligts.yaml", "late-flights.yaml" },
    { "two are as near", "late-flightx.yaml", "late-flights.yaml" },
    { "the ending is missing", "nightly", "nightly.yml" },
    { "the ending is another", "nightly.yaml", "nightly.yml" },
    { "nothing is near", "weather.yaml", NULL },
    { "near to what is no job file", "notes.yaml", NULL },
    { "no name at all", "", NULL },
};

static void the_nearest_job_file_is_named(void **state)
{
    const struct row *r = *state;
    char path[300], got[300] = "", want[300];
    snprintf(path, sizeof path, "%s/%s", folder, r->typed);
    snprintf(want, sizeof want, "%s/%s", folder, r->meant ? r->meant : "");
    assert_int_equal(r->meant != NULL, near_file(path, got, sizeof got));
    if (r->meant) assert_string_equal(want, got);
}

static void a_name_is_typed_as_the_other_one_was(void **state)
{
    (void)state;
    char got[300], before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(0, chdir(folder));
    assert_true(near_file("nightl.yml", got, sizeof got));
    assert_string_equal("nightly.yml", got);
    assert_true(near_file("./nightl.yml", got, sizeof got));
    assert_string_equal("./nightly.yml", got);
    assert_false(near_file("none/nightl.yml", got, sizeof got));
    assert_false(near_file("nightl.yml", got, 5)); // it has no room
    assert_int_equal(0, chdir(before));
}

static void a_job_file_that_is_not_there_is_asked_about(void **state)
{
    (void)state;
    struct buf text = { 0 };
    struct err e;
    char path[300], want[900];
    snprintf(path, sizeof path, "%s/nightli.yml", folder);
    snprintf(want, sizeof want,
             "%s: cannot open the job file: No such file or directory; did you mean "
             "'%s/nightly.yml'?",
             path, folder);
    assert_int_equal(ERR_IO, conf_read_file(path, &text, &e));
    assert_string_equal(want, e.text);
    buf_free(&text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_typed_as_the_other_one_was),
        cmocka_unit_test(a_job_file_that_is_not_there_is_asked_about),
    };
    if (!make()) return 1;
    int failed = test_main("near_file", tests, N_OF(tests),
                           TABLE(rows, the_nearest_job_file_is_named), N_OF(rows));
    rmtree(folder);
    return failed;
}
