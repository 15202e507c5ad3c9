// Memory runs out while schedules are installed and listed, or pages are written: it is
// said, and nothing that stands there is lost.

#include "common/help_shell.h"
#include "coordinator/cli.h"
#include "coordinator/cli_schedule.h"
#include "coordinator/schedule.h"
#include "tests/no_memory.h"
#include "tests/source_kit.h"

#include <stdlib.h>
#include <unistd.h>

static struct folder dir;

static err_t command(struct err *e, int argc, const char *const *words)
{
    char *argv[8];
    for (int i = 0; i < argc; i++)
        argv[i] = (char *)(uintptr_t)words[i];
    char *said = NULL, *complaint = NULL;
    size_t n = 0, k = 0;
    FILE *say = open_memstream(&said, &n), *complain = open_memstream(&complaint, &k);
    assert_true(say && complain);
    int code = cli_schedule(argc, argv, say, complain);
    fclose(say);
    fclose(complain);
    err_t rc =
        code == CLI_OK
            ? ERR_OK
            : err_set(e, strstr(complaint, "out of memory") ? ERR_NOMEM : ERR_INVALID, "%s",
                      complaint);
    if (rc == ERR_OK) assert_true(n > 0);
    free(said);
    free(complaint);
    return rc;
}

static err_t install_once(void *arg, struct err *e)
{
    const char *words[] = {
        "schedule", "install", arg, "--dry-run", "--systemd", "--user"
    };
    return command(e, N_OF(words), words);
}

static err_t list_once(void *arg, struct err *e)
{
    const char *words[] = { "schedule", "list" };
    (void)arg;
    return command(e, N_OF(words), words);
}

static void install_and_list_say_so(void **state)
{
    (void)state;
    char path[300], text[900], at[4096];
    snprintf(path, sizeof path, "%s/job.yaml", dir.path);
    static const char job[] =
        "name: a\nschedule: daily\nsource: {range: 1}\nload: {into: 'null:'}\n";
    put_file(&dir, "job.yaml", job, sizeof job - 1);
    assert_true(no_memory_sweep(install_once, path) > 10);
    snprintf(text, sizeof text,
             "# tranche-schedule 1 a\n# job: \"%s\"\n# schedule: daily\n# program: \"/x\"\n"
             "# home: \"%s\"\n# since: 2026-11-22T16:00:00Z\n",
             path, dir.path);
    for (const char *const *f = (const char *const[]){ "systemd", "systemd/user", NULL };
         *f; f++)
        EQ_I64(0, mkdir(in_folder(&dir, *f, at), 0700));
    put_file(&dir, "systemd/user/tranche-a.timer", text, strlen(text));
    assert_true(no_memory_sweep(list_once, NULL) > 10);
}

static err_t replace_once(void *arg, struct err *e)
{
    static const char crontab[] =
        "x\n# tranche-schedule 1 a\n# tranche-schedule end a\ny\n";
    struct buf out = { 0 };
    bool changed;
    err_t rc =
        schedule_replace((struct slice){ (const uint8_t *)crontab, sizeof crontab - 1 },
                         "a", arg, &out, &changed, e);
    if (rc == ERR_OK) assert_true(changed && out.n > 4 && out.p[out.n - 2] == 'y');
    buf_free(&out);
    return rc;
}

static void a_crontab_is_whole_or_not_made(void **state)
{
    (void)state;
    static char text[][8] = { "a", "/j.yaml", "daily", "/x", "/h" };
    struct schedule s = { SCHEDULE_CRON, text[0], text[1], text[2], text[3], text[4], 0 };
    assert_true(no_memory_sweep(replace_once, &s) > 1);
}

static err_t pages_once(void *arg, struct err *e)
{
    struct help_command c = { .name = "list" };
    struct buf b = { 0 };
    err_t rc = help_read(&c.help, arg, e);
    if (rc == ERR_OK) rc = help_man_tranche(&b, &c.help, &c, 1, e);
    if (rc == ERR_OK) rc = help_man_job(&b, e);
    if (rc == ERR_OK) rc = help_bash(&b, "p", &c.help, &c, 1, e);
    if (rc == ERR_OK) rc = help_zsh(&b, "p", &c.help, &c, 1, e);
    help_free(&c.help);
    buf_free(&b);
    return rc;
}

static void pages_are_whole_or_not_made(void **state)
{
    (void)state;
    char text[] = "Usage: p list\n\nSays.\n\n  list   shows\n  -o FILE  where it\n"
                  "           goes\n\nExamples:\n  p list\n";
    assert_true(no_memory_sweep(pages_once, text) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(install_and_list_say_so),
        cmocka_unit_test(a_crontab_is_whole_or_not_made),
        cmocka_unit_test(pages_are_whole_or_not_made),
    };
    dir = folder_new();
    setenv("XDG_CONFIG_HOME", dir.path, 1);
    setenv("PATH", "/nowhere", 1);
    unsetenv("TRANCHE_HOME");
    int failed = test_main("schedule_nomem", tests, N_OF(tests), NULL, 0);
    folder_rm(&dir);
    return failed;
}
