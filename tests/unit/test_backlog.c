// The queue of a server: its order, its moves, and what a kill -9 at any of them leaves.

#include "coordinator/backlog.h"

#include "common/clock.h"
#include "coordinator/journal.h"
#include "coordinator/run_lock.h"
#include "tests/source_kit.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

static struct folder top;
static char dir[100];
static struct err e;
static struct backlog *b;

static void open_it(void)
{
    char note[200];
    PASS(&e, backlog_open(&b, dir, note, sizeof note, &e));
    assert_string_equal("", note);
}

static int fresh(void **state)
{
    (void)state;
    struct run_lock *l;
    top = folder_new();
    snprintf(dir, sizeof dir, "%s/.tranche", top.path);
    PASS(&e, run_lock_take(&l, dir, "k", &e)); // makes the folders, as a server does
    run_lock_release(&l);
    open_it();
    return 0;
}

static int finish(void **state)
{
    (void)state;
    backlog_close(&b);
    folder_rm(&top);
    return 0;
}

static int64_t add_as(uint64_t token, uint32_t priority, const char *loads, bool *again)
{
    int64_t id;
    struct backlog_new n = { .token = { token, 7 },
                             .priority = priority,
                             .name = "name",
                             .owner = "me",
                             .folder = "/tmp",
                             .loads = loads,
                             .spec = { (const uint8_t *)"spec", 4 } };
    PASS(&e, backlog_add(b, &n, &id, again, &e));
    return id;
}

static int64_t add(uint32_t priority)
{
    static uint64_t token = 1000;
    bool again;
    int64_t id = add_as(token++, priority, "sqlite:a t\n", &again);
    assert_false(again);
    return id;
}

static bool any(void *arg, const char *loads)
{
    (void)arg;
    (void)loads;
    return true;
}

static int64_t next(void)
{
    int64_t id;
    PASS(&e, backlog_next(b, any, NULL, &id, &e));
    return id;
}

static struct backlog_job seen;
static char seen_run[60], seen_error[200];

static bool see(void *arg, const struct backlog_job *j)
{
    *(int *)arg += 1;
    seen = *j;
    snprintf(seen_run, sizeof seen_run, "%s", j->run);
    snprintf(seen_error, sizeof seen_error, "%s", j->error);
    return true;
}

static enum backlog_state state_of(int64_t id)
{
    int n = 0;
    PASS(&e, backlog_each(b, id, 1, see, &n, &e));
    EQ_I64(1, n);
    EQ_I64(id, seen.id);
    return seen.state;
}

static void jobs_go_by_priority_and_then_by_age(void **state)
{
    (void)state;
    int64_t low = add(10), a = add(50), c = add(50), high = add(90);
    const int64_t want[] = { high, a, c, low };
    for (size_t i = 0; i < N_OF(want); i++) {
        EQ_I64(want[i], next());
        PASS(&e, backlog_start(b, want[i], &e));
        EQ_I64(BACKLOG_RUNNING, state_of(want[i]));
    }
    EQ_I64(0, next());
}

static void what_was_interrupted_goes_before_all_others(void **state)
{
    (void)state;
    uint32_t n;
    int64_t first = add(10);
    PASS(&e, backlog_start(b, first, &e));
    int64_t high = add(100);
    EQ_I64(high, next());
    backlog_close(&b); // as if the server had died
    open_it();
    PASS(&e, backlog_recover(b, &n, &e));
    EQ_I64(1, n);
    EQ_I64(BACKLOG_QUEUED, state_of(first));
    EQ_I64(1, seen.starts);
    EQ_I64(first, next());
    PASS(&e, backlog_start(b, first, &e));
    EQ_I64(high, next());
    PASS(&e, backlog_requeue(b, first, &e));
    EQ_I64(first, next());
}

static bool not_a(void *arg, const char *loads)
{
    (void)arg;
    return strcmp(loads, "a\n") != 0;
}

static void a_job_that_may_not_begin_yet_is_passed_by(void **state)
{
    (void)state;
    bool again;
    int64_t id, a = add_as(1, 90, "a\n", &again), c = add_as(2, 10, "c\n", &again);
    PASS(&e, backlog_next(b, not_a, NULL, &id, &e));
    EQ_I64(c, id);
    EQ_I64(a, next());
}

static void the_same_token_is_the_same_job(void **state)
{
    (void)state;
    bool again;
    int64_t id = add_as(5, 50, "", &again);
    assert_false(again);
    EQ_I64(id, add_as(5, 50, "", &again));
    assert_true(again);
    PASS(&e, backlog_start(b, id, &e));
    PASS(&e, backlog_end(b, id, 0, "r", "", &e));
    EQ_I64(id, add_as(5, 50, "", &again)); // long over, and still not again
    EQ_I64(0, next());
    assert_true(add_as(6, 50, "", &again) > id);
}

static void a_job_ends_once_and_what_it_was_is_forgotten(void **state)
{
    (void)state;
    struct buf spec = { 0 }, loads = { 0 };
    int64_t id = add(50);
    PASS(&e, backlog_spec(b, id, &spec, &loads, &e));
    EQ_I64(4, spec.n);
    assert_string_equal("spec", (char *)spec.p);
    assert_string_equal("sqlite:a t\n", (char *)loads.p);
    EXPECT(ERR_INVALID, &e, backlog_end(b, id, 0, "", "", &e)); // it never began
    PASS(&e, backlog_start(b, id, &e));
    EXPECT(ERR_INVALID, &e, backlog_start(b, id, &e));
    PASS(&e, backlog_end(b, id, 4, "20261122-x", "sentence", &e));
    EXPECT(ERR_INVALID, &e, backlog_end(b, id, 0, "", "", &e));
    EXPECT(ERR_INVALID, &e, backlog_requeue(b, id, &e));
    EQ_I64(BACKLOG_ENDED, state_of(id));
    EQ_I64(4, seen.exit_code);
    assert_string_equal("20261122-x", seen_run);
    assert_string_equal("sentence", seen_error);
    assert_true(seen.ended_ms >= seen.started_ms && seen.started_ms >= seen.submitted_ms);
    spec.n = 0;
    PASS(&e, backlog_spec(b, id, &spec, &loads, &e));
    EQ_I64(0, spec.n);
    buf_free(&spec);
    buf_free(&loads);
    EXPECT(ERR_INVALID, &e, backlog_spec(b, 99, &spec, &loads, &e));
    assert_string_equal("there is no job 99; 'tranche jobs' lists them", e.text);
}

static void a_queued_job_is_cancelled_at_once(void **state)
{
    (void)state;
    bool runs = true;
    int64_t id = add(50);
    PASS(&e, backlog_cancel(b, id, &runs, &e));
    assert_false(runs);
    EQ_I64(BACKLOG_CANCELLED, state_of(id));
    EQ_I64(130, seen.exit_code);
    EQ_I64(0, next());
    EXPECT(ERR_INVALID, &e, backlog_cancel(b, id, &runs, &e));
    assert_string_equal("job 1 is cancelled already", e.text);
    EXPECT(ERR_INVALID, &e, backlog_cancel(b, 12, &runs, &e));
    EXPECT(ERR_INVALID, &e, backlog_cancel(b, 0, &runs, &e));
}

static void a_running_job_is_cancelled_when_it_has_stopped(void **state)
{
    (void)state;
    bool runs = false;
    int64_t stopped = add(50), ended = add(50), lost = add(50);
    const int64_t all[] = { stopped, ended, lost };
    for (size_t i = 0; i < N_OF(all); i++) {
        PASS(&e, backlog_start(b, all[i], &e));
        PASS(&e, backlog_cancel(b, all[i], &runs, &e));
        assert_true(runs);
        EQ_I64(BACKLOG_RUNNING, state_of(all[i]));
        assert_true(seen.stopping);
    }
    PASS(&e, backlog_end(b, stopped, 130, "", "", &e));
    EQ_I64(BACKLOG_CANCELLED, state_of(stopped));
    PASS(&e, backlog_end(b, ended, 3, "", "", &e)); // it was faster
    EQ_I64(BACKLOG_ENDED, state_of(ended));
    EQ_I64(3, seen.exit_code);
    EXPECT(ERR_INVALID, &e, backlog_cancel(b, ended, &runs, &e));
    assert_string_equal("job 2 has ended already, with exit code 3", e.text);
    uint32_t n; // the server dies before the job has stopped
    PASS(&e, backlog_recover(b, &n, &e));
    EQ_I64(BACKLOG_CANCELLED, state_of(lost));
    EQ_I64(130, seen.exit_code);
    assert_false(seen.stopping);
    EQ_I64(0, next());
}

static void the_newest_are_listed_oldest_first(void **state)
{
    (void)state;
    int n = 0;
    for (int i = 0; i < 5; i++)
        add(50);
    PASS(&e, backlog_each(b, 0, 3, see, &n, &e));
    EQ_I64(3, n);
    EQ_I64(5, seen.id);
    assert_string_equal("running", backlog_state_text(BACKLOG_RUNNING));
    assert_string_equal("?", backlog_state_text(17));
}

static void the_run_of_a_process_is_found(void **state)
{
    (void)state;
    struct journal *j;
    struct journal_run run = { .name = "a", .status = "running" };
    char holder[RUN_LOCK_HOLDER], id[40];
    run_lock_holder(holder);
    PASS(&e, backlog_run_of(b, holder, 0, id, &e));
    assert_string_equal("", id);
    PASS(&e, journal_open(&j, dir, "k", &e));
    PASS(&e, journal_run_begin(j, &run, "spec", &e));
    PASS(&e, backlog_run_of(b, holder, 0, id, &e));
    assert_string_equal(run.id, id);
    PASS(&e, backlog_run_of(b, holder, clock_wall_ms() + 1000000, id, &e));
    assert_string_equal("", id);
    journal_close(&j);
}

static void a_full_queue_takes_no_more(void **state)
{
    (void)state;
    bool again;
    sqlite3 *db;
    char path[140];
    snprintf(path, sizeof path, "%s/runs.db", dir);
    EQ_I64(SQLITE_OK, sqlite3_open(path, &db));
    EQ_I64(SQLITE_OK,
           sqlite3_exec(db,
                        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c"
                        " WHERE x < 10000) INSERT INTO jobs(token, state, priority, name,"
                        " owner, folder, file, submitted_ms) SELECT 'x' || x, 'queued', 1,"
                        " '', '', '', '', 1 FROM c",
                        NULL, NULL, NULL));
    sqlite3_close(db);
    int64_t id;
    struct backlog_new n = { .token = { 1, 2 }, .name = "", .folder = "/", .priority = 1 };
    EXPECT(ERR_TOOBIG, &e, backlog_add(b, &n, &id, &again, &e));
    assert_string_equal("the queue is full: 10000 jobs wait", e.text);
}

// ---- kill -9 ----

#ifdef TRANCHE_TEST_HOOKS
// What a server does with one job, and with another that is cancelled.
static void live(void)
{
    bool again, runs;
    int64_t a, c = 0, id;
    uint32_t n;
    struct backlog_new new = { .token = { 1, 1 },
                               .priority = 50,
                               .name = "a",
                               .folder = "/",
                               .spec = { (const uint8_t *)"x", 1 } };
    struct backlog_new other = new;
    other.token.lo = 2;
    bool ok = backlog_recover(b, &n, &e) == ERR_OK;
    ok = ok && backlog_add(b, &new, &a, &again, &e) == ERR_OK;
    ok = ok && backlog_add(b, &other, &c, &again, &e) == ERR_OK;
    (void)!backlog_cancel(b, c, &runs, &e); // or it is that already
    if (ok && backlog_next(b, any, NULL, &id, &e) == ERR_OK && id) {
        ok = id == a && backlog_start(b, a, &e) == ERR_OK;
        ok = ok && backlog_end(b, a, 0, "run", "", &e) == ERR_OK;
    }
    _exit(ok ? 0 : 1);
}

// *killed: it was, and did not come to its end.
static void live_and_die(const char *at, bool *killed)
{
    int status;
    backlog_close(&b);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (at) setenv("TRANCHE_CRASH_AT", at, 1);
        open_it();
        live();
    }
    EQ_I64(pid, waitpid(pid, &status, 0));
    *killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!*killed) EQ_I64(0, WEXITSTATUS(status));
    open_it();
}

static void killed_at_any_point_every_job_ends_once(void **state)
{
    (void)state;
    static const char *const points[] = { "backlog-before-add",  "backlog-added",
                                          "backlog-before-move", "backlog-moved",
                                          "backlog-before-stop", "backlog-stop-noted" };
    for (size_t i = 0; i < N_OF(points); i++) {
        bool killed = true;
        int kills = 0;
        for (int nth = 1; killed; nth++) {
            char at[60];
            snprintf(at, sizeof at, "%s:%d", points[i], nth);
            finish(NULL);
            fresh(NULL);
            live_and_die(at, &killed);
            kills += killed;
            bool again_killed;
            live_and_die(NULL, &again_killed);
            assert_false(again_killed);
            int n = 0;
            PASS(&e, backlog_each(b, 0, 100, see, &n, &e));
            EQ_I64(2, n);
            EQ_I64(BACKLOG_ENDED, state_of(1));
            assert_string_equal("run", seen_run);
            EQ_I64(BACKLOG_CANCELLED, state_of(2));
        }
        assert_true(kills > 0);
    }
}
#endif

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)
    const struct CMUnitTest tests[] = {
        T(jobs_go_by_priority_and_then_by_age),
        T(what_was_interrupted_goes_before_all_others),
        T(a_job_that_may_not_begin_yet_is_passed_by),
        T(the_same_token_is_the_same_job),
        T(a_job_ends_once_and_what_it_was_is_forgotten),
        T(a_queued_job_is_cancelled_at_once),
        T(a_running_job_is_cancelled_when_it_has_stopped),
        T(the_newest_are_listed_oldest_first),
        T(the_run_of_a_process_is_found),
        T(a_full_queue_takes_no_more),
#ifdef TRANCHE_TEST_HOOKS
        T(killed_at_any_point_every_job_ends_once),
#endif
    };
    return test_main("backlog", tests, N_OF(tests), NULL, 0);
}
