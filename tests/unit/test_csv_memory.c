#include "common/csv_read.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long left = -1; // allocations until one fails; -1: none does

static bool denied(void)
{
    return left >= 0 && left-- == 0;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
char *__wrap_strndup(const char *s, size_t n);

void *__wrap_malloc(size_t n)
{
    return denied() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return denied() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return denied() ? NULL : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    return denied() ? NULL : __real_aligned_alloc(align, n);
}

char *__wrap_strndup(const char *s, size_t n)
{
    return denied() ? NULL : __real_strndup(s, n);
}

static const char *const nulls[] = { "NA", "" };
static const struct csv_dialect dialect = { ',', '"', nulls, 2 };

// A chunk that makes every part allocate and grow: short rows first, then long ones, with
// misfits, escapes and rejects.
static uint8_t *make_chunk(size_t *n)
{
    enum { SIZE = 200000 };
    char *block = malloc(SIZE + 2 * CSV_PAD), *p = block + CSV_PAD;
    size_t at = 0;
    memset(block, 0, SIZE + 2 * CSV_PAD);
    for (int i = 0; at < SIZE - 300; i++)
        at += (size_t)sprintf(p + at,
                              i < 2000     ? "1,a,2\n"
                              : i % 7 == 0 ? "x,\"b\"\"c\",3\n"
                              : i % 7 == 1 ? "\"x\"\"y\",d,NA\n"
                              : i % 7 == 2 ? "5,e,reject\n"
                              : i % 7 == 3 ? "ragged\n"
                                           : "6,%0200d,4\n",
                              i);
    *n = at;
    return (uint8_t *)block;
}

static err_t read_all(const uint8_t *p, size_t n, uint64_t *rows, struct err *e)
{
    struct schema s = { 0 };
    struct csv_reader *r = NULL;
    struct batch b = { 0 };
    struct rejects rejects = { 0 };
    struct csv_read_stats stats = { 0 };
    err_t rc = schema_add(&s, "i", 1, TYPE_INTEGER, false, e);
    if (rc == ERR_OK) rc = schema_add(&s, "t", 1, TYPE_TEXT, false, e);
    if (rc == ERR_OK) rc = schema_add(&s, "g", 1, TYPE_INTEGER, true, e);
    if (rc == ERR_OK) rc = csv_reader_new(&r, &dialect, &s, NULL, e);
    if (rc == ERR_OK)
        rc =
            csv_read_chunk(r, p, n, (struct csv_read_pos){ 0, 1 }, &b, &rejects, &stats, e);
    *rows = stats.parsed;
    csv_reader_free(&r);
    rejects_free(&rejects);
    batch_free(&b);
    schema_free(&s);
    return rc;
}

static void every_failing_allocation_is_an_error(void **state)
{
    (void)state;
    size_t n;
    uint64_t rows, want;
    struct err e;
    uint8_t *block = make_chunk(&n);
    PASS(&e, read_all(block + CSV_PAD, n, &want, &e));
    assert_true(want > 1000);
    err_t rc = ERR_NOMEM;
    long round = 0;
    for (; rc != ERR_OK; round++) {
        left = round;
        rc = read_all(block + CSV_PAD, n, &rows, &e);
        left = -1;
        if (rc != ERR_OK) EQ_I64(ERR_NOMEM, rc);
    }
    EQ_I64(want, rows);
    assert_true(round > 20);
    free(block);
}

static void a_record_without_memory_is_an_error(void **state)
{
    (void)state;
    struct csv_value *v;
    size_t n_fields, used;
    struct err e;
    struct arena mem = { 0 };
    left = 0;
    err_t rc = csv_read_record(&dialect, (const uint8_t *)"a,b\n", 4, false, &mem, &v,
                               &n_fields, &used, &e);
    left = -1;
    EQ_I64(ERR_NOMEM, rc);
    arena_free(&mem);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failing_allocation_is_an_error),
        cmocka_unit_test(a_record_without_memory_is_an_error),
    };
    return test_main("csv_memory", tests, N_OF(tests), NULL, 0);
}
