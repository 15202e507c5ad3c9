#include "common/clock.h"
#include "proto/link.h"
#include "tests/test.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

enum { DEADLINE_MS = 20000, MESSAGE_MAX = 8 << 20 };

struct pair { // a coordinator's end, a worker's end, and how the one calls the other
    char dir[64], endpoint[128];
    struct link *router, *dealer;
    struct link_peer peer;
};

// The next message or refusal, waited for.
static err_t await(struct link *l, struct link_peer *peer, struct link_in **in,
                   struct err *e)
{
    ns_t until = clock_ns() + DEADLINE_MS * NS_MS;
    for (;;) {
        err_t rc = link_recv(l, peer, in, e);
        if (rc != ERR_OK || *in) return rc;
        if (clock_ns() > until) fail_msg("nothing came in %d ms", DEADLINE_MS);
        struct pollfd p = { link_fd(l), POLLIN, 0 };
        poll(&p, 1, 100);
    }
}

static struct msg a_ping(uint64_t seq)
{
    return (struct msg){ .type = MSG_PING, .epoch = 7, .sid = 9, .PING.seq = seq };
}

static void open_pair(struct pair *p)
{
    struct err e;
    struct link_opts o = { .message_max_bytes = MESSAGE_MAX, .hwm = 64 };
    *p = (struct pair){ .dir = "/tmp/link-XXXXXX" };
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->endpoint, sizeof p->endpoint, "ipc://%s/s", p->dir);
    PASS(&e, link_listen(&p->router, p->endpoint, &o, &e));
    PASS(&e, link_connect(&p->dealer, p->endpoint, &o, &e));
    struct msg m = a_ping(1);
    PASS(&e, link_send(p->dealer, NULL, &m, NULL, 0, NULL, NULL, &e));
    struct link_in *in;
    PASS(&e, await(p->router, &p->peer, &in, &e));
    EQ_I64(MSG_PING, link_msg(in)->type);
    link_in_free(&in);
}

static void close_pair(struct pair *p)
{
    link_close(&p->dealer, 0);
    link_close(&p->router, 0);
    char path[128];
    snprintf(path, sizeof path, "%s/s", p->dir);
    unlink(path);
    assert_int_equal(0, rmdir(p->dir));
}

static void count_free(void *data, void *hint)
{
    free(data);
    __atomic_add_fetch((int *)hint, 1, __ATOMIC_SEQ_CST);
}

static void await_count(int *n, int want)
{
    ns_t until = clock_ns() + DEADLINE_MS * NS_MS;
    while (__atomic_load_n(n, __ATOMIC_SEQ_CST) < want && clock_ns() < until)
        poll(NULL, 0, 1);
    EQ_I64(want, __atomic_load_n(n, __ATOMIC_SEQ_CST));
}

static void payloads_of_all_sizes_go_both_ways(void **state)
{
    (void)state;
    struct err e;
    struct pair p;
    open_pair(&p);
    static const size_t size[] = { 0,    1,    33,    34,      4096,
                                   8191, 8192, 65537, 1 << 20, MESSAGE_MAX };
    int freed = 0, sent = 0;
    for (size_t i = 0; i < 2 * N_OF(size); i++) {
        bool down = i % 2 == 0;
        size_t n = size[i / 2];
        uint8_t *data = malloc(n + 1);
        for (size_t k = 0; k < n; k++)
            data[k] = (uint8_t)(k * 7 + i);
        struct msg m = a_ping(i);
        m.payload_hash = hash_bytes(data, n);
        struct hash128 want = m.payload_hash;
        PASS(&e, link_send(down ? p.router : p.dealer, down ? &p.peer : NULL, &m, data, n,
                           count_free, &freed, &e));
        sent++;
        struct link_in *in;
        struct link_peer from;
        PASS(&e, await(down ? p.dealer : p.router, &from, &in, &e));
        EQ_I64(i, link_msg(in)->PING.seq);
        EQ_I64(n, link_payload(in).n);
        assert_true(hash_equal(want, hash_bytes(link_payload(in).p, n)));
        assert_true(link_check(in));
        link_in_free(&in);
    }
    await_count(&freed, sent);
    close_pair(&p);
    EQ_I64(sent, freed);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(payloads_of_all_sizes_go_both_ways),
    };
    return test_main("link", tests, N_OF(tests), NULL, 0);
}
