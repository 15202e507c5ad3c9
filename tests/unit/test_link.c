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

// A payload that is counted when it is freed. Reading the counter here orders our writes
// before those of the thread that frees, in a way that a race detector can see.
static uint8_t *payload(size_t n, int fill, int *freed)
{
    uint8_t *p = malloc(n);
    assert_non_null(p);
    memset(p, fill, n);
    __atomic_fetch_add(freed, 0, __ATOMIC_SEQ_CST);
    return p;
}

static void count_free(void *data, void *hint)
{
    __atomic_add_fetch((int *)hint, 1, __ATOMIC_SEQ_CST);
    free(data);
}

// A link frees what it holds for a dead peer while it is looked after.
static void await_count(struct link *l, int *n, int want)
{
    struct err e;
    struct link_peer from;
    struct link_in *in;
    ns_t until = clock_ns() + DEADLINE_MS * NS_MS;
    while (__atomic_load_n(n, __ATOMIC_SEQ_CST) < want && clock_ns() < until) {
        PASS(&e, link_recv(l, &from, &in, &e));
        assert_null(in);
        poll(NULL, 0, 1);
    }
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
        uint8_t *data = payload(n + 1, (int)i, &freed);
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
    await_count(p.router, &freed, sent);
    close_pair(&p);
    EQ_I64(sent, freed);
}

static void an_answer_reaches_the_peer_that_asked(void **state)
{
    (void)state;
    struct err e;
    struct pair p;
    struct link *other;
    struct link_opts o = { .message_max_bytes = MESSAGE_MAX, .hwm = 64 };
    struct link_peer second, nobody;
    struct link_in *in;
    open_pair(&p);
    PASS(&e, link_connect(&other, p.endpoint, &o, &e));
    struct msg m = a_ping(2);
    PASS(&e, link_send(other, NULL, &m, NULL, 0, NULL, NULL, &e));
    PASS(&e, await(p.router, &second, &in, &e));
    link_in_free(&in);
    m = a_ping(22);
    PASS(&e, link_send(p.router, &second, &m, NULL, 0, NULL, NULL, &e));
    m = a_ping(11);
    PASS(&e, link_send(p.router, &p.peer, &m, NULL, 0, NULL, NULL, &e));
    PASS(&e, await(p.dealer, &nobody, &in, &e));
    EQ_I64(11, link_msg(in)->PING.seq);
    EQ_I64(0, nobody.n);
    link_in_free(&in);
    PASS(&e, await(other, &nobody, &in, &e));
    EQ_I64(22, link_msg(in)->PING.seq);
    link_in_free(&in);
    link_close(&other, 0);
    close_pair(&p);
}

static void a_payload_with_another_digest_is_told_apart(void **state)
{
    (void)state;
    struct err e;
    struct pair p;
    struct link_in *in;
    struct link_peer from;
    open_pair(&p);
    static char text[] = "hello";
    struct msg m = a_ping(2);
    m.payload_hash = hash_bytes("hellO", 5);
    PASS(&e, link_send(p.dealer, NULL, &m, text, 5, NULL, NULL, &e));
    PASS(&e, await(p.router, &from, &in, &e));
    EQ_I64(5, link_payload(in).n);
    assert_false(link_check(in));
    link_in_free(&in);
    close_pair(&p);
}

static void a_message_outlives_its_link(void **state)
{
    (void)state;
    struct err e;
    struct pair p;
    struct link_in *in;
    struct link_peer from;
    open_pair(&p);
    static char text[100000] = "hello";
    struct msg m = a_ping(2);
    m.payload_hash = hash_bytes(text, sizeof text);
    PASS(&e, link_send(p.dealer, NULL, &m, text, sizeof text, NULL, NULL, &e));
    PASS(&e, await(p.router, &from, &in, &e));
    close_pair(&p);
    assert_true(link_check(in));
    link_in_free(&in);
    link_in_free(&in);
}

// A peer that speaks ZeroMQ but not the protocol.
struct raw {
    void *ctx, *sock;
};

static struct raw raw_open(const char *endpoint, const char *id)
{
    struct raw r = { .ctx = zmq_ctx_new() };
    int linger = 1000;
    r.sock = zmq_socket(r.ctx, ZMQ_DEALER);
    zmq_setsockopt(r.sock, ZMQ_LINGER, &linger, sizeof linger);
    if (id) zmq_setsockopt(r.sock, ZMQ_ROUTING_ID, id, strlen(id));
    assert_int_equal(0, zmq_connect(r.sock, endpoint));
    return r;
}

static void raw_send(struct raw *r, const void *p, size_t n, bool more)
{
    assert_int_equal(n, zmq_send(r->sock, p, n, more ? ZMQ_SNDMORE : 0));
}

static void raw_close(struct raw *r)
{
    zmq_close(r->sock);
    zmq_ctx_term(r->ctx);
}

struct refused {
    const char *name;
    int payload_says;   // payload_bytes of the header; -1: the header is garbage
    const char *frames; // sizes of the frames after it
    uint64_t extra;
    const char *id; // NULL: automatic
    const char *why;
};

static const struct refused refused[] = {
    { "garbage", -1, "", 0, NULL, "not a message of this protocol" },
    { "garbage_with_a_payload", -1, "5", 0, NULL, "not a message of this protocol" },
    { "one_frame_too_many", 5, "5 5", 1, NULL, "message of 3 frames" },
    { "twenty_frames_too_many", 5, "5 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", 20, NULL,
      "message of 22 frames" },
    { "empty_frames", 0, "0 0 0", 2, NULL, "message of 4 frames" },
    { "payload_missing", 5, "", 0, NULL, "payload of 0 bytes: its header says 5" },
    { "payload_short", 5, "4", 0, NULL, "payload of 4 bytes: its header says 5" },
    { "payload_long", 5, "6", 0, NULL, "payload of 6 bytes: its header says 5" },
    { "payload_nobody_spoke_of", 0, "1", 0, NULL, "payload of 1 bytes: its header says 0" },
    { "payload_of_all_bytes_there_are", -2, "1", 0, NULL,
      "its header says 18446744073709551615" },
    { "a_routing_id_of_its_own", 0, "", 0, "me", "chose its own routing id" },
};

static void refuse(void **state)
{
    const struct refused *t = *state;
    struct err e;
    struct pair p;
    struct buf head = { 0 };
    open_pair(&p);
    struct msg m = a_ping(3);
    m.payload_bytes = t->payload_says == -2 ? UINT64_MAX : (uint64_t)t->payload_says;
    PASS(&e, msg_encode(&m, &head, &e));
    if (t->payload_says == -1) memset(head.p, 'x', head.n);

    struct raw r = raw_open(p.endpoint, t->id);
    raw_send(&r, head.p, head.n, t->frames[0] != 0);
    static const char body[16];
    for (const char *f = t->frames; *f;) {
        char *end;
        size_t n = strtoul(f, &end, 10);
        raw_send(&r, body, n, *end != 0);
        f = end;
    }
    struct link_peer from;
    struct link_in *in;
    EXPECT(ERR_PROTO, &e, await(p.router, &from, &in, &e));
    if (!strstr(e.text, t->why)) fail_msg("wanted '...%s...', got '%s'", t->why, e.text);
    assert_null(in);
    EQ_I64(t->id ? 0 : 5, from.n);
    struct link_counts c;
    link_count(p.router, &c);
    EQ_I64(1, c.refused);
    EQ_I64(t->extra, c.extra_frames);
    EQ_I64(1, c.received);

    // The link is as good as before, also for the one who was refused.
    m = a_ping(4);
    PASS(&e, link_send(p.dealer, NULL, &m, NULL, 0, NULL, NULL, &e));
    PASS(&e, await(p.router, &from, &in, &e));
    EQ_I64(4, link_msg(in)->PING.seq);
    link_in_free(&in);
    if (!t->id) {
        PASS(&e, msg_encode(&m, &head, &e));
        raw_send(&r, head.p, head.n, false);
        PASS(&e, await(p.router, &from, &in, &e));
        link_in_free(&in);
    }
    raw_close(&r);
    buf_free(&head);
    close_pair(&p);
}

static void await_closed(struct pair *p, const struct link_peer *peer)
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

static void a_frame_over_the_limit_ends_the_connection(void **state)
{
    (void)state;
    struct err e;
    struct pair p;
    struct buf head = { 0 };
    open_pair(&p);
    struct raw r = raw_open(p.endpoint, NULL);
    struct msg m = a_ping(3);
    PASS(&e, msg_encode(&m, &head, &e));
    raw_send(&r, head.p, head.n, false);
    struct link_peer from;
    struct link_in *in;
    PASS(&e, await(p.router, &from, &in, &e));
    link_in_free(&in);
    void *big = calloc(1, MESSAGE_MAX + 1);
    raw_send(&r, big, MESSAGE_MAX + 1, false);
    await_closed(&p, &from);
    free(big);
    raw_close(&r);
    buf_free(&head);
    close_pair(&p);
}

// Every way in which a payload can end: each is freed exactly once.

static void a_payload_that_cannot_be_sent_is_freed(void **state)
{
    (void)state;
    struct err e;
    struct pair p;
    open_pair(&p);
    int freed = 0;
    struct msg m = a_ping(1);
    struct link_peer stranger = { { 0, 1, 2, 3, 4 }, 5 };
    EXPECT(ERR_CLOSED, &e,
           link_send(p.router, &stranger, &m, payload(9, 0, &freed), 9, count_free, &freed,
                     &e));
    EQ_I64(1, freed);
    EXPECT(ERR_TOOBIG, &e,
           link_send(p.router, &p.peer, &m, payload(9, 0, &freed), MESSAGE_MAX + 1,
                     count_free, &freed, &e));
    EQ_I64(2, freed);
    m = (struct msg){ .type = MSG_ASSIGN, .ASSIGN.path = msg_str("a\0b", 3) };
    EXPECT(
        ERR_INVALID, &e,
        link_send(p.router, &p.peer, &m, payload(9, 0, &freed), 9, count_free, &freed, &e));
    EQ_I64(3, freed);
    struct link_counts c;
    link_count(p.router, &c);
    EQ_I64(0, c.sent);
    close_pair(&p);
    EQ_I64(3, freed);
}

static void a_full_queue_says_busy_and_takes_more_once_read(void **state)
{
    (void)state;
    struct err e;
    struct pair p;
    open_pair(&p);
    enum { SIZE = 100000 };
    int freed = 0, tried = 0, queued = 0;
    err_t rc;
    for (;;) { // until the queues and the socket's buffers are full
        struct msg m = a_ping((uint64_t)tried++);
        rc = link_send(p.router, &p.peer, &m, payload(SIZE, 0, &freed), SIZE, count_free,
                       &freed, &e);
        if (rc != ERR_OK) break;
        queued++;
    }
    EQ_I64(ERR_BUSY, rc);
    assert_true(freed >= 1);
    struct link_in *in;
    struct link_peer from;
    for (int i = 0; i < queued; i++) {
        PASS(&e, await(p.dealer, &from, &in, &e));
        EQ_I64(i, link_msg(in)->PING.seq);
        link_in_free(&in);
    }
    ns_t until = clock_ns() + DEADLINE_MS * NS_MS;
    do {
        struct msg m = a_ping((uint64_t)tried++);
        rc = link_send(p.router, &p.peer, &m, payload(SIZE, 0, &freed), SIZE, count_free,
                       &freed, &e);
        PASS(&e, link_recv(p.router, &from, &in, &e));
        assert_null(in);
    } while (rc == ERR_BUSY && clock_ns() < until);
    PASS(&e, rc);
    close_pair(&p);
    EQ_I64(tried, freed);
}

static void a_peer_that_is_gone_is_closed_and_its_payloads_are_freed(void **state)
{
    (void)state;
    struct err e;
    struct pair p;
    open_pair(&p);
    int freed = 0, tried = 0;
    for (; tried < 20; tried++) {
        struct msg m = a_ping(1);
        PASS(&e, link_send(p.router, &p.peer, &m, payload(100000, 0, &freed), 100000,
                           count_free, &freed, &e));
    }
    link_close(&p.dealer, 0);
    await_closed(&p, &p.peer);
    await_count(p.router, &freed, tried);
    close_pair(&p);
    EQ_I64(tried, freed);
}

static void closing_frees_what_was_never_sent(void **state)
{
    (void)state;
    struct err e;
    struct link_opts o = { .message_max_bytes = MESSAGE_MAX, .hwm = 64 };
    struct link *l;
    char dir[] = "/tmp/link-XXXXXX", endpoint[64];
    assert_non_null(mkdtemp(dir));
    snprintf(endpoint, sizeof endpoint, "ipc://%s/nobody", dir);
    PASS(&e, link_connect(&l, endpoint, &o, &e));
    int freed = 0;
    for (int i = 0; i < 10; i++) {
        struct msg m = a_ping(1);
        PASS(&e, link_send(l, NULL, &m, payload(9, 0, &freed), 9, count_free, &freed, &e));
    }
    EQ_I64(0, freed);
    link_close(&l, 0);
    EQ_I64(10, freed);
    assert_null(l);
    link_close(&l, 0);
    rmdir(dir);
}

static void closing_waits_for_what_was_sent(void **state)
{
    (void)state;
    struct err e;
    struct pair p;
    open_pair(&p);
    for (uint64_t i = 0; i < 50; i++) {
        struct msg m = a_ping(i);
        PASS(&e, link_send(p.dealer, NULL, &m, NULL, 0, NULL, NULL, &e));
    }
    link_close(&p.dealer, DEADLINE_MS);
    for (uint64_t i = 0; i < 50; i++) {
        struct link_in *in;
        struct link_peer from;
        PASS(&e, await(p.router, &from, &in, &e));
        EQ_I64(i, link_msg(in)->PING.seq);
        link_in_free(&in);
    }
    close_pair(&p);
}

static void a_message_sent_before_the_coordinator_listens_arrives(void **state)
{
    (void)state;
    struct err e;
    struct link_opts o = { .message_max_bytes = MESSAGE_MAX, .hwm = 64 };
    struct pair p = { .dir = "/tmp/link-XXXXXX" };
    assert_non_null(mkdtemp(p.dir));
    snprintf(p.endpoint, sizeof p.endpoint, "ipc://%s/s", p.dir);
    PASS(&e, link_connect(&p.dealer, p.endpoint, &o, &e));
    struct msg m = a_ping(42);
    PASS(&e, link_send(p.dealer, NULL, &m, NULL, 0, NULL, NULL, &e));
    PASS(&e, link_listen(&p.router, p.endpoint, &o, &e));
    struct link_in *in;
    PASS(&e, await(p.router, &p.peer, &in, &e));
    EQ_I64(42, link_msg(in)->PING.seq);
    link_in_free(&in);
    close_pair(&p);
}

static void routing_ids_do_not_follow_from_the_process(void **state)
{
    (void)state;
    struct pair a, b;
    srand(1); // what an unseeded process begins with
    open_pair(&a);
    close_pair(&a);
    srand(1);
    open_pair(&b);
    close_pair(&b);
    assert_memory_not_equal(a.peer.id, b.peer.id, 5);
}

struct endpoint {
    const char *name;
    const char *endpoint;
    err_t want;
    const char *why;
};

#define NAME_50 "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
static const struct endpoint endpoints[] = {
    { "tcp_needs_keys", "tcp://127.0.0.1:5555", ERR_INVALID, "need keys" },
    { "relative_path", "ipc://x/s", ERR_INVALID, "absolute path" },
    { "abstract_socket", "ipc://@x", ERR_INVALID, "absolute path" },
    { "another_transport", "inproc://x", ERR_INVALID, "absolute path" },
    { "path_of_108_bytes", "ipc://" NAME_50 NAME_50 "/1234567", ERR_INVALID,
      "107 at most" },
    { "folder_open_to_others", "ipc:///tmp/s", ERR_INVALID, "chmod 700" },
    { "root_folder", "ipc:///s", ERR_INVALID, "chmod 700" },
    { "folder_that_is_not_there", "ipc:///nowhere/at/all", ERR_IO, "No such file" },
};

static void no_endpoint(void **state)
{
    const struct endpoint *t = *state;
    struct err e;
    struct link *l = NULL;
    struct link_opts o = { .message_max_bytes = MESSAGE_MAX, .hwm = 64 };
    EXPECT(t->want, &e, link_listen(&l, t->endpoint, &o, &e));
    if (!strstr(e.text, t->why)) fail_msg("wanted '...%s...', got '%s'", t->why, e.text);
    assert_null(l);
}

static void the_longest_path_works(void **state)
{
    (void)state;
    struct err e;
    struct link *l;
    struct link_opts o = { .message_max_bytes = MESSAGE_MAX, .hwm = 64 };
    char dir[] = "/tmp/link-XXXXXX", path[108], endpoint[128];
    assert_non_null(mkdtemp(dir));
    int n = snprintf(path, sizeof path, "%s/", dir);
    memset(path + n, 'x', sizeof path - 1 - (size_t)n);
    path[107] = 0;
    snprintf(endpoint, sizeof endpoint, "ipc://%s", path);
    PASS(&e, link_listen(&l, endpoint, &o, &e));
    struct stat st;
    assert_int_equal(0, stat(path, &st));
    link_close(&l, 0);
    unlink(path);
    assert_int_equal(0, rmdir(dir));
}

static void a_link_too_small_for_a_header_is_refused(void **state)
{
    (void)state;
    struct err e;
    struct link *l = NULL;
    struct link_opts o = { .message_max_bytes = MSG_HEADER_MAX - 1, .hwm = 64 };
    EXPECT(ERR_INVALID, &e, link_connect(&l, "ipc:///tmp/x/s", &o, &e));
    o = (struct link_opts){ .message_max_bytes = MSG_HEADER_MAX, .hwm = 0 };
    EXPECT(ERR_INVALID, &e, link_connect(&l, "ipc:///tmp/x/s", &o, &e));
    assert_null(l);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(payloads_of_all_sizes_go_both_ways),
        cmocka_unit_test(an_answer_reaches_the_peer_that_asked),
        cmocka_unit_test(a_payload_with_another_digest_is_told_apart),
        cmocka_unit_test(a_message_outlives_its_link),
        cmocka_unit_test(a_frame_over_the_limit_ends_the_connection),
        cmocka_unit_test(a_payload_that_cannot_be_sent_is_freed),
        cmocka_unit_test(a_full_queue_says_busy_and_takes_more_once_read),
        cmocka_unit_test(a_peer_that_is_gone_is_closed_and_its_payloads_are_freed),
        cmocka_unit_test(closing_frees_what_was_never_sent),
        cmocka_unit_test(closing_waits_for_what_was_sent),
        cmocka_unit_test(a_message_sent_before_the_coordinator_listens_arrives),
        cmocka_unit_test(routing_ids_do_not_follow_from_the_process),
        cmocka_unit_test(the_longest_path_works),
        cmocka_unit_test(a_link_too_small_for_a_header_is_refused),
    };
    struct CMUnitTest *hostile = calloc(N_OF(refused) + N_OF(endpoints), sizeof *hostile);
    for (size_t i = 0; i < N_OF(refused); i++)
        hostile[i] = (struct CMUnitTest){ refused[i].name, refuse, NULL, NULL,
                                          (void *)(uintptr_t)&refused[i] };
    for (size_t i = 0; i < N_OF(endpoints); i++)
        hostile[N_OF(refused) + i] =
            (struct CMUnitTest){ endpoints[i].name, no_endpoint, NULL, NULL,
                                 (void *)(uintptr_t)&endpoints[i] };
    return test_main("link", tests, N_OF(tests), hostile, N_OF(refused) + N_OF(endpoints));
}
