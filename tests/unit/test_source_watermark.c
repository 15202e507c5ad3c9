// :watermark in the query of an SQLite source.

#include "coordinator/source.h"
#include "tests/test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static int set_up(void **state)
{
    sqlite3 *db;
    (void)state;
    snprintf(path, sizeof path, "/tmp/test_source_watermark_%d.db", (int)getpid());
    unlink(path);
    return sqlite3_open(path, &db) != SQLITE_OK ||
           sqlite3_exec(db,
                        "CREATE TABLE t(ds TEXT, n INTEGER); INSERT INTO t VALUES"
                        "('2024-01-01', -5), ('2024-01-02', 7)",
                        NULL, NULL, NULL) != SQLITE_OK ||
           sqlite3_close(db) != SQLITE_OK;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static struct job job_with(const char *query, enum job_mode mode)
{
    struct job j;
    job_init(&j);
    j.source = SOURCE_SQLITE;
    j.sqlite = strdup(path);
    j.sqlite_written = strdup(path);
    j.into = strdup("null:");
    j.query = strdup(query);
    j.mode = mode;
    return j;
}

static uint64_t rows_above(const char *query, const struct cell *watermark)
{
    struct err e;
    struct job j = job_with(query, MODE_INCREMENTAL);
    struct source *s;
    struct schema names = { 0 }, out = { 0 };
    struct buf trial = { 0 };
    uint64_t rows;
    PASS(&e, source_open_above(&s, &j, watermark, &e));
    PASS(&e, source_names(s, &names, NULL, &e));
    PASS(&e, source_infer(s, &j, &out, &trial, &rows, &e));
    schema_free(&names);
    schema_free(&out);
    buf_free(&trial);
    source_close(&s);
    job_free(&j);
    return rows;
}

static void without_one_every_row_is_above(void **state)
{
    (void)state;
    EQ_I64(2, rows_above("SELECT * FROM t WHERE ds > :watermark", NULL));
    EQ_I64(2, rows_above("SELECT * FROM t WHERE n > $watermark", NULL));
}

static void with_one_rows_above_it_are_read(void **state)
{
    (void)state;
    struct cell day = { .kind = CELL_TEXT, .len = 10, .p = (const uint8_t *)"2024-01-01" };
    struct cell n = { .kind = CELL_INTEGER, .i = 7 };
    EQ_I64(1, rows_above("SELECT * FROM t WHERE ds > @watermark", &day));
    EQ_I64(0, rows_above("SELECT * FROM t WHERE n > :watermark", &n));
}

static void refused(const char *query, enum job_mode mode, const char *why)
{
    struct err e;
    struct job j = job_with(query, mode);
    struct source *s = NULL;
    EXPECT(ERR_INVALID, &e, source_open(&s, &j, &e));
    if (!strstr(e.text, why)) fail_msg("'%s' lacks '%s'", e.text, why);
    job_free(&j);
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    refused("SELECT :foo", MODE_INCREMENTAL, "':foo' is nothing that is bound here");
    refused("SELECT ?", MODE_INCREMENTAL, "is nothing that is bound here");
    refused("SELECT :watermark", MODE_APPEND, "give load.mode incremental");
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        EACH(without_one_every_row_is_above),
        EACH(with_one_rows_above_it_are_read),
        EACH(anything_else_is_refused),
    };
    return test_main("source_watermark", tests, N_OF(tests), NULL, 0);
}
