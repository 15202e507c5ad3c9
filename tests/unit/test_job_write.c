// What is written is read back as the same job, whatever stands in its names.

#include "common/conf.h"
#include "common/extent.h"
#include "common/job_write.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct err e;
static const struct job_comments none;

static void read_job(struct job *j, const char *path, const char *text, size_t n)
{
    struct conf c;
    struct strings mistakes = { 0 };
    job_init(j);
    conf_init(&c, j, &mistakes);
    PASS(&e, conf_text(&c, path, text, n, &e));
    err_t rc = conf_finish(&c, &e);
    if (rc != ERR_OK) fail_msg("%s\n%.*s", e.text, (int)n, text);
    strings_free(&mistakes);
}

static char *canonical(const struct job *j)
{
    struct buf b = { 0 };
    PASS(&e, job_canonical(j, &b, &e));
    PASS(&e, buf_add(&b, "", 1, &e));
    return (char *)b.p;
}

static char *written(const struct job *j, const char *folder, const struct job_comments *c)
{
    struct buf b = { 0 };
    PASS(&e, job_write(j, folder, c, &b, &e));
    PASS(&e, buf_add(&b, "", 1, &e));
    return (char *)b.p;
}

struct row {
    const char *name, *text;
};

#define INTO "load: {into: 'sqlite:w.db'}\n"

static const struct row jobs[] = {
    { "plain", "source: {csv: a.csv}\n" INTO },
    { "dialect", "source: {csv: [a.csv, 'b c-*.csv'], delimiter: tab, quote: none, header: "
                 "[a, \"b:c\", "
                 "'#d', ' e'], null: [\"\", 'NULL', '~'], types: {a: text, ' "
                 "e': real}}\n" INTO },
    { "quote",
      "source: {csv: a.csv, delimiter: '\"', quote: \"'\", header: false}\n" INTO },
    { "no_null", "source: {csv: a.csv, null: []}\n" INTO },
    { "names", "name: \"a: 'b' # \\\"c\\\" \\u00e9 \\u2028 \\ufeff\"\n"
               "source: {csv: \"- x's [y] {z} é % @ ` !.csv\"}\nload: {into: "
               "'sqlite:a b#c: d.db', table: \"- it's\"}\n" },
    { "words",
      "name: 'null'\nsource: {csv: 'true'}\nload: {into: 'sqlite:~', table: 'no'}\n" },
    { "lines", "source: {lines: '?x'}\n" INTO },
    { "jsonl", "source: {jsonl: a.jsonl, fields: [id, address.city, 'a b']}\n" INTO },
    { "jsonl_by_list",
      "source: {jsonl: a.jsonl, fields: [id, a.e.b], rows: '$.a.e[*]'}\n" INTO },
    { "range", "source: {range: 0}\nbatch: {rows: 7}\n" INTO },
    { "sqlite", "source: {sqlite: s.db, query: \"SELECT 'a: b', \\\"x\\\" FROM t -- no\\n"
                "  WHERE 1\"}\nbatch: {by: x}\n" INTO },
    { "table",
      "source: {sqlite: s.db, sqlite_table: 'a\"b'}\nbatch: {bytes: 1MiB}\n" INTO },
    { "postgres", "source: {postgres: 'postgresql://me@h/d', postgres_table: t}\n" INTO },
    { "steps",
      "source: {csv: a.csv}\ntransform:\n  - sql: |\n      SELECT *\n\n      FROM batch\n"
      "  - sql: \"SELECT 1\\n  , '\\t'\\n FROM batch\"\n"
      "  - {exec: [python3, './a b.py', '', \"-x\\n\"], format: jsonl, persistent: true, "
      "sandbox: strict, env: {A: $HOME, B: 'x: y'}, files: [lib, 'data/*.txt']}\n"
      "  - {plugin: ./p.so, args: {a: '1', 'b c': ''}}\n" INTO },
    { "http",
      "source: {csv: a.csv}\ntransform:\n  - http: {url: 'https://h/{id}?x={{', rows: "
      "'$.a[*]', fields: {a: b.c, d: e}, keep: [id], next: link, pages: 3, headers: {A: "
      "$T}, "
      "concurrency: 9, rate: 100/m, retries: 1, redirects: 0, timeout: 5s, "
      "connect_timeout: "
      "1s, max_body: 1MiB}\n  - http: {url: 'https://h/{a}', keep: []}\n" INTO },
    { "forecast",
      "source: {sqlite: s.db, query: SELECT 1 ORDER BY 1}\nbatch: {by: k}\n"
      "transform:\n  - forecast: {periods: 30, by: [k, r], ds: day, y: v, every: "
      "week, holidays: none, interval: 97.5%}\n" INTO },
    { "groups",
      "source: {csv: a.csv}\naggregate: {by: [a, 'b c'], compute: {n: count(*), "
      "'p 95': 'quantile(x, 0.95)'}}\nmerge: {sql: 'SELECT * FROM parts'}\n" INTO },
    { "upsert", "source: {csv: a.csv}\nload: {into: 'sqlite:w.db', table: t, mode: upsert, "
                "key: [a, 'b, c'], indexes: [[a], [b, 'c d']]}\n" },
    { "incremental", "source: {csv: a.csv}\nload: {into: 'sqlite:w.db', mode: incremental, "
                     "watermark: ds}\n" },
    { "lookups", "source: {csv: a.csv}\nparams: {m: {sql: 'SELECT 1, 2'}}\ntables: {h: 'h "
                 "i.csv', o: /abs/o.csv}\n" INTO },
    { "limits", "source: {csv: a.csv}\ncache: 5MiB\nlimits: {bad_rows: 2.5%, retries: 0, "
                "timeout: 90s, memory: 64MiB, worker_memory: 2GiB}\nworkers: {local: 3, "
                "concurrency: 4, wait: 5m}\n" INTO },
    { "charts",
      "source: {csv: a.csv}\ncharts:\n  - {title: 'A: b', table: \"t 'x'\", x: ds, y: "
      "[y, 'z z'], by: c, last: 90}\n  - {x: a, y: b, band: [l, u]}\n"
      "  - {x: a, y: b, forecast: f}\n" INTO },
    { "to_csv", "source: {csv: a.csv}\nload: {into: 'csv:out/p-*.csv', ordered: false}\n" },
    { "to_stdout", "source: {csv: a.csv}\nload: {into: 'stdout:'}\n" },
};

static void same_numbers(const struct job *a, const struct job *b)
{
    EQ_I64(a->batch_bytes, b->batch_bytes);
    EQ_I64(a->batch_rows, b->batch_rows);
    EQ_I64(a->bad_rows, b->bad_rows);
    assert_true(a->bad_rows_share == b->bad_rows_share);
    EQ_I64(a->retries, b->retries);
    EQ_I64(a->timeout_ms, b->timeout_ms);
    EQ_I64(a->memory_bytes, b->memory_bytes);
    EQ_I64(a->worker_memory_bytes, b->worker_memory_bytes);
    EQ_I64(a->workers_local, b->workers_local);
    EQ_I64(a->workers_concurrency, b->workers_concurrency);
    EQ_I64(a->workers_wait_ms, b->workers_wait_ms);
    EQ_I64(a->cache_bytes, b->cache_bytes);
    EQ_I64(a->ordered, b->ordered);
    EQ_I64(a->n_indexes, b->n_indexes);
    EQ_I64(a->charts.n, b->charts.n);
    for (size_t i = 0; i < a->n_steps; i++) {
        EQ_I64(a->steps[i].http.gap_ns, b->steps[i].http.gap_ns);
        EQ_I64(a->steps[i].http.concurrency, b->steps[i].http.concurrency);
        EQ_I64(a->steps[i].sandbox, b->steps[i].sandbox);
    }
}

static void is_read_back_as_the_same_job(void **state)
{
    const struct row *r = *state;
    struct job a, b;
    read_job(&a, "job.yaml", r->text, strlen(r->text));
    char *text = written(&a, ".", &none);
    read_job(&b, "job.yaml", text, strlen(text));
    char *want = canonical(&a), *got = canonical(&b), *again = written(&b, ".", &none);
    assert_string_equal(want, got);
    assert_string_equal(text, again);
    assert_string_equal(a.name, b.name);
    same_numbers(&a, &b);
    job_free(&a);
    job_free(&b);
    free(text);
    free(want);
    free(got);
    free(again);
}

static void paths_mean_the_same_from_another_folder(void **state)
{
    (void)state;
    static const char job[] = "source: {csv: [in.csv, /abs/b.csv]}\n" INTO;
    struct job a, b;
    read_job(&a, "jobs/daily/job.yaml", job, strlen(job));
    char *text = written(&a, "elsewhere", &none), cwd[2000], path[3000];
    assert_non_null(getcwd(cwd, sizeof cwd));
    read_job(&b, "elsewhere/job.yaml", text, strlen(text));
    snprintf(path, sizeof path, "%s/jobs/daily/in.csv", cwd);
    assert_string_equal(path, b.file_paths.v[0]);
    assert_string_equal("/abs/b.csv", b.files.v[1]);
    snprintf(path, sizeof path, "sqlite:%s/jobs/daily/w.db", cwd);
    assert_string_equal(path, b.into);
    free(text);
    text = written(&a, "./jobs//daily/.", &none);
    assert_non_null(strstr(text, "[in.csv, /abs/b.csv]"));
    assert_non_null(strstr(text, "into: sqlite:w.db"));
    job_free(&a);
    job_free(&b);
    free(text);
}

static void refused(const char *job, const char *folder, const char *sentence)
{
    struct job j;
    struct buf b = { 0 };
    read_job(&j, "job.yaml", job, strlen(job));
    EXPECT(ERR_INVALID, &e, job_write(&j, folder, &none, &b, &e));
    if (!strstr(e.text, sentence)) fail_msg("%s", e.text);
    EQ_I64(0, b.n);
    job_free(&j);
}

static void programs_stay_in_their_folder(void **state)
{
    (void)state;
    refused("source: {csv: a.csv}\ntransform: [{exec: ./a.py}]\n" INTO, "/elsewhere",
            "write the job file into that folder");
}

static void passwords_are_written_nowhere(void **state)
{
    (void)state;
    refused("source: {postgres: 'postgresql://me:secret@h/d', query: SELECT 1}\n" INTO, ".",
            "the address of the source holds a password");
    refused("source: {csv: a.csv}\nload: {into: 'postgres:postgresql://me:secret@h/d'}\n",
            ".", "the address of the warehouse holds a password");
}

static void comments_stay_comments(void **state)
{
    (void)state;
    struct job a, b;
    struct job_comments c = { 0 };
    static const char hostile[] =
        "x\nload: {into: 'sqlite:evil.db'}\r# \xe2\x80\xa8y\xc2\x85z";
    PASS(&e, strings_add(&c.about, hostile, strlen(hostile), &e));
    PASS(&e, strings_add(&c.columns, hostile, strlen(hostile), &e));
    read_job(&a, "job.yaml", jobs[0].text, strlen(jobs[0].text));
    char *text = written(&a, ".", &c);
    read_job(&b, "job.yaml", text, strlen(text));
    assert_string_equal("sqlite:w.db", b.into_written);
    assert_non_null(strstr(text, "# x?load: {into"));
    strings_free(&c.about);
    strings_free(&c.columns);
    job_free(&a);
    job_free(&b);
    free(text);
}

// ---- extent ----

static void extents_of_numbers_go_by_their_value(void **state)
{
    (void)state;
    struct extent x = { 0 };
    extent_value(&x, TYPE_INTEGER, "9", 1);
    extent_value(&x, TYPE_INTEGER, "-37", 3);
    extent_value(&x, TYPE_INTEGER, "1203", 4);
    assert_string_equal("-37", x.least);
    assert_string_equal("1203", x.most);
    extent_value(&x, TYPE_REAL, "1e9", 3); // what was seen is still among them
    assert_string_equal("-37", x.least);
    assert_string_equal("1e9", x.most);
    EQ_I64(4, x.longest);
}

static void extents_of_dates_go_by_the_calendar_and_texts_have_none(void **state)
{
    (void)state;
    struct extent x = { 0 };
    extent_value(&x, TYPE_DATE, "2020-10-01", 10);
    extent_value(&x, TYPE_DATE, "2019-12-31", 10);
    assert_string_equal("2019-12-31", x.least);
    assert_string_equal("2020-10-01", x.most);
    extent_value(&x, TYPE_TEXT, "x", 1);
    assert_string_equal("", x.least);
    extent_value(&x, TYPE_TEXT, "a text that is longer than what is shown of it", 46);
    EQ_I64(46, x.longest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_mean_the_same_from_another_folder),
        cmocka_unit_test(programs_stay_in_their_folder),
        cmocka_unit_test(passwords_are_written_nowhere),
        cmocka_unit_test(comments_stay_comments),
        cmocka_unit_test(extents_of_numbers_go_by_their_value),
        cmocka_unit_test(extents_of_dates_go_by_the_calendar_and_texts_have_none),
    };
    return test_main("job_write", tests, N_OF(tests),
                     TABLE(jobs, is_read_back_as_the_same_job), N_OF(jobs));
}
