// hash - XXH3-128 (xxHash 0.8) of data: chunks, results, specs. Not for secrets.

#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash128 {
    uint64_t lo, hi;
};

struct hash128 hash_bytes(const void *p, size_t n);

// XXH3-64, for hash tables of values that come from outside: of values made to meet in one
// place of a table that is known, hash_bytes has any number.
uint64_t hash_seeded(const void *p, size_t n, uint64_t seed);

struct hash_stream; // incremental, same value as hash_bytes of the whole
struct hash_stream *hash_stream_new(void); // NULL: out of memory
void hash_stream_reset(struct hash_stream *h);
void hash_stream_add(struct hash_stream *h, const void *p, size_t n);
struct hash128 hash_stream_value(const struct hash_stream *h);
void hash_stream_free(struct hash_stream **h);

static inline int hash_equal(struct hash128 a, struct hash128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

#define HASH_HEX 33 // 32 digits, high half first, and the NUL
void hash_hex(struct hash128 h, char out[HASH_HEX]);

#endif
