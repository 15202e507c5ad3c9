// Runners that wait to be told what to run: as copies of this process.
#include "worker/runner_start.h"

#include "worker/http_share.h"

#include "tests/test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static void wait_for_end(const struct runner_process *p)
{
    struct pollfd f = { p->pidfd, POLLIN, 0 };
    assert_int_equal(1, poll(&f, 1, 10000));
}

static void an_answer_to_a_start_that_makes_no_sense_comes_at_once(void **state)
{
    (void)state;
    struct err e;
    struct runner_process p;
    struct runner_done d;
    int fds[RUNNER_FDS_END - RUNNER_FD_SPEC];
    for (size_t i = 0; i < N_OF(fds); i++)
        fds[i] = memfd_create("empty", MFD_CLOEXEC);
    assert_int_equal(0, ftruncate(fds[RUNNER_FD_SHARE - RUNNER_FD_SPEC],
                                  sizeof(struct http_share_board)));
    PASS(&e, runner_spawn(&p, true, &e));
    struct runner_start s = { .result_max_bytes = 4096, .lanes = 1 };
    PASS(&e, runner_tell(&p, &s, fds, &e));
    struct pollfd f = { p.channel, POLLIN, 0 };
    assert_int_equal(1, poll(&f, 1, 10000));
    EQ_I64(sizeof d, recv(p.channel, &d, sizeof d, 0));
    EQ_I64(RUNNER_OPENED, d.what);
    assert_int_not_equal(ERR_OK, d.code); // the spec is empty
    wait_for_end(&p);
    runner_end(&p);
    for (size_t i = 0; i < N_OF(fds); i++)
        close(fds[i]);
}

static void a_runner_that_nobody_tells_anything_ends_with_the_channel(void **state)
{
    (void)state;
    struct err e;
    struct runner_process p;
    PASS(&e, runner_spawn(&p, true, &e));
    shutdown(p.channel, SHUT_WR);
    wait_for_end(&p);
    runner_end(&p);
    EQ_I64(0, p.pid);
    runner_end(&p); // there is none
}

static void nonsense_ends_a_runner(void **state)
{
    (void)state;
    struct err e;
    struct runner_process p;
    PASS(&e, runner_spawn(&p, true, &e));
    struct runner_start s = { .lanes = 1 }; // without descriptors
    EQ_I64(sizeof s, send(p.channel, &s, sizeof s, 0));
    wait_for_end(&p);
    runner_end(&p);
}

static void what_cannot_be_told_is_said(void **state)
{
    (void)state;
    struct err e;
    struct runner_process p;
    int fds[RUNNER_FDS_END - RUNNER_FD_SPEC] = { 0 };
    PASS(&e, runner_spawn(&p, true, &e));
    kill(p.pid, SIGKILL);
    wait_for_end(&p);
    struct runner_start s = { .lanes = 1 };
    EXPECT(ERR_IO, &e, runner_tell(&p, &s, fds, &e));
    assert_non_null(strstr(e.text, "cannot reach the runner"));
    runner_end(&p);
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(an_answer_to_a_start_that_makes_no_sense_comes_at_once),
        cmocka_unit_test(a_runner_that_nobody_tells_anything_ends_with_the_channel),
        cmocka_unit_test(nonsense_ends_a_runner),
        cmocka_unit_test(what_cannot_be_told_is_said),
    };
    return test_main("runner_start", plain, N_OF(plain), NULL, 0);
}
