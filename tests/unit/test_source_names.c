#include "coordinator/source_names.h"

#include "tests/test.h"

#include <string.h>

static struct strings list(const char *bars)
{
    struct strings s = { 0 };
    struct err e;
    for (;;) {
        size_t n = strcspn(bars, "|");
        PASS(&e, strings_add(&s, bars, n, &e));
        if (!bars[n]) return s;
        bars += n + 1;
    }
}

struct mend_row {
    const char *name, *header, *mended;
    size_t notes;
};
static const struct mend_row mend_rows[] = {
    { "good_names_stay", "a|b c| d |Ä", "a|b c| d |Ä", 0 },
    { "an_empty_name_is_numbered", "a||b", "a|column_2|b", 1 },
    { "all_empty_names_are_numbered", "||", "column_1|column_2|column_3", 3 },
    { "the_second_gets_2", "a|a", "a|a_2", 1 },
    { "the_third_gets_3", "a|a|a", "a|a_2|a_3", 2 },
    { "ascii_case_is_ignored", "Name|NAME|name", "Name|NAME_2|name_3", 2 },
    { "other_letters_have_case", "Ä|ä", "Ä|ä", 0 },
    { "a_suffix_never_takes_a_name", "a|a|a_2", "a|a_3|a_2", 1 },
    { "not_even_in_other_case", "a|a|A_2", "a|a_3|A_2", 1 },
    { "a_number_never_takes_a_name", "|column_1", "column_1_2|column_1", 1 },
    { "a_duplicate_of_a_suffixed_name", "a|a_2|a|a_2", "a|a_2|a_3|a_2_2", 2 },
    { "one_column", "x", "x", 0 },
};

static void mends(void **state)
{
    const struct mend_row *row = *state;
    struct err e;
    struct strings header = list(row->header), want = list(row->mended), notes = { 0 };
    struct schema s;
    PASS(&e, names_mend(&header, true, &s, &notes, &e));
    EQ_I64(want.n, s.n);
    for (uint32_t i = 0; i < s.n; i++) {
        assert_string_equal(s.f[i].name, want.v[i]);
        assert_int_equal(s.f[i].type, TYPE_TEXT);
    }
    EQ_I64(row->notes, notes.n);
    schema_free(&s);
    strings_free(&header);
    strings_free(&want);
    strings_free(&notes);
}

static void the_notes_say_what_was_changed(void **state)
{
    (void)state;
    struct err e;
    struct strings header = list("a||A"), notes = { 0 };
    struct schema s;
    PASS(&e, names_mend(&header, true, &s, &notes, &e));
    EQ_I64(2, notes.n);
    assert_string_equal(notes.v[0], "column 2 has no name: it is called column_2");
    assert_string_equal(
        notes.v[1], "column 3: there is a column 'A' already, this one is called 'A_2'");
    schema_free(&s);
    strings_free(&header);
    strings_free(&notes);
}

static void two_thousand_equal_names_are_mended(void **state)
{
    (void)state;
    struct err e;
    struct strings header = { 0 };
    struct schema s;
    for (int i = 0; i < SCHEMA_MAX_COLUMNS; i++)
        PASS(&e, strings_add(&header, "x", 1, &e));
    PASS(&e, names_mend(&header, true, &s, NULL, &e));
    assert_string_equal(s.f[SCHEMA_MAX_COLUMNS - 1].name, "x_2000");
    schema_free(&s);
    strings_free(&header);
}

static struct csv_value value(const char *p, size_t n)
{
    return (struct csv_value){ p, n, false };
}

static void bad_names_are_refused(void **state)
{
    (void)state;
    struct err e;
    struct strings s;
    static char big[COLUMN_NAME_MAX + 2];
    memset(big, 'x', sizeof big - 1);
    struct csv_value v[2] = { value("ok", 2), value("a\xe4"
                                                    "b",
                                                    3) };
    EXPECT(ERR_INVALID, &e, names_read(v, 2, "f.csv", &s, &e));
    assert_string_equal(e.text, "f.csv: the name of column 2 is not UTF-8: 'a\\xe4b'; "
                                "convert the file: iconv -f WINDOWS-1252 -t UTF-8");
    v[1] = value("a\0b", 3);
    EXPECT(ERR_INVALID, &e, names_read(v, 2, "f.csv", &s, &e));
    v[1] = value(big, sizeof big - 1);
    EXPECT(ERR_TOOBIG, &e, names_read(v, 2, "f.csv", &s, &e));
    v[1] = value(big, COLUMN_NAME_MAX);
    PASS(&e, names_read(v, 2, "f.csv", &s, &e));
    strings_free(&s);
}

static void more_than_2000_columns_are_refused(void **state)
{
    (void)state;
    struct err e;
    struct strings s;
    static struct csv_value v[SCHEMA_MAX_COLUMNS + 1];
    for (size_t i = 0; i < N_OF(v); i++)
        v[i] = value("x", 1);
    EXPECT(ERR_TOOBIG, &e, names_read(v, N_OF(v), "f.csv", &s, &e));
    assert_string_equal(e.text, "f.csv has 2001 columns; the limit is 2000");
    PASS(&e, names_read(v, N_OF(v) - 1, "f.csv", &s, &e));
    strings_free(&s);
}

static void different_headers_are_told_apart(void **state)
{
    (void)state;
    struct err e;
    struct strings a = list("x|y"), b = list("x|Y"), c = list("x|y|z");
    PASS(&e, names_equal(&a, "a.csv", &a, "a2.csv", &e));
    EXPECT(ERR_INVALID, &e, names_equal(&a, "a.csv", &b, "b.csv", &e));
    assert_non_null(strstr(e.text, "column 2 is 'y' in a.csv and 'Y' in b.csv"));
    EXPECT(ERR_INVALID, &e, names_equal(&a, "a.csv", &c, "c.csv", &e));
    assert_non_null(strstr(e.text,
                           "a.csv has 2 columns and c.csv has 3; column 'z' is only "
                           "in c.csv"));
    EXPECT(ERR_INVALID, &e, names_equal(&c, "c.csv", &a, "a.csv", &e));
    assert_non_null(strstr(e.text, "column 'z' is only in c.csv"));
    strings_free(&a);
    strings_free(&b);
    strings_free(&c);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_notes_say_what_was_changed),
        cmocka_unit_test(two_thousand_equal_names_are_mended),
        cmocka_unit_test(bad_names_are_refused),
        cmocka_unit_test(more_than_2000_columns_are_refused),
        cmocka_unit_test(different_headers_are_told_apart),
    };
    return test_main("source_names", tests, N_OF(tests), TABLE(mend_rows, mends),
                     N_OF(mend_rows));
}
