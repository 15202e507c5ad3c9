#include "common/exact.h"
#include "tests/random_batch.h"
#include "tests/test.h"

#include <float.h>
#include <math.h>
#include <string.h>

static double sum_of(const double *v, size_t n)
{
    struct exact x = { 0 };
    for (size_t i = 0; i < n; i++)
        exact_add_double(&x, v[i]);
    return exact_double(&x);
}

struct row {
    const char *name;
    double v[6], want;
};

static const struct row ROWS[] = {
    { "nothing", { 0 }, 0 },
    { "what_doubles_lose", { 1e100, 1, -1e100 }, 1 },
    { "tenths", { 0.1, 0.1, 0.1, 0.1, 0.1, 0.1 }, 0.6000000000000001 },
    { "half_to_even_down", { 0x1p53, 1 }, 0x1p53 },
    { "half_to_even_up", { 0x1p53, 3 }, 0x1p53 + 4 },
    { "just_above_half", { 0x1p53, 1, 0x1p-1074 }, 0x1p53 + 2 },
    { "just_below_half", { 0x1p53, 1, -0x1p-1074 }, 0x1p53 },
    { "negative", { -0x1p53, -1, -0x1p-1074 }, -0x1p53 - 2 },
    { "subnormals", { 0x1p-1074, 0x1p-1074, 0x1p-1074 }, 0x1.8p-1073 },
    { "to_subnormal", { 0x1p-1022, -0x1p-1074 }, 0x1p-1022 - 0x1p-1074 },
    { "past_the_largest_and_back", { DBL_MAX, DBL_MAX, -DBL_MAX }, DBL_MAX },
    { "past_the_largest", { DBL_MAX, DBL_MAX }, INFINITY },
    { "past_the_least", { -DBL_MAX, -DBL_MAX }, -INFINITY },
    { "to_zero", { 1e300, -1e300, 1e-300, -1e-300 }, 0 },
};

static void a_sum_is_correctly_rounded(void **state)
{
    const struct row *r = *state;
    double got = sum_of(r->v, N_OF(r->v));
    if (memcmp(&got, &r->want, sizeof got) != 0)
        fail_msg("wanted %a, got %a", r->want, got);
}

static double any_double(struct rnd *r)
{
    double d;
    do {
        uint64_t bits = rnd_next(r);
        memcpy(&d, &bits, sizeof d);
    } while (!isfinite(d));
    return d;
}

// Sums of the same terms in another order, by halves, or with terms that cancel.
static void any_order_gives_the_same_bytes(void **state)
{
    (void)state;
    struct rnd r = rnd_seed("test_exact");
    enum { TERMS = 200 };
    for (int round = 0; round < 200; round++) {
        struct exact one = { 0 }, two = { 0 }, part = { 0 };
        uint8_t a[EXACT_ENCODED_MAX], b[EXACT_ENCODED_MAX];
        double v[TERMS];
        for (int i = 0; i < TERMS; i++) {
            v[i] = any_double(&r);
            exact_add_double(&one, v[i]);
            exact_add_square(&one, v[i]);
        }
        for (int i = TERMS; i-- > 0;) {
            struct exact *to = i % 3 ? &two : &part;
            exact_add_square(to, v[i]);
            exact_add_double(to, v[i]);
            exact_add_i64(to, INT64_MIN + i);
            exact_add_i64(to, INT64_MAX);
            exact_add_i64(to, 1 - i); // together 0
        }
        size_t n = exact_encode(&part, a);
        EQ_I64(n, exact_add_encoded(&two, a, n));
        n = exact_encode(&one, a);
        EQ_I64(n, exact_encode(&two, b));
        assert_memory_equal(a, b, n);
    }
}

// Numbers of few bits, whose sums fit 128 bits.
static void sums_equal_those_of_wide_integers(void **state)
{
    (void)state;
    struct rnd r = rnd_seed("test_exact");
    for (int round = 0; round < 300; round++) {
        struct exact x = { 0 }, squares = { 0 };
        __int128 want = 0, want_squares = 0;
        for (int i = 0; i < 300; i++) {
            int64_t k = (int64_t)rnd_next(&r) >> (11 + rnd_below(&r, 50));
            want += (__int128)k * 1024;
            want_squares += (__int128)k * k;
            if (i % 2)
                exact_add_double(&x, (double)k * 1024);
            else
                exact_add_i128(&x, (__int128)k * 1024);
            if (i % 2)
                exact_add_square(&squares, (double)k);
            else
                exact_add_square_i64(&squares, k);
        }
        double got = exact_double(&x), got_squares = exact_double(&squares);
        if (got != (double)want || got_squares != (double)want_squares)
            fail_msg("wanted %a and %a, got %a and %a", (double)want, (double)want_squares,
                     got, got_squares);
        int64_t whole;
        bool fits = want >= INT64_MIN && want <= INT64_MAX;
        EQ_I64(fits, exact_i64(&x, &whole));
        if (fits) EQ_I64((int64_t)want, whole);
    }
}

static void integers_up_to_the_edge(void **state)
{
    (void)state;
    struct exact x = { 0 };
    int64_t v;
    exact_add_i64(&x, INT64_MAX);
    assert_true(exact_i64(&x, &v));
    EQ_I64(INT64_MAX, v);
    exact_add_i64(&x, 1);
    assert_false(exact_i64(&x, &v));
    assert_true(exact_double(&x) == 0x1p63);
    exact_reset(&x);
    exact_add_i64(&x, INT64_MIN);
    assert_true(exact_i64(&x, &v));
    EQ_I64(INT64_MIN, v);
    exact_add_i64(&x, -1);
    assert_false(exact_i64(&x, &v));
    exact_add_double(&x, 0.5);
    assert_false(exact_i64(&x, &v));
    exact_add_double(&x, 0.5);
    assert_true(exact_i64(&x, &v));
}

static void spread_has_no_cancellation(void **state)
{
    (void)state;
    struct exact sum = { 0 }, squares = { 0 };
    for (int i = 0; i < 3; i++) {
        double v = 1e15 + i * 0.125;
        exact_add_double(&sum, v);
        exact_add_square(&squares, v);
    }
    assert_true(exact_spread(&sum, &squares, 3) == 2 * 0.125 * 0.125);
    exact_reset(&sum);
    exact_reset(&squares);
    exact_add_double(&sum, 0x1p-1074);
    exact_add_square(&squares, 0x1p-1074);
    assert_true(exact_spread(&sum, &squares, 1) == 0);
}

static void what_no_worker_encodes_is_refused(void **state)
{
    (void)state;
    struct exact x = { 0 };
    uint8_t p[EXACT_ENCODED_MAX];
    exact_add_double(&x, -1e300);
    exact_add_double(&x, 1e-300);
    size_t n = exact_encode(&x, p);
    for (size_t k = 0; k < n; k++)
        EQ_I64(0, exact_add_encoded(&x, p, k));
    uint8_t sign[] = { 2, 0, 0, 0 }, below[] = { 0, 0, 0xff, 0xff };
    uint8_t above[] = { 0, 1, EXACT_LIMBS - 2, 0, 1, 0, 0, 0 };
    EQ_I64(0, exact_add_encoded(&x, sign, sizeof sign));
    EQ_I64(0, exact_add_encoded(&x, below, sizeof below));
    EQ_I64(0, exact_add_encoded(&x, above, sizeof above));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_gives_the_same_bytes),
        cmocka_unit_test(sums_equal_those_of_wide_integers),
        cmocka_unit_test(integers_up_to_the_edge),
        cmocka_unit_test(spread_has_no_cancellation),
        cmocka_unit_test(what_no_worker_encodes_is_refused),
    };
    return test_main("exact", tests, N_OF(tests), TABLE(ROWS, a_sum_is_correctly_rounded),
                     N_OF(ROWS));
}
