#include "proto/sight.h"
#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/sight-XXXXXX";
static char path[64];
static struct sight_file there;

static int setup(void **state)
{
    (void)state;
    struct stat st;
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/in.csv", dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    if (fd < 0 || write(fd, "a,b\n", 4) != 4 || close(fd) || stat(path, &st)) return -1;
    there = (struct sight_file){
        .dev = st.st_dev,
        .ino = st.st_ino,
        .size = 4,
        .mtime_ns =
            (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec,
    };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path) || rmdir(dir);
}

struct example {
    const char *name;
    int64_t dev, ino, size, mtime_ns; // added to what is there
    unsigned want;
};

static const struct example examples[] = {
    { "the_very_file", 0, 0, 0, 0, SIGHT_INODE | SIGHT_SHARED },
    { "of_another_host_that_shares_it", 3, 77, 0, 0, SIGHT_SHARED },
    { "the_same_inode_of_another_device", 1, 0, 0, 1, SIGHT_NONE },
    { "the_very_file_that_has_grown_since", 0, 0, -1, -1000, SIGHT_INODE },
    { "as_large_but_a_nanosecond_younger", 1, 1, 0, -1, SIGHT_NONE },
    { "as_old_but_larger", 1, 1, -1, 0, SIGHT_NONE },
};

static void is_told(void **state)
{
    const struct example *x = *state;
    struct sight_file own, want = there;
    want.dev += (uint64_t)x->dev;
    want.ino += (uint64_t)x->ino;
    want.size += (uint64_t)x->size;
    want.mtime_ns += (uint64_t)x->mtime_ns;
    EQ_I64(x->want, sight_look(path, &want, &own));
    assert_memory_equal(&there, &own, sizeof own);
}

static void what_is_no_absolute_path_to_a_plain_file_is_not_seen(void **state)
{
    (void)state;
    struct sight_file own;
    char here[64];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(0, chdir(dir));
    EQ_I64(0, sight_look("in.csv", &there, &own));
    assert_int_equal(0, chdir(here));
    EQ_I64(0, sight_look("", &there, &own));
    EQ_I64(0, sight_look("/nowhere/in.csv", &there, &own));
    EQ_I64(0, sight_look(dir, &there, &own));
    EQ_I64(0, sight_look("/dev/null", &there, &own));
    EQ_I64(0, own.ino);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_absolute_path_to_a_plain_file_is_not_seen),
    };
    struct CMUnitTest *rows = TABLE(examples, is_told);
    struct CMUnitTest all[N_OF(tests) + N_OF(examples)];
    memcpy(all, tests, sizeof tests);
    memcpy(all + N_OF(tests), rows, N_OF(examples) * sizeof *rows);
    free(rows);
    return cmocka_run_group_tests_name("sight", all, setup, teardown);
}
