#include "common/number.h"

#include "common/csv_value.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char pairs[] = "0001020304050607080910111213141516171819"
                            "2021222324252627282930313233343536373839"
                            "4041424344454647484950515253545556575859"
                            "6061626364656667686970717273747576777879"
                            "8081828384858687888990919293949596979899";

enum { DIGITS = 20 }; // of any uint64_t

// Right-aligned in to[DIGITS]; the first digit.
static const char *digits(char to[DIGITS], uint64_t v)
{
    char *p = to + DIGITS;
    for (; v >= 100; v /= 100)
        memcpy(p -= 2, pairs + v % 100 * 2, 2);
    if (v >= 10)
        memcpy(p -= 2, pairs + v * 2, 2);
    else
        *--p = (char)('0' + v);
    return p;
}

size_t number_put_integer(char *to, int64_t v)
{
    char text[DIGITS];
    char *p = to;
    if (v < 0) *p++ = '-';
    const char *d = digits(text, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    size_t n = (size_t)(text + DIGITS - d);
    memcpy(p, d, n);
    return (size_t)(p - to) + n;
}

// v = m / 10^k, with the least k: as m < 2^53 and k <= 22, the quotient is rounded once and
// correctly, and so is whoever reads the text. 0 <= v < 2^53.
static bool as_decimal(double v, uint64_t *m, unsigned *k)
{
    for (*k = 0; *k <= 15; ++*k) {
        double scaled = v * csv_power_of_10[*k];
        if (scaled >= 9007199254740992.0) return false;
        *m = (uint64_t)(scaled + 0.5);
        if ((double)*m / csv_power_of_10[*k] == v) return true;
    }
    return false;
}

static size_t put_decimal(char *to, uint64_t m, unsigned k)
{
    char text[DIGITS];
    const char *d = digits(text, m);
    size_t n = (size_t)(text + DIGITS - d);
    char *p = to;
    if (n <= k) {
        memset(p, '0', k - n + 2);
        p[1] = '.';
        p += k - n + 2;
        memcpy(p, d, n);
        return (size_t)(p - to) + n;
    }
    memcpy(p, d, n - k);
    p += n - k;
    *p++ = '.';
    if (!k) *p++ = '0';
    memcpy(p, d + n - k, k);
    return (size_t)(p - to) + k;
}

// %g has the locale's point; the programs never set one, and their libraries do not either.
static size_t put_any(char *to, double v)
{
    char text[40];
    int n = 0;
    for (int precision = 15; precision <= 17; precision++) {
        n = snprintf(text, sizeof text, "%.*g", precision, v);
        if (strtod(text, NULL) == v) break;
    }
    if (!strpbrk(text, ".e")) { // an integer; csv_read takes 17 digits and no more
        if (n < 17)
            n += snprintf(text + n, sizeof text - (size_t)n, ".0");
        else
            n = snprintf(text, sizeof text, "%.16e", v);
    }
    memcpy(to, text, (size_t)n);
    return (size_t)n;
}

size_t number_put_real(char *to, double v)
{
    uint64_t m = 0;
    unsigned k = 0;
    bool minus = signbit(v) && !isnan(v);
    if (isnan(v)) v = 0;
    double size = fabs(v);
    char *p = to;
    if (minus) *p++ = '-';
    if (isinf(v)) return (size_t)((char *)memcpy(p, "9e999", 5) - to) + 5;
    if ((size >= 1e-5 || size == 0) && size < 1e15 && as_decimal(size, &m, &k))
        return (size_t)(p - to) + put_decimal(p, m, k);
    return (size_t)(p - to) + put_any(p, size);
}

uint8_t *number_put_hex(uint8_t *to, const uint8_t *p, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        *to++ = (uint8_t)hex[p[i] >> 4];
        *to++ = (uint8_t)hex[p[i] & 15];
    }
    return to;
}
