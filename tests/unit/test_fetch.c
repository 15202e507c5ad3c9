// Pieces of the job's files, while somebody replaces and touches them.

#include "coordinator/fetch.h"
#include "tests/test.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/fetch-XXXXXX";
static char path[100], other[100];
static _Atomic int replace_before_open, touch_after_read; // so many times

err_t __real_file_open(const struct job_file *f, int *fd, struct err *e);
err_t __wrap_file_open(const struct job_file *f, int *fd, struct err *e);
err_t __real_file_stamp_fd(int fd, struct file_stamp *out, struct err *e);
err_t __wrap_file_stamp_fd(int fd, struct file_stamp *out, struct err *e);

err_t __wrap_file_open(const struct job_file *f, int *fd, struct err *e)
{
    if (replace_before_open > 0 && replace_before_open-- && rename(other, path)) abort();
    return __real_file_open(f, fd, e);
}

err_t __wrap_file_stamp_fd(int fd, struct file_stamp *out, struct err *e)
{
    static int64_t seconds = 1000;
    if (touch_after_read > 0 && touch_after_read--) {
        struct timespec t[2] = { { seconds, 0 }, { seconds, 0 } };
        seconds++;
        if (futimens(fd, t)) abort(); // in the thread that reads
    }
    return __real_file_stamp_fd(fd, out, e);
}

static void put(const char *to, const char *text)
{
    FILE *f = fopen(to, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

struct scene {
    const char *name;
    int replaced, touched;
    const char *by, *says; // NULL: the piece comes
};

static const struct scene scenes[] = {
    { "nobody_touches_it", 0, 0, NULL, NULL },
    { "another_file_with_the_same_bytes_takes_its_place", 1, 0, "0123456789", NULL },
    { "another_file_takes_its_place", 1, 0, "012345678-", "changed during the run" },
    { "it_is_touched_while_it_is_read", 0, 1, NULL, NULL },
    { "it_is_touched_twice", 0, 2, NULL, NULL },
    { "it_is_touched_again_and_again", 0, 1000, NULL, "again and again while it is read" },
};

static struct fetched *ask(struct fetch *f, struct job_file *file, struct err *e)
{
    struct fetched q = { .file = file, .at = 2, .bytes = 5 }, *x;
    struct pollfd p = { fetch_fd(f), POLLIN, 0 };
    PASS(e, fetch_ask(f, &q, e));
    while (!(x = fetch_next(f)))
        assert_int_equal(poll(&p, 1, 60000), 1);
    return x;
}

static void a_piece_is_of_the_file_with_the_digest(void **state)
{
    const struct scene *s = *state;
    struct file_set files = { 0 };
    struct fetch *f;
    struct err e;
    uint32_t n;
    put(path, "0123456789");
    if (s->by) put(other, s->by);
    PASS(&e, file_set_add(&files, path, &n, &e));
    PASS(&e, fetch_start(&f, NULL, 1 << 20, &e));
    replace_before_open = s->replaced;
    touch_after_read = s->touched;
    struct fetched *x = ask(f, &files.v[0], &e);
    touch_after_read = 0;
    assert_int_equal(x->code, s->says ? ERR_CHANGED : ERR_OK);
    if (s->says) assert_non_null(strstr(x->e.text, s->says));
    if (!s->says) assert_memory_equal(x->p, "23456", 5);
    EQ_I64(0, replace_before_open);
    fetched_free(&x);
    fetch_close(&f);
    file_set_free(&files);
}

int main(void)
{
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a", dir);
    snprintf(other, sizeof other, "%s/b", dir);
    int rc = test_main("fetch", NULL, 0,
                       TABLE(scenes, a_piece_is_of_the_file_with_the_digest), N_OF(scenes));
    unlink(path);
    unlink(other);
    rmdir(dir);
    return rc;
}
