#include "worker/space.h"
#include "worker/xf_exec.h"

#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- frames ----

struct frame_row {
    const char *name, *text;
    enum xf_exec_framing want;
    size_t bytes;
    uint64_t rows;
    bool error;
};

static const struct frame_row frame_rows[] = {
    { "nothing", "", FRAMING_PART, 0, 0, false },
    { "half_a_line", "tranche-batch 5", FRAMING_PART, 0, 0, false },
    { "half_a_body", "tranche-batch 5 1\na\n", FRAMING_PART, 0, 0, false },
    { "whole", "tranche-batch 4 1\na\n1\n", FRAMING_WHOLE, 4, 1, false },
    { "more_than_whole", "tranche-batch 2 0\na\nxx", FRAMING_WHOLE, 2, 0, false },
    { "windows", "tranche-batch 2 0\r\na\n", FRAMING_WHOLE, 2, 0, false },
    { "error", "tranche-error 3\nbad", FRAMING_WHOLE, 3, 0, true },
    { "error_with_rows", "tranche-error 3 1\nbad", FRAMING_BAD, 0, 0, false },
    { "no_rows", "tranche-batch 3\na\n1", FRAMING_BAD, 0, 0, false },
    { "negative", "tranche-batch -3 1\na", FRAMING_BAD, 0, 0, false },
    { "too_many_digits", "tranche-batch 99999999999999999999999 1\n", FRAMING_BAD, 0, 0,
      false },
    { "something_else", "id,name\n", FRAMING_BAD, 0, 0, false },
    { "a_print", "hello\ntranche-batch 0 0\n", FRAMING_BAD, 0, 0, false },
    { "a_line_without_end",
      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
      "xxxxxx"
      "xxxxxxxxxxxxxxxxxxxxxxxx",
      FRAMING_BAD, 0, 0, false },
};

static void is_framed_so(void **state)
{
    const struct frame_row *row = *state;
    struct xf_exec_frame f = { 0 };
    size_t n = strlen(row->text);
    uint8_t *copy = malloc(n + 1);
    memcpy(copy, row->text, n);
    EQ_I64(row->want, xf_exec_frame(copy, n, &f));
    if (row->want == FRAMING_WHOLE) {
        EQ_I64(row->bytes, f.bytes);
        EQ_I64(row->rows, f.rows);
        EQ_I64(row->error, f.error);
    }
    free(copy);
}

// ---- scratch folders ----

static void make_tmp(char tmp[40])
{
    strcpy(tmp, "/tmp/tranche-test-XXXXXX");
    assert_non_null(mkdtemp(tmp));
    setenv("TMPDIR", tmp, 1);
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static void a_scratch_folder_is_emptied_and_removed(void **state)
{
    (void)state;
    struct err e;
    struct scratch s;
    char tmp[40], path[5000];
    make_tmp(tmp);
    PASS(&e, scratch_open(&s, &e));
    struct stat before, after;
    assert_int_equal(0, stat(s.room, &before));
    snprintf(path, sizeof path, "%s/deep", s.room);
    assert_int_equal(0, mkdir(path, 0700));
    snprintf(path, sizeof path, "%s/deep/link", s.room);
    assert_int_equal(0, symlink(tmp, path));
    snprintf(path, sizeof path, "%s/deep", s.room);
    assert_int_equal(0, chmod(path, 0));
    PASS(&e, scratch_empty(&s, &e));
    assert_false(is_there(path));
    assert_int_equal(0, stat(s.room, &after));
    EQ_I64(before.st_ino, after.st_ino); // sandboxes know it by this
    scratch_close(&s);
    assert_true(is_there(tmp));
    assert_int_equal(0, rmdir(tmp)); // nothing is left in it
}

static void folders_of_the_dead_are_swept_and_others_are_not(void **state)
{
    (void)state;
    struct err e;
    struct scratch alive, dead;
    char tmp[40], path[5000];
    make_tmp(tmp);
    PASS(&e, scratch_open(&alive, &e));
    PASS(&e, scratch_open(&dead, &e));
    close(dead.lock); // as a kill would
    snprintf(path, sizeof path, "%s/tranche-scratch-new-abcdef", tmp);
    assert_int_equal(0, mkdir(path, 0700)); // somebody is about to lock it
    scratch_sweep();
    assert_true(is_there(alive.room));
    assert_false(is_there(dead.dir));
    assert_true(is_there(path));
    struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
    assert_int_equal(0, utimensat(AT_FDCWD, path, old, 0));
    scratch_sweep();
    assert_false(is_there(path));
    scratch_close(&alive);
    assert_int_equal(0, rmdir(tmp));
}

// ---- sandboxes where the kernel lacks something ----

static void what_the_kernel_lacks_is_said(void **state)
{
    (void)state;
    struct err e;
    struct sandbox b;
    sandbox_without_landlock = true;
    PASS(&e, sandbox_open(&b, STEP_BOXED, "/tmp", NULL, 0, &e));
    assert_non_null(strstr(b.said, "no Landlock"));
    EQ_I64(-1, b.rules);
    sandbox_close(&b);
    EXPECT(ERR_TRANSFORM, &e, sandbox_open(&b, STEP_STRICT, "/tmp", NULL, 0, &e));
    assert_non_null(strstr(e.text, "needs Landlock"));
    sandbox_without_landlock = false;
    space_not_allowed = true;
    err_t rc = sandbox_open(&b, STEP_STRICT, "/tmp", NULL, 0, &e);
    EQ_I64(ERR_TRANSFORM, rc);
    assert_non_null(strstr(e.text, "sandbox: strict needs"));
    space_not_allowed = false;
    PASS(&e, sandbox_open(&b, STEP_UNBOXED, "/tmp", NULL, 0, &e));
    assert_string_equal("none", b.said);
    sandbox_close(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scratch_folder_is_emptied_and_removed),
        cmocka_unit_test(folders_of_the_dead_are_swept_and_others_are_not),
        cmocka_unit_test(what_the_kernel_lacks_is_said),
    };
    return test_main("xf_exec", tests, N_OF(tests), TABLE(frame_rows, is_framed_so),
                     N_OF(frame_rows));
}
