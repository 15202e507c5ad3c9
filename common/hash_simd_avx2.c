#ifdef __x86_64__ // the flags of this file come from CMakeLists.txt

#include "common/hash_simd.h"

static XXH128_hash_t bytes(const void *p, size_t n)
{
    return XXH3_128bits(p, n);
}

static XXH_errorcode update(XXH3_state_t *s, const void *p, size_t n)
{
    return XXH3_128bits_update(s, p, n);
}

const struct hash_simd hash_simd_avx2 = { bytes, update };

#endif
