// base64 - bytes as letters (RFC 4648, section 4, with padding).

#ifndef COMMON_BASE64_H
#define COMMON_BASE64_H

#include <stddef.h>
#include <stdint.h>

#define BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1) // with the NUL

void base64_encode(const void *p, size_t n, char *out); // BASE64_SIZE(n) bytes

#endif
