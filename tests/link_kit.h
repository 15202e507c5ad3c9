// link_kit - a coordinator's end and a worker's end of a link, in one process.

#ifndef TESTS_LINK_KIT_H
#define TESTS_LINK_KIT_H

#include "common/clock.h"
#include "proto/link.h"
#include "tests/test.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DEADLINE_MS = 20000, MESSAGE_MAX = 8 << 20 };

struct pair { // a coordinator's end, a worker's end, and how the one calls the other
    char dir[64], endpoint[128];
    struct link *router, *dealer;
    struct link_peer peer;
};

// The next message or refusal, waited for.
static inline err_t await(struct link *l, struct link_peer *peer, struct link_in **in,
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

static inline struct msg a_ping(uint64_t seq)
{
    return (struct msg){ .type = MSG_PING, .epoch = 7, .sid = 9, .PING.seq = seq };
}

static inline void open_pair(struct pair *p)
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

static inline void close_pair(struct pair *p)
{
    link_close(&p->dealer, 0);
    link_close(&p->router, 0);
    char path[128];
    snprintf(path, sizeof path, "%s/s", p->dir);
    unlink(path);
    assert_int_equal(0, rmdir(p->dir));
}

// Until the peer's end is known to be gone.
static inline void await_closed(struct pair *p, const struct link_peer *peer)
{
    struct err e;
    struct link_in *in;
    struct link_peer from;
    ns_t until = clock_ns() + DEADLINE_MS * NS_MS;
    for (;;) {
        struct msg m = a_ping(1);
        err_t rc = link_send(p->router, peer, &m, NULL, 0, NULL, NULL, &e);
        if (rc == ERR_CLOSED) return;
        assert_true(rc == ERR_OK || rc == ERR_BUSY);
        if (clock_ns() > until)
            fail_msg("the peer is still there after %d ms", DEADLINE_MS);
        PASS(&e, link_recv(p->router, &from, &in, &e));
        link_in_free(&in);
        struct pollfd fd = { link_fd(p->router), POLLIN, 0 };
        poll(&fd, 1, 10);
    }
}

#endif
