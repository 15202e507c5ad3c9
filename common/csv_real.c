#include "common/csv_value.h"

#include "common/csv_swar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Reading a decimal number exactly. Clinger's observation ("How to Read Floating Point
// Numbers Accurately", PLDI 1990): a mantissa below 2^53 times or by a power of ten up to
// 10^22 takes one correctly rounded operation. What is left goes to integers of 128 bits,
// or to strtod, without a decimal point, so that no locale has a say.

const double csv_power_of_10[23] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

enum {
    INFERRED_DIGITS = 17, // most significant digits that an inferred column takes
    KEPT_DIGITS = 800, // 768 decide the rounding of any double (a "1" stands for the rest)
    EXPONENT_MAX = 1 << 30,
};
#define INFERRED_LIMIT 100000000000000000ull // the least number of more digits

struct shape { // of a number as it is written
    bool minus;
    const uint8_t *first, *end; // digits and point
    size_t digits, decimals;
    uint64_t value;   // of the digits, if no more than 19 are significant
    int64_t exponent; // as written
};

struct decimal { // digits * 10^exponent
    bool more;   // nonzero digits follow those kept
    uint32_t n;
    int64_t exponent;
    char digits[KEPT_DIGITS + 32];
};

static bool digit(uint8_t c)
{
    return (uint8_t)(c - '0') <= 9;
}

// Goes over digits and adds them to *v, which may overflow.
static const uint8_t *run(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
    for (; end - p >= 8 && swar_digits(swar_load(p)); p += 8)
        *v = *v * 100000000 + swar_value(swar_load(p));
    for (; p < end && digit(*p); p++)
        *v = *v * 10 + (*p - '0');
    return p;
}

static bool read_exponent(const uint8_t *p, const uint8_t *end, int64_t *out)
{
    bool minus = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    if (p == end) return false;
    int64_t v = 0;
    for (; p < end; p++) {
        if (!digit(*p)) return false;
        if (v < EXPONENT_MAX) v = v * 10 + (*p - '0');
    }
    *out = minus ? -v : v;
    return true;
}

static bool read_shape(const uint8_t *p, const uint8_t *end, bool given, struct shape *s)
{
    *s = (struct shape){ .minus = p < end && *p == '-' };
    p += s->minus || (given && p < end && *p == '+');
    s->first = p;
    p = run(p, end, &s->value);
    s->digits = (size_t)(p - s->first);
    if (!given && s->digits > 1 && *s->first == '0') return false;
    if (p < end && *p == '.') {
        const uint8_t *point = p++;
        p = run(p, end, &s->value);
        s->decimals = (size_t)(p - point) - 1;
        s->digits += s->decimals;
    }
    s->end = p;
    if (s->digits == 0) return false;
    return p == end || ((*p | 32) == 'e' && read_exponent(p + 1, end, &s->exponent));
}

static size_t significant(const struct shape *s)
{
    if (s->digits <= 19) return s->digits; // or less, which is as good
    size_t zeros = 0;
    for (const uint8_t *p = s->first; p < s->end && (*p == '0' || *p == '.'); p++)
        zeros += *p == '0';
    return s->digits - zeros;
}

static void put_digit(struct decimal *d, uint8_t c, bool fraction)
{
    if (d->n == 0 && c == '0') { // leading zero
        d->exponent -= fraction;
    } else if (d->n < KEPT_DIGITS) {
        d->digits[d->n++] = (char)c;
        d->exponent -= fraction;
    } else {
        d->more |= c != '0';
        d->exponent += !fraction;
    }
}

static void keep_digits(const struct shape *s, struct decimal *d)
{
    bool fraction = false;
    d->more = false;
    d->n = 0;
    d->exponent = s->exponent;
    for (const uint8_t *p = s->first; p < s->end; p++)
        if (*p == '.')
            fraction = true;
        else
            put_digit(d, *p, fraction);
}

static double slow(struct decimal *d)
{
    if (d->more) {
        d->digits[d->n++] = '1';
        d->exponent--;
    }
    // Past these the result is infinite or zero whatever the digits are.
    int64_t x = d->exponent;
    if (x > 100000) x = 100000;
    if (x < -100000) x = -100000;
    char *p = d->digits + d->n;
    uint64_t u = (uint64_t)(x < 0 ? -x : x);
    *p++ = 'e';
    *p++ = x < 0 ? '-' : '+';
    for (uint64_t unit = 100000; unit; unit /= 10)
        *p++ = (char)('0' + u / unit % 10);
    *p = 0;
    return strtod(d->digits, NULL);
}

static const uint64_t powers_of_5[28] = {
    1ull,
    5ull,
    25ull,
    125ull,
    625ull,
    3125ull,
    15625ull,
    78125ull,
    390625ull,
    1953125ull,
    9765625ull,
    48828125ull,
    244140625ull,
    1220703125ull,
    6103515625ull,
    30517578125ull,
    152587890625ull,
    762939453125ull,
    3814697265625ull,
    19073486328125ull,
    95367431640625ull,
    476837158203125ull,
    2384185791015625ull,
    11920928955078125ull,
    59604644775390625ull,
    298023223876953125ull,
    1490116119384765625ull,
    7450580596923828125ull,
};

static double times_power_of_2(double v, int x) // exact: -200 < x < 200
{
    uint64_t bits = (uint64_t)(1023 + x) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return v * power;
}

// m * 10^x = m * 5^x * 2^x, where 5^27 still fits 64 bits.
static double exact(uint64_t m, int x)
{
    uint64_t five = powers_of_5[x < 0 ? -x : x];
    if (x >= 0) return times_power_of_2((double)((unsigned __int128)m * five), x);
    // A quotient of 63 or 64 bits. A remainder only matters to the rounding: as a last bit.
    int a = __builtin_clzll(m), b = __builtin_clzll(five);
    unsigned __int128 top = (unsigned __int128)(m << a) << 63;
    uint64_t q = (uint64_t)(top / (five << b));
    bool rest = (uint64_t)top != q * (five << b);
    return times_power_of_2((double)(q | rest), b - a - 63 + x);
}

// m * 10^x, false when it takes strtod.
static bool quick(uint64_t m, int64_t x, double *out)
{
    if (m <= 1ull << 53 && x >= -22 && x <= 22)
        *out = x < 0 ? (double)m / csv_power_of_10[-x] : (double)m * csv_power_of_10[x];
    else if (m && x >= -27 && x <= 27)
        *out = exact(m, (int)x);
    else
        return false;
    return true;
}

bool csv_parse_real(const uint8_t *p, size_t n, bool given, double *out)
{
    const uint8_t *end = p + n;
    while (given && p < end && *p == ' ')
        p++;
    while (given && p < end && end[-1] == ' ')
        end--;
    struct shape s;
    struct decimal d;
    double v;
    if (!read_shape(p, end, given, &s)) return false;
    bool small = significant(&s) <= 19;
    if (small && !given && s.value >= INFERRED_LIMIT) return false;
    if (!small || !quick(s.value, s.exponent - (int64_t)s.decimals, &v)) {
        keep_digits(&s, &d);
        if (!given && d.n > INFERRED_DIGITS) return false;
        v = d.n ? slow(&d) : 0;
    }
    if (!isfinite(v)) return false;
    *out = s.minus ? -v : v;
    return true;
}
