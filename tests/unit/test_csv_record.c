#include "common/csv_read.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *name;
    const char *text;
    bool last;
    size_t used;
    const char *fields; // each ends in '|'; those that were quoted begin with 'q'
};

static const struct row rows[] = {
    { "plain fields", "a,b,c\nx", false, 6, "a|b|c|" },
    { "CR LF", "a,b\r\nx", false, 5, "a|b|" },
    { "a lone CR is data", "a\rb,\rc\n", false, 7, "a\rb|\rc|" },
    { "only one CR belongs to the line end", "a\r\r\n", false, 4, "a\r|" },
    { "CR at the end of the input is data", "a\r", true, 2, "a\r|" },
    { "empty fields", ",,\n", false, 3, "|||" },
    { "a blank line is one empty field", "\nx", false, 1, "|" },
    { "a blank line with CR", "\r\nx", false, 2, "|" },
    { "quoted", "\"a,b\nc\",\"\"\n", false, 11, "qa,b\nc|q|" },
    { "CR LF inside quotes stays", "\"a\r\nb\"\r\n", false, 8, "qa\r\nb|" },
    { "doubled quotes", "\"a\"\"b\",\"\"\"\"\n", false, 12, "qa\"b|q\"|" },
    { "a quote inside a field is data", "a\"b\"\"c,d\"\n", false, 10, "a\"b\"\"c|d\"|" },
    { "data after the closing quote", "\"a\"b\"\"c\",d\n", false, 11, "qab\"\"c\"|d|" },
    { "a blank before a quote", " \"a\",b\n", false, 7, " \"a\"|b|" },
    { "no line end yet", "a,b", false, 0, "" },
    { "the last record needs none", "a,b", true, 3, "a|b|" },
    { "open quotes: more is needed", "\"a\n", false, 0, "" },
    { "open quotes end with the input", "\"a,\n", true, 4, "qa,\n|" },
    { "nothing", "", false, 0, "" },
    { "nothing at the end", "", true, 0, "" },
};

static void reads(void **state)
{
    const struct row *r = *state;
    struct csv_dialect d = { .delimiter = ',', .quote = '"' };
    struct arena mem = { 0 };
    struct csv_value *v;
    size_t n_fields, used, n = strlen(r->text);
    struct err e;
    uint8_t *exact = malloc(n + 1); // a reader past the end is caught by the sanitizer
    memcpy(exact, r->text, n);
    PASS(&e, csv_read_record(&d, exact, n, r->last, &mem, &v, &n_fields, &used, &e));
    EQ_I64(r->used, used);
    char got[256] = "";
    for (size_t i = 0; i < n_fields; i++) {
        EQ_I64(v[i].n, strlen(v[i].p));
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s|",
                 v[i].quoted ? "q" : "", v[i].p);
    }
    assert_string_equal(r->fields, got);
    free(exact);
    arena_free(&mem);
}

static void without_a_quote_every_quote_is_data(void **state)
{
    (void)state;
    struct csv_dialect d = { .delimiter = '\t' };
    struct arena mem = { 0 };
    struct csv_value *v;
    size_t n_fields, used;
    struct err e;
    static const uint8_t text[] = "\"a\tb\"\n\0c";
    PASS(&e, csv_read_record(&d, text, 6, false, &mem, &v, &n_fields, &used, &e));
    EQ_I64(2, n_fields);
    assert_string_equal("\"a", v[0].p);
    assert_string_equal("b\"", v[1].p);
    PASS(&e, csv_read_record(&d, text + 6, 2, true, &mem, &v, &n_fields, &used, &e));
    EQ_I64(1, n_fields);
    EQ_I64(2, v[0].n);
    assert_false(v[0].quoted);
    arena_free(&mem);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_quote_every_quote_is_data),
    };
    return test_main("csv_record", tests, N_OF(tests), TABLE(rows, reads), N_OF(rows));
}
