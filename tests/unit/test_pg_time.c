#include "common/pg_time.h"
#include "tests/test.h"

#include <string.h>

struct row {
    const char *name; // what was written
    const char *shown;
    int64_t value; // days or microseconds since 2000-01-01
};

static const struct row DATES[] = {
    { "2000-01-01", "2000-01-01", 0 },
    { "1999-12-31", "1999-12-31", -1 },
    { "2000-02-29", "2000-02-29", 59 },
    { "2000-03-01", "2000-03-01", 60 },
    { "1900-03-01", "1900-03-01", -36465 },
    { "1970-01-01", "1970-01-01", -10957 },
    { "0001-01-01", "0001-01-01", -730119 },
    { "9999-12-31", "9999-12-31", 2921939 },
    { "0000-12-31", NULL, 0 },
    { "2001-02-29", NULL, 0 },
    { "2001-2-3", NULL, 0 },
    { "", NULL, 0 },
};

static const struct row MOMENTS[] = {
    { "2000-01-01 00:00", "2000-01-01 00:00:00", 0 },
    { "2000-01-01T00:00:01", "2000-01-01 00:00:01", 1000000 },
    { "1999-12-31 23:59:59.5", "1999-12-31 23:59:59.5", -500000 },
    { "2000-01-01 00:00:00.000001", "2000-01-01 00:00:00.000001", 1 },
    { "2000-01-01 00:00:00.0000014", "2000-01-01 00:00:00.000001", 1 },
    { "2000-01-01 00:00:00.0000015999", "2000-01-01 00:00:00.000002", 2 },
    { "1999-12-31 23:59:59.9999999", "2000-01-01 00:00:00", 0 },
    { "2000-01-01T02:00Z", "2000-01-01 02:00:00", 7200000000 },
    { "2000-01-01T02:00+02", "2000-01-01 00:00:00", 0 },
    { "2000-01-01 02:00:00.25-05:30", "2000-01-01 07:30:00.25", 27000250000 },
    { "0001-01-01 00:00+01", NULL, 0 },
    { "9999-12-31 23:59:59.9999999", NULL, 0 },
    { "0000-01-01 00:00", NULL, 0 },
    { "2000-01-01", NULL, 0 },
    { "2000-01-01 24:00", NULL, 0 },
};

static void date_is_read_and_shown(void **state)
{
    const struct row *row = *state;
    char text[PG_TIME_TEXT];
    int32_t days;
    bool is = pg_date_read((const uint8_t *)row->name, strlen(row->name), &days);
    assert_int_equal(is, row->shown != NULL);
    if (!is) return;
    EQ_I64(row->value, days);
    size_t n = pg_date_show(text, days);
    assert_int_equal(n, strlen(row->shown));
    assert_memory_equal(text, row->shown, n);
}

static void moment_is_read_and_shown(void **state)
{
    const struct row *row = *state;
    char text[PG_TIME_TEXT];
    int64_t us;
    bool is = pg_timestamp_read((const uint8_t *)row->name, strlen(row->name), &us);
    assert_int_equal(is, row->shown != NULL);
    if (!is) return;
    EQ_I64(row->value, us);
    size_t n = pg_timestamp_show(text, us);
    assert_int_equal(n, strlen(row->shown));
    assert_memory_equal(text, row->shown, n);
}

static void every_day_is_itself_again(void **state)
{
    (void)state;
    char text[PG_TIME_TEXT], before[PG_TIME_TEXT] = "0000-12-31";
    for (int32_t day = -730119, again; pg_date_is_good(day); day++) {
        assert_int_equal(10, pg_date_show(text, day));
        assert_true(pg_date_read((const uint8_t *)text, 10, &again));
        if (again != day || memcmp(before, text, 10) >= 0) fail_msg("%.10s", text);
        memcpy(before, text, 10);
    }
    assert_memory_equal("9999-12-31", before, 10);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(
        every_day_is_itself_again) };
    return test_main("pg_time", tests, N_OF(tests), NULL, 0) +
           test_main("dates", NULL, 0, TABLE(DATES, date_is_read_and_shown), N_OF(DATES)) +
           test_main("moments", NULL, 0, TABLE(MOMENTS, moment_is_read_and_shown),
                     N_OF(MOMENTS));
}
