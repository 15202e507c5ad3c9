// The link over TCP: who comes in, who does not, and what is said about it.

#include "common/clock.h"
#include "proto/link.h"
#include "tests/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

enum { DEADLINE_MS = 20000, MESSAGE_MAX = 8 << 20 };

struct house { // a coordinator's end, and the keys of who may come in
    char dir[64];
    struct key_pair server, anna, boris;
    struct gate *gate;
    struct link *router;
    const char *endpoint;
};

static struct link_opts opts(void)
{
    return (struct link_opts){ .message_max_bytes = MESSAGE_MAX, .hwm = 64 };
}

static void open_house(struct house *h)
{
    struct err e;
    struct link_opts o = opts();
    *h = (struct house){ .dir = "/tmp/gate-XXXXXX" };
    assert_non_null(mkdtemp(h->dir));
    PASS(&e, keys_coordinator(h->dir, true, &h->server, &e));
    PASS(&e, keys_new(&h->anna, &e));
    PASS(&e, keys_new(&h->boris, &e));
    PASS(&e, keys_allow(h->dir, "anna", h->anna.public_key, &e));
    PASS(&e, gate_open(&h->gate, h->dir, &e));
    o.keys = &h->server;
    o.gate = h->gate;
    PASS(&e, link_listen(&h->router, "tcp://127.0.0.1:0", &o, &e));
    h->endpoint = link_endpoint(h->router);
    assert_null(strstr(h->endpoint, ":0"));
}

static void close_house(struct house *h)
{
    char line[128];
    link_close(&h->router, 0);
    gate_free(&h->gate);
    snprintf(line, sizeof line, "rm -rf %s", h->dir);
    assert_int_equal(0, system(line));
}

static struct link *visit(const struct house *h, const struct key_pair *own)
{
    struct err e;
    struct link *l;
    struct link_opts o = opts();
    o.keys = own;
    o.server_key = h->server.public_key;
    PASS(&e, link_connect(&l, h->endpoint, &o, &e));
    struct msg m = { .type = MSG_PONG, .PONG.seq = 7 };
    PASS(&e, link_send(l, NULL, &m, NULL, 0, NULL, NULL, &e));
    return l;
}

// Whatever comes first: a message to the router, or the end of the visitor's hopes.
static enum link_state outcome(const struct house *h, struct link *visitor,
                               struct link_peer *peer)
{
    struct err e;
    struct link_events seen;
    struct link_in *in = NULL;
    ns_t until = clock_ns() + DEADLINE_MS * NS_MS;
    for (;;) {
        PASS(&e, link_recv(h->router, peer, &in, &e));
        if (in) {
            EQ_I64(7, link_msg(in)->PONG.seq);
            link_in_free(&in);
            return LINK_OPEN;
        }
        enum link_state s = visitor ? link_state(visitor, &seen) : LINK_SILENT;
        if (s == LINK_STRANGER || s == LINK_DENIED) return s;
        if (clock_ns() > until) fail_msg("nothing happened in %d ms", DEADLINE_MS);
        struct pollfd p = { link_fd(h->router), POLLIN, 0 };
        poll(&p, 1, 10);
    }
}

static void who_is_on_the_list_comes_in_under_its_name(void **state)
{
    (void)state;
    struct err e;
    struct house h;
    struct link_peer p;
    char name[KEYS_NAME];
    open_house(&h);
    struct link *anna = visit(&h, &h.anna);
    EQ_I64(LINK_OPEN, outcome(&h, anna, &p));
    gate_name(p.user, name);
    assert_string_equal("anna", name);
    assert_true(gate_allows(h.gate, p.user));
    // The name is there with every message, also after polling, and answers arrive.
    for (int i = 0; i < 20; i++) {
        struct msg m = { .type = MSG_PONG, .PONG.seq = 7 };
        PASS(&e, link_send(anna, NULL, &m, NULL, 0, NULL, NULL, &e));
        p.user[0] = 0;
        EQ_I64(LINK_OPEN, outcome(&h, anna, &p));
        gate_name(p.user, name);
        assert_string_equal("anna", name);
    }
    link_close(&anna, 0);
    close_house(&h);
}

static void await_news(struct house *h, const char *part)
{
    char line[400] = "";
    struct link_events seen;
    ns_t until = clock_ns() + DEADLINE_MS * NS_MS;
    while (!gate_news(h->gate, NS_NEVER / 2, line, sizeof line)) {
        link_state(h->router, &seen);
        if (clock_ns() > until) fail_msg("no news in %d ms", DEADLINE_MS);
        poll(NULL, 0, 5);
    }
    if (!strstr(line, part)) fail_msg("wanted '...%s...', got '%s'", part, line);
}

static void a_stranger_with_a_key_is_denied_and_counted(void **state)
{
    (void)state;
    struct house h;
    struct link_peer p;
    open_house(&h);
    struct link *boris = visit(&h, &h.boris);
    EQ_I64(LINK_DENIED, outcome(&h, boris, &p));
    await_news(&h, "with a key that is not allowed");
    link_close(&boris, 0);
    close_house(&h);
}

static void who_expects_another_coordinator_is_told_apart(void **state)
{
    (void)state;
    struct house h, other;
    struct link_peer p;
    open_house(&h);
    other = h;
    other.server = h.boris;
    struct link *anna = visit(&other, &h.anna);
    EQ_I64(LINK_STRANGER, outcome(&h, anna, &p));
    link_close(&anna, 0);
    close_house(&h);
}

static void plaintext_does_not_come_in(void **state)
{
    (void)state;
    struct err e;
    struct house h;
    struct link_peer p;
    struct link *l;
    open_house(&h);
    struct link_opts o = opts();
    o.insecure = true;
    PASS(&e, link_connect(&l, h.endpoint, &o, &e));
    struct msg m = { .type = MSG_PONG, .PONG.seq = 7 };
    PASS(&e, link_send(l, NULL, &m, NULL, 0, NULL, NULL, &e));
    EQ_I64(LINK_STRANGER, outcome(&h, l, &p));
    await_news(&h, "that did not speak CURVE");
    link_close(&l, 0);
    close_house(&h);
}

static int raw_connect(const char *endpoint)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port =
                                 htons((uint16_t)atoi(strrchr(endpoint, ':') + 1)) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(0, connect(fd, (struct sockaddr *)&a, sizeof a));
    return fd;
}

static void garbage_does_no_harm(void **state)
{
    (void)state;
    struct house h;
    struct link_peer p;
    open_house(&h);
    char web[2000] = "GET / HTTP/1.1\r\nHost: x\r\nCookie: ";
    memset(web + strlen(web), 'x', sizeof web - strlen(web));
    int fd = raw_connect(h.endpoint);
    assert_int_equal(sizeof web, send(fd, web, sizeof web, MSG_NOSIGNAL));
    int idle[50];
    for (int i = 0; i < 50; i++)
        idle[i] = raw_connect(h.endpoint);
    struct link *anna = visit(&h, &h.anna);
    EQ_I64(LINK_OPEN, outcome(&h, anna, &p));
    for (int i = 0; i < 50; i++)
        close(idle[i]);
    close(fd);
    link_close(&anna, 0);
    close_house(&h);
}

static void the_list_is_read_again_when_it_changes(void **state)
{
    (void)state;
    struct err e;
    struct house h;
    struct link_peer p, anna_peer;
    open_house(&h);
    struct link *anna = visit(&h, &h.anna);
    EQ_I64(LINK_OPEN, outcome(&h, anna, &anna_peer));
    assert_false(gate_reload(h.gate, false, &e));
    assert_string_equal("", e.text);
    PASS(&e, keys_allow(h.dir, "boris", h.boris.public_key, &e));
    PASS(&e, keys_revoke(h.dir, "anna", &e));
    assert_true(gate_reload(h.gate, false, &e));
    assert_false(gate_allows(h.gate, anna_peer.user));
    struct link *boris = visit(&h, &h.boris), *again = visit(&h, &h.anna);
    EQ_I64(LINK_OPEN, outcome(&h, boris, &p));
    EQ_I64(LINK_DENIED, outcome(&h, again, &p));
    // Her name with another key is another user.
    PASS(&e, keys_revoke(h.dir, "boris", &e));
    PASS(&e, keys_allow(h.dir, "anna", h.boris.public_key, &e));
    assert_true(gate_reload(h.gate, true, &e));
    assert_false(gate_allows(h.gate, anna_peer.user));
    assert_false(gate_allows(h.gate, p.user));
    link_close(&again, 0);
    link_close(&boris, 0);
    link_close(&anna, 0);
    close_house(&h);
}

static void a_list_that_cannot_be_read_stays_as_it_was(void **state)
{
    (void)state;
    struct err e;
    struct house h;
    struct link_peer p;
    char path[100];
    open_house(&h);
    snprintf(path, sizeof path, "%s/allowed", h.dir);
    assert_int_equal(0, truncate(path, 20));
    assert_false(gate_reload(h.gate, false, &e));
    assert_non_null(strstr(e.text, "stays as it was"));
    assert_false(gate_reload(h.gate, false, &e));
    assert_string_equal("", e.text);
    unlink(path);
    assert_false(gate_reload(h.gate, false, &e));
    assert_non_null(strstr(e.text, "gone"));
    struct link *anna = visit(&h, &h.anna);
    EQ_I64(LINK_OPEN, outcome(&h, anna, &p));
    link_close(&anna, 0);
    close_house(&h);
}

static void who_is_banned_stays_out(void **state)
{
    (void)state;
    struct house h;
    struct link_peer p;
    open_house(&h);
    struct link *anna = visit(&h, &h.anna);
    EQ_I64(LINK_OPEN, outcome(&h, anna, &p));
    link_close(&anna, 0);
    gate_ban(h.gate, p.user);
    assert_false(gate_allows(h.gate, p.user));
    anna = visit(&h, &h.anna);
    EQ_I64(LINK_DENIED, outcome(&h, anna, &p));
    await_news(&h, "broke the protocol");
    link_close(&anna, 0);
    close_house(&h);
}

static void an_end_is_counted_and_a_new_beginning_too(void **state)
{
    (void)state;
    struct err e;
    struct house h;
    struct link_peer p;
    struct link_events seen;
    open_house(&h);
    char endpoint[100];
    snprintf(endpoint, sizeof endpoint, "%s", h.endpoint);
    struct link *anna = visit(&h, &h.anna);
    EQ_I64(LINK_OPEN, outcome(&h, anna, &p));
    ns_t until = clock_ns() + DEADLINE_MS * NS_MS;
    while (link_state(anna, &seen) != LINK_OPEN && clock_ns() < until)
        poll(NULL, 0, 5);
    EQ_I64(1, seen.opened);
    assert_true(seen.bytes > 0);
    link_close(&h.router, 0);
    while (link_state(anna, &seen) != LINK_LOST && clock_ns() < until)
        poll(NULL, 0, 5);
    EQ_I64(1, seen.lost);
    struct link_opts o = opts();
    o.keys = &h.server;
    o.gate = h.gate;
    PASS(&e, link_listen(&h.router, endpoint, &o, &e));
    while (link_state(anna, &seen) != LINK_OPEN && clock_ns() < until)
        poll(NULL, 0, 5);
    EQ_I64(2, seen.opened);
    link_close(&anna, 0);
    close_house(&h);
}

static void plaintext_works_when_it_is_asked_for(void **state)
{
    (void)state;
    struct err e;
    struct house h = { 0 };
    struct link_peer p;
    struct link_opts o = opts();
    struct link *l;
    o.insecure = true;
    PASS(&e, link_listen(&h.router, "tcp://127.0.0.1:0", &o, &e));
    PASS(&e, link_connect(&l, link_endpoint(h.router), &o, &e));
    struct msg m = { .type = MSG_PONG, .PONG.seq = 7 };
    PASS(&e, link_send(l, NULL, &m, NULL, 0, NULL, NULL, &e));
    EQ_I64(LINK_OPEN, outcome(&h, l, &p));
    assert_string_equal("", p.user);
    link_close(&l, 0);
    link_close(&h.router, 0);
}

static void the_largest_message_passes(void **state)
{
    (void)state;
    struct err e;
    struct house h;
    struct link_peer p;
    open_house(&h);
    struct link *anna = visit(&h, &h.anna);
    EQ_I64(LINK_OPEN, outcome(&h, anna, &p));
    uint8_t *data = calloc(1, MESSAGE_MAX);
    struct msg m = { .type = MSG_PONG, .PONG.seq = 7 };
    m.payload_hash = hash_bytes(data, MESSAGE_MAX);
    PASS(&e, link_send(anna, NULL, &m, data, MESSAGE_MAX, NULL, NULL, &e));
    EQ_I64(LINK_OPEN, outcome(&h, anna, &p));
    link_close(&anna, 0);
    free(data);
    close_house(&h);
}

struct bad_endpoint {
    const char *name, *endpoint;
    bool listening;
    err_t want;
    const char *why;
};

static const struct bad_endpoint bad_endpoints[] = {
    { "no_port", "tcp://127.0.0.1", true, ERR_INVALID, "not tcp://HOST:PORT" },
    { "no_host", "tcp://:5555", true, ERR_INVALID, "not tcp://HOST:PORT" },
    { "port_is_a_word", "tcp://127.0.0.1:http", true, ERR_INVALID, "number up to 65535" },
    { "port_too_large", "tcp://127.0.0.1:65536", true, ERR_INVALID, "number up to 65535" },
    { "six_without_brackets", "tcp://::1:5555", true, ERR_INVALID, "not tcp://HOST:PORT" },
    { "address_of_another_machine", "tcp://192.0.2.1:0", true, ERR_INVALID,
      "no such address" },
    { "name_nobody_has", "tcp://no-such-host.invalid:5555", false, ERR_CLOSED,
      "has no address" },
    { "to_port_0", "tcp://127.0.0.1:0", false, ERR_INVALID, "nowhere to connect" },
    { "to_everybody", "tcp://*:5555", false, ERR_INVALID, "give the host" },
};

static void bad_endpoint(void **state)
{
    const struct bad_endpoint *t = *state;
    struct err e;
    struct link *l = NULL;
    struct link_opts o = opts();
    o.insecure = true;
    err_t rc = t->listening ? link_listen(&l, t->endpoint, &o, &e)
                            : link_connect(&l, t->endpoint, &o, &e);
    EXPECT(t->want, &e, rc);
    if (!strstr(e.text, t->why)) fail_msg("wanted '...%s...', got '%s'", t->why, e.text);
}

static void a_port_that_is_taken_is_told(void **state)
{
    (void)state;
    struct err e;
    struct house h;
    struct link *l = NULL;
    struct link_opts o = opts();
    open_house(&h);
    o.insecure = true;
    EXPECT(ERR_BUSY, &e, link_listen(&l, h.endpoint, &o, &e));
    assert_non_null(strstr(e.text, "taken"));
    close_house(&h);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_on_the_list_comes_in_under_its_name),
        cmocka_unit_test(a_stranger_with_a_key_is_denied_and_counted),
        cmocka_unit_test(who_expects_another_coordinator_is_told_apart),
        cmocka_unit_test(plaintext_does_not_come_in),
        cmocka_unit_test(garbage_does_no_harm),
        cmocka_unit_test(the_list_is_read_again_when_it_changes),
        cmocka_unit_test(a_list_that_cannot_be_read_stays_as_it_was),
        cmocka_unit_test(who_is_banned_stays_out),
        cmocka_unit_test(an_end_is_counted_and_a_new_beginning_too),
        cmocka_unit_test(plaintext_works_when_it_is_asked_for),
        cmocka_unit_test(the_largest_message_passes),
        cmocka_unit_test(a_port_that_is_taken_is_told),
    };
    return test_main("link_tcp", tests, N_OF(tests), TABLE(bad_endpoints, bad_endpoint),
                     N_OF(bad_endpoints));
}
