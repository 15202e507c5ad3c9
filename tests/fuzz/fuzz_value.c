// Texts to values. Whatever a parser takes is what another one, written otherwise, makes of
// it; it is written back as the same value; and a type inferred of texts fits all of them.
// The first byte: bit 0 "the user gave the type", the rest where the text is cut in two.

#include "common/csv_value.h"
#include "common/infer.h"
#include "common/number.h"
#include "common/pg_time.h"
#include "common/units.h"
#include "tests/fuzz/fuzz.h"
#include "worker/arrow.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

enum { TEXT_MAX = 200 };

struct text { // without the spaces around it, where they do not count
    char p[TEXT_MAX + 1];
    size_t n;
};

static struct text trimmed(const uint8_t *p, size_t n, bool given)
{
    struct text t;
    for (; given && n && *p == ' '; p++)
        n--;
    while (given && n && p[n - 1] == ' ')
        n--;
    memcpy(t.p, p, n);
    t.p[n] = 0;
    t.n = n;
    return t;
}

// Only signs, digits, at most one point, and an exponent.
static bool looks_real(const struct text *t, bool given)
{
    const char *p = t->p;
    p += *p == '-' || (given && *p == '+');
    size_t whole = strspn(p, "0123456789"), fraction = 0;
    if (!given && whole > 1 && *p == '0') return false;
    p += whole;
    if (*p == '.') fraction = strspn(++p, "0123456789");
    p += fraction;
    if (whole + fraction == 0) return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '-' || *p == '+';
        size_t n = strspn(p, "0123456789");
        if (n == 0) return false;
        p += n;
    }
    return p == t->p + t->n;
}

static void reals(const uint8_t *p, size_t n, bool given)
{
    struct text t = trimmed(p, n, given);
    double v, again, want = strtod(t.p, NULL);
    char out[NUMBER_MAX];
    if (!csv_parse_real(p, n, given, &v)) {
        assert(!given || !looks_real(&t, given) || !isfinite(want));
        return;
    }
    assert(looks_real(&t, given) && memcmp(&v, &want, sizeof v) == 0);
    size_t k = number_put_real(out, v);
    assert(k <= NUMBER_MAX && csv_parse_real((uint8_t *)out, k, true, &again));
    assert(memcmp(&v, &again, sizeof v) == 0);
}

static void integers(const uint8_t *p, size_t n, bool given)
{
    struct text t = trimmed(p, n, given);
    const char *d = t.p + (t.p[0] == '-' || (given && t.p[0] == '+'));
    bool is = *d && d + strspn(d, "0123456789") == t.p + t.n;
    if (!given && *d == '0' && t.n > 1) is = false;
    __int128 want = 0;
    for (; is && *d && want <= (__int128)1 << 65; d++)
        want = want * 10 + (*d - '0');
    if (t.p[0] == '-') want = -want;
    is &= want >= INT64_MIN && want <= INT64_MAX;
    int64_t v;
    char out[NUMBER_MAX];
    assert(csv_parse_integer(p, n, given, &v) == is);
    if (!is) return;
    size_t k = number_put_integer(out, v);
    assert(v == want);
    if (!given) assert(k == n && memcmp(out, p, n) == 0);
}

// The C library's calendar, as seconds since 1970.
static int64_t seconds(const uint8_t *p, bool with_time)
{
    char text[20];
    struct tm tm = { 0 };
    memcpy(text, p, with_time ? 16 : 10);
    text[with_time ? 16 : 10] = 0;
    int k = sscanf(text, "%4d-%2d-%2d%*c%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                   &tm.tm_hour, &tm.tm_min);
    assert(k == (with_time ? 5 : 3));
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    struct tm copy = tm;
    int64_t s = timegm(&copy);
    assert(copy.tm_mday == tm.tm_mday && copy.tm_mon == tm.tm_mon); // such a day exists
    return s;
}

static const int64_t FROM_1970 = 946684800; // s, of PostgreSQL's epoch

static void dates(const uint8_t *p, size_t n)
{
    int32_t days;
    int64_t since_1970;
    char out[PG_TIME_TEXT], moment[ARROW_MOMENT_MAX];
    uint32_t k;
    bool is = csv_is_date(p, n);
    if (!is)
        assert(!pg_date_read(p, n, &days) && !arrow_moment_read(true, p, n, &since_1970));
    if (!is || !pg_date_read(p, n, &days)) return;
    assert(pg_date_is_good(days) && days == seconds(p, false) / 86400 - FROM_1970 / 86400);
    assert(pg_date_show(out, days) == n && memcmp(out, p, n) == 0);
    assert(arrow_moment_read(true, p, n, &since_1970));
    assert(since_1970 == days + FROM_1970 / 86400);
    assert(arrow_moment(ARROW_DATE_DAYS, false, since_1970, moment, &k));
    assert(k == n && memcmp(moment, p, n) == 0);
}

static void timestamps(const uint8_t *p, size_t n)
{
    int64_t us, again, since_1970;
    char out[PG_TIME_TEXT], moment[ARROW_MOMENT_MAX];
    uint32_t k;
    bool is = csv_is_timestamp(p, n);
    if (!is)
        assert(!pg_timestamp_read(p, n, &us) &&
               !arrow_moment_read(false, p, n, &since_1970));
    if (!is || !pg_timestamp_read(p, n, &us)) return;
    int64_t off = us - (seconds(p, true) - FROM_1970) * 1000000; // seconds, and the zone
    assert(off > -86400 * INT64_C(1000000) && off <= 86460 * INT64_C(1000000));
    size_t shown = pg_timestamp_show(out, us);
    assert(shown <= PG_TIME_TEXT && csv_is_timestamp((uint8_t *)out, shown));
    assert(pg_timestamp_read((uint8_t *)out, shown, &again) && again == us);
    if (!arrow_moment_read(false, p, n, &since_1970)) return; // finer than microseconds
    assert(since_1970 == us + FROM_1970 * 1000000);
    assert(arrow_moment(ARROW_TIME_US, false, since_1970, moment, &k));
    assert(pg_timestamp_read((uint8_t *)moment, k, &again) && again == us);
}

static void inferred(const uint8_t *p, size_t n, size_t cut)
{
    char first[TEXT_MAX + 1], second[TEXT_MAX + 1];
    cut = n ? cut % n : 0;
    memcpy(first, p, cut);
    memcpy(second, p + cut, n - cut);
    first[cut] = second[n - cut] = 0;
    const struct csv_value a = { .p = first, .n = cut }, b = { .p = second, .n = n - cut };
    struct infer_column c = { 0 };
    infer_value(&c, &a);
    infer_value(&c, &b);
    enum type t = infer_type(&c);
    assert(t == TYPE_TEXT ||
           (csv_value_fits(t, false, a.p, a.n) && csv_value_fits(t, false, b.p, b.n)));
}

static void units(const uint8_t *p, size_t n)
{
    char text[TEXT_MAX + 1], out[UNITS_TEXT];
    uint64_t v, again;
    memcpy(text, p, n);
    text[n] = 0;
    if (!units_count(text, &v)) assert(strspn(text, "0123456789") == n && n > 0);
    if (units_size(text, &v)) return;
    assert(!units_size(units_size_text(v, out), &again) && again == v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > TEXT_MAX || memchr(data + 1, 0, size - 1)) return 0;
    size_t n = size - 1;
    uint8_t *p = exact_copy(data + 1, n);
    bool given = data[0] & 1;
    int64_t v;
    reals(p, n, given);
    integers(p, n, given);
    dates(p, n);
    timestamps(p, n);
    if (csv_parse_boolean(p, n, &v)) assert(v == 0 || v == 1);
    inferred(p, n, data[0] >> 1);
    units(p, n);
    free(p);
    return 0;
}
