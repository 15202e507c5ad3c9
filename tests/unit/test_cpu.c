#include "worker/cpu.h"

#include "tests/test.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const ns_t SPENT = 60 * NS_MS; // several clock ticks

static void spend(ns_t much)
{
    ns_t until = clock_cpu_ns() + much;
    while (clock_cpu_ns() < until) {
    }
}

// A process that spends and has a child that does; both say so and wait for our word.
static pid_t start(int said, const int go[2])
{
    pid_t pid = fork();
    if (pid != 0) return pid;
    close(go[1]);
    pid_t child = fork();
    spend(SPENT);
    char c = 0;
    if (write(said, &c, 1) != 1 || read(go[0], &c, 1) < 0) _exit(1);
    if (child) waitpid(child, NULL, 0);
    _exit(0);
}

static void hear(int fd, int times)
{
    char c;
    for (int i = 0; i < times; i++)
        assert_int_equal(1, read(fd, &c, 1));
}

static void what_runs_and_what_it_started_counts_and_nothing_twice(void **state)
{
    (void)state;
    int said[2], go[2];
    struct cpu_meter m = { 0 };
    struct rusage use;
    EQ_I64(0, cpu_meter_read(&m, 0));
    assert_int_equal(0, pipe(said));
    assert_int_equal(0, pipe(go));
    pid_t pid = start(said[1], go);
    assert_true(pid > 0);
    close(go[0]);
    hear(said[0], 2);
    ns_t tick = NS_S / sysconf(_SC_CLK_TCK), alive = cpu_meter_read(&m, pid);
    assert_true(alive >= 2 * SPENT - 3 * tick); // whole ticks of user and system
    close(go[1]);
    while (wait4(pid, NULL, 0, &use) != pid) {
    }
    cpu_meter_end(&m, &use);
    ns_t ended = cpu_meter_read(&m, 0);
    assert_true(ended >= alive && ended >= 2 * SPENT - 3 * tick);
    ns_t really = (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * NS_S +
                  (use.ru_utime.tv_usec + use.ru_stime.tv_usec) * (NS_S / 1000000);
    assert_true(ended == really || ended == alive);
    close(said[0]);
    close(said[1]);
}

static void a_process_that_is_gone_costs_nothing(void **state)
{
    (void)state;
    struct cpu_meter m = { 0 };
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    while (waitpid(pid, NULL, 0) != pid) {
    }
    EQ_I64(0, cpu_meter_read(&m, pid));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_runs_and_what_it_started_counts_and_nothing_twice),
        cmocka_unit_test(a_process_that_is_gone_costs_nothing),
    };
    return test_main("cpu", tests, N_OF(tests), NULL, 0);
}
