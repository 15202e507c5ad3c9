// What a step of a pipeline depends on, and what is kept of it, while each call fails once:
// an error, or the very facts. Others would have a step run for nothing, or not at all.

#include "coordinator/pipeline_facts.h"
#include "tests/failing_calls.h"
#include "tests/source_kit.h"

static const struct failing_way FAILS[] = {
    { "errors", FAILING_FILES | FAILING_SQLITE, EIO, SQLITE_IOERR, false },
    { "no_memory", FAILING_MEMORY, ENOMEM, SQLITE_NOMEM, false },
};

struct pipe {
    struct folder folder;
    struct job job;
    char db[PATH_SPACE];
    struct strings before, written; // as they are
};

static void same(const struct strings *want, const struct strings *got)
{
    char how[400];
    if (pipeline_facts_differ(want, got, how, sizeof how)) fail_msg("%s", how);
    EQ_I64(want->n, got->n);
}

static err_t before(void *arg, struct err *e)
{
    struct pipe *s = arg;
    struct strings facts = { 0 };
    const char *never;
    err_t rc = pipeline_facts_before(&s->job, &facts, &never, e);
    if (rc == ERR_OK) assert_null(never);
    if (rc == ERR_OK && s->before.n) same(&s->before, &facts);
    if (rc == ERR_OK && !s->before.n) {
        s->before = facts;
        return ERR_OK;
    }
    strings_free(&facts);
    return rc;
}

static err_t written(void *arg, struct err *e)
{
    struct pipe *s = arg;
    struct strings facts = { 0 };
    err_t rc = pipeline_facts_written(&s->job, &facts, e);
    if (rc == ERR_OK && s->written.n) same(&s->written, &facts);
    if (rc == ERR_OK && !s->written.n) {
        s->written = facts;
        return ERR_OK;
    }
    strings_free(&facts);
    return rc;
}

static void begin(struct pipe *s)
{
    sqlite3 *db;
    *s = (struct pipe){ .folder = folder_new() };
    in_folder(&s->folder, "wh.db", s->db);
    assert_int_equal(sqlite3_open(s->db, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "CREATE TABLE t(a); CREATE TABLE u(b, c); "
                                  "CREATE TABLE tranche_runs(load_id, table_name, state, "
                                  "finished); INSERT INTO tranche_runs "
                                  "VALUES(1, 't', 'complete', 7); "
                                  "INSERT INTO u VALUES(1, 'x'), (2, NULL)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    put_text(&s->folder, "in.csv", "a\n1\n");
}

static char *into(const struct pipe *s, const char *scheme, const char *name)
{
    char text[PATH_SPACE + 40];
    snprintf(text, sizeof text, "%s:%s/%s", scheme, s->folder.path, name);
    return strdup(text);
}

static void climb(struct pipe *s, const struct failing_way *f)
{
    struct err e;
    s->job.into_written = strdup("there");
    PASS(&e, before(s, &e));
    PASS(&e, written(s, &e));
    assert_true(s->before.n > 0 && s->written.n > 0);
    assert_true(failing_ladder(f, before, NULL, s) > 0);
    assert_true(failing_ladder(f, written, NULL, s) > 0);
    strings_free(&s->before);
    strings_free(&s->written);
    job_free(&s->job);
    folder_rm(&s->folder);
}

static void files_into_a_table(void **state)
{
    struct pipe s;
    struct err e;
    begin(&s);
    s.job = job_of(&s.folder, "in.csv");
    s.job.into = into(&s, "sqlite", "wh.db");
    s.job.table = strdup("t");
    s.job.delimiter = ',';
    s.job.quote = '"';
    PASS(&e, job_pairs_set(&s.job.params, "above", "SELECT max(b) FROM u", &e));
    climb(&s, *state);
}

static void a_table_into_a_file(void **state)
{
    struct pipe s;
    begin(&s);
    job_init(&s.job);
    s.job.source = SOURCE_SQLITE;
    s.job.sqlite = strdup(s.db);
    s.job.sqlite_written = strdup("wh.db");
    s.job.sqlite_table = strdup("u");
    s.job.into = into(&s, "csv", "in.csv");
    climb(&s, *state);
}

static void a_query_into_parts(void **state)
{
    struct pipe s;
    begin(&s);
    job_init(&s.job);
    s.job.source = SOURCE_SQLITE;
    s.job.sqlite = strdup(s.db);
    s.job.sqlite_written = strdup("wh.db");
    s.job.query = strdup("SELECT b FROM u ORDER BY b");
    s.job.into = into(&s, "csv", "*.csv");
    climb(&s, *state);
}

int main(void)
{
    int failed = test_main("files into a table", NULL, 0, TABLE(FAILS, files_into_a_table),
                           N_OF(FAILS));
    failed += test_main("a table into a file", NULL, 0, TABLE(FAILS, a_table_into_a_file),
                        N_OF(FAILS));
    return failed + test_main("a query into parts", NULL, 0,
                              TABLE(FAILS, a_query_into_parts), N_OF(FAILS));
}
