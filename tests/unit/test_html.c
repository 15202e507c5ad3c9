// Text of strangers in a page.

#include "common/html.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct row {
    const char *name, *text, *want;
};
static const struct row rows[] = {
    { "nothing", "", "" },
    { "plain", "flights 1.csv", "flights 1.csv" },
    { "a_tag", "<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;" },
    { "out_of_an_attribute", "\" onload='x'", "&quot; onload=&#39;x&#39;" },
    { "a_reference", "&lt;&#60;", "&amp;lt;&amp;#60;" },
    { "the_end_of_a_comment", "-->", "--&gt;" },
    { "other_scripts_stay", "Zürich 東京 😀", "Zürich 東京 😀" },
    { "tabs_and_lines_stay", "a\tb\nc", "a\tb\nc" },
    { "control", "a\x1b[2J\x7f", "a�[2J�" },
    { "a_control_of_two_bytes", "a\xc2\x9bz", "a��z" },
    { "broken_utf8", "\xff<\xc3", "�&lt;�" },
    { "a_tag_in_too_long_a_form", "\xc0\xbc", "��" },
    { "turned_around", "\xe2\x80\xaegnp.exe\xe2\x81\xa9", "�gnp.exe�" },
};

static void becomes(void **state)
{
    const struct row *r = *state;
    struct buf b = { 0 };
    struct err e;
    PASS(&e, html_text(&b, r->text, &e));
    PASS(&e, buf_add(&b, "", 1, &e));
    assert_string_equal(r->want, (char *)b.p);
    buf_free(&b);
}

static void any_bytes_leave_no_tag_and_no_quote(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    for (int round = 0; round < 2000; round++) {
        char s[64];
        struct buf b = { 0 };
        struct err e;
        size_t n = (size_t)rand_r(&seed) % sizeof s;
        for (size_t i = 0; i < n; i++)
            s[i] = rand_r(&seed) % 2 ? (char)rand_r(&seed)
                                     : "<>&\"'\xe2\x80\xae"[rand_r(&seed) % 8];
        PASS(&e, html_text_n(&b, s, n, &e));
        for (size_t i = 0; i < b.n; i++) {
            assert_null(strchr("<>\"'", b.p[i] ? b.p[i] : 'x'));
            assert_true(b.p[i] >= ' ' || b.p[i] == '\t' || b.p[i] == '\n');
        }
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest plain[] = { cmocka_unit_test(
        any_bytes_leave_no_tag_and_no_quote) };
    return test_main("html", plain, N_OF(plain), TABLE(rows, becomes), N_OF(rows));
}
