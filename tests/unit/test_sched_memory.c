// Whichever allocation fails, the scheduler and the journal say so, leak nothing, and go on
// afterwards as if nothing had happened.

#include "coordinator/journal.h"
#include "coordinator/sched.h"
#include "tests/folder.h"
#include "tests/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int left = -1; // allocations until one fails; negative: none does
static int live;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strndup(const char *s, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strndup(const char *s, size_t n);
void __wrap_free(void *p);

static bool fails(void)
{
    return left >= 0 && left-- == 0;
}

static void *counted(void *p)
{
    live += p != NULL;
    return p;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : counted(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
    if (fails()) return NULL;
    live -= p != NULL;
    return counted(__real_realloc(p, n));
}

char *__wrap_strndup(const char *s, size_t n)
{
    return fails() ? NULL : counted(__real_strndup(s, n));
}

void __wrap_free(void *p)
{
    live -= p != NULL;
    __real_free(p);
}

// ---- the scheduler ----

enum { CHUNKS = 700, WORKERS = 3 }; // enough for the hash tables to grow

static const struct sched_opts opts = { .silence = 15 * NS_S,
                                        .lease = 30 * NS_S,
                                        .retries = 3,
                                        .credit_min = 2,
                                        .credit_max = 4,
                                        .memory_bytes = 1 << 20 };

static void work_off(struct sched *s)
{
    struct sched_action a;
    uint64_t done = 0;
    while (sched_next(s, &a, 1)) {
        EQ_I64(SCHED_ASSIGN, a.what);
        assert_true(sched_result(s, a.worker, a.chunk, a.attempt, 10, NS_MS, 1));
        sched_committed(s, a.chunk, 1);
        done++;
    }
    EQ_I64(CHUNKS, done);
}

// One failure at most: the second try of each call must work.
static int run_with_failure(int at)
{
    int failed = 0;
    left = at;
    struct sched *s = sched_new(&opts);
    if (!s) failed++, s = sched_new(&opts);
    assert_non_null(s);
    for (sid_u64 w = 1; w <= WORKERS; w++)
        while (sched_worker_join(s, w, 1, 0) != ERR_OK)
            failed++, sched_check(s);
    for (chunk_id c = 1; c <= CHUNKS; c++) {
        struct range r = { 0, c, c + 1 };
        while (sched_chunk_add(s, c, r, 1, 10, 0, 0, 0) != ERR_OK)
            failed++, sched_check(s);
    }
    left = -1;
    work_off(s);
    sched_check(s);
    sched_free(&s);
    return failed;
}

static void a_failed_allocation_of_the_scheduler_costs_one_call(void **state)
{
    (void)state;
    int before = live, n = 0;
    while (run_with_failure(n)) {
        EQ_I64(before, live);
        n++;
    }
    assert_true(n > CHUNKS); // every one was tried, until none was left
    EQ_I64(before, live);
}

// ---- the journal ----

static char top[TEST_FOLDER], dir[80];

static int keep_history(int at)
{
    int failed = 0;
    struct err e;
    struct journal *j;
    struct range r = { 0, 0, 10 };
    left = at;
    while (journal_open(&j, dir, "key", &e) != ERR_OK) {
        EQ_I64(ERR_NOMEM, e.code);
        failed++;
    }
    struct journal_run run = { .name = "n", .status = "running" };
    PASS(&e, journal_run_begin(j, &run, "", &e));
    while (journal_attempt(j, "load", r, 1, "w", &e) != ERR_OK)
        failed++;
    struct journal_attempts past;
    for (int i = 0; i < 2;
         i++) { // the second time knows the load's name, or could not keep it
        PASS(&e, journal_attempts_of(j, "load", r, &past, &e));
        EQ_I64(1, past.last);
    }
    bool was_reached = left < 0 && at >= 0;
    left = -1;
    journal_close(&j);
    return failed || was_reached;
}

static void a_failed_allocation_of_the_journal_costs_one_call(void **state)
{
    (void)state;
    assert_int_equal(folder_make(top, "test_sched_memory"), 0);
    snprintf(dir, sizeof dir, "%s/.tranche", top);
    int before = live, n = 0;
    while (keep_history(n)) {
        EQ_I64(before, live);
        n++;
    }
    assert_true(n >= 4); // the journal, its lock, the queue, the load's name
    EQ_I64(before, live);
    folder_remove(top);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_allocation_of_the_scheduler_costs_one_call),
        cmocka_unit_test(a_failed_allocation_of_the_journal_costs_one_call),
    };
    return test_main("sched_memory", tests, N_OF(tests), NULL, 0);
}
