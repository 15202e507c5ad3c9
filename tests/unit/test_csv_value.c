#include "common/csv_value.h"

#include "common/csv_read.h"
#include "common/csv_swar.h"
#include "tests/csv_noise.h"
#include "tests/test.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool real(const char *text, bool given, double *out)
{
    return csv_parse_real((const uint8_t *)text, strlen(text), given, out);
}

static void expect_strtod(const char *text)
{
    double want = strtod(text, NULL), got = 0;
    if (!real(text, true, &got) || memcmp(&want, &got, sizeof got) != 0)
        fail_msg("%s: wanted %a, got %a", text, want, got);
}

static void reals_equal_strtod(void **state)
{
    (void)state;
    struct noise r = noise_new();
    char text[128];
    for (int i = 0; i < 200000; i++) {
        size_t n = 0;
        if (noise_below(&r, 2)) text[n++] = '-';
        size_t whole = noise_below(&r, 20), decimals = noise_below(&r, 20);
        for (size_t k = 0; k <= whole; k++)
            text[n++] = (char)('0' + noise_below(&r, 10));
        text[n++] = '.';
        for (size_t k = 0; k < decimals; k++)
            text[n++] = (char)('0' + noise_below(&r, 10));
        text[n] = 0;
        if (noise_below(&r, 3) == 0)
            sprintf(text + n, "e%d", (int)noise_below(&r, 80) - 40);
        if (noise_below(&r, 20) == 0)
            sprintf(text + n, "E%d", (int)noise_below(&r, 400) - 330);
        expect_strtod(text);
    }
}

// Halfway between two doubles, and a hair above and below: where rounding goes wrong first.
static void halves_round_to_even(void **state)
{
    (void)state;
    struct noise r = noise_new();
    char text[1200];
    for (int i = 0; i < 2000; i++) {
        uint64_t bits = (noise_below(&r, 600) + 700) << 52 | noise_below(&r, 1ull << 52);
        double low;
        memcpy(&low, &bits, sizeof low);
        long double half = ((long double)low + (long double)nextafter(low, INFINITY)) / 2;
        size_t n = (size_t)snprintf(text, sizeof text, "%.*Lf", 1000, half);
        assert_true(n < sizeof text);
        expect_strtod(text);
        text[n - 1]++; // the last of a thousand decimals
        expect_strtod(text);
        snprintf(text, sizeof text, "%.*Le", (int)noise_below(&r, 25), half);
        expect_strtod(text);
    }
    expect_strtod("9007199254740993");
    expect_strtod("9007199254740993.0000000000000000000000000000000000000001");
    expect_strtod("2.2250738585072011e-308");
    expect_strtod("5e-324");
    expect_strtod("2.4703282292062327208e-324");
    expect_strtod("1e-400");
    expect_strtod("1.7976931348623157e308");
    expect_strtod(
        "0.000000000000000000000000000000000000000000000000000000000000000000001e69");
    expect_strtod("00000000000000000000000000000000000000000000000000000000000000000001");
}

static void a_very_long_number_is_rounded_too(void **state)
{
    (void)state;
    enum { N = 100000 };
    static char text[N + 32];
    memset(text, '0', N);
    static const char half[] = "1.00000000000000011102230246251565404236316680908203125";
    memcpy(text, half, strlen(half)); // 1 and half a unit in the last place
    text[N] = 0;
    double down, up;
    assert_true(real(text, true, &down));
    text[N - 1] = '1';
    assert_true(real(text, true, &up));
    assert_true(down == 1);
    assert_true(up == nextafter(1, 2));
    assert_false(real(text, false, &up));

    memset(text, '0', N);
    memcpy(text, "0.", 2);
    strcpy(text + N, "25e100001");
    assert_true(real(text, true, &up));
    assert_true(up == 2.5e2);
    strcpy(text + N, "25e99999999999999999999");
    assert_false(real(text, true, &up));
}

static void the_locale_has_no_say(void **state)
{
    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8")) skip();
    double v;
    assert_true(real("1234567890.12345678901234567890", true, &v));
    assert_true(v == 1234567890.1234567);
    setlocale(LC_ALL, "C");
}

// The shortcuts may say no, but never something else than the long way.
static void shortcuts_agree_with_the_long_way(void **state)
{
    (void)state;
    struct noise r = noise_new();
    uint8_t block[64];
    int hits = 0;
    for (int i = 0; i < 1000000; i++) {
        size_t n = noise_below(&r, 20);
        memset(block, '1', sizeof block);
        uint8_t *p = block + 24;
        bool given = noise_below(&r, 2);
        uint64_t wild = noise_below(&r, 4) ? 30 : 1;
        for (size_t k = 0; k < n; k++)
            p[k] = noise_below(&r, wild + 1)
                       ? (uint8_t)('0' + noise_below(&r, 10))
                       : (uint8_t) "..--0/:eE+,\xb1\xff "[noise_below(&r, 14)];
        int64_t a, b;
        double x, y;
        if (swar_integer(p, p + n, given, &a)) {
            hits++;
            assert_true(csv_parse_integer(p, n, given, &b));
            EQ_I64(b, a);
        }
        if (swar_real(p, p + n, given, &x)) {
            hits++;
            if (!csv_parse_real(p, n, given, &y) || memcmp(&x, &y, sizeof x) != 0)
                fail_msg("'%.*s': %a is wrong", (int)n, (const char *)p, x);
        }
    }
    assert_true(hits > 100000);
}

struct row {
    const char *name; // and text
    enum type type;
    bool inferred, given; // what takes it
};

static const struct row rows[] = {
    { "0", TYPE_INTEGER, true, true },
    { "-9223372036854775808", TYPE_INTEGER, true, true },
    { "9223372036854775808", TYPE_INTEGER, false, false },
    { "-9223372036854775809", TYPE_INTEGER, false, false },
    { "99999999999999999999", TYPE_INTEGER, false, false },
    { "00501", TYPE_INTEGER, false, true },
    { "-0", TYPE_INTEGER, false, true },
    { "-007", TYPE_INTEGER, false, true },
    { "+5", TYPE_INTEGER, false, true },
    { "+-5", TYPE_INTEGER, false, false },
    { "  5 ", TYPE_INTEGER, false, true },
    { "\t5", TYPE_INTEGER, false, false },
    { "5 5", TYPE_INTEGER, false, false },
    { "", TYPE_INTEGER, false, false },
    { " ", TYPE_INTEGER, false, false },
    { "12345678901234567", TYPE_REAL, true, true },
    { "0.00012345678901234567", TYPE_REAL, true, true },
    { "1.23456789012345678", TYPE_REAL, false, true },
    { "12345678901234567890", TYPE_REAL, false, true },
    { "0.0", TYPE_REAL, true, true },
    { "00.5", TYPE_REAL, false, true },
    { "-.5e-3", TYPE_REAL, true, true },
    { "1e", TYPE_REAL, false, false },
    { "e1", TYPE_REAL, false, false },
    { ".e1", TYPE_REAL, false, false },
    { "1e+", TYPE_REAL, false, false },
    { "1e+5", TYPE_REAL, true, true },
    { "1e400", TYPE_REAL, false, false },
    { "infinity", TYPE_REAL, false, false },
    { "0x1p3", TYPE_REAL, false, false },
    { "1,5", TYPE_REAL, false, false },
    { " 1.5 ", TYPE_REAL, false, true },
    { "", TYPE_REAL, false, false },
    { "TRUE", TYPE_BOOLEAN, true, true },
    { "Yes", TYPE_BOOLEAN, true, true },
    { "truer", TYPE_BOOLEAN, false, false },
    { "10", TYPE_BOOLEAN, false, false },
    { "", TYPE_BOOLEAN, false, false },
    { "0000-01-01", TYPE_DATE, true, true },
    { "2024-00-10", TYPE_DATE, false, false },
    { "2024-04-00", TYPE_DATE, false, false },
    { "2024/04/01", TYPE_DATE, false, false },
    { "2024-04-01 ", TYPE_DATE, false, false },
    { "2024-04-01 00:00", TYPE_TIMESTAMP, true, true },
    { "2024-04-01_00:00", TYPE_TIMESTAMP, false, false },
    { "2024-04-31 00:00", TYPE_TIMESTAMP, false, false },
    { "2024-04-01 23:59:59.999999999+14:00", TYPE_TIMESTAMP, true, true },
    { "2024-04-01 23:59:60", TYPE_TIMESTAMP, false, false },
    { "2024-04-01 23:59+1", TYPE_TIMESTAMP, false, false },
    { "2024-04-01 23:59+01:0", TYPE_TIMESTAMP, false, false },
    { "2024-04-01 23:59+01:00Z", TYPE_TIMESTAMP, false, false },
    { "anything", TYPE_TEXT, true, true },
    { "", TYPE_TEXT, true, true },
};

static void fits(void **state)
{
    const struct row *r = *state;
    size_t n = strlen(r->name);
    char *exact = malloc(n + 1); // a reader past the end is caught by the sanitizer
    memcpy(exact, r->name, n);
    EQ_I64(r->inferred, csv_value_fits(r->type, false, exact, n));
    EQ_I64(r->given, csv_value_fits(r->type, true, exact, n));
    free(exact);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(reals_equal_strtod),
        cmocka_unit_test(halves_round_to_even),
        cmocka_unit_test(a_very_long_number_is_rounded_too),
        cmocka_unit_test(the_locale_has_no_say),
        cmocka_unit_test(shortcuts_agree_with_the_long_way),
    };
    return test_main("csv_value", tests, N_OF(tests), TABLE(rows, fits), N_OF(rows));
}
