// How runners share what a host may ask at a time.

#include "tests/test.h"
#include "worker/http_share.h"

#include <pthread.h>
#include <string.h>

static struct http_share_board board;

static struct http_share lane(uint32_t slot, uint32_t limit, int64_t gap)
{
    struct http_share s;
    struct step_http h = { .concurrency = limit, .gap_ns = gap };
    http_share_attach(&board, slot);
    http_share_open(&s, 0, &h);
    return s;
}

static int fresh(void **state)
{
    (void)state;
    memset((void *)&board, 0, sizeof board);
    return 0;
}

static uint32_t take_all(struct http_share *s)
{
    uint32_t n = 0;
    ns_t until;
    while (http_share_take(s, 0, &until))
        n++;
    EQ_I64(NS_NEVER, until);
    return n;
}

static void one_lane_gets_all_there_is(void **state)
{
    (void)state;
    struct http_share a = lane(0, 8, 0);
    assert_true(http_share_enter(&a, 0));
    EQ_I64(8, take_all(&a));
    EQ_I64(8, http_share_held(&board, 0));
    http_share_give(&a);
    EQ_I64(1, take_all(&a));
    http_share_leave(&a);
    EQ_I64(0, http_share_held(&board, 0));
}

static void lanes_of_several_slots_never_hold_more_together(void **state)
{
    (void)state;
    struct http_share a = lane(0, 5, 0), b = lane(7, 5, 0);
    assert_true(http_share_enter(&a, 0) && http_share_enter(&b, 0));
    EQ_I64(5, take_all(&a));
    EQ_I64(0, take_all(&b));
    EQ_I64(5, http_share_held(&board, 0));
}

static void who_has_more_than_a_part_leaves_the_next_to_who_has_less(void **state)
{
    (void)state;
    struct http_share a = lane(0, 4, 0), b = lane(1, 4, 0);
    assert_true(http_share_enter(&a, 0));
    EQ_I64(4, take_all(&a));
    assert_true(http_share_enter(&b, 0));
    EQ_I64(0, take_all(&b));
    http_share_give(&a);
    EQ_I64(0, take_all(&a)); // b is poor
    EQ_I64(1, take_all(&b));
    http_share_give(&a);
    EQ_I64(0, take_all(&a));
    EQ_I64(1, take_all(&b));
    http_share_give(&a); // 1 and 2: b has its part
    http_share_enough(&b);
    EQ_I64(1, take_all(&a));
    EQ_I64(4, http_share_held(&board, 0));
}

static void who_wants_no_more_does_not_hold_others_up(void **state)
{
    (void)state;
    struct http_share a = lane(0, 4, 0), b = lane(1, 4, 0);
    assert_true(http_share_enter(&a, 0) && http_share_enter(&b, 0));
    EQ_I64(4, take_all(&a));
    EQ_I64(0, take_all(&b));
    http_share_enough(&b);
    http_share_give(&a);
    EQ_I64(1, take_all(&a));
}

static void no_more_lanes_come_in_than_there_are_requests(void **state)
{
    (void)state;
    struct http_share a = lane(0, 2, 0), b = lane(0, 2, 0), c = lane(1, 2, 0);
    assert_true(http_share_enter(&a, 0));
    assert_true(http_share_enter(&b, 0));
    assert_false(http_share_enter(&c, 0));
    EQ_I64(1, take_all(&a) - 1); // b wants nothing yet
    http_share_leave(&a);
    assert_true(http_share_enter(&c, 0));
}

static void what_a_dead_runner_held_is_free_again(void **state)
{
    (void)state;
    struct http_share a = lane(3, 2, 0), b = lane(4, 2, 0);
    assert_true(http_share_enter(&a, 0) && http_share_enter(&b, 0));
    EQ_I64(2, take_all(&a));
    EQ_I64(0, take_all(&b));
    http_share_forget(&board, 3);
    EQ_I64(0, http_share_held(&board, 0));
    EQ_I64(2, take_all(&b));
    http_share_forget(&board, HTTP_SHARE_SLOTS); // there is no such slot
}

static void the_parent_may_change_what_the_host_may_do(void **state)
{
    (void)state;
    struct http_share a = lane(0, 8, 0);
    http_share_set(&board, 0, 3, 0);
    assert_true(http_share_enter(&a, 0));
    EQ_I64(3, take_all(&a));
    http_share_set(&board, 0, 1, 0);
    EQ_I64(0, take_all(&a));
    EQ_I64(3, http_share_held(&board, 0)); // what is under way goes on
    http_share_give(&a);
    http_share_give(&a);
    EQ_I64(0, take_all(&a));
    http_share_leave(&a);
    http_share_set(&board, 0, 0, 0);
    assert_false(http_share_enter(&a, 0));
    http_share_set(&board, STEP_HTTP_MAX, 5, 0); // there is no such step
    EQ_I64(0, http_share_held(&board, STEP_HTTP_MAX));
}

static void the_rate_leaves_a_gap_between_two_begins(void **state)
{
    (void)state;
    struct http_share a = lane(0, 8, 100), b = lane(1, 8, 100);
    ns_t until;
    assert_true(http_share_enter(&a, 0) && http_share_enter(&b, 0));
    assert_true(http_share_take(&a, 1000, &until));
    assert_false(http_share_take(&b, 1099, &until));
    EQ_I64(1100, until);
    EQ_I64(1, http_share_held(&board, 0));
    assert_true(http_share_take(&b, 1100, &until));
    assert_true(http_share_take(&a, 5000, &until)); // time that was not used is lost
    assert_false(http_share_take(&a, 5050, &until));
    EQ_I64(5100, until);
}

static void who_the_rate_holds_back_wakes_nobody(void **state)
{
    (void)state;
    struct http_share a = lane(0, 8, 100), b = lane(1, 8, 100);
    ns_t until;
    assert_true(http_share_enter(&a, 0) && http_share_enter(&b, 0));
    assert_true(http_share_take(&a, 1000, &until));
    uint32_t rung = atomic_load(&board.step[0].bell);
    for (ns_t now = 1000; now < 1100; now++) {
        assert_false(http_share_take(now % 2 ? &a : &b, now, &until));
        EQ_I64(1100, until);
    }
    EQ_I64(rung, atomic_load(&board.step[0].bell));
    EQ_I64(1, http_share_held(&board, 0));
    assert_true(http_share_take(&b, 1100, &until));
}

static void enter_with_a_lane_that_became_rich_while_poor(struct http_share *a,
                                                          struct http_share *b,
                                                          struct http_share *c)
{
    ns_t until;
    assert_true(http_share_enter(b, 0));
    for (int i = 0; i < 3; i++)
        assert_true(http_share_take(b, 0, &until));
    assert_true(http_share_enter(a, 0)); // its part are 2 of 4
    EQ_I64(1, take_all(a));              // and so it is poor
    assert_true(http_share_enter(c, 0)); // the part of each is 1 now
}

static void a_lane_that_has_its_part_by_now_does_not_hold_itself_up(void **state)
{
    (void)state;
    struct http_share a = lane(0, 4, 0), b = lane(1, 4, 0), c = lane(2, 4, 0);
    enter_with_a_lane_that_became_rich_while_poor(&a, &b, &c);
    http_share_give(&b);
    EQ_I64(1, take_all(&a));
}

static void a_lane_that_has_its_part_by_now_does_not_hold_others_up(void **state)
{
    (void)state;
    struct http_share a = lane(0, 4, 0), b = lane(1, 4, 0), c = lane(2, 4, 0);
    enter_with_a_lane_that_became_rich_while_poor(&a, &b, &c);
    EQ_I64(0, take_all(&a));
    http_share_give(&b);
    EQ_I64(1, take_all(&b));
}

static void steps_have_shares_of_their_own(void **state)
{
    (void)state;
    struct http_share a = lane(0, 2, 0), b;
    struct step_http h = { .concurrency = 2 };
    http_share_open(&b, 1, &h);
    assert_true(http_share_enter(&a, 0) && http_share_enter(&b, 0));
    EQ_I64(2, take_all(&a));
    EQ_I64(2, take_all(&b));
}

// Many threads, each a slot: the sum is looked at by all of them all the time.
enum { THREADS = 6, ROUNDS = 3000, LIMIT = 3 };
static _Atomic uint32_t under_way, most;

static void *work(void *arg)
{
    struct http_share *s = arg;
    for (int i = 0; i < ROUNDS; i++) {
        ns_t until;
        if (!http_share_enter(s, NS_NEVER)) break;
        while (!http_share_take(s, 0, &until)) {
        }
        uint32_t n = atomic_fetch_add(&under_way, 1) + 1, m = atomic_load(&most);
        while (n > m && !atomic_compare_exchange_weak(&most, &m, n)) {
        }
        atomic_fetch_sub(&under_way, 1);
        http_share_leave(s);
    }
    return NULL;
}

static void threads_keep_to_the_limit(void **state)
{
    (void)state;
    static struct http_share s[THREADS];
    pthread_t t[THREADS];
    for (uint32_t i = 0; i < THREADS; i++)
        s[i] = lane(i, LIMIT, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(0, pthread_create(&t[i], NULL, work, &s[i]));
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    assert_true(atomic_load(&most) >= 1 && atomic_load(&most) <= LIMIT);
    EQ_I64(0, http_share_held(&board, 0));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, fresh)
    const struct CMUnitTest tests[] = {
        T(one_lane_gets_all_there_is),
        T(lanes_of_several_slots_never_hold_more_together),
        T(who_has_more_than_a_part_leaves_the_next_to_who_has_less),
        T(who_wants_no_more_does_not_hold_others_up),
        T(no_more_lanes_come_in_than_there_are_requests),
        T(what_a_dead_runner_held_is_free_again),
        T(the_parent_may_change_what_the_host_may_do),
        T(the_rate_leaves_a_gap_between_two_begins),
        T(who_the_rate_holds_back_wakes_nobody),
        T(a_lane_that_has_its_part_by_now_does_not_hold_itself_up),
        T(a_lane_that_has_its_part_by_now_does_not_hold_others_up),
        T(steps_have_shares_of_their_own),
        T(threads_keep_to_the_limit),
    };
    return test_main("http_share", tests, N_OF(tests), NULL, 0);
}
