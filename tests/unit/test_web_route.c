// What requests name: routes, parameters; and answers that went wrong.

#include "coordinator/web_route.h"

#include "tests/test.h"

#include <string.h>

static struct err e;

static void a_path_finds_its_route_or_none(void **state)
{
    (void)state;
    char name[WEB_NAME];
    assert_non_null(web_route_find("/healthz", name));
    assert_string_equal("", name);
    assert_null(web_route_find("/healthz/", name));
    assert_null(web_route_find("", name));
    assert_null(web_route_find("/../healthz", name));
}

static void a_parameter_is_a_number_in_its_range(void **state)
{
    (void)state;
    uint64_t n;
    struct web_request r = { .param = { { "limit", "7" },
                                        { "bad", "7x" },
                                        { "none", "" },
                                        { "huge", "99999999999999999999" } },
                             .n_params = 4 };
    PASS(&e, web_param_number(&r, "limit", 1, 10, 5, &n, &e));
    EQ_I64(7, n);
    PASS(&e, web_param_number(&r, "other", 1, 10, 5, &n, &e));
    EQ_I64(5, n);
    EXPECT(ERR_PARSE, &e, web_param_number(&r, "limit", 1, 6, 5, &n, &e));
    assert_string_equal("limit is a number from 1 to 6, and not '7'", e.text);
    EXPECT(ERR_PARSE, &e, web_param_number(&r, "bad", 0, 10, 5, &n, &e));
    EXPECT(ERR_PARSE, &e, web_param_number(&r, "none", 0, 10, 5, &n, &e));
    EXPECT(ERR_PARSE, &e, web_param_number(&r, "huge", 0, UINT64_MAX, 5, &n, &e));
}

static void what_is_said_instead_of_an_answer_is_escaped(void **state)
{
    (void)state;
    struct buf out = { 0 };
    PASS(&e, web_route_say(WEB_PAGE, 404, "<script>\"", &out, &e));
    assert_null(memmem(out.p, out.n, "<script>", 8));
    assert_non_null(memmem(out.p, out.n, "&lt;script&gt;&quot;", 20));
    out.n = 0;
    PASS(&e, web_route_say(WEB_JSON, 404, "a\"b\n\xff", &out, &e));
    assert_int_equal(0,
                     memcmp(out.p, "{\"error\":\"a\\\"b\\u000a\xef\xbf\xbd\"}\n", out.n));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(a_path_finds_its_route_or_none),
        cmocka_unit_test(a_parameter_is_a_number_in_its_range),
        cmocka_unit_test(what_is_said_instead_of_an_answer_is_escaped),
    };
    return test_main("web_route", plain, N_OF(plain), NULL, 0);
}
