// A server from its start to its end, with a job that it runs, while each call to the C
// library and SQLite fails once: it goes on, or ends with a sentence, and then the next
// server runs the job to its end.

#define FAILING_OWN_POLL
#include "tests/serve_kit.h"

#include "coordinator/serve_job.h"

#include <sys/prctl.h>
#include <time.h>

static const struct failing_way FAILS[] = {
    { "errors", FAILING_FILES | FAILING_SQLITE, EIO, SQLITE_IOERR, false },
    { "interrupted", FAILING_FILES, EINTR, SQLITE_OK, false },
    { "no_memory", FAILING_MEMORY, ENOMEM, SQLITE_NOMEM, false },
};

static struct err e;
static struct serve_opts run = { .jobs = 2, .output = OUTPUT_HUMAN };
static char state_dir[SERVE_PATH];

// ---- time passes as soon as nothing else happens

ns_t __real_clock_ns(void);
ns_t __wrap_clock_ns(void);
static ns_t passed;
ns_t __wrap_clock_ns(void)
{
    return __real_clock_ns() + passed;
}

static int64_t job; // the server is to stop when it is over; 0: none
static bool job_is_over(void);

static int wait_a_little(struct pollfd *fds, nfds_t n, int ms)
{
    enum { LITTLE_MS = 5 };
    int got = __real_poll(fds, n, ms < LITTLE_MS ? ms : LITTLE_MS);
    if (got == 0 && ms > LITTLE_MS) passed += (ms - LITTLE_MS) * NS_MS;
    if (got == 0 && job && job_is_over()) raise(SIGTERM);
    return got;
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms)
{
    return failing_now(FAILING_FILES, "poll") ? -1 : wait_a_little(fds, n, ms);
}

// With the length of an array known to the compiler it is this one.
int __wrap___poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t room);
int __wrap___poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t room)
{
    (void)room;
    return __wrap_poll(fds, n, ms);
}

int __real_nanosleep(const struct timespec *t, struct timespec *left);
int __wrap_nanosleep(const struct timespec *t, struct timespec *left);
int __wrap_nanosleep(const struct timespec *t, struct timespec *left)
{
    (void)left;
    passed += t->tv_sec * NS_S + t->tv_nsec;
    return 0;
}

// ---- servers

static sigset_t signals_of_servers(void)
{
    sigset_t all;
    sigemptyset(&all);
    sigaddset(&all, SIGTERM);
    sigaddset(&all, SIGHUP);
    sigaddset(&all, SIGCHLD);
    return all;
}

static void forget_signals(void)
{
    sigset_t all = signals_of_servers();
    struct timespec now = { 0 };
    while (sigtimedwait(&all, NULL, &now) > 0) {
    }
}

static int fresh(void **state)
{
    (void)state;
    char keys[SERVE_PATH + 16];
    struct key_pair own;
    top = folder_new();
    snprintf(state_dir, sizeof state_dir, "%s/state", top.path);
    run = (struct serve_opts){ .state = state_dir, .jobs = 2, .output = OUTPUT_HUMAN };
    assert_int_equal(0, mkdir(state_dir, 0700));
    snprintf(keys, sizeof keys, "%s/keys", state_dir);
    PASS(&e, keys_coordinator(keys, true, &own, &e));
    return 0;
}

static int finish(void **state)
{
    sigset_t all = signals_of_servers();
    (void)state;
    forget_signals();
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    failing_below = -1;
    program = NULL;
    job = 0;
    folder_rm(&top);
    return 0;
}

// `stop`: it is told to before it begins.
static err_t serve_once(bool stop, struct err *why)
{
    sigset_t all = signals_of_servers();
    forget_signals();
    sigprocmask(SIG_BLOCK, &all, NULL);
    if (stop) raise(SIGHUP); // is no reason to go
    if (stop) raise(SIGTERM);
    heard.text[0] = 0;
    int code = serve_run(&run);
    forget_signals();
    long left = failing.left; // ours does not count
    failing.left = -1;
    if (chdir("/") != 0) fail_msg("there is no /");
    failing.left = left;
    if (code == CLI_OK) return ERR_OK;
    return err_set(why, code == CLI_USAGE ? ERR_INVALID : ERR_IO, "%s", heard.text);
}

static err_t come_and_go(void *arg, struct err *why)
{
    (void)arg;
    return serve_once(true, why);
}

static void after_going(void *arg, err_t rc, const struct err *why)
{
    (void)arg;
    if (rc != ERR_OK && strncmp(why->text, "tranche: ", 9) != 0)
        fail_msg("%s failed: %s", failing.was, why->text);
}

static void what_a_server_cannot_have_is_told(void **state)
{
    fresh(NULL);
    run.listen = "tcp://127.0.0.1:1";
    EXPECT(ERR_OK, &e, come_and_go(NULL, &e));
    assert_true(failing_ladder(*state, come_and_go, after_going, NULL) > 2);
    finish(NULL);
}

// ---- jobs

static int answer_of(void *arg, int n, char **v, char **names)
{
    (void)n, (void)names;
    snprintf(arg, 100, "%s", v[0] ? v[0] : "");
    return 0;
}

// Nothing of it counts, wherever it is asked.
static void ask(const char *sql, char out[100])
{
    char path[SERVE_PATH + 16];
    sqlite3 *db;
    long left = failing.left, memory = no_memory_left;
    failing.left = no_memory_left = -1;
    snprintf(path, sizeof path, "%s/runs.db", state_dir);
    out[0] = 0;
    assert_int_equal(SQLITE_OK, sqlite3_open(path, &db));
    sqlite3_busy_timeout(db, 10000);
    if (sqlite3_exec(db, sql, answer_of, out, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
    failing.left = left;
    no_memory_left = memory;
}

static bool job_is_over(void)
{
    char sql[100], state[100];
    snprintf(sql, sizeof sql, "SELECT state FROM jobs WHERE id = %lld", (long long)job);
    ask(sql, state);
    return strcmp(state, "ended") == 0 || strcmp(state, "cancelled") == 0;
}

static void queue_one(void)
{
    struct serve s = { 0 };
    char note[200];
    PASS(&e, backlog_open(&s.backlog, state_dir, note, sizeof note, &e));
    server = &s;
    job = serve_kit_queue("sqlite:a t\n");
    backlog_close(&s.backlog);
}

static void its_end_is(const char *want)
{
    char sql[200], got[100];
    snprintf(
        sql, sizeof sql,
        "SELECT state || ' ' || exit_code || ' ' || coalesce(error, '') FROM jobs WHERE id "
        "= %lld",
        (long long)job);
    ask(sql, got);
    if (strcmp(got, want) != 0) fail_msg("%s failed: %s", failing.was, got);
}

static err_t run_a_job(void *arg, struct err *why)
{
    (void)arg;
    return serve_once(false, why);
}

// Whoever has not begun it, or not written down how it ended: the next server does.
static void after_job(void *arg, err_t rc, const struct err *why)
{
    after_going(arg, rc, why);
    if (!job_is_over()) PASS(&e, serve_once(false, &e));
    its_end_is("ended 0 ");
    queue_one();
}

static void say_hello(void)
{
    if (write(STDOUT_FILENO, "hello\n", 6) != 6) _exit(1);
}

static void whatever_fails_a_job_comes_to_its_end(void **state)
{
    fresh(NULL);
    PASS(&e, come_and_go(NULL, &e)); // makes the folders
    program = say_hello;
    queue_one();
    assert_true(failing_ladder(*state, run_a_job, after_job, NULL) > 2);
    its_end_is("ended 0 ");
    finish(NULL);
}

static void end_by_a_signal(void)
{
    raise(SIGKILL);
}

static void a_process_that_is_killed_ends_its_job(void **state)
{
    (void)state;
    PASS(&e, come_and_go(NULL, &e));
    program = end_by_a_signal;
    queue_one();
    PASS(&e, serve_once(false, &e));
    its_end_is(
        "ended 1 its process was ended by signal 9 (Killed); submitted again it goes on");
}

static void a_process_that_cannot_become_its_program_ends_its_job(void **state)
{
    enum { CALLS = 5 };
    (void)state;
    PASS(&e, come_and_go(NULL, &e));
    for (failing_below = 0; failing_below < CALLS; failing_below++) {
        queue_one();
        PASS(&e, serve_once(false, &e));
        its_end_is("ended 1 ");
    }
    failing_below = -1;
}

static void stay(void)
{
    signal(SIGTERM, SIG_IGN);
    for (;;) {
        kill(getppid(), SIGTERM); // again and again
        __real_poll(NULL, 0, 10);
    }
}

static void a_job_that_does_not_go_is_killed_by_the_second_word(void **state)
{
    (void)state;
    PASS(&e, come_and_go(NULL, &e));
    program = stay;
    queue_one();
    PASS(&e, serve_once(false, &e));
    assert_false(job_is_over()); // it goes on with the next server
    program = say_hello;
    PASS(&e, serve_once(false, &e));
    its_end_is("ended 0 ");
}

// ---- who has the folder

// The lock's holder; or, when that has gone, one who inherited it.
static pid_t hold(bool pass_on, pid_t *heir)
{
    int ready[2];
    assert_int_equal(0, pipe(ready));
    pid_t pid = fork();
    if (pid == 0) {
        struct run_lock *l;
        if (run_lock_take(&l, state_dir, SERVE_LOCK, &e) != ERR_OK) _exit(1);
        if (pass_on && fork() != 0) _exit(0);
        pid_t self = getpid();
        if (write(ready[1], &self, sizeof self) == sizeof self) alarm(60), pause();
        _exit(0);
    }
    close(ready[1]);
    assert_int_equal(sizeof *heir, read(ready[0], heir, sizeof *heir));
    close(ready[0]);
    return pid;
}

static void another_server_is_named(void **state)
{
    (void)state;
    pid_t heir;
    for (int pass_on = 0; pass_on < 2; pass_on++) {
        pid_t pid = hold(pass_on, &heir);
        if (pass_on) waitpid(pid, NULL, 0);
        EXPECT(ERR_IO, &e, serve_once(false, &e));
        if (!strstr(e.text,
                    pass_on ? "the jobs of an earlier server for" : "another server has"))
            fail_msg("%s", e.text);
        kill(heir, SIGKILL);
        if (!pass_on) waitpid(pid, NULL, 0);
        while (run_lock_is_taken(state_dir, SERVE_LOCK)) // until it is really gone
            usleep(1000);
    }
    PASS(&e, come_and_go(NULL, &e));
}

static void a_folder_that_others_can_enter_is_refused(void **state)
{
    char path[SERVE_PATH + 16];
    (void)state;
    snprintf(path, sizeof path, "%s/" SERVE_FOLDER, state_dir);
    assert_int_equal(0, mkdir(path, 0700));
    assert_int_equal(0, chmod(path, 0755));
    EXPECT(ERR_INVALID, &e, serve_once(false, &e));
    assert_non_null(strstr(e.text, "is open to other users, who could submit jobs there"));
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    static char path[SERVE_PATH];
    (void)state;
    snprintf(path, sizeof path, "%s", state_dir);
    for (size_t n; (n = strlen(path)) + 210 < 4000;) {
        memset(path + n, 'x', 200);
        path[n] = '/';
        path[n + 200] = 0;
        if (mkdir(path, 0700) != 0) fail_msg("%s", path);
    }
    assert_int_equal(0, chdir(path)); // what it is made of is longer than what is given
    memset(path, 'y', 200);
    path[200] = 0;
    run.state = path;
    err_t rc = serve_once(false, &e);
    if (rc == ERR_OK) fail_msg("it was taken");
}

static void few_descriptors_are_not_enough(void **state)
{
    (void)state;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit few = { 40, 40 };
        setrlimit(RLIMIT_NOFILE, &few);
        err_t rc = serve_once(false, &e);
        _exit(rc == ERR_INVALID && strstr(e.text, "40 files may be open at a time") ? 0
                                                                                    : 1);
    }
    assert_int_equal(pid, waitpid(pid, &status, 0));
    EQ_I64(0, status);
}

// ---- whose run it is

static void a_run_belongs_to_the_job_whose_process_makes_it(void **state)
{
    struct child mine = { .id = 1, .pid = getpid() }, over = { .id = 2, .over = true };
    struct serve s = { .children = &over };
    char name[RUN_LOCK_HOLDER];
    (void)state;
    over.next = &mine;
    snprintf(name, sizeof name, "%ld@host", (long)getpid());
    assert_ptr_equal(&mine, serve_child_with(&s, name));
    pid_t step = fork(); // of a pipeline
    if (step == 0) alarm(60), pause();
    snprintf(name, sizeof name, "%ld@host", (long)step);
    assert_ptr_equal(&mine, serve_child_with(&s, name));
    failing_begin(&FAILS[0], 0);
    assert_null(serve_child_with(&s, name));
    assert_true(failing_end(&FAILS[0]));
    kill(step, SIGKILL);
    waitpid(step, NULL, 0);
    assert_null(serve_child_with(&s, name));
    assert_null(serve_child_with(&s, "1@host"));
    assert_null(serve_child_with(&s, "nobody"));
}

int main(void)
{
#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, fresh, finish)
    const struct CMUnitTest plain[] = {
        WITH_FOLDER(a_process_that_is_killed_ends_its_job),
        WITH_FOLDER(a_process_that_cannot_become_its_program_ends_its_job),
        WITH_FOLDER(a_job_that_does_not_go_is_killed_by_the_second_word),
        WITH_FOLDER(another_server_is_named),
        WITH_FOLDER(a_folder_that_others_can_enter_is_refused),
        WITH_FOLDER(a_path_that_is_too_long_is_refused),
        WITH_FOLDER(few_descriptors_are_not_enough),
        cmocka_unit_test(a_run_belongs_to_the_job_whose_process_makes_it),
    };
    int failed = test_main("servers", plain, N_OF(plain), NULL, 0);
    failed += test_main("opening", NULL, 0, TABLE(FAILS, what_a_server_cannot_have_is_told),
                        N_OF(FAILS));
    return failed + test_main("jobs", NULL, 0,
                              TABLE(FAILS, whatever_fails_a_job_comes_to_its_end),
                              N_OF(FAILS));
}
