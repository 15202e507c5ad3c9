// The coordinator's end of the line to its own worker, opened beside other work.

#include "coordinator/local_link.h"
#include "tests/link_kit.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static bool no_threads;

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *),
                          void *arg)
{
    return no_threads ? EAGAIN : __real_pthread_create(t, a, f, arg);
}

static const struct link_opts opts = { .message_max_bytes = MESSAGE_MAX, .hwm = 64 };
static struct local local;
static struct err e;

static int fresh(void **state)
{
    (void)state;
    local = (struct local){ .pidfd = -1, .dir = "/tmp/local-link-XXXXXX" };
    if (!mkdtemp(local.dir)) return -1;
    snprintf(local.endpoint, sizeof local.endpoint, "ipc://%s/socket", local.dir);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    char dir[sizeof local.dir];
    snprintf(dir, sizeof dir, "%s", local.dir);
    local_close(&local);
    assert_int_equal(-1, access(dir, F_OK));
    return 0;
}

static void begin_and_hear(void)
{
    struct local_link x;
    struct link *l = NULL, *worker;
    struct link_peer from;
    struct link_in *in;
    struct msg m = a_ping(3);
    PASS(&e, local_listen(&local, &e));
    PASS(&e, link_connect(&worker, local.endpoint, &opts, &e));
    PASS(&e, link_send(worker, NULL, &m, NULL, 0, NULL, NULL, &e));
    local_link_begin(&x, &local, &opts);
    PASS(&e, local_link_take(&x, &l, &e));
    EQ_I64(0, local.listener);
    PASS(&e, await(l, &from, &in, &e));
    EQ_I64(3, link_msg(in)->PING.seq);
    link_in_free(&in);
    struct link *again = NULL; // there is nothing left to take
    PASS(&e, local_link_take(&x, &again, &e));
    assert_null(again);
    link_close(&worker, 0);
    link_close(&l, 0);
}

static void a_worker_may_come_before_the_link(void **state)
{
    (void)state;
    begin_and_hear();
}

static void without_a_thread_it_is_opened_at_once(void **state)
{
    (void)state;
    // Of ours only: libzmq's own come from the C library itself.
    no_threads = true;
    begin_and_hear();
    no_threads = false;
}

static void what_fails_is_told_when_it_is_taken(void **state)
{
    struct local_link x;
    struct link *l = NULL;
    (void)state;
    PASS(&e, local_listen(&local, &e));
    assert_int_equal(0, chmod(local.dir, 0755));
    local_link_begin(&x, &local, &opts);
    assert_int_not_equal(ERR_OK, local_link_take(&x, &l, &e));
    assert_non_null(strstr(e.text, local.dir));
    assert_null(l);
    assert_true(local.listener > 0); // closed with the rest
}

static void a_link_that_nobody_takes_is_closed(void **state)
{
    struct local_link x;
    (void)state;
    PASS(&e, local_listen(&local, &e));
    local_link_begin(&x, &local, &opts);
    local_link_drop(&x);
    struct local_link none = { .local = NULL };
    local_link_drop(&none);
}

static void a_socket_that_cannot_be_made_is_told_with_its_folder(void **state)
{
    (void)state;
    assert_int_equal(0, rmdir(local.dir));
    EXPECT(ERR_IO, &e, local_listen(&local, &e));
    assert_non_null(strstr(e.text, "cannot listen for the worker in /tmp/local-link-"));
    EQ_I64(0, local.listener);
}

int main(void)
{
#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, fresh, finish)
    static const struct CMUnitTest plain[] = {
        IN_FOLDER(a_worker_may_come_before_the_link),
        IN_FOLDER(without_a_thread_it_is_opened_at_once),
        IN_FOLDER(what_fails_is_told_when_it_is_taken),
        IN_FOLDER(a_link_that_nobody_takes_is_closed),
        IN_FOLDER(a_socket_that_cannot_be_made_is_told_with_its_folder),
    };
    return test_main("local_link", plain, N_OF(plain), NULL, 0);
}
