#include "common/units.h"
#include "tests/test.h"

#include <string.h>

struct size_row {
    const char *name; // what was written
    uint64_t bytes;
    const char *wrong; // NULL: it is a size
};

static const struct size_row sizes[] = {
    { "0", 0, NULL },
    { "1", 1, NULL },
    { "123456789", 123456789, NULL },
    { "7B", 7, NULL },
    { "64KiB", 65536, NULL },
    { "4MiB", 4194304, NULL },
    { "2GiB", 2147483648, NULL },
    { "1TiB", 1099511627776, NULL },
    { "1.5KiB", 1536, NULL },
    { "0.1KiB", 102, NULL },
    { "9223372036854775807", INT64_MAX, NULL },
    { "9223372036854775808", 0, "e.g. 64KiB, 4MiB or 2GiB" },
    { "99999999999999999999", 0, "e.g. 64KiB, 4MiB or 2GiB" },
    { "8388608TiB", 0, "e.g. 64KiB, 4MiB or 2GiB" },
    { "", 0, "e.g. 64KiB, 4MiB or 2GiB" },
    { "-1", 0, "e.g. 64KiB, 4MiB or 2GiB" },
    { "+1", 0, "e.g. 64KiB, 4MiB or 2GiB" },
    { "1.5", 0, "e.g. 64KiB, 4MiB or 2GiB" },
    { "1.KiB", 0, "e.g. 64KiB, 4MiB or 2GiB" },
    { ".5KiB", 0, "e.g. 64KiB, 4MiB or 2GiB" },
    { "1.0000000001KiB", 0, "e.g. 64KiB, 4MiB or 2GiB" },
    { "64 KiB", 0, "e.g. 64KiB, 4MiB or 2GiB" },
    { "1e6", 0, "e.g. 64KiB, 4MiB or 2GiB" },
    { "64MB", 0, "write 64MiB" },
    { "64m", 0, "write 64MiB" },
    { "64kib", 0, "write 64KiB" },
    { "1.5G", 0, "write 1.5GiB" },
    { "auto", 0, "e.g. 64KiB, 4MiB or 2GiB" },
};

static void size_is_read(void **state)
{
    const struct size_row *row = *state;
    uint64_t got = 0;
    const char *wrong = units_size(row->name, &got);
    if (!row->wrong) {
        if (wrong) fail_msg("%s was refused: %s", row->name, wrong);
        EQ_I64(row->bytes, got);
    } else {
        assert_non_null(wrong);
        assert_string_equal(row->wrong, wrong);
    }
}

struct duration_row {
    const char *name;
    int64_t ms;
    const char *wrong;
};

static const struct duration_row durations[] = {
    { "250ms", 250, NULL },
    { "90s", 90000, NULL },
    { "5m", 300000, NULL },
    { "1h", 3600000, NULL },
    { "2d", 172800000, NULL },
    { "0.5s", 500, NULL },
    { "0ms", 0, NULL },
    { "1.5h", 5400000, NULL },
    { "90", 0, "write 90s" },
    { "5min", 0, "write 5m" },
    { "2 s", 0, "e.g. 90s, 5m or 1h" },
    { "1h30m", 0, "e.g. 90s, 5m or 1h" },
    { "106751991168d", 0, "e.g. 90s, 5m or 1h" },
    { "soon", 0, "e.g. 90s, 5m or 1h" },
};

static void duration_is_read(void **state)
{
    const struct duration_row *row = *state;
    int64_t got = 0;
    const char *wrong = units_duration(row->name, &got);
    if (!row->wrong) {
        assert_null(wrong);
        EQ_I64(row->ms, got);
    } else {
        assert_non_null(wrong);
        assert_string_equal(row->wrong, wrong);
    }
}

static void shares_are_percentages(void **state)
{
    (void)state;
    double d = -1;
    assert_null(units_share("1%", &d));
    assert_true(d == 0.01);
    assert_null(units_share("0.5%", &d));
    assert_true(d == 0.005);
    assert_null(units_share("100%", &d));
    assert_true(d == 1);
    assert_null(units_share("0%", &d));
    assert_true(d == 0);
    assert_non_null(units_share("101%", &d));
    assert_non_null(units_share("100.1%", &d));
    assert_non_null(units_share("1", &d));
    assert_non_null(units_share("%", &d));
    assert_non_null(units_share("-1%", &d));
    assert_non_null(units_share("1%%", &d));
}

static void counts_are_whole_numbers(void **state)
{
    (void)state;
    uint64_t n = 0;
    assert_null(units_count("100", &n));
    EQ_I64(100, n);
    assert_non_null(units_count("1.5", &n));
    assert_non_null(units_count("-1", &n));
    assert_non_null(units_count("1k", &n));
    assert_non_null(units_count("", &n));
    assert_non_null(units_count("18446744073709551615", &n));
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    char text[UNITS_TEXT];
    assert_string_equal("128MiB", units_size_text((uint64_t)128 << 20, text));
    assert_string_equal("131073", units_size_text(131073, text));
    assert_string_equal("0", units_size_text(0, text));
    assert_string_equal("10m", units_duration_text(600000, text));
    assert_string_equal("1500ms", units_duration_text(1500, text));
    assert_string_equal("0ms", units_duration_text(0, text));
    for (uint64_t v = 1; v < (uint64_t)1 << 62; v = v * 3 + 1) {
        uint64_t bytes = 0;
        int64_t ms = 0;
        assert_null(units_size(units_size_text(v, text), &bytes));
        EQ_I64(v, bytes);
        assert_null(units_duration(units_duration_text((int64_t)v, text), &ms));
        EQ_I64(v, ms);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_percentages),
        cmocka_unit_test(counts_are_whole_numbers),
        cmocka_unit_test(what_is_written_is_read_back),
    };
    int failed =
        test_main("units", tests, N_OF(tests), TABLE(sizes, size_is_read), N_OF(sizes));
    return failed + test_main("durations", NULL, 0, TABLE(durations, duration_is_read),
                              N_OF(durations));
}
