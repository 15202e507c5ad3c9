#include "coordinator/cli.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct said { // one command line and everything that came of it
    int code;
    struct cli cli;
    char *out, *err;
    char *argv[64];
    char *words;
};

// Words are separated by '|'.
static struct said say(const char *line)
{
    struct said s = { 0 };
    size_t n_out, n_err;
    int argc = 0;
    s.words = strdup(line);
    for (char *rest = s.words, *word; (word = strsep(&rest, "|"));)
        if (argc + 1 < (int)N_OF(s.argv)) s.argv[argc++] = word;
    FILE *out = open_memstream(&s.out, &n_out), *err = open_memstream(&s.err, &n_err);
    s.code = cli_parse_to(argc, s.argv, &s.cli, out, err);
    fclose(out);
    fclose(err);
    return s;
}

static void said_free(struct said *s)
{
    cli_close(&s->cli);
    free(s->out);
    free(s->err);
    free(s->words);
}

struct row {
    const char *name;
    const char *line;
    const char *err; // all of standard error
};

#define HINT "'tranche run --help' shows all flags\n"
#define JOB  "tranche|run|--csv|a.csv|--into|null:|"

static const struct row rows[] = {
    { "no_command", "tranche",
      "Usage: tranche run [JOB.yaml] [FLAGS]\n       tranche plan [JOB.yaml] [FLAGS]\n"
      "       tranche check [JOB.yaml] [FLAGS]\n"
      "       tranche runs\n       tranche explain RUN [CHUNK]\n"
      "       tranche report RUN [--html FILE]\n       tranche cache list|clear\n       "
      "tranche schedule "
      "install|list|remove\n       tranche keys "
      "new|list|allow|revoke\n"
      "       tranche scale --launcher ssh|slurm|compose\n"
      "       tranche serve\n"
      "       tranche submit [JOB.yaml] [FLAGS]\n"
      "       tranche jobs|cancel|wait|logs [ID]\n"
      "       tranche workers|drain [WORKER]\n"
      "'tranche --help' explains them\n" },
    { "misspelt_command", "tranche|rnu",
      "tranche: unknown command 'rnu'; did you mean 'run'?\n" },
    { "strange_command", "tranche|zebra",
      "tranche: unknown command 'zebra'; 'tranche --help' lists them\n" },
    { "file_as_command", "tranche|job.yaml",
      "tranche: unknown command 'job.yaml'; did you mean 'tranche run job.yaml'?\n" },
    { "flag_before_command", "tranche|--csv|x",
      "tranche: '--csv': a command comes first, e.g. tranche run --csv\n" },
    { "misspelt_flag", JOB "--tabel|x",
      "tranche: unknown flag '--tabel'; did you mean '--table'?\n" HINT },
    { "flag_named_like_its_key", JOB "--limits.retries=1",
      "tranche: unknown flag '--limits.retries=1'; did you mean '--retries'?\n" HINT },
    { "flag_named_like_its_last_part", JOB "--local=1",
      "tranche: unknown flag '--local=1'; did you mean '--workers'?\n" HINT },
    { "strange_flag", JOB "--zebra", "tranche: unknown flag '--zebra'\n" HINT },
    { "strange_letter", JOB "-z", "tranche: unknown flag '-z'\n" HINT },
    { "one_dash_too_few", "tranche|run|-csv|a.csv",
      "tranche: unknown flag '-csv'; did you mean '--csv'?\n" HINT },
    { "flag_cut_short", JOB "--retr|9",
      "tranche: '--retr' is cut short: write --retries\n" HINT },
    { "flag_that_begins_another", JOB "--fres",
      "tranche: '--fres' is cut short: write --fresh\n" HINT },
    { "flag_and_value_cut_short", JOB "--retr=9",
      "tranche: '--retr=9' is cut short: write --retries\n" HINT },
    { "ambiguous_flag", JOB "--ba|1",
      "tranche: --ba could be --batch-bytes, --batch-rows, --batch-by, --bad-rows; write "
      "it "
      "out\n" HINT },
    { "value_for_a_switch", JOB "--fresh=1", "tranche: --fresh takes no value\n" HINT },
    { "value_missing", JOB "--table",
      "tranche: --table needs a value: --table NAME\n" HINT },
    { "flag_in_place_of_a_value", "tranche|run|--csv|a.csv|--delimiter|--into|null:",
      "tranche: --delimiter needs a value, and '--into' is a flag; if it is meant, write "
      "--delimiter=--into\n" HINT },
    { "flag_in_place_of_a_letters_value", JOB "-j|--fresh",
      "tranche: --workers needs a value, and '--fresh' is a flag; if it is meant, write "
      "--workers=--fresh\n" HINT },
    { "help_of_a_strange_command", "tranche|help|ruin",
      "tranche: unknown command 'ruin'; did you mean 'run'?\n" },
    { "letter_without_value", JOB "-j",
      "tranche: --workers needs a value: --workers N\n" HINT },
    { "two_job_files", "tranche|run|a.yaml|b.yaml",
      "tranche: one job file at a time: 'a.yaml', and 'b.yaml'\n" HINT },
    { "data_as_job_file", "tranche|run|a.csv|--into|null:",
      "tranche: 'a.csv' is no job file; did you mean --csv a.csv?\n" HINT },
    { "job_file_is_not_there", "tranche|run|/nowhere/x.yaml",
      "tranche: /nowhere/x.yaml: cannot open the job file: No such file or directory\n" },
    { "nothing_to_do", "tranche|run",
      "tranche: no source; give --csv FILE, or a job file\n"
      "tranche: nowhere to load into; give --into sqlite:FILE\n" },
    { "no_destination", "tranche|run|--csv|a.csv",
      "tranche: nowhere to load into; give --into sqlite:FILE\n" },
    { "bad_values", JOB "--bad-rows|abc|--timeout|5|--mode|upsrt|--output|xml",
      "tranche: --bad-rows: 'abc' is neither a count nor a percentage; e.g. 100 or 1%\n"
      "tranche: --timeout: '5' is no duration; write 5s\n"
      "tranche: --mode: 'upsrt' is none of append, replace, upsert and incremental; did "
      "you mean 'upsert'?\n"
      "tranche: --output: 'xml' is none of human, json and quiet\n" },
    { "a_request_to_no_address", JOB "--http|x|--http-rate|fast|--http-header|A B=c",
      "tranche: --http: 'x': it begins with neither http:// nor https://, nor with a "
      "{column}\n"
      "tranche: --http-rate: 'fast' is no rate; e.g. 10 (a second), 100/m or 5000/h\n"
      "tranche: --http-header: 'A B' is no name of a header\n" },
    { "a_forecast_of_nothing", JOB "--forecast|none|--forecast-interval|1.5",
      "tranche: --forecast: 'none' is no count; it takes a count of periods, 1 to 10000, "
      "or a "
      "mapping\n"
      "tranche: --forecast-interval: '1.5' is no share; it takes a share, 1% to 99.9%, or "
      "0.01 "
      "to 0.999\n" },
    { "http_flags_behind_another_kind", JOB "--exec|x|--http-rows|$",
      "tranche: --http-rows stands behind --http\n" HINT },
    { "step_flags_without_a_step", JOB "--persistent|--exec|./x",
      "tranche: --persistent stands behind the transform that it is about\n" HINT },
    { "step_flags_behind_another_kind", JOB "--sql|SELECT 1|--persistent",
      "tranche: --persistent: is for exec, and this step is sql\n" },
    { "shell_commands", JOB "--exec|cat;sort|--exec|'x|--exec| ",
      "tranche: --exec: 'cat;sort': no shell runs it; quote the character if the program "
      "shall see it, or write [sh, -c, '...']\n"
      "tranche: --exec: ''x': a quote that is never closed\n"
      "tranche: --exec: no program; e.g. [python3, clean.py]\n" },
    { "bad_step_flags", JOB "--exec|x|--exec-format|xml|--sandbox|strct|--env|A B=c",
      "tranche: --exec-format: 'xml' is none of csv and jsonl\n"
      "tranche: --sandbox: 'strct' is none of default, strict and none; did you mean "
      "'strict'?\n"
      "tranche: --env: 'A B' is no name for a variable; letters, digits and _ make one\n" },
    { "nobody_works", JOB "-j|0",
      "tranche: --workers: 0, only workers of other hosts: they come in through "
      "--listen\n" },
    { "insecure_what", JOB "--insecure",
      "tranche: --insecure is about --listen, which is not given\n" },
    { "labels_that_nobody_has", JOB "--label|gpu",
      "tranche: --label: the worker of this machine has no labels; others come in through "
      "--listen\n" },
    { "more_workers_than_can_come", JOB "--min-workers|2",
      "tranche: --min-workers: one worker runs on this machine; further ones come in "
      "through --listen\n" },
    { "bad_workers", JOB "--listen|ipc:///x|--label|a b|--wait|0s",
      "tranche: --listen: 'ipc:///x' is not tcp://ADDRESS:PORT, e.g. "
      "tcp://0.0.0.0:5555\n"
      "tranche: --label: 'a b' is no label; give letters, digits, '.', '_' and '-', at "
      "most "
      "60\n"
      "tranche: --wait: '0s' is out of range; it takes a duration, 1ms to 30d\n" },
    { "pairs_without_equals", JOB "--type|x|--param|=y",
      "tranche: --type: 'x' is not COL=TYPE\ntranche: --param: '=y' is not "
      "NAME=SQL\n" HINT },
    { "param_twice", JOB "--param|a=x|--param|a=y",
      "tranche: --param: 'a' is given twice\n" },
    { "flag_of_another_command", "tranche|runs|--csv|a.csv",
      "tranche: --csv is no flag of 'runs'\n"
      "'tranche runs --help' shows all flags\n" },
    { "delimiter_is_the_quote", JOB "--quote|,",
      "tranche: --quote: the delimiter and the quote are the same character\n" },
    { "text_is_not_utf8", JOB "--table|\xff|--sql|\xff|--null|\xff",
      "tranche: --table: '\\xff' is not UTF-8\n"
      "tranche: --sql: '\\xff' is not UTF-8\n"
      "tranche: --null: wants a text in quotes, e.g. \"\" or \"NA\"\n" },
};

static void is_refused_with(void **state)
{
    const struct row *row = *state;
    struct said s = say(row->line);
    EQ_I64(CLI_USAGE, s.code);
    assert_string_equal("", s.out);
    assert_string_equal(row->err, s.err);
    said_free(&s);
}

static void steps_of_flags_keep_their_order(void **state)
{
    (void)state;
    struct said s =
        say("tranche|run|--csv|a.csv|--into|null:|--sql|SELECT 1|--exec|a 'b c' "
            "\"d\\\"e\" f\\ g '' h'i'|--persistent|--env|A=1|--env|B=x=y|"
            "--sandbox|strict|--exec-file|lib|--exec-file|./d/*.txt|--plugin|./"
            "p.so|--plugin-arg|n=5|--exec|./z|"
            "--exec-format|jsonl");
    EQ_I64(-1, s.code);
    assert_string_equal("", s.err);
    const struct job *j = &s.cli.job;
    EQ_I64(4, j->n_steps);
    EQ_I64(STEP_SQL, j->steps[0].kind);
    const struct step *x = &j->steps[1];
    static const char *const words[] = { "a", "b c", "d\"e", "f g", "", "hi" };
    EQ_I64(STEP_EXEC, x->kind);
    EQ_I64(N_OF(words), x->argv.n);
    for (size_t i = 0; i < N_OF(words); i++)
        assert_string_equal(words[i], x->argv.v[i]);
    assert_true(x->persistent);
    EQ_I64(STEP_STRICT, x->sandbox);
    EQ_I64(STEP_CSV, x->format);
    assert_string_equal("1", job_pairs_get(&x->env, "A"));
    assert_string_equal("x=y", job_pairs_get(&x->env, "B"));
    assert_string_equal(".", x->dir);
    EQ_I64(2, x->with.n);
    assert_string_equal("lib", x->with.v[0]);
    assert_string_equal("d/*.txt", x->with.v[1]);
    EQ_I64(STEP_PLUGIN, j->steps[2].kind);
    assert_string_equal("5", job_pairs_get(&j->steps[2].args, "n"));
    EQ_I64(STEP_EXEC, j->steps[3].kind);
    EQ_I64(STEP_JSONL, j->steps[3].format);
    assert_false(j->steps[3].persistent);
    said_free(&s);
}

static void requests_are_made_of_flags(void **state)
{
    (void)state;
    struct said s = say("tranche|run|--csv|a.csv|--into|null:|--http|http://h/{a}|"
                        "--http-concurrency|20|--http-header|A=b=c|--http-header|D=$E|"
                        "--http-rows|$[*]|--http-fields|id,a.b|--http-keep|x|"
                        "--http-rate|30/m|--http|http://g/");
    EQ_I64(-1, s.code);
    assert_string_equal("", s.err);
    EQ_I64(2, s.cli.job.n_steps);
    const struct step_http *h = &s.cli.job.steps[0].http;
    assert_string_equal("http://h/{a}", h->url);
    EQ_I64(20, h->concurrency);
    EQ_I64(2000000000, h->gap_ns);
    assert_string_equal("b=c", job_pairs_get(&h->headers, "A"));
    assert_string_equal("$E", job_pairs_get(&h->headers, "D"));
    assert_string_equal("$[*]", h->rows);
    EQ_I64(2, h->fields.n);
    assert_string_equal("a.b", h->fields.v[1].name);
    EQ_I64(1, h->keep.n);
    assert_string_equal("http://g/", s.cli.job.steps[1].http.url);
    EQ_I64(8, s.cli.job.steps[1].http.concurrency);
    said_free(&s);
}

static void forecasts_are_made_of_flags(void **state)
{
    (void)state;
    struct said s = say("tranche|run|--sqlite|a.db|--query|q|--batch-by|g|--into|null:|"
                        "--forecast|30|--forecast-by|g,h|--forecast-ds|day|--forecast-y|n|"
                        "--forecast-every|month|--forecast-holidays|none|"
                        "--forecast-interval|95.5%|--forecast|7");
    assert_string_equal("", s.err);
    EQ_I64(-1, s.code);
    EQ_I64(2, s.cli.job.n_steps);
    const struct step_forecast *f = &s.cli.job.steps[0].forecast;
    EQ_I64(30, f->periods);
    EQ_I64(2, f->by.n);
    assert_string_equal("h", f->by.v[1]);
    assert_string_equal("day", f->ds);
    assert_string_equal("n", f->y);
    EQ_I64(STEP_MONTH, f->every);
    EQ_I64(STEP_NO_HOLIDAYS, f->holidays);
    EQ_I64(955, f->permille);
    f = &s.cli.job.steps[1].forecast;
    EQ_I64(7, f->periods);
    EQ_I64(1, f->by.n);
    assert_string_equal("g", f->by.v[0]);
    assert_string_equal("ds", f->ds);
    EQ_I64(STEP_DAY, f->every);
    EQ_I64(800, f->permille);
    said_free(&s);
}

static void flags_alone_make_a_job(void **state)
{
    (void)state;
    struct said s =
        say("tranche|run|--csv|data/*.csv|--csv=more.csv|--sql|SELECT 1 AS x|--sql|"
            "SELECT x FROM batch|--into|sqlite:late.db|--table|late|-j|8|--mode|"
            "replace|--bad-rows|1%|--batch-bytes|64KiB|--delimiter|\\t|--quote|none");
    EQ_I64(-1, s.code);
    assert_string_equal("", s.err);
    const struct job *j = &s.cli.job;
    EQ_I64(CLI_RUN, s.cli.command);
    assert_null(s.cli.arg);
    assert_null(j->file);
    assert_string_equal(".", j->dir);
    assert_string_equal("late", j->name);
    EQ_I64(2, j->files.n);
    assert_string_equal("data/*.csv", j->file_paths.v[0]);
    assert_string_equal("more.csv", j->file_paths.v[1]);
    EQ_I64(2, j->n_steps);
    assert_string_equal("SELECT x FROM batch", j->steps[1].sql);
    EQ_I64(0, j->steps[1].line);
    assert_string_equal("sqlite:late.db", j->into);
    EQ_I64(8, j->workers_local);
    EQ_I64(MODE_REPLACE, j->mode);
    assert_true(j->bad_rows_share == 0.01);
    EQ_I64(65536, j->batch_bytes);
    EQ_I64('\t', j->delimiter);
    EQ_I64(0, j->quote);
    said_free(&s);
}

static void columns_in_flags_stand_between_commas(void **state)
{
    (void)state;
    struct said s = say(JOB "--mode|upsert|--key|a,b|--index|c|--index|a,c");
    assert_string_equal("", s.err);
    const struct job *j = &s.cli.job;
    EQ_I64(2, j->key.n);
    assert_string_equal("b", j->key.v[1]);
    EQ_I64(2, j->n_indexes);
    EQ_I64(1, j->indexes[0].n);
    assert_string_equal("c", j->indexes[1].v[1]);
    said_free(&s);
}

static void every_other_flag_is_read(void **state)
{
    (void)state;
    struct said s =
        say("tranche|run|--csv|a.csv|--into|sqlite:x.db|"
            "--header|a,b,c=d|--type|c=d=date|--null|NA|--null||--param|m=SELECT "
            "1=1|--lookup|h=x=y.csv|--unordered|--timeout|1h|--retries|5|--memory|"
            "1GiB|--worker-memory|2GiB|--name|n|--fresh|--output|json|--progress|"
            "none");
    assert_string_equal("", s.err);
    EQ_I64(-1, s.code);
    const struct job *j = &s.cli.job;
    EQ_I64(HEADER_NAMES, j->header);
    EQ_I64(3, j->header_names.n);
    assert_string_equal("c=d", j->header_names.v[2]);
    assert_string_equal("date", job_pairs_get(&j->types, "c=d"));
    EQ_I64(2, j->nulls.n);
    assert_string_equal("", j->nulls.v[1]);
    assert_string_equal("SELECT 1=1", job_pairs_get(&j->params, "m"));
    assert_string_equal("x=y.csv", job_pairs_get(&j->tables, "h"));
    assert_false(j->ordered);
    EQ_I64(3600000, j->timeout_ms);
    EQ_I64(5, j->retries);
    EQ_I64(1 << 30, j->memory_bytes);
    EQ_I64((int64_t)2 << 30, j->worker_memory_bytes);
    assert_string_equal("n", j->name);
    assert_string_equal("n", j->table);
    assert_true(j->fresh);
    EQ_I64(OUTPUT_JSON, j->output);
    EQ_I64(PROGRESS_NONE, j->progress);
    said_free(&s);
}

static void workers_of_other_hosts_are_read(void **state)
{
    (void)state;
    struct said s = say(JOB "-j|0|--listen|tcp://0.0.0.0:0|--label|gpu|--label|big|"
                            "--min-workers|3|--wait|5m|--insecure");
    assert_string_equal("", s.err);
    EQ_I64(-1, s.code);
    const struct job *j = &s.cli.job;
    EQ_I64(0, j->workers_local);
    assert_true(j->workers_remote);
    assert_string_equal("tcp://0.0.0.0:0", j->listen);
    EQ_I64(2, j->labels.n);
    assert_string_equal("big", j->labels.v[1]);
    EQ_I64(3, j->workers_min);
    EQ_I64(300000, j->workers_wait_ms);
    assert_true(j->insecure);
    said_free(&s);
}

static void the_last_of_rivals_counts(void **state)
{
    (void)state;
    struct said s = say(JOB "--unordered|--ordered|true|--retries|1|--retries|2");
    EQ_I64(-1, s.code);
    assert_true(s.cli.job.ordered);
    EQ_I64(2, s.cli.job.retries);
    said_free(&s);
    s = say(JOB "--ordered|true|--unordered");
    assert_false(s.cli.job.ordered);
    said_free(&s);
}

static void a_glob_that_the_shell_expanded_is_taken_whole(void **state)
{
    (void)state;
    struct said s = say("tranche|check|--csv|a.csv|b.csv|c|--into|null:|--header|true");
    EQ_I64(-1, s.code);
    EQ_I64(CLI_CHECK, s.cli.command);
    EQ_I64(3, s.cli.job.files.n);
    assert_string_equal("c", s.cli.job.files.v[2]);
    assert_string_equal("a", s.cli.job.table);
    said_free(&s);
}

static void so_is_one_of_json_lines_and_of_text(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        enum job_source source;
    } all[] = {
        { "tranche|check|--jsonl|a.jsonl|b.json|c|--into|null:", SOURCE_JSONL },
        { "tranche|check|--lines|a.log|b.log|c.csv|--into|null:", SOURCE_LINES },
    };
    for (size_t i = 0; i < N_OF(all); i++) {
        struct said s = say(all[i].words);
        assert_string_equal("", s.err);
        EQ_I64(-1, s.code);
        EQ_I64(all[i].source, s.cli.job.source);
        EQ_I64(3, s.cli.job.files.n);
        said_free(&s);
    }
}

static void blanks_around_names_of_fields_are_no_part_of_them(void **state)
{
    (void)state;
    struct said s = say("tranche|check|--jsonl|a|--fields| id, amount , a b|--into|null:");
    assert_string_equal("", s.err);
    EQ_I64(3, s.cli.job.fields.n);
    assert_string_equal("id", s.cli.job.fields.v[0]);
    assert_string_equal("amount", s.cli.job.fields.v[1]);
    assert_string_equal("a b", s.cli.job.fields.v[2]);
    said_free(&s);
    s = say("tranche|check|--jsonl|a|--fields|id, |--into|null:");
    if (!strstr(s.err, "'' is no column name")) fail_msg("%s", s.err);
    said_free(&s);
}

static void standard_input_can_be_the_source(void **state)
{
    (void)state;
    struct said s = say("tranche|run|--csv|-|--into|sqlite:x.db");
    assert_string_equal("", s.err);
    assert_string_equal("-", s.cli.job.file_paths.v[0]);
    assert_string_equal("stdin", s.cli.job.table);
    said_free(&s);
}

static void tables_are_named_after_the_first_file(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        { "data/flights-*.csv", "flights" },
        { "x/2008.csv.gz", "t_2008" },
        { "a.tsv.zst", "a" },
        { "plain", "plain" },
        { "data/*.csv", "data" },
        { "/in/day-1.csv/*.jsonl", "day_1" },
    };
    for (size_t i = 0; i < N_OF(names); i++) {
        char line[128];
        snprintf(line, sizeof line, "tranche|run|--csv|%s|--into|sqlite:x.db", names[i][0]);
        struct said s = say(line);
        EQ_I64(-1, s.code);
        assert_string_equal(names[i][1], s.cli.job.table);
        said_free(&s);
    }
}

struct folder {
    char dir[32], job[64];
};

static struct folder folder_with(const char *yaml)
{
    struct folder f = { .dir = "/tmp/test_cli_XXXXXX" };
    assert_non_null(mkdtemp(f.dir));
    snprintf(f.job, sizeof f.job, "%s/job.yaml", f.dir);
    FILE *file = fopen(f.job, "w");
    assert_non_null(file);
    fputs(yaml, file);
    fclose(file);
    return f;
}

static void folder_remove(const struct folder *f)
{
    remove(f->job);
    rmdir(f->dir);
}

static void flags_win_over_the_file(void **state)
{
    (void)state;
    struct folder f = folder_with("name: n\n"
                                  "source: {csv: a.csv, types: {x: text, y: real}}\n"
                                  "transform: [{sql: A}, {sql: B}]\n"
                                  "params: {p: {sql: P}, q: {sql: Q}}\n"
                                  "tables: {h: h.csv}\n"
                                  "load: {into: 'sqlite:w.db', table: t, mode: replace}\n"
                                  "limits: {retries: 7, bad_rows: 1%}\n");
    char line[256], want[96];
    snprintf(
        line, sizeof line,
        "tranche|run|%s|--csv|b.csv|--sql|C|--param|q=R|--type|Y=integer|--lookup|i=i.csv|"
        "--into|sqlite:v.db|--retries|1|--bad-rows|3",
        f.job);
    struct said s = say(line);
    assert_string_equal("", s.err);
    EQ_I64(-1, s.code);
    const struct job *j = &s.cli.job;
    assert_string_equal(f.job, s.cli.arg);
    assert_string_equal(f.dir, j->dir);
    EQ_I64(1, j->files.n);
    assert_string_equal("b.csv", j->file_paths.v[0]);
    EQ_I64(1, j->n_steps);
    assert_string_equal("C", j->steps[0].sql);
    assert_string_equal("P", job_pairs_get(&j->params, "p"));
    assert_string_equal("R", job_pairs_get(&j->params, "q"));
    assert_string_equal("text", job_pairs_get(&j->types, "x"));
    assert_string_equal("integer", job_pairs_get(&j->types, "y"));
    EQ_I64(2, j->types.n);
    snprintf(want, sizeof want, "%s/h.csv", f.dir);
    assert_string_equal(want, job_pairs_get(&j->tables, "h"));
    assert_string_equal("i.csv", job_pairs_get(&j->tables, "i"));
    assert_string_equal("sqlite:v.db", j->into);
    assert_string_equal("t", j->table);
    EQ_I64(MODE_REPLACE, j->mode);
    EQ_I64(1, j->retries);
    EQ_I64(3, j->bad_rows);
    assert_true(j->bad_rows_share == -1);
    said_free(&s);
    folder_remove(&f);
}

static void mistakes_of_a_file_begin_with_its_place(void **state)
{
    (void)state;
    struct folder f = folder_with("sorce: {csv: a.csv}\n");
    char line[128], want[256];
    snprintf(line, sizeof line, "tranche|check|%s|--retries|x", f.job);
    snprintf(want, sizeof want,
             "%s:1:1: unknown key 'sorce'; did you mean 'source'?\n"
             "tranche: --retries: 'x' is no count; it takes a count, 0 to 100\n",
             f.job);
    struct said s = say(line);
    EQ_I64(CLI_USAGE, s.code);
    assert_string_equal(want, s.err);
    said_free(&s);
    folder_remove(&f);
}

static void help_is_on_standard_output(void **state)
{
    (void)state;
    static const char *const lines[][2] = {
        { "tranche|--help", "Usage: tranche COMMAND" },
        { "tranche|-h", "Usage: tranche COMMAND" },
        { "tranche|run|--help", "Usage: tranche run [JOB.yaml]" },
        { "tranche|run|-h|--no-such-flag", "Usage: tranche run [JOB.yaml]" },
        { "tranche|check|x.yaml|--help", "Usage: tranche check [JOB.yaml]" },
        { "tranche|runs|--help", "Usage: tranche runs" },
        { "tranche|help", "Usage: tranche COMMAND" },
        { "tranche|help|run", "Usage: tranche run [JOB.yaml]" },
        { "tranche|--version", "tranche " TRANCHE_VERSION "\n" },
        { "tranche|run|--version", "tranche " TRANCHE_VERSION "\n" },
    };
    for (size_t i = 0; i < N_OF(lines); i++) {
        struct said s = say(lines[i][0]);
        EQ_I64(CLI_OK, s.code);
        if (strncmp(s.out, lines[i][1], strlen(lines[i][1])) != 0)
            fail_msg("%s said: %s", lines[i][0], s.out);
        said_free(&s);
    }
}

static void help_that_cannot_be_written_is_a_failure(void **state)
{
    (void)state;
    struct cli c;
    char *argv[] = { (char *)(uintptr_t) "tranche", (char *)(uintptr_t) "--help", NULL };
    FILE *full = fopen("/dev/full", "w"), *err = tmpfile();
    assert_non_null(full);
    EQ_I64(CLI_INFRASTRUCTURE, cli_parse_to(2, argv, &c, full, err));
    fclose(full);
    fclose(err);
    cli_close(&c);
}

static void runs_takes_the_folder_of_a_job(void **state)
{
    (void)state;
    struct said s = say("tranche|runs|jobs/a.yaml|--output|json");
    EQ_I64(-1, s.code);
    EQ_I64(CLI_RUNS, s.cli.command);
    assert_string_equal("jobs", s.cli.job.dir);
    EQ_I64(OUTPUT_JSON, s.cli.job.output);
    said_free(&s);
    s = say("tranche|runs");
    EQ_I64(-1, s.code);
    assert_string_equal(".", s.cli.job.dir);
    said_free(&s);
}

static void a_table_that_nothing_names_is_asked_for_with_the_folders_own_name(void **state)
{
    (void)state;
    char top[] = "/tmp/test_cliXXXXXX", here[80], *was = getcwd(NULL, 0);
    assert_non_null(mkdtemp(top));
    snprintf(here, sizeof here, "%s/my sales", top);
    assert_int_equal(0, mkdir(here, 0700));
    assert_int_equal(0, chdir(here));
    struct said s = say("tranche|run|--csv|*.csv|--into|sqlite:x.db");
    EQ_I64(CLI_USAGE, s.code);
    assert_string_equal("tranche: no name for the table can be made from '*.csv'; give "
                        "--table NAME, e.g. --table my_sales\n",
                        s.err);
    said_free(&s);
    s = say("tranche|plan|--csv|../*.csv");
    EQ_I64(CLI_USAGE, s.code);
    assert_non_null(strstr(s.err, "; give --table NAME, e.g. --table test_cli"));
    said_free(&s);
    s = say("tranche|run|--csv|gone/../*.csv|--into|sqlite:x.db");
    assert_non_null(strstr(s.err, "from 'gone/../*.csv'; give --table NAME\n"));
    said_free(&s);
    assert_int_equal(0, chdir(was));
    assert_int_equal(0, rmdir(here));
    assert_int_equal(0, rmdir(top));
    free(was);
}

static void flags_may_end(void **state)
{
    (void)state;
    struct folder f = folder_with("source: {csv: a.csv}\nload: {into: 'null:'}\n");
    char line[128];
    snprintf(line, sizeof line, "tranche|run|--retries|9|-j4|--|%s", f.job);
    struct said s = say(line);
    assert_string_equal("", s.err);
    EQ_I64(9, s.cli.job.retries);
    EQ_I64(4, s.cli.job.workers_local);
    assert_string_equal(f.job, s.cli.arg);
    said_free(&s);
    folder_remove(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_made_of_flags),
        cmocka_unit_test(forecasts_are_made_of_flags),
        cmocka_unit_test(flags_alone_make_a_job),
        cmocka_unit_test(steps_of_flags_keep_their_order),
        cmocka_unit_test(columns_in_flags_stand_between_commas),
        cmocka_unit_test(every_other_flag_is_read),
        cmocka_unit_test(workers_of_other_hosts_are_read),
        cmocka_unit_test(the_last_of_rivals_counts),
        cmocka_unit_test(a_glob_that_the_shell_expanded_is_taken_whole),
        cmocka_unit_test(blanks_around_names_of_fields_are_no_part_of_them),
        cmocka_unit_test(so_is_one_of_json_lines_and_of_text),
        cmocka_unit_test(standard_input_can_be_the_source),
        cmocka_unit_test(tables_are_named_after_the_first_file),
        cmocka_unit_test(flags_win_over_the_file),
        cmocka_unit_test(mistakes_of_a_file_begin_with_its_place),
        cmocka_unit_test(help_is_on_standard_output),
        cmocka_unit_test(help_that_cannot_be_written_is_a_failure),
        cmocka_unit_test(runs_takes_the_folder_of_a_job),
        cmocka_unit_test(a_table_that_nothing_names_is_asked_for_with_the_folders_own_name),
        cmocka_unit_test(flags_may_end),
    };
    return test_main("cli", tests, N_OF(tests), TABLE(rows, is_refused_with), N_OF(rows));
}
