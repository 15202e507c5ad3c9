#include "proto/file_set.h"
#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/file-set-XXXXXX";

static const char *at(const char *name)
{
    static char path[4][200];
    static unsigned turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static const char *put(const char *name, const char *text)
{
    const char *path = at(name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char line[100];
    (void)state;
    snprintf(line, sizeof line, "rm -rf %s", dir);
    return system(line);
}

// BLAKE2b-256 of "abc", as `b2sum -l 256` gives it.
static void the_digest_is_blake2b_256(void **state)
{
    (void)state;
    struct err e;
    struct file_set s = { 0 };
    uint32_t n;
    char hex[FILE_HEX];
    PASS(&e, file_set_add(&s, put("abc", "abc"), &n, &e));
    file_hex(&s.v[n].digest, hex);
    assert_string_equal(hex,
                        "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    EQ_I64(3, s.v[n].size);
    EQ_I64(0400, s.v[n].mode);
    assert_string_equal("abc", s.v[n].name);
    file_set_free(&s);
}

static void pieces_have_the_digest_of_the_whole(void **state)
{
    (void)state;
    struct err e;
    struct file_hash *a = NULL, *b = NULL;
    uint8_t block[1000];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (uint8_t)(i * 31);
    PASS(&e, file_hash_new(&a, &e));
    PASS(&e, file_hash_new(&b, &e));
    file_hash_add(a, block, sizeof block);
    for (size_t i = 0; i < sizeof block; i += 125)
        file_hash_add(b, block + i, 125);
    struct file_digest x = file_hash_value(a), y = file_hash_value(b);
    assert_memory_equal(&x, &y, sizeof x);
    file_hash_free(&a);
    file_hash_free(&b);
}

static void the_same_file_has_the_same_number(void **state)
{
    (void)state;
    struct err e;
    struct file_set s = { 0 };
    uint32_t a, b, c;
    const char *path = put("one", "1");
    PASS(&e, file_set_add(&s, path, &a, &e));
    PASS(&e, file_set_add(&s, put("two", "1"), &b, &e));
    PASS(&e, file_set_add(&s, path, &c, &e));
    EQ_I64(a, c);
    assert_true(a != b);
    EQ_I64(2, s.n);
    file_set_free(&s);
}

static void a_program_is_one_on_the_other_host_too(void **state)
{
    (void)state;
    struct err e;
    struct file_set s = { 0 };
    uint32_t n;
    const char *path = put("run.sh", "#!/bin/sh\n");
    assert_int_equal(0, chmod(path, 0755));
    PASS(&e, file_set_add(&s, path, &n, &e));
    EQ_I64(0500, s.v[n].mode);
    file_set_free(&s);
}

static void only_plain_files_can_be_added(void **state)
{
    (void)state;
    struct err e;
    struct file_set s = { 0 };
    uint32_t n;
    EXPECT(ERR_INVALID, &e, file_set_add(&s, dir, &n, &e));
    assert_non_null(strstr(e.text, "is a folder: only plain files go to workers"));
    assert_int_equal(0, mkfifo(at("fifo"), 0600));
    EXPECT(ERR_INVALID, &e, file_set_add(&s, at("fifo"), &n, &e)); // and nobody waits
    assert_non_null(strstr(e.text, "no plain file"));
    EXPECT(ERR_INVALID, &e, file_set_add(&s, at("missing"), &n, &e));
    assert_non_null(strstr(e.text, "missing: No such file"));
    EQ_I64(0, s.n);
}

static void a_file_over_the_limit_is_refused_unread(void **state)
{
    (void)state;
    struct err e;
    struct file_set s = { 0 };
    uint32_t n;
    const char *path = put("huge", "");
    assert_int_equal(0, truncate(path, (off_t)FILE_MAX_BYTES + 1));
    EXPECT(ERR_TOOBIG, &e, file_set_add(&s, path, &n, &e));
    assert_non_null(strstr(e.text, "4294967297 bytes"));
}

static void the_257th_file_is_one_too_many(void **state)
{
    (void)state;
    struct err e;
    struct file_set s = { 0 };
    uint32_t n;
    char name[20];
    for (int i = 0; i < FILE_SET_MAX; i++) {
        snprintf(name, sizeof name, "many-%d", i);
        PASS(&e, file_set_add(&s, put(name, "x"), &n, &e));
        EQ_I64(i, n);
    }
    EXPECT(ERR_TOOBIG, &e, file_set_add(&s, put("many", "x"), &n, &e));
    assert_non_null(strstr(e.text, "one file too many: a job may have 256"));
    file_set_free(&s);
}

static void a_changed_file_is_noticed(void **state)
{
    (void)state;
    struct err e;
    int fd;
    struct file_set s = { 0 };
    uint32_t n;
    const char *path = put("changes", "first");
    PASS(&e, file_set_add(&s, path, &n, &e));
    PASS(&e, file_check(&s.v[n], &e));
    put("changes", "other");
    EXPECT(ERR_CHANGED, &e, file_check(&s.v[n], &e));
    assert_non_null(strstr(e.text, "its digest no longer matches"));
    EXPECT(ERR_CHANGED, &e, file_open(&s.v[n], &fd, &e));
    assert_int_equal(0, unlink(path));
    EXPECT(ERR_CHANGED, &e, file_check(&s.v[n], &e));
    file_set_free(&s);
}

static void a_file_that_was_only_touched_is_still_the_same(void **state)
{
    (void)state;
    struct err e;
    int fd;
    struct file_set s = { 0 };
    uint32_t n;
    const char *path = put("touched", "first");
    const struct timespec then[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
    PASS(&e, file_set_add(&s, path, &n, &e));
    assert_int_equal(0, utimensat(AT_FDCWD, path, then, 0));
    EXPECT(ERR_CHANGED, &e, file_open(&s.v[n], &fd, &e)); // does not look into it
    PASS(&e, file_check(&s.v[n], &e));
    PASS(&e, file_open(&s.v[n], &fd, &e));
    close(fd);
    file_set_free(&s);
}

static void names_with_folders_are_no_names(void **state)
{
    (void)state;
    assert_true(file_name_ok("clean.py", 8));
    assert_true(file_name_ok("...", 3));
    assert_false(file_name_ok("", 0));
    assert_false(file_name_ok(".", 1));
    assert_false(file_name_ok("..", 2));
    assert_false(file_name_ok("a/b", 3));
    assert_false(file_name_ok("a\0b", 3));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_digest_is_blake2b_256),
        cmocka_unit_test(pieces_have_the_digest_of_the_whole),
        cmocka_unit_test(the_same_file_has_the_same_number),
        cmocka_unit_test(a_program_is_one_on_the_other_host_too),
        cmocka_unit_test(only_plain_files_can_be_added),
        cmocka_unit_test(a_file_over_the_limit_is_refused_unread),
        cmocka_unit_test(the_257th_file_is_one_too_many),
        cmocka_unit_test(a_changed_file_is_noticed),
        cmocka_unit_test(a_file_that_was_only_touched_is_still_the_same),
        cmocka_unit_test(names_with_folders_are_no_names),
    };
    return cmocka_run_group_tests_name("file_set", tests, make_folder, remove_folder);
}
