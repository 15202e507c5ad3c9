// The worker's half of files by digest: what it asks for, keeps and refuses. The
// coordinator's half is played by `source`.

#include "proto/spec.h"
#include "tests/test.h"
#include "worker/cache.h"
#include "worker/channel.h"
#include "worker/files.h"
#include "worker/own_group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at);

static uint64_t disk_room = UINT64_MAX; // bytes until it is full

ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (n > disk_room) {
        errno = ENOSPC;
        return -1;
    }
    disk_room -= n;
    return __real_pwrite(fd, p, n, at);
}

enum { MIB = 1 << 20, LARGE = 3 * MIB + 12345 };

static char home[64];
static uint8_t *source; // LARGE bytes
static struct files *files;
static struct buf spec;
static char nowhere[] = "/nowhere";

static void encode(const struct job_file *v, size_t n)
{
    struct err e;
    struct spec s = { .dialect = { .delimiter = ',', .quote = '"' },
                      .sink = (char[]){ "null" },
                      .files = { (struct job_file *)(uintptr_t)v, n } };
    PASS(&e, spec_encode(&s, &spec, &e));
}

static struct file_digest digest_of(const void *p, size_t n)
{
    struct err e;
    struct file_hash *h = NULL;
    PASS(&e, file_hash_new(&h, &e));
    file_hash_add(h, p, n);
    struct file_digest d = file_hash_value(h);
    file_hash_free(&h);
    return d;
}

static struct job_file job_file(const char *name, size_t bytes, uint32_t mode)
{
    return (struct job_file){ .name = (char *)(uintptr_t)name,
                              .path = nowhere,
                              .size = bytes,
                              .mode = mode,
                              .digest = digest_of(source, bytes) };
}

static int setup(void **state)
{
    (void)state;
    snprintf(home, sizeof home, "/tmp/files-XXXXXX");
    if (!mkdtemp(home)) return -1;
    source = malloc(LARGE);
    for (size_t i = 0; i < LARGE; i++)
        source[i] = (uint8_t)(i * 2654435761u >> 13);
    disk_room = UINT64_MAX;
    return setenv("TRANCHE_HOME", home, 1);
}

static int teardown(void **state)
{
    char line[100];
    (void)state;
    files_free(&files);
    buf_free(&spec);
    free(source);
    snprintf(line, sizeof line, "rm -rf %s", home);
    return system(line);
}

static void start_with(uint64_t cache_bytes)
{
    struct err e;
    struct files_opts o = { .cache_bytes = cache_bytes };
    PASS(&e, files_new(&files, (struct slice){ spec.p, spec.n }, &o, &e));
}

static void start(void)
{
    start_with((uint64_t)1 << 30);
}

static enum files_state work(void)
{
    struct err e;
    enum files_state s;
    do
        PASS(&e, files_work(files, &s, &e));
    while (s == FILES_WORK);
    return s;
}

static err_t answer(const struct files_ask *a, struct err *e)
{
    return files_take(files, a->file, a->at, (struct slice){ source + a->at, a->bytes },
                      false, e);
}

// Every file is a prefix of `source`.
static unsigned fetch_all(void)
{
    struct err e;
    struct files_ask a;
    unsigned pieces = 0;
    while (work() == FILES_WAIT)
        while (files_next_ask(files, &a)) {
            PASS(&e, answer(&a, &e));
            pieces++;
        }
    return pieces;
}

static void read_entry(uint32_t number, struct runner_file *r)
{
    assert_int_equal(
        sizeof *r, pread(files_list_fd(files), r, sizeof *r, (off_t)(number * sizeof *r)));
}

static void has(uint32_t number, const char *name, size_t bytes, mode_t mode)
{
    struct runner_file r;
    struct stat st;
    read_entry(number, &r);
    assert_string_equal(name, strrchr(r.path, '/') + 1);
    assert_false(r.in_place);
    assert_int_equal(0, stat(r.path, &st));
    EQ_I64(bytes, st.st_size);
    EQ_I64(mode, st.st_mode & 07777);
    int fd = open(r.path, O_RDONLY);
    uint8_t *got = malloc(bytes + 1);
    EQ_I64(bytes, read(fd, got, bytes + 1));
    assert_memory_equal(source, got, bytes);
    free(got);
    close(fd);
}

static unsigned entries(const char *prefix)
{
    char path[100];
    unsigned n = 0;
    snprintf(path, sizeof path, "%s/cache/files", home);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *x; (x = readdir(d));)
        n += x->d_name[0] != '.' && strncmp(x->d_name, prefix, strlen(prefix)) == 0;
    closedir(d);
    return n;
}

static void a_file_comes_in_pieces(void **state)
{
    (void)state;
    struct job_file f = job_file("large.csv", LARGE, 0400);
    encode(&f, 1);
    start();
    EQ_I64(4, fetch_all());
    has(0, "large.csv", LARGE, 0400);
}

static void a_job_without_files_is_ready_and_touches_no_disk(void **state)
{
    (void)state;
    char path[100];
    encode(NULL, 0);
    start();
    EQ_I64(FILES_READY, work());
    snprintf(path, sizeof path, "%s/cache", home);
    assert_int_equal(-1, access(path, F_OK));
}

static void what_is_in_the_cache_is_not_asked_for(void **state)
{
    (void)state;
    struct job_file v[] = { job_file("a.py", 100, 0500), job_file("b.csv", LARGE, 0400) };
    encode(v, 2);
    start();
    EQ_I64(5, fetch_all());
    files_free(&files);
    EQ_I64(0, entries("job-"));
    start();
    EQ_I64(0, fetch_all());
    has(0, "a.py", 100, 0500);
    has(1, "b.csv", LARGE, 0400);
}

static void a_program_and_a_file_of_the_same_bytes_are_two(void **state)
{
    (void)state;
    struct job_file v[] = { job_file("a", 100, 0500), job_file("b", 100, 0400) };
    encode(v, 2);
    start();
    fetch_all();
    has(0, "a", 100, 0500);
    has(1, "b", 100, 0400);
}

static void files_of_one_name_do_not_overwrite_each_other(void **state)
{
    (void)state;
    struct job_file v[] = { job_file("x.csv", 100, 0400), job_file("x.csv", 200, 0400) };
    encode(v, 2);
    start();
    fetch_all();
    has(0, "x.csv", 100, 0400);
    has(1, "1-x.csv", 200, 0400);
}

static void an_empty_file_needs_no_piece(void **state)
{
    (void)state;
    struct job_file f = job_file("__init__.py", 0, 0400);
    encode(&f, 1);
    start();
    EQ_I64(0, fetch_all());
    has(0, "__init__.py", 0, 0400);
}

static void what_is_asked_for_ahead_is_bounded(void **state)
{
    (void)state;
    struct files_ask a;
    struct job_file f = job_file("huge.bin", LARGE, 0400);
    f.size = 100 * MIB;
    encode(&f, 1);
    start();
    EQ_I64(FILES_WAIT, work());
    unsigned n = 0;
    while (files_next_ask(files, &a))
        EQ_I64(n++ * FILE_PIECE_MAX, a.at);
    EQ_I64(4, n);
}

static void a_transfer_that_was_interrupted_goes_on_where_it_was(void **state)
{
    (void)state;
    struct err e;
    struct files_ask a, b;
    struct job_file f = job_file("large.csv", LARGE, 0400);
    encode(&f, 1);
    start();
    EQ_I64(FILES_WAIT, work());
    assert_true(files_next_ask(files, &a) && files_next_ask(files, &b));
    PASS(&e, answer(&a, &e));
    files_ask_again(files); // the session ended, b is lost
    EQ_I64(3, fetch_all());
    has(0, "large.csv", LARGE, 0400);
}

static void a_worker_that_died_in_between_begins_anew(void **state)
{
    (void)state;
    struct err e;
    struct files_ask a;
    struct job_file f = job_file("large.csv", LARGE, 0400);
    char path[100], name[120];
    encode(&f, 1);
    snprintf(path, sizeof path, "%s/cache/files/part-died01", home);
    start();
    EQ_I64(FILES_WAIT, work());
    assert_true(files_next_ask(files, &a));
    PASS(&e, answer(&a, &e));
    EQ_I64(1, entries("part-"));
    files_free(&files);
    EQ_I64(0, entries("part-"));
    // Killed, it could not tidy up: the next one does.
    close(open(path, O_CREAT | O_WRONLY, 0600));
    snprintf(name, sizeof name, "%s/cache/files/job-died01", home);
    assert_int_equal(0, mkdir(name, 0700));
    start();
    EQ_I64(0, entries("part-"));
    EQ_I64(1, entries("job-"));
    EQ_I64(4, fetch_all());
    has(0, "large.csv", LARGE, 0400);
}

static void pieces_that_nobody_asked_for_are_ignored(void **state)
{
    (void)state;
    struct err e;
    struct files_ask a;
    struct job_file f = job_file("large.csv", LARGE, 0400);
    struct slice junk = { source + 77, 1000 };
    encode(&f, 1);
    start();
    PASS(&e, files_take(files, 0, 0, junk, false, &e)); // nothing is asked for at all
    EQ_I64(FILES_WAIT, work());
    assert_true(files_next_ask(files, &a));
    PASS(&e, files_take(files, 1, 0, junk, false, &e));    // another file
    PASS(&e, files_take(files, 0, 5000, junk, false, &e)); // another place
    PASS(&e, files_take(files, 255, 0, junk, false, &e));  // no file at all
    PASS(&e, answer(&a, &e));
    PASS(&e, files_take(files, 0, 0, junk, false, &e)); // again
    EQ_I64(3, fetch_all());
    has(0, "large.csv", LARGE, 0400);
}

static void a_damaged_piece_is_asked_for_again(void **state)
{
    (void)state;
    struct err e;
    struct files_ask a, b;
    struct job_file f = job_file("large.csv", LARGE, 0400);
    encode(&f, 1);
    start();
    EQ_I64(FILES_WAIT, work());
    assert_true(files_next_ask(files, &a));
    PASS(&e, files_take(files, 0, 0, (struct slice){ source, a.bytes }, true, &e));
    assert_true(files_next_ask(files, &b));
    EQ_I64(a.at, b.at);
    PASS(&e, files_take(files, 0, 0, (struct slice){ source, b.bytes }, true, &e));
    assert_true(files_next_ask(files, &b));
    EXPECT(ERR_PROTO, &e,
           files_take(files, 0, 0, (struct slice){ source, b.bytes }, true, &e));
    assert_non_null(strstr(e.text, "large.csv arrives damaged again and again"));
}

static void a_piece_longer_than_asked_for_is_damaged(void **state)
{
    (void)state;
    struct err e;
    struct files_ask a;
    struct job_file f = job_file("small.csv", 100, 0400);
    encode(&f, 1);
    start();
    EQ_I64(FILES_WAIT, work());
    assert_true(files_next_ask(files, &a));
    PASS(&e, files_take(files, 0, 0, (struct slice){ source, 101 }, false, &e));
    assert_true(files_next_ask(files, &a));
    EQ_I64(0, a.at);
}

static void a_file_with_a_wrong_digest_is_never_used(void **state)
{
    (void)state;
    struct err e;
    struct files_ask a;
    enum files_state s;
    struct job_file f = job_file("clean.py", 1000, 0500);
    encode(&f, 1);
    start();
    err_t rc = ERR_OK;
    unsigned times = 0;
    source[500] ^= 1;
    while ((rc = files_work(files, &s, &e)) == ERR_OK && times < 10) {
        assert_int_not_equal(FILES_READY, s);
        while (files_next_ask(files, &a)) {
            PASS(&e, answer(&a, &e));
            times++;
        }
    }
    EXPECT(ERR_CHANGED, &e, rc);
    EQ_I64(3, times);
    assert_non_null(strstr(e.text, "clean.py came 3 times with another digest"));
    files_free(&files);
    EQ_I64(0, entries(""));
}

static void a_full_disk_makes_room_by_throwing_out_what_is_old(void **state)
{
    (void)state;
    struct err e;
    struct files_ask a;
    struct job_file f = job_file("old.csv", LARGE, 0400);
    encode(&f, 1);
    start();
    fetch_all();
    files_free(&files);
    f = job_file("new.csv", 2 * MIB, 0400);
    encode(&f, 1);
    start();
    EQ_I64(FILES_WAIT, work());
    EQ_I64(2, entries("") - entries("job-")); // the old one, and a part
    disk_room = MIB;
    assert_true(files_next_ask(files, &a));
    PASS(&e, answer(&a, &e));
    assert_true(files_next_ask(files, &a));
    EXPECT(ERR_FULL, &e, answer(&a, &e)); // our room does not grow
    assert_non_null(strstr(e.text, "no space is left in "));
    assert_non_null(strstr(e.text, "set TRANCHE_HOME to a folder elsewhere"));
    EQ_I64(1, entries("") - entries("job-")); // but the old one had to go
}

// What is in the cache was used ten seconds earlier: clocks of file systems are coarse.
static void let_time_pass(void)
{
    char path[100];
    struct stat st;
    snprintf(path, sizeof path, "%s/cache/files", home);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *x; (x = readdir(d));) {
        if (x->d_name[0] == '.') continue;
        assert_int_equal(0, fstatat(dirfd(d), x->d_name, &st, 0));
        st.st_mtim.tv_sec -= 10;
        const struct timespec t[2] = { st.st_mtim, st.st_mtim };
        assert_int_equal(0, utimensat(dirfd(d), x->d_name, t, 0));
    }
    closedir(d);
}

static void the_cache_keeps_what_was_used_last(void **state)
{
    (void)state;
    char name[20];
    for (int i = 0; i < 6; i++) { // of a MiB and some each
        snprintf(name, sizeof name, "f%d", i);
        struct job_file f = job_file(name, MIB + 1 + (size_t)i, 0400);
        encode(&f, 1);
        start_with(3 * MIB + 100);
        EQ_I64(2, fetch_all());
        files_free(&files);
        let_time_pass();
        EQ_I64(i < 3 ? i + 1 : 3, entries(""));
    }
    struct job_file v[] = { job_file("f5", MIB + 6, 0400), job_file("f0", MIB + 1, 0400) };
    encode(v, 2);
    start_with(3 * MIB + 100);
    EQ_I64(2, fetch_all()); // the last one is still there, the first is not
}

static void what_runs_is_never_thrown_out(void **state)
{
    (void)state;
    struct err e;
    struct job_file f = job_file("running", MIB, 0500);
    encode(&f, 1);
    start();
    fetch_all();
    struct cache c;
    struct cache_part part;
    struct job_file g = job_file("new", 2 * MIB, 0400);
    PASS(&e, cache_open(&c, MIB, &e));
    PASS(&e, cache_begin(&c, &g, &part, &e));
    cache_drop(&c, &part);
    cache_close(&c);
    has(0, "running", MIB, 0500);
    files_free(&files);
    start();
    EQ_I64(0, fetch_all());
}

static void two_workers_may_fetch_the_same_at_once(void **state)
{
    (void)state;
    struct err e;
    struct files_ask a;
    struct job_file f = job_file("both", 1000, 0400);
    encode(&f, 1);
    start();
    EQ_I64(FILES_WAIT, work());
    struct files *other = files;
    start();
    EQ_I64(1, fetch_all());
    struct files *first = files;
    files = other;
    assert_true(files_next_ask(files, &a));
    PASS(&e, answer(&a, &e));
    EQ_I64(0, fetch_all());
    has(0, "both", 1000, 0400);
    files_free(&files);
    files = first;
    has(0, "both", 1000, 0400);
    EQ_I64(1, entries("") - entries("job-"));
}

static void a_file_in_place_is_used_where_it_is(void **state)
{
    (void)state;
    struct err e;
    struct runner_file r;
    struct file_set s = { 0 };
    char path[100];
    uint32_t n;
    snprintf(path, sizeof path, "%s/mine", home);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(1000, write(fd, source, 1000));
    close(fd);
    PASS(&e, file_set_add(&s, path, &n, &e));
    encode(s.v, 1);
    struct files_opts o = { .in_place = true };
    PASS(&e, files_new(&files, (struct slice){ spec.p, spec.n }, &o, &e));
    EQ_I64(FILES_READY, work());
    read_entry(0, &r);
    assert_true(r.in_place);
    assert_string_equal(s.v[0].path, r.path);
    assert_true(file_same_stamp(&s.v[0].stamp, &r.stamp));
    files_free(&files);

    fd = open(path, O_WRONLY | O_TRUNC);
    assert_int_equal(1000, write(fd, source + 1, 1000));
    close(fd);
    enum files_state state_now;
    PASS(&e, files_new(&files, (struct slice){ spec.p, spec.n }, &o, &e));
    EXPECT(ERR_CHANGED, &e, files_work(files, &state_now, &e));
    assert_non_null(strstr(e.text, "its digest no longer matches"));
    file_set_free(&s);
}

static void the_folder_is_private(void **state)
{
    (void)state;
    struct err e;
    struct cache c;
    struct stat st;
    char path[100];
    PASS(&e, cache_open(&c, MIB, &e));
    assert_int_equal(0, stat(c.dir, &st));
    EQ_I64(0700, st.st_mode & 07777);
    snprintf(path, sizeof path, "%s/cache/files", home);
    cache_close(&c);
    assert_int_equal(0, chmod(path, 0770));
    EXPECT(ERR_INVALID, &e, cache_open(&c, MIB, &e));
    assert_non_null(strstr(e.text, "others may write to it"));
}

static void a_folder_above_that_is_open_to_others_is_refused(void **state)
{
    (void)state;
    struct err e;
    struct cache c;
    char above[100];
    snprintf(above, sizeof above, "%s/above", home);
    assert_int_equal(0, mkdir(above, 0700));
    assert_int_equal(0, setenv("TRANCHE_HOME", above, 1));
    assert_int_equal(0, chmod(above, 0777));
    EXPECT(ERR_INVALID, &e, cache_open(&c, MIB, &e));
    assert_non_null(strstr(e.text, "above may be written to by others"));
    assert_int_equal(0, chmod(above, 01777)); // sticky, like /tmp
    PASS(&e, cache_open(&c, MIB, &e));
    cache_close(&c);
    if (geteuid() != 0) return;
    assert_int_equal(0, chown(above, 65534, 0));
    EXPECT(ERR_INVALID, &e, cache_open(&c, MIB, &e));
    assert_non_null(strstr(e.text, "above belongs to another user"));
    assert_non_null(strstr(e.text, "set TRANCHE_HOME"));
}

// As Debian has it: umask 002, and a group for each user.
static void a_folder_above_that_is_open_to_the_users_own_group_will_do(void **state)
{
    (void)state;
    struct err e;
    struct cache c;
    char above[100];
    const struct passwd *me = getpwuid(geteuid());
    gid_t mine = me ? me->pw_gid : 0;
    snprintf(above, sizeof above, "%s/above", home);
    assert_int_equal(0, mkdir(above, 0700));
    assert_int_equal(0, setenv("TRANCHE_HOME", above, 1));
    assert_int_equal(0, chown(above, geteuid(), mine));
    assert_int_equal(0, chmod(above, 0775));
    if (own_group(geteuid(), mine)) {
        PASS(&e, cache_open(&c, MIB, &e));
        cache_close(&c);
    } else {
        EXPECT(ERR_INVALID, &e, cache_open(&c, MIB, &e));
    }
    assert_int_equal(0, chmod(above, 0777));
    EXPECT(ERR_INVALID, &e, cache_open(&c, MIB, &e));
    if (geteuid() != 0) return;
    assert_int_equal(0, chown(above, 0, 1)); // a group of many
    assert_int_equal(0, chmod(above, 0770));
    EXPECT(ERR_INVALID, &e, cache_open(&c, MIB, &e));
    assert_non_null(strstr(e.text, "above may be written to by others"));
}

static void groups_of_others_are_not_the_users_own(void **state)
{
    (void)state;
    assert_false(own_group(geteuid(), 4000000));
    assert_false(own_group(4000000, 4000000));
    assert_false(own_group(0, 1)); // daemon's
    setpwent();                    // whoever's first group is that of another name
    for (const struct passwd *p; (p = getpwent());) {
        uid_t uid = p->pw_uid;
        gid_t gid = p->pw_gid;
        char name[100];
        snprintf(name, sizeof name, "%s", p->pw_name);
        const struct group *g = getgrgid(gid);
        if (!g || strcmp(g->gr_name, name) == 0) continue;
        endpwent();
        assert_false(own_group(uid, gid));
        return;
    }
    endpwent();
}

static void a_home_that_is_another_users_is_not_used(void **state)
{
    (void)state;
    struct err e;
    struct cache c;
    if (geteuid() != 0) skip();
    assert_int_equal(0, unsetenv("TRANCHE_HOME"));
    assert_int_equal(0, unsetenv("XDG_CACHE_HOME"));
    char tmp[100], *before = getenv("HOME");
    snprintf(tmp, sizeof tmp, "%s/tmp", home);
    assert_int_equal(0, mkdir(tmp, 01777));
    assert_int_equal(0, setenv("TMPDIR", tmp, 1));
    before = before ? strdup(before) : NULL;
    assert_int_equal(0, setenv("HOME", home, 1));
    PASS(&e, cache_open(&c, MIB, &e));
    assert_non_null(strstr(c.dir, "/.cache/tranche/files"));
    cache_close(&c);
    assert_int_equal(0, chown(home, 65534, 0));
    EXPECT(ERR_INVALID, &e, cache_open(&c, MIB, &e)); // what is used stands below it, too
    assert_non_null(strstr(e.text, "/tmp/tranche-0/files"));
    unsetenv("TMPDIR");
    if (before) setenv("HOME", before, 1);
    free(before);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(a_folder_above_that_is_open_to_others_is_refused),
        CASE(a_folder_above_that_is_open_to_the_users_own_group_will_do),
        CASE(groups_of_others_are_not_the_users_own),
        CASE(a_home_that_is_another_users_is_not_used),
        CASE(a_file_comes_in_pieces),
        CASE(a_job_without_files_is_ready_and_touches_no_disk),
        CASE(what_is_in_the_cache_is_not_asked_for),
        CASE(a_program_and_a_file_of_the_same_bytes_are_two),
        CASE(files_of_one_name_do_not_overwrite_each_other),
        CASE(an_empty_file_needs_no_piece),
        CASE(what_is_asked_for_ahead_is_bounded),
        CASE(a_transfer_that_was_interrupted_goes_on_where_it_was),
        CASE(a_worker_that_died_in_between_begins_anew),
        CASE(pieces_that_nobody_asked_for_are_ignored),
        CASE(a_damaged_piece_is_asked_for_again),
        CASE(a_piece_longer_than_asked_for_is_damaged),
        CASE(a_file_with_a_wrong_digest_is_never_used),
        CASE(a_full_disk_makes_room_by_throwing_out_what_is_old),
        CASE(the_cache_keeps_what_was_used_last),
        CASE(what_runs_is_never_thrown_out),
        CASE(two_workers_may_fetch_the_same_at_once),
        CASE(a_file_in_place_is_used_where_it_is),
        CASE(the_folder_is_private),
    };
    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
