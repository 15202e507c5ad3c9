// What a link refuses: peers that break the rules, and endpoints that it must not open.

#include "tests/link_kit.h"

#include <string.h>
#include <zmq.h>

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
        cmocka_unit_test(a_frame_over_the_limit_ends_the_connection),
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
    return test_main("link refuses", tests, N_OF(tests), hostile,
                     N_OF(refused) + N_OF(endpoints));
}
