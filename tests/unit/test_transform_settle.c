#include "tests/batches.h"
#include "tests/test.h"
#include "worker/transform.h"

struct row {
    const char *name;
    const char *values;
    enum type want;
};

static const struct row rows[] = {
    { "integers", "1; NULL; -5", TYPE_INTEGER },
    { "integers_and_reals_are_reals", "1; 2.5", TYPE_REAL },
    { "reals", "2.5", TYPE_REAL },
    { "texts", "NULL; 'a'; ''", TYPE_TEXT },
    { "texts_that_look_like_numbers_are_texts", "'1'; '2'", TYPE_TEXT },
    { "numbers_and_texts_stay_open", "1; 'a'", TYPE_ANY },
    { "blobs_stay_open", "x'00'; 1", TYPE_ANY },
    { "nulls_say_nothing", "NULL; NULL", TYPE_ANY },
    { "no_rows_say_nothing", "", TYPE_ANY },
};

static void settles(void **state)
{
    const struct row *row = *state;
    struct schema s;
    struct batch b = { 0 };
    schema_of(&s, "x any");
    s.f[0].given = true;
    batch_of(&b, &s, row->values);
    transform_settle(&s, &b);
    assert_string_equal(type_name(row->want), type_name(s.f[0].type));
    assert_false(s.f[0].given);
    schema_free(&s);
    batch_free(&b);
}

static void known_types_are_left_alone(void **state)
{
    (void)state;
    struct schema s, any;
    struct batch b = { 0 };
    schema_of(&s, "i integer, d date");
    schema_of(&any, "i any, d any");
    batch_of(&b, &any, "'text', 5");
    transform_settle(&s, &b);
    assert_string_equal("integer", type_name(s.f[0].type));
    assert_string_equal("date", type_name(s.f[1].type));
    schema_free(&s);
    schema_free(&any);
    batch_free(&b);
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(known_types_are_left_alone),
    };
    return test_main("transform_settle", plain, N_OF(plain), TABLE(rows, settles),
                     N_OF(rows));
}
