// What runs.db forgets: the oldest of each kind, with all that hangs on it, and nothing
// else.

#include "coordinator/journal_prune.h"

#include "coordinator/backlog.h"
#include "coordinator/journal.h"
#include "coordinator/journal_crew.h"
#include "coordinator/journal_stats.h"
#include "coordinator/scheduled_past.h"
#include "tests/source_kit.h"

#include <sqlite3.h>

static struct folder top;
static char dir[100], path[120];
static struct err e;
static struct journal *j;

static int fresh(void **state)
{
    (void)state;
    top = folder_new();
    snprintf(dir, sizeof dir, "%s/.tranche", top.path);
    snprintf(path, sizeof path, "%s/runs.db", dir);
    PASS(&e, journal_open(&j, dir, "k", &e));
    return 0;
}

static int finish(void **state)
{
    (void)state;
    journal_close(&j);
    folder_rm(&top);
    return 0;
}

// The number that the last statement gives.
static int64_t sql(const char *text)
{
    sqlite3 *db;
    sqlite3_stmt *q = NULL;
    int64_t out = -1;
    EQ_I64(SQLITE_OK, sqlite3_open(path, &db));
    while (*text) {
        const char *rest;
        if (sqlite3_prepare_v2(db, text, -1, &q, &rest) != SQLITE_OK)
            fail_msg("%s: %s", sqlite3_errmsg(db), text);
        if (sqlite3_step(q) == SQLITE_ROW) out = sqlite3_column_int64(q, 0);
        EQ_I64(SQLITE_OK, sqlite3_finalize(q));
        text = rest;
    }
    sqlite3_close(db);
    return out;
}

static void run_once(void)
{
    static const struct journal_input input = { .name = "in.csv" };
    struct journal_place place = {
        .load = "l", .inputs = &input, .n_inputs = 1, .database = ""
    };
    struct journal_run run = { .name = "a", .status = "running" };
    struct range r = { 0, 0, 10 };
    PASS(&e, journal_run_begin(j, &run, "spec", &e));
    PASS(&e, journal_stats_begin(j, &place, &e));
    PASS(&e, journal_attempt(j, "l", r, 1, "w", &e));
    PASS(&e, journal_event(j, "note", "text", &e));
    run.status = "loaded";
    PASS(&e, journal_run_end(j, &run, &e));
}

// Runs 2 to n + 1, like the first one.
static void fill(int n, const char *status)
{
    char text[600];
    snprintf(text, sizeof text,
             "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i <= %d)"
             " INSERT INTO runs(seq, id, status, started_ms, holder)"
             " SELECT i, 'r' || i, '%s', (SELECT started_ms FROM runs WHERE seq = 1), ''"
             " FROM n; INSERT INTO attempts(load, input, begin, \"end\", attempt, run)"
             " SELECT 1, 0, seq * 10, seq * 10 + 10, 1, seq FROM runs WHERE seq > 1",
             n, status);
    sql(text);
}

static void
of_10000_runs_the_oldest_is_kept_and_of_one_more_it_goes_with_all_of_it(void **s)
{
    (void)s;
    run_once();
    fill(JOURNAL_KEPT - 2, "loaded");
    run_once(); // number 10,000
    EQ_I64(JOURNAL_KEPT, sql("SELECT count(*) FROM runs"));
    EQ_I64(1, sql("SELECT count(*) FROM run_inputs WHERE run = 1"));
    run_once();
    EQ_I64(JOURNAL_KEPT, sql("SELECT count(*) FROM runs"));
    EQ_I64(2, sql("SELECT min(seq) FROM runs"));
    EQ_I64(0, sql("SELECT count(*) FROM run_inputs WHERE run = 1"));
    EQ_I64(0, sql("SELECT count(*) FROM run_places WHERE run = 1"));
    EQ_I64(0, sql("SELECT count(*) FROM events WHERE run = 1"));
    EQ_I64(2, sql("SELECT count(*) FROM events"));
    EQ_I64(2, sql("SELECT min(run) FROM attempts"));
}

static void a_long_past_shrinks_a_hundred_runs_at_a_time(void **s)
{
    (void)s;
    run_once();
    fill(JOURNAL_KEPT + 249, "loaded");
    const int64_t left[] = { 10151, 10052, 10000, 10000 };
    for (size_t i = 0; i < N_OF(left); i++) {
        run_once();
        EQ_I64(left[i], sql("SELECT count(*) FROM runs"));
        EQ_I64(sql("SELECT min(seq) FROM runs"), sql("SELECT min(run) FROM attempts"));
    }
}

static void what_still_runs_is_kept_unless_it_is_said_so_since_a_month(void **s)
{
    (void)s;
    run_once();
    fill(JOURNAL_KEPT, "running");
    run_once();
    EQ_I64(JOURNAL_KEPT + 1, sql("SELECT count(*) FROM runs")); // without the first, ended
    EQ_I64(2, sql("SELECT min(run) FROM attempts"));
    sql("UPDATE runs SET started_ms = started_ms - 86400000 * 31 WHERE seq = 2");
    run_once();
    EQ_I64(3, sql("SELECT min(seq) FROM runs"));
    EQ_I64(3, sql("SELECT min(run) FROM attempts"));
}

static int64_t add(struct backlog *b, uint64_t token)
{
    int64_t id;
    bool again;
    struct backlog_new n = { .token = { token, 7 },
                             .priority = 50,
                             .name = "n",
                             .owner = "me",
                             .folder = "/tmp",
                             .loads = "",
                             .spec = { (const uint8_t *)"spec", 4 } };
    PASS(&e, backlog_add(b, &n, &id, &again, &e));
    return again ? -id : id;
}

static void the_oldest_jobs_that_are_over_go_and_those_that_wait_stay(void **s)
{
    (void)s;
    struct backlog *b;
    char note[200];
    PASS(&e, backlog_open(&b, dir, note, sizeof note, &e));
    EQ_I64(1, add(b, 1));
    EQ_I64(2, add(b, 2));
    PASS(&e, backlog_start(b, 2, &e));
    PASS(&e, backlog_end(b, 2, 0, "", "", &e));
    sql("WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 10001)"
        " INSERT INTO jobs(id, token, state, priority, name, owner, folder, file,"
        " submitted_ms) SELECT i, 't' || i, 'ended', 50, '', '', '', '', 0 FROM n");
    EQ_I64(-2, add(b, 2)); // known by its token
    EQ_I64(10002, add(b, 3));
    EQ_I64(1, sql("SELECT count(*) FROM jobs WHERE id <= 2")); // 1 waits, 2 was over
    EQ_I64(10003, add(b, 4));
    EQ_I64(10001, sql("SELECT count(*) FROM jobs"));
    EQ_I64(1, sql("SELECT min(id) FROM jobs"));
    EQ_I64(10004, add(b, 2)); // forgotten
    backlog_close(&b);
}

static void of_scheduled_runs_the_last_of_each_job_stays(void **s)
{
    (void)s;
    int64_t row;
    PASS(&e, scheduled_begin(dir, "/yearly", 5, &row, &e));
    PASS(&e, scheduled_begin(dir, "/other", 6, &row, &e));
    sql("WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 10003)"
        " INSERT INTO scheduled(seq, job, began_ms) SELECT i, '/other', i FROM n");
    PASS(&e, scheduled_begin(dir, "/other", 7, &row, &e));
    EQ_I64(10004, row);
    EQ_I64(10001, sql("SELECT count(*) FROM scheduled"));
    EQ_I64(1, sql("SELECT count(*) FROM scheduled WHERE seq < 5"));
    EQ_I64(1, sql("SELECT seq FROM scheduled WHERE job = '/yearly'"));
}

static void who_left_a_run_that_is_over_is_forgotten(void **s)
{
    (void)s;
    struct journal_run run = { .name = "a", .status = "running" };
    run_once();
    PASS(&e, journal_run_begin(j, &run, "spec", &e));
    PASS(&e, journal_retire(dir, 2, "anna", &e));
    EQ_I64(1, sql("SELECT count(*) FROM retired"));
    run.status = "loaded";
    PASS(&e, journal_run_end(j, &run, &e));
    run.status = "running";
    PASS(&e, journal_run_begin(j, &run, "spec", &e));
    PASS(&e, journal_retire(dir, 3, "berta", &e));
    EQ_I64(1, sql("SELECT count(*) FROM retired WHERE run = 3"));
    EQ_I64(1, sql("SELECT count(*) FROM retired"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)
    const struct CMUnitTest tests[] = {
        T(of_10000_runs_the_oldest_is_kept_and_of_one_more_it_goes_with_all_of_it),
        T(a_long_past_shrinks_a_hundred_runs_at_a_time),
        T(what_still_runs_is_kept_unless_it_is_said_so_since_a_month),
        T(the_oldest_jobs_that_are_over_go_and_those_that_wait_stay),
        T(of_scheduled_runs_the_last_of_each_job_stays),
        T(who_left_a_run_that_is_over_is_forgotten),
    };
    return test_main("journal_prune", tests, N_OF(tests), NULL, 0);
}
