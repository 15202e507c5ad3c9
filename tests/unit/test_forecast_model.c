#include "common/civil.h"
#include "tests/test.h"
#include "worker/forecast_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 4000 };
static const int64_t START = 16436; // 2015-01-01

struct series {
    int64_t day[MOST];
    double y[MOST];
    uint32_t n;
};

static struct series s;
static struct err e;

static double uniform(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(*seed >> 11) / 9007199254740992.0;
}

static double normal(uint64_t *seed)
{
    return sqrt(-2 * log(uniform(seed) + 1e-300)) * cos(2 * M_PI * uniform(seed));
}

// Known components of a day: a line that bends, a week, a month, a year, holidays.
static double trend(int64_t i)
{
    return 100 + 0.02 * (double)i + (i > 600 ? 0.05 * (double)(i - 600) : 0);
}

static double of_week(int64_t day)
{
    return civil_weekday(day) < 5 ? 4 : -10;
}

static double of_month(int64_t day)
{
    return 3 * cos(2 * M_PI * calendar_month(day));
}

static double of_year(int64_t day)
{
    return 12 * sin(2 * M_PI * calendar_year(day)) + 5 * cos(4 * M_PI * calendar_year(day));
}

static double of_holiday(int64_t day)
{
    return calendar_holidays(day) & 1u << 10 ? 40 : 0; // Christmas
}

static double known(int64_t i)
{
    int64_t d = START + i;
    return trend(i) + of_week(d) + of_month(d) + of_year(d) + of_holiday(d);
}

static void make(uint32_t n, double (*value)(int64_t), double noise, uint64_t seed)
{
    s.n = n;
    for (uint32_t i = 0; i < n; i++) {
        s.day[i] = START + i;
        s.y[i] = value(i) + noise * normal(&seed);
    }
}

static struct forecast_model *fitted(enum calendar_step step, double interval)
{
    struct forecast_rule r = { step, true, interval };
    struct forecast_model *m = forecast_model_new(&r);
    assert_non_null(m);
    PASS(&e, forecast_model_fit(m, s.day, s.y, s.n, &e));
    return m;
}

static double at(struct forecast_model *m, int64_t day)
{
    struct forecast_point p;
    assert_true(forecast_model_at(m, day, &p));
    assert_true(p.lower <= p.yhat && p.yhat <= p.upper);
    return p.yhat;
}

// ---- what is known is found ----

// The mean absolute error over the days after the series.
static double error_of(struct forecast_model *m, double (*value)(int64_t), int days)
{
    double sum = 0;
    for (int i = 0; i < days; i++)
        sum += fabs(at(m, s.day[s.n - 1] + 1 + i) - value(s.n + i)) / days;
    return sum;
}

static void known_components_go_on(void **state)
{
    (void)state;
    make(1461, known, 0, 1);
    struct forecast_model *m = fitted(CALENDAR_DAY, 0.8);
    double error = error_of(m, known, 365);
    printf("a year ahead without noise: %.4f\n", error);
    assert_true(error < 0.5);
    forecast_model_free(&m);
    make(1461, known, 5, 7);
    m = fitted(CALENDAR_DAY, 0.8);
    error = error_of(m, known, 90);
    printf("90 days ahead, noise of 5: %.4f\n", error);
    assert_true(error < 2.5);
    forecast_model_free(&m);
}

static double line(int64_t i)
{
    return 5 + 0.25 * (double)i;
}

static void a_line_goes_on_as_a_line(void **state)
{
    (void)state;
    make(400, line, 0, 1);
    struct forecast_model *m = fitted(CALENDAR_DAY, 0.8);
    for (int i = 0; i < 100; i++)
        assert_true(fabs(at(m, START + 400 + i) - line(400 + i)) < 0.05);
    forecast_model_free(&m);
}

static void two_points_are_a_line(void **state)
{
    (void)state;
    s = (struct series){ .day = { START, START + 10 }, .y = { 1, 3 }, .n = 2 };
    struct forecast_model *m = fitted(CALENDAR_DAY, 0.8);
    assert_true(fabs(at(m, START + 20) - 5) < 1e-3);
    forecast_model_free(&m);
}

static double seven(int64_t i)
{
    (void)i;
    return 7;
}

static void what_never_changes_never_will(void **state)
{
    (void)state;
    make(100, seven, 0, 1);
    struct forecast_model *m = fitted(CALENDAR_DAY, 0.95);
    struct forecast_point p;
    assert_true(forecast_model_at(m, START + 200, &p));
    assert_true(fabs(p.yhat - 7) < 1e-9 && p.upper - p.lower < 1e-3);
    memset(s.y, 0, sizeof s.y);
    PASS(&e, forecast_model_fit(m, s.day, s.y, s.n, &e));
    assert_true(at(m, START + 200) == 0);
    forecast_model_free(&m);
}

static void missing_rows_are_no_zeros(void **state)
{
    (void)state;
    make(1461, known, 1, 3);
    uint64_t seed = 5;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s.n; i++) {
        if (i + 1 < s.n && uniform(&seed) < 0.3) continue;
        s.day[n] = s.day[i];
        s.y[n++] = s.y[i];
    }
    s.n = n;
    struct forecast_model *m = fitted(CALENDAR_DAY, 0.8);
    double sum = 0;
    for (int i = 0; i < 90; i++)
        sum += fabs(at(m, START + 1461 + i) - known(1461 + i)) / 90;
    printf("90 days ahead, a third of the rows missing: %.4f\n", sum);
    assert_true(sum < 1.5);
    forecast_model_free(&m);
}

static double weeks(int64_t i)
{
    return 50 + 0.1 * (double)i + 10 * sin(2 * M_PI * calendar_year(START + 7 * i));
}

static double months(int64_t i)
{
    return 50 + (double)i + 10 * sin(2 * M_PI * (double)(i % 12) / 12);
}

static void weeks_and_months_have_their_year(void **state)
{
    (void)state;
    make(208, weeks, 0, 1);
    for (uint32_t i = 0; i < s.n; i++)
        s.day[i] = START + 7 * (int64_t)i;
    struct forecast_model *m = fitted(CALENDAR_WEEK, 0.8);
    for (int i = 208; i < 260; i++)
        assert_true(fabs(at(m, START + 7 * i) - weeks(i)) < 1);
    forecast_model_free(&m);
    make(48, months, 0, 1);
    for (uint32_t i = 0; i < s.n; i++)
        s.day[i] = calendar_after(START, CALENDAR_MONTH, i);
    m = fitted(CALENDAR_MONTH, 0.8);
    for (uint32_t i = 48; i < 60; i++) {
        double yhat = at(m, calendar_after(START, CALENDAR_MONTH, i));
        assert_true(fabs(yhat - months(i)) < 1);
    }
    forecast_model_free(&m);
}

// ---- the interval ----

static double level(int64_t i)
{
    return 20 + of_week(START + i);
}

static void the_interval_covers_its_share(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    static const double shares[] = { 0.5, 0.8, 0.95 };
    for (size_t k = 0; k < N_OF(shares); k++) {
        int inside = 0, all = 0;
        for (int series = 0; series < 40; series++) {
            make(400, level, 3, seed + (uint64_t)series * 977);
            struct forecast_model *m = fitted(CALENDAR_DAY, shares[k]);
            uint64_t more = seed * 31 + (uint64_t)series;
            for (int i = 0; i < 30; i++, all++) {
                struct forecast_point p;
                double y = level(400 + i) + 3 * normal(&more);
                assert_true(forecast_model_at(m, START + 400 + i, &p));
                inside += p.lower <= y && y <= p.upper;
            }
            forecast_model_free(&m);
        }
        double share = (double)inside / all;
        printf("%.2f covers %.3f\n", shares[k], share);
        assert_true(fabs(share - shares[k]) < 0.1);
    }
}

static void the_interval_grows_with_the_distance(void **state)
{
    (void)state;
    uint64_t seed = 11;
    double walk = 0;
    make(700, level, 1, 3);
    for (uint32_t i = 0; i < s.n; i++)
        s.y[i] += walk += normal(&seed) + (i > 300 ? -0.3 : 0.3);
    struct forecast_model *m = fitted(CALENDAR_DAY, 0.8);
    struct forecast_point near, far;
    assert_true(forecast_model_at(m, START + 700, &near));
    assert_true(forecast_model_at(m, START + 1000, &far));
    assert_true(far.upper - far.lower > 2 * (near.upper - near.lower));
    forecast_model_free(&m);
}

// ---- the same numbers ----

static void nothing_is_left_of_the_series_before(void **state)
{
    (void)state;
    make(500, known, 2, 3);
    struct forecast_model *fresh = fitted(CALENDAR_DAY, 0.8), *used;
    double want = at(fresh, START + 520);
    make(900, line, 1, 4);
    used = fitted(CALENDAR_DAY, 0.8);
    make(500, line, 9, 5);
    PASS(&e, forecast_model_fit(used, s.day, s.y, s.n, &e));
    make(500, known, 2, 3);
    for (int i = 0; i < 2; i++) {
        PASS(&e, forecast_model_fit(used, s.day, s.y, s.n, &e));
        assert_true(want == at(used, START + 520));
    }
    forecast_model_free(&fresh);
    forecast_model_free(&used);
}

static void values_of_any_size_are_taken(void **state)
{
    (void)state;
    static const double sizes[] = { 1e-300, 1e-9, 1, 1e9, 1e300 };
    double want = 0;
    for (size_t k = 0; k < N_OF(sizes); k++) {
        make(300, known, 1, 3);
        for (uint32_t i = 0; i < s.n; i++)
            s.y[i] *= sizes[k];
        struct forecast_model *m = fitted(CALENDAR_DAY, 0.8);
        double got = at(m, START + 310) / sizes[k];
        if (k > 0) assert_true(fabs(got / want - 1) < 1e-6);
        want = got;
        forecast_model_free(&m);
    }
    s = (struct series){ .day = { START, START + 1 }, .y = { -1.7e308, 1.7e308 }, .n = 2 };
    struct forecast_model *m = fitted(CALENDAR_DAY, 0.8);
    struct forecast_point p;
    assert_false(forecast_model_at(m, START + 9, &p));
    forecast_model_free(&m);
}

static void series_of_any_length_and_date_are_taken(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 400; round++) {
        enum calendar_step step = (enum calendar_step)(round % 3);
        int64_t day =
            CIVIL_FIRST + (int64_t)(uniform(&seed) * (CIVIL_LAST - CIVIL_FIRST) / 2);
        s.n = 2 + (uint32_t)(uniform(&seed) * (round % 10 ? 60 : 1000));
        for (uint32_t i = 0; i < s.n; i++) {
            s.day[i] = day;
            s.y[i] = normal(&seed) * (round % 7 ? 1 : 1e9) + (round % 5 ? 0 : 1e6);
            day += 1 + (int64_t)(uniform(&seed) * (round % 4 ? 3 : 900));
        }
        struct forecast_model *m = fitted(step, 0.8);
        at(m, day);
        at(m, calendar_after(day, step, 100));
        forecast_model_free(&m);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_components_go_on),
        cmocka_unit_test(a_line_goes_on_as_a_line),
        cmocka_unit_test(two_points_are_a_line),
        cmocka_unit_test(what_never_changes_never_will),
        cmocka_unit_test(missing_rows_are_no_zeros),
        cmocka_unit_test(weeks_and_months_have_their_year),
        cmocka_unit_test(the_interval_covers_its_share),
        cmocka_unit_test(the_interval_grows_with_the_distance),
        cmocka_unit_test(nothing_is_left_of_the_series_before),
        cmocka_unit_test(values_of_any_size_are_taken),
        cmocka_unit_test(series_of_any_length_and_date_are_taken),
    };
    return test_main("forecast_model", tests, N_OF(tests), NULL, 0);
}
