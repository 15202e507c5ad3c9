// An http step runs out of memory at its Nth allocation, for every N until all of it
// passes: it ends with that error, and nothing is left behind.

#include "tests/batches.h"
#include "tests/http_kit.h"
#include "tests/test.h"
#include "worker/transform.h"

#include <stdlib.h>
#include <string.h>

static long left = -1; // allocations until one fails; negative: none does
static pthread_t us;   // the server has no part in it

static bool failing(void)
{
    return left >= 0 && pthread_equal(us, pthread_self()) && left-- == 0;
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

char *__real_strndup(const char *s, size_t n);
char *__wrap_strndup(const char *s, size_t n);
char *__wrap_strndup(const char *s, size_t n)
{
    return failing() ? NULL : __real_strndup(s, n);
}

static err_t run(const struct step *step, const struct schema *in, const struct batch *b,
                 char **shown, size_t *n_rejects, struct err *e)
{
    struct spec spec = { 0 };
    struct schema result = { 0 };
    struct batch out = { 0 };
    bool want[2] = { false };
    void *x = NULL;
    long before;
    err_t rc = transform_http.open(&x, &spec, in, step, want, &result, e);
    if (rc == ERR_OK) rc = transform_http.apply(x, b, &out, NS_NEVER, e);
    before = left;
    left = -1;
    *shown = rc == ERR_OK ? batch_show(&out) : NULL;
    if (rc == ERR_OK) (void)transform_http.rejected(x, n_rejects);
    left = before;
    transform_http.close(&x);
    schema_free(&result);
    batch_free(&out);
    return rc;
}

static void out_of_memory_is_an_error_wherever_it_happens(void **state)
{
    (void)state;
    static char rows[] = "$[*]", url[100];
    struct step step = { .kind = STEP_HTTP };
    struct schema in;
    struct batch b = { 0 };
    struct err e;
    step_http_init(&step.http);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/from?i={i}", http_kit_port());
    step.http.url = url;
    step.http.rows = rows;
    PASS(&e, job_pairs_set(&step.http.headers, "X-Test", "$HOME", &e));
    schema_of(&in, "i integer, t text");
    batch_of(&b, &in, "100, 'a'; 5, 'b'; NULL, 'c'; 200, 'd'");
    us = pthread_self();
    long n = 0;
    for (bool passed = false; !passed; n++) {
        char *shown;
        size_t rejects = 0;
        left = n;
        err_t rc = run(&step, &in, &b, &shown, &rejects, &e);
        passed = left >= 0;
        left = -1;
        if (rc == ERR_OK) {
            assert_string_equal("100, 'a', 1; 200, 'd', 1", shown);
            EQ_I64(1, rejects);
            free(shown);
        } else {
            EXPECT(ERR_NOMEM, &e, rc);
        }
    }
    assert_true(n > 50);
    job_pairs_free(&step.http.headers);
    schema_free(&in);
    batch_free(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(out_of_memory_is_an_error_wherever_it_happens),
    };
    return test_main("xf_http_nomem", tests, N_OF(tests), NULL, 0);
}
