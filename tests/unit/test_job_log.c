// What jobs of a server have written: bounded, and numbered from the job's beginning.

#include "coordinator/job_log.h"
#include "tests/source_kit.h"

static struct folder dir;
static struct err e;

static int fresh(void **state)
{
    (void)state;
    dir = folder_new();
    return 0;
}

static int finish(void **state)
{
    (void)state;
    folder_rm(&dir);
    return 0;
}

static uint64_t end;

static void reads(uint64_t from, size_t max, uint64_t want_at, const char *want)
{
    struct buf b = { 0 };
    uint64_t at = from;
    PASS(&e, job_log_read(dir.path, 7, &at, max, &b, &end, &e));
    EQ_I64(want_at, at);
    EQ_I64(strlen(want), b.n);
    assert_memory_equal(want, b.n ? (const void *)b.p : "", b.n);
    buf_free(&b);
}

static void it_is_read_from_anywhere(void **state)
{
    (void)state;
    struct job_log l;
    reads(0, 100, 0, "");
    EQ_I64(0, end);
    PASS(&e, job_log_open(&l, dir.path, 7, &e));
    PASS(&e, job_log_add(&l, "hello\n", 6, &e));
    PASS(&e, job_log_add(&l, "there\n", 6, &e));
    reads(0, 100, 0, "hello\nthere\n");
    reads(0, 5, 0, "hello");
    reads(6, 100, 6, "there\n");
    reads(12, 100, 12, "");
    reads(99999, 100, 12, "");
    EQ_I64(12, end);
    job_log_close(&l);
    PASS(&e, job_log_open(&l, dir.path, 7, &e)); // the job is begun again
    PASS(&e, job_log_add(&l, "again\n", 6, &e));
    reads(12, 100, 12, "again\n");
    job_log_close(&l);
    job_log_remove(dir.path, 7);
    reads(0, 100, 0, "");
}

static void it_keeps_the_newest_half_at_least(void **state)
{
    (void)state;
    struct job_log l;
    char line[1025], want[1025];
    uint64_t n = 0;
    PASS(&e, job_log_open(&l, dir.path, 7, &e));
    for (; n < 3 * (uint64_t)JOB_LOG_MAX; n += 1024) {
        snprintf(line, sizeof line, "%1023llu\n", (unsigned long long)n);
        PASS(&e, job_log_add(&l, line, 1024, &e));
        if (n == JOB_LOG_MAX) { // and the server is started anew
            job_log_close(&l);
            PASS(&e, job_log_open(&l, dir.path, 7, &e));
        }
    }
    job_log_close(&l);
    uint64_t at = 0;
    struct buf b = { 0 };
    PASS(&e, job_log_read(dir.path, 7, &at, 1024, &b, &end, &e));
    EQ_I64(n, end);
    assert_true(end - at >= JOB_LOG_MAX / 2 && end - at <= JOB_LOG_MAX);
    b.n = 0;
    for (; at < end; at += b.n, b.n = 0) { // every byte of it, in order
        snprintf(want, sizeof want, "%1023llu\n", (unsigned long long)at);
        PASS(&e, job_log_read(dir.path, 7, &at, 1024, &b, &end, &e));
        EQ_I64(1024, b.n);
        assert_memory_equal(want, b.p, 1024);
    }
    buf_free(&b);
}

static void a_log_that_cannot_be_written_says_so(void **state)
{
    (void)state;
    struct job_log l;
    char path[PATH_SPACE];
    put_file(&dir, "7", "", 0); // a file where the folder is to be
    assert_int_not_equal(ERR_OK, job_log_open(&l, dir.path, 7, &e));
    assert_non_null(strstr(e.text, in_folder(&dir, "7", path)));
    job_log_close(&l);
}

static void fill_half(struct job_log *l)
{
    static char bytes[JOB_LOG_MAX / 2];
    memset(bytes, 'x', sizeof bytes);
    PASS(&e, job_log_add(l, bytes, sizeof bytes, &e));
}

static void after_a_power_cut_the_hole_in_it_is_passed_over(void **state)
{
    (void)state;
    struct job_log l;
    char path[PATH_SPACE];
    PASS(&e, job_log_open(&l, dir.path, 7, &e));
    fill_half(&l);
    PASS(&e, job_log_add(&l, "tail", 4, &e));
    job_log_close(&l);
    assert_int_equal(0, truncate(in_folder(&dir, "7/00000000000000000000.log", path), 3));
    reads(0, 100, 0, "xxx");
    reads(3, 100, JOB_LOG_MAX / 2, "tail");
    EQ_I64(JOB_LOG_MAX / 2 + 4, end);
}

static void it_goes_on_when_its_next_file_can_be_made_again(void **state)
{
    (void)state;
    struct job_log l;
    char next[PATH_SPACE], name[40];
    PASS(&e, job_log_open(&l, dir.path, 7, &e));
    fill_half(&l);
    snprintf(name, sizeof name, "7/%020d.log", JOB_LOG_MAX / 2);
    assert_int_equal(0, symlink("nowhere", in_folder(&dir, name, next)));
    EXPECT(ERR_IO, &e, job_log_add(&l, "lost", 4, &e));
    assert_int_equal(0, unlink(next));
    PASS(&e, job_log_add(&l, "kept", 4, &e));
    job_log_close(&l);
    reads(JOB_LOG_MAX / 2, 100, JOB_LOG_MAX / 2, "kept");
}

static bool keep(const void *arg, int64_t id)
{
    return id == *(const int64_t *)arg;
}

static void old_ones_are_removed_but_for_those_in_use(void **state)
{
    (void)state;
    const int64_t used = 3;
    char path[PATH_SPACE];
    struct job_log l;
    for (int64_t id = 1; id <= 9; id++) {
        PASS(&e, job_log_open(&l, dir.path, id, &e));
        job_log_close(&l);
    }
    put_file(&dir, "notes", "", 0);
    job_log_prune(dir.path, 7, keep, &used);
    for (int64_t id = 1; id <= 9; id++) {
        char name[8];
        snprintf(name, sizeof name, "%d", (int)id);
        EQ_I64(id == used || id >= 7, access(in_folder(&dir, name, path), F_OK) == 0);
    }
    EQ_I64(0, access(in_folder(&dir, "notes", path), F_OK));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)
    const struct CMUnitTest tests[] = {
        T(it_is_read_from_anywhere),
        T(it_keeps_the_newest_half_at_least),
        T(a_log_that_cannot_be_written_says_so),
        T(after_a_power_cut_the_hole_in_it_is_passed_over),
        T(it_goes_on_when_its_next_file_can_be_made_again),
        T(old_ones_are_removed_but_for_those_in_use),
    };
    return test_main("job_log", tests, N_OF(tests), NULL, 0);
}
