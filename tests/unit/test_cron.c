// Cron lines: what they say, when they are due next, and what systemd makes of them.

#include "common/cron.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BERLIN    "CET-1CEST,M3.5.0,M10.5.0/3"
#define SANTIAGO  "<-04>4<-03>,M9.1.6/24,M4.1.6/24"
#define LORD_HOWE "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"

static void in_zone(const char *tz)
{
    setenv("TZ", tz, 1);
    tzset();
}

static int64_t at(const char *text) // "2026-11-22 16:00" in UTC, with or without seconds
{
    struct tm t = { 0 };
    if (!strptime(text, "%Y-%m-%d %H:%M:%S", &t)) {
        t = (struct tm){ 0 };
        if (!strptime(text, "%Y-%m-%d %H:%M", &t)) fail_msg("%s is no time", text);
    }
    return timegm(&t);
}

static const struct due {
    const char *name, *zone, *line, *after, *times[4]; // all in UTC
} due[] = {
    { "every_minute",
      "UTC",
      "* * * * *",
      "2026-11-22 16:00:30",
      { "2026-11-22 16:01", "2026-11-22 16:02" } },
    { "a_due_minute_is_not_after_itself",
      "UTC",
      "0 16 * * *",
      "2026-11-22 16:00:00",
      { "2026-11-23 16:00" } },
    { "hourly", "UTC", "hourly", "2026-12-31 23:00:00", { "2027-01-01 00:00" } },
    { "daily", "UTC", "daily", "2026-11-30 00:00:00", { "2026-12-01 00:00" } },
    { "weekly_is_on_mondays",
      "UTC",
      "weekly",
      "2026-11-22 16:00:00",
      { "2026-11-23 00:00", "2026-11-30 00:00" } },
    { "monthly",
      "UTC",
      "monthly",
      "2026-11-22 16:00:00",
      { "2026-12-01 00:00", "2027-01-01 00:00" } },
    { "yearly", "UTC", "yearly", "2026-11-22 16:00:00", { "2027-01-01 00:00" } },
    { "the_31st_skips_short_months",
      "UTC",
      "0 0 31 * *",
      "2026-11-22 16:00:00",
      { "2026-12-31 00:00", "2027-01-31 00:00", "2027-03-31 00:00", "2027-05-31 00:00" } },
    { "a_leap_day",
      "UTC",
      "30 4 29 2 *",
      "2026-11-22 16:00:00",
      { "2028-02-29 04:30", "2032-02-29 04:30" } },
    { "a_leap_day_over_a_century",
      "UTC",
      "0 0 29 feb *",
      "2096-03-01 00:00:00",
      { "2104-02-29 00:00" } },
    { "day_or_weekday",
      "UTC",
      "0 0 13 * fri",
      "2026-11-01 00:00:00",
      { "2026-11-06 00:00", "2026-11-13 00:00", "2026-11-20 00:00", "2026-11-27 00:00" } },
    { "day_or_weekday_is_both_with_a_star",
      "UTC",
      "0 0 */2 * fri",
      "2026-11-01 00:00:00",
      { "2026-11-13 00:00", "2026-11-27 00:00", "2026-12-11 00:00" } },
    { "sunday_is_0_and_7",
      "UTC",
      "0 12 * * 7",
      "2026-11-21 00:00:00",
      { "2026-11-22 12:00", "2026-11-29 12:00" } },
    { "lists_ranges_and_steps",
      "UTC",
      "*/20,5 8-10/2 * jan,Nov mon-wed",
      "2026-11-23 08:05:00",
      { "2026-11-23 08:20", "2026-11-23 08:40", "2026-11-23 10:00" } },
    { "spaces_and_tabs",
      "UTC",
      "  15\t 3  * * *  ",
      "2026-11-22 16:00:00",
      { "2026-11-23 03:15" } },
    // Clocks go from 2:00 to 3:00 on 2026-03-29, from 3:00 back to 2:00 on 2026-10-25.
    { "local_time", BERLIN, "30 3 * * *", "2026-11-22 16:00:00", { "2026-11-23 02:30" } },
    { "a_time_that_the_clock_leaves_out",
      BERLIN,
      "30 2 * * *",
      "2026-03-27 12:00:00",
      { "2026-03-28 01:30", "2026-03-30 00:30" } },
    { "a_time_that_the_clock_shows_twice",
      BERLIN,
      "30 2 * * *",
      "2026-10-24 12:00:00",
      { "2026-10-25 00:30", "2026-10-26 01:30" } },
    { "every_hour_is_every_hour",
      BERLIN,
      "30 * * * *",
      "2026-10-24 23:40:00",
      { "2026-10-25 00:30", "2026-10-25 01:30", "2026-10-25 02:30" } },
    { "an_hour_left_out_is_not_every_hour",
      BERLIN,
      "30 * * * *",
      "2026-03-29 00:00:00",
      { "2026-03-29 00:30", "2026-03-29 01:30" } },
    { "midnight_left_out",
      SANTIAGO,
      "0 0 * * *",
      "2026-09-04 12:00:00",
      { "2026-09-05 04:00", "2026-09-07 03:00" } },
    { "half_an_hour_left_out",
      LORD_HOWE,
      "15 2 * * *",
      "2026-10-02 12:00:00",
      { "2026-10-02 15:45", "2026-10-04 15:15" } },
};

static void is_due(void **state)
{
    const struct due *d = *state;
    struct cron c;
    in_zone(d->zone);
    const char *why = cron_parse(d->line, &c);
    if (why) fail_msg("%s %s", d->line, why);
    int64_t t = at(d->after);
    for (int i = 0; i < 4 && d->times[i]; i++) {
        char got[CRON_TIME];
        t = cron_next(&c, t);
        in_zone("UTC");
        assert_string_equal(d->times[i], cron_time(t, got));
        in_zone(d->zone);
    }
}

static const struct mistake {
    const char *name, *text, *why;
} mistakes[] = {
    { "empty", "", "is no schedule: it has 0 fields; give hourly, daily" },
    { "a_word", "dayly", "is no schedule; did you mean 'daily'?" },
    { "a_word_of_cron", "@weekly", "is no schedule; did you mean 'weekly'?" },
    { "another_word", "sometimes", "is no schedule: it has 1 field; give hourly" },
    { "four_fields", "1 2 3 4", "is no schedule: it has 4 fields" },
    { "six_fields", "0 1 2 3 4 5", "is no schedule: it has 6 fields" },
    { "minute_60", "60 * * * *", "has '60' as minute, which takes 0 to 59" },
    { "hour_24", "0 24 * * *", "has '24' as hour, which takes 0 to 23" },
    { "day_0", "0 0 0 * *", "has '0' as day of the month, which takes 1 to 31" },
    { "month_13", "0 0 * 13 *", "has '13' as month, which takes 1 to 12 or jan to dec" },
    { "weekday_8", "0 0 * * 8", "has '8' as weekday, which takes 0 to 7 or sun to sat" },
    { "a_long_name", "0 0 * * monday",
      "has 'monday' as weekday, which takes 0 to 7 or sun to sat" },
    { "a_misspelt_name", "0 0 * jna *", "did you mean 'jan'?" },
    { "a_number_that_is_too_long", "0000000000000000000000001 * * * *",
      "has '0000000000000000000000001' as minute" },
    { "backwards", "0 0 * * fri-mon",
      "has a range of the weekday that runs backwards; write 5-6,0-1" },
    { "a_step_of_0", "*/0 * * * *", "has a step in the minute that is none; e.g. */15" },
    { "a_step_of_nothing", "0 */ * * *", "has a step in the hour that is none; e.g. */2" },
    { "a_step_of_a_number", "5/10 * * * *",
      "has a step behind a single minute; it stands behind * or a range, e.g. 5-59/2" },
    { "an_empty_part", "1,,2 * * * *", "has '' as minute" },
    { "a_question", "0 0 ? * *", "has '?' as day of the month" },
    { "the_last_day", "0 0 L * *", "has 'L' as day of the month" },
    { "a_half_range", "1- * * * *", "has '1-' as minute" },
    { "february_30", "0 0 30 2 *", "never comes: no such month has that day" },
    { "june_31", "0 0 31 4,6,9,11 *", "never comes: no such month has that day" },
    { "a_control_character", "0\n1 * * * *", "has '0\\x0a1' as minute" },
};

static void is_wrong(void **state)
{
    const struct mistake *m = *state;
    struct cron c;
    const char *why = cron_parse(m->text, &c);
    if (!why) fail_msg("'%s' was taken", m->text);
    if (!strstr(why, m->why)) fail_msg("wanted: %s\ngot:    %s", m->why, why);
}

static void a_day_that_only_a_weekday_makes_comes(void **state)
{
    (void)state;
    struct cron c;
    assert_null(cron_parse("0 0 30 2 mon", &c));
}

static void a_text_of_any_length_is_no_overflow(void **state)
{
    (void)state;
    char text[2000];
    struct cron c;
    memset(text, '1', sizeof text);
    for (size_t n = 0; n < sizeof text; n++) {
        text[n] = 0;
        if (!cron_parse(text, &c)) fail_msg("%zu digits were taken", n);
        text[n] = n % 7 ? ',' : ' ';
    }
}

static const struct translation {
    const char *name, *line, *systemd;
} translations[] = {
    { "weekly_for_systemd", "weekly", "Mon *-*-* 00:00:00\n" },
    { "hourly_for_systemd", "hourly", "*-*-* *:00:00\n" },
    { "steps_for_systemd", "*/15 8-18/5 * * *", "*-*-* 08,13,18:00,15,30,45:00\n" },
    { "days_for_systemd", "5 4 1,2,3,31 1,3-12 *", "*-01,03..12-01..03,31 04:05:00\n" },
    { "either_day_for_systemd", "0 0 13 * sun,fri,sat",
      "*-*-13 00:00:00\nFri..Sun *-*-* 00:00:00\n" },
    { "both_days_for_systemd", "0 0 */16 * 1", "Mon *-*-01,17 00:00:00\n" },
};

static void is_translated(void **state)
{
    const struct translation *t = *state;
    struct err e;
    struct cron c;
    struct buf b = { 0 };
    assert_null(cron_parse(t->line, &c));
    PASS(&e, cron_systemd(&c, &b, &e));
    assert_string_equal(t->systemd, (char *)b.p);
    buf_free(&b);
}

// ---- random lines ----

static void random_field(char *out, unsigned min, unsigned max)
{
    unsigned span = max - min + 1, a = min + (unsigned)rand() % span;
    unsigned b = a + (unsigned)rand() % (max - a + 1);
    switch (rand() % 6) {
    case 0: sprintf(out, "%u", a); break;
    case 1: sprintf(out, "%u-%u", a, b); break;
    case 2: sprintf(out, "%u,%u-%u/%u", min, a, b, 1 + (unsigned)rand() % 3); break;
    case 3: sprintf(out, "*/%u", 1 + (unsigned)rand() % (max / 2)); break;
    default: strcpy(out, "*");
    }
}

static void random_line(char out[200], struct cron *c)
{
    static const unsigned range[5][2] = {
        { 0, 59 }, { 0, 23 }, { 1, 28 }, { 1, 12 }, { 0, 7 }
    };
    char f[5][40];
    for (int i = 0; i < 5; i++)
        random_field(f[i], range[i][0], range[i][1]);
    snprintf(out, 200, "%s %s %s %s %s", f[0], f[1], f[2], f[3], f[4]);
    const char *why = cron_parse(out, c);
    if (why) fail_msg("%s %s", out, why);
}

static unsigned seed(void)
{
    const char *given = getenv("SEED");
    unsigned s = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    print_message("SEED=%u\n", s);
    srand(s);
    return s;
}

// The rule, minute by minute.
static int64_t plain_next(const struct cron *c, int64_t after, int64_t end)
{
    for (int64_t s = after - after % 60 + 60; s < end; s += 60) {
        struct tm t;
        gmtime_r(&(time_t){ s }, &t);
        bool day = c->days >> t.tm_mday & 1, weekday = c->weekdays >> t.tm_wday & 1;
        bool fits = c->any_day || c->any_weekday ? day && weekday : day || weekday;
        if (fits && c->minutes >> t.tm_min & 1 && c->hours >> t.tm_hour & 1 &&
            c->months >> (t.tm_mon + 1) & 1)
            return s;
    }
    return end;
}

static void random_lines_are_due_when_the_rule_says(void **state)
{
    (void)state;
    seed();
    in_zone("UTC");
    for (int i = 0; i < 60; i++) {
        char line[200];
        struct cron c;
        random_line(line, &c);
        int64_t t = at("2026-01-01 00:00") + rand() % (400 * 86400), end = t + 86400 * 100;
        for (int k = 0; k < 5; k++) {
            int64_t want = plain_next(&c, t, end), got = cron_next(&c, t);
            if (want < end ? want != got : got >= 0 && got < end)
                fail_msg("'%s' after %lld: wanted %lld, got %lld", line, (long long)t,
                         (long long)want, (long long)got);
            t = want < end ? want : t;
        }
    }
}

// What systemd itself computes; -1: never.
static int64_t systemd_next(const char *spec, int64_t after)
{
    char command[700], line[300], *p;
    int64_t next = -1;
    snprintf(command, sizeof command,
             "TZ=UTC LC_ALL=C timeout 60 systemd-analyze calendar --base-time=@%lld '%s'",
             (long long)after, spec);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if ((p = strstr(line, "Next elapse: ")) && (p = strstr(p, "20")))
            next = at((p[19] = 0, p));
    if (pclose(f) != 0) fail_msg("systemd refuses '%s'", spec);
    return next;
}

static void systemd_computes_the_same_times(void **state)
{
    (void)state;
    if (system("systemd-analyze --version >/dev/null 2>&1") != 0) skip();
    struct err e;
    seed();
    in_zone("UTC");
    for (int i = 0; i < 30; i++) {
        char line[200], *rest;
        struct cron c;
        struct buf specs = { 0 };
        random_line(line, &c);
        PASS(&e, cron_systemd(&c, &specs, &e));
        int64_t after = at("2026-01-01 00:00") + rand() % (400 * 86400), want = -1;
        for (char *s = strtok_r((char *)specs.p, "\n", &rest); s;
             s = strtok_r(NULL, "\n", &rest)) {
            int64_t t = systemd_next(s, after);
            if (t >= 0 && (want < 0 || t < want)) want = t;
        }
        if (want != cron_next(&c, after))
            fail_msg("'%s' after %lld: systemd says %lld, we %lld", line, (long long)after,
                     (long long)want, (long long)cron_next(&c, after));
        buf_free(&specs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_day_that_only_a_weekday_makes_comes),
        cmocka_unit_test(a_text_of_any_length_is_no_overflow),
        cmocka_unit_test(random_lines_are_due_when_the_rule_says),
        cmocka_unit_test(systemd_computes_the_same_times),
    };
    int failed = test_main("cron_due", NULL, 0, TABLE(due, is_due), N_OF(due));
    failed +=
        test_main("cron_mistakes", NULL, 0, TABLE(mistakes, is_wrong), N_OF(mistakes));
    return failed + test_main("cron", tests, N_OF(tests),
                              TABLE(translations, is_translated), N_OF(translations));
}
