#include "common/suggest.h"
#include "common/text.h"
#include "tests/test.h"

#include <stdint.h>
#include <string.h>

static const char *nearest(const char *word, const char *const *candidates)
{
    struct suggest s = { .word = word };
    for (; *candidates; candidates++)
        suggest_offer(&s, *candidates);
    return s.best;
}

static void distance_counts_edits(void **state)
{
    (void)state;
    EQ_I64(0, suggest_distance("source", "source"));
    EQ_I64(1, suggest_distance("sorce", "source"));
    EQ_I64(1, suggest_distance("cvs", "csv"));
    EQ_I64(3, suggest_distance("kitten", "sitting"));
    EQ_I64(4, suggest_distance("", "mode"));
    EQ_I64(4, suggest_distance("mode", ""));
    EQ_I64(0, suggest_distance("Bad-Rows", "bad_rows"));
    EQ_I64(3, suggest_distance("ca", "abc"));
}

static void distance_of_long_words_is_not_computed(void **state)
{
    (void)state;
    char word[200];
    memset(word, 'a', sizeof word - 1);
    word[sizeof word - 1] = 0;
    assert_true(suggest_distance(word, "a") == SIZE_MAX);
    assert_null(nearest(word, (const char *const[]){ "aaaa", NULL }));
}

static void the_nearest_word_is_offered(void **state)
{
    (void)state;
    static const char *const keys[] = { "source", "batch", "load", "limits", "name", NULL };
    assert_string_equal("source", nearest("sorce", keys));
    assert_string_equal("limits", nearest("limit", keys));
    assert_string_equal("load", nearest("laod", keys));
    assert_null(nearest("zebra", keys));
    assert_null(nearest("x", keys));
}

static void quoted_text_is_one_harmless_line(void **state)
{
    (void)state;
    char out[TEXT_QUOTED], big[4000];
    assert_string_equal("'abc'", text_quoted("abc", out));
    assert_string_equal("'a\\x0ab\\x1b[2J'", text_quoted("a\nb\x1b[2J", out));
    assert_string_equal("'\xc3\xa4'", text_quoted("\xc3\xa4", out));
    assert_string_equal("'\\xff\\xc3'", text_quoted("\xff\xc3", out));
    assert_string_equal("'\\xc2\\x9b'", text_quoted("\xc2\x9b", out));
    for (int c = 1; c < 256; c++) {
        memset(big, c, sizeof big - 1);
        big[sizeof big - 1] = 0;
        text_quoted(big, out);
        assert_true(strlen(out) < TEXT_QUOTED);
        assert_non_null(strstr(out, "...'"));
    }
}

static void utf8_is_told_from_other_bytes(void **state)
{
    (void)state;
    static const char *const good[] = {
        "", "abc", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"
    };
    static const char *const bad[] = { "\x80",
                                       "\xc3",
                                       "\xc0\x80",
                                       "\xe0\x80\x80",
                                       "\xed\xa0\x80",
                                       "\xf5\x80\x80\x80",
                                       "\xf0\x80\x80\x80",
                                       "\xe2\x82",
                                       "a\xff" };
    for (size_t i = 0; i < N_OF(good); i++)
        assert_true(text_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < N_OF(bad); i++)
        assert_false(text_is_utf8(bad[i], strlen(bad[i])));
}

static void identifiers_are_made_of_any_text(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        { "origin-delays", "origin_delays" },
        { "flights", "flights" },
        { "flights-*", "flights" },
        { "2008", "t_2008" },
        { "a  b..c", "a_b_c" },
        { "__x__", "x" },
        { "\xc3\xa4pfel", "pfel" },
    };
    char out[64], small[8];
    for (size_t i = 0; i < N_OF(rows); i++) {
        assert_true(text_to_identifier(rows[i][0], out, sizeof out));
        assert_string_equal(rows[i][1], out);
        assert_true(text_is_identifier(out));
    }
    assert_false(text_to_identifier("*", out, sizeof out));
    assert_false(text_to_identifier("", out, sizeof out));
    assert_true(text_to_identifier("abcdefghijkl", small, sizeof small));
    assert_true(text_is_identifier(small));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(distance_counts_edits),
        cmocka_unit_test(distance_of_long_words_is_not_computed),
        cmocka_unit_test(the_nearest_word_is_offered),
        cmocka_unit_test(quoted_text_is_one_harmless_line),
        cmocka_unit_test(utf8_is_told_from_other_bytes),
        cmocka_unit_test(identifiers_are_made_of_any_text),
    };
    return test_main("suggest", tests, N_OF(tests), NULL, 0);
}
