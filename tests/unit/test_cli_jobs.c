// submit, jobs, wait, logs, cancel, workers, drain: what is asked of a server that answers
// this or that, and what a person or a program is told.

#include "coordinator/backlog.h"
#include "coordinator/cli.h"
#include "coordinator/cli_jobs.h"
#include "coordinator/client.h"
#include "tests/no_memory.h"
#include "tests/source_kit.h"

#include <sys/random.h>

// ---- a server

struct answer {
    struct msg m;
    const char *payload;
};

static struct {
    const struct answer *answers;
    size_t n;
    err_t fails; // instead of all answers
    const char *why;
    struct msg asked; // the last question, as it was asked first
} serve;

err_t __real_client_open(struct client *c, const char *state, const char *access,
                         struct err *e);
err_t __wrap_client_open(struct client *c, const char *state, const char *access,
                         struct err *e);
err_t __wrap_client_open(struct client *c, const char *state, const char *access,
                         struct err *why)
{
    (void)c, (void)state, (void)access, (void)why;
    return ERR_OK;
}

void __real_client_close(struct client *c);
void __wrap_client_close(struct client *c);
void __wrap_client_close(struct client *c)
{
    (void)c;
}

err_t __real_client_ask(struct client *c, struct msg *m, struct slice p, client_fn *fn,
                        void *arg, struct err *e);
err_t __wrap_client_ask(struct client *c, struct msg *m, struct slice p, client_fn *fn,
                        void *arg, struct err *e);
err_t __wrap_client_ask(struct client *c, struct msg *m, struct slice p, client_fn *fn,
                        void *arg, struct err *why)
{
    (void)c, (void)p;
    serve.asked = *m;
    if (serve.fails) return err_set(why, serve.fails, "%s", serve.why);
    fn(arg, NULL, (struct slice){ 0 });
    for (size_t i = 0; i < serve.n; i++) {
        const struct answer *a = &serve.answers[i];
        const char *text = a->payload ? a->payload : "";
        enum client_next next =
            fn(arg, &a->m, (struct slice){ (const uint8_t *)text, strlen(text) });
        if (next == CLIENT_DONE) return ERR_OK;
        if (next == CLIENT_AGAIN) fn(arg, NULL, (struct slice){ 0 });
    }
    return err_set(why, ERR_TIMEOUT, "nothing was heard");
}

static bool chance = true; // there is some
ssize_t __real_getrandom(void *to, size_t n, unsigned flags);
ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags);
ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags)
{
    return chance ? __real_getrandom(to, n, flags) : -1;
}

// ---- a command

struct said {
    int code;
    char out[9000], err[1500];
};

static void take(FILE *f, char *to, size_t size)
{
    rewind(f);
    to[fread(to, 1, size - 1, f)] = 0;
    fclose(f);
}

// Words are separated by '|'.
static int command_to(const char *words, FILE *say, FILE *complain)
{
    char *argv[24], *copy = __real_strdup(words);
    int argc = 0;
    for (char *rest = copy, *word; (word = strsep(&rest, "|"));)
        argv[argc++] = word;
    argv[argc] = NULL;
    int code = cli_jobs(argc, argv, say, complain);
    free(copy);
    return code;
}

static void command(const char *words, struct said *s)
{
    FILE *out = tmpfile(), *complain = tmpfile();
    assert_true(out && complain);
    s->code = command_to(words, out, complain);
    take(out, s->out, sizeof s->out);
    take(complain, s->err, sizeof s->err);
}

// ---- what it answers

#define TEXT(s)         \
    {                   \
        s, sizeof s - 1 \
    }
#define ENTRY(...)                                          \
    {                                                       \
        .m = {.type = MSG_ENTRY, .ENTRY = { __VA_ARGS__ } } \
    }
#define DONE(n, s)                                       \
    {                                                    \
        .m = {.type = MSG_DONE, .DONE = { n, TEXT(s) } } \
    }
#define MEMBER(...)                                           \
    {                                                         \
        .m = {.type = MSG_MEMBER, .MEMBER = { __VA_ARGS__ } } \
    }
#define PIECE(s, ...)                                                        \
    {                                                                        \
        .m = { .type = MSG_LOGGED, .LOGGED = { __VA_ARGS__ } }, .payload = s \
    }
#define OTHER                    \
    {                            \
        .m = {.type = MSG_PONG } \
    }

#define RUNNING                                                                  \
    ENTRY(.job = 1, .state = BACKLOG_RUNNING, .starts = 1, .submitted_ms = 1000, \
          .stopping = true)
#define QUEUED ENTRY(.job = 2, .state = BACKLOG_QUEUED, .submitted_ms = UINT64_MAX)
#define ENDED                                                                     \
    ENTRY(.job = 3, .state = BACKLOG_ENDED, .exit_code = 3, .submitted_ms = 1000, \
          .ended_ms = 5000, .name = TEXT("sales"), .text = TEXT("it was killed"))
#define CANCELLED ENTRY(.job = 4, .state = BACKLOG_CANCELLED, .exit_code = 130)

static const struct answer ALL[] = {
    OTHER, RUNNING, QUEUED, ENDED, CANCELLED, DONE(4, "")
};
static const struct answer NONE[] = { DONE(0, "") };
static const struct answer ONE_LOST[] = { RUNNING, DONE(2, ""), OTHER };
static const struct answer ENDS[] = { OTHER, RUNNING, ENDED };
static const struct answer IS_CANCELLED[] = { CANCELLED };
static const struct answer CREW[] = { OTHER,
                                      MEMBER(.job = 1, .name = TEXT("w1"), .slots = 2,
                                             .since_ms = 1000, .leaving = true,
                                             .doing = TEXT("a.csv bytes 0-9")),
                                      MEMBER(.job = 2, .name = TEXT("w2")), DONE(2, "") };
static const struct answer STOPPED[] = { OTHER, DONE(1, "is being stopped") };
static const struct answer LOG[] = { OTHER,
                                     PIECE("one\n", .at = 0, .end = 100),
                                     PIECE("", .at = 4, .end = 100),
                                     PIECE("two\n", .at = 94, .end = 98),
                                     PIECE("", .at = 98, .end = 98),
                                     PIECE("", .at = 98, .end = 98, .over = true) };
static const struct answer TAKEN[] = { OTHER,
                                       { .m = { .type = MSG_TAKEN, .TAKEN = { 9, true } } },
                                       ENDED };

#define SERVER(a) a, N_OF(a)

static const struct row {
    const char *name, *words;
    const struct answer *answers;
    size_t n;
    int code;
    const char *out, *err; // parts of what is said; NULL: nothing is
} rows[] = {
    { "jobs", "jobs", SERVER(ALL), CLI_OK, "stopping", NULL },
    { "a_time_far_ahead", "jobs", SERVER(ALL), CLI_OK, "queued        0    -  584556019-",
      NULL },
    { "jobs_as_json", "jobs|--output|json", SERVER(ALL), CLI_OK,
      "\"exit_code\":3,\"submitted_ms\":1000,", NULL },
    { "jobs_quietly", "jobs|--output|quiet", SERVER(ALL), CLI_OK, NULL, NULL },
    { "no_jobs", "jobs", SERVER(NONE), CLI_OK, "no jobs yet\n", NULL },
    { "no_jobs_quietly", "jobs|--output|quiet", SERVER(NONE), CLI_OK, NULL, NULL },
    { "a_job_that_is_not_there", "jobs|7", SERVER(NONE), CLI_USAGE, NULL,
      "tranche: jobs: there is no job 7\n" },
    { "an_answer_that_got_lost", "jobs", SERVER(ONE_LOST), CLI_INFRASTRUCTURE, NULL,
      "tranche: jobs: nothing was heard\n" },
    { "output_of_no_kind", "jobs|--output|xml", SERVER(NONE), CLI_USAGE, NULL, "--output" },
    { "submit_with_a_slip_in_a_flag_of_its_own", "submit|--range|3|--prioritty|80",
      SERVER(NONE), CLI_USAGE, NULL,
      "submit: unknown flag '--prioritty'; did you mean '--priority'?; see 'tranche submit "
      "--help'" },
    { "submit_with_a_slip_in_a_flag_of_run", "submit|--rnage=3|--into|null:", SERVER(NONE),
      CLI_USAGE, NULL, "unknown flag '--rnage=3'; did you mean '--range'?" },
    { "submit_with_output_of_no_kind", "submit|--output|xml|--range|3", SERVER(NONE),
      CLI_USAGE, NULL, "--output" },
    { "a_number_that_is_none", "wait|x", SERVER(NONE), CLI_USAGE, NULL, "a job" },
    { "no_number", "wait", SERVER(NONE), CLI_USAGE, NULL, "which job? give its number" },
    { "no_worker", "drain", SERVER(NONE), CLI_USAGE, NULL, "which worker?" },
    { "wait", "wait|3", SERVER(ENDS), CLI_REJECTS,
      "job 3 (sales) has ended, exit code 3: it was killed\n", NULL },
    { "wait_for_json", "wait|3|--output|json", SERVER(ENDS), CLI_REJECTS,
      "{\"job\":3,\"state\":\"ended\"", NULL },
    { "wait_quietly", "wait|3|--output|quiet", SERVER(ENDS), CLI_REJECTS, NULL, NULL },
    { "wait_for_one_that_is_cancelled", "wait|4", SERVER(IS_CANCELLED), CLI_INTERRUPTED,
      "was cancelled, exit code 130\n", NULL },
    { "workers", "workers", SERVER(CREW), CLI_OK, "a.csv bytes 0-9 (leaving)\n", NULL },
    { "workers_as_json", "workers|--output|json", SERVER(CREW), CLI_OK,
      "\"leaving\":true,\"worker\":\"w1\"", NULL },
    { "workers_quietly", "workers|--output|quiet", SERVER(CREW), CLI_OK, NULL, NULL },
    { "no_workers", "workers", SERVER(NONE), CLI_OK,
      "no job runs, or none has workers yet\n", NULL },
    { "no_workers_quietly", "workers|--output|quiet", SERVER(NONE), CLI_OK, NULL, NULL },
    { "cancel", "cancel|1", SERVER(STOPPED), CLI_OK, "job 1 is being stopped\n", NULL },
    { "cancel_as_json", "cancel|1|--output|json", SERVER(STOPPED), CLI_OK,
      "{\"job\":1,\"cancelled\":true}\n", NULL },
    { "cancel_quietly", "cancel|1|--output|quiet", SERVER(STOPPED), CLI_OK, NULL, NULL },
    { "drain", "drain|w1", SERVER(STOPPED), CLI_OK, "worker w1 is being stopped\n", NULL },
    { "drain_as_json", "drain|w1|--output|json", SERVER(STOPPED), CLI_OK,
      "{\"worker\":\"w1\",\"leaving\":true}\n", NULL },
    { "drain_quietly", "drain|w1|--output|quiet", SERVER(STOPPED), CLI_OK, NULL, NULL },
    { "logs_with_a_gap", "logs|3", SERVER(LOG), CLI_OK,
      "one\n... 90 bytes are not kept any more ...\ntwo\n", NULL },
    { "logs_until_it_is_over", "logs|3|--follow", SERVER(LOG), CLI_OK, "two\n", NULL },
    { "submit", "submit|--range|3|--into|null:", SERVER(TAKEN), CLI_OK, "job 9\n", NULL },
    { "submit_again", "submit|--token|x|--range|3|--into|null:", SERVER(TAKEN), CLI_OK,
      "job 9, as before: it was submitted already\n", NULL },
    { "submit_for_json", "submit|--output|json|--token|x|--range|3|--into|null:",
      SERVER(TAKEN), CLI_OK, "{\"job\":9,\"again\":true}\n", NULL },
    { "submit_quietly", "submit|--output|quiet|--range|3|--into|null:", SERVER(TAKEN),
      CLI_OK, NULL, NULL },
    { "submit_and_wait", "submit|--wait|--range|3|--into|null:", SERVER(ENDS),
      CLI_INFRASTRUCTURE, NULL, "nothing was heard" },
    { "a_priority_over_all", "submit|--priority|101|--range|3", SERVER(TAKEN), CLI_USAGE,
      NULL, "--priority" },
    { "a_job_file_that_is_not_there", "submit|/no/such.yaml", SERVER(TAKEN), CLI_USAGE,
      NULL, "/no/such.yaml" },
};

static void is_told(void **state)
{
    static struct said s;
    const struct row *row = *state;
    serve.answers = row->answers;
    serve.n = row->n;
    command(row->words, &s);
    if (s.code != row->code) fail_msg("code %d: %s%s", s.code, s.out, s.err);
    if (row->out ? !strstr(s.out, row->out) : s.out[0]) fail_msg("%s", s.out);
    if (row->err ? !strstr(s.err, row->err) : s.err[0]) fail_msg("%s", s.err);
}

static void old_jobs_are_shown_when_all_are_wanted(void **state)
{
    enum { MANY = 25, SHOWN = 20 };
    static struct answer many[MANY + 1];
    static struct said s;
    (void)state;
    for (size_t i = 0; i < MANY; i++)
        many[i] =
            (struct answer){ .m = { .type = MSG_ENTRY,
                                    .ENTRY = { .job = i + 1, .state = BACKLOG_ENDED } } };
    many[MANY] = (struct answer)DONE(MANY, "");
    serve.answers = many;
    serve.n = MANY + 1;
    for (int all = 0; all < 2; all++) {
        size_t lines = 0;
        command(all ? "jobs|--all" : "jobs", &s);
        for (const char *p = s.out; (p = strchr(p, '\n')); p++)
            lines++;
        EQ_I64((all ? MANY : SHOWN) + 1, lines);
    }
}

// ---- what goes wrong

static const struct fault {
    const char *name;
    err_t rc;
    const char *why;
    int code;
    const char *err;
} faults[] = {
    { "a_server_that_is_gone", ERR_CLOSED, "no server", CLI_INFRASTRUCTURE,
      "tranche: wait: no server\n" },
    { "what_is_too_big", ERR_TOOBIG, "too big", CLI_USAGE, "tranche: wait: too big\n" },
    { "what_cannot_be_read", ERR_PARSE, "line 3", CLI_USAGE, "tranche: wait: line 3\n" },
    { "several_lines", ERR_INVALID, "tranche: a\ntranche: b\n\n", CLI_USAGE,
      "tranche: a\ntranche: b\n" },
    { "nothing_to_say", ERR_IO, "\n", CLI_INFRASTRUCTURE, "tranche: wait: \n" },
};

static void a_failure_has_its_code(void **state)
{
    static const char *const words[] = { "wait|1",
                                         "jobs|1",
                                         "cancel|1",
                                         "drain|w1",
                                         "logs|1",
                                         "workers",
                                         "submit|--range|3|--into|null:" };
    static struct said s;
    const struct fault *f = *state;
    serve.fails = f->rc;
    serve.why = f->why;
    for (size_t i = 0; i < N_OF(words); i++) {
        command(words[i], &s);
        EQ_I64(f->code, s.code);
        assert_string_equal("", s.out);
        if (i == 0) assert_string_equal(f->err, s.err);
    }
    serve.fails = ERR_OK;
}

static void nothing_can_be_said_to_a_full_disk(void **state)
{
    static const char *const words[] = { "jobs", "jobs|--help", "workers", "logs|3" };
    static const struct answer *const answers[] = { ALL, ALL, CREW, LOG };
    static const size_t n[] = { N_OF(ALL), N_OF(ALL), N_OF(CREW), N_OF(LOG) };
    (void)state;
    for (size_t i = 0; i < N_OF(words); i++) {
        FILE *full = fopen("/dev/full", "w");
        assert_non_null(full);
        serve.answers = answers[i];
        serve.n = n[i];
        EQ_I64(CLI_INFRASTRUCTURE, command_to(words[i], full, full));
        fclose(full);
    }
}

static void a_job_is_named_without_chance_too(void **state)
{
    static struct said s;
    struct hash128 none = { 0 };
    (void)state;
    chance = false;
    serve.answers = TAKEN;
    serve.n = N_OF(TAKEN);
    command("submit|--range|3|--into|null:", &s);
    chance = true;
    EQ_I64(CLI_OK, s.code);
    assert_memory_not_equal(&none, &serve.asked.SUBMIT.token, sizeof none);
}

static err_t try_command(void *arg, struct err *why)
{
    static char text[1500];
    FILE *out = fopen("/dev/null", "w"), *complain = tmpfile();
    assert_true(out && complain);
    int code = command_to(arg, out, complain);
    fclose(out);
    take(complain, text, sizeof text);
    if (code == CLI_OK) return ERR_OK;
    return err_set(why, strstr(text, "out of memory") ? ERR_NOMEM : ERR_IO, "%s", text);
}

static void lack_of_memory_is_told(void **state)
{
    static char submit[] = "submit|--range|3|--into|null:", file[] = "submit|job.yaml",
                jobs[] = "jobs", workers[] = "workers";
    struct folder dir = folder_new();
    (void)state;
    put_text(&dir, "job.yaml", "source: {range: 3}\nload: {into: 'null:'}\n");
    assert_int_equal(0, chdir(dir.path));
    serve.answers = TAKEN;
    serve.n = N_OF(TAKEN);
    assert_true(no_memory_sweep(try_command, submit) > 10);
    assert_true(no_memory_sweep(try_command, file) > 10);
    serve.answers = ALL;
    serve.n = N_OF(ALL);
    assert_true(no_memory_sweep(try_command, jobs) > 0);
    serve.answers = CREW;
    serve.n = N_OF(CREW);
    assert_true(no_memory_sweep(try_command, workers) > 0);
    assert_int_equal(0, chdir("/"));
    folder_rm(&dir);
}

static void a_folder_that_is_gone_is_told(void **state)
{
    static struct said s;
    struct folder dir = folder_new();
    (void)state;
    assert_int_equal(0, chdir(dir.path));
    folder_rm(&dir);
    command("submit|--range|3|--into|null:", &s);
    assert_int_equal(0, chdir("/"));
    EQ_I64(CLI_INFRASTRUCTURE, s.code);
    if (!strstr(s.err, "cannot find the current folder")) fail_msg("%s", s.err);
}

int main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(old_jobs_are_shown_when_all_are_wanted),
        cmocka_unit_test(nothing_can_be_said_to_a_full_disk),
        cmocka_unit_test(a_job_is_named_without_chance_too),
        cmocka_unit_test(lack_of_memory_is_told),
        cmocka_unit_test(a_folder_that_is_gone_is_told),
    };
    int failed = test_main("answers", plain, N_OF(plain), TABLE(rows, is_told), N_OF(rows));
    return failed + test_main("faults", NULL, 0, TABLE(faults, a_failure_has_its_code),
                              N_OF(faults));
}
