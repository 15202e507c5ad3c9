// fuzz - what the targets share.

#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void must(err_t rc)
{
    if (rc != ERR_OK) abort();
}

// The bytes in a block of exactly their size: asan sees what is read past it.
static inline uint8_t *exact_copy(const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy) abort();
    if (n) memcpy(copy, p, n);
    return copy;
}

// The input as a tape of choices: at its end it gives zeros.
struct tape {
    const uint8_t *p;
    size_t n;
};

static inline uint64_t draw(struct tape *t, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes && t->n; i++, t->n--)
        v = v << 8 | *t->p++;
    return v;
}

// So many bytes of it, or what is left; borrowed.
static inline const uint8_t *draw_bytes(struct tape *t, size_t n, size_t *got)
{
    const uint8_t *p = t->p;
    *got = n < t->n ? n : t->n;
    t->p += *got;
    t->n -= *got;
    return p;
}

#endif
