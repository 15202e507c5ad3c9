#include "common/say.h"

#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

static char *said;
static size_t said_n;

static FILE *open_said(void)
{
    free(said);
    said = NULL;
    FILE *f = open_memstream(&said, &said_n);
    assert_non_null(f);
    return f;
}

static void control_characters_and_broken_utf8_are_written_out(void **state)
{
    (void)state;
    FILE *f = open_said();
    say_to(f, "%s: %d\tx\n", "a\x1b]0;b\x07\r\x7f\xc2\x9b\xff\xc3\xa4", 7);
    fclose(f);
    assert_string_equal("a\\x1b]0;b\\x07\\x0d\\x7f\\xc2\\x9b\\xff\xc3\xa4: 7\tx\n", said);
}

static void text_of_any_length_is_said_whole(void **state)
{
    (void)state;
    enum { N = 100000 };
    char *text = malloc(N + 1);
    assert_non_null(text);
    memset(text, 'x', N);
    text[N] = 0;
    FILE *f = open_said();
    say_to(f, "%s|\n", text);
    fclose(f);
    EQ_I64(N + 2, said_n);
    assert_memory_equal("x|\n", said + N - 1, 3);
    free(text);
}

static void a_value_with_line_ends_looks_like_no_message_of_its_own(void **state)
{
    (void)state;
    FILE *f = open_said();
    say_line(f, "rejected: 'x\ntranche: all is well\n'");
    fclose(f);
    assert_string_equal("rejected: 'x\n  tranche: all is well\n  '\n", said);
}

static void zero_bytes_end_nothing(void **state)
{
    (void)state;
    FILE *f = open_said();
    say_bytes(f, "a\0b\n\x1b", 5);
    fclose(f);
    assert_string_equal("a\\x00b\n\\x1b", said);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_and_broken_utf8_are_written_out),
        cmocka_unit_test(text_of_any_length_is_said_whole),
        cmocka_unit_test(a_value_with_line_ends_looks_like_no_message_of_its_own),
        cmocka_unit_test(zero_bytes_end_nothing),
    };
    int failed = test_main("say", tests, N_OF(tests), NULL, 0);
    free(said);
    return failed;
}
