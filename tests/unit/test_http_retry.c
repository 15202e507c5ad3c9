// When a request is tried again.

#include "tests/test.h"
#include "worker/http_retry.h"

static void statuses_that_may_change_are_tried_again(void **state)
{
    (void)state;
    static const long again[] = { 408, 425, 429, 500, 502, 503, 504, 599 };
    static const long never[] = { 200, 204, 301, 304, 400, 401, 403,
                                  404, 410, 451, 501, 600, 0 };
    for (size_t i = 0; i < N_OF(again); i++)
        if (!http_retry_status(again[i])) fail_msg("%ld", again[i]);
    for (size_t i = 0; i < N_OF(never); i++)
        if (http_retry_status(never[i])) fail_msg("%ld", never[i]);
}

static void waits_twice_as_long_each_time_up_to_a_limit(void **state)
{
    (void)state;
    ns_t most = HTTP_RETRY_FIRST;
    for (uint32_t n = 0; n < 200; n++) {
        for (uint64_t random = 0; random < 1000; random += 37) {
            ns_t wait = http_retry_wait(n, 0, random * 0x9e3779b97f4a7c15u);
            if (wait < most / 2 || wait > most)
                fail_msg("retry %u waits %lld ns of %lld", n, (long long)wait,
                         (long long)most);
        }
        most = most * 2 > HTTP_RETRY_MOST ? HTTP_RETRY_MOST : most * 2;
    }
    EQ_I64(HTTP_RETRY_FIRST / 2, http_retry_wait(0, 0, 0));
}

static void those_that_failed_together_do_not_come_back_together(void **state)
{
    (void)state;
    ns_t a = http_retry_wait(3, 0, 12345678901u), b = http_retry_wait(3, 0, 98765432109u);
    assert_true(a != b);
}

static void waits_as_long_as_the_server_asks(void **state)
{
    (void)state;
    EQ_I64(60 * NS_S, http_retry_wait(0, 60 * NS_S, 7));
    assert_true(http_retry_wait(5, 1, 7) >= HTTP_RETRY_FIRST << 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_that_may_change_are_tried_again),
        cmocka_unit_test(waits_twice_as_long_each_time_up_to_a_limit),
        cmocka_unit_test(those_that_failed_together_do_not_come_back_together),
        cmocka_unit_test(waits_as_long_as_the_server_asks),
    };
    return test_main("http_retry", tests, N_OF(tests), NULL, 0);
}
