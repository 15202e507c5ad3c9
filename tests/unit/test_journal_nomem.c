// Memory runs out while history is written: it is said, nothing that was written is lost,
// and attempt numbers never go back.

#include "coordinator/journal.h"
#include "tests/no_memory.h"
#include "tests/source_kit.h"

static struct folder dir;
static const struct range r1 = { 0, 0, 100 }, r2 = { 0, 100, 200 };
static const char load[] = "sqlite:wh.db t 1";

struct tries {
    uint32_t last; // attempt number that was written at last
};

static err_t write_history(struct journal *j, struct tries *t, struct err *e)
{
    struct journal_run run = {
        .name = "a", .table = "t", .into = "null:", .status = "running"
    };
    struct journal_live live = { .run = "x", .workers = 1, .to_come = -1 };
    struct journal_attempts past;
    TRY(journal_run_begin(j, &run, "spec", e));
    TRY(journal_attempts_of(j, load, r1, &past, e));
    assert_true(past.last >= t->last);
    uint32_t n = past.last + 1;
    TRY(journal_attempt(j, load, r1, n, "w1", e));
    TRY(journal_attempt(j, load, r2, 1, "w1", e));
    TRY(journal_attempt_end(j, load, r1, n, "failed", 5, 100, "it said no", e));
    TRY(journal_attempt_end(j, load, r2, 1, "ok", 5, 100, NULL, e));
    TRY(journal_event(j, "worker", "w1 is here", e));
    TRY(journal_live_put(j, &live, e));
    TRY(journal_flush(j, e));
    t->last = n;
    run.status = "loaded";
    return journal_run_end(j, &run, e);
}

static int count_run(void *arg, const struct journal_run *run, int64_t started)
{
    (void)started;
    assert_string_equal("a", run->name);
    ++*(int *)arg;
    return 1;
}

static err_t history_once(void *arg, struct err *e)
{
    struct journal *j = NULL;
    struct journal_live live;
    int runs = 0;
    TRY(journal_open(&j, dir.path, "k", e));
    err_t rc = write_history(j, arg, e);
    journal_close(&j);
    if (rc == ERR_OK) rc = journal_runs(dir.path, count_run, &runs, e);
    if (rc == ERR_OK) assert_true(runs >= 1);
    return rc == ERR_OK ? journal_live_get(dir.path, &live, e) : rc;
}

static void history_goes_on_where_memory_ran_out(void **state)
{
    struct tries t = { 0 };
    (void)state;
    dir = folder_new();
    assert_true(no_memory_sweep(history_once, &t) > 5);
    assert_true(t.last >= 1);
    folder_rm(&dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(history_goes_on_where_memory_ran_out),
    };
    return test_main("journal_nomem", tests, N_OF(tests), NULL, 0);
}
