// Decodes a spec, or a schema alone (the first byte says which); what decodes must survive
// encoding and decoding once more.

#include "proto/spec.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(err_t rc)
{
    if (rc != ERR_OK) abort();
}

static void same(struct buf *a, struct buf *b)
{
    if (a->n != b->n || memcmp(a->p, b->p, a->n) != 0) abort();
    buf_free(a);
    buf_free(b);
}

static err_t spec(const uint8_t *p, size_t n, struct err *e)
{
    struct spec s, copy;
    struct buf once = { 0 }, twice = { 0 };
    err_t rc = spec_decode(&s, p, n, e);
    if (rc != ERR_OK) return rc;
    must(spec_encode(&s, &once, e));
    must(spec_decode(&copy, once.p, once.n, e));
    must(spec_encode(&copy, &twice, e));
    same(&once, &twice);
    spec_free(&s);
    spec_free(&copy);
    return ERR_OK;
}

static err_t schema(const uint8_t *p, size_t n, struct err *e)
{
    struct schema s, copy;
    struct buf once = { 0 }, twice = { 0 };
    err_t rc = spec_decode_schema(&s, p, n, e);
    if (rc != ERR_OK) return rc;
    must(spec_encode_schema(&s, &once, e));
    must(spec_decode_schema(&copy, once.p, once.n, e));
    must(spec_encode_schema(&copy, &twice, e));
    same(&once, &twice);
    schema_free(&s);
    schema_free(&copy);
    return ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    struct err e;
    size_t n = size - 1;
    uint8_t *p = malloc(n + !n);
    if (!p) return 0;
    memcpy(p, data + 1, n);
    err_t rc = data[0] % 2 ? schema(p, n, &e) : spec(p, n, &e);
    if (rc != ERR_OK && rc != ERR_PROTO) abort();
    free(p);
    return 0;
}
