#include "common/clock.h"
#include "coordinator/journal.h"
#include "tests/folder.h"
#include "tests/test.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char top[TEST_FOLDER], dir[80];
static struct err e;

static int fresh(void **state)
{
    (void)state;
    if (folder_make(top, "test_journal_live") != 0) return -1;
    snprintf(dir, sizeof dir, "%s/.tranche", top);
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

static struct journal_live get(void)
{
    struct journal_live l;
    PASS(&e, journal_live_get(dir, &l, &e));
    return l;
}

static const struct journal_live some = {
    .workers = 3, .slots = 12, .idle_slots = 2, .running = 20, .waiting = 40, .to_come = 500
};

static void a_run_is_seen_as_it_is_at_the_moment(void **state)
{
    (void)state;
    struct journal_run run;
    struct journal *j = begin(&run);
    EQ_I64(JOURNAL_LIVE_NONE, get().state);
    PASS(&e, journal_live_put(j, &some, &e));
    struct journal_live less = some;
    less.waiting = 7;
    less.to_come = -1;
    PASS(&e, journal_live_put(j, &less, &e));
    struct journal_live l = get();
    EQ_I64(JOURNAL_LIVE_RUNS, l.state);
    assert_string_equal(run.id, l.run);
    EQ_I64(3, l.workers);
    EQ_I64(12, l.slots);
    EQ_I64(2, l.idle_slots);
    EQ_I64(20, l.running);
    EQ_I64(7, l.waiting);
    EQ_I64(-1, l.to_come);
    run.status = "loaded";
    PASS(&e, journal_run_end(j, &run, &e));
    EQ_I64(JOURNAL_LIVE_ENDED, get().state);
    EXPECT(ERR_INVALID, &e, journal_live_put(j, &some, &e));
    journal_close(&j);
}

static void the_newest_run_counts(void **state)
{
    (void)state;
    struct journal_run run;
    struct journal *j = begin(&run);
    PASS(&e, journal_live_put(j, &some, &e));
    run.status = "loaded";
    PASS(&e, journal_run_end(j, &run, &e));
    int64_t first = get().seq;
    journal_close(&j);
    j = begin(&run);
    EQ_I64(first, get().seq); // the second takes no workers yet
    PASS(&e, journal_live_put(j, &some, &e));
    struct journal_live l = get();
    EQ_I64(JOURNAL_LIVE_RUNS, l.state);
    assert_true(l.seq > first);
    assert_string_equal(run.id, l.run);
    journal_close(&j);
}

static void of_two_runs_the_one_that_goes_on_counts(void **state)
{
    (void)state;
    struct journal_run first, second = { .name = "b", .status = "running" };
    struct journal *j = begin(&first), *other = NULL;
    PASS(&e, journal_live_put(j, &some, &e));
    PASS(&e, journal_open(&other, dir, "another", &e));
    PASS(&e, journal_run_begin(other, &second, "spec", &e));
    PASS(&e, journal_live_put(other, &some, &e));
    assert_string_equal(second.id, get().run);
    second.status = "loaded";
    PASS(&e, journal_run_end(other, &second, &e));
    assert_string_equal(first.id, get().run);
    EQ_I64(JOURNAL_LIVE_RUNS, get().state);
    first.status = "loaded";
    PASS(&e, journal_run_end(j, &first, &e));
    assert_string_equal(second.id, get().run);
    EQ_I64(JOURNAL_LIVE_ENDED, get().state);
    journal_close(&other);
    journal_close(&j);
}

static void no_history_means_no_run(void **state)
{
    (void)state;
    EQ_I64(JOURNAL_LIVE_NONE, get().state);
    assert_int_not_equal(0, access(dir, F_OK)); // and none is begun by looking
}

static void set(const char *sql)
{
    sqlite3 *db;
    char path[120];
    snprintf(path, sizeof path, "%s/runs.db", dir);
    assert_int_equal(SQLITE_OK, sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL));
    assert_int_equal(SQLITE_OK, sqlite3_exec(db, sql, NULL, NULL, NULL));
    sqlite3_close(db);
}

// Fresh words outweigh a process id, which may be one of another container; and a process
// that lives outweighs silence.
static void only_silence_of_a_process_that_is_gone_is_death(void **state)
{
    (void)state;
    int status;
    struct journal_run run;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct journal *j = NULL;
        run = (struct journal_run){ .name = "a", .status = "running" };
        bool ok = journal_open(&j, dir, "k", &e) == ERR_OK &&
                  journal_run_begin(j, &run, "spec", &e) == ERR_OK &&
                  journal_live_put(j, &some, &e) == ERR_OK;
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(pid, waitpid(pid, &status, 0));
    EQ_I64(0, status);
    EQ_I64(JOURNAL_LIVE_RUNS, get().state);
    set("UPDATE live SET at_ms = at_ms - 60000");
    EQ_I64(JOURNAL_LIVE_DIED, get().state);
    struct journal *j = begin(&run); // ends those that died
    PASS(&e, journal_live_put(j, &some, &e));
    set("UPDATE live SET at_ms = at_ms - 60000");
    EQ_I64(JOURNAL_LIVE_RUNS, get().state);
    journal_close(&j);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        T(a_run_is_seen_as_it_is_at_the_moment),
        T(the_newest_run_counts),
        T(of_two_runs_the_one_that_goes_on_counts),
        T(no_history_means_no_run),
        T(only_silence_of_a_process_that_is_gone_is_death),
    };
    return test_main("journal_live", tests, N_OF(tests), NULL, 0);
}
