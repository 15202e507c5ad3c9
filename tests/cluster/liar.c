// liar ACCESS ENDPOINT lease|order|need|twins|digest|bomb - a worker with a good key that
// breaks the rules; twins: the older of two with one key asks for what there is not. Says
// what became of it: "refused: ..." once the coordinator said so, "denied" when its key no
// longer opens a connection.

#include "common/clock.h"
#include "common/host.h"
#include "proto/keys.h"
#include "proto/lease.h"
#include "proto/link.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static struct link *visit(const struct access *a, const char *endpoint, struct err *e)
{
    struct link *l = NULL;
    struct link_opts o = { .message_max_bytes = 300 << 20,
                           .hwm = 64,
                           .keys = &a->own,
                           .server_key = a->coordinator };
    return link_connect(&l, endpoint, &o, e) == ERR_OK ? l : NULL;
}

static int send_msg(struct link *l, struct msg *m, struct err *e)
{
    return link_send(l, NULL, m, NULL, 0, NULL, NULL, e) == ERR_OK;
}

static int say_hello(struct link *l, uint64_t instance, struct err *e)
{
    char arch[HOST_ARCH];
    host_arch(arch);
    struct msg m = { .type = MSG_HELLO,
                     .HELLO = { .version =
                                    msg_str(TRANCHE_VERSION, strlen(TRANCHE_VERSION)),
                                .arch = msg_str(arch, strlen(arch)),
                                .name = msg_str("somebody else", 13),
                                .slots = 1,
                                .instance = { 1, instance } } };
    return send_msg(l, &m, e);
}

// The next message of one of two types; false: it took too long, or nobody listens to us.
static int await(struct link *l, enum msg_type type, enum msg_type or_type,
                 struct link_in **in)
{
    struct err e;
    struct link_peer none;
    struct link_events seen;
    ns_t until = clock_ns() + 20 * NS_S;
    while (clock_ns() < until && link_state(l, &seen) != LINK_DENIED) {
        if (link_recv(l, &none, in, &e) != ERR_OK) continue;
        if (*in && (link_msg(*in)->type == type || link_msg(*in)->type == or_type))
            return 1;
        link_in_free(in);
        struct pollfd p = { link_fd(l), POLLIN, 0 };
        poll(&p, 1, 10);
    }
    return 0;
}

// A result that has everything but the digest that it claims; or (a bomb) one that says
// that it unpacks to a lot.
static int wrong_result(struct link *l, const struct link_in *in, bool bomb, struct err *e)
{
    enum { MUCH = 100 << 20 };
    static char bytes[64];
    const struct msg_ASSIGN *g = &link_msg(in)->ASSIGN;
    struct lease lease = LEASE_GET(g);
    struct msg m = { .type = MSG_RESULT,
                     .epoch = link_msg(in)->epoch,
                     .sid = link_msg(in)->sid,
                     .payload_hash = { 3, 4 },
                     .RESULT = { .rows_read = g->records,
                                 .rows_parsed = g->records,
                                 .rows_emitted = g->records,
                                 .image_bytes = sizeof bytes } };
    LEASE_PUT(&m.RESULT, &lease);
    m.RESULT.digest = g->digest;
    if (bomb) m.RESULT.image_bytes = m.unpacked = MUCH;
    return link_send(l, NULL, &m, bytes, sizeof bytes, NULL, NULL, e) == ERR_OK;
}

static int lie(struct link *l, const char *how, uint64_t epoch, struct err *e)
{
    struct msg m = { .type = MSG_FAIL, .epoch = epoch };
    m.FAIL.lease_epoch = epoch; // as if this coordinator had given it out
    m.FAIL.end = 100;
    m.FAIL.attempt = 1;
    if (strcmp(how, "order") == 0) m = (struct msg){ .type = MSG_STOP };
    if (strcmp(how, "need") == 0 || strcmp(how, "twins") == 0)
        m = (struct msg){ .type = MSG_NEED, .NEED = { .file = 7, .bytes = 100 } };
    return send_msg(l, &m, e);
}

static struct link *come_in(const struct access *a, const char *endpoint, uint64_t instance,
                            struct link_in **in, struct err *e)
{
    struct link *l = visit(a, endpoint, e);
    if (l && say_hello(l, instance, e) && await(l, MSG_WELCOME, MSG_WELCOME, in)) return l;
    if (l) link_close(&l, 0);
    return NULL;
}

static int await_denial(struct link *l)
{
    struct link_events seen;
    ns_t until = clock_ns() + 20 * NS_S;
    while (clock_ns() < until) {
        if (link_state(l, &seen) == LINK_DENIED) return 1;
        poll(NULL, 0, 10);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct err e = { 0 };
    struct access a;
    struct link_in *in = NULL, *other = NULL;
    struct link *twin = NULL;
    if (argc != 4 || access_read(&a, argv[1], &e) != ERR_OK) return puts(e.text), 2;
    bool twins = strcmp(argv[3], "twins") == 0;
    struct link *l = come_in(&a, argv[2], 1, &in, &e);
    if (l && twins) twin = come_in(&a, argv[2], 2, &other, &e);
    if (!l || (twins && !twin)) return puts("lost"), 1;
    link_in_free(&other);
    uint64_t epoch = link_msg(in)->epoch;
    struct msg ready = {
        .type = MSG_READY, .epoch = epoch, .sid = link_msg(in)->sid, .READY = { .slots = 1 }
    };
    link_in_free(&in);
    bool bomb = strcmp(argv[3], "bomb") == 0;
    bool works =
        bomb || strcmp(argv[3], "digest") == 0; // it lies about the work that it gets
    if (works && !send_msg(l, &ready, &e)) return puts(e.text), 1;
    for (int i = 0; i < 3 && !works; i++)
        if (!lie(l, argv[3], epoch, &e)) return puts(e.text), 1;
    for (;;) {
        if (!await(l, MSG_REFUSED, MSG_ASSIGN, &in)) break;
        if (link_msg(in)->type == MSG_REFUSED) break;
        if (!wrong_result(l, in, bomb, &e)) return puts(e.text), 1;
        link_in_free(&in);
    }
    if (in)
        printf("refused: %.*s\n", (int)link_msg(in)->REFUSED.text.n,
               link_msg(in)->REFUSED.text.p);
    link_in_free(&in);
    if (twin && !await(twin, MSG_REFUSED, MSG_REFUSED, &other))
        return puts("the twin stays"), 1;
    link_in_free(&other);
    if (twin) link_close(&twin, 0);
    link_close(&l, 0);
    l = visit(&a, argv[2], &e);
    int denied = l && await_denial(l);
    puts(denied ? "denied" : "came in again");
    if (l) link_close(&l, 0);
    return denied ? 0 : 1;
}
