#include "common/utf8.h"

#include <stdbool.h>
#include <string.h>

static bool between(uint8_t c, uint8_t low, uint8_t high)
{
    return (uint8_t)(c - low) <= (uint8_t)(high - low);
}

// Length of the sequence at p, 0 when it is none.
static size_t sequence(const uint8_t *p, size_t n)
{
    uint8_t c = p[0], low = 0x80, high = 0xbf; // bounds of the second byte
    if (between(c, 1, 0x7f)) return 1;
    size_t len = between(c, 0xc2, 0xdf) ? 2 : between(c, 0xe0, 0xef) ? 3 : 4;
    if (len == 4 && !between(c, 0xf0, 0xf4)) return 0;
    if (c == 0xe0) low = 0xa0;  // not in its shortest form
    if (c == 0xed) high = 0x9f; // surrogates
    if (c == 0xf0) low = 0x90;
    if (c == 0xf4) high = 0x8f; // past U+10FFFF
    if (n < len || !between(p[1], low, high)) return 0;
    for (size_t i = 2; i < len; i++)
        if (!between(p[i], 0x80, 0xbf)) return 0;
    return len;
}

static bool plain(const uint8_t *p) // 16 bytes of ASCII without NUL
{
    uint64_t a, b, ones = 0x0101010101010101, tops = 0x8080808080808080;
    memcpy(&a, p, 8);
    memcpy(&b, p + 8, 8);
    // For ASCII only a NUL borrows into its top bit.
    return ((a | b | (a - ones) | (b - ones)) & tops) == 0;
}

size_t utf8_bad(const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        if (n - i >= 16 && plain(p + i)) {
            i += 16;
            continue;
        }
        size_t stop = n - i < 16 ? n : i + 16;
        while (i < stop) {
            size_t len = sequence(p + i, n - i);
            if (len == 0) return i;
            i += len;
        }
    }
    return n;
}

size_t utf8_cut(const uint8_t *p, size_t n, size_t max)
{
    if (n <= max) return n;
    size_t cut = max;
    while (cut > 0 && max - cut < 3 && (p[cut] & 0xc0) == 0x80)
        cut--;
    return cut;
}
