// Every code has a text of its own, and its number on the wire.

#include "common/err.h"
#include "tests/test.h"

#include <errno.h>
#include <string.h>

struct code_row {
    const char *name, *text;
    err_t code;
    int wire, retry;
};

static const struct code_row codes[] = {
#define X(id, wire, text, retry) { #id, text, ERR_##id, wire, retry },
    ERR_CODES(X)
#undef X
};

static void a_code_is_named_as_its_list_says(void **state)
{
    const struct code_row *row = *state;
    assert_string_equal(row->text, err_name(row->code));
    EQ_I64(row->wire, row->code);
    EQ_I64(row->retry, err_retryable(row->code));
    for (size_t i = 0; i < N_OF(codes); i++)
        if (&codes[i] != row) assert_string_not_equal(row->text, err_name(codes[i].code));
}

static void a_code_of_a_newer_program_is_unknown_and_final(void **state)
{
    (void)state;
    assert_string_equal("unknown error", err_name(ERR_N));
    EQ_I64(0, err_retryable(ERR_N));
}

static void sentences_are_cut_not_written_past_their_end(void **state)
{
    (void)state;
    struct err e;
    char longest[2 * sizeof e.text];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    EQ_I64(ERR_DB, err_set(&e, ERR_DB, "%s", longest));
    EQ_I64(sizeof e.text - 1, strlen(e.text));
    EQ_I64(ERR_DB, err_wrap(&e, ERR_DB, "chunk %d", 7));
    assert_memory_equal("chunk 7: xxx", e.text, 12);
    EQ_I64(sizeof e.text - 1, strlen(e.text));
    errno = ENOENT;
    EQ_I64(ERR_IO, err_sys(&e, "%s", longest));
    EQ_I64(sizeof e.text - 1, strlen(e.text));
    errno = ENOENT;
    EQ_I64(ERR_IO, err_sys(&e, "a.csv"));
    assert_string_equal("a.csv: No such file or directory", e.text);
}

static void nobody_has_to_want_the_sentence(void **state)
{
    (void)state;
    EQ_I64(ERR_FULL, err_set(NULL, ERR_FULL, "disk"));
    EQ_I64(ERR_IO, err_sys(NULL, "disk"));
    EQ_I64(ERR_BUSY, err_wrap(NULL, ERR_BUSY, "disk"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_of_a_newer_program_is_unknown_and_final),
        cmocka_unit_test(sentences_are_cut_not_written_past_their_end),
        cmocka_unit_test(nobody_has_to_want_the_sentence),
    };
    struct CMUnitTest *table = TABLE(codes, a_code_is_named_as_its_list_says);
    return test_main("err", tests, N_OF(tests), table, N_OF(codes));
}
