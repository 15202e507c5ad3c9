// Decodes a header frame; what decodes must survive encoding and decoding once more. The
// first byte says whether the frame gets a length and a check word that fit.

#include "tests/forge.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct msg *m)
{
    struct err e;
    struct buf once = { 0 }, twice = { 0 };
    struct msg copy;
    char line[300];
    msg_describe(m, line, sizeof line);
    if (strlen(line) >= sizeof line) abort();
    if (msg_encode(m, &once, &e) != ERR_OK) abort();
    if (msg_decode(once.p, once.n, &copy, &e) != ERR_OK) abort();
    if (msg_encode(&copy, &twice, &e) != ERR_OK) abort();
    if (once.n != twice.n || memcmp(once.p, twice.p, once.n) != 0) abort();
    buf_free(&once);
    buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    struct err e;
    struct msg m;
    size_t n = size - 1;
    uint8_t *p = malloc(n + !n);
    if (!p) return 0;
    memcpy(p, data + 1, n);
    if (data[0] % 2 && n >= MSG_FIXED_BYTES) forge_seal(p, n);
    err_t rc = msg_decode(p, n, &m, &e);
    if (rc == ERR_OK) again(&m);
    if (rc != ERR_OK && rc != ERR_PROTO) abort();
    struct slice payload;
    for (size_t at = 0, used; at < n; at += used) // as one of several
        if (msg_decode_next(p + at, n - at, &m, &payload, &used, &e) != ERR_OK) break;
    free(p);
    return 0;
}
