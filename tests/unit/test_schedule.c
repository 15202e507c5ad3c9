// What stands in units and crontabs, and how it is found again among the lines of others.

#include "coordinator/schedule.h"
#include "coordinator/scheduled.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct err e;

static struct slice slice(const char *text)
{
    return (struct slice){ (const uint8_t *)text, strlen(text) };
}

static struct schedule of(const char *name, const char *when)
{
    return (struct schedule){ .by = SCHEDULE_CRON,
                              .name = (char *)(uintptr_t)name,
                              .job = (char *)(uintptr_t) "/a b/j.yaml",
                              .when = (char *)(uintptr_t)when,
                              .program = (char *)(uintptr_t) "/usr/bin/tranche",
                              .since = 1790000000 };
}

static const struct named {
    const char *name, *job, *is;
} names[] = {
    { "plain", "sales-2.v_1", "sales-2.v_1" },
    { "spaces", "  weekly  sales ", "weekly-sales" },
    { "umlauts", "caf\xc3\xa9 \xc3\xbc.b", "caf-.b" },
    { "slashes", "../../etc/x", "etc-x" },
    { "specifiers", "%n$(x)@y", "n-x-y" },
    { "a_point_first", ".hidden", "hidden" },
    { "nothing", "***", NULL },
    { "points", "...", NULL },
    { "empty", "", NULL },
};

static void is_named(void **state)
{
    const struct named *n = *state;
    char out[SCHEDULE_NAME_MAX + 1];
    bool good = schedule_name(n->job, out);
    if (good != (n->is != NULL)) fail_msg("'%s' became '%s'", n->job, out);
    if (good) assert_string_equal(n->is, out);
}

static void a_long_name_is_cut(void **state)
{
    (void)state;
    char name[400], out[SCHEDULE_NAME_MAX + 1];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_true(schedule_name(name, out));
    EQ_I64(SCHEDULE_NAME_MAX, strlen(out));
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct schedule s = of("x", "0 3 * * mon"), got;
    s.home = (char *)(uintptr_t) "/h\\";
    s.job = (char *)(uintptr_t) "/\"quoted\" # 100%\\";
    struct buf b = { 0 };
    PASS(&e, schedule_timer(&s, &b, &e));
    bool found;
    PASS(&e, schedule_read((struct slice){ b.p, b.n }, &got, &found, &e));
    assert_true(found);
    got.by = SCHEDULE_CRON; // it stands elsewhere
    assert_true(schedule_same(&s, &got));
    EQ_I64(s.since, got.since);
    for (size_t n = 0; n < b.n; n++) { // a half file is no other schedule, and no crash
        struct schedule half;
        PASS(&e, schedule_read((struct slice){ b.p, n }, &half, &found, &e));
        if (found) assert_string_equal(s.name, half.name);
        schedule_free(&half);
    }
    schedule_free(&got);
    buf_free(&b);
}

// ---- crontabs ----

static void replaced(const char *crontab, const char *name, const struct schedule *s,
                     struct buf *out)
{
    bool changed;
    out->n = 0;
    PASS(&e, schedule_replace(slice(crontab), name, s, out, &changed, &e));
    bool same = out->n == strlen(crontab) && !memcmp(out->p, crontab, out->n);
    assert_true(changed == !same);
    PASS(&e, buf_add(out, "", 1, &e));
    out->n--;
}

static void the_lines_of_others_stay_byte_for_byte(void **state)
{
    (void)state;
    static const char *const crontabs[] = {
        "",
        "\n",
        "x\n",
        "a\r\n\r\n\t# tranche-schedule 1 sales\n b\xff\n\n",
        "# tranche-schedule 2 sales\n# tranche-schedule ends sales\n",
        "# tranche-schedule 1 salesman\n* * * * * x\n# tranche-schedule end salesman\n",
    };
    for (size_t i = 0; i < N_OF(crontabs); i++) {
        struct schedule s = of("sales", "daily"), later = of("sales", "hourly");
        struct buf with = { 0 }, again = { 0 }, without = { 0 };
        replaced(crontabs[i], "sales", &s, &with);
        assert_memory_equal(crontabs[i], with.p, strlen(crontabs[i]));
        assert_non_null(strstr((char *)with.p, "\n0 0 * * * /usr/bin/tranche run "
                                               "'/a b/j.yaml' --scheduled"));
        replaced((char *)with.p, "sales", &s, &again);
        assert_string_equal((char *)with.p, (char *)again.p);
        PASS(&e, buf_printf(&with, &e, "behind\n"));
        replaced((char *)with.p, "sales", &later, &again);
        assert_null(strstr((char *)again.p, "\n0 0 * * * "));
        assert_non_null(strstr((char *)again.p, "\n0 * * * * /usr/bin/tranche"));
        replaced((char *)again.p, "sales", NULL, &without);
        EQ_I64(strlen(crontabs[i]) + 7, without.n);
        assert_memory_equal(crontabs[i], without.p, strlen(crontabs[i]));
        buf_free(&with);
        buf_free(&again);
        buf_free(&without);
    }
}

static void lines_that_stand_there_twice_become_one(void **state)
{
    (void)state;
    struct schedule s = of("a", "daily");
    struct buf twice = { 0 }, once = { 0 };
    PASS(&e, buf_printf(&twice, &e, "x\n"));
    PASS(&e, schedule_lines(&s, &twice, &e));
    PASS(&e, buf_printf(&twice, &e, "y\n"));
    PASS(&e, schedule_lines(&s, &twice, &e));
    PASS(&e, buf_printf(&twice, &e, "z\n"));
    replaced((char *)twice.p, "a", &s, &once);
    const char *first = strstr((char *)once.p, "tranche-schedule 1 a\n");
    assert_non_null(first);
    assert_null(strstr(first + 1, "tranche-schedule 1 a\n"));
    assert_non_null(strstr((char *)once.p, "end a\ny\nz\n"));
    buf_free(&twice);
    buf_free(&once);
}

static void a_percent_sign_gets_a_backslash(void **state)
{
    (void)state;
    struct schedule s = of("a", "daily");
    struct buf b = { 0 };
    s.job = (char *)(uintptr_t) "/100%/it's";
    PASS(&e, schedule_lines(&s, &b, &e));
    assert_non_null(strstr((char *)b.p, " run '/100\\%/it'\\''s' --scheduled"));
    buf_free(&b);
}

static void systemd_refuses_nothing_silently(void **state)
{
    (void)state;
    struct schedule s = of("a", "daily");
    struct buf b = { 0 };
    s.program = (char *)(uintptr_t) "/opt/$x/tranche";
    EXPECT(ERR_INVALID, &e, schedule_service(&s, &b, &e));
    assert_non_null(strstr(e.text, "systemd cannot start '/opt/$x/tranche'"));
    s.program = (char *)(uintptr_t) "/a b%/tranche";
    s.job = (char *)(uintptr_t) "/q\"\\$HOME%";
    PASS(&e, schedule_service(&s, &b, &e));
    assert_non_null(strstr((char *)b.p, "\nExecStart=:\"/a b%%/tranche\" run "
                                        "\"/q\\\"\\\\$HOME%%\" --scheduled"));
    s.when = (char *)(uintptr_t) "61 * * * *";
    EXPECT(ERR_INVALID, &e, schedule_timer(&s, &b, &e));
    EXPECT(ERR_INVALID, &e, schedule_lines(&s, &b, &e));
    buf_free(&b);
}

// ---- what was missed ----

static void missed_runs_are_counted_and_named(void **state)
{
    (void)state;
    struct cron c;
    struct scheduled_times t;
    char text[SCHEDULED_SENTENCE];
    setenv("TZ", "UTC", 1);
    tzset();
    int64_t noon = 1790000000 / 86400 * 86400 + 43200; // 2026-09-21 12:00
    assert_null(cron_parse("daily", &c));
    scheduled_times(&c, noon, noon + 3600, &t);
    EQ_I64(0, t.n);
    scheduled_times(&c, noon, noon + 43200, &t);
    EQ_I64(1, t.n);
    assert_string_equal("1 run was missed, due 2026-09-22 00:00",
                        scheduled_missed(&c, &t, text));
    scheduled_times(&c, noon, noon + 3 * 86400, &t);
    assert_string_equal(
        "3 runs were missed, due 2026-09-22 00:00, 2026-09-23 00:00, 2026-09-24 00:00",
        scheduled_missed(&c, &t, text));
    scheduled_times(&c, noon, noon + 30 * 86400, &t);
    assert_string_equal("30 runs were missed, due 2026-09-22 00:00 to 2026-10-21 00:00",
                        scheduled_missed(&c, &t, text));
    assert_null(cron_parse("* * * * *", &c));
    scheduled_times(&c, noon, noon + 400 * 86400, &t);
    EQ_I64(SCHEDULED_TIMES_MAX, t.n);
    assert_string_equal("more than 100000 runs were missed, due 2026-09-21 12:01 to now",
                        scheduled_missed(&c, &t, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_name_is_cut),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(the_lines_of_others_stay_byte_for_byte),
        cmocka_unit_test(lines_that_stand_there_twice_become_one),
        cmocka_unit_test(a_percent_sign_gets_a_backslash),
        cmocka_unit_test(systemd_refuses_nothing_silently),
        cmocka_unit_test(missed_runs_are_counted_and_named),
    };
    return test_main("schedule", tests, N_OF(tests), TABLE(names, is_named), N_OF(names));
}
