#include "common/reason.h"
#include "tests/test.h"
#include "worker/last_words.h"

#include <stdlib.h>
#include <string.h>

// ---- kinds of reasons ----

struct kind {
    const char *name, *text, *kind;
};
static const struct kind kinds[] = {
    { "a_value_of_ours", "'x' is no date", "'...' is no date" },
    { "a_byte_of_ours", "byte 812 is not UTF-8", "byte ... is not UTF-8" },
    { "an_exception_with_its_place", "clean.py:6: ValueError: time data 'x' does not match",
      "clean.py:6: ValueError" },
    { "an_exception_of_a_module", "a b.py:16: json.JSONDecodeError: x",
      "a b.py:16: json.JSONDecodeError" },
    { "an_exception_without_words", "clean.py:6: KeyboardInterrupt",
      "clean.py:6: KeyboardInterrupt" },
    { "words_of_a_program", "'sh' ended with exit code 9; its last words:\nit's\nnot 'x'",
      "'sh' ended with exit code 9; its last words: it's not 'x'" },
    { "an_answer_of_a_program", "'sh': no 'x' here", "'sh': no 'x' here" },
    { "no_place", "sql:1: no such column: x", "sql:1: no such column: x" },
    { "nothing", "", "" },
};

static void is_of_its_kind(void **state)
{
    const struct kind *k = *state;
    char out[200];
    reason_kind(k->text, out, sizeof out);
    assert_string_equal(k->kind, out);
}

static void a_kind_fits_into_its_room(void **state)
{
    (void)state;
    char text[600], out[40];
    static const char *const begins[] = { "'", "'a': ", "x.py:1: ", "\xc3\xa4", "byte 1" };
    for (size_t b = 0; b < N_OF(begins); b++)
        for (size_t n = 0; n < 200; n++) {
            char *end = stpcpy(text, begins[b]);
            memset(end, 'y', n);
            end[n] = 0;
            reason_kind(text, out, sizeof out);
            assert_true(strlen(out) < sizeof out);
        }
}

// ---- last words ----

#define HEAD "Traceback (most recent call last):\n"
#define OWN  "  File \"/home/x/clean.py\", line 6, in f\n    a(b)\n    ^^^^\n"
#define LIB  "  File \"/usr/lib/python3.11/_strptime.py\", line 349, in g\n    raise X\n"
#define SITE "  File \"/v/lib/site-packages/p/q.py\", line 7, in h\n    raise X\n"

struct words {
    const char *name, *text, *said;
};
static const struct words last[] = {
    { "an_exception_of_a_library", HEAD OWN LIB SITE "ValueError: no '%d'\n",
      "clean.py:6: ValueError: no '%d'" },
    { "an_exception_of_ones_own", "starting\n" HEAD LIB OWN "KeyError: 'x'\n",
      "clean.py:6: KeyError: 'x'" },
    { "the_last_of_two",
      HEAD OWN "KeyError: 'x'\n\nDuring handling\n\n" HEAD
               "  File \"b.py\", line 9, in f\n    x\nOSError: y\n",
      "b.py:9: OSError: y" },
    { "a_library_alone", HEAD SITE LIB "OSError: y\n", "_strptime.py:349: OSError: y" },
    { "a_message_of_two_lines", HEAD OWN "E: a\n  b\nc\n", "clean.py:6: E: a   b c" },
    { "a_text_whose_head_was_cut", "call last):\n" OWN LIB "E: a", "clean.py:6: E: a" },
    { "a_syntax_error",
      "  File \"/x/b.py\", line 3\n    f(\n     ^\nSyntaxError: '(' was never closed",
      "b.py:3: SyntaxError: '(' was never closed" },
    { "a_traceback_that_never_ends", HEAD OWN,
      HEAD "  File \"/home/x/clean.py\", line 6, in f\n    a(b)\n    ^^^^" },
    { "a_frame_without_a_line", "  File \"x\nE: a", "  File \"x\nE: a" },
    { "other_words", "one\ntwo\x1b\n\n", "one\ntwo?" },
    { "no_utf8", "a\xff", "a" },
    { "nothing", "", "" },
};

static void are_the_last_words(void **state)
{
    const struct words *w = *state;
    char out[LAST_WORDS];
    assert_string_equal(w->said, last_words(w->text, strlen(w->text), out));
}

static void of_many_lines_the_last_are_kept(void **state)
{
    (void)state;
    char text[4000], out[LAST_WORDS];
    memset(text, 'x', sizeof text);
    for (size_t i = 99; i < sizeof text; i += 100)
        text[i] = '\n';
    memcpy(text + sizeof text - 5, "end!\n", 5);
    last_words(text, sizeof text, out);
    EQ_I64(2 * 100 + 99, strlen(out));
    assert_string_equal("end!", out + strlen(out) - 4);
}

static void a_long_exception_is_cut_between_characters(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 3; shift++) {
        char text[1200] = HEAD OWN "ValueError: ", out[LAST_WORDS];
        for (size_t i = 0; i < shift; i++)
            strcat(text, "x");
        for (int i = 0; i < 300; i++)
            strcat(text, "\xe2\x82\xac");
        last_words(text, strlen(text), out);
        assert_memory_equal("clean.py:6: ValueError: ", out, 24);
        assert_true(strlen(out) > LAST_WORDS - 8);
        assert_null(strchr(out, '?'));
    }
}

// Every text that a program can say is looked at within its bytes (under asan).
static void any_beginning_of_a_traceback_is_read(void **state)
{
    (void)state;
    static const char whole[] = HEAD OWN LIB "ValueError: no\n";
    for (size_t n = 0; n < sizeof whole; n++) {
        char out[LAST_WORDS];
        char *exact = malloc(n ? n : 1);
        assert_non_null(exact);
        memcpy(exact, whole, n);
        assert_true(strlen(last_words(exact, n, out)) < LAST_WORDS);
        free(exact);
    }
}

#define LOADS   "  File \"/home/x/clean.py\", line 1, in <module>\n    import a\n"
#define FROZEN  "  File \"<frozen importlib._bootstrap>\", line 1, in _find\n"
#define MISSING "ModuleNotFoundError: No module named 'a'\n"

static void a_module_that_is_missing_is_told_from_a_row_that_wants_one(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool lacks;
    } rows[] = {
        { HEAD LOADS MISSING, true },
        { "starting\n" HEAD LOADS FROZEN LOADS "ImportError: libx.so.1: none", true },
        { HEAD OWN "KeyError: 'x'\n\nDuring handling\n\n" HEAD LOADS MISSING "\n", true },
        { HEAD LOADS OWN MISSING, false }, // a function imports it
        { HEAD LOADS "ValueError: no\n", false },
        { LOADS MISSING, false }, // of which the head was cut
        { MISSING, false },
        { HEAD LOADS MISSING "and goes on\n", false },
        { "", false },
    };
    for (size_t i = 0; i < N_OF(rows); i++)
        if (last_words_lack_module(rows[i].text, strlen(rows[i].text)) != rows[i].lacks)
            fail_msg("%s", rows[i].text);
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(a_module_that_is_missing_is_told_from_a_row_that_wants_one),
        cmocka_unit_test(a_kind_fits_into_its_room),
        cmocka_unit_test(of_many_lines_the_last_are_kept),
        cmocka_unit_test(a_long_exception_is_cut_between_characters),
        cmocka_unit_test(any_beginning_of_a_traceback_is_read),
    };
    struct CMUnitTest *of_kinds = TABLE(kinds, is_of_its_kind);
    struct CMUnitTest *of_words = TABLE(last, are_the_last_words);
    int wrong = test_main("reason", plain, N_OF(plain), of_kinds, N_OF(kinds));
    return test_main("last_words", NULL, 0, of_words, N_OF(last)) || wrong;
}
