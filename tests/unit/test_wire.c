#include "proto/wire.h"
#include "tests/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *name;
    const char *hex;
    unsigned depth;
    uint32_t values;
    const char *why; // NULL: accepted
};

static const struct row rows[] = {
    { "nil", "c0", 0, 1, NULL },
    { "booleans", "92c2c3", 1, 3, NULL },
    { "integers_of_every_width",
      "9a00ffccffcdffffceffffffffcfffffffffffffffffd0ffd1ffffd2ffffffffd3ffffffffffffffff",
      1, 11, NULL },
    { "float64", "cb0000000000000000", 0, 1, NULL },
    { "strings_of_every_width", "94a141d90141da000141db0000000141", 1, 5, NULL },
    { "bytes_of_every_width", "93c401ffc50001ffc600000001ff", 1, 4, NULL },
    { "arrays_of_every_width", "9391c0dc0001c0dd00000001c0", 2, 7, NULL },
    { "empty_array", "90", 1, 1, NULL },
    { "siblings_of_different_depth", "9391900091c0", 3, 6, NULL },
    { "nothing", "", 1, 9,
      "byte 0 of the msgpack value: the bytes end before the value does" },
    { "array_that_stops", "92c0", 1, 9, "more elements than bytes" },
    { "second_element_missing", "9291c0", 2, 9, "byte 3" },
    { "bytes_behind", "c0c0", 1, 9, "byte 1 of the msgpack value: bytes follow" },
    { "one_value_too_many", "92c0c0", 1, 2,
      "byte 2 of the msgpack value: too many values" },
    { "one_level_too_deep", "9190", 1, 9,
      "byte 1 of the msgpack value: arrays are nested" },
    { "array_at_depth_zero", "90", 0, 9, "nested" },
    { "array_claims_four_billion", "ddffffffff", 8, UINT32_MAX,
      "more elements than bytes" },
    { "string_claims_four_gigabytes", "dbffffffff", 1, 9, "ends past" },
    { "bytes_claim_four_gigabytes", "c6ffffffff", 1, 9, "ends past" },
    { "length_that_stops", "db0000", 1, 9, "ends past" },
    { "integer_that_stops", "cf00000000000000", 1, 9, "ends past" },
    { "short_string_that_stops", "a341", 1, 9, "ends past" },
    { "not_utf8", "a2c328", 1, 9, "not UTF-8" },
    { "map", "80", 1, 9, "map" },
    { "map16", "de0000", 1, 9, "not allowed" },
    { "map32", "df00000000", 1, 9, "not allowed" },
    { "float32", "ca00000000", 1, 9, "not allowed" },
    { "reserved", "c1", 1, 9, "not allowed" },
    { "fixext1", "d40000", 1, 9, "not allowed" },
    { "fixext16", "d80000000000000000000000000000000000", 1, 9, "not allowed" },
    { "ext8", "c70000", 1, 9, "not allowed" },
    { "ext16", "c8000000", 1, 9, "not allowed" },
    { "ext32", "c90000000000", 1, 9, "not allowed" },
};

static void check_row(void **state)
{
    const struct row *r = *state;
    struct err e;
    size_t n = strlen(r->hex) / 2;
    uint8_t *p = malloc(n ? n : 1);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(1, sscanf(r->hex + 2 * i, "%2hhx", &p[i]));
    EXPECT(r->why ? ERR_PROTO : ERR_OK, &e, wire_check(p, n, r->depth, r->values, &e));
    if (r->why && !strstr(e.text, r->why))
        fail_msg("wanted '...%s...', got '%s'", r->why, e.text);
    free(p);
}

// The oracle: Unicode's definition, computed the long way.
static size_t encode(uint32_t c, uint8_t *p)
{
    if (c < 0x80) return p[0] = (uint8_t)c, 1;
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        p[i] = 0x80 | (c & 0x3f);
    p[0] = (uint8_t)(0xf00 >> n | c);
    return n;
}

static void every_character_and_no_surrogate_is_utf8(void **state)
{
    (void)state;
    uint8_t p[4];
    for (uint32_t c = 0; c < 0x140000; c++) {
        size_t n = encode(c, p), want = n;
        if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) want = 0;
        if (wire_utf8(p, n) != want) fail_msg("U+%04X", c);
    }
}

// Of all strings of three bytes, those are UTF-8 that are made of encoded characters.
static void all_strings_of_three_bytes(void **state)
{
    (void)state;
    static bool one[0x100], two[0x10000];
    uint8_t p[4];
    uint64_t want = 0, got = 0;
    for (uint32_t c = 0; c < 0x80; c++)
        one[c] = true;
    for (uint32_t c = 0x80; c < 0x800; c++)
        encode(c, p), two[p[0] << 8 | p[1]] = true;
    for (uint32_t v = 0; v < 1 << 24; v++) {
        p[0] = (uint8_t)(v >> 16), p[1] = (uint8_t)(v >> 8), p[2] = (uint8_t)v;
        want += (one[p[0]] && ((one[p[1]] && one[p[2]]) || two[v & 0xffff])) ||
                (two[v >> 8] && one[p[2]]);
        got += wire_utf8(p, 3) == 3;
    }
    EQ_I64(want + 0x10000 - 0x800 - 0x800, got); // and the characters of three bytes
}

static void a_bad_byte_is_found_at_any_place(void **state)
{
    (void)state;
    char text[40];
    for (size_t n = 0; n <= sizeof text; n++) {
        memset(text, 'a', sizeof text);
        EQ_I64(n, wire_utf8(text, n));
        for (size_t at = 0; at < n; at++) {
            text[at] = '\xff';
            EQ_I64(at, wire_utf8(text, n));
            text[at] = 'a';
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_and_no_surrogate_is_utf8),
        cmocka_unit_test(all_strings_of_three_bytes),
        cmocka_unit_test(a_bad_byte_is_found_at_any_place),
    };
    return test_main("wire", tests, N_OF(tests), TABLE(rows, check_row), N_OF(rows));
}
