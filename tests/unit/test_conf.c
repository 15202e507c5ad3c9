// Job files that are right, and what flags change.

#include "common/conf.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct err e;

static void read_at(struct job *j, const char *path, const char *yaml)
{
    struct conf c;
    struct strings mistakes = { 0 };
    job_init(j);
    conf_init(&c, j, &mistakes);
    PASS(&e, conf_text(&c, path, yaml, strlen(yaml), &e));
    PASS(&e, conf_finish(&c, &e));
    EQ_I64(0, mistakes.n);
}

static void the_smallest_job_gets_every_default(void **state)
{
    (void)state;
    struct job j;
    read_at(&j, "flights.yaml", "source: {csv: a.csv}\nload: {into: 'sqlite:w.db'}\n");
    assert_string_equal("flights.yaml", j.file);
    assert_string_equal(".", j.dir);
    assert_string_equal("flights", j.name);
    assert_string_equal("flights", j.table);
    EQ_I64(SOURCE_CSV, j.source);
    EQ_I64(1, j.files.n);
    assert_string_equal("a.csv", j.file_paths.v[0]);
    EQ_I64(',', j.delimiter);
    EQ_I64('"', j.quote);
    EQ_I64(HEADER_TRUE, j.header);
    assert_false(j.nulls_given);
    EQ_I64(0, j.batch_bytes);
    EQ_I64(0, j.n_steps);
    assert_string_equal("sqlite:w.db", j.into);
    EQ_I64(MODE_APPEND, j.mode);
    assert_true(j.ordered);
    EQ_I64(0, j.bad_rows);
    assert_true(j.bad_rows_share == -1);
    EQ_I64(3, j.retries);
    EQ_I64(600000, j.timeout_ms);
    EQ_I64(128 << 20, j.memory_bytes);
    EQ_I64(1 << 30, j.worker_memory_bytes);
    EQ_I64(0, j.workers_local);
    assert_false(j.fresh);
    job_free(&j);
}

static const char everything[] =
    "name: origin-delays\n"
    "source:\n"
    "  csv: [data/a-*.csv, /abs/b.csv.gz, '-']\n"
    "  delimiter: tab\n"
    "  quote: \"'\"\n"
    "  header: [origin, delay, tail_num]\n"
    "  encoding: UTF-8\n"
    "  types: {tail_num: text, delay: Real}\n"
    "  null: [\"\", NULL, null, NA]\n"
    "batch: {bytes: 4MiB}\n"
    "transform:\n"
    "  - sql: SELECT origin, delay FROM batch\n"
    "  - sql: |\n"
    "      SELECT *\n"
    "      FROM batch\n"
    "  - {sql: 'SELECT 1'}\n"
    "load:\n"
    "  into: sqlite:out/w.db\n"
    "  table: my table\n"
    "  mode: replace\n"
    "  ordered: no\n"
    "params:\n"
    "  mean: {sql: SELECT avg(delay) FROM flights}\n"
    "tables: {holidays: holidays.csv, other: /abs/o.csv}\n"
    "limits: {bad_rows: 1%, retries: 0, timeout: 90s, memory: 64MiB, worker_memory: 2GiB}\n"
    "workers: {local: 2}\n";

static void every_key_is_read(void **state)
{
    (void)state;
    struct job j;
    read_at(&j, "jobs/daily/job.yaml", everything);
    assert_string_equal("jobs/daily", j.dir);
    assert_string_equal("origin-delays", j.name);
    EQ_I64(3, j.files.n);
    assert_string_equal("data/a-*.csv", j.files.v[0]);
    assert_string_equal("jobs/daily/data/a-*.csv", j.file_paths.v[0]);
    assert_string_equal("/abs/b.csv.gz", j.file_paths.v[1]);
    assert_string_equal("-", j.file_paths.v[2]);
    EQ_I64('\t', j.delimiter);
    EQ_I64('\'', j.quote);
    EQ_I64(HEADER_NAMES, j.header);
    EQ_I64(3, j.header_names.n);
    assert_string_equal("tail_num", j.header_names.v[2]);
    assert_string_equal("text", job_pairs_get(&j.types, "tail_num"));
    assert_string_equal("real", job_pairs_get(&j.types, "delay"));
    assert_true(j.nulls_given);
    EQ_I64(4, j.nulls.n);
    assert_string_equal("", j.nulls.v[0]);
    assert_string_equal("NULL", j.nulls.v[1]);
    assert_string_equal("null", j.nulls.v[2]);
    EQ_I64(4 << 20, j.batch_bytes);
    EQ_I64(3, j.n_steps);
    assert_string_equal("SELECT origin, delay FROM batch", j.steps[0].sql);
    assert_string_equal("SELECT *\nFROM batch\n", j.steps[1].sql);
    assert_string_equal("sqlite:jobs/daily/out/w.db", j.into);
    assert_string_equal("sqlite:out/w.db", j.into_written);
    assert_string_equal("my table", j.table);
    EQ_I64(MODE_REPLACE, j.mode);
    assert_false(j.ordered);
    assert_string_equal("SELECT avg(delay) FROM flights", job_pairs_get(&j.params, "mean"));
    assert_string_equal("jobs/daily/holidays.csv", job_pairs_get(&j.tables, "holidays"));
    assert_string_equal("holidays.csv", job_pairs_get(&j.tables_written, "holidays"));
    assert_string_equal("/abs/o.csv", job_pairs_get(&j.tables, "other"));
    assert_true(j.bad_rows_share == 0.01);
    EQ_I64(0, j.retries);
    EQ_I64(90000, j.timeout_ms);
    EQ_I64(64 << 20, j.memory_bytes);
    EQ_I64((int64_t)2 << 30, j.worker_memory_bytes);
    EQ_I64(2, j.workers_local);
    job_free(&j);
}

static void sql_knows_where_it_begins(void **state)
{
    (void)state;
    struct job j;
    read_at(&j, "job.yaml", everything);
    EQ_I64(12, j.steps[0].line);
    EQ_I64(10, j.steps[0].column);
    EQ_I64(14, j.steps[1].line);
    EQ_I64(7, j.steps[1].column);
    EQ_I64(16, j.steps[2].line);
    EQ_I64(12, j.steps[2].column);
    job_free(&j);
}

struct good {
    const char *name;
    const char *yaml;
};

#define GOOD "source: {csv: a.csv}\nload: {into: 'null:'}\n"

static const struct good good[] = {
    { "sections_without_keys", GOOD "limits:\nbatch:\nparams: {}\ntransform:\n" },
    { "transform_none", GOOD "transform: none\n" },
    { "transform_one_mapping", GOOD "transform: {sql: SELECT 1}\n" },
    { "transform_empty_list", GOOD "transform: []\n" },
    { "byte_order_mark", "\xef\xbb\xbf" GOOD },
    { "crlf_line_ends", "source: {csv: a.csv}\r\nload: {into: 'null:'}\r\n" },
    { "document_marks", "---\n" GOOD "...\n" },
    { "yaml_directive", "%YAML 1.1\n---\n" GOOD },
    { "quoted_keys_and_numbers", GOOD "'limits': {\"retries\": \"3\"}\n" },
    { "quote_none", "source: {csv: a, quote: none}\nload: {into: 'null:'}\n" },
    { "quote_empty", "source: {csv: a, quote: ''}\nload: {into: 'null:'}\n" },
    { "delimiter_is_a_control_character",
      "source: {csv: a, delimiter: \"\\x01\"}\nload: {into: 'null:'}\n" },
    { "null_is_one_text", "source: {csv: a, null: NA}\nload: {into: 'null:'}\n" },
    { "null_list_is_empty", "source: {csv: a, null: []}\nload: {into: 'null:'}\n" },
    { "types_of_any_case",
      "source: {csv: a, types: {x: INTEGER}}\nload: {into: 'null:'}\n" },
    { "table_in_another_script",
      "source: {csv: a}\nload: {into: 'null:', table: \xc3\xa4pfel}\n" },
    { "name_that_makes_no_table", "name: '***'\n" GOOD },
};

static void is_a_good_job(void **state)
{
    const struct good *row = *state;
    struct job j;
    read_at(&j, "job.yaml", row->yaml);
    job_free(&j);
}

static void the_table_is_named_after_something(void **state)
{
    (void)state;
    static const struct {
        const char *path, *yaml, *name, *table;
    } rows[] = {
        { "a/late-flights.yml", GOOD, "late-flights", "late_flights" },
        { "2008.yaml", GOOD, "2008", "t_2008" },
        { "x.yaml", "name: My Job!\n" GOOD, "My Job!", "My_Job" },
        { "sqlite_stuff.yaml", GOOD, "sqlite_stuff", "t_sqlite_stuff" },
        { "x.yaml", "name: n\n" GOOD "limits: {}\n", "n", "n" },
    };
    for (size_t i = 0; i < N_OF(rows); i++) {
        struct job j;
        read_at(&j, rows[i].path, rows[i].yaml);
        assert_string_equal(rows[i].name, j.name);
        assert_string_equal(rows[i].table, j.table);
        job_free(&j);
    }
}

static void canonical_of(const char *path, const char *yaml, struct buf *out)
{
    struct job j;
    read_at(&j, path, yaml);
    PASS(&e, job_canonical(&j, out, &e));
    job_free(&j);
}

// The same text after the change, or another one.
static void compare(const char *a, const char *b, bool same)
{
    struct buf x = { 0 }, y = { 0 };
    canonical_of("job.yaml", a, &x);
    canonical_of("elsewhere/job.yaml", b, &y);
    if ((x.n == y.n && memcmp(x.p, y.p, x.n) == 0) != same)
        fail_msg("should be %s:\n%s\n%s", same ? "equal" : "different", x.p, y.p);
    buf_free(&x);
    buf_free(&y);
}

#define J(source, rest) \
    "source: {csv: a.csv" source "}\nload: {into: 'sqlite:w.db', table: t}\n" rest

#define L(load) "source: {csv: a.csv}\nload: {into: 'sqlite:w.db', table: t" load "}\n"

static void what_does_not_change_rows_does_not_change_the_identity(void **state)
{
    (void)state;
    static const char base[] = J("", "");
    compare(base, base, true);
    compare(base, J("", "charts: [{x: a, y: b, title: c}]\n"), true);
    compare(base, J("", "name: other\n"), true);
    compare(base, J("", "limits: {bad_rows: 5, retries: 9, memory: 1GiB}\n"), true);
    compare(base, J("", "workers: {local: 7}\nbatch: {bytes: 64KiB}\n"), true);
    compare(base, J(", null: ['']", ""), true);
    compare(base, J(", delimiter: ',', header: true", ""), true);
    compare(base, J("", "transform: none\n"), true);
    compare(L(""), L(", indexes: [[a], [b, c]]"), true);
    compare(J(", types: {a: text, b: real}", ""), J(", types: {b: real, a: text}", ""),
            true);
    compare(J(", null: [x, y, x]", ""), J(", null: [y, x]", ""), true);
    compare(J("", "params: {a: {sql: x}, b: {sql: y}}\n"),
            J("", "params: {b: {sql: y}, a: {sql: x}}\n"), true);
}

#define FORECAST(rest)                                          \
    "source: {sqlite: a.db, query: q}\nload: {into: 'null:'}\n" \
    "batch: {by: g}\ntransform: {forecast: " rest "}\n"

static void all_of_a_forecast_is_in_the_identity(void **state)
{
    (void)state;
    static const char *const others[] = {
        FORECAST("{periods: 4}"),
        FORECAST("{periods: 3, by: [g, h]}"),
        FORECAST("{periods: 3, ds: a}"),
        FORECAST("{periods: 3, y: a}"),
        FORECAST("{periods: 3, every: week}"),
        FORECAST("{periods: 3, holidays: none}"),
        FORECAST("{periods: 3, interval: 0.9}"),
    };
    compare(FORECAST("3"), FORECAST("{periods: 3, by: g, interval: 80%, ds: ds}"), true);
    for (size_t i = 0; i < N_OF(others); i++)
        compare(FORECAST("3"), others[i], false);
}

static void what_changes_rows_changes_the_identity(void **state)
{
    (void)state;
    static const char base[] = J("", "");
    compare(base, "source: {csv: b.csv}\nload: {into: 'sqlite:w.db', table: t}\n", false);
    compare(base, "source: {csv: a.csv}\nload: {into: 'sqlite:v.db', table: t}\n", false);
    compare(base, "source: {csv: a.csv}\nload: {into: 'sqlite:w.db', table: u}\n", false);
    compare(base,
            "source: {csv: a.csv}\nload: {into: 'sqlite:w.db', table: t, mode: replace}\n",
            false);
    compare(L(", mode: upsert, key: [a]"), L(", mode: upsert, key: [b]"), false);
    compare(L(", mode: upsert, key: [a]"), L(", mode: upsert, key: [a, b]"), false);
    compare(L(", mode: incremental, watermark: a"), L(", mode: incremental, watermark: b"),
            false);
    compare(base, J(", delimiter: ;", ""), false);
    compare(base, J(", quote: none", ""), false);
    compare(base, J(", header: false", ""), false);
    compare(base, J(", header: [a]", ""), false);
    compare(base, J(", types: {a: text}", ""), false);
    compare(base, J(", null: []", ""), false);
    compare(base, J(", null: ['', NA]", ""), false);
    compare(base, J("", "transform: {sql: SELECT 1}\n"), false);
    compare(base, J("", "params: {a: {sql: x}}\n"), false);
    compare(base, J("", "tables: {a: x.csv}\n"), false);
    compare(J("", "params: {a: {sql: x}}\n"), J("", "params: {a: {sql: y}}\n"), false);
    compare(J("", "tables: {a: x.csv}\n"), J("", "tables: {a: y.csv}\n"), false);
    compare(J(", header: [ab]", ""), J(", header: [a, b]", ""), false);
    compare(J("", "transform: [{sql: A}, {sql: B}]\n"),
            J("", "transform: [{sql: B}, {sql: A}]\n"), false);
}

static void the_identity_is_pinned(void **state)
{
    (void)state;
    struct buf text = { 0 };
    canonical_of(
        "job.yaml",
        J(", types: {b: text}", "transform: {sql: SELECT 1}\nparams: {p: {sql: Q}}\n"),
        &text);
    assert_string_equal("tranche-job 1:1\ncsv 5:a.csv\ndialect 44 34\nheader 4:true\n"
                        "type 1:b\n= 4:text\nnull 0:\nsql 8:SELECT 1\nparam 1:p\n= 1:Q\n"
                        "into 11:sqlite:w.db\ntable 1:t\nmode 6:append\n",
                        (char *)text.p);
    buf_free(&text);
}

static void columns_of_ways_to_load_are_read(void **state)
{
    (void)state;
    struct job j;
    read_at(&j, "job.yaml",
            L(", mode: upsert, key: [a, 'b,c'], indexes: [[d], e, [f, g]]"));
    EQ_I64(MODE_UPSERT, j.mode);
    EQ_I64(2, j.key.n);
    assert_string_equal("b,c", j.key.v[1]);
    EQ_I64(3, j.n_indexes);
    assert_string_equal("e", j.indexes[1].v[0]);
    assert_string_equal("g", j.indexes[2].v[1]);
    job_free(&j);
    read_at(&j, "job.yaml", L(", mode: incremental, watermark: ds"));
    EQ_I64(MODE_INCREMENTAL, j.mode);
    assert_string_equal("ds", j.watermark);
    job_free(&j);
}

static void a_file_is_read_from_disk(void **state)
{
    (void)state;
    char dir[] = "/tmp/test_conf_XXXXXX", path[64], want[96];
    struct job j;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/j.yaml", dir);
    FILE *f = fopen(path, "w");
    fputs("source: {csv: a.csv}\nload: {into: 'sqlite:w.db'}\n", f);
    fclose(f);
    PASS(&e, job_from_file(&j, path, NULL, &e));
    assert_string_equal(dir, j.dir);
    snprintf(want, sizeof want, "%s/a.csv", dir);
    assert_string_equal(want, j.file_paths.v[0]);
    snprintf(want, sizeof want, "sqlite:%s/w.db", dir);
    assert_string_equal(want, j.into);
    job_free(&j);
    remove(path);
    rmdir(dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_job_gets_every_default),
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(sql_knows_where_it_begins),
        cmocka_unit_test(the_table_is_named_after_something),
        cmocka_unit_test(what_does_not_change_rows_does_not_change_the_identity),
        cmocka_unit_test(what_changes_rows_changes_the_identity),
        cmocka_unit_test(all_of_a_forecast_is_in_the_identity),
        cmocka_unit_test(the_identity_is_pinned),
        cmocka_unit_test(columns_of_ways_to_load_are_read),
        cmocka_unit_test(a_file_is_read_from_disk),
    };
    return test_main("conf", tests, N_OF(tests), TABLE(good, is_a_good_job), N_OF(good));
}
