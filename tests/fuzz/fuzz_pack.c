// Unpacks arbitrary bytes into a size that the first three bytes say; and what is packed
// must come back (of every eighth length of input: it takes much longer).

#include "proto/pack.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void foreign(const uint8_t *p, size_t n, size_t want)
{
    struct err e;
    uint8_t *to = malloc(want + 1);
    if (!to) return;
    to[want] = 0x5a;
    err_t rc = unpack_bytes(p, n, to, want, &e);
    if ((rc != ERR_OK && rc != ERR_PROTO) || to[want] != 0x5a) abort();
    free(to);
}

static void own(const uint8_t *p, size_t n)
{
    struct err e;
    static struct packer *k;
    size_t many = n ? PACK_MIN / n + 2 : 1;
    uint8_t *all = malloc(n * many + 1), *out = malloc(pack_bound(n * many)), *back;
    if (!all || !out || (!k && packer_new(&k, &e) != ERR_OK)) abort();
    for (size_t i = 0; i < many; i++)
        memcpy(all + i * n, p, n);
    size_t m = pack_bytes(k, all, n * many, out, pack_bound(n * many));
    if (m) {
        back = malloc(n * many);
        if (!back || unpack_bytes(out, m, back, n * many, &e) != ERR_OK) abort();
        if (memcmp(all, back, n * many) != 0) abort();
        free(back);
    }
    free(all);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) return 0;
    size_t want = data[0] | (size_t)data[1] << 8 | (size_t)(data[2] & 1) << 16;
    uint8_t *p = malloc(size - 3 + 1);
    if (!p) return 0;
    memcpy(p, data + 3, size - 3);
    foreign(p, size - 3, want);
    if (size % 8 == 0) own(p, size - 3);
    free(p);
    return 0;
}
