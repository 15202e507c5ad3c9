// The worker of this machine: each call that starts it, asks it and ends it fails once; and
// programs in its place that die, say too much, or nothing.

#include "coordinator/local.h"
#define FAILING_OWN_POLL
#include "tests/failing_processes.h"
#include "tests/source_kit.h"

static const struct failing_way FAILS[] = {
    { "errors", FAILING_FILES, EIO, SQLITE_OK, false },
    { "interrupted", FAILING_FILES, EINTR, SQLITE_OK, false },
    { "no_memory", FAILING_MEMORY, ENOMEM, SQLITE_OK, false },
};

static struct folder dir;
static struct err e;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, long a, long b, long c, long d, long f, long g);
long __wrap_syscall(long number, long a, long b, long c, long d, long f, long g)
{
    if (failing_now(FAILING_FILES, "syscall")) return -1;
    return __real_syscall(number, a, b, c, d, f, g);
}

// Nobody waits here: what takes seconds has taken them.
static bool slow;
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms)
{
    if (failing_now(FAILING_FILES, "poll")) return -1;
    return slow ? 0 : __real_poll(fds, n, ms);
}

static int fresh(void **state)
{
    (void)state;
    dir = folder_new();
    setenv("TMPDIR", dir.path, 1);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    unsetenv("TMPDIR");
    folder_rm(&dir);
    return 0;
}

// A worker that is this script.
static void make_worker(struct local *l, const char *script)
{
    *l = (struct local){ .pidfd = -1 };
    put_text(&dir, "worker", script);
    snprintf(l->worker, sizeof l->worker, "%s/worker", dir.path);
    assert_int_equal(0, chmod(l->worker, 0755));
}

static void none_is_left(void)
{
    EQ_I64(-1, waitpid(-1, NULL, WNOHANG));
}

// ---- asking

// Reads its input to the end, and answers with ERR_PROTO (in four bytes) and a sentence.
#define HEARS "#!/bin/sh\n/bin/cat >/dev/null\n"
static const char REFUSES[] = HEARS "printf '\\005\\000\\000\\000no such column'\n";

static err_t describe(struct local *l, struct err *why)
{
    long left = failing.left, memory = no_memory_left;
    struct buf spec = { 0 }, sample = { 0 };
    struct spec out = { 0 };
    failing.left = no_memory_left = -1; // ours does not count
    PASS(&e, buf_printf(&spec, &e, "spec"));
    PASS(&e, buf_printf(&sample, &e, "1,2\n"));
    failing.left = left;
    no_memory_left = memory;
    err_t rc = local_describe(l, &spec, &sample, &out, why);
    spec_free(&out);
    buf_free(&spec);
    buf_free(&sample);
    return rc;
}

// Told as the worker tells it is a good end here.
static err_t ask_once(void *arg, struct err *why)
{
    err_t rc = describe(arg, why);
    return rc == ERR_PROTO && strcmp(why->text, "no such column") == 0 ? ERR_OK : rc;
}

static void is_told(void *arg, err_t rc, const struct err *why)
{
    (void)arg;
    if (rc != ERR_OK && rc != ERR_IO && rc != ERR_NOMEM && rc != ERR_DIED)
        fail_msg("%s failed: %s (%s)", failing.was, err_name(rc), why->text);
    none_is_left();
}

static void what_fails_while_it_is_asked_is_told(void **state)
{
    struct local l;
    fresh(NULL);
    make_worker(&l, REFUSES);
    assert_true(failing_ladder(*state, ask_once, is_told, &l) > 0);
    finish(NULL);
}

static const struct answer {
    const char *name, *script;
    err_t want;
    const char *says;
} ANSWERS[] = {
    { "nothing", HEARS, ERR_DIED,
      "the worker could not be asked what the transform gives" },
    { "a_failure", HEARS "printf '\\000\\000\\000\\000'; exit 3\n", ERR_DIED,
      "the worker could not be asked what the transform gives" },
    { "a_crash", HEARS "kill -11 $$\n", ERR_DIED,
      "trying the transform killed its process: signal 11 (Segmentation fault)" },
    { "killed_by_somebody", HEARS "kill -9 $$\n", ERR_DIED,
      "trying the transform killed its process: signal 9 (Killed)" },
    { "without_listening", "#!/bin/sh\nexec <&-\nexit 1\n", ERR_DIED,
      "the worker could not be asked what the transform gives" },
    { "a_kind_of_error_that_is_none", HEARS "printf '\\377\\377\\000\\000odd'\n", ERR_PROTO,
      "odd" },
    { "damaged_columns", HEARS "printf '\\000\\000\\000\\000odd'\n", ERR_PROTO, NULL },
    { "too_much", HEARS "exec /usr/bin/head -c 17000000 /dev/zero\n", ERR_PROTO,
      "the worker's answer is too long" },
    { "more_than_a_sentence",
      HEARS "printf '\\005\\000\\000\\000'; exec /usr/bin/head -c 3000 /dev/zero\n", 5,
      NULL },
};

static void an_answer_is_told(void **state)
{
    const struct answer *a = *state;
    struct local l;
    struct err why = { 0 };
    fresh(NULL);
    make_worker(&l, a->script);
    EXPECT(a->want, &why, describe(&l, &why));
    if (a->says) assert_string_equal(a->says, why.text);
    none_is_left();
    finish(NULL);
}

// ---- asking before

// Says whether the question was the early one.
#define TELLS                                                                           \
    "#!/bin/sh\nif /bin/grep -qa early; then printf '\\005\\000\\000\\000early'; else " \
    "printf '\\005\\000\\000\\000late'; fi\n"

static void ask_early(struct local *l, const char *spec, size_t sample_bytes)
{
    struct buf s = { 0 }, sample = { 0 };
    PASS(&e, buf_printf(&s, &e, "%s", spec));
    PASS(&e, buf_reserve(&sample, sample_bytes, &e));
    if (sample_bytes) memset(sample.p, 'x', sample_bytes);
    sample.n = sample_bytes;
    local_expect_describe(l);
    local_ask_early(l, &s, &sample);
    buf_free(&s);
    buf_free(&sample);
}

static void hear(struct local *l, const char *spec, size_t sample_bytes, const char *want)
{
    struct buf s = { 0 }, sample = { 0 };
    struct spec out = { 0 };
    PASS(&e, buf_printf(&s, &e, "%s", spec));
    PASS(&e, buf_reserve(&sample, sample_bytes, &e));
    if (sample_bytes) memset(sample.p, 'x', sample_bytes);
    sample.n = sample_bytes;
    EXPECT(ERR_PROTO, &e, local_describe(l, &s, &sample, &out, &e));
    assert_string_equal(want, e.text);
    buf_free(&s);
    buf_free(&sample);
    none_is_left();
}

static void what_was_asked_early_is_answered(void **state)
{
    struct local l;
    (void)state;
    make_worker(&l, TELLS);
    ask_early(&l, "early", 0);
    assert_true(l.adviser.was_asked);
    pid_t asked = l.adviser.pid;
    ask_early(&l, "early, but once only", 0);
    assert_int_equal(asked, l.adviser.pid);
    hear(&l, "early", 0, "early");
    assert_false(l.adviser.was_asked);
    hear(&l, "another", 0, "late"); // as if nothing had been
}

static void another_question_than_the_early_one_is_asked_anew(void **state)
{
    struct local l;
    (void)state;
    make_worker(&l, TELLS);
    ask_early(&l, "early", 3);
    hear(&l, "another", 3, "late");
    ask_early(&l, "early", 3);
    hear(&l, "now", 4, "late");
}

// Nobody reads yet: what the pipe does not hold would have to be waited for.
static void a_question_too_large_for_the_pipe_waits(void **state)
{
    struct local l;
    (void)state;
    make_worker(&l, HEARS "printf '\\005\\000\\000\\000all'\n");
    ask_early(&l, "large", 3 << 20);
    hear(&l, "large", 3 << 20, "all");
}

static void an_early_question_that_nobody_repeats_is_forgotten(void **state)
{
    struct local l;
    (void)state;
    make_worker(&l, HEARS "exec /bin/sleep 100\n");
    ask_early(&l, "early", 0);
    local_close(&l);
    none_is_left();
}

static unsigned said;
static void count_said(void *arg, const char *text)
{
    (void)arg, (void)text;
    said++;
}

static void a_slow_answer_is_announced(void **state)
{
    struct local l;
    (void)state;
    make_worker(&l, REFUSES);
    l.say = count_said;
    slow = true;
    said = 0;
    EXPECT(ERR_PROTO, &e, describe(&l, &e));
    slow = false;
    EQ_I64(1, said);
}

// ---- starting and ending

static void start_and_end(const char *script, bool told, const char *says)
{
    struct local l;
    char text[200];
    make_worker(&l, script);
    l.told_to_stop = told;
    assert_false(local_reap(&l, text, sizeof text));
    PASS(&e, local_start(&l, 1, &e));
    local_expect_describe(&l); // is never asked
    if (says) {
        struct pollfd p = { l.pidfd, POLLIN, 0 };
        assert_int_equal(1, __real_poll(&p, 1, 60000));
        assert_true(local_reap(&l, text, sizeof text));
        if (strncmp(text, says, strlen(says)) != 0) fail_msg("%s", text);
    }
    local_close(&l);
    none_is_left();
}

static void a_worker_ends_as_it_may(void **state)
{
    (void)state;
    start_and_end("#!/bin/sh\nexec /bin/sleep 100\n", false, NULL);
    start_and_end("#!/bin/sh\nexit 0\n", true, NULL);
    start_and_end("#!/bin/sh\nexit 7\n", true, "exited with code 7, peak memory ");
    start_and_end("#!/bin/sh\nkill -9 $$\n", true, "was killed by signal 9 (Killed), peak");
    slow = true; // it was told, and stays
    start_and_end("#!/bin/sh\nexec /bin/sleep 100\n", true, NULL);
    slow = false;
}

static err_t start_once(void *arg, struct err *why)
{
    struct local l;
    (void)arg;
    long left = failing.left;
    failing.left = -1;
    make_worker(&l, "#!/bin/sh\nexec /bin/sleep 100\n");
    failing.left = left;
    err_t rc = local_start(&l, 1, why);
    local_close(&l);
    return rc;
}

static void what_fails_while_it_starts_is_told(void **state)
{
    (void)state;
    failing_ladder(&FAILS[0], start_once, is_told, NULL);
}

// ---- folders

static void a_program_without_its_worker_says_so(void **state)
{
    struct local l;
    (void)state;
    EXPECT(ERR_IO, &e, local_open(&l, &e));
    assert_non_null(strstr(e.text, "no worker can be started: "));
    local_close(&l);
    failing_begin(&FAILS[0], 0);
    EXPECT(ERR_IO, &e, local_open(&l, &e));
    assert_true(failing_end(&FAILS[0]));
    assert_string_equal("cannot find our own program: Input/output error", e.text);
    local_close(&l);
}

int main(void)
{
#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, fresh, finish)
    const struct CMUnitTest plain[] = {
        IN_FOLDER(a_slow_answer_is_announced),
        IN_FOLDER(what_was_asked_early_is_answered),
        IN_FOLDER(another_question_than_the_early_one_is_asked_anew),
        IN_FOLDER(a_question_too_large_for_the_pipe_waits),
        IN_FOLDER(an_early_question_that_nobody_repeats_is_forgotten),
        IN_FOLDER(a_worker_ends_as_it_may),
        IN_FOLDER(what_fails_while_it_starts_is_told),
        IN_FOLDER(a_program_without_its_worker_says_so),
    };
    int failed = test_main("local", plain, N_OF(plain), TABLE(ANSWERS, an_answer_is_told),
                           N_OF(ANSWERS));
    return failed + test_main("calls", NULL, 0,
                              TABLE(FAILS, what_fails_while_it_is_asked_is_told),
                              N_OF(FAILS));
}
