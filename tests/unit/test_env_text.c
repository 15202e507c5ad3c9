// Variables of the environment in a text.

#include "common/env_text.h"
#include "tests/test.h"

#include <stdbool.h>

#include <string.h>

static const char *get(const char *name)
{
    return strcmp(name, "TOKEN") == 0   ? "secret"
           : strcmp(name, "EMPTY") == 0 ? ""
           : strcmp(name, "_x1") == 0   ? "$TOKEN"
                                        : NULL;
}

struct row {
    const char *name, *text, *want; // "!why"
};
static const struct row rows[] = {
    { "plain", "Bearer abc", "Bearer abc" },
    { "a_name", "Bearer $TOKEN", "Bearer secret" },
    { "a_name_that_ends", "$TOKEN.$TOKEN-", "secret.secret-" },
    { "braces", "a${TOKEN}b", "asecretb" },
    { "an_empty_value", "[$EMPTY]", "[]" },
    { "a_value_is_taken_as_it_is", "$_x1", "$TOKEN" },
    { "the_character", "5$$ $$TOKEN", "5$ $TOKEN" },
    { "not_set", "$NOPE", "!the environment variable NOPE is not set" },
    { "no_name", "a $ b", "!a $ without the name" },
    { "a_digit", "$1", "!a $ without the name" },
    { "at_the_end", "a$", "!a $ without the name" },
    { "braces_that_stay_open", "${TOKEN", "!a $ without the name" },
    { "empty_braces", "${}", "!a $ without the name" },
};

static void gives(void **state)
{
    const struct row *r = *state;
    struct buf b = { 0 };
    struct err e;
    err_t rc = env_text_expand(r->text, get, &b, &e);
    if (*r->want == '!') {
        EXPECT(ERR_INVALID, &e, rc);
        if (!strstr(e.text, r->want + 1)) fail_msg("%s", e.text);
        assert_null(strstr(e.text, "secret"));
    } else {
        PASS(&e, rc);
        PASS(&e, buf_add(&b, "", 1, &e));
        assert_string_equal(r->want, (char *)b.p);
    }
    bool unset = strcmp(r->name, "not_set") == 0;
    EXPECT(unset || *r->want != '!' ? ERR_OK : ERR_INVALID, &e,
           env_text_check(r->text, &e));
    buf_free(&b);
}

int main(void)
{
    return test_main("env_text", NULL, 0, TABLE(rows, gives), N_OF(rows));
}
