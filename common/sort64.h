// sort64 - sorts 64-bit keys, and gives doubles and integers keys that sort as they do.

#ifndef COMMON_SORT64_H
#define COMMON_SORT64_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Ascending. `spare` has room for n; the result is in v.
void sort64(uint64_t *v, uint64_t *spare, size_t n);

static inline uint64_t sort64_of_int(int64_t i)
{
    return (uint64_t)i ^ (uint64_t)1 << 63;
}

static inline int64_t sort64_to_int(uint64_t k)
{
    return (int64_t)(k ^ (uint64_t)1 << 63);
}

// -0.0 and 0.0 get the same key.
static inline uint64_t sort64_of_double(double d)
{
    uint64_t u;
    if (d == 0) d = 0;
    memcpy(&u, &d, sizeof u);
    return u >> 63 ? ~u : u | (uint64_t)1 << 63;
}

static inline double sort64_to_double(uint64_t k)
{
    double d;
    k = k >> 63 ? k & ~((uint64_t)1 << 63) : ~k;
    memcpy(&d, &k, sizeof d);
    return d;
}

#endif
