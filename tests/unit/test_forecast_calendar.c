#include "common/civil.h"
#include "tests/test.h"
#include "worker/forecast_calendar.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int64_t day_of(const char *text)
{
    struct civil c = { 0 };
    assert_int_equal(3, sscanf(text, "%d-%d-%d", &c.year, &c.month, &c.day));
    return civil_days(c);
}

static void shows(const char *want, int64_t day)
{
    char got[40];
    struct civil c = civil_of(day);
    snprintf(got, sizeof got, "%04d-%02d-%02d", c.year, c.month, c.day);
    assert_string_equal(want, got);
}

// ---- dates ----

static void every_day_is_the_one_after_the_one_before(void **state)
{
    (void)state;
    struct civil want = { 1, 1, 1 };
    for (int64_t day = CIVIL_FIRST; day <= CIVIL_LAST; day++) {
        struct civil got = civil_of(day);
        if (got.year != want.year || got.month != want.month || got.day != want.day ||
            civil_days(want) != day)
            fail_msg("day %lld is %d-%d-%d", (long long)day, got.year, got.month, got.day);
        if (++want.day <= civil_month_days(want.year, want.month)) continue;
        want.day = 1;
        if (++want.month <= 12) continue;
        want.month = 1;
        want.year++;
    }
    EQ_I64(10000, want.year);
    EQ_I64(0, civil_days((struct civil){ 1970, 1, 1 }));
    EQ_I64(3, civil_weekday(0));
    EQ_I64(2, civil_weekday(-1));
}

struct step {
    const char *name, *from;
    enum calendar_step step;
    uint32_t i;
    const char *to;
};

static const struct step steps[] = {
    { "days_pass_a_leap_day", "2024-02-28", CALENDAR_DAY, 2, "2024-03-01" },
    { "weeks_keep_their_weekday", "2024-12-30", CALENDAR_WEEK, 1, "2025-01-06" },
    { "months_keep_their_day", "2024-11-15", CALENDAR_MONTH, 3, "2025-02-15" },
    { "months_end_before_a_day_they_lack", "2023-01-30", CALENDAR_MONTH, 1, "2023-02-28" },
    { "and_later_have_it_again", "2023-01-30", CALENDAR_MONTH, 2, "2023-03-30" },
    { "the_end_of_a_month_stays_one", "2023-02-28", CALENDAR_MONTH, 1, "2023-03-31" },
    { "many_months", "2023-12-31", CALENDAR_MONTH, 121, "2034-01-31" },
};

static void goes_to(void **state)
{
    const struct step *s = *state;
    shows(s->to, calendar_after(day_of(s->from), s->step, s->i));
}

// ---- holidays: as the Office of Personnel Management lists them ----

static const struct year {
    const char *name, *days;
} years[] = {
    { "2011",
      "2010-12-31 2011-01-01 2011-01-17 2011-02-21 2011-05-30 2011-07-04 2011-09-05 "
      "2011-10-10 2011-11-11 2011-11-24 2011-12-25 2011-12-26" },
    { "2020",
      "2020-01-01 2020-01-20 2020-02-17 2020-05-25 2020-07-03 2020-07-04 2020-09-07 "
      "2020-10-12 2020-11-11 2020-11-26 2020-12-25" },
    { "2022",
      "2021-12-31 2022-01-01 2022-01-17 2022-02-21 2022-05-30 2022-06-19 2022-06-20 "
      "2022-07-04 2022-09-05 2022-10-10 2022-11-11 2022-11-24 2022-12-25 2022-12-26" },
};

static void has_these_holidays(void **state)
{
    const struct year *y = *state;
    char got[400] = "", first[12];
    snprintf(first, sizeof first, "%s-01-01", y->name);
    for (int64_t day = day_of(first) - 1; day < day_of(first) + 364; day++) {
        struct civil c = civil_of(day);
        size_t n = strlen(got);
        if (calendar_holidays(day))
            snprintf(got + n, sizeof got - n, "%s%04d-%02d-%02d", n ? " " : "", c.year,
                     c.month, c.day);
    }
    assert_string_equal(y->days, got);
}

static void each_holiday_has_a_bit_of_its_own(void **state)
{
    (void)state;
    uint32_t all = 0;
    for (int64_t day = day_of("2021-01-01"); day <= day_of("2021-12-31"); day++)
        all |= calendar_holidays(day);
    EQ_I64((1 << CALENDAR_HOLIDAYS) - 1, all);
    EQ_I64(calendar_holidays(day_of("2020-12-25")),
           calendar_holidays(day_of("2019-12-25")));
    EQ_I64(1 << (CALENDAR_HOLIDAYS - 1), calendar_holidays(day_of("2021-07-05")));
    EQ_I64(0, calendar_holidays(day_of("2020-06-19")));
}

// ---- cycles ----

static void waves_are_sines_and_cosines(void **state)
{
    (void)state;
    double w[40];
    static const double places[] = { 0, 0.25, -0.3, 123.456, 7000.001 };
    for (size_t i = 0; i < N_OF(places); i++) {
        calendar_waves(places[i], 20, w);
        for (int k = 0; k < 20; k++) {
            double angle = 2 * M_PI * (k + 1) * (places[i] - floor(places[i]));
            assert_true(fabs(w[2 * k] - sin(angle)) < 1e-9);
            assert_true(fabs(w[2 * k + 1] - cos(angle)) < 1e-9);
        }
    }
}

static void cycles_begin_where_they_say(void **state)
{
    (void)state;
    assert_true(calendar_week(day_of("2024-01-01")) == 0);
    assert_true(calendar_week(day_of("2024-01-07")) == 6 / 7.0);
    assert_true(calendar_month(day_of("2024-02-01")) == 0);
    assert_true(calendar_month(day_of("2024-02-29")) == 28 / 29.0);
    assert_true(calendar_year(0) == 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_is_the_one_after_the_one_before),
        cmocka_unit_test(each_holiday_has_a_bit_of_its_own),
        cmocka_unit_test(waves_are_sines_and_cosines),
        cmocka_unit_test(cycles_begin_where_they_say),
    };
    int bad = test_main("forecast_calendar", tests, N_OF(tests), TABLE(steps, goes_to),
                        N_OF(steps));
    return bad |
           test_main("holidays", NULL, 0, TABLE(years, has_these_holidays), N_OF(years));
}
