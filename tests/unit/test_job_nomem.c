// Memory runs out while a job is read, from a file or from flags: it is said, and the job
// that is read in spite of it is the right one.

#include "common/conf.h"
#include "coordinator/cli.h"
#include "tests/no_memory.h"

struct job_row {
    const char *name, *yaml;
};

static const struct job_row jobs[] = {
    { "csv_with_sql_and_tables",
      "name: origin-delays\n"
      "source:\n"
      "  csv: [data/a-*.csv, /abs/b.csv.gz, '-']\n"
      "  delimiter: tab\n"
      "  quote: \"'\"\n"
      "  header: [origin, delay, tail_num]\n"
      "  types: {tail_num: text, delay: Real}\n"
      "  null: [\"\", NULL, NA]\n"
      "batch: {bytes: 4MiB}\n"
      "transform:\n"
      "  - sql: SELECT origin, delay FROM batch\n"
      "  - sql: SELECT 1\n"
      "load: {into: 'sqlite:out/w.db', table: my table, mode: replace, ordered: no}\n"
      "params: {mean: {sql: SELECT avg(delay) FROM flights}}\n"
      "tables: {holidays: holidays.csv, other: /abs/o.csv}\n"
      "limits: {bad_rows: 1%, retries: 0, timeout: 90s, memory: 64MiB}\n" },
    { "programs_plugins_and_indexes",
      "source: {jsonl: a.jsonl, fields: [id, address.city]}\n"
      "batch: {rows: 100}\n"
      "transform:\n"
      "  - exec: [python3, clean.py]\n"
      "    format: jsonl\n"
      "    persistent: true\n"
      "    sandbox: strict\n"
      "    env: {A: b, C: $HOME}\n"
      "    files: [clean.py, data.txt]\n"
      "  - plugin: ./libmine.so\n"
      "    args: {n: '7', name: x}\n"
      "load: {into: 'csv:out/part-*.csv'}\n" },
    { "upsert_from_a_query",
      "source: {sqlite: sales.db, query: SELECT * FROM orders}\n"
      "load: {into: 'sqlite:w.db', table: t, mode: upsert, key: [id, day], indexes: "
      "[[day]]}\n"
      "workers: {local: 2, min: 1}\n" },
    { "incremental_from_a_server",
      "source: {postgres: 'postgresql://me@db.example/sales', postgres_table: "
      "public.orders}\n"
      "load: {into: 'postgres:postgresql://me@db.example/w', table: t, mode: incremental, "
      "watermark: id}\n" },
    { "an_aggregate_that_is_merged",
      "source: {lines: a.txt}\n"
      "aggregate: {by: [origin], compute: {n: count(*), p: 'quantile(delay, 0.95)', d: "
      "count_distinct(tail)}}\n"
      "merge: {sql: SELECT * FROM parts}\n"
      "load: {into: 'sqlite:w.db', table: t}\n" },
    { "requests", "source: {range: 10}\n"
                  "transform:\n"
                  "  - http:\n"
                  "      url: 'https://host/api?x={i}'\n"
                  "      concurrency: 8\n"
                  "      headers: {Authorization: $TOKEN, Accept: text/plain}\n"
                  "      rows: $.items[*]\n"
                  "      fields: {id: id, city: address.city}\n"
                  "      next: $.next\n"
                  "load: {into: 'jsonl:out.jsonl'}\n" },
    { "charts", "source: {csv: a.csv}\n"
                "charts:\n"
                "  - {title: A b, table: t, x: day, y: [n, m], by: c, last: 9}\n"
                "  - {x: day, y: n, band: [l, u]}\n"
                "  - {x: day, y: n, forecast: f}\n"
                "load: {into: 'sqlite:w.db', table: t}\n" },
    { "mistakes", "source: {csv: a.csv, zebra: 1, delimiter: abc}\n"
                  "limits: {bad_rows: many, timeout: -1}\n"
                  "load: {into: 'sqlite:w.db', tabel: t, mode: swap}\n" },
};

struct reading {
    const char *yaml;
    struct buf
        want; // of the reading without a failure: the canonical text, or all mistakes
};

// ERR_OK for a job with mistakes, too: `got` has them.
static err_t read_job(const char *yaml, struct buf *got, struct err *e)
{
    struct job j;
    struct conf c;
    struct strings mistakes = { 0 };
    job_init(&j);
    conf_init(&c, &j, &mistakes);
    err_t rc = conf_text(&c, "jobs/daily.yaml", yaml, strlen(yaml), e);
    if (rc == ERR_OK) rc = conf_finish(&c, e);
    if (rc == ERR_OK) rc = job_canonical(&j, got, e);
    if (rc == ERR_INVALID) {
        rc = ERR_OK;
        for (size_t i = 0; i < mistakes.n && rc == ERR_OK; i++)
            rc = buf_printf(got, e, "%s\n", mistakes.v[i]);
    }
    strings_free(&mistakes);
    job_free(&j);
    return rc;
}

static err_t read_once(void *arg, struct err *e)
{
    const struct reading *r = arg;
    struct buf got = { 0 };
    err_t rc = read_job(r->yaml, &got, e);
    if (rc == ERR_OK && (got.n != r->want.n || memcmp(got.p, r->want.p, got.n) != 0))
        fail_msg("another job was read:\n%.*s", (int)got.n, (char *)got.p);
    buf_free(&got);
    return rc;
}

static void a_job_file_is_read_whole_or_not_at_all(void **state)
{
    const struct job_row *row = *state;
    struct err e;
    struct reading r = { .yaml = row->yaml };
    PASS(&e, read_job(r.yaml, &r.want, &e));
    assert_true(r.want.n > 0);
    assert_true(no_memory_sweep(read_once, &r) > 10);
    assert_true(*r.want.p == (strcmp(row->name, "mistakes") == 0 ? 'j' : 't'));
    buf_free(&r.want);
}

// ---- flags

struct line_row {
    const char *name, *line; // words are separated by '|'
};

static const struct line_row lines[] = {
    { "flags_of_a_load",
      "tranche|run|--csv|a.csv|--csv|b.csv|--null|NA|--type|a=text|--sql|SELECT 1|--param|"
      "mean=SELECT 1|--lookup|h=h.csv|--into|sqlite:w.db|--table|t|--mode|upsert|--key|id|"
      "--index|a,b|--workers|2|--bad-rows|1%" },
    { "flags_of_programs",
      "tranche|run|--range|5|--exec|tr a-z A-Z|--plugin|./x.so|--compute|n=count(*)|--by|a|"
      "--merge-sql|SELECT * FROM parts|--into|sqlite:w.db|--table|t" },
    { "flags_of_requests",
      "tranche|check|--lines|a.txt|--http|http://h/{line}|--http-rows|$[*]|--http-fields|"
      "a,b|--into|null:" },
};

static err_t parse_once(void *arg, struct err *e)
{
    const struct line_row *row = arg;
    char words[512], *argv[64], *out = NULL, *said = NULL;
    size_t n_out, n_said;
    int argc = 0;
    struct cli cli = { 0 };
    struct buf got = { 0 };
    snprintf(words, sizeof words, "%s", row->line);
    for (char *rest = words, *word; (word = strsep(&rest, "|"));)
        argv[argc++] = word;
    FILE *to = open_memstream(&out, &n_out), *complain = open_memstream(&said, &n_said);
    int code = cli_parse_to(argc, argv, &cli, to, complain);
    fclose(to);
    fclose(complain);
    err_t rc = code < 0 ? job_canonical(&cli.job, &got, e) : ERR_NOMEM;
    if (code >= 0) {
        EQ_I64(CLI_INFRASTRUCTURE, code);
        assert_non_null(strstr(said, "out of memory"));
        err_set(e, rc, "%s", said);
    }
    buf_free(&got);
    cli_close(&cli);
    free(out);
    free(said);
    return rc;
}

static void flags_are_read_or_memory_is_said_to_be_out(void **state)
{
    assert_true(no_memory_sweep(parse_once, *state) > 20);
}

int main(void)
{
    struct CMUnitTest *files = TABLE(jobs, a_job_file_is_read_whole_or_not_at_all);
    struct CMUnitTest *flags = TABLE(lines, flags_are_read_or_memory_is_said_to_be_out);
    int failed = test_main("job_nomem", NULL, 0, files, N_OF(jobs));
    return failed + test_main("job_nomem flags", NULL, 0, flags, N_OF(lines));
}
