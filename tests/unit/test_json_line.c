// What one line of JSON gives, and what is wrong with the others.

#include "common/json_line.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A value as a test writes it: its kind's letter, then its text; "-": NULL.
static const char *shown(const struct json_value *v)
{
    static char text[300];
    static const char letters[] = "-#'!{";
    if (v->kind == JSON_NULL) return "-";
    snprintf(text, sizeof text, "%c%.*s", letters[v->kind], (int)v->n, (const char *)v->p);
    return text;
}

static struct json_line *parser(const char *list)
{
    struct strings fields = { 0 };
    struct json_line *j = NULL;
    struct err e;
    char *words = strdup(list), *save;
    for (char *w = strtok_r(words, ",", &save); w; w = strtok_r(NULL, ",", &save))
        PASS(&e, strings_add(&fields, w, strlen(w), &e));
    PASS(&e, json_line_new(&j, &fields, &e));
    strings_free(&fields);
    free(words);
    return j;
}

struct row {
    const char *name, *fields, *line;
    const char *want; // values with | between; "!why" of a bad line
};
static const struct row rows[] = {
    { "members_by_name", "b,a", "{\"a\": 1, \"b\": \"x\", \"c\": 2}", "'x|#1" },
    { "what_is_missing_is_null", "a,b,c", "{\"b\": null}", "-|-|-" },
    { "empty_object", "a", "{}", "-" },
    { "booleans", "a,b", "{\"a\": true, \"b\": false}", "!true|!false" },
    { "numbers_stay_as_written", "a,b,c",
      "{\"a\": 12345678901234567890, \"b\": 1.50E+3, \"c\": -0}",
      "#12345678901234567890|"
      "#1.50E+3|#-0" },
    { "escapes", "a", "{\"a\": \"\\u00e4\\n\\\\\\\"\\/\"}", "'\xc3\xa4\n\\\"/" },
    { "surrogate_pair", "a", "{\"a\": \"\\uD83D\\uDE00!\"}", "'\xf0\x9f\x98\x80!" },
    { "empty_text", "a,b", "{\"a\": \"\", \"b\": 1}", "'|#1" },
    { "member_of_a_member", "a.b,a.c.d", "{\"a\": {\"b\": 1, \"c\": {\"d\": 2}}}",
      "#1|#2" },
    { "member_and_its_member", "a,a.b", "{\"a\": {\"b\": [1]}}", "{{\"b\": [1]}|{[1]" },
    { "nested_values_as_written", "a,b", "{\"a\": [1, {\"x\":\"]\"} ], \"b\": { }}",
      "{[1, {\"x\":\"]\"} ]|{{ }" },
    { "members_of_arrays_are_not_found", "a.b,b", "{\"a\": [{\"b\": 1}], \"b\": 2}",
      "-|#2" },
    { "a_key_with_a_dot", "a.b", "{\"a.b\": 1}", "#1" },
    { "a_key_with_an_escape", "\xc3\xa4", "{\"\\u00e4\": 1}", "#1" },
    { "the_last_of_two_counts", "a", "{\"a\": 1, \"a\": \"x\"}", "'x" },
    { "the_last_of_two_counts_also_when_null", "a", "{\"a\": 1, \"a\": null}", "-" },
    { "an_inner_member_is_not_the_outer", "b", "{\"a\": {\"b\": 1}}", "-" },
    { "spaces_and_cr", "a", " \t{ \"a\" :\t1 } \r", "#1" },
    { "empty_key_is_a_level", "a", "{\"\": {\"a\": 1}}", "-" },

    { "no_object", "a", "[1]", "!not an object" },
    { "a_number", "a", "17", "!not an object" },
    { "a_text", "a", "\"x\"", "!not an object" },
    { "nothing", "a", "", "!not JSON: parse error: premature EOF, after 0 bytes" },
    { "no_json", "a", "nope", "!not JSON: lexical error" },
    { "cut_off", "a", "{\"a\": 1", "!not JSON: parse error: premature EOF, after 7 bytes" },
    { "two_values", "a", "{} {}", "!not JSON: parse error: trailing garbage" },
    { "a_comma_too_much", "a", "{\"a\": 1,}", "!not JSON: parse error" },
    { "single_quotes", "a", "{'a': 1}", "!not JSON: lexical error" },
    { "comments", "a", "{} // x", "!not JSON: parse error: trailing garbage" },
    { "nan", "a", "{\"a\": NaN}", "!not JSON: lexical error" },
    { "leading_zero", "a", "{\"a\": 01}", "!not JSON: parse error" },
    { "a_raw_tab_in_a_text", "a", "{\"a\": \"\t\"}", "!not JSON: lexical error" },
    { "half_a_pair", "a", "{\"a\": \"x\\ud800\"}",
      "!half a surrogate pair, after 8 bytes" },
    { "the_other_half", "a", "{\"a\": \"\\udc00\"}", "!half a surrogate pair, after 7" },
    { "half_a_pair_and_another_character", "a", "{\"a\": \"\\ud800\\u0041\"}",
      "!half a surrogate pair" },
    { "a_backslash_before_ud800_is_none", "a", "{\"a\": \"\\\\ud800\"}", "'\\ud800" },
    { "nul_in_a_text", "a", "{\"a\": \"x\\u0000\"}", "!\\u0000 in a text" },
    { "nul_in_a_text_that_nobody_wants", "a", "{\"b\": \"x\\u0000\", \"a\": 1}", "#1" },
    { "no_utf8", "a", "{\"a\": \"\xff\"}", "!not UTF-8 after 7 bytes" },
    { "cesu_8", "a", "{\"a\": \"\xed\xa0\x80\"}", "!not UTF-8" },

    { "whole_line_any_value", "", "[1, 2]", "" },
    { "whole_line_a_number", "", "17", "" },
    { "whole_line_no_json", "", "nope", "!not JSON" },
};

static void reads(void **state)
{
    const struct row *r = *state;
    struct json_line *j = parser(r->fields);
    const struct json_value *values;
    char why[JSON_LINE_WHY] = "", got[1000] = "";
    bool good;
    struct err e;
    PASS(&e, json_line_read(j, (const uint8_t *)r->line, strlen(r->line), &values, &good,
                            why, &e));
    if (!good) snprintf(got, sizeof got, "!%s", why);
    size_t n = 1;
    for (const char *p = r->fields; *p; p++)
        n += *p == ',';
    for (size_t i = 0; good && *r->fields && i < n; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i ? "|" : "",
                 shown(&values[i]));
    bool same = good ? strcmp(got, r->want) == 0
                     : *r->want == '!' && strncmp(got, r->want, strlen(r->want)) == 0;
    if (!same) fail_msg("wanted %s\ngot    %s", r->want, got);
    json_line_free(&j);
}

// ---- elements of a list as rows ----

// `list` before the fields; a row's values with | between, rows with ;
struct by_list {
    const char *name, *list, *fields, *line, *want;
};
static const struct by_list by_list[] = {
    { "each_element_is_a_row", "e", "id,e.a,e.b",
      "{\"id\": 7, \"e\": [{\"a\": 1, \"b\": \"x\"}, {\"a\": 2}]}", "#7|#1|'x;#7|#2|-;" },
    { "what_stands_behind_the_list_too", "e", "e.a,id",
      "{\"e\": [{\"a\": 1}, {\"a\": 2}], \"id\": 7}", "#1|#7;#2|#7;" },
    { "elements_that_are_values", "e", "e,id", "{\"e\": [1, \"x\", null, true], \"id\": 7}",
      "#1|#7;'x|#7;-|#7;!true|#7;" },
    { "elements_that_are_nested", "e", "e,e.a", "{\"e\": [{\"a\": [1]}, [2, [3]], {}]}",
      "{{\"a\": [1]}|{[1];{[2, [3]]|-;{{}|-;" },
    { "members_of_members", "e", "e.a.b,e.c", "{\"e\": [{\"a\": {\"b\": 1}, \"c\": 2}]}",
      "#1|#2;" },
    { "a_list_further_in", "a.e", "a.e.b,a.c", "{\"a\": {\"e\": [{\"b\": 1}], \"c\": 2}}",
      "#1|#2;" },
    { "no_field_in_it", "e", "id", "{\"e\": [[], {}], \"id\": 7}", "#7;#7;" },
    { "an_empty_list", "e", "id,e", "{\"e\": [ ], \"id\": 7}", "" },
    { "no_list", "e", "id,e", "{\"id\": 7}", "" },
    { "null", "e", "id,e", "{\"e\": null, \"id\": 7}", "" },
    { "another_value", "e", "id,e", "{\"e\": 1, \"id\": 7}", "!e is not a list" },
    { "an_object", "e", "id,e.a", "{\"e\": {\"a\": 1}, \"id\": 7}", "!e is not a list" },
    { "the_last_of_two_lists", "e", "e", "{\"e\": [1, 2], \"e\": [3]}", "#3;" },
    { "the_last_of_two_though_null", "e", "e", "{\"e\": [1, 2], \"e\": null}", "" },
    { "the_last_of_two_kinds", "e", "e", "{\"e\": {\"x\": 1}, \"e\": [3]}", "#3;" },
    { "lists_in_a_list_are_values", "e", "e.e,e", "{\"e\": [{\"e\": [1, 2]}]}",
      "{[1, 2]|{{\"e\": [1, 2]};" },
    { "a_list_of_the_same_name_elsewhere", "e", "e", "{\"x\": {\"e\": [1]}, \"y\": [[2]]}",
      "" },
    { "a_list_with_a_dot_in_its_name", "a.e", "a.e", "{\"a.e\": [1, 2]}", "#1;#2;" },
    { "a_name_that_only_begins_alike", "e", "ex,e.x", "{\"ex\": 1, \"e\": [{\"x\": 2}]}",
      "#1|#2;" },
    { "escapes_in_it", "e", "e.a", "{\"e\": [{\"a\": \"\\u00e4\"}, {\"a\": \"\\n\"}]}",
      "'\xc3\xa4;'\n;" },
    { "the_last_of_two_members", "e", "e.a", "{\"e\": [{\"a\": 1, \"a\": 2}]}", "#2;" },
    { "cut_off", "e", "e", "{\"e\": [1, 2", "!not JSON" },
};

static struct json_line *list_parser(const struct by_list *r)
{
    struct err e;
    struct json_line *j = parser(r->fields);
    PASS(&e, json_line_by_list(j, r->list, &e));
    return j;
}

static void read_by_list(struct json_line *j, const struct by_list *r)
{
    const struct json_value *values;
    char why[JSON_LINE_WHY] = "", got[1000] = "";
    bool good;
    struct err e;
    size_t n = 1;
    for (const char *p = r->fields; *p; p++)
        n += *p == ',';
    PASS(&e, json_line_read(j, (const uint8_t *)r->line, strlen(r->line), &values, &good,
                            why, &e));
    if (!good) snprintf(got, sizeof got, "!%s", why);
    for (size_t k = 0; good && k < json_line_rows(j); k++) {
        values = json_line_row(j, k);
        for (size_t i = 0; i < n; i++)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", shown(&values[i]),
                     i + 1 < n ? "|" : ";");
    }
    if (good ? strcmp(got, r->want) : strncmp(got, r->want, strlen(r->want)))
        fail_msg("%s: wanted %s\ngot    %s", r->name, r->want, got);
}

static void elements_of_a_list_are_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(by_list); i++) {
        struct json_line *j = list_parser(&by_list[i]);
        read_by_list(j, &by_list[i]);
        read_by_list(j, &by_list[i]); // nothing of the first reading is left
        json_line_free(&j);
    }
}

static void a_list_of_many_elements(void **state)
{
    (void)state;
    enum { N = JSON_LINE_VALUES / 2 };
    static const struct by_list r = { "", "e", "e", "", "" };
    struct json_line *j = list_parser(&r);
    const struct json_value *values;
    char *line = malloc(2 * N + 20), why[JSON_LINE_WHY];
    struct err e;
    bool good;
    size_t n = (size_t)sprintf(line, "{\"e\":[");
    for (int i = 0; i < N; i++)
        n += (size_t)sprintf(line + n, i ? ",%d" : "%d", i % 10);
    n += (size_t)sprintf(line + n, "]}");
    PASS(&e, json_line_read(j, (uint8_t *)line, n, &values, &good, why, &e));
    assert_true(good);
    EQ_I64(N, json_line_rows(j));
    EQ_I64('0' + (N - 1) % 10, *json_line_row(j, N - 1)[0].p);
    n -= 2;
    n += (size_t)sprintf(line + n, ",1]}");
    PASS(&e, json_line_read(j, (uint8_t *)line, n, &values, &good, why, &e));
    assert_false(good);
    assert_string_equal("a list of too many elements", why);
    free(line);
    json_line_free(&j);
}

static void a_nul_byte_is_refused(void **state)
{
    (void)state;
    struct json_line *j = parser("");
    const struct json_value *values;
    char why[JSON_LINE_WHY];
    bool good;
    struct err e;
    PASS(&e, json_line_read(j, (const uint8_t *)"[0,\0]", 5, &values, &good, why, &e));
    assert_false(good);
    assert_string_equal("a NUL byte after 3 bytes", why);
    json_line_free(&j);
}

static bool nested(int depth, char open, char why[JSON_LINE_WHY])
{
    struct json_line *j = parser("a");
    const struct json_value *values;
    struct err e;
    bool good;
    size_t n = 0;
    char *line = malloc(8 * (size_t)depth + 20);
    n += (size_t)sprintf(line, "{\"a\": ");
    for (int i = 1; i < depth; i++)
        n += (size_t)sprintf(line + n, open == '[' ? "[" : "{\"a\":");
    line[n++] = '1';
    for (int i = 1; i < depth; i++)
        line[n++] = open == '[' ? ']' : '}';
    line[n++] = '}';
    PASS(&e, json_line_read(j, (uint8_t *)line, n, &values, &good, why, &e));
    free(line);
    json_line_free(&j);
    return good;
}

static void bombs_are_refused(void **state)
{
    (void)state;
    char why[JSON_LINE_WHY] = "";
    assert_true(nested(JSON_LINE_DEPTH, '[', why));
    assert_true(nested(JSON_LINE_DEPTH, '{', why));
    assert_false(nested(JSON_LINE_DEPTH + 1, '[', why));
    assert_string_equal("nested too deep", why);
    assert_false(nested(100000, '{', why));
    assert_string_equal("nested too deep", why);
}

static void many_fields_are_found(void **state)
{
    (void)state;
    enum { N = 1500 };
    struct strings fields = { 0 };
    struct json_line *j = NULL;
    const struct json_value *values;
    struct err e;
    char *line = malloc(32 * N), name[16], why[JSON_LINE_WHY];
    bool good;
    size_t n = 0;
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "f%d", i);
        PASS(&e, strings_add(&fields, name, strlen(name), &e));
        n += (size_t)sprintf(line + n, "%c\"f%d\":%d", i ? ',' : '{', N - 1 - i, N - 1 - i);
    }
    line[n++] = '}';
    PASS(&e, json_line_new(&j, &fields, &e));
    PASS(&e, json_line_read(j, (uint8_t *)line, n, &values, &good, why, &e));
    assert_true(good);
    for (int i = 0; i < N; i++)
        EQ_I64(i, strtol((const char *)values[i].p, NULL, 10));
    strings_free(&fields);
    json_line_free(&j);
    free(line);
}

int main(void)
{
    static const struct CMUnitTest own[] = {
        cmocka_unit_test(elements_of_a_list_are_rows),
        cmocka_unit_test(a_list_of_many_elements),
        cmocka_unit_test(a_nul_byte_is_refused),
        cmocka_unit_test(bombs_are_refused),
        cmocka_unit_test(many_fields_are_found),
    };
    return test_main("json_line", own, N_OF(own), TABLE(rows, reads), N_OF(rows));
}
