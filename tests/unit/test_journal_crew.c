// The workers of the runs that go on, and who is to leave.

#include "coordinator/journal_crew.h"

#include "common/clock.h"
#include "coordinator/journal_stats.h"
#include "coordinator/run_lock.h"
#include "tests/source_kit.h"

static struct folder top;
static char dir[100];
static struct err e;

static int fresh(void **state)
{
    (void)state;
    top = folder_new();
    snprintf(dir, sizeof dir, "%s/.tranche", top.path);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    folder_rm(&top);
    return 0;
}

static struct journal *begin(struct journal_run *run)
{
    struct journal *j = NULL;
    static const struct journal_input input = { .name = "in.csv" };
    struct journal_place place = {
        .load = "l", .inputs = &input, .n_inputs = 1, .database = ""
    };
    struct journal_worker w[] = {
        { .name = "(coordinator)", .role = "coordinator", .left_ms = -1 },
        { .name = "anna", .role = "remote", .host = "h", .slots = 3, .left_ms = -1 },
        { .name = "berta", .role = "remote", .host = "h", .slots = 1, .left_ms = 10 },
        { .name = "local", .role = "local", .host = "me", .slots = 2, .left_ms = -1 },
    };
    *run = (struct journal_run){ .name = "a", .status = "running" };
    PASS(&e, journal_open(&j, dir, "k", &e));
    PASS(&e, journal_run_begin(j, run, "spec", &e));
    PASS(&e, journal_stats_begin(j, &place, &e));
    PASS(&e, journal_workers_put(j, w, N_OF(w), &e));
    return j;
}

static char seen[400]; // "anna remote h 3 in.csv 0-10; ..."
static int64_t run_seq;
static bool leaving;

static bool see(void *arg, const struct journal_member *m)
{
    size_t n = strlen(seen);
    char me[RUN_LOCK_HOLDER];
    (void)arg;
    run_lock_holder(me);
    assert_string_equal(me, m->holder);
    run_seq = m->run;
    if (!strcmp(m->name, "anna")) leaving = m->leaving;
    n += (size_t)snprintf(seen + n, sizeof seen - n, "%s %s %s %u", m->name, m->role,
                          m->host, m->slots);
    if (m->chunks)
        n += (size_t)snprintf(seen + n, sizeof seen - n, " %s %llu-%llu", m->input,
                              (unsigned long long)m->begin, (unsigned long long)m->end);
    snprintf(seen + n, sizeof seen - n, "; ");
    return true;
}

static void crew_is(const char *want)
{
    seen[0] = 0;
    PASS(&e, journal_crew(dir, see, NULL, &e));
    assert_string_equal(want, seen);
}

static void count(void *arg, const char *name, int64_t asked_ms)
{
    assert_string_equal("anna", name);
    assert_true(asked_ms > 0 && asked_ms <= clock_wall_ms());
    *(int *)arg += 1;
}

static void who_is_here_and_what_they_work_on(void **state)
{
    (void)state;
    struct journal_run run;
    crew_is(""); // no history at all
    struct journal *j = begin(&run);
    crew_is("anna remote h 3; local local me 2; ");
    struct range r = { .input = 0, .begin = 0, .end = 10 };
    PASS(&e, journal_attempt(j, "l", r, 1, "anna", &e));
    PASS(&e, journal_flush(j, &e));
    crew_is("anna remote h 3 in.csv 0-10; local local me 2; ");
    PASS(&e, journal_attempt_end(j, "l", r, 1, "ok", 1, 1, "", &e));
    PASS(&e, journal_flush(j, &e));
    crew_is("anna remote h 3; local local me 2; ");
    run.status = "loaded";
    PASS(&e, journal_run_end(j, &run, &e));
    crew_is("");
    journal_close(&j);
}

static void a_worker_that_is_to_leave_is_told_to_its_run(void **state)
{
    (void)state;
    int n = 0;
    struct journal_run run;
    struct journal *j = begin(&run);
    PASS(&e, journal_retired(j, count, &n, &e));
    EQ_I64(0, n);
    crew_is("anna remote h 3; local local me 2; ");
    assert_false(leaving);
    PASS(&e, journal_retire(dir, run_seq, "anna", &e));
    PASS(&e, journal_retire(dir, run_seq, "anna", &e));
    PASS(&e, journal_retire(dir, run_seq + 1, "berta", &e)); // of another run
    PASS(&e, journal_retired(j, count, &n, &e));
    EQ_I64(1, n);
    crew_is("anna remote h 3; local local me 2; ");
    assert_true(leaving);
    journal_close(&j);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)
    const struct CMUnitTest tests[] = {
        T(who_is_here_and_what_they_work_on),
        T(a_worker_that_is_to_leave_is_told_to_its_run),
    };
    return test_main("journal_crew", tests, N_OF(tests), NULL, 0);
}
