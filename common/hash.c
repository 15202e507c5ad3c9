#include "common/hash.h"

#include "common/hash_simd.h"

#include <stdio.h>

static XXH128_hash_t plain_bytes(const void *p, size_t n)
{
    return XXH3_128bits(p, n);
}

static XXH_errorcode plain_update(XXH3_state_t *s, const void *p, size_t n)
{
    return XXH3_128bits_update(s, p, n);
}

const struct hash_simd hash_simd_plain = { plain_bytes, plain_update };

static const struct hash_simd *simd(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) return &hash_simd_avx2;
#endif
    return &hash_simd_plain;
}

static struct hash128 of(XXH128_hash_t h)
{
    return (struct hash128){ .lo = h.low64, .hi = h.high64 };
}

struct hash128 hash_bytes(const void *p, size_t n)
{
    return of(simd()->bytes(p, n));
}

uint64_t hash_seeded(const void *p, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(p, n, seed);
}

struct hash_stream *hash_stream_new(void)
{
    XXH3_state_t *s = XXH3_createState();
    if (s) XXH3_128bits_reset(s);
    return (struct hash_stream *)s;
}

void hash_stream_reset(struct hash_stream *h)
{
    XXH3_128bits_reset((XXH3_state_t *)h);
}

void hash_stream_add(struct hash_stream *h, const void *p, size_t n)
{
    simd()->update((XXH3_state_t *)h, p, n);
}

struct hash128 hash_stream_value(const struct hash_stream *h)
{
    return of(XXH3_128bits_digest((const XXH3_state_t *)h));
}

void hash_stream_free(struct hash_stream **h)
{
    XXH3_freeState((XXH3_state_t *)*h);
    *h = NULL;
}

void hash_hex(struct hash128 h, char out[HASH_HEX])
{
    snprintf(out, HASH_HEX, "%016llx%016llx", (unsigned long long)h.hi,
             (unsigned long long)h.lo);
}
