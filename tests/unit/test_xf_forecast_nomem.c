// A forecast runs out of memory at its Nth allocation, for every N until all of it passes:
// it ends with that error, nothing is left behind, and the next batch is as if nothing had
// been.

#include "tests/batches.h"
#include "tests/test.h"
#include "worker/transform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long left = -1; // allocations until one fails; negative: none does

static bool failing(void)
{
    return left >= 0 && left-- == 0;
}

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_malloc(size_t n)
{
    return failing() ? NULL : __real_malloc(n);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return failing() ? NULL : __real_calloc(n, size);
}

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n)
{
    return failing() ? NULL : __real_realloc(p, n);
}

char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
char *__wrap_strdup(const char *s)
{
    return failing() ? NULL : __real_strdup(s);
}

struct fixture {
    struct step step;
    struct schema in;
    struct batch batch;
};

// Fails at an allocation of one call, and is called once more without.
static err_t run(const struct fixture *f, char **shown, struct err *e)
{
    struct spec spec = { 0 };
    struct schema result = { 0 };
    struct batch out = { 0 };
    bool want[3] = { false };
    void *x = NULL;
    size_t n = 0;
    err_t again = ERR_OK;
    err_t rc = transform_forecast.open(&x, &spec, &f->in, &f->step, want, &result, e);
    bool opened = rc == ERR_OK;
    if (opened) rc = transform_forecast.apply(x, &f->batch, &out, NS_NEVER, e);
    long before = left;
    left = -1;
    if (opened && rc != ERR_OK)
        again = transform_forecast.apply(x, &f->batch, &out, NS_NEVER, NULL);
    EQ_I64(ERR_OK, again);
    *shown = opened ? batch_show(&out) : NULL;
    if (opened) assert_non_null(transform_forecast.rejected(x, &n));
    if (opened) EQ_I64(2, n);
    left = before;
    transform_forecast.close(&x);
    schema_free(&result);
    batch_free(&out);
    return rc;
}

static void out_of_memory_is_an_error_wherever_it_happens(void **state)
{
    (void)state;
    struct fixture f = { .step.kind = STEP_FORECAST };
    struct err e;
    char *want = NULL, *shown;
    PASS(&e, step_forecast_init(&f.step.forecast, &e));
    PASS(&e, strings_add(&f.step.forecast.by, "g", 1, &e));
    f.step.forecast.periods = 2;
    schema_of(&f.in, "g text, ds date, y real");
    batch_of(&f.batch, &f.in,
             "'a', '2024-01-01', 1.0; 'a', '2024-01-02', 2.0; 'a', '2024-01-03', 'NaN'; "
             "'b', '2024-01-01', 1.0; 'c', '2024-01-01', 4.0; 'c', '2024-01-02', 4.0; "
             "'c', '2024-01-03', 5.0");
    PASS(&e, run(&f, &want, &e));
    long n = 0;
    for (bool passed = false; !passed; n++) {
        left = n;
        err_t rc = run(&f, &shown, &e);
        passed = left >= 0;
        left = -1;
        EQ_I64(passed ? ERR_OK : ERR_NOMEM, rc);
        if (shown) assert_string_equal(want, shown);
        free(shown);
    }
    printf("%ld allocations\n", n - 1);
    assert_true(n > 15);
    free(want);
    step_free(&f.step);
    schema_free(&f.in);
    batch_free(&f.batch);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(out_of_memory_is_an_error_wherever_it_happens),
    };
    return test_main("xf_forecast_nomem", tests, N_OF(tests), NULL, 0);
}
