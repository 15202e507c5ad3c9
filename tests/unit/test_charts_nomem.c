// Memory runs out while the charts of a run are kept, read and drawn: that is said, and a
// figure is whole or not there.

#include "coordinator/charts.h"
#include "coordinator/journal_charts.h"
#include "tests/no_memory.h"
#include "tests/source_kit.h"

#include <sqlite3.h>

static struct folder dir;
static char path[200];
static struct err said;

static void make_warehouse(void)
{
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/wh.db", dir.path);
    assert_int_equal(SQLITE_OK, sqlite3_open(path, &db));
    assert_int_equal(
        SQLITE_OK,
        sqlite3_exec(db,
                     "CREATE TABLE t(day TEXT, y INT, lo INT, hi INT, g TEXT, k TEXT);"
                     "WITH RECURSIVE c(i) AS (VALUES(0) UNION ALL SELECT i + 1 FROM c WHERE"
                     " i < 4999) INSERT INTO t SELECT date('2000-01-01', i || ' days'), i,"
                     " i - 1, i + 1, 'g' || (i % 2), 'k' || (i % 5) FROM c;"
                     "CREATE TABLE f(ds TEXT, yhat INT, yhat_lower INT, yhat_upper INT, g)",
                     NULL, NULL, NULL));
    sqlite3_close(db);
}

static void add(struct charts *to, const char *x, const char *by, const char *band,
                const char *forecast)
{
    struct chart c = { .table = strdup("t"),
                       .x = strdup(x),
                       .into = strdup(path),
                       .by = by ? strdup(by) : NULL,
                       .forecast = forecast ? strdup(forecast) : NULL };
    PASS(&said, strings_add(&c.y, "y", 1, &said));
    if (band) PASS(&said, strings_add(&c.band, "lo", 2, &said));
    if (band) PASS(&said, strings_add(&c.band, "hi", 2, &said));
    PASS(&said, charts_add(to, &c, &said));
}

static err_t keep_once(void *arg, struct err *e)
{
    struct charts copies = { 0 };
    struct journal *j = NULL;
    struct journal_run run = { .name = "n", .status = "running", .into = "sqlite:wh.db" };
    err_t rc = journal_open(&j, dir.path, "k", e);
    if (rc == ERR_OK) rc = journal_run_begin(j, &run, "spec", e);
    if (rc == ERR_OK) rc = charts_copy(&copies, arg, e);
    if (rc == ERR_OK) rc = journal_charts_put(j, &copies, e);
    run.status = "loaded";
    if (rc == ERR_OK) rc = journal_run_end(j, &run, e);
    charts_free(&copies);
    journal_close(&j);
    return rc;
}

static err_t draw_once(void *arg, struct err *e)
{
    struct buf out = { 0 };
    err_t rc = charts_html(arg, &out, e);
    if (rc == ERR_OK) assert_memory_equal("</figure>\n", out.p + out.n - 10, 10);
    if (rc != ERR_OK) EQ_I64(0, out.n);
    buf_free(&out);
    return rc;
}

static void charts_are_whole_or_an_error(void **state)
{
    struct charts all = { 0 };
    struct past p;
    (void)state;
    dir = folder_new();
    make_warehouse();
    add(&all, "day", "g", "band", NULL);
    add(&all, "day", "g", NULL, "f");
    add(&all, "k", NULL, NULL, NULL);
    assert_true(no_memory_sweep(keep_once, &all) > 20);
    PASS(&said, past_open(&p, dir.path, "last", &said));
    assert_true(no_memory_sweep(draw_once, &p) > 50);
    past_close(&p);
    charts_free(&all);
    folder_rm(&dir);
}

int main(void)
{
    const struct CMUnitTest plain[] = { cmocka_unit_test(charts_are_whole_or_an_error) };
    return test_main("charts_nomem", plain, N_OF(plain), NULL, 0);
}
