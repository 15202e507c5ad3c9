// What schedules ask of the C library, and of the commands of cron and systemd, fails, each
// call once: a sentence, nobody else's line or unit is touched, and the same command mends
// it.

#include "coordinator/engine.h"
#include "coordinator/schedule_host.h"
#include "tests/failing_processes.h"
#include "tests/source_kit.h"

static const struct failing_way FAILS[] = {
    { "errors", FAILING_FILES, EIO, SQLITE_OK, false },
    { "interrupted", FAILING_FILES, EINTR, SQLITE_OK, false },
    { "no_memory", FAILING_MEMORY, ENOMEM, SQLITE_OK, false },
};

static struct folder dir;
static char crontab[PATH_SPACE], units[PATH_SPACE];

long __real_syscall(long number, ...);
long __wrap_syscall(long number, long a, long b, long c, long d, long f, long g);
long __wrap_syscall(long number, long a, long b, long c, long d, long f, long g)
{
    if (failing_now(FAILING_FILES, "syscall")) return -1;
    return __real_syscall(number, a, b, c, d, f, g);
}

// ---- a host

static const char OTHERS[] = "0 1 * * * somebody else's\n";

static void put_program(const char *name, const char *text)
{
    char path[PATH_SPACE];
    put_text(&dir, name, text);
    assert_int_equal(0, chmod(in_folder(&dir, name, path), 0755));
}

static int make_host(void **state)
{
    char text[3 * PATH_SPACE];
    (void)state;
    dir = folder_new();
    in_folder(&dir, "crontab.text", crontab);
    in_folder(&dir, "config/systemd/user", units);
    snprintf(text, sizeof text,
             "#!/bin/sh\ncase $1 in -l) exec /bin/cat %s ;; *) exec /bin/cat >%s ;; esac\n",
             crontab, crontab);
    put_program("crontab", text);
    put_program("systemctl", "#!/bin/sh\nexit 0\n");
    setenv("PATH", dir.path, 1);
    setenv("XDG_CONFIG_HOME", in_folder(&dir, "config", text), 1);
    put_text(&dir, "crontab.text", OTHERS);
    return 0;
}

static int drop_host(void **state)
{
    (void)state;
    folder_rm(&dir);
    return 0;
}

static char NAME[] = "a", JOB[] = "/j/a.yaml", WHEN[] = "daily",
            PROGRAM[] = "/usr/bin/tranche";
static const struct schedule CRON = {
    .by = SCHEDULE_CRON, .name = NAME, .job = JOB, .when = WHEN, .program = PROGRAM
};
static const struct schedule SYSTEMD = {
    .by = SCHEDULE_SYSTEMD_USER, .name = NAME, .job = JOB, .when = WHEN, .program = PROGRAM
};

// ---- what is tried

static err_t install(void *arg, struct err *e)
{
    bool changed;
    return schedule_host_install(arg, &changed, e);
}

static err_t take_out(void *arg, struct err *e)
{
    return schedule_host_remove(arg, e);
}

static err_t list(void *arg, struct err *e)
{
    struct schedule *v;
    size_t n;
    (void)arg;
    err_t rc = schedule_host_list(&v, &n, e);
    schedule_host_free(&v, n);
    return rc;
}

static size_t how_many(void)
{
    struct schedule *v;
    struct err e;
    size_t n;
    PASS(&e, schedule_host_list(&v, &n, &e));
    schedule_host_free(&v, n);
    return n;
}

static err_t show(void *arg, struct err *e)
{
    struct buf out = { 0 };
    err_t rc = schedule_host_show(arg, &out, e);
    if (rc == ERR_OK) assert_true(out.n > 20);
    buf_free(&out);
    return rc;
}

static void others_stay(void)
{
    char text[4000];
    FILE *f = fopen(crontab, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    if (strncmp(text, OTHERS, sizeof OTHERS - 1) != 0) fail_msg("the crontab has %s", text);
}

static void is_told(err_t rc, const struct err *e)
{
    if (rc == ERR_OK || rc == ERR_IO || rc == ERR_NOMEM || rc == ERR_FULL) return;
    fail_msg("%s failed: %s (%s)", failing.was, err_name(rc), e->text);
}

static void after(void *arg, err_t rc, const struct err *e)
{
    (void)arg;
    is_told(rc, e);
    others_stay();
}

// So that it is installed anew.
static void after_install(void *arg, err_t rc, const struct err *e)
{
    struct err ignored;
    after(arg, rc, e);
    PASS(&ignored, schedule_host_remove(arg, &ignored));
    EQ_I64(0, how_many());
}

static void after_removal(void *arg, err_t rc, const struct err *e)
{
    struct err ignored;
    bool changed;
    after(arg, rc, e);
    PASS(&ignored, schedule_host_install(arg, &changed, &ignored));
    EQ_I64(1, how_many());
}

static void what_fails_is_told_and_the_same_again_mends_it(void **state)
{
    const struct failing_way *way = *state;
    make_host(NULL);
    const struct schedule *both[] = { &CRON, &SYSTEMD };
    for (size_t i = 0; i < N_OF(both); i++) {
        void *s = (void *)(uintptr_t)both[i];
        failing_ladder(way, show, after, s);
        assert_true(failing_ladder(way, install, after_install, s) > 5);
        EQ_I64(1, how_many());
        assert_true(failing_ladder(way, list, after, s) > 2);
        assert_true(failing_ladder(way, take_out, after_removal, s) > 5);
        EQ_I64(0, how_many());
        others_stay();
    }
    drop_host(NULL);
}

// ---- what commands do

struct command {
    const char *name, *program, *text;
    const struct schedule *s;
    err_t want;
    const char *says;
};

static const struct command COMMANDS[] = {
    { "cron_that_refuses", "crontab",
      "#!/bin/sh\n[ $1 = -l ] && exit 0; /bin/cat >/dev/null; echo bad minute >&2; exit "
      "1\n",
      &CRON, ERR_IO, "crontab ended with code 1: bad minute" },
    { "cron_that_takes_no_more", "crontab",
      "#!/bin/sh\n[ $1 = -l ] && exit 0; exec <&-; exit 3\n", &CRON, ERR_IO,
      "crontab ended with code 3" },
    { "cron_without_one", "crontab",
      "#!/bin/sh\n[ $1 = -l ] || exec /bin/cat >/dev/null; echo no crontab for me >&2; "
      "exit 1\n",
      &CRON, ERR_OK, NULL },
    { "cron_that_forbids_it", "crontab",
      "#!/bin/sh\necho you are not allowed to use this program >&2; exit 1\n", &CRON,
      ERR_IO, "crontab ended with code 1: you are not allowed to use this program" },
    { "cron_that_is_killed", "crontab", "#!/bin/sh\nkill -9 $$\n", &CRON, ERR_IO,
      "crontab ended with code 137" },
    { "systemd_that_refuses", "systemctl", "#!/bin/sh\necho no bus >&2; exit 1\n", &SYSTEMD,
      ERR_IO,
      "the units are written, but not enabled: systemctl ended with code 1: no bus" },
    { "systemd_that_cannot_be_started", "systemctl", "#!/no/such\n", &SYSTEMD, ERR_IO,
      "the units are written, but not enabled: cannot start systemctl" },
};

static void what_a_command_says_is_told(void **state)
{
    const struct command *c = *state;
    struct err e = { 0 };
    bool changed;
    make_host(NULL);
    put_program(c->program, c->text);
    EXPECT(c->want, &e, schedule_host_install(c->s, &changed, &e));
    if (c->says && strncmp(e.text, c->says, strlen(c->says)) != 0) fail_msg("%s", e.text);
    drop_host(NULL);
}

// What a command is asked before it has its program fails in its own process.
static void a_command_that_cannot_begin_is_told(void **state)
{
    struct err e;
    struct strings command = { 0 };
    (void)state;
    PASS(&e, engine_add(&command, &e, "/bin/true", NULL));
    for (failing_below = 0; failing_below < 4; failing_below++) {
        failing.error = EMFILE;
        EXPECT(ERR_IO, &e, engine_call(&command, NULL, &e));
        assert_string_equal("cannot start /bin/true: Too many open files", e.text);
    }
    failing_below = -1;
    PASS(&e, engine_call(&command, NULL, &e));
    strings_free(&command);
}

static void nothing_is_said_to_a_full_disk(void **state)
{
    struct err e;
    struct strings command = { 0 };
    FILE *full = fopen("/dev/full", "w");
    (void)state;
    assert_non_null(full);
    setvbuf(full, NULL, _IONBF, 0);
    PASS(&e, engine_add(&command, &e, "/bin/true", NULL));
    EXPECT(ERR_IO, &e, engine_show(&command, full, &e));
    fclose(full);
    strings_free(&command);
}

// ---- where units stand

static void folders_are_named_or_it_is_said(void **state)
{
    struct err e;
    struct buf out = { 0 };
    static char longest[4200];
    bool changed;
    (void)state;
    memset(longest, 'x', sizeof longest - 1);
    longest[0] = '/';
    setenv("XDG_CONFIG_HOME", "config", 1); // a relative one is none
    setenv("HOME", dir.path, 1);
    PASS(&e, schedule_host_show(&SYSTEMD, &out, &e));
    PASS(&e, buf_add(&out, "", 1, &e));
    assert_non_null(strstr((char *)out.p, "/.config/systemd/user/tranche-a.timer"));
    buf_free(&out);
    setenv("HOME", longest, 1);
    EXPECT(ERR_TOOBIG, &e, schedule_host_install(&SYSTEMD, &changed, &e));
    assert_string_equal("HOME is too long", e.text);
    setenv("HOME", "here", 1);
    EXPECT(ERR_INVALID, &e, schedule_host_install(&SYSTEMD, &changed, &e));
    unsetenv("HOME");
    unsetenv("XDG_CONFIG_HOME");
    EXPECT(ERR_INVALID, &e, schedule_host_show(&SYSTEMD, &out, &e));
    assert_string_equal("neither XDG_CONFIG_HOME nor HOME names a folder", e.text);
    EQ_I64(0, how_many());
    longest[4090] = 0;
    struct schedule s = SYSTEMD;
    s.name = longest;
    setenv("HOME", dir.path, 1);
    EXPECT(ERR_TOOBIG, &e, schedule_host_show(&s, &out, &e));
    assert_string_equal("the path of its units is too long", e.text);
    buf_free(&out);
}

static void a_host_without_a_scheduler_is_told(void **state)
{
    struct err e;
    enum schedule_by by;
    (void)state;
    setenv("PATH", dir.path, 1);
    setenv("XDG_RUNTIME_DIR", dir.path, 1);
    PASS(&e, schedule_host_pick(true, &by, &e)); // as this host has it, or cron
    setenv("PATH", "/no/such:", 1);
    err_t rc = schedule_host_pick(true, &by, &e);
    if (rc == ERR_OK) assert_true(by != SCHEDULE_CRON);
    if (rc != ERR_OK) assert_non_null(strstr(e.text, "neither systemd nor cron runs here"));
    EQ_I64(0, how_many());
    unsetenv("XDG_RUNTIME_DIR");
}

// Neither is one of ours: a folder, and one that is longer than any of ours.
static void odd_units_are_left_out_or_told(void **state)
{
    enum { MUCH = 80 << 10 };
    char path[PATH_SPACE], *much = calloc(1, MUCH);
    struct err e;
    struct schedule *v;
    size_t n;
    bool changed;
    (void)state;
    PASS(&e, schedule_host_install(&SYSTEMD, &changed, &e));
    assert_true(changed);
    PASS(&e, schedule_host_install(&SYSTEMD, &changed, &e));
    assert_false(changed);
    put_file(&dir, "config/systemd/user/tranche-long.timer", much, MUCH);
    put_text(&dir, "config/systemd/user/tranche-x.target", "");
    put_text(&dir, "config/systemd/user/tranche-", "");
    EQ_I64(1, how_many());
    in_folder(&dir, "config/systemd/user/tranche-b.timer", path);
    assert_int_equal(0, mkdir(path, 0700));
    EXPECT(ERR_IO, &e, schedule_host_list(&v, &n, &e));
    schedule_host_free(&v, n);
    assert_int_equal(0, rmdir(path));
    in_folder(&dir, "config/systemd/user/tranche-a.service", path);
    assert_int_equal(0, unlink(path));
    assert_int_equal(0, mkdir(path, 0700));
    EXPECT(ERR_IO, &e, schedule_host_remove(&SYSTEMD, &e));
    assert_non_null(strstr(e.text, "cannot remove"));
    free(much);
}

int main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(a_command_that_cannot_begin_is_told),
        cmocka_unit_test(nothing_is_said_to_a_full_disk),
        cmocka_unit_test_setup_teardown(folders_are_named_or_it_is_said, make_host,
                                        drop_host),
        cmocka_unit_test_setup_teardown(a_host_without_a_scheduler_is_told, make_host,
                                        drop_host),
        cmocka_unit_test_setup_teardown(odd_units_are_left_out_or_told, make_host,
                                        drop_host),
    };
    int failed = test_main("commands", NULL, 0,
                           TABLE(COMMANDS, what_a_command_says_is_told), N_OF(COMMANDS));
    failed += test_main("calls", NULL, 0,
                        TABLE(FAILS, what_fails_is_told_and_the_same_again_mends_it),
                        N_OF(FAILS));
    return failed + test_main("schedules", plain, N_OF(plain), NULL, 0);
}
