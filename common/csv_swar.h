// csv_swar - decimal digits, eight at a time in a 64-bit word (the first in the low byte).

#ifndef COMMON_CSV_SWAR_H
#define COMMON_CSV_SWAR_H

#include "common/csv_value.h"

#include <string.h>

#define SWAR_BYTES(b) (0x0101010101010101ull * (b))

static inline uint64_t swar_load(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, 8);
    return w;
}

// The last n (1 to 8) bytes before e, behind zeros: "42" is "00000042". Reads 8 bytes.
static inline uint64_t swar_load_end(const uint8_t *e, size_t n)
{
    static const uint64_t last[9] = { 0,           ~0ull << 56, ~0ull << 48,
                                      ~0ull << 40, ~0ull << 32, ~0ull << 24,
                                      ~0ull << 16, ~0ull << 8,  ~0ull };
    uint64_t keep = last[n]; // a load is cheaper than a shift by 64 - 8 * n
    return (swar_load(e - 8) & keep) | (SWAR_BYTES('0') & ~keep);
}

static inline bool swar_digits(uint64_t w) // all eight bytes are '0' to '9'
{
    return (((w + SWAR_BYTES(0x46)) | (w - SWAR_BYTES('0'))) & SWAR_BYTES(0x80)) == 0;
}

// The value of eight digits: pairs first, then the pairs weighed by two multiplications.
static inline uint64_t swar_value(uint64_t w)
{
    const uint64_t pairs = 0x000000ff000000ff;
    w = (w & SWAR_BYTES(0x0f)) * 10 + ((w & SWAR_BYTES(0x0f)) >> 8);
    return ((w & pairs) * (100 + (1000000ull << 32)) +
            (w >> 16 & pairs) * (1 + (10000ull << 32))) >>
           32;
}

// 0x80 in bytes that equal c; exact for the lowest such byte only.
static inline uint64_t swar_find(uint64_t w, uint8_t c)
{
    uint64_t x = w ^ SWAR_BYTES(c);
    return (x - SWAR_BYTES(1)) & ~x & SWAR_BYTES(0x80);
}

// Takes byte k out: those below it move up, `first` comes in at the bottom.
static inline uint64_t swar_remove(uint64_t w, unsigned k, uint64_t first)
{
    uint64_t below = (1ull << 8 * k) - 1;
    return (w & (~below << 8)) | (w & below) << 8 | first;
}

// The common integers: up to 16 digits. False: ask csv_parse_integer.
static inline __attribute__((always_inline)) bool
swar_integer(const uint8_t *p, const uint8_t *e, bool given, int64_t *out)
{
    size_t len = (size_t)(e - p), minus = *p == '-', n = len - minus;
    uint64_t v;
    if (n - 1 < 8) {
        uint64_t w = swar_load_end(e, n);
        if (!swar_digits(w)) return false;
        v = swar_value(w);
    } else if (n - 9 < 8) {
        uint64_t high = swar_load_end(e - 8, n - 8), low = swar_load(e - 8);
        if (!swar_digits(high) || !swar_digits(low)) return false;
        v = swar_value(high) * 100000000 + swar_value(low);
    } else {
        return false;
    }
    if (p[minus] == '0' && len > 1 && !given) return false;
    *out = (int64_t)((v ^ (0 - (uint64_t)minus)) + minus);
    return true;
}

// The common reals: up to 16 bytes without an exponent, exact by csv_power_of_10 (see
// csv_real.c). False: ask csv_parse_real.
static inline __attribute__((always_inline)) bool
swar_real(const uint8_t *p, const uint8_t *e, bool given, double *out)
{
    size_t minus = *p == '-', n = (size_t)(e - p) - minus;
    uint64_t low, high, v;
    unsigned decimals = 0;
    if (n - 1 < 8) {
        low = swar_load_end(e, n);
        uint64_t dot = swar_find(low, '.');
        if (dot) {
            unsigned k = (unsigned)__builtin_ctzll(dot) >> 3;
            low = swar_remove(low, k, '0');
            decimals = 7 - k;
            if (n == 1) return false;
        }
        if (!swar_digits(low)) return false;
        v = swar_value(low);
    } else if (n - 9 < 8) {
        low = swar_load(e - 8);
        high = swar_load_end(e - 8, n - 8);
        uint64_t dot = swar_find(low, '.');
        if (dot) {
            unsigned k = (unsigned)__builtin_ctzll(dot) >> 3;
            low = swar_remove(low, k, high >> 56);
            high = high << 8 | '0';
            decimals = 7 - k;
        } else if ((dot = swar_find(high, '.')) != 0) {
            unsigned k = (unsigned)__builtin_ctzll(dot) >> 3;
            high = swar_remove(high, k, '0');
            decimals = 15 - k;
        }
        if (!swar_digits(high) || !swar_digits(low)) return false;
        v = swar_value(high) * 100000000 + swar_value(low);
        if (v > 1ull << 53) return false;
    } else {
        return false;
    }
    if (p[minus] == '0' && !given && n > 1 && (uint8_t)(p[minus + 1] - '0') <= 9)
        return false;
    double r = (double)v / csv_power_of_10[decimals];
    *out = minus ? -r : r;
    return true;
}

#endif
