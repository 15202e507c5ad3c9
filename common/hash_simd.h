// hash_simd - XXH3 compiled for wider registers than every x86-64 has: the same values,
// twice as fast. Private to hash*.c, which compile xxHash themselves for this.

#ifndef COMMON_HASH_SIMD_H
#define COMMON_HASH_SIMD_H

#define XXH_INLINE_ALL
#include <xxhash.h>

struct hash_simd {
    XXH128_hash_t (*bytes)(const void *p, size_t n);
    XXH_errorcode (*update)(XXH3_state_t *s, const void *p, size_t n);
};

extern const struct hash_simd hash_simd_plain;
#ifdef __x86_64__
extern const struct hash_simd hash_simd_avx2;
#endif

#endif
