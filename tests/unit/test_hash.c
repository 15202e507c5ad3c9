#include "common/hash.h"
#include "common/hash_simd.h"
#include "tests/random_batch.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 20 };

static void same(XXH128_hash_t want, struct hash128 got, size_t n, const char *what)
{
    if (want.low64 != got.lo || want.high64 != got.hi)
        fail_msg("%s of %zu bytes differs", what, n);
}

static uint8_t *noise(struct rnd *r, size_t n)
{
    uint8_t *p = malloc(n);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)rnd_next(r);
    return p;
}

// Ledgers and workers of other hosts hold these values: they must never change.
static void values_are_those_of_xxh3(void **state)
{
    (void)state;
    char hex[HASH_HEX];
    hash_hex(hash_bytes("", 0), hex);
    assert_string_equal("99aa06d3014798d86001c324468d497f", hex);
    hash_hex(hash_bytes("tranche", 7), hex);
    assert_string_equal("a9674f46a8fd279261a05a2d66a12094", hex);
    static const uint8_t zeros[1000];
    hash_hex(hash_bytes(zeros, sizeof zeros), hex);
    assert_string_equal("3fb94aea6d09b97224c1ea6074dd588c", hex);
}

static void every_register_width_gives_the_same_value(void **state)
{
    (void)state;
    struct rnd r = rnd_seed(__func__);
    uint8_t *p = noise(&r, MOST);
    for (size_t n = 0; n <= 2100; n++)
        same(hash_simd_plain.bytes(p, n), hash_bytes(p, n), n, "the hash");
    for (int i = 0; i < 50; i++) {
        size_t at = rnd_below(&r, 64), n = rnd_below(&r, MOST - 64);
        same(hash_simd_plain.bytes(p + at, n), hash_bytes(p + at, n), n, "the hash");
    }
    free(p);
}

static void a_stream_gives_the_value_of_the_whole(void **state)
{
    (void)state;
    struct rnd r = rnd_seed(__func__);
    uint8_t *p = noise(&r, MOST);
    struct hash_stream *h = hash_stream_new();
    assert_non_null(h);
    for (int i = 0; i < 50; i++) {
        size_t n = rnd_below(&r, i < 40 ? 3000 : MOST), most = 1 + rnd_below(&r, 2 * n + 1);
        hash_stream_reset(h);
        for (size_t at = 0, k; at < n; at += k) {
            k = rnd_below(&r, (uint32_t)most) + 1;
            if (k > n - at) k = n - at;
            hash_stream_add(h, p + at, k);
        }
        same(hash_simd_plain.bytes(p, n), hash_stream_value(h), n, "the hash in pieces");
    }
    hash_stream_free(&h);
    assert_null(h);
    free(p);
}

static uint64_t word(size_t at)
{
    uint64_t v;
    memcpy(&v, XXH3_kSecret + at, sizeof v);
    return v;
}

// The n-th of many 16 bytes with the same lower half of XXH3-128: what XXH3 does with so
// many (xxhash.h: XXH3_len_9to16_128b) is undone from a goal, which takes as long as
// hashing.
static void make_meet(uint64_t n, uint8_t out[16])
{
    const uint64_t goal = 0x0123456789abcdef, low_flip = word(32) ^ word(40),
                   high_flip = word(48) ^ word(56);
    XXH128_hash_t m = XXH_mult64to128(n ^ low_flip, XXH_PRIME64_1);
    m.low64 += (uint64_t)15 << 54;
    uint64_t y = XXH_swap64(m.low64 ^ goal) - m.high64;
    uint32_t inverse = 1, prime = (uint32_t)XXH_PRIME32_2;
    for (int i = 0; i < 5; i++)
        inverse *= 2 - prime * inverse; // of an odd number, modulo 2^32
    uint64_t low = (uint32_t)y * inverse;
    uint64_t x = ((y - low * prime) & 0xffffffff00000000) | low;
    uint64_t high_word = x ^ high_flip, low_word = n ^ high_word;
    memcpy(out, &low_word, 8);
    memcpy(out + 8, &high_word, 8);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void values_that_were_made_to_meet_do_not_meet_where_there_is_a_seed(void **state)
{
    (void)state;
    enum { N = 20000 };
    static uint64_t seeded[N];
    struct rnd r = rnd_seed(__func__);
    uint64_t seed = rnd_next(&r), same = 0;
    uint8_t p[16];
    make_meet(0, p);
    uint64_t meets = hash_bytes(p, sizeof p).lo;
    for (uint64_t i = 0; i < N; i++) {
        make_meet(i, p);
        if (hash_bytes(p, sizeof p).lo != meets)
            fail_msg("value %d is not made well", (int)i);
        seeded[i] = hash_seeded(p, sizeof p, seed) & 0xffffffff;
    }
    qsort(seeded, N, sizeof *seeded, by_number);
    for (int i = 1; i < N; i++)
        same += seeded[i] == seeded[i - 1];
    assert_true(same < 5); // 0.05 are expected
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(values_are_those_of_xxh3),
        cmocka_unit_test(every_register_width_gives_the_same_value),
        cmocka_unit_test(a_stream_gives_the_value_of_the_whole),
        cmocka_unit_test(values_that_were_made_to_meet_do_not_meet_where_there_is_a_seed),
    };
    return test_main("hash", plain, N_OF(plain), NULL, 0);
}
