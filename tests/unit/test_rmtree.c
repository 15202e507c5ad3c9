#include "common/rmtree.h"
#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char home[64];

static int setup(void **state)
{
    (void)state;
    snprintf(home, sizeof home, "/tmp/rmtree-XXXXXX");
    return mkdtemp(home) && chdir(home) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    rmtree(home);
    return access(home, F_OK) == 0 ? -1 : 0;
}

static void make(const char *path, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    close(fd);
}

static void folders_that_nobody_may_enter_go_too(void **state)
{
    (void)state;
    assert_int_equal(0, mkdir("tree", 0700));
    assert_int_equal(0, mkdir("tree/a", 0700));
    assert_int_equal(0, mkdir("tree/a/b", 0700));
    make("tree/a/b/file", 0400);
    assert_int_equal(0, symlink("/", "tree/a/b/link"));
    assert_int_equal(0, chmod("tree/a/b", 0));
    assert_int_equal(0, chmod("tree/a", 0500));
    rmtree("tree");
    assert_int_not_equal(0, access("tree", F_OK));
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(0, stat(path, &st));
    return st.st_mode & 07777;
}

// As somebody who may not remove the link: in a folder with the sticky bit it is its
// owner's.
static void what_a_link_leads_to_keeps_its_permissions(void **state)
{
    (void)state;
    enum { SOMEBODY = 65534 };
    if (geteuid() != 0) skip();
    assert_int_equal(0, chmod(".", 0755));
    assert_int_equal(0, mkdir("tree", 0700));
    assert_int_equal(0, chmod("tree", 01777));
    make("private", 0400);
    assert_int_equal(0, chown("private", SOMEBODY, SOMEBODY));
    assert_int_equal(0, symlink("../private", "tree/link"));
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open("tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || setgid(SOMEBODY) || setuid(SOMEBODY)) _exit(1);
        rmtree_below(fd);
        _exit(0);
    }
    int status;
    assert_int_equal(pid, waitpid(pid, &status, 0));
    EQ_I64(0, status);
    EQ_I64(0400, mode_of("private"));
    EQ_I64(01777, mode_of("tree"));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(folders_that_nobody_may_enter_go_too),
        CASE(what_a_link_leads_to_keeps_its_permissions),
    };
    return test_main("rmtree", tests, N_OF(tests), NULL, 0);
}
