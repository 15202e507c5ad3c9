#include "common/sort64.h"

enum { SMALL = 40, DIGITS = 8, BUCKETS = 256 };

static void insertion_sort(uint64_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t x = v[i];
        size_t k = i;
        for (; k && v[k - 1] > x; k--)
            v[k] = v[k - 1];
        v[k] = x;
    }
}

// Least significant digit first; a digit that all keys share costs nothing.
void sort64(uint64_t *v, uint64_t *spare, size_t n)
{
    if (n <= SMALL) {
        insertion_sort(v, n);
        return;
    }
    uint64_t differ = 0;
    for (size_t i = 1; i < n; i++)
        differ |= v[i] ^ v[0];
    uint64_t *from = v, *to = spare;
    for (unsigned digit = 0; digit < DIGITS; digit++) {
        unsigned shift = digit * 8;
        if (!(differ >> shift & 0xff)) continue;
        size_t at[BUCKETS] = { 0 }, sum = 0;
        for (size_t i = 0; i < n; i++)
            at[from[i] >> shift & 0xff]++;
        for (unsigned b = 0; b < BUCKETS; b++) {
            size_t k = at[b];
            at[b] = sum;
            sum += k;
        }
        for (size_t i = 0; i < n; i++)
            to[at[from[i] >> shift & 0xff]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != v) memcpy(v, from, n * sizeof *v);
}
