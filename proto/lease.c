#include "proto/lease.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { NUMBERS = 6 };

static void digest(const struct lease *l, const uint8_t *secret, uint8_t out[16])
{
    static const char label[16] = "tranche lease 1"; // keeps other uses of the secret apart
    const uint64_t number[NUMBERS] = { l->input,   l->begin, l->end,
                                       l->attempt, l->epoch, l->sid };
    uint8_t text[sizeof label + 8 * NUMBERS];
    memcpy(text, label, sizeof label);
    for (size_t i = 0; i < 8 * NUMBERS; i++)
        text[sizeof label + i] = (uint8_t)(number[i / 8] >> (i % 8 * 8));
    int rc = crypto_generichash(out, 16, text, sizeof text, secret, LEASE_SECRET_BYTES);
    assert(rc == 0);
    (void)rc;
}

static struct hash128 to_token(const uint8_t bytes[16])
{
    struct hash128 h = { 0 };
    for (unsigned i = 0; i < 8; i++) {
        h.lo |= (uint64_t)bytes[i] << (8 * i);
        h.hi |= (uint64_t)bytes[8 + i] << (8 * i);
    }
    return h;
}

void lease_secret_of(uint8_t secret[LEASE_SECRET_BYTES],
                     const uint8_t master[LEASE_SECRET_BYTES], const void *load, size_t n)
{
    static const char label[16] = "tranche load 1";
    crypto_generichash_state st;
    int rc = crypto_generichash_init(&st, master, LEASE_SECRET_BYTES, LEASE_SECRET_BYTES);
    rc |= crypto_generichash_update(&st, (const uint8_t *)label, sizeof label);
    rc |= crypto_generichash_update(&st, load, n);
    rc |= crypto_generichash_final(&st, secret, LEASE_SECRET_BYTES);
    assert(rc == 0);
    (void)rc;
}

err_t lease_secret_new(uint8_t secret[LEASE_SECRET_BYTES], struct err *e)
{
    if (sodium_init() < 0) return err_set(e, ERR_IO, "libsodium finds no randomness");
    randombytes_buf(secret, LEASE_SECRET_BYTES);
    return ERR_OK;
}

void lease_sign(struct lease *l, const uint8_t secret[LEASE_SECRET_BYTES])
{
    uint8_t bytes[16];
    digest(l, secret, bytes);
    l->token = to_token(bytes);
}

bool lease_verify(const struct lease *l, const uint8_t secret[LEASE_SECRET_BYTES])
{
    struct lease want = *l;
    lease_sign(&want, secret);
    return sodium_memcmp(&want.token, &l->token, sizeof want.token) == 0;
}
