// What `tranche plan` asks of the C library and SQLite fails, each call once; and its
// trials die, stand still, fail and reject: a sentence, or a plan without what could not be
// had, and nothing is left behind. No trial runs a job here: tests/cluster has real ones.

#include "coordinator/cli.h"
#include "coordinator/journal_plan.h"
#include "coordinator/run.h"
#include "coordinator/survey.h"
#define FAILING_OWN_POLL
#include "tests/failing_processes.h"
#include "tests/said_kit.h"

#include "common/rejects.h"

enum { ROWS = 900 };

static const struct failing_way FAILS[] = {
    { "errors", FAILING_FILES | FAILING_SQLITE, EIO, SQLITE_IOERR, false },
    { "interrupted", FAILING_FILES, EINTR, SQLITE_OK, false },
    { "no_memory", FAILING_MEMORY, ENOMEM, SQLITE_NOMEM, false },
};

static struct folder dir;

// ---- a run, as its trial sees it

enum ending { WELL, REJECTING, FAILING_RUN, SPEECHLESS, WITHOUT_MERGE, DYING, STANDING };

static enum ending ending;
static uint64_t lasting_from; // rows of the trials that end so; less end well
static double lasting = 0.01; // seconds, of each trial

int __real_run_job_summed(const struct job *j, struct run_sums *sums);
int __wrap_run_job_summed(const struct job *j, struct run_sums *sums);

static uint64_t lines_of(const char *path)
{
    uint64_t n = 0;
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (int c; (c = fgetc(f)) != EOF;)
        n += c == '\n';
    fclose(f);
    return n;
}

// Of the part that it was given; a whole input has them all.
static uint64_t rows_of(const struct job *j)
{
    const char *limit = j->query ? strstr(j->query, " LIMIT ") : NULL;
    if (limit) return strtoull(limit + 7, NULL, 10);
    if (j->source == SOURCE_RANGE) return j->range_rows;
    const char *path = j->file_paths.n ? j->file_paths.v[0] : "";
    size_t n = strlen(path);
    if (n >= 8 && strcmp(path + n - 8, "none.csv") == 0) return 0;
    return n > 3 && strcmp(path + n - 3, "/in") == 0 ? lines_of(path) : ROWS;
}

static void reject_some(const struct job *j)
{
    static char text[300];
    struct rejects list = { 0 };
    struct err e;
    memset(text, 'x', sizeof text);
    for (uint64_t i = 0; i < TRIAL_REJECTS + 2; i++) {
        struct reject r = { .line = i + 1,
                            .byte = i == 1 ? REJECT_NO_BYTE : i * 9,
                            .column = { (const uint8_t *)text, i ? sizeof text : 1 },
                            .reason = { (const uint8_t *)text, i ? sizeof text : 2 },
                            .raw = { (const uint8_t *)text, i ? sizeof text : 3 } };
        PASS(&e, rejects_add(&list, &r, &e));
    }
    j->trial->on_result(j->trial->arg, 1000, list.bytes.p, list.bytes.n);
    rejects_free(&list);
}

int __wrap_run_job_summed(const struct job *j, struct run_sums *sums)
{
    long left = failing.left; // ours do not count
    failing.left = -1;
    uint64_t rows = rows_of(j);
    failing.left = left;
    *sums = (struct run_sums){ .rows_read = rows,
                               .rows_emitted = rows,
                               .chunks = 1,
                               .bytes_read = rows * 10,
                               .seconds = lasting,
                               .slots = 2,
                               .busy_ns = (uint64_t)(lasting * 1e9),
                               .worker_cpu_ns = rows * 100 };
    j->trial->on_result(j->trial->arg, rows * 8, NULL, 0);
    if (rows < lasting_from) return CLI_OK;
    switch (ending) {
    case WITHOUT_MERGE:
        if (!j->merge_sql) return CLI_OK;
        // fall through
    case FAILING_RUN:
        fprintf(stderr, "a word before\ntranche: it was made to fail\ntranche: and more\n");
        return CLI_LIMIT;
    case SPEECHLESS: return CLI_INFRASTRUCTURE;
    case REJECTING: reject_some(j); return CLI_REJECTS;
    case DYING: raise(SIGKILL); break;
    case STANDING: pause(); break;
    case WELL: break;
    }
    return CLI_OK;
}

// Time stands still, however slow this machine is; what a trial has of it passes as soon as
// somebody waits for one that stands still.
ns_t __real_clock_ns(void);
ns_t __wrap_clock_ns(void);
static ns_t passed;
ns_t __wrap_clock_ns(void)
{
    return NS_S + passed;
}
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms)
{
    if (failing_now(FAILING_FILES, "poll")) return -1;
    if (ending == STANDING && ms > 1000) passed += TRIAL_SECONDS * NS_S;
    return ending == STANDING ? 0 : __real_poll(fds, n, ms);
}

// Keeping the prediction is tests/unit/test_journal_plan.c's; here it would take most of
// the time.
err_t __real_journal_plan_put(const char *d, const char *spec, const struct journal_plan *p,
                              struct err *e);
err_t __wrap_journal_plan_put(const char *d, const char *spec, const struct journal_plan *p,
                              struct err *e);
static bool keeps = true;
err_t __wrap_journal_plan_put(const char *d, const char *spec, const struct journal_plan *p,
                              struct err *e)
{
    (void)d, (void)p;
    return keeps || !*spec ? ERR_OK : err_set(e, ERR_IO, "it was made to fail");
}

// Programs are elsewhere in this build.
err_t __real_local_open(struct local *l, struct err *e);
err_t __wrap_local_open(struct local *l, struct err *e);
err_t __wrap_local_open(struct local *l, struct err *e)
{
    (void)e;
    *l = (struct local){ .pidfd = -1 };
    return ERR_OK;
}

// ---- jobs

struct planned {
    struct cli cli;
    char *argv[32], *words;
    struct plan plan;
    const struct warehouse_ops *ops;
};

static void planned_read(struct planned *p, const char *line)
{
    int argc = 0;
    *p = (struct planned){ .words = strdup(line) };
    for (char *rest = p->words, *word; (word = strsep(&rest, "|"));)
        p->argv[argc++] = word;
    assert_true(argc < (int)N_OF(p->argv));
    EQ_I64(-1, cli_parse_to(argc, p->argv, &p->cli, stdout, stderr));
}

static void planned_open(struct planned *p, const char *line)
{
    struct err e;
    planned_read(p, line);
    PASS(&e, plan_identity(&p->plan, &p->cli.job, &e));
    PASS(&e, plan_input(&p->plan, &p->cli.job, NULL, &e));
    p->ops = warehouse_find(p->cli.job.into);
    assert_non_null(p->ops);
}

static void planned_close(struct planned *p)
{
    plan_free(&p->plan);
    cli_close(&p->cli);
    free(p->words);
}

static void make_inputs(void)
{
    enum { SPACE = 40 };
    char path[PATH_SPACE];
    char *text = malloc(ROWS * SPACE + 20);
    size_t n = (size_t)sprintf(text, "id,name\n");
    sqlite3 *db;
    for (int i = 0; i < ROWS; i++)
        n += (size_t)sprintf(text + n, i % 7 ? "%d,abc\n" : "%d,\"a\nb\"\n", i);
    dir = folder_new();
    put_file(&dir, "in.csv", text, n);
    put_file(&dir, "more.csv", text, n);
    put_gz(&dir, "in.csv.gz", text, n, 2);
    put_text(&dir, "one.csv", "id,name\n1,x\n");
    put_text(&dir, "none.csv", "id,name\n");
    n = 0;
    for (int i = 0; i < ROWS; i++)
        n += (size_t)sprintf(text + n, "{\"id\": %d, \"name\": \"x\"}\n", i);
    put_file(&dir, "in.jsonl", text, n);
    free(text);
    assert_int_equal(SQLITE_OK, sqlite3_open(in_folder(&dir, "in.db", path), &db));
    snprintf(
        path, sizeof path,
        "CREATE TABLE \"a \"\"b\"(id, name); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
        "SELECT i + 1 FROM n WHERE i < %d) INSERT INTO \"a \"\"b\" SELECT i, 'x' FROM n",
        ROWS);
    assert_int_equal(SQLITE_OK, sqlite3_exec(db, path, NULL, NULL, NULL));
    sqlite3_close(db);
    assert_int_equal(0, chdir(dir.path));
}

#define PLAN "tranche|plan|"

static const struct job_row {
    const char *name, *line;
} JOBS[] = {
    { "csv_into_sqlite", PLAN "--csv|in.csv|more.csv|--into|sqlite:w.db|--table|t" },
    { "csv_compressed", PLAN "--csv|in.csv.gz|--into|csv:out/o-*.csv" },
    { "jsonl_into_files", PLAN "--jsonl|in.jsonl|--into|jsonl:o.jsonl" },
    { "lines_into_stdout", PLAN "--lines|in.csv|--into|stdout:" },
    { "one_row", PLAN "--csv|one.csv|--into|stdout:jsonl" },
    { "range", PLAN "--range|900|--into|null:" },
    { "table", PLAN "--sqlite|in.db|--sqlite-table|a \"b|--into|null:" },
    { "query", PLAN "--sqlite|in.db|--query|SELECT id FROM \"a \"\"b\";\n|--into|null:" },
    { "merged_with_params",
      PLAN "--csv|in.csv|--param|n=SELECT 1.5|--param|t=SELECT 'it''s'|--param|b=SELECT "
           "x'00ff'|--merge-sql|SELECT * FROM parts|--into|sqlite:w.db|--table|t" },
    { "requests",
      PLAN "--csv|in.csv|--http|http://h/{id}|--http-rate|2|--into|sqlite:w.db|--table|t|"
           "--mode|upsert|--key|id" },
};

// ---- surveys

static err_t survey_once(void *arg, struct err *e)
{
    struct planned *p = arg;
    struct survey s;
    err_t rc = survey_run(&s, &p->cli.job, &p->plan, p->ops, e);
    if (rc == ERR_OK) assert_true(s.trials > 0 && s.last.cost.rows > 0);
    if (rc == ERR_OK && s.whole) EQ_I64(s.rows, s.last.cost.rows);
    survey_free(&s);
    return rc;
}

static void is_told(void *arg, err_t rc, const struct err *e)
{
    static const err_t may[] = { ERR_OK,   ERR_NOMEM, ERR_IO,   ERR_DB,
                                 ERR_FULL, ERR_BUSY,  ERR_DIED, ERR_INVALID };
    (void)arg;
    for (size_t i = 0; i < N_OF(may); i++)
        if (rc == may[i]) return;
    fail_msg("%s failed: %s (%s)", failing.was, err_name(rc), e->text);
}

static const struct failing_way *now;

static void a_survey_is_made_or_says_why_not(void **state)
{
    const struct job_row *row = *state;
    struct planned p;
    if (FAILING_STRIDE > 1 && (row - JOBS) % 2) skip();
    planned_open(&p, row->line);
    long n = failing_ladder(now, survey_once, is_told, &p);
    assert_true(n > 0 || now->kinds & FAILING_MEMORY); // some need none
    planned_close(&p);
}

static const struct end_row {
    const char *name;
    enum ending how;
    uint64_t from;
    const char *line;
    err_t want;
    const char *says; // the sentence, or a note
} ENDS[] = {
    { "a_trial_that_dies", DYING, 0, "--csv|in.csv", ERR_DIED,
      "the process of a trial ended by itself (status 9)" },
    { "a_trial_that_stands_still", STANDING, 0, "--csv|in.csv", ERR_TIMEOUT,
      "a trial of 24 rows did not end within 20 s" },
    { "a_trial_of_one_row_that_stands_still", STANDING, 0, "--csv|one.csv", ERR_TIMEOUT,
      "a trial of 1 row did not end within 20 s" },
    { "a_trial_that_fails", FAILING_RUN, 0, "--csv|in.csv", ERR_TRANSFORM,
      "it was made to fail" },
    { "a_trial_that_fails_without_a_word", SPEECHLESS, 0, "--csv|in.csv", ERR_TRANSFORM,
      "a trial failed" },
    { "a_later_trial_that_dies", DYING, 100, "--csv|in.csv", ERR_OK,
      "the process of a trial ended by itself (status 9)" },
    { "a_later_trial_that_fails", FAILING_RUN, 100, "--csv|in.csv", ERR_OK,
      "it was made to fail" },
    { "a_merge_that_wants_the_warehouse", WITHOUT_MERGE, 0,
      "--csv|in.csv|--merge-sql|SELECT * FROM parts", ERR_OK,
      "merge.sql was left out: it cannot be tried without the warehouse" },
    { "a_merge_that_is_not_to_blame", FAILING_RUN, 0,
      "--csv|in.csv|--merge-sql|SELECT * FROM parts", ERR_TRANSFORM,
      "it was made to fail" },
    { "rows_that_are_rejected", REJECTING, 0, "--csv|in.csv", ERR_OK, NULL },
};

static bool has_note(const struct survey *s, const char *text)
{
    for (size_t i = 0; i < s->notes.n; i++)
        if (strcmp(s->notes.v[i], text) == 0) return true;
    return false;
}

static void a_trial_that_ends_otherwise_is_told(void **state)
{
    const struct end_row *row = *state;
    char line[300];
    struct planned p;
    struct survey s;
    struct err e = { 0 };
    snprintf(line, sizeof line, PLAN "%s|--into|sqlite:w.db|--table|t", row->line);
    planned_open(&p, line);
    ending = row->how;
    lasting_from = row->from;
    EXPECT(row->want, &e, survey_run(&s, &p.cli.job, &p.plan, p.ops, &e));
    ending = WELL;
    lasting_from = passed = 0;
    if (row->want != ERR_OK) assert_string_equal(row->says, e.text);
    if (row->want == ERR_OK && row->says) assert_true(has_note(&s, row->says));
    if (row->how == REJECTING) {
        EQ_I64(TRIAL_REJECTS, s.last.n_rejects);
        EQ_I64(sizeof s.last.reject[1].column - 1, strlen(s.last.reject[1].column));
        assert_string_equal("xxx", s.last.reject[0].raw);
    }
    survey_free(&s);
    planned_close(&p);
    EQ_I64(-1, waitpid(-1, NULL, WNOHANG)); // none is left
}

static const struct part_row {
    const char *name, *line, *note;
} PARTS[] = {
    { "compressed_files", PLAN "--csv|in.csv.gz|--into|null:",
      "compressed files were sampled from their heads" },
    { "a_range",
      PLAN "--range|900|--into|null:", "rows were taken from the head of the range" },
    { "a_table", PLAN "--sqlite|in.db|--sqlite-table|a \"b|--into|null:",
      "rows were taken from the head of the query or table" },
    { "a_query", PLAN "--sqlite|in.db|--query|SELECT id FROM \"a \"\"b\"|--into|null:",
      "rows were taken from the head of the query or table" },
    { "an_incremental_load",
      PLAN "--csv|in.csv|--into|sqlite:w.db|--table|t|--mode|incremental|--watermark|id",
      "trials loaded into an empty table: a run finds what is there already" },
};

// A trial that takes long is the last one.
static void what_was_tried_in_part_is_noted(void **state)
{
    const struct part_row *row = *state;
    struct planned p;
    struct survey s;
    struct err e;
    planned_open(&p, row->line);
    lasting = 5;
    PASS(&e, survey_run(&s, &p.cli.job, &p.plan, p.ops, &e));
    lasting = 0.01;
    EQ_I64(1, s.trials);
    assert_false(s.whole);
    if (!has_note(&s, row->note)) fail_msg("there is no such note");
    survey_free(&s);
    planned_close(&p);
}

static void an_input_without_rows_is_foretold(void **state)
{
    struct planned p;
    struct survey s;
    struct err e;
    (void)state;
    planned_open(&p, PLAN "--csv|none.csv|--into|null:");
    PASS(&e, survey_run(&s, &p.cli.job, &p.plan, p.ops, &e));
    EQ_I64(0, s.rows);
    EQ_I64(0, s.output_bytes);
    survey_free(&s);
    planned_close(&p);
}

// Whatever a trial's process cannot do before it begins, ours says that it is gone.
static void a_trial_that_cannot_begin_is_told(void **state)
{
    struct planned p;
    struct survey s;
    struct err e;
    (void)state;
    planned_open(&p, PLAN "--csv|in.csv|--into|sqlite:w.db|--table|t");
    for (failing_below = 0; failing_below < 4; failing_below++) {
        EXPECT(ERR_DIED, &e, survey_run(&s, &p.cli.job, &p.plan, p.ops, &e));
        survey_free(&s);
    }
    failing_below = -1;
    PASS(&e, survey_once(&p, &e));
    planned_close(&p);
}

// ---- the command

static int plan(const void *arg)
{
    return run_plan(arg);
}

static err_t plan_once(void *arg, struct err *e)
{
    static struct said s;
    struct planned *p = arg;
    said_run(&dir, "out", plan, &p->cli.job, &s);
    if (s.code) return err_set(e, ERR_IO, "%s", s.err);
    assert_non_null(strstr(s.out, "\"rows\":900"));
    return ERR_OK;
}

static void what_fails_under_the_command_is_told(void **state)
{
    struct planned p;
    (void)state;
    planned_read(&p,
                 PLAN "--csv|in.csv|--into|sqlite:w.db|--table|t|--write|job.yaml|--force|"
                      "--output|json");
    assert_true(failing_ladder(now, plan_once, NULL, &p) > 30);
    assert_int_equal(0, access("job.yaml", F_OK));
    planned_close(&p);
}

static const struct command_row {
    const char *name, *line;
    int code;
    bool full, forgets;
    const char *says;
} COMMANDS[] = {
    { "standard_output_is_full", "--csv|in.csv", CLI_INFRASTRUCTURE, true, false,
      "the plan cannot be written to standard output" },
    { "the_history_cannot_be_written", "--csv|in.csv", CLI_OK, false, true,
      "the prediction is not kept for a report: it was made to fail" },
    { "standard_input", "--csv|-", CLI_USAGE, false, false,
      "plan reads its input more than once" },
    { "a_name_that_is_none_of_a_job_file", "--csv|in.csv|--write|job.txt", CLI_USAGE, false,
      false, "--write: job.txt is no name of a job file" },
    { "force_without_a_file", "--csv|in.csv|--force", CLI_USAGE, false, false,
      "--force is about --write" },
    { "a_folder_that_is_not_there", "--csv|in.csv|--write|no/job.yaml", CLI_INFRASTRUCTURE,
      false, false, "--write: no/job.yaml: cannot create" },
    { "a_folder_where_the_file_goes", "--csv|in.csv|--write|a.yaml|--force",
      CLI_INFRASTRUCTURE, false, false, "--write: a.yaml: cannot write" },
};

static void a_plan_that_cannot_be_told_says_so(void **state)
{
    static struct said s;
    const struct command_row *row = *state;
    char line[300];
    struct planned p;
    snprintf(line, sizeof line, PLAN "%s|--into|sqlite:w.db|--table|t", row->line);
    (void)!mkdir("a.yaml", 0700);
    planned_read(&p, line);
    keeps = !row->forgets;
    said_run(&dir, row->full ? NULL : "out", plan, &p.cli.job, &s);
    keeps = true;
    EQ_I64(row->code, s.code);
    if (!strstr(s.err, row->says)) fail_msg("%s", s.err);
    planned_close(&p);
}

int main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(a_trial_that_cannot_begin_is_told),
        cmocka_unit_test(an_input_without_rows_is_foretold),
    };
    const struct CMUnitTest command[] = {
        cmocka_unit_test(what_fails_under_the_command_is_told),
    };
    make_inputs();
    int failed = test_main("trials", plain, N_OF(plain),
                           TABLE(ENDS, a_trial_that_ends_otherwise_is_told), N_OF(ENDS));
    failed +=
        test_main("command", NULL, 0, TABLE(COMMANDS, a_plan_that_cannot_be_told_says_so),
                  N_OF(COMMANDS));
    failed += test_main("parts", NULL, 0, TABLE(PARTS, what_was_tried_in_part_is_noted),
                        N_OF(PARTS));
    for (size_t i = 0; i < N_OF(FAILS); i++) {
        now = &FAILS[i];
        if (FAILING_STRIDE > 1 && now->error == EINTR)
            continue; // a fork takes so long there
        failed += test_main(now->name, command, N_OF(command),
                            TABLE(JOBS, a_survey_is_made_or_says_why_not), N_OF(JOBS));
    }
    folder_rm(&dir);
    return failed;
}
