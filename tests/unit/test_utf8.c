#include "common/utf8.h"

#include "tests/csv_noise.h"
#include "tests/test.h"

#include <string.h>

struct row {
    const char *name;
    const char *text;
    size_t bad; // SIZE_MAX: none
};

static const struct row rows[] = {
    { "ASCII", "abc\x7f", SIZE_MAX },
    { "two, three and four bytes", "\xc2\x80\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf",
      SIZE_MAX },
    { "a byte that continues nothing", "ab\x80", 2 },
    { "two bytes, too long a form", "a\xc1\xbf", 1 },
    { "three bytes, too long a form", "\xe0\x9f\xbf", 0 },
    { "four bytes, too long a form", "\xf0\x8f\xbf\xbf", 0 },
    { "a surrogate", "\xed\xa0\x80", 0 },
    { "past U+10FFFF", "\xf4\x90\x80\x80", 0 },
    { "no such lead", "\xf5\x80\x80\x80", 0 },
    { "cut after one of two", "ab\xc3", 2 },
    { "cut after two of three", "\xe2\x82", 0 },
    { "cut after three of four", "\xf0\x9f\x98", 0 },
    { "a lead in the place of a continuation", "\xe2\x82\xc3\xa4", 0 },
    { "far behind plain text", "0123456789abcdef0123456789abcdef\xff", 32 },
    { "across the border of sixteen", "0123456789abcde\xc3\xa4", SIZE_MAX },
};

static void finds(void **state)
{
    const struct row *r = *state;
    size_t n = strlen(r->text);
    char *exact = malloc(n);
    memcpy(exact, r->text, n);
    EQ_I64(r->bad == SIZE_MAX ? n : r->bad, utf8_bad((const uint8_t *)exact, n));
    free(exact);
}

static void nul_is_bad_at_every_place(void **state)
{
    (void)state;
    uint8_t p[50];
    for (size_t i = 0; i < sizeof p; i++) {
        memset(p, 'a', sizeof p);
        EQ_I64(sizeof p, utf8_bad(p, sizeof p));
        p[i] = 0;
        EQ_I64(i, utf8_bad(p, sizeof p));
    }
    EQ_I64(0, utf8_bad(p, 0));
}

// By the definition: decode, check the range, encode again.
static size_t bad_by_definition(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t len = p[i] < 0x80 ? 1 : p[i] < 0xe0 ? 2 : p[i] < 0xf0 ? 3 : 4;
        uint32_t c = len == 1 ? p[i] : p[i] & (0xffu >> (len + 1));
        uint8_t out[4];
        if (n - i < len) return i;
        for (size_t k = 1; k < len; k++)
            c = c << 6 | (p[i + k] & 0x3f);
        if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return i;
        size_t need = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        if (need != len) return i;
        for (size_t k = len; k-- > 1; c >>= 6)
            out[k] = 0x80 | (c & 0x3f);
        out[0] = (uint8_t)(len == 1                ? c
                           : (0xf00 >> len) & 0xf0 ? c | (uint8_t) ~(0xff >> len)
                                                   : 0);
        if (memcmp(out, p + i, len) != 0) return i;
        i += len;
    }
    return n;
}

static void random_bytes_equal_the_definition(void **state)
{
    (void)state;
    struct noise r = noise_new();
    static const uint8_t nasty[] = { 0x80, 0xbf, 0x9f, 0xa0, 0x8f, 0x90, 0xc2, 0xc1, 0xdf,
                                     0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff, 'a',  0 };
    uint8_t p[48];
    for (int i = 0; i < 300000; i++) {
        size_t n = noise_below(&r, sizeof p);
        memset(p, 'a', sizeof p);
        for (size_t k = noise_below(&r, n + 1); k < n; k++)
            p[k] = nasty[noise_below(&r, sizeof nasty)];
        EQ_I64(bad_by_definition(p, n), utf8_bad(p, n));
    }
}

static void a_cut_splits_no_character(void **state)
{
    (void)state;
    const uint8_t *p = (const uint8_t *)"a\xc3\xa4\xf0\x9f\x98\x80";
    static const size_t want[] = { 0, 1, 1, 3, 3, 3, 3, 7, 7 };
    for (size_t max = 0; max < N_OF(want); max++)
        EQ_I64(want[max], utf8_cut(p, 7, max));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nul_is_bad_at_every_place),
        cmocka_unit_test(random_bytes_equal_the_definition),
        cmocka_unit_test(a_cut_splits_no_character),
    };
    return test_main("utf8", tests, N_OF(tests), TABLE(rows, finds), N_OF(rows));
}
