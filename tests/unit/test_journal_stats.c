// What runs.db keeps for explain and report.

#include "coordinator/journal_stats.h"
#include "tests/folder.h"
#include "tests/test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char top[TEST_FOLDER], dir[80], db_path[100];
static struct err e;

static int fresh(void **state)
{
    (void)state;
    if (folder_make(top, "test_journal_stats") != 0) return -1;
    snprintf(dir, sizeof dir, "%s/.tranche", top);
    snprintf(db_path, sizeof db_path, "%s/runs.db", dir);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    return folder_remove(top);
}

static struct journal *begin(struct journal_run *run)
{
    struct journal *j = NULL;
    *run = (struct journal_run){ .name = "a", .status = "running" };
    PASS(&e, journal_open(&j, dir, "k", &e));
    PASS(&e, journal_run_begin(j, run, "spec", &e));
    return j;
}

static int64_t query(const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *q;
    assert_int_equal(SQLITE_OK, sqlite3_open_v2(db_path, &db, SQLITE_OPEN_READONLY, NULL));
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    assert_int_equal(SQLITE_ROW, sqlite3_step(q));
    int64_t n = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return n;
}

static void inputs_are_kept_up_to_a_limit(void **state)
{
    (void)state;
    struct journal_run run;
    struct journal *j = begin(&run);
    uint32_t n = JOURNAL_INPUTS_MAX + 10;
    struct journal_input *v = calloc(n, sizeof *v);
    assert_non_null(v);
    for (uint32_t i = 0; i < n; i++)
        v[i] = (struct journal_input){ .name = "a'b\x01.csv", .begin = 3, .size = i };
    struct journal_place p = { "load", 7, "/x/wh.db", v, n, 12 };
    PASS(&e, journal_stats_begin(j, &p, &e));
    PASS(&e, journal_stats_begin(j, &p, &e)); // again does no harm
    free(v);
    journal_close(&j);
    EQ_I64(JOURNAL_INPUTS_MAX, query("SELECT count(*) FROM run_inputs"));
    EQ_I64(7, query("SELECT load_id FROM run_places WHERE database = '/x/wh.db'"));
    EQ_I64(12, query("SELECT job FROM run_jobs"));
}

static void thinning_keeps_the_samples_whose_numbers_it_names(void **state)
{
    (void)state;
    struct journal_run run;
    struct journal *j = begin(&run);
    for (uint64_t i = 0; i < 10; i++) {
        struct journal_sample s = { .at_ms = (int64_t)i * 100, .rows_read = i };
        PASS(&e, journal_sample_put(j, i, &s, &e));
    }
    PASS(&e, journal_samples_thin(j, 2, &e));
    EQ_I64(5, query("SELECT count(*) FROM run_samples"));
    EQ_I64(20, query("SELECT sum(rows_read) FROM run_samples"));
    PASS(&e, journal_samples_thin(j, 4, &e));
    EQ_I64(12, query("SELECT sum(rows_read) FROM run_samples"));
    journal_close(&j);
}

static void a_worker_has_one_row_and_the_cache_one_a_stretch(void **state)
{
    (void)state;
    struct journal_run run;
    struct journal *j = begin(&run);
    struct journal_worker w[2] = { { .name = "a", .chunks = 1, .left_ms = -1 },
                                   { .name = "b", .chunks = 2 } };
    PASS(&e, journal_workers_put(j, w, 2, &e));
    w[0].chunks = 5;
    PASS(&e, journal_workers_put(j, w, 1, &e));
    PASS(&e, journal_reused_put(j, (struct range){ 0, 10, 90 }, 8, "", &e));
    PASS(&e, journal_reused_put(j, (struct range){ 0, 90, 95 }, 1, "why", &e));
    journal_close(&j);
    EQ_I64(2, query("SELECT count(*) FROM run_workers"));
    EQ_I64(7, query("SELECT sum(chunks) FROM run_workers"));
    EQ_I64(8, query("SELECT sum(chunks) FROM run_reused WHERE why = ''"));
}

static void what_a_run_has_done_so_far_is_one_row(void **state)
{
    (void)state;
    struct journal_run run;
    struct journal *j = begin(&run);
    struct journal_now n = { .at_ms = 1000, .rows_read = 5, .to_come = -1 };
    PASS(&e, journal_now_put(j, &n, &e));
    n = (struct journal_now){ .at_ms = 2000, .rows_read = 9, .results = 3 };
    PASS(&e, journal_now_put(j, &n, &e));
    journal_close(&j);
    EQ_I64(1, query("SELECT count(*) FROM run_now"));
    EQ_I64(2012, query("SELECT at_ms + rows_read + to_come + results FROM run_now"));
}

static void without_a_run_there_is_nothing_to_keep(void **state)
{
    (void)state;
    struct journal *j = NULL;
    PASS(&e, journal_open(&j, dir, "k", &e));
    EXPECT(ERR_INVALID, &e, journal_sample_put(j, 0, &(struct journal_sample){ 0 }, &e));
    assert_string_equal("no run was begun", e.text);
    EXPECT(ERR_INVALID, &e, journal_workers_put(j, NULL, 0, &e));
    journal_close(&j);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)
    const struct CMUnitTest plain[] = {
        T(inputs_are_kept_up_to_a_limit),
        T(thinning_keeps_the_samples_whose_numbers_it_names),
        T(a_worker_has_one_row_and_the_cache_one_a_stretch),
        T(what_a_run_has_done_so_far_is_one_row),
        T(without_a_run_there_is_nothing_to_keep),
    };
    return test_main("journal_stats", plain, N_OF(plain), NULL, 0);
}
