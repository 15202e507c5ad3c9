// Scales and lines of figures: round ticks of numbers and times, and thinning that loses
// no peak.

#include "common/plot_axis.h"
#include "common/plot_line.h"
#include "tests/test.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct err e;

struct row {
    const char *name;
    char kind; // 'n'umber, 'r'ounded, 't'ime
    double lo, hi;
    uint32_t most;
    const char *labels;
};

static const struct row rows[] = {
    { "numbers", 'n', 0, 100, 6, "0 20 40 60 80 100" },
    { "not_at_the_ends", 'n', 3, 17, 8, "4 6 8 10 12 14 16" },
    { "negative", 'n', -1.5, 1.5, 8, "-1.5 -1.0 -0.5 0 0.5 1.0 1.5" },
    { "all_equal", 'n', 7, 7, 8, "4 5 6 7 8 9 10" },
    { "all_zero", 'n', 0, 0, 5, "-1.0 -0.5 0 0.5 1.0" },
    { "thousands", 'n', 0, 5e6, 6, "0 1,000,000 2,000,000 3,000,000 4,000,000 5,000,000" },
    { "large", 'n', 0, 3e15, 4, "0 1e+15 2e+15 3e+15" },
    { "tiny", 'n', 0, 2e-9, 3, "0 1e-09 2e-09" },
    { "close_to_each_other", 'n', 1000000, 1000000.5, 6,
      "1,000,000.0 1,000,000.1 1,000,000.2 1,000,000.3 1,000,000.4 1,000,000.5" },
    { "the_greatest", 'r', -DBL_MAX, DBL_MAX, 6, "-2e+308 -1e+308 0 1e+308 2e+308" },
    { "the_greatest_alone", 'r', DBL_MAX, DBL_MAX, 6, "0 5e+307 1e+308 1.5e+308 2e+308" },
    { "the_least", 'r', 0, 5e-324, 3, NULL },
    { "rounded_from_zero", 'r', 12, 87, 6, "0 20 40 60 80 100" },
    { "rounded_far_from_zero", 'r', 980, 1010, 6, "980 990 1,000 1,010" },
    { "rounded_below_zero", 'r', -87, -12, 6, "-100 -80 -60 -40 -20 0" },
    { "rounded_one_value", 'r', 5, 5, 6, "0 1 2 3 4 5" },
    { "rounded_one_below_zero", 'r', -5, -5, 6, "-5 -4 -3 -2 -1 0" },
};

static void join(const struct plot_axis *a, char out[1000])
{
    size_t n = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < a->n; i++)
        n += (size_t)snprintf(out + n, 1000 - n, "%s%s", i ? " " : "", a->tick[i].label);
}

static void good(const struct plot_axis *a, uint32_t most)
{
    assert_true(a->lo < a->hi && a->n <= most);
    for (uint32_t i = 0; i < a->n; i++) {
        assert_true(a->tick[i].at >= -1e-9 && a->tick[i].at <= 1 + 1e-9);
        assert_true(i == 0 || a->tick[i].at > a->tick[i - 1].at);
        assert_true(i == 0 || strcmp(a->tick[i].label, a->tick[i - 1].label) != 0);
    }
}

static void ticks_are_round(void **state)
{
    const struct row *r = *state;
    struct plot_axis a;
    char got[1000];
    (r->kind == 'n' ? plot_axis_number : plot_axis_rounded)(&a, r->lo, r->hi, r->most);
    good(&a, r->most);
    join(&a, got);
    if (r->labels) assert_string_equal(r->labels, got);
    assert_true(a.n >= 2);
    if (r->kind == 'n') return;
    assert_true(a.tick[0].at == 0 && a.tick[a.n - 1].at == 1);
    assert_true(a.lo <= r->lo && a.hi >= r->hi);
}

static double time_of(const char *text)
{
    double t;
    if (!plot_time_read(text, strlen(text), &t)) fail_msg("%s is no time", text);
    return t;
}

struct span {
    const char *name, *lo, *hi;
    uint32_t most;
    const char *labels;
};

static const struct span spans[] = {
    { "a_day", "2024-02-29", "2024-02-29", 8, "28 Feb 2024 29 Feb 1 Mar" },
    { "days", "2023-12-30", "2024-01-03", 8, "30 Dec 2023 31 Dec 1 Jan 2024 2 Jan 3 Jan" },
    { "mondays", "2024-01-01", "2024-01-31", 6, "1 Jan 2024 8 Jan 15 Jan 22 Jan 29 Jan" },
    { "months", "2023-11-15", "2024-04-20", 6, "Dec 2023 2024 Feb Mar Apr" },
    { "quarters", "2022-12-31", "2024-01-02", 6, "2023 Apr Jul Oct 2024" },
    { "years", "2014-01-03", "2017-12-30", 4, "2015 2016 2017" },
    { "decades", "1970-01-01", "2020-01-01", 6, "1970 1980 1990 2000 2010 2020" },
    { "all_that_there_are", "0001-01-01", "9999-12-31", 6, "2000 4000 6000 8000" },
    { "before_1970", "1969-12-31 23:59:58", "1970-01-01 00:00:02", 8,
      "23:59:58 23:59:59 1 Jan 00:00:01 00:00:02" },
    { "hours", "2024-05-01 21:10", "2024-05-02 03:00", 8,
      "22:00 23:00 2 May 01:00 02:00 03:00" },
    { "minutes", "2024-05-01T12:00:01Z", "2024-05-01T12:03:10Z", 5, "12:01 12:02 12:03" },
    { "zones", "2024-05-01 12:00:00+02:00", "2024-05-01 12:00:03+02", 8,
      "10:00:00 10:00:01 10:00:02 10:00:03" },
    { "parts_of_a_second", "2024-05-01 12:00:07.25", "2024-05-01 12:00:08.25", 6,
      "0.4 s 0.6 s 0.8 s 1.0 s 1.2 s" },
};

static void ticks_stand_where_the_calendar_has_them(void **state)
{
    const struct span *s = *state;
    struct plot_axis a;
    char got[1000];
    plot_axis_time(&a, time_of(s->lo), time_of(s->hi), s->most);
    good(&a, s->most);
    join(&a, got);
    assert_string_equal(s->labels, got);
}

static void any_range_has_some_good_ticks(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    printf("seed %u\n", seed);
    srand(seed);
    for (int i = 0; i < 20000; i++) {
        struct plot_axis a;
        uint32_t most = 2 + (uint32_t)rand() % (PLOT_TICKS - 1);
        double x = ldexp(rand() / (double)RAND_MAX - 0.5, rand() % 2000 - 1000);
        double y = rand() % 4 ? ldexp(rand() / (double)RAND_MAX - 0.5, rand() % 2000 - 1000)
                              : x * (1 + 1e-13 * (rand() % 100));
        plot_axis_number(&a, fmin(x, y), fmax(x, y), most);
        good(&a, most);
        plot_axis_rounded(&a, fmin(x, y), fmax(x, y), most < 3 ? 3 : most);
        good(&a, most < 3 ? 3 : most);
        assert_true(plot_axis_at(&a, x) >= 0 && plot_axis_at(&a, x) <= 1);
        plot_axis_time(&a, fmin(x, y), fmax(x, y), most);
        assert_true(a.n <= most);
    }
}

static void times_are_read_and_written(void **state)
{
    (void)state;
    static const char *const same[] = { "1970-01-01",          "0001-01-01",
                                        "9999-12-31",          "2024-02-29 12:05",
                                        "2024-02-29 12:05:09", "1969-12-31 23:59:59.5" };
    static const char *const none[] = { "",      "2024-02-30",  "2024-2-3",
                                        "today", "2024-01-01x", "2024-01-01 25:00" };
    char text[PLOT_LABEL];
    double t;
    for (size_t i = 0; i < N_OF(same); i++)
        assert_string_equal(same[i], plot_time_text(time_of(same[i]), text));
    for (size_t i = 0; i < N_OF(none); i++)
        assert_false(plot_time_read(none[i], strlen(none[i]), &t));
    assert_string_equal("2024-01-01 00:30",
                        plot_time_text(time_of("2023-12-31T22:30-02"), text));
    assert_string_equal("", plot_time_text(NAN, text));
    assert_string_equal("", plot_time_text(INFINITY, text));
    assert_true(*plot_time_text(1e300, text) && *plot_time_text(-1e300, text));
}

static void numbers_are_written_for_people(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *text;
    } all[] = {
        { 0, "0" },           { -0.0, "0" },         { 1234567.891, "1,234,567.89" },
        { 2.5, "2.5" },       { -1234, "-1,234" },   { 0.125, "0.125" },
        { 1e-300, "1e-300" }, { -1e308, "-1e+308" }, { 999.99999, "1,000" },
        { NAN, "" },          { -INFINITY, "" },     { 123456, "123,456" }
    };
    char text[PLOT_LABEL];
    for (size_t i = 0; i < N_OF(all); i++)
        assert_string_equal(all[i].text, plot_number_text(all[i].v, text));
}

// ---- lines ----

static struct plot_line line_of(const double *y, size_t n, double step)
{
    struct plot_line l = { .x_lo = 0, .x_hi = (double)(n - 1) * step };
    for (size_t i = 0; i < n; i++)
        PASS(&e, plot_line_add(
                     &l, (struct plot_point){ (double)i * step, y[i], y[i] - 1, y[i] + 1 },
                     &e));
    plot_line_end(&l);
    return l;
}

static void few_points_are_kept_as_they_are(void **state)
{
    (void)state;
    struct plot_line l = { .x_lo = -1, .x_hi = 3 };
    static const double xs[] = { 3, 1, -1, 1, 2 }, ys[] = { 30, 10, -10, 11, NAN };
    for (int i = 0; i < 5; i++)
        PASS(&e, plot_line_add(&l, (struct plot_point){ xs[i], ys[i], NAN, NAN }, &e));
    plot_line_end(&l);
    EQ_I64(5, l.n);
    EQ_I64(5, l.rows);
    EQ_I64(1, l.at_once);
    assert_false(plot_line_thinned(&l));
    static const double want[] = { -10, 10, 11, NAN, 30 };
    for (int i = 0; i < 5; i++)
        assert_true(l.v[i].y == want[i] || (isnan(want[i]) && isnan(l.v[i].y)));
    plot_line_free(&l);
}

static void a_line_without_points_is_fine(void **state)
{
    (void)state;
    struct plot_line l = { 0 };
    plot_line_end(&l);
    EQ_I64(0, l.n);
    plot_line_free(&l);
    plot_line_free(&l);
}

static void thinning_keeps_ends_and_every_peak(void **state)
{
    (void)state;
    enum { N = 100000 };
    unsigned seed = (unsigned)time(NULL);
    printf("seed %u\n", seed);
    srand(seed);
    double *y = malloc(N * sizeof *y);
    assert_non_null(y);
    for (size_t i = 0; i < N; i++)
        y[i] = rand() / (double)RAND_MAX;
    y[rand() % N] = 5;
    y[rand() % N] = -5;
    struct plot_line l = line_of(y, N, 1);
    assert_true(plot_line_thinned(&l) && l.n <= PLOT_POINTS && l.n > PLOT_BUCKETS);
    EQ_I64(N, l.rows);
    assert_true(l.v[0].y == y[0] && l.v[l.n - 1].y == y[N - 1]);
    // Of each part the least and the greatest, and no value that was not there.
    for (size_t b = 0, at = 0; b < PLOT_BUCKETS; b++) {
        double lo = INFINITY, hi = -INFINITY, seen_lo = INFINITY, seen_hi = -INFINITY;
        double end = (b + 1) * (N - 1.0) / PLOT_BUCKETS;
        size_t i = (size_t)ceil(b * (N - 1.0) / PLOT_BUCKETS);
        for (; i < N && ((double)i < end || b + 1 == PLOT_BUCKETS); i++)
            lo = fmin(lo, y[i]), hi = fmax(hi, y[i]);
        for (; at < l.n && (l.v[at].x < end || b + 1 == PLOT_BUCKETS); at++) {
            assert_true(l.v[at].y == y[(size_t)l.v[at].x]);
            assert_true(at == 0 || l.v[at].x >= l.v[at - 1].x);
            assert_true(l.v[at].lo == lo - 1 && l.v[at].hi == hi + 1);
            seen_lo = fmin(seen_lo, l.v[at].y), seen_hi = fmax(seen_hi, l.v[at].y);
        }
        assert_true(lo == seen_lo && hi == seen_hi);
    }
    plot_line_free(&l);
    free(y);
}

static void gaps_stay_when_a_line_is_thinned(void **state)
{
    (void)state;
    enum { N = 10000 };
    static double y[N];
    for (size_t i = 0; i < N; i++)
        y[i] = i >= 4000 && i < 6000 ? NAN : 1;
    struct plot_line l = line_of(y, N, 1e304);
    uint32_t gaps = 0;
    for (uint32_t i = 0; i < l.n; i++) {
        bool gap = !isfinite(l.v[i].y);
        gaps += gap;
        assert_true(gap == (l.v[i].x >= 4000e304 && l.v[i].x < 6000e304));
    }
    assert_true(gaps > 90);
    plot_line_free(&l);
}

static void rows_at_one_x_are_a_line_of_no_width(void **state)
{
    (void)state;
    static double y[5000];
    for (size_t i = 0; i < N_OF(y); i++)
        y[i] = (double)i;
    struct plot_line l = line_of(y, N_OF(y), 0);
    assert_true(l.n >= 2 && l.n <= 4);
    EQ_I64(5000, l.rows);
    plot_line_free(&l);
}

int main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(any_range_has_some_good_ticks),
        cmocka_unit_test(times_are_read_and_written),
        cmocka_unit_test(numbers_are_written_for_people),
        cmocka_unit_test(few_points_are_kept_as_they_are),
        cmocka_unit_test(a_line_without_points_is_fine),
        cmocka_unit_test(thinning_keeps_ends_and_every_peak),
        cmocka_unit_test(gaps_stay_when_a_line_is_thinned),
        cmocka_unit_test(rows_at_one_x_are_a_line_of_no_width),
    };
    int failed =
        test_main("plot", plain, N_OF(plain), TABLE(rows, ticks_are_round), N_OF(rows));
    return failed + test_main("plot times", NULL, 0,
                              TABLE(spans, ticks_stand_where_the_calendar_has_them),
                              N_OF(spans));
}
