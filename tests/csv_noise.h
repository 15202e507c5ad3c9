// csv_noise - hostile CSV by the dozen, from a seed that failures print. TEST_SEED in the
// environment repeats a run.

#ifndef TESTS_CSV_NOISE_H
#define TESTS_CSV_NOISE_H

#include "common/csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct noise {
    uint64_t seed, x;
};

static inline struct noise noise_new(void)
{
    const char *given = getenv("TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    return (struct noise){ seed, seed * 0x9e3779b97f4a7c15ull | 1 };
}

static inline uint64_t noise_below(struct noise *r, uint64_t n) // xorshift64*
{
    r->x ^= r->x >> 12;
    r->x ^= r->x << 25;
    r->x ^= r->x >> 27;
    return (r->x * 0x2545f4914f6cdd1dull >> 11) % n;
}

static inline struct csv_dialect noise_dialect(struct noise *r)
{
    static const char quotes[] = { '"', '"', '"', '\'', 0 };
    return (struct csv_dialect){
        .delimiter = noise_below(r, 3) ? ',' : ';',
        .quote = (uint8_t)quotes[noise_below(r, sizeof quotes)],
    };
}

// Some alphabets are nearly all quotes, some nearly none.
static inline void noise_fill(struct noise *r, const struct csv_dialect *d, uint8_t *p,
                              size_t n)
{
    const uint8_t odd[] = { d->delimiter, d->quote, '\n', '\r', 0, 0xc3, '"' };
    uint64_t rare = 1 + noise_below(r, 6) * noise_below(r, 6);
    uint64_t quotes = noise_below(r, 4);
    for (size_t i = 0; i < n; i++) {
        uint64_t k = noise_below(r, rare + 4 + quotes);
        p[i] = k < rare       ? "abc 12\t."[noise_below(r, 8)]
               : k < rare + 4 ? odd[noise_below(r, quotes ? sizeof odd : 4)]
                              : d->quote;
    }
}

#endif
