// What an http step does to the stacks of the threads that others start in the process.

#include "tests/batches.h"
#include "tests/test.h"
#include "worker/transform.h"

#include <pthread.h>
#include <string.h>

static size_t usual_stack(void)
{
    pthread_attr_t attr;
    size_t n = 0;
    assert_int_equal(0, pthread_getattr_default_np(&attr));
    assert_int_equal(0, pthread_attr_getstacksize(&attr, &n));
    pthread_attr_destroy(&attr);
    return n;
}

static void open_http(const struct spec *spec, size_t step)
{
    struct schema in, out = { 0 };
    struct err e;
    bool want[1] = { false };
    void *x = NULL;
    schema_of(&in, "a text");
    PASS(&e, transform_http.open(&x, spec, &in, &spec->steps[step], want, &out, &e));
    transform_http.close(&x);
    schema_free(&in);
    schema_free(&out);
}

// In this order: the size stays with the process.
static void stacks_are_small_only_where_no_plugin_starts_threads(void **state)
{
    (void)state;
    static char url[] = "http://127.0.0.1/{a}";
    struct step steps[2] = { { .kind = STEP_HTTP }, { .kind = STEP_PLUGIN } };
    struct spec spec = { .steps = steps, .n_steps = 2 };
    size_t before = usual_stack();
    assert_true(before > 256 << 10);
    step_http_init(&steps[0].http);
    steps[0].http.url = url;
    open_http(&spec, 0);
    EQ_I64(before, usual_stack());
    spec.n_steps = 1;
    open_http(&spec, 0);
    EQ_I64(256 << 10, usual_stack());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacks_are_small_only_where_no_plugin_starts_threads),
    };
    return test_main("curl_stacks", tests, N_OF(tests), NULL, 0);
}
