// csv_value - text to values, exactly: what csv_read.h says fits, and nothing else. The
// slow and complete side; csv_column has shortcuts for what is common.

#ifndef COMMON_CSV_VALUE_H
#define COMMON_CSV_VALUE_H

#include "common/types.h"

// `given`: the user gave the type, so that leading zeros, "+" and spaces around are
// accepted, and reals of any length. False: it does not fit and *out is not set.
bool csv_parse_integer(const uint8_t *p, size_t n, bool given, int64_t *out);
bool csv_parse_real(const uint8_t *p, size_t n, bool given, double *out);
bool csv_parse_boolean(const uint8_t *p, size_t n, int64_t *out);
bool csv_is_date(const uint8_t *p, size_t n);
bool csv_is_timestamp(const uint8_t *p, size_t n);

// 10^0 to 10^22: the powers of ten that a double holds exactly.
extern const double csv_power_of_10[23];

#endif
