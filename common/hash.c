#include "common/hash.h"

#include <stdio.h>
#include <xxhash.h>

static struct hash128 of(XXH128_hash_t h)
{
    return (struct hash128){ .lo = h.low64, .hi = h.high64 };
}

struct hash128 hash_bytes(const void *p, size_t n)
{
    return of(XXH3_128bits(p, n));
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
    XXH3_128bits_update((XXH3_state_t *)h, p, n);
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
