#include "proto/lease.h"
#include "proto/msg.h"
#include "tests/test.h"

#include <string.h>

static const uint8_t secret[LEASE_SECRET_BYTES] = { 1, 2, 3 };

static struct lease signed_lease(void)
{
    struct lease l = { 3, 100, 200, 2, 5, 5ull << 32 | 1, { 0 } };
    lease_sign(&l, secret);
    return l;
}

static void what_was_signed_is_valid(void **state)
{
    (void)state;
    struct lease l = signed_lease();
    assert_true(lease_verify(&l, secret));
}

// From Python: hashlib.blake2b(b"tranche lease 1\0" + struct.pack("<6Q", 3, 100, 200, 2, 5,
// 5 << 32 | 1), key=bytes([1, 2, 3] + [0] * 29), digest_size=16)
static void the_token_is_keyed_blake2b(void **state)
{
    (void)state;
    struct lease l = signed_lease();
    EQ_I64(0x8d873b3e6adcec64ll, l.token.lo);
    EQ_I64(0xb0609ad58b883508ll, l.token.hi);
}

static void any_change_makes_it_invalid(void **state)
{
    (void)state;
    struct lease l;
    l = signed_lease(), l.input ^= 1, assert_false(lease_verify(&l, secret));
    l = signed_lease(), l.begin ^= 1, assert_false(lease_verify(&l, secret));
    l = signed_lease(), l.end ^= 1ull << 63, assert_false(lease_verify(&l, secret));
    l = signed_lease(), l.attempt++, assert_false(lease_verify(&l, secret));
    l = signed_lease(), l.epoch++, assert_false(lease_verify(&l, secret));
    l = signed_lease(), l.sid++, assert_false(lease_verify(&l, secret));
    l = signed_lease(), l.token.lo ^= 1, assert_false(lease_verify(&l, secret));
    l = signed_lease(), l.token.hi ^= 1ull << 63, assert_false(lease_verify(&l, secret));
    l = (struct lease){ 0 }, assert_false(lease_verify(&l, secret));
}

static void another_secret_makes_it_invalid(void **state)
{
    (void)state;
    struct err e;
    uint8_t a[LEASE_SECRET_BYTES], b[LEASE_SECRET_BYTES];
    PASS(&e, lease_secret_new(a, &e));
    PASS(&e, lease_secret_new(b, &e));
    assert_memory_not_equal(a, b, sizeof a);
    struct lease l = signed_lease();
    lease_sign(&l, a);
    assert_true(lease_verify(&l, a));
    assert_false(lease_verify(&l, b));
}

static void a_lease_survives_a_message(void **state)
{
    (void)state;
    struct lease l = signed_lease(), got;
    struct msg m = { .type = MSG_ASSIGN };
    LEASE_PUT(&m.ASSIGN, &l);
    got = LEASE_GET(&m.ASSIGN);
    assert_true(lease_verify(&got, secret));
    EQ_I64(3, got.input);
    EQ_I64(200, got.end);
}

static void numbers_too_large_for_a_lease_are_not_cut_to_fit(void **state)
{
    (void)state;
    struct lease l = signed_lease(), got;
    struct msg_CANCEL wire;
    LEASE_PUT(&wire, &l);
    wire.input += 1ull << 32;
    got = LEASE_GET(&wire);
    assert_false(lease_verify(&got, secret));
    LEASE_PUT(&wire, &l);
    wire.attempt += 1ull << 32;
    got = LEASE_GET(&wire);
    assert_false(lease_verify(&got, secret));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_signed_is_valid),
        cmocka_unit_test(the_token_is_keyed_blake2b),
        cmocka_unit_test(any_change_makes_it_invalid),
        cmocka_unit_test(another_secret_makes_it_invalid),
        cmocka_unit_test(a_lease_survives_a_message),
        cmocka_unit_test(numbers_too_large_for_a_lease_are_not_cut_to_fit),
    };
    return test_main("lease", tests, N_OF(tests), NULL, 0);
}
