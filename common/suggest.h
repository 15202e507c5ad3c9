// suggest - "did you mean": the nearest word by edit distance.

#ifndef COMMON_SUGGEST_H
#define COMMON_SUGGEST_H

#include <stddef.h>

// Letters to insert, delete, replace or swap with their neighbour (each letter at most
// once) to turn a into b; ASCII case, '-' and '_' make no difference. Words over 64 bytes:
// SIZE_MAX.
size_t suggest_distance(const char *a, const char *b);

// Collects the best of many: start with { .word = w }, offer every candidate, read `best`.
struct suggest {
    const char *word;
    const char *best; // borrowed from the caller; NULL: nothing is near enough
    size_t distance;
};
void suggest_offer(struct suggest *s, const char *candidate);

#endif
