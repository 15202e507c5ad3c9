#include "common/csv_value.h"

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

struct decimal {      // digits * 10^exponent
    bool minus, more; // more: nonzero digits follow those kept
    uint32_t n;
    int64_t exponent;
    uint64_t first; // value of the first 19 digits
    char digits[KEPT_DIGITS + 32];
};

static bool digit(uint8_t c)
{
    return (uint8_t)(c - '0') <= 9;
}

static void put_digit(struct decimal *d, uint8_t c, bool fraction)
{
    if (d->n == 0 && c == '0') { // leading zero
        d->exponent -= fraction;
    } else if (d->n < KEPT_DIGITS) {
        if (d->n < 19) d->first = d->first * 10 + (c - '0');
        d->digits[d->n++] = (char)c;
        d->exponent -= fraction;
    } else {
        d->more |= c != '0';
        d->exponent += !fraction;
    }
}

static bool read_exponent(const uint8_t *p, size_t n, int64_t *out)
{
    bool minus = n && *p == '-';
    size_t i = n && (*p == '-' || *p == '+');
    if (i == n) return false;
    int64_t v = 0;
    for (; i < n; i++) {
        if (!digit(p[i])) return false;
        if (v < EXPONENT_MAX) v = v * 10 + (p[i] - '0');
    }
    *out = minus ? -v : v;
    return true;
}

static bool read_decimal(const uint8_t *p, size_t n, bool given, struct decimal *d)
{
    size_t i = 0, digits = 0;
    bool fraction = false;
    d->minus = n && *p == '-';
    i = d->minus || (given && n && *p == '+');
    if (!given && n - i > 1 && p[i] == '0' && digit(p[i + 1])) return false;
    for (; i < n && (digit(p[i]) || (p[i] == '.' && !fraction)); i++) {
        if (p[i] == '.') {
            fraction = true;
            continue;
        }
        put_digit(d, p[i], fraction);
        digits++;
    }
    if (digits == 0) return false;
    if (i == n) return true;
    int64_t x;
    if ((p[i] | 32) != 'e' || !read_exponent(p + i + 1, n - i - 1, &x)) return false;
    d->exponent += x;
    return true;
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

// m * 10^x = m * 5^x * 2^x, where 5^27 still fits 64 bits.
static double exact(uint64_t m, int x)
{
    uint64_t five = 1;
    for (int i = x < 0 ? -x : x; i; i--)
        five *= 5;
    if (x >= 0) return ldexp((double)((unsigned __int128)m * five), x);
    // A quotient of 63 or 64 bits. A remainder only matters to the rounding: as a last bit.
    int a = __builtin_clzll(m), b = __builtin_clzll(five);
    unsigned __int128 top = (unsigned __int128)(m << a) << 63;
    uint64_t q = (uint64_t)(top / (five << b)), rest = top % (five << b) != 0;
    return ldexp((double)(q | rest), b - a - 63 + x);
}

static double to_double(struct decimal *d)
{
    if (d->n == 0) return 0;
    int64_t x = d->exponent;
    if (d->n <= 19 && d->first <= 1ull << 53) {
        if (x >= 0 && x <= 22) return (double)d->first * csv_power_of_10[x];
        if (x < 0 && x >= -22) return (double)d->first / csv_power_of_10[-x];
    }
    return d->n <= 19 && x >= -27 && x <= 27 ? exact(d->first, (int)x) : slow(d);
}

bool csv_parse_real(const uint8_t *p, size_t n, bool given, double *out)
{
    if (given) {
        while (n && *p == ' ') {
            p++;
            n--;
        }
        while (n && p[n - 1] == ' ')
            n--;
    }
    struct decimal d;
    d.n = 0;
    d.more = false;
    d.exponent = 0;
    d.first = 0;
    if (!read_decimal(p, n, given, &d)) return false;
    if (!given && d.n > INFERRED_DIGITS) return false;
    double v = to_double(&d);
    if (!isfinite(v)) return false;
    *out = d.minus ? -v : v;
    return true;
}
