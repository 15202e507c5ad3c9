// utf8 - whether bytes are UTF-8 text (Unicode 15, table 3-7) without NUL.

#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stddef.h>
#include <stdint.h>

// The offset of the first byte that is NUL or begins no valid sequence; n: all is well.
size_t utf8_bad(const uint8_t *p, size_t n);

// The longest prefix of at most `max` bytes that cuts no sequence of valid text.
size_t utf8_cut(const uint8_t *p, size_t n, size_t max);

#endif
