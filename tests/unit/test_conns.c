#include "proto/conns.h"
#include "tests/test.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX = 4096 };

struct pair { // a connection over loopback
    int near, far;
    struct conns c;
};

static int connected(void **state)
{
    static struct pair p;
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t n = sizeof a;
    int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(door >= 0 && bind(door, (struct sockaddr *)&a, n) == 0);
    assert_true(listen(door, 1) == 0 && getsockname(door, (struct sockaddr *)&a, &n) == 0);
    p = (struct pair){ .far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    assert_int_equal(0, connect(p.far, (struct sockaddr *)&a, n));
    p.near = accept(door, NULL, NULL);
    assert_true(p.near >= 0);
    close(door);
    conns_opened(&p.c, p.near);
    *state = &p;
    return 0;
}

static int hung_up(void **state)
{
    struct pair *p = *state;
    conns_free(&p->c);
    close(p->near);
    close(p->far);
    return 0;
}

// The kernel counts what it has acknowledged, so wait until all of it is there.
static void comes(struct pair *p, size_t n)
{
    char bytes[2 * MAX] = { 0 };
    uint64_t all = conns_received(p->near) + n;
    assert_true(n <= sizeof bytes);
    assert_int_equal((int)n, (int)write(p->far, bytes, n));
    for (size_t got = 0; got < n;) {
        ssize_t k = read(p->near, bytes, n - got);
        assert_true(k > 0);
        got += (size_t)k;
    }
    EQ_I64(all, conns_received(p->near));
}

static void a_message_may_grow_up_to_the_limit(void **state)
{
    struct pair *p = *state;
    comes(p, MAX);
    EQ_I64(0, conns_end_endless(&p->c, MAX, NS_S));
}

static void one_that_grows_further_ends_its_connection_once(void **state)
{
    struct pair *p = *state;
    char byte;
    comes(p, MAX);
    EQ_I64(0, conns_end_endless(&p->c, MAX, NS_S));
    comes(p, 1);
    EQ_I64(1, conns_end_endless(&p->c, MAX, NS_S));
    EQ_I64(0, conns_end_endless(&p->c, MAX, NS_S));
    EQ_I64(0, read(p->far, &byte, 1));
}

static void a_whole_message_begins_the_count_anew(void **state)
{
    struct pair *p = *state;
    for (int i = 0; i < 5; i++) {
        comes(p, MAX);
        conns_spoke(&p->c, p->near);
        EQ_I64(0, conns_end_endless(&p->c, MAX, NS_S));
    }
}

static void who_is_closed_or_unknown_is_left_alone(void **state)
{
    struct pair *p = *state;
    comes(p, MAX + 1);
    conns_closed(&p->c, p->near);
    conns_closed(&p->c, 100000);
    conns_spoke(&p->c, 100000);
    conns_spoke(&p->c, -1);
    EQ_I64(0, conns_end_endless(&p->c, MAX, NS_S));
    comes(p, 1);
}

static void bytes_that_come_are_a_sign_of_life_and_few_are_not(void **state)
{
    struct pair *p = *state;
    struct conns_flow f;
    conns_ask(&p->c, p->near, 1, &f);
    EQ_I64(0, f.came);
    comes(p, CONNS_MOVES - 1);
    conns_ask(&p->c, p->near, 2, &f);
    EQ_I64(0, f.came);
    comes(p, 1);
    conns_ask(&p->c, p->near, 3, &f);
    EQ_I64(3, f.came);
    comes(p, CONNS_MOVES);
    EQ_I64(0, conns_end_endless(&p->c, MAX, 4));
    conns_ask(&p->c, p->near, 5, &f);
    EQ_I64(4, f.came);
}

static void acknowledged(struct pair *p, uint64_t bytes, struct conns_flow *f)
{
    for (int i = 0; i < 5000; i++) {
        conns_ask(&p->c, p->near, 1, f);
        if (f->arrived >= bytes) return;
        poll(NULL, 0, 1);
    }
    fail_msg("%d of %d bytes were acknowledged", (int)f->arrived, (int)bytes);
}

static void what_is_given_arrives(void **state)
{
    struct pair *p = *state;
    struct conns_flow f;
    char bytes[MAX] = { 0 };
    conns_ask(&p->c, p->near, 1, &f);
    uint64_t greeting = f.given;
    EQ_I64(f.given, f.arrived);
    conns_gave(&p->c, p->near, MAX);
    conns_ask(&p->c, p->near, 1, &f);
    EQ_I64(greeting + MAX, f.given);
    EQ_I64(greeting, f.arrived);
    assert_int_equal(MAX, (int)write(p->near, bytes, MAX));
    acknowledged(p, greeting + MAX, &f);
    EQ_I64(f.given, f.arrived);
    assert_int_equal(10, (int)write(p->near, bytes, 10)); // of which nobody spoke
    acknowledged(p, greeting + MAX + 10, &f);
    EQ_I64(f.given, f.arrived);
}

static void of_an_unknown_connection_nothing_is_under_way(void **state)
{
    struct pair *p = *state;
    struct conns_flow f = { 1, 1, 1 };
    conns_gave(&p->c, 100000, 7);
    conns_ask(&p->c, 100000, 1, &f);
    EQ_I64(0, f.came);
    EQ_I64(0, f.given);
    EQ_I64(0, f.arrived);
}

static void who_is_too_many_is_the_oldest_that_never_spoke(void **state)
{
    struct pair *p = *state;
    void *other[2] = { NULL, NULL };
    struct pair first = *p;
    char byte;
    assert_int_equal(0, connected(&other[0])); // p is the second from here on
    struct pair second = *(struct pair *)other[0];
    EQ_I64(1, first.c.open);
    conns_opened(&first.c, second.near);
    EQ_I64(2, first.c.open);
    conns_end_one(&first.c, second.near);
    EQ_I64(0, read(first.far, &byte, 1)); // the older one
    EQ_I64(1, first.c.open);
    conns_spoke(&first.c, second.near);
    conns_end_one(&first.c, second.near);
    EQ_I64(0, read(second.far, &byte, 1));
    EQ_I64(0, first.c.open);
    conns_end_one(&first.c, 100000);
    conns_free(&first.c);
    close(first.near);
    close(first.far);
}

static void who_is_to_go_hears_the_last_words_first(void **state)
{
    struct pair *p = *state;
    char byte;
    conns_end_soon(&p->c, p->near, NS_S);
    conns_end_soon(&p->c, p->near, NS_S + NS_S / 4); // which puts nothing off
    conns_end_due(&p->c, NS_S + NS_S / 2 - 1);
    assert_int_equal(1, (int)write(p->near, "!", 1));
    assert_int_equal(1, (int)read(p->far, &byte, 1));
    conns_end_due(&p->c, NS_S + NS_S / 2);
    EQ_I64(0, read(p->far, &byte, 1));
    EQ_I64(0, p->c.open);
}

static void a_descriptor_that_is_another_connection_by_now_is_left_alone(void **state)
{
    struct pair *p = *state;
    conns_end_soon(&p->c, p->near, NS_S);
    conns_closed(&p->c, p->near);
    conns_opened(&p->c, p->near);
    conns_end_due(&p->c, 10 * NS_S);
    EQ_I64(1, p->c.open);
    conns_end_soon(&p->c, 100000, NS_S);
}

// Fills the connection, of which nobody reads; how much the sender's kernel took.
static uint64_t fill(const struct pair *p)
{
    char bytes[MAX] = { 0 };
    uint64_t all = 0;
    ssize_t n;
    for (int quiet = 0; quiet<20; quiet = n> 0 ? 0 : quiet + 1) {
        n = send(p->near, bytes, sizeof bytes, MSG_DONTWAIT);
        all += n > 0 ? (uint64_t)n : 0;
        if (n <= 0) poll(NULL, 0, 1);
    }
    return all;
}

static void who_takes_nothing_of_much_is_cut_when_patience_ends(void **state)
{
    struct pair *p = *state;
    struct conns_flow f;
    char bytes[64 << 10];
    uint64_t all = fill(p);
    conns_gave(&p->c, p->near, all + 2 * CONNS_WAITS); // the rest waits in libzmq
    EQ_I64(0, conns_end_deaf(&p->c, 30 * NS_S, NS_S));
    EQ_I64(0, conns_end_deaf(&p->c, 30 * NS_S, 30 * NS_S));
    conns_ask(&p->c, p->near, 1, &f);
    for (uint64_t taken = f.arrived; f.arrived == taken;) { // it takes some
        assert_true(read(p->far, bytes, sizeof bytes) > 0);
        conns_ask(&p->c, p->near, 1, &f);
    }
    for (uint64_t before = 0; before != f.arrived;) { // what is on its way arrives
        before = f.arrived;
        poll(NULL, 0, 50);
        conns_ask(&p->c, p->near, 1, &f);
    }
    EQ_I64(0, conns_end_deaf(&p->c, 30 * NS_S, 33 * NS_S));
    EQ_I64(0, conns_end_deaf(&p->c, 30 * NS_S, 63 * NS_S - 1));
    EQ_I64(1, conns_end_deaf(&p->c, 30 * NS_S, 63 * NS_S));
    EQ_I64(0, p->c.open);
}

static void who_has_taken_all_but_a_little_may_be_quiet(void **state)
{
    struct pair *p = *state;
    conns_gave(&p->c, p->near, CONNS_WAITS);
    for (int i = 1; i < 10; i++)
        EQ_I64(0, conns_end_deaf(&p->c, 30 * NS_S, i * 100 * NS_S));
}

static void a_descriptor_that_is_something_else_by_now_is_not_shut_down(void **state)
{
    struct pair *p = *state;
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    char byte;
    assert_int_equal(0, getsockname(p->near, (struct sockaddr *)&a, &n));
    p->c.port = (uint16_t)(ntohs(a.sin_port) ^ 1);
    conns_end_one(&p->c, p->near);
    EQ_I64(0, p->c.open);
    assert_int_equal(1, (int)write(p->near, "!", 1));
    assert_int_equal(1, (int)read(p->far, &byte, 1));
    p->c.port ^= 1;
    conns_opened(&p->c, p->near);
    conns_end_one(&p->c, p->near);
    EQ_I64(0, read(p->far, &byte, 1));
}

#define T(f) cmocka_unit_test_setup_teardown(f, connected, hung_up)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        T(a_message_may_grow_up_to_the_limit),
        T(one_that_grows_further_ends_its_connection_once),
        T(a_whole_message_begins_the_count_anew),
        T(who_is_closed_or_unknown_is_left_alone),
        T(bytes_that_come_are_a_sign_of_life_and_few_are_not),
        T(what_is_given_arrives),
        T(of_an_unknown_connection_nothing_is_under_way),
        T(who_is_too_many_is_the_oldest_that_never_spoke),
        T(who_takes_nothing_of_much_is_cut_when_patience_ends),
        T(who_has_taken_all_but_a_little_may_be_quiet),
        T(a_descriptor_that_is_something_else_by_now_is_not_shut_down),
        T(who_is_to_go_hears_the_last_words_first),
        T(a_descriptor_that_is_another_connection_by_now_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
