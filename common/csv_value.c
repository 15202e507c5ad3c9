#include "common/csv_value.h"

#include "common/csv_read.h"

#include <stdlib.h>
#include <string.h>

static bool digit(uint8_t c)
{
    return (uint8_t)(c - '0') <= 9;
}

static void trim(const uint8_t **p, size_t *n)
{
    while (*n && **p == ' ') {
        ++*p;
        --*n;
    }
    while (*n && (*p)[*n - 1] == ' ')
        --*n;
}

bool csv_parse_integer(const uint8_t *p, size_t n, bool given, int64_t *out)
{
    if (given) trim(&p, &n);
    bool minus = n && *p == '-';
    size_t i = minus || (given && n && *p == '+');
    if (i == n) return false;
    if (!given && p[i] == '0' && n > 1) return false; // 007, -0
    uint64_t v = 0, most = (uint64_t)INT64_MAX + minus;
    for (; i < n; i++) {
        uint64_t d = (uint64_t)p[i] - '0';
        if (d > 9 || v > (most - d) / 10) return false;
        v = v * 10 + d;
    }
    *out = (int64_t)(minus ? 0 - v : v);
    return true;
}

bool csv_parse_boolean(const uint8_t *p, size_t n, int64_t *out)
{
    static const struct {
        char text[6];
        bool value;
    } words[] = { { "true", true }, { "false", false }, { "t", true }, { "f", false },
                  { "yes", true },  { "no", false },    { "y", true }, { "n", false },
                  { "1", true },    { "0", false } };
    char low[6] = { 0 };
    if (n == 0 || n >= sizeof low) return false;
    for (size_t i = 0; i < n; i++)
        low[i] = (char)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] + 32 : p[i]);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (memcmp(low, words[i].text, sizeof low) == 0) {
            *out = words[i].value;
            return true;
        }
    return false;
}

// Two digits as a number, 100 when they are none.
static unsigned two(const uint8_t *p)
{
    return digit(p[0]) && digit(p[1]) ? (p[0] - '0') * 10u + (p[1] - '0') : 100;
}

static unsigned days_in(unsigned year, unsigned month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

bool csv_is_date(const uint8_t *p, size_t n)
{
    if (n != 10 || p[4] != '-' || p[7] != '-') return false;
    unsigned century = two(p), year = two(p + 2), month = two(p + 5), day = two(p + 8);
    if (century > 99 || year > 99 || month < 1 || month > 12) return false;
    return day >= 1 && day <= days_in(century * 100 + year, month);
}

// HH:MM, or HH alone where the minutes may be left out.
static size_t hours_minutes(const uint8_t *p, size_t n, bool hours_do)
{
    if (n < 2 || two(p) > 23) return 0;
    if (n < 3 || p[2] != ':') return hours_do ? 2 : 0;
    return n >= 5 && two(p + 3) <= 59 ? 5 : 0;
}

bool csv_is_timestamp(const uint8_t *p, size_t n)
{
    if (n < 16 || !csv_is_date(p, 10) || (p[10] != ' ' && p[10] != 'T')) return false;
    size_t i = 11 + 5;
    if (hours_minutes(p + 11, n - 11, false) == 0) return false;
    if (i < n && p[i] == ':') {
        if (n - i < 3 || two(p + i + 1) > 59) return false;
        i += 3;
        if (i < n && p[i] == '.') {
            size_t point = i++;
            while (i < n && digit(p[i]))
                i++;
            if (i == point + 1) return false;
        }
    }
    if (i == n) return true;
    if (p[i] == 'Z') return i + 1 == n;
    if (p[i] != '+' && p[i] != '-') return false;
    size_t zone = hours_minutes(p + i + 1, n - i - 1, true);
    return zone && i + 1 + zone == n;
}

bool csv_value_fits(enum type t, bool given, const char *text, size_t n)
{
    const uint8_t *p = (const uint8_t *)text;
    int64_t i;
    double r;
    switch (t) {
    case TYPE_INTEGER: return csv_parse_integer(p, n, given, &i);
    case TYPE_REAL: return csv_parse_real(p, n, given, &r);
    case TYPE_BOOLEAN: return csv_parse_boolean(p, n, &i);
    case TYPE_DATE: return csv_is_date(p, n);
    case TYPE_TIMESTAMP: return csv_is_timestamp(p, n);
    case TYPE_TEXT:
    case TYPE_ANY: break;
    }
    return true;
}
