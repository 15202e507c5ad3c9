#include "proto/pack.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { N = 300000 };

static uint8_t *text(size_t n)
{
    uint8_t *p = malloc(n + 100);
    for (size_t at = 0; at < n;)
        at +=
            (size_t)snprintf((char *)p + at, 60, "%zu,the name of %zu,17\n", at, at % 997);
    return p;
}

static uint8_t *noise(size_t n)
{
    uint8_t *p = malloc(n);
    uint64_t x = 88172645463325252ull;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        p[i] = (uint8_t)x;
    }
    return p;
}

static size_t packed(const uint8_t *p, size_t n, uint8_t **out)
{
    struct err e;
    struct packer *k = NULL;
    PASS(&e, packer_new(&k, &e));
    *out = malloc(pack_bound(n));
    size_t m = pack_bytes(k, p, n, *out, pack_bound(n));
    packer_free(&k);
    return m;
}

static void what_was_packed_comes_back(void **state)
{
    (void)state;
    struct err e;
    uint8_t *out, *p = text(N), *back = malloc(N + 1);
    size_t n = packed(p, N, &out);
    assert_in_range(n, 1, N / 3);
    back[N] = 0x5a;
    PASS(&e, unpack_bytes(out, n, back, N, &e));
    assert_memory_equal(p, back, N);
    EQ_I64(0x5a, back[N]);
    free(p), free(out), free(back);
}

static void what_would_not_shrink_is_left_alone(void **state)
{
    (void)state;
    uint8_t *out, *p = noise(N);
    EQ_I64(0, packed(p, N, &out));
    free(p), free(out);
}

static void little_is_left_alone(void **state)
{
    (void)state;
    uint8_t *out, *p = text(PACK_MIN);
    EQ_I64(0, packed(p, PACK_MIN - 1, &out));
    free(out);
    assert_true(packed(p, PACK_MIN, &out) > 0);
    free(p), free(out);
}

static void without_the_room_it_is_left_alone(void **state)
{
    (void)state;
    struct err e;
    struct packer *k = NULL;
    uint8_t *p = text(N), out[1000];
    PASS(&e, packer_new(&k, &e));
    EQ_I64(0, pack_bytes(k, p, N, out, sizeof out));
    packer_free(&k);
    free(p);
}

static void another_size_is_damage(void **state)
{
    (void)state;
    struct err e;
    uint8_t *out, *p = text(N), *back = malloc(N + 1);
    size_t n = packed(p, N, &out);
    EXPECT(ERR_PROTO, &e, unpack_bytes(out, n, back, N - 1, &e));
    EXPECT(ERR_PROTO, &e, unpack_bytes(out, n, back, N + 1, &e));
    EXPECT(ERR_PROTO, &e, unpack_bytes(out, n - 1, back, N, &e));
    out = realloc(out, n + 1);
    out[n] = 0;
    EXPECT(ERR_PROTO, &e, unpack_bytes(out, n + 1, back, N, &e));
    EXPECT(ERR_PROTO, &e, unpack_bytes(out, 0, back, N, &e));
    free(p), free(out), free(back);
}

// A bomb says what it would be, or it says nothing; in both cases it finds no room.
static void bombs_find_no_room(void **state)
{
    (void)state;
    struct err e;
    size_t bomb = (size_t)1 << 28;
    uint8_t *zeros = calloc(bomb, 1), *out = malloc(ZSTD_compressBound(bomb)), room[64 + 1];
    size_t n = ZSTD_compress(out, ZSTD_compressBound(bomb), zeros, bomb, 1);
    assert_false(ZSTD_isError(n));
    room[64] = 0x5a;
    EXPECT(ERR_PROTO, &e, unpack_bytes(out, n, room, 64, &e));
    // Its header says 64 now: a frame of one segment whose size stands in one byte.
    static const uint8_t forged[] = {
        0x28, 0xb5, 0x2f, 0xfd, 0x20, 64, 0x03 | 0xf8, 0xff, 0x0f, 0x00
    }; // 128 KiB of one byte
    EXPECT(ERR_PROTO, &e, unpack_bytes(forged, sizeof forged, room, 64, &e));
    EQ_I64(0x5a, room[64]);
    free(zeros), free(out);
}

static void no_flipped_byte_does_harm(void **state)
{
    (void)state;
    struct err e;
    enum { SMALL = 20000 };
    uint8_t *out, *p = text(SMALL), *back = malloc(SMALL + 1);
    size_t n = packed(p, SMALL, &out);
    back[SMALL] = 0x5a;
    for (size_t at = 0; at < n; at++) {
        out[at] ^= 0x10;
        err_t rc = unpack_bytes(out, n, back, SMALL, &e);
        assert_true(rc == ERR_OK || rc == ERR_PROTO); // the digest tells the rest
        EQ_I64(0x5a, back[SMALL]);
        out[at] ^= 0x10;
    }
    free(p), free(out), free(back);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_packed_comes_back),
        cmocka_unit_test(what_would_not_shrink_is_left_alone),
        cmocka_unit_test(little_is_left_alone),
        cmocka_unit_test(without_the_room_it_is_left_alone),
        cmocka_unit_test(another_size_is_damage),
        cmocka_unit_test(bombs_find_no_room),
        cmocka_unit_test(no_flipped_byte_does_harm),
    };
    return cmocka_run_group_tests_name("pack", tests, NULL, NULL);
}
