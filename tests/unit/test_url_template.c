// Addresses with columns in them.

#include "common/url_template.h"
#include "tests/test.h"

#include <string.h>

struct row {
    const char *name, *text;
    const char *want; // pieces with | between, columns in <>; "!why"
};
static const struct row rows[] = {
    { "plain", "http://h/a", "http://h/a|" },
    { "a_column", "https://h/api?x={id}", "https://h/api?x=|<id>|" },
    { "two_columns", "http://h/{a b}/{c}.json", "http://h/|<a b>|/|<c>|.json|" },
    { "columns_side_by_side", "http://h/{a}{b}", "http://h/|<a>|<b>|" },
    { "the_whole_is_a_column", "{line}", "<line>|" },
    { "the_beginning_is_a_column", "{base}/x", "<base>|/x|" },
    { "doubled_braces", "http://h/{{{a}}}", "http://h/{|<a>|}|" },
    { "capital_scheme", "HTTP://h/", "HTTP://h/|" },
    { "other_bytes", "http://h/\xc3\xa4", "http://h/\xc3\xa4|" },
    { "open_brace", "http://h/{id", "!a '{' without its '}'" },
    { "brace_in_a_name", "http://h/{i{d}", "!a '{' without its '}'" },
    { "closing_brace", "http://h/id}", "!a '}' without its '{'" },
    { "no_name", "http://h/{}", "!no name between the braces" },
    { "a_space", "http://h/a b", "!a space or control character" },
    { "a_line_end", "http://h/\r\nX: y", "!a space or control character" },
    { "another_scheme", "file:///etc/passwd", "!it begins with neither http:// nor" },
    { "no_scheme", "h/{id}", "!it begins with neither http:// nor" },
    { "nothing", "", "!it begins with neither http:// nor" },
};

static void gives(void **state)
{
    const struct row *r = *state;
    struct url_template t;
    struct err e;
    char got[200] = "";
    err_t rc = url_template_parse(&t, r->text, &e);
    for (size_t i = 0; i < t.n; i++) {
        strcat(got, t.v[i].column ? "<" : "");
        strcat(got, t.v[i].text);
        strcat(got, t.v[i].column ? ">|" : "|");
        assert_int_equal(t.v[i].column && i > 0, url_template_escapes(&t, i));
    }
    url_template_free(&t);
    EQ_I64(0, t.n);
    if (*r->want != '!') {
        PASS(&e, rc);
        assert_string_equal(r->want, got);
        return;
    }
    EXPECT(ERR_INVALID, &e, rc);
    if (!strstr(e.text, r->want + 1)) fail_msg("%s", e.text);
}

static void too_many_pieces_are_refused(void **state)
{
    char text[3 * URL_TEMPLATE_PIECES + 10] = "";
    struct url_template t;
    struct err e;
    (void)state;
    for (int i = 0; i <= URL_TEMPLATE_PIECES; i++)
        strcat(text, "{a}");
    EXPECT(ERR_INVALID, &e, url_template_parse(&t, text, &e));
    url_template_free(&t);
}

static void escapes_all_but_plain_characters(void **state)
{
    struct buf b = { 0 };
    struct err e;
    (void)state;
    PASS(&e, url_escape(&b, (const uint8_t *)"aZ9-._~ &=/?#%\xc3\xa4\n\0+", 19, &e));
    PASS(&e, buf_add(&b, "", 1, &e));
    assert_string_equal("aZ9-._~%20%26%3D%2F%3F%23%25%C3%A4%0A%00%2B", (char *)b.p);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(too_many_pieces_are_refused),
        cmocka_unit_test(escapes_all_but_plain_characters),
    };
    return test_main("url_template", tests, N_OF(tests), TABLE(rows, gives), N_OF(rows));
}
