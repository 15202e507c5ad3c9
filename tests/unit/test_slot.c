// A slot with one lane, whose runner is this test: it says what a runner would say, and the
// process that the slot watches does nothing.
#include "worker/slot_impl.h"

#include "tests/test.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ROOM = 4096 };

struct kit {
    struct slot s;
    int runner; // its end of the channel
};

static pid_t idle_process(void)
{
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

static int set_up(void **state)
{
    struct kit *k = calloc(1, sizeof *k);
    struct err e;
    int pair[2];
    slot_init(&k->s, 0, false);
    PASS(&e, slot_set_lanes(&k->s, 1, &e));
    PASS(&e, slot_open(&k->s, ROOM, &e));
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
    k->runner = pair[1];
    pid_t pid = idle_process();
    k->s.p =
        (struct runner_process){ pid, (int)syscall(SYS_pidfd_open, pid, 0), pair[0], -1 };
    k->s.state = SLOT_IDLE;
    *state = k;
    return 0;
}

static int tear_down(void **state)
{
    struct kit *k = *state;
    slot_kill(&k->s);
    slot_close(&k->s);
    close(k->runner);
    free(k);
    return 0;
}

static void give(struct kit *k)
{
    struct err e;
    static struct runner_task t;
    t = (struct runner_task){ .end = 1 };
    PASS(&e, slot_give(&k->s, &t, slot_room(&k->s), &e));
}

static void give_train(struct kit *k, uint32_t n)
{
    struct err e;
    static struct runner_task t;
    struct runner_wagon w[TRAIN_MAX] = { 0 };
    t = (struct runner_task){ .train = n };
    PASS(&e, slot_give_train(&k->s, &t, w, slot_room(&k->s), &e));
}

static void begins(struct kit *k, uint32_t chunks)
{
    atomic_fetch_add(&runner_board(k->s.results, k->s.result_max)->begun, chunks);
}

static void says(struct kit *k)
{
    struct runner_done d = { .what = RUNNER_DONE };
    assert_int_equal(sizeof d, send(k->runner, &d, sizeof d, 0));
}

// As the parent does: the answer is taken, its result posted, and dealt with.
static void answers(struct kit *k)
{
    static struct runner_done d;
    begins(k, 1);
    says(k);
    assert_true(slot_take(&k->s, &d));
    slot_answered(&k->s, 0);
}

static struct slot_death dies(struct kit *k)
{
    struct slot_death d = { 0 };
    struct pollfd p = { k->s.p.pidfd, POLLIN, 0 };
    slot_kill(&k->s);
    assert_int_equal(1, poll(&p, 1, 10000));
    assert_true(slot_reap(&k->s, &d));
    return d;
}

static int filling(const struct slot *s)
{
    int n = 0;
    for (int i = 0; i < RESULTS_PER_SLOT; i++)
        n += s->result[i].state == RESULT_FILLING;
    return n;
}

static void takes_one_packet_ahead_and_no_more(void **state)
{
    struct kit *k = *state;
    assert_false(slot_takes_ahead(&k->s)); // it is idle
    give(k);
    assert_true(slot_takes_ahead(&k->s));
    assert_false(slot_has_more(&k->s));
    give(k);
    assert_false(slot_takes_ahead(&k->s));
    assert_true(slot_has_more(&k->s));
    EQ_I64(2, filling(&k->s));
    EQ_I64(-1, slot_free_lane(&k->s));
}

static void goes_on_with_what_it_was_given_ahead(void **state)
{
    struct kit *k = *state;
    give(k);
    give_train(k, 2);
    int first = k->s.given[0].region, second = k->s.given[1].region;
    assert_int_not_equal(first, second);
    answers(k);
    EQ_I64(SLOT_BUSY, k->s.state);
    EQ_I64(second, k->s.lane[0].region);
    EQ_I64(RESULT_FREE, k->s.result[first].state); // nothing was put there
    assert_true(slot_takes_ahead(&k->s));
    answers(k);
    EQ_I64(SLOT_BUSY, k->s.state);
    answers(k);
    EQ_I64(SLOT_IDLE, k->s.state);
    EQ_I64(0, filling(&k->s));
    EQ_I64(0, slot_free_lane(&k->s));
}

static void an_answer_without_a_task_makes_no_sense(void **state)
{
    struct kit *k = *state;
    struct runner_done d;
    give(k);
    answers(k);
    says(k);
    assert_false(slot_take(&k->s, &d));
}

struct death_row {
    const char *name;
    uint32_t answered, begun; // of three that it was given; begun: also those answered
    uint32_t unsaid;          // so many before the one that it died of
    bool between;
};

static void knows_what_it_died_of(void **state)
{
    const struct death_row *row = *state;
    void *own = NULL;
    set_up(&own);
    struct kit *k = own;
    give_train(k, 2);
    give(k);
    for (uint32_t i = 0; i < row->answered; i++)
        answers(k);
    begins(k, row->begun - row->answered);
    struct slot_death d = dies(k);
    EQ_I64(row->unsaid, d.unsaid);
    EQ_I64(row->between, d.between);
    EQ_I64(9, d.signal);
    EQ_I64(SLOT_EMPTY, k->s.state);
    EQ_I64(0, filling(&k->s));
    tear_down(&own);
}

static void the_mark_of_a_batch_goes_with_the_process(void **state)
{
    struct kit *k = *state;
    give(k);
    slot_doom(&k->s);
    assert_true(k->s.doomed);
    (void)dies(k);
    assert_true(k->s.doomed); // whoever asks what came of its batches
}

static const struct death_row deaths[] = {
    { "dies_before_it_began_anything", 0, 0, 0, false },
    { "dies_of_the_first_of_a_train", 0, 1, 0, false },
    { "dies_of_the_second_and_has_not_said_the_first", 0, 2, 1, false },
    { "dies_of_what_it_was_given_ahead_and_has_not_said_the_train", 0, 3, 2, false },
    { "dies_of_the_second_of_a_train", 1, 2, 0, false },
    { "dies_of_what_it_was_given_ahead", 2, 3, 0, false },
    { "dies_between_two_of_a_train", 1, 1, 0, true },
    { "dies_between_a_train_and_what_was_given_ahead", 2, 2, 0, true },
    { "lies_about_how_far_it_came", 1, 100, 0, false },
};

static void shows(struct kit *k, int to, const char *written, size_t n, const char *shown)
{
    char path[] = "/tmp/test_slotXXXXXX", seen[200] = "";
    int file = mkstemp(path), before = dup(STDERR_FILENO);
    assert_true(file >= 0 && before >= 0);
    EQ_I64(n, write(to, written, n));
    fflush(stderr);
    dup2(file, STDERR_FILENO);
    slot_drain_stderr(&k->s);
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
    assert_true(pread(file, seen, sizeof seen - 1, 0) >= 0);
    close(file);
    unlink(path);
    assert_string_equal(shown, seen);
}

static void what_a_runner_prints_commands_no_terminal(void **state)
{
    struct kit *k = *state;
    int p[2];
    EQ_I64(0, pipe2(p, O_NONBLOCK));
    k->s.p.errors = p[0];
    shows(k, p[1], "\x1b]0;owned\a\tok\n", 14, "\\x1b]0;owned\\x07\tok\n");
    shows(k, p[1], "a\0b", 3, "a\\x00b");
    shows(k, p[1], "caf\xc3", 4, "caf"); // its rest is on the way
    shows(k, p[1], "\xa9 \xf0\x9f\x99", 5, "\xc3\xa9 ");
    shows(k, p[1], "\x82!\xc3", 3, "\xf0\x9f\x99\x82!");
    shows(k, p[1], "\x1b", 1, "\\xc3\\x1b");
    EQ_I64(14 + 3 + 4 + 5 + 3 + 1,
           k->s.tail_n); // as it came: it is filtered where it is shown
    close(p[1]);
    slot_drain_stderr(&k->s);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    static const struct CMUnitTest plain[] = {
        T(takes_one_packet_ahead_and_no_more),
        T(goes_on_with_what_it_was_given_ahead),
        T(an_answer_without_a_task_makes_no_sense),
        T(the_mark_of_a_batch_goes_with_the_process),
        T(what_a_runner_prints_commands_no_terminal),
    };
    return test_main("slot", plain, N_OF(plain), TABLE(deaths, knows_what_it_died_of),
                     N_OF(deaths));
}
