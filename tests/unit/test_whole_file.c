// A file that is there as a whole, or not at all.

#include "common/whole_file.h"
#include "tests/folder.h"
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[TEST_FOLDER], path[100];
static struct err e;

static int fresh(void **state)
{
    (void)state;
    if (folder_make(top, "test_whole_file") != 0) return -1;
    snprintf(path, sizeof path, "%s/r.html", top);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    return folder_remove(top);
}

static void holds(const char *want)
{
    char text[100] = "";
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    EQ_I64(strlen(want), n);
    assert_string_equal(want, text);
}

static void is_written_and_replaced(void **state)
{
    (void)state;
    PASS(&e, whole_file_write(path, "one", 3, &e));
    holds("one");
    PASS(&e, whole_file_write(path, "", 0, &e));
    holds("");
}

static void a_link_is_replaced_and_not_followed(void **state)
{
    (void)state;
    char other[120];
    struct stat st;
    snprintf(other, sizeof other, "%s/other", top);
    assert_int_equal(0, symlink(other, path));
    PASS(&e, whole_file_write(path, "x", 1, &e));
    holds("x");
    assert_int_equal(-1, stat(other, &st));
}

static int names(const char *p, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)f;
    return type == FTW_F && strcmp(p, path) != 0 ? 1 : 0;
}

static void a_write_that_fails_leaves_what_was_there(void **state)
{
    (void)state;
    char large[5000] = { 0 };
    struct rlimit was, little = { 1000, RLIM_INFINITY };
    PASS(&e, whole_file_write(path, "old", 3, &e));
    getrlimit(RLIMIT_FSIZE, &was);
    little.rlim_max = was.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &little));
    err_t rc = whole_file_write(path, large, sizeof large, &e);
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &was));
    signal(SIGXFSZ, SIG_DFL);
    EXPECT(ERR_IO, &e, rc);
    assert_non_null(strstr(e.text, "cannot write"));
    holds("old");
    assert_int_equal(0, nftw(top, names, 16, FTW_PHYS)); // nothing else
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    EXPECT(ERR_INVALID, &e, whole_file_write(top, "x", 1, &e));
    EXPECT(ERR_INVALID, &e, whole_file_write("", "x", 1, &e));
    EXPECT(ERR_INVALID, &e, whole_file_write("/tmp/", "x", 1, &e));
    snprintf(path, sizeof path, "%s/none/x", top);
    EXPECT(ERR_IO, &e, whole_file_write(path, "x", 1, &e));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)
    const struct CMUnitTest plain[] = {
        T(is_written_and_replaced),
        T(a_link_is_replaced_and_not_followed),
        T(a_write_that_fails_leaves_what_was_there),
        T(what_is_no_file_is_refused),
    };
    return test_main("whole_file", plain, N_OF(plain), NULL, 0);
}
