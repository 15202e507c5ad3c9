// What a runner may do once it has seen its job.

#include "worker/sandbox.h"
#include "worker/syscalls.h"

#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Each returns 0 when it works, and leaves errno.
static int reads(void)
{
    return open("/proc/self/exe", O_RDONLY) < 0;
}

static void *nothing(void *arg)
{
    return arg;
}

static int starts_a_thread(void)
{
    pthread_t t;
    int rc = pthread_create(&t, NULL, nothing, NULL);
    if (rc == 0) pthread_join(t, NULL);
    errno = rc;
    return rc;
}

static int signals_itself(void)
{
    return kill(getpid(), 0);
}

static int signals_another(void)
{
    return kill(getppid(), 0);
}

static int speaks_unix(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) < 0;
}

static int speaks_tcp(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) < 0;
}

static int forks(void)
{
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    if (pid > 0) waitpid(pid, NULL, 0);
    return pid < 0;
}

static int runs_a_program(void)
{
    char *argv[] = { (char[]){ "true" }, NULL };
    execv("/bin/true", argv); // ends with 0, as "it works" does
    return 1;
}

static int writes_a_file(void)
{
    char path[] = "/tmp/tranche-runner-XXXXXX";
    int fd = mkstemp(path);
    if (fd >= 0) unlink(path);
    return fd < 0;
}

static int traces(void)
{
    return syscall(SYS_ptrace, 0 /* PTRACE_TRACEME */, 0, 0, 0) != 0;
}

static int takes_a_ring(void)
{
    // Without a filter EFAULT: there is no such address.
    return syscall(SYS_io_uring_setup, 1, NULL) != 0 && errno != EFAULT;
}

enum who { SQL, AGGREGATE, PLUGIN, EXEC, N_WHO };
enum needs { SECCOMP, LANDLOCK };

struct row {
    const char *name;
    int (*does)(void);
    bool may[N_WHO];
    enum needs needs;
};

#ifdef __SANITIZE_ADDRESS__ // it looks for leaks that way
enum { ASAN = true };
#else
enum { ASAN = false };
#endif

static const struct row rows[] = {
    { "read_files", reads, { true, true, true, true }, SECCOMP },
    { "start_threads", starts_a_thread, { true, true, true, true }, SECCOMP },
    { "end_itself", signals_itself, { true, true, true, true }, SECCOMP },
    { "signal_others", signals_another, { false, false, true, true }, SECCOMP },
    { "speak_to_neighbours", speaks_unix, { false, false, true, true }, SECCOMP },
    { "speak_to_the_network", speaks_tcp, { false, false, true, true }, SECCOMP },
    { "start_processes", forks, { false, false, true, true }, SECCOMP },
    { "run_programs", runs_a_program, { false, false, true, true }, SECCOMP },
    { "write_files", writes_a_file, { false, true, true, true }, LANDLOCK },
    { "trace", traces, { ASAN, ASAN, ASAN, true }, SECCOMP },
};

static int in_runner(enum who who, int (*does)(void))
{
    int status;
    static const enum step_kind kinds[] = { STEP_SQL, STEP_SQL, STEP_PLUGIN, STEP_EXEC };
    struct step steps[] = { { .kind = STEP_FORECAST }, { .kind = kinds[who] } };
    struct agg_fn count = { .name = (char[]){ "n" }, .text = (char[]){ "count(*)" } };
    struct spec s = { .steps = steps, .n_steps = 2 };
    if (who == AGGREGATE) s.aggregate = (struct agg){ .fn = &count, .n_fn = 1 };
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        sandbox_runner(&s);
        _exit(does() ? errno : 0);
    }
    assert_true(pid > 0);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool there(enum needs needs)
{
    if (needs == SECCOMP) return syscalls_can_be_filtered();
    return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
}

static void may_or_may_not(void **state)
{
    const struct row *t = *state;
    if (!there(t->needs)) skip();
    for (enum who who = SQL; who <= EXEC; who++) {
        int error = in_runner(who, t->does);
        if (t->may[who])
            EQ_I64(0, error);
        else
            assert_true(error == EPERM || error == EACCES);
    }
}

static void no_runner_of_plugins_takes_a_ring(void **state)
{
    (void)state;
    if (!there(SECCOMP)) skip();
    EQ_I64(EPERM, in_runner(SQL, takes_a_ring));
    EQ_I64(EPERM, in_runner(PLUGIN, takes_a_ring));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_runner_of_plugins_takes_a_ring),
    };
    return test_main("sandbox_runner", tests, N_OF(tests), TABLE(rows, may_or_may_not),
                     N_OF(rows));
}
