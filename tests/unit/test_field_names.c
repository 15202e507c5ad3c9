#include "coordinator/field_names.h"
#include "tests/test.h"

#include <string.h>

struct row {
    const char *name, *field, *sample, *says; // "": nothing
};
static const struct row rows[] = {
    { "a_letter_is_missing", "amout", "{\"id\":1, \"amount\" : 2}\n",
      "--fields: no line that was looked at has a member 'amout'; did you mean 'amount'?" },
    { "a_member_of_a_member", "address.citi", "{\"address\":{\"city\":null}}\n",
      "a member 'address.citi'; did you mean 'address.city'?" },
    { "nothing_like_it", "zebra", "{\"id\":1}\n", "has a member 'zebra'" },
    { "no_lines", "a", "", "has a member 'a'" },
    { "always_null", "b", "{\"b\":null}\n", "" },
    { "a_key_with_a_dot", "a.b", "{\"a.b\":null}\n", "" },
    { "a_text_and_no_key", "amount", "{\"id\":\"amount\"}\n", "has a member 'amount'" },
    { "an_escaped_quote", "x", "{\"id\":\"\\\"x\\\":1\"}\n", "has a member 'x'" },
    { "a_text_that_never_ends", "x", "{\"x", "has a member 'x'" },
    { "an_escape_at_the_end", "x", "\"\\", "has a member 'x'" },
};

static void is_told(void **state)
{
    const struct row *r = *state;
    struct err e;
    struct strings fields = { 0 }, notes = { 0 };
    const struct infer_column seen = { .nulls = 3 };
    PASS(&e, strings_add(&fields, r->field, strlen(r->field), &e));
    struct slice sample = { (const uint8_t *)r->sample, strlen(r->sample) };
    PASS(&e, field_names_check(&fields, &seen, 1, sample, &notes, &e));
    EQ_I64(*r->says != 0, notes.n);
    if (notes.n && !strstr(notes.v[0], r->says)) fail_msg("%s", notes.v[0]);
    strings_free(&notes);
    strings_free(&fields);
}

static void a_member_with_a_value_needs_no_look(void **state)
{
    (void)state;
    struct err e;
    struct strings fields = { 0 }, notes = { 0 };
    const struct infer_column seen = { .values = 1, .nulls = 3 };
    PASS(&e, strings_add(&fields, "a", 1, &e));
    PASS(&e, field_names_check(&fields, &seen, 1, (struct slice){ NULL, 0 }, &notes, &e));
    EQ_I64(0, notes.n);
    strings_free(&fields);
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(a_member_with_a_value_needs_no_look),
    };
    return test_main("field_names", plain, N_OF(plain), TABLE(rows, is_told), N_OF(rows));
}
