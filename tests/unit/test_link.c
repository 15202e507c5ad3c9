#include "proto/pack.h"
#include "tests/link_kit.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

static _Atomic int freed; // payloads, by any thread

// Reading the counter orders our writes before those of the thread that frees, in a way
// that a race detector can see.
static uint8_t *payload(size_t n, int fill)
{
    uint8_t *p = malloc(n);
    assert_non_null(p);
    memset(p, fill, n);
    atomic_fetch_add(&freed, 0);
    return p;
}

static void count_free(void *data, void *hint)
{
    atomic_fetch_add((_Atomic int *)hint, 1);
    free(data);
}

// A link frees what it holds for a dead peer while it is looked after.
static void await_freed(struct link *l, int want)
{
    struct err e;
    struct link_peer from;
    struct link_in *in;
    ns_t until = clock_ns() + DEADLINE_MS * NS_MS;
    while (freed < want && clock_ns() < until) {
        PASS(&e, link_recv(l, &from, &in, &e));
        assert_null(in);
        poll(NULL, 0, 1);
    }
    EQ_I64(want, freed);
}

static void payloads_of_all_sizes_go_both_ways(void **state)
{
    (void)state;
    struct err e;
    struct pair p;
    open_pair(&p);
    static const size_t size[] = { 0,    1,    33,    34,      4096,
                                   8191, 8192, 65537, 1 << 20, MESSAGE_MAX };
    int sent = 0;
    freed = 0;
    for (size_t i = 0; i < 2 * N_OF(size); i++) {
        bool down = i % 2 == 0;
        size_t n = size[i / 2];
        uint8_t *data = payload(n + 1, (int)i);
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
    await_freed(p.router, sent);
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

// Sends `n` bytes that are packed from 50000, and gives what became of them.
static err_t through_the_link(struct pair *p, const uint8_t *packed, size_t n,
                              struct hash128 digest, uint8_t *to, struct err *e)
{
    struct link_in *in;
    struct link_peer from;
    struct msg m = { .type = MSG_RESULT, .payload_hash = digest, .unpacked = 50000 };
    PASS(e, link_send(p->dealer, NULL, &m, (void *)(uintptr_t)packed, n, NULL, NULL, e));
    PASS(e, await(p->router, &from, &in, e));
    EQ_I64(50000, link_size(in));
    EQ_I64(n, link_payload(in).n);
    assert_false(link_check(in)); // it has no such digest as it is
    err_t rc = link_unpack(in, to, e);
    link_in_free(&in);
    return rc;
}

static void a_packed_payload_arrives_and_a_flipped_byte_is_noticed(void **state)
{
    (void)state;
    struct err e;
    struct pair p;
    struct packer *k = NULL;
    static uint8_t plain[50000], packed[60000], got[50000];
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)("0123456789,\n"[i % 12] + (i % 997 == 0));
    struct hash128 digest = hash_bytes(plain, sizeof plain);
    PASS(&e, packer_new(&k, &e));
    size_t n = pack_bytes(k, plain, sizeof plain, packed, sizeof packed);
    packer_free(&k);
    assert_true(n > 0);
    open_pair(&p);
    PASS(&e, through_the_link(&p, packed, n, digest, got, &e));
    assert_memory_equal(plain, got, sizeof got);
    for (size_t at = 0; at < n; at += n / 20 + 1) {
        static uint8_t copy[60000]; // what was sent before may still be lent
        PASS(&e, through_the_link(&p, packed, n, digest, got, &e));
        memcpy(copy, packed, n);
        copy[at] ^= 4;
        EXPECT(ERR_PROTO, &e, through_the_link(&p, copy, n, digest, got, &e));
    }
    digest.lo ^= 1;
    EXPECT(ERR_PROTO, &e, through_the_link(&p, packed, n, digest, got, &e));
    assert_non_null(strstr(e.text, "RESULT arrived damaged"));
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

// Messages that wait for each other.

static void expect_ping(struct link *l, uint64_t seq, size_t payload_bytes)
{
    struct err e;
    struct link_in *in;
    struct link_peer from;
    PASS(&e, await(l, &from, &in, &e));
    EQ_I64(seq, link_msg(in)->PING.seq);
    EQ_I64(payload_bytes, link_payload(in).n);
    assert_true(link_check(in));
    link_in_free(&in);
}

static void post(struct pair *p, bool down, uint64_t seq, size_t n)
{
    struct err e;
    struct msg m = a_ping(seq);
    void *bytes = n ? payload(n, (int)seq) : NULL;
    if (n) m.payload_hash = hash_bytes(bytes, n);
    PASS(&e, link_post(down ? p->router : p->dealer, down ? &p->peer : NULL, &m, bytes, n,
                       n ? count_free : NULL, &freed, &e));
}

static void posted_messages_wait_for_the_flush_and_keep_their_order(void **state)
{
    (void)state;
    for (int down = 0; down < 2; down++) {
        struct err e;
        struct pair p;
        struct link_peer none;
        struct link_in *in;
        open_pair(&p);
        freed = 0;
        struct link *to = down ? p.dealer : p.router, *from = down ? p.router : p.dealer;
        for (uint64_t i = 0; i < 100; i++)
            post(&p, down, i, i % 5 * 20);
        EQ_I64(80, freed); // each was copied, or had none
        PASS(&e, link_recv(to, &none, &in, &e));
        assert_null(in);
        assert_true(link_flush(from));
        struct link_counts c;
        link_count(from, &c);
        EQ_I64(down ? 100 : 101, c.sent);
        for (uint64_t i = 0; i < 100; i++)
            expect_ping(to, i, i % 5 * 20);
        close_pair(&p);
    }
}

static void a_message_that_is_sent_comes_behind_what_was_posted(void **state)
{
    (void)state;
    struct err e;
    struct pair p;
    open_pair(&p);
    post(&p, true, 1, 10);
    struct msg m = a_ping(2);
    PASS(&e, link_send(p.router, &p.peer, &m, NULL, 0, NULL, NULL, &e));
    post(&p, true, 3, 100000); // too large to wait
    post(&p, true, 4, 0);
    expect_ping(p.dealer, 1, 10);
    expect_ping(p.dealer, 2, 0);
    expect_ping(p.dealer, 3, 100000);
    link_flush(p.router);
    expect_ping(p.dealer, 4, 0);
    close_pair(&p);
}

static void posting_more_than_a_frame_holds_needs_no_flush(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p);
    for (uint64_t i = 0; i < 40; i++)
        post(&p, false, i, 3000);
    expect_ping(p.router, 0, 3000);
    assert_true(link_flush(p.dealer));
    for (uint64_t i = 1; i < 40; i++)
        expect_ping(p.router, i, 3000);
    close_pair(&p);
}

static void what_was_posted_to_a_peer_that_is_gone_is_dropped(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p);
    link_close(&p.dealer, 0);
    await_closed(&p, &p.peer);
    freed = 0;
    post(&p, true, 1, 10);
    assert_true(link_flush(p.router));
    EQ_I64(1, freed);
    close_pair(&p);
}

// Every way in which a payload can end: each is freed exactly once.

static void a_payload_that_cannot_be_sent_is_freed(void **state)
{
    (void)state;
    struct err e;
    struct pair p;
    open_pair(&p);
    freed = 0;
    struct msg m = a_ping(1);
    struct link_peer stranger = { .id = { 0, 1, 2, 3, 4 }, .n = 5 };
    EXPECT(ERR_CLOSED, &e,
           link_send(p.router, &stranger, &m, payload(9, 0), 9, count_free, &freed, &e));
    EQ_I64(1, freed);
    EXPECT(ERR_TOOBIG, &e,
           link_send(p.router, &p.peer, &m, payload(9, 0), MESSAGE_MAX + 1, count_free,
                     &freed, &e));
    EQ_I64(2, freed);
    m = (struct msg){ .type = MSG_ASSIGN, .ASSIGN.path = msg_str("a\0b", 3) };
    EXPECT(ERR_INVALID, &e,
           link_send(p.router, &p.peer, &m, payload(9, 0), 9, count_free, &freed, &e));
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
    int tried = 0, queued = 0;
    freed = 0;
    err_t rc;
    for (;;) { // until the queues and the socket's buffers are full
        struct msg m = a_ping((uint64_t)tried++);
        rc = link_send(p.router, &p.peer, &m, payload(SIZE, 0), SIZE, count_free, &freed,
                       &e);
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
        rc = link_send(p.router, &p.peer, &m, payload(SIZE, 0), SIZE, count_free, &freed,
                       &e);
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
    int tried = 0;
    freed = 0;
    for (; tried < 20; tried++) {
        struct msg m = a_ping(1);
        PASS(&e, link_send(p.router, &p.peer, &m, payload(100000, 0), 100000, count_free,
                           &freed, &e));
    }
    link_close(&p.dealer, 0);
    await_closed(&p, &p.peer);
    await_freed(p.router, tried);
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
    freed = 0;
    for (int i = 0; i < 10; i++) {
        struct msg m = a_ping(1);
        PASS(&e, link_send(l, NULL, &m, payload(9, 0), 9, count_free, &freed, &e));
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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(payloads_of_all_sizes_go_both_ways),
        cmocka_unit_test(an_answer_reaches_the_peer_that_asked),
        cmocka_unit_test(a_payload_with_another_digest_is_told_apart),
        cmocka_unit_test(a_packed_payload_arrives_and_a_flipped_byte_is_noticed),
        cmocka_unit_test(a_message_outlives_its_link),
        cmocka_unit_test(posted_messages_wait_for_the_flush_and_keep_their_order),
        cmocka_unit_test(a_message_that_is_sent_comes_behind_what_was_posted),
        cmocka_unit_test(posting_more_than_a_frame_holds_needs_no_flush),
        cmocka_unit_test(what_was_posted_to_a_peer_that_is_gone_is_dropped),
        cmocka_unit_test(a_payload_that_cannot_be_sent_is_freed),
        cmocka_unit_test(a_full_queue_says_busy_and_takes_more_once_read),
        cmocka_unit_test(a_peer_that_is_gone_is_closed_and_its_payloads_are_freed),
        cmocka_unit_test(closing_frees_what_was_never_sent),
        cmocka_unit_test(closing_waits_for_what_was_sent),
        cmocka_unit_test(a_message_sent_before_the_coordinator_listens_arrives),
        cmocka_unit_test(routing_ids_do_not_follow_from_the_process),
        cmocka_unit_test(the_longest_path_works),
    };
    return test_main("link", tests, N_OF(tests), NULL, 0);
}
