// Paths into JSON, and the rows that stand there.

#include "common/json_path.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

struct row {
    const char *name, *path, *fields, *text;
    const char *want; // rows with ; between, values with |, as in test_json_line; "!why"
};
static const struct row rows[] = {
    { "the_whole", "$", "", "{\"a\": 1}", "{{\"a\": 1};" },
    { "a_number_alone", "$", "", " 17 ", "#17;" },
    { "a_text_alone", "$", "", "\"x\\n\"", "'x\n;" },
    { "null_alone", "$", "", "null", "-;" },
    { "elements_of_all_kinds", "$[*]", "",
      "[1, \"a,]\\\"\", [2, [3]], {\"x\": \"]\"}, null, true]",
      "#1;'a,]\";{[2, [3]];{{\"x\": \"]\"};-;!true;" },
    { "no_elements", "$[*]", "", "[ \n]", "" },
    { "a_member", "$.a", "", "{\"b\": 2, \"a\": \"x\"}", "'x;" },
    { "a_member_of_a_member", "$.a.b", "", "{\"a\": {\"b\": 2}}", "#2;" },
    { "a_quoted_member", "$['a b']", "", "{\"a b\": 2}", "#2;" },
    { "elements_of_a_member", "$.items[*]", "id,n.x",
      "{\"items\": [{\"id\": 1, \"n\": {\"x\": \"y\"}}, {\"id\": 2}], \"more\": 1}",
      "#1|'y;#2|-;" },
    { "lists_in_lists", "$.a[*].b[*]", "",
      "{\"a\": [{\"b\": [1, 2]}, {\"b\": []}, {\"b\": [3]}]}", "#1;#2;#3;" },
    { "lists_of_lists", "$[*][*]", "", "[[1],[2,3],[]]", "#1;#2;#3;" },
    { "one_object_is_one_row", "$", "a,b", "{\"b\": 1, \"a\": 2}", "#2|#1;" },
    { "brackets_in_texts", "$[*]", "a", "[{\"a\": \"\\\\\"}, {\"a\": \"}],\"}]",
      "'\\;'}],;" },

    { "nothing_there", "$.a[*]", "", "{}", "!at $.a the answer has nothing, not a list" },
    { "null_there", "$.a[*]", "", "{\"a\": null}",
      "!at $.a the answer has nothing, not a list" },
    { "no_list", "$[*]", "", "{}", "!at $ the answer has an object, not a list" },
    { "no_object_on_the_way", "$.a.b", "", "{\"a\": [1]}",
      "!at $.a the answer has a list, not an object" },
    { "no_object_on_top", "$.a", "", "\"x\"",
      "!at $ the answer has a text, not an object" },
    { "no_object_in_a_list", "$[*]", "a", "[{\"a\": 1}, 2]",
      "!at $[*] the answer has a number, not an object" },
    { "no_json", "$", "", "<html>", "!not JSON: lexical error" },
    { "nothing_at_all", "$[*]", "", "", "!not JSON" },
    { "cut_off", "$[*]", "", "[1, 2", "!not JSON: parse error: premature EOF" },
    { "two_values", "$", "", "1 2", "!not JSON: parse error: trailing garbage" },
    { "not_utf8", "$", "", "\"\xff\"", "!not UTF-8 after 1 bytes" },
    { "half_a_pair_in_an_element", "$[*]", "", "[\"\\ud800\"]", "!half a surrogate pair" },
};

struct got {
    struct buf text;
    size_t n_fields;
};

static err_t on_row(void *arg, const struct json_value *v, struct err *e)
{
    static const char letters[] = "-#'!{";
    struct got *g = arg;
    for (size_t i = 0; i < g->n_fields; i++) {
        if (i) TRY(buf_printf(&g->text, e, "|"));
        TRY(buf_printf(&g->text, e, "%c%.*s", letters[v[i].kind], (int)v[i].n,
                       v[i].n ? (const char *)v[i].p : ""));
    }
    return buf_printf(&g->text, e, ";");
}

static void gives(void **state)
{
    const struct row *r = *state;
    struct strings fields = { 0 };
    struct json_pick *p;
    struct got g = { 0 };
    struct err e;
    bool good;
    char why[JSON_LINE_WHY] = "", *words = strdup(r->fields), *save;
    for (char *w = strtok_r(words, ",", &save); w; w = strtok_r(NULL, ",", &save))
        PASS(&e, strings_add(&fields, w, strlen(w), &e));
    PASS(&e, json_pick_new(&p, r->path, &fields, "the answer", &e));
    g.n_fields = fields.n ? fields.n : 1;
    for (int again = 0; again < 2; again++) { // nothing of one text is left for the next
        g.text.n = 0;
        PASS(&e, buf_printf(&g.text, &e, "%s", ""));
        size_t n = strlen(r->text);
        uint8_t *copy = malloc(n ? n : 1); // of exactly this size
        memcpy(copy, r->text, n);
        PASS(&e, json_pick_read(p, copy, n, on_row, &g, &good, why, &e));
        free(copy);
        if (*r->want == '!') {
            assert_false(good);
            if (!strstr(why, r->want + 1)) fail_msg("%s", why);
        } else {
            if (!good) fail_msg("%s", why);
            assert_string_equal(r->want, (char *)g.text.p);
        }
    }
    json_pick_free(&p);
    strings_free(&fields);
    buf_free(&g.text);
    free(words);
}

static void refuses_what_is_no_path(void **state)
{
    static const char *const bad[][2] = {
        { "", "it does not begin with $" },
        { "items", "it does not begin with $" },
        { "$items", "'items' is none of .name, ['name'] and [*]" },
        { "$.", "'.' is none of" },
        { "$..a", "'..a' is none of" },
        { "$.a[0]", "'[0]' is none of" },
        { "$.a[?(@.b)]", "is none of" },
        { "$['a", "is none of" },
        { "$['']", "is none of" },
        { "$.*", "is none of" },
        { "$.a b", "' b' is none of" },
        { "$[*][*][*][*][*][*][*][*][*][*][*][*][*][*][*][*][*]", "more than 16 steps" },
    };
    (void)state;
    for (size_t i = 0; i < N_OF(bad); i++) {
        struct json_path p;
        struct err e;
        EXPECT(ERR_INVALID, &e, json_path_parse(&p, bad[i][0], &e));
        if (!strstr(e.text, bad[i][1])) fail_msg("%s: %s", bad[i][0], e.text);
        json_path_free(&p);
    }
}

static err_t stop(void *arg, const struct json_value *v, struct err *e)
{
    (void)v;
    ++*(int *)arg;
    return err_set(e, ERR_TOOBIG, "enough");
}

static void the_rows_reader_may_stop_it(void **state)
{
    struct json_pick *p;
    struct err e;
    bool good;
    char why[JSON_LINE_WHY];
    int n = 0;
    (void)state;
    PASS(&e, json_pick_new(&p, "$[*]", &(struct strings){ 0 }, "the answer", &e));
    EXPECT(ERR_TOOBIG, &e,
           json_pick_read(p, (const uint8_t *)"[1,2]", 5, stop, &n, &good, why, &e));
    EQ_I64(1, n);
    json_pick_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_no_path),
        cmocka_unit_test(the_rows_reader_may_stop_it),
    };
    return test_main("json_path", tests, N_OF(tests), TABLE(rows, gives), N_OF(rows));
}
