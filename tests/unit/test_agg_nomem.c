// When memory runs out in the middle, an aggregate says so and keeps nothing.

#include "common/agg_chunk.h"
#include "common/agg_merge.h"
#include "common/agg_plan.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

static long left = -1; // allocations until one fails; -1: none does

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
char *__wrap_strdup(const char *s);

static bool fails(void)
{
    return left >= 0 && left-- == 0;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    return fails() ? NULL : __real_aligned_alloc(align, n);
}

char *__wrap_strdup(const char *s)
{
    return fails() ? NULL : __real_strdup(s);
}

enum { ROWS = 3000 };

static const char *const FUNCTIONS[] = {
    "count(*)",  "count(v)",          "stddev(v)",    "min(v)",       "max(v)",
    "median(v)", "count_distinct(v)", "max_by(v, k)", "min_by(k, v)", "sum(k)"
};

static void fill(struct cell *k, struct cell *v)
{
    static const char text[] = "abcdefghijklmnopqrstuvwxyz";
    for (uint32_t i = 0; i < ROWS; i++) {
        k[i] = (struct cell){ .kind = CELL_INTEGER, .i = i % 1500 };
        v[i] = (struct cell){ .kind = CELL_REAL, .r = i * 0.7 };
        if (i % 3 == 0)
            v[i] = (struct cell){ CELL_TEXT, i % 26, { .p = (const uint8_t *)text } };
    }
}

static err_t merge_all(const struct agg *a, const struct batch *part, struct err *e)
{
    struct agg_merge *m = NULL;
    struct cell states[N_OF(FUNCTIONS)], values[N_OF(FUNCTIONS)];
    err_t rc = agg_merge_new(&m, a, 70000, e); // little: it spills
    if (rc != ERR_OK) return rc;
    agg_merge_start(m);
    for (uint32_t r = 0; rc == ERR_OK && r < part->rows; r++) {
        for (uint32_t i = 0; i < agg_merge_states(m); i++)
            states[i] = part->col[1 + i].any[r];
        rc = agg_merge_add(m, states, e);
    }
    if (rc == ERR_OK) rc = agg_merge_result(m, values, e);
    agg_merge_free(&m);
    return rc;
}

static err_t all_of_it(struct batch *in, struct batch *part, struct err *e)
{
    struct agg a = { 0 };
    struct schema s = { 0 };
    struct agg_chunk *chunk = NULL;
    bool want[2] = { false };
    err_t rc = agg_add_by(&a, "k", e);
    for (size_t i = 0; rc == ERR_OK && i < N_OF(FUNCTIONS); i++)
        rc = agg_add_fn(&a, FUNCTIONS[i], FUNCTIONS[i], e);
    if (rc == ERR_OK) rc = schema_add(&s, "k", 1, TYPE_ANY, false, e);
    if (rc == ERR_OK) rc = schema_add(&s, "v", 1, TYPE_ANY, false, e);
    if (rc == ERR_OK) rc = agg_chunk_new(&chunk, &a, &s, 64 << 20, want, e);
    if (rc == ERR_OK) rc = agg_chunk_apply(chunk, in, part, e);
    if (rc == ERR_OK) rc = merge_all(&a, part, e);
    batch_free(part);
    agg_chunk_free(&chunk);
    schema_free(&s);
    agg_free(&a);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static struct cell k[ROWS], v[ROWS];
    struct vec col[2] = { { .type = TYPE_ANY, .any = k }, { .type = TYPE_ANY, .any = v } };
    struct batch in = { .rows = ROWS, .n_cols = 2, .col = col }, part = { 0 };
    struct err e;
    long n = 0;
    fill(k, v);
    for (err_t rc = ERR_NOMEM; rc != ERR_OK; n++) {
        left = n;
        rc = all_of_it(&in, &part, &e);
        bool failed = left < 0;
        left = -1;
        if (rc != ERR_OK) EXPECT(ERR_NOMEM, &e, rc);
        if (rc == ERR_OK) assert_false(failed); // a failure that nobody noticed
    }
    assert_true(n > 60);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(
        every_allocation_may_fail) };
    return test_main("agg_nomem", tests, N_OF(tests), NULL, 0);
}
