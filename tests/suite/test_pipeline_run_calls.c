// A pipeline whose steps end as a test wants: what runs, what does not, what is said and
// with which code it ends; also when their processes die, and when each call fails once.

#include "coordinator/cli.h"
#include "coordinator/pipeline_run.h"
#include "coordinator/pipeline_step.h"
#include "tests/failing_processes.h"
#include "tests/said_kit.h"

static const struct failing_way FAILS[] = {
    { "errors", FAILING_FILES, EIO, SQLITE_OK, false },
    { "no_memory", FAILING_MEMORY, ENOMEM, SQLITE_OK, false },
};

static struct folder dir;

// ---- steps: a letter for each

static const char *ways; // Well, Rejects, Limit, Fails, Skipped, Dies, quits without a word

void __real_pipeline_step(const struct pipeline *p, uint32_t step, const char *because,
                          struct step_told *told);
void __wrap_pipeline_step(const struct pipeline *p, uint32_t step, const char *because,
                          struct step_told *told);
void __wrap_pipeline_step(const struct pipeline *p, uint32_t step, const char *because,
                          struct step_told *told)
{
    (void)p;
    *told = (struct step_told){ .sums = { .rows_loaded = 9, .rows_made = 7, .run = "r" } };
    snprintf(told->reason, sizeof told->reason, "%s", because ? because : "nothing new");
    switch (ways[step]) {
    case 'R': told->code = CLI_REJECTS; break;
    case 'L': told->code = CLI_LIMIT; break;
    case 'F': told->code = CLI_INFRASTRUCTURE; break;
    case 'S': told->skipped = true; break;
    case 'D': raise(SIGKILL); break;
    case 'Q': _exit(CLI_OK);
    case 'C': _exit(CLI_USAGE);
    case 'I': // is interrupted together with us
        kill(getppid(), SIGTERM);
        pause();
        break;
    case 'H': // a terminal that goes
        kill(getppid(), SIGHUP);
        pause();
        break;
    default: break;
    }
}

// ---- a pipeline

static int run(const void *arg)
{
    return pipeline_run(arg);
}

#define STEP(name, more) \
    "  - {name: " name ", source: {range: 3}, load: {into: 'null:'}" more "}\n"
static const char TEXT[] = "name: p\nsteps:\n" STEP("a", "") STEP("b", ", needs: a")
    STEP("c", ", needs: [a, b]") STEP("d", "");

static void open_pipeline(struct cli *c, const char *flags)
{
    static char program[] = "tranche", verb[] = "run", file[] = "p.yaml";
    static char copy[200];
    char *argv[16] = { program, verb, file };
    int argc = 3;
    snprintf(copy, sizeof copy, "%s", flags);
    for (char *rest = copy, *word; *flags && (word = strsep(&rest, "|"));)
        argv[argc++] = word;
    EQ_I64(-1, cli_parse_to(argc, argv, c, stdout, stderr));
    assert_true(c->is_pipeline);
}

static int fresh(void **state)
{
    (void)state;
    dir = folder_new();
    put_text(&dir, "p.yaml", TEXT);
    return chdir(dir.path);
}

static int finish(void **state)
{
    (void)state;
    folder_rm(&dir);
    return chdir("/");
}

static const struct row {
    const char *name, *ways, *flags;
    int code;
    const char *out, *err; // parts of what is said; NULL: nothing is
} rows[] = {
    { "all_well", "WWWW", "", CLI_OK, "pipeline p: 4 steps", NULL },
    { "nothing_new", "SSSS", "", CLI_OK, "skipped             nothing new", NULL },
    { "quietly", "WWWW", "--output|quiet", CLI_OK, NULL, NULL },
    { "rejects", "WRWW", "", CLI_REJECTS, "loaded with rejects", NULL },
    { "rejects_as_json", "WRWW", "--output|json", CLI_REJECTS,
      "\"status\":\"loaded with rejects\"", NULL },
    { "a_limit", "LWWW", "", CLI_LIMIT, "limit passed", NULL },
    { "a_limit_as_json", "LWWW", "--output|json", CLI_LIMIT, "\"status\":\"limit passed\"",
      NULL },
    { "who_needs_what_failed_does_not_run", "FWWW", "", CLI_INFRASTRUCTURE, "it needs a",
      NULL },
    { "nor_who_needs_that", "FWWW", "--output|json", CLI_INFRASTRUCTURE,
      "{\"step\":\"c\",\"status\":\"not "
      "run\",\"run\":\"\",\"rows_loaded\":0,\"seconds\":0.000,"
      "\"reason\":\"a\"}",
      NULL },
    { "what_needs_nothing_runs_all_the_same", "FWWW", "", CLI_INFRASTRUCTURE,
      "d                        loaded", NULL },
    { "a_process_that_is_killed", "WDWW", "", CLI_INFRASTRUCTURE, "it needs b",
      "tranche: b: its process ended by Killed; the same command goes on\n" },
    { "a_process_that_says_nothing", "WQWW", "", CLI_INFRASTRUCTURE, "failed", NULL },
    { "a_process_that_only_has_a_code", "WCWW", "", CLI_USAGE, "failed", NULL },
    { "from_a_step_on", "WWWW", "--from|b", CLI_OK, "not among those of --from b", NULL },
    { "anew", "WWWW", "--fresh", CLI_OK, "loaded", NULL },
    { "a_signal_reaches_the_steps", "IWWW", "", CLI_INTERRUPTED, "interrupted", NULL },
    { "as_json_too", "IWWW", "--output|json", CLI_INTERRUPTED, "\"status\":\"interrupted\"",
      NULL },
    { "a_terminal_that_goes_does_too", "HWWW", "", CLI_INTERRUPTED, "interrupted", NULL },
};

static void it_ends_as_its_steps_do(void **state)
{
    static struct said s;
    const struct row *row = *state;
    struct cli c;
    fresh(NULL);
    open_pipeline(&c, row->flags);
    ways = row->ways;
    said_run(&dir, "out", run, &c.pipeline, &s);
    if (s.code != row->code) fail_msg("code %d: %s%s", s.code, s.out, s.err);
    if (row->out ? !strstr(s.out, row->out) : s.out[0]) fail_msg("%s", s.out);
    if (row->err ? !strstr(s.err, row->err) : s.err[0]) fail_msg("%s", s.err);
    EQ_I64(-1, waitpid(-1, NULL, WNOHANG)); // nobody is left
    cli_close(&c);
    finish(NULL);
}

static void a_report_that_cannot_be_written_is_no_good_end(void **state)
{
    static struct said s;
    struct cli c;
    (void)state;
    open_pipeline(&c, "");
    for (int limit = 0; limit < 2; limit++) {
        ways = limit ? "WWWL" : "WWWW";
        said_run(&dir, NULL, run, &c.pipeline, &s);
        EQ_I64(limit ? CLI_LIMIT : CLI_INFRASTRUCTURE, s.code);
        assert_non_null(strstr(s.err, "the report cannot be written to standard output"));
    }
    cli_close(&c);
}

static err_t run_once(void *arg, struct err *e)
{
    static struct said s;
    said_run(&dir, "out", run, arg, &s);
    return s.code ? err_set(e, ERR_IO, "%s", s.err) : ERR_OK;
}

// A step whose answer is not heard may have ended well, and counts as failed all the same.
static void what_fails_ends_it_with_a_code(void **state)
{
    struct cli c;
    struct err e = { 0 };
    bool hit = true;
    fresh(NULL);
    open_pipeline(&c, "");
    ways = "WWWW";
    for (long at = 0; hit; at++) {
        failing_begin(*state, at);
        err_t rc = run_once(&c.pipeline, &e);
        hit = failing_end(*state);
        EXPECT(hit ? ERR_IO : ERR_OK, &e, rc);
        EQ_I64(-1, waitpid(-1, NULL, WNOHANG)); // nobody is left
    }
    failing_below = 0; // a step's process cannot tell
    EXPECT(ERR_IO, &e, run_once(&c.pipeline, &e));
    failing_below = -1;
    cli_close(&c);
    finish(NULL);
}

int main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test_setup_teardown(a_report_that_cannot_be_written_is_no_good_end,
                                        fresh, finish),
    };
    int failed = test_main("pipelines", plain, N_OF(plain),
                           TABLE(rows, it_ends_as_its_steps_do), N_OF(rows));
    return failed + test_main("calls", NULL, 0,
                              TABLE(FAILS, what_fails_ends_it_with_a_code), N_OF(FAILS));
}
