#include "common/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

// Bytes of the well-formed UTF-8 sequence at p (Unicode 15, table 3-7), 0: none.
static size_t sequence(const uint8_t *p, size_t n)
{
    uint8_t a = p[0], low = 0x80, high = 0xbf;
    if (a < 0x80) return 1;
    size_t want = a >= 0xf0 ? 4 : a >= 0xe0 ? 3 : 2;
    if (a < 0xc2 || a > 0xf4 || n < want) return 0;
    if (a == 0xe0) low = 0xa0;
    if (a == 0xed) high = 0x9f;
    if (a == 0xf0) low = 0x90;
    if (a == 0xf4) high = 0x8f;
    if (p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < want; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    return want;
}

bool text_is_utf8(const char *s, size_t n)
{
    const uint8_t *p = (const uint8_t *)s;
    for (size_t i = 0, k; i < n; i += k)
        if ((k = sequence(p + i, n - i)) == 0) return false;
    return true;
}

bool text_has_control(const char *s)
{
    for (; *s; s++)
        if ((uint8_t)*s < 0x20 || *s == 0x7f) return true;
    return false;
}

size_t text_harmless(const char *s, size_t n)
{
    const uint8_t *p = (const uint8_t *)s;
    size_t k = sequence(p, n);
    bool c1 = k == 2 && p[0] == 0xc2 && p[1] < 0xa0; // U+0080 to U+009F steer them, too
    return *p < 0x20 || *p == 0x7f || c1 ? 0 : k;
}

const char *text_quoted(const char *s, char out[TEXT_QUOTED])
{
    enum { SHOWN = TEXT_QUOTED - 12 };
    const uint8_t *p = (const uint8_t *)s;
    size_t left = strlen(s), at = 0;
    out[at++] = '\'';
    while (left && at < SHOWN) {
        size_t k = text_harmless((const char *)p, left);
        if (k == 0) {
            k = 1;
            at += (size_t)sprintf(out + at, "\\x%02x", *p);
        } else {
            memcpy(out + at, p, k);
            at += k;
        }
        p += k;
        left -= k;
    }
    if (left) at += (size_t)sprintf(out + at, "...");
    out[at++] = '\'';
    out[at] = 0;
    return out;
}

char *text_make_harmless(char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0, k; i < n; i += k)
        if ((k = text_harmless(s + i, n - i)) == 0) s[i] = '?', k = 1;
    return s;
}

bool text_is_plain(const char *s)
{
    for (size_t n = strlen(s), k; n; s += k, n -= k)
        if ((k = text_harmless(s, n)) == 0) return false;
    return true;
}

bool text_is_identifier(const char *s)
{
    if (!letter(*s)) return false;
    while (letter(*s) || digit(*s))
        s++;
    return *s == 0;
}

bool text_to_identifier(const char *s, char *out, size_t size)
{
    size_t n = 0;
    bool gap = false;
    for (; *s && n + 4 < size; s++) {
        if (*s == '_' || (!letter(*s) && !digit(*s))) {
            gap = n > 0;
            continue;
        }
        if (n == 0 && digit(*s)) {
            out[n++] = 't';
            gap = true;
        }
        if (gap) out[n++] = '_';
        gap = false;
        out[n++] = *s;
    }
    out[n] = 0;
    return n > 0;
}
