// exact - sums of numbers without any rounding, whatever their order and size: a fixed
// point number wide enough for every finite double, every int64, and their squares.
//
// Limb i holds a signed multiple of 2^(32 i + EXACT_BASE); carries are settled only when a
// limb might overflow, and when the value is looked at. (The idea is Kulisch's accumulator;
// see R. M. Neal, "Fast exact summation using small and large superaccumulators", 2015.)
// A sum that is exact does not depend on how its terms were dealt out to workers.

#ifndef COMMON_EXACT_H
#define COMMON_EXACT_H

#include "common/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    EXACT_BASE = -68 * 32, // below 2^-2148, the square of the least double
    EXACT_LIMBS = 142,     // above 2^2048 times 2^64 terms
};

struct exact {       // zero-initialised is 0
    uint32_t lo, hi; // limbs [lo, hi) may be other than 0
    uint32_t adds;   // since carries were settled
    int64_t limb[EXACT_LIMBS];
};

void exact_reset(struct exact *x);
void exact_add_i64(struct exact *x, int64_t v);
void exact_add_i128(struct exact *x, __int128 v);
void exact_add_double(struct exact *x, double v); // v is finite
void exact_add_square(struct exact *x, double v); // v * v; v is finite
void exact_add_square_i64(struct exact *x, int64_t v);

bool exact_i64(struct exact *x, int64_t *out); // false: no integer, or does not fit
double exact_double(struct exact *x); // correctly rounded, half to even; may be infinite
// The sum of the squared distances of n numbers from their mean, from their sum and the sum
// of their squares, without cancellation; n > 0.
double exact_spread(struct exact *sum, struct exact *squares, uint64_t n);

// A canonical encoding: equal values, equal bytes.
enum { EXACT_ENCODED_MAX = 4 + 4 * (EXACT_LIMBS + 2) };
size_t exact_encode(struct exact *x, uint8_t out[EXACT_ENCODED_MAX]);
// Adds an encoded value, at most 2^24 of its top limbs; returns its length, 0: no encoding.
size_t exact_add_encoded(struct exact *x, const uint8_t *p, size_t n);

#endif
