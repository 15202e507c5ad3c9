// number - numbers to text, the shortest that reads back as the same number.

#ifndef COMMON_NUMBER_H
#define COMMON_NUMBER_H

#include <stddef.h>
#include <stdint.h>

enum { NUMBER_MAX = 32 }; // bytes that either writes at most; no NUL follows

size_t number_put_integer(char *to, int64_t v);
// Always with a point or an exponent, so that it reads back as a real: "3.0", "-0.0",
// "0.1", "1e+300". What is not finite becomes 9e999 or -9e999, which JSON allows; NaN
// becomes 0.0, SQLite has none.
size_t number_put_real(char *to, double v);

// Hex digits of n bytes, two a byte; returns past the last.
uint8_t *number_put_hex(uint8_t *to, const uint8_t *p, size_t n);

#endif
