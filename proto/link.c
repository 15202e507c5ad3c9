#include "proto/link.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

enum {
    HANDSHAKE_MS = 3000, // a peer that connects and says nothing is dropped
    RECONNECT_MS = 200,
    RECONNECT_MAX_MS = 10000,
};

struct link {
    void *ctx, *sock;
    int fd;
    bool router;
    uint64_t message_max_bytes;
    struct buf head;       // scratch of link_send
    struct link_in *spare; // where the next message is received
    struct link_counts counts;
};

struct link_in {
    zmq_msg_t head, body; // must not move: short frames live inside zmq_msg_t
    struct msg msg;
};

static err_t zmq_fault(struct err *e, const char *what)
{
    int saved = zmq_errno();
    return err_set(e, saved == ENOMEM ? ERR_NOMEM : ERR_IO, "%s: %s", what,
                   zmq_strerror(saved));
}

// 4.3.4 starts its automatic routing ids at rand() and never seeds it. A peer that guesses
// the next id and claims it makes the process abort.
static err_t seed_routing_ids(struct err *e)
{
    unsigned seed;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed) return err_sys(e, "getrandom");
    srand(seed);
    return ERR_OK;
}

static err_t check_endpoint(const char *endpoint, const char **path, struct err *e)
{
    struct sockaddr_un addr;
    if (strncmp(endpoint, "tcp://", 6) == 0)
        return err_set(e, ERR_INVALID,
                       "%s: workers on other hosts need keys; not in this version",
                       endpoint);
    if (strncmp(endpoint, "ipc:///", 7) != 0)
        return err_set(e, ERR_INVALID, "%s: an endpoint is ipc:// and an absolute path",
                       endpoint);
    *path = endpoint + 6;
    if (strlen(*path) >= sizeof addr.sun_path)
        return err_set(
            e, ERR_INVALID,
            "%s: %zu bytes are too long for the path of a socket (%zu at most): use "
            "a shorter folder name",
            *path, strlen(*path), sizeof addr.sun_path - 1);
    return ERR_OK;
}

// Without keys the folder is what keeps other users out.
static err_t check_folder(const char *path, struct err *e)
{
    struct stat st;
    char dir[sizeof((struct sockaddr_un *)0)->sun_path];
    size_t n = (size_t)(strrchr(path, '/') - path);
    memcpy(dir, path, n);
    strcpy(dir + n, n ? "" : "/");
    if (stat(dir, &st) != 0) return err_sys(e, "%s", dir);
    if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
        return err_set(
            e, ERR_INVALID,
            "%s: a socket needs a folder that only its owner can enter (chmod 700)", dir);
    return ERR_OK;
}

static err_t set(struct link *l, int option, int value, const char *name, struct err *e)
{
    if (zmq_setsockopt(l->sock, option, &value, sizeof value) == 0) return ERR_OK;
    return zmq_fault(e, name);
}
#define SET(option, value) TRY(set(l, option, value, #option, e))

static err_t set_options(struct link *l, const struct link_opts *o, struct err *e)
{
    int64_t max = (int64_t)o->message_max_bytes;
    if (zmq_setsockopt(l->sock, ZMQ_MAXMSGSIZE, &max, sizeof max) != 0)
        return zmq_fault(e, "ZMQ_MAXMSGSIZE");
    SET(ZMQ_SNDHWM, o->hwm);
    SET(ZMQ_RCVHWM, o->hwm);
    SET(ZMQ_LINGER, 0);
    SET(ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    if (!l->router) {
        SET(ZMQ_RECONNECT_IVL, RECONNECT_MS);
        SET(ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
        return ERR_OK;
    }
    SET(ZMQ_ROUTER_MANDATORY, 1);
    SET(ZMQ_ROUTER_HANDOVER, 0);
    // A libzmq without SO_PEERCRED says EINVAL; the folder still guards.
    uid_t me = geteuid();
    if (zmq_setsockopt(l->sock, ZMQ_IPC_FILTER_UID, &me, sizeof me) != 0 &&
        zmq_errno() != EINVAL)
        return zmq_fault(e, "ZMQ_IPC_FILTER_UID");
    return ERR_OK;
}

static err_t open_socket(struct link *l, const char *endpoint, const struct link_opts *o,
                         struct err *e)
{
    l->ctx = zmq_ctx_new();
    if (!l->ctx) return zmq_fault(e, "zmq_ctx_new");
    zmq_ctx_set(l->ctx, ZMQ_BLOCKY, 0);
    l->sock = zmq_socket(l->ctx, l->router ? ZMQ_ROUTER : ZMQ_DEALER);
    if (!l->sock) return zmq_fault(e, "zmq_socket");
    TRY(set_options(l, o, e));
    int rc = l->router ? zmq_bind(l->sock, endpoint) : zmq_connect(l->sock, endpoint);
    if (rc != 0) return zmq_fault(e, endpoint);
    size_t size = sizeof l->fd;
    if (zmq_getsockopt(l->sock, ZMQ_FD, &l->fd, &size) != 0) return zmq_fault(e, "ZMQ_FD");
    return ERR_OK;
}

static err_t link_open(struct link **out, bool router, const char *endpoint,
                       const struct link_opts *o, struct err *e)
{
    if (o->message_max_bytes < MSG_HEADER_MAX || o->message_max_bytes > INT64_MAX ||
        o->hwm < 1)
        return err_set(e, ERR_INVALID,
                       "messages of %llu bytes, %d in a queue: no such link",
                       (unsigned long long)o->message_max_bytes, o->hwm);
    struct link *l = calloc(1, sizeof *l);
    if (!l) return err_set(e, ERR_NOMEM, "out of memory");
    l->router = router;
    l->message_max_bytes = o->message_max_bytes;
    err_t rc = open_socket(l, endpoint, o, e);
    if (rc == ERR_OK)
        *out = l;
    else
        link_close(&l, 0);
    return rc;
}

err_t link_listen(struct link **out, const char *endpoint, const struct link_opts *o,
                  struct err *e)
{
    const char *path;
    TRY(check_endpoint(endpoint, &path, e));
    TRY(check_folder(path, e));
    TRY(seed_routing_ids(e));
    return link_open(out, true, endpoint, o, e);
}

err_t link_connect(struct link **out, const char *endpoint, const struct link_opts *o,
                   struct err *e)
{
    const char *path;
    TRY(check_endpoint(endpoint, &path, e));
    return link_open(out, false, endpoint, o, e);
}

int link_fd(const struct link *l)
{
    return l->fd;
}

struct frames { // of one message, ready to go
    zmq_msg_t v[3];
    int n;
};

static void drop_frames(struct frames *f, int from)
{
    for (int i = from; i < f->n; i++)
        zmq_msg_close(&f->v[i]);
}

static err_t add_copy(struct frames *f, const void *p, size_t n, struct err *e)
{
    if (zmq_msg_init_size(&f->v[f->n], n) != 0) return zmq_fault(e, "sending");
    memcpy(zmq_msg_data(&f->v[f->n++]), p, n);
    return ERR_OK;
}

// On success the frame owns the payload.
static err_t add_payload(struct frames *f, void *p, size_t n, link_free_fn *free_fn,
                         void *hint, struct err *e)
{
    if (zmq_msg_init_data(&f->v[f->n], p, n, free_fn, hint) != 0)
        return zmq_fault(e, "sending");
    f->n++;
    return ERR_OK;
}

static err_t send_fault(struct err *e)
{
    if (zmq_errno() == EHOSTUNREACH) return err_set(e, ERR_CLOSED, "the peer is gone");
    if (zmq_errno() == EAGAIN) return err_set(e, ERR_BUSY, "the queue to the peer is full");
    return zmq_fault(e, "sending");
}

// All frames exist before the first is sent, and libzmq looks at the queue only when a
// message begins: no message is left half sent. When the peer dies in between, libzmq drops
// the rest quietly.
static err_t send_frames(struct link *l, struct frames *f, struct err *e)
{
    for (int i = 0; i < f->n; i++) {
        int flags = ZMQ_DONTWAIT | (i + 1 < f->n ? ZMQ_SNDMORE : 0), rc;
        do
            rc = zmq_msg_send(&f->v[i], l->sock, flags);
        while (rc < 0 && zmq_errno() == EINTR);
        if (rc >= 0) continue;
        err_t why = send_fault(e);
        drop_frames(f, i);
        return why;
    }
    return ERR_OK;
}

static err_t start_frames(struct link *l, const struct link_peer *peer, struct msg *m,
                          size_t payload_bytes, struct frames *f, struct err *e)
{
    assert(l->router == (peer != NULL));
    if (payload_bytes > l->message_max_bytes)
        return err_set(e, ERR_TOOBIG,
                       "%s with a payload of %zu bytes: this link takes %llu",
                       msg_type_name(m->type), payload_bytes,
                       (unsigned long long)l->message_max_bytes);
    m->payload_bytes = payload_bytes;
    TRY(msg_encode(m, &l->head, e));
    if (peer) TRY(add_copy(f, peer->id, peer->n, e));
    return add_copy(f, l->head.p, l->head.n, e);
}

err_t link_send(struct link *l, const struct link_peer *peer, struct msg *m, void *payload,
                size_t payload_bytes, link_free_fn *free_fn, void *hint, struct err *e)
{
    struct frames f = { .n = 0 };
    err_t rc = start_frames(l, peer, m, payload_bytes, &f, e);
    bool lent = rc == ERR_OK && payload_bytes > 0;
    if (lent) {
        rc = add_payload(&f, payload, payload_bytes, free_fn, hint, e);
        lent = rc == ERR_OK;
    }
    if (!lent && payload && free_fn) free_fn(payload, hint);
    if (rc != ERR_OK) {
        drop_frames(&f, 0);
        return rc;
    }
    TRY(send_frames(l, &f, e));
    l->counts.sent++;
    l->counts.bytes_out += l->head.n + payload_bytes;
    return ERR_OK;
}

// Automatic ids are a zero and four bytes. A peer that chose its own could be mistaken for
// another one (R15), so nothing it says is heard.
static bool automatic(zmq_msg_t *id)
{
    return zmq_msg_size(id) == 5 && *(const uint8_t *)zmq_msg_data(id) == 0;
}

// 1: received, 0: nothing there, -1: fault.
static int recv_frame(struct link *l, zmq_msg_t *frame)
{
    int rc;
    do
        rc = zmq_msg_recv(frame, l->sock, ZMQ_DONTWAIT);
    while (rc < 0 && zmq_errno() == EINTR);
    if (rc >= 0) return 1;
    return zmq_errno() == EAGAIN ? 0 : -1;
}

// Frames past the payload. Messages arrive whole, so they are all there.
static uint64_t drain(struct link *l, zmq_msg_t *last)
{
    uint64_t n = 0;
    if (!zmq_msg_more(last)) return 0;
    zmq_msg_t extra;
    zmq_msg_init(&extra);
    while (recv_frame(l, &extra) == 1) {
        n++;
        if (!zmq_msg_more(&extra)) break;
    }
    zmq_msg_close(&extra);
    return n;
}

// Takes every frame of one message. *named: its peer has an automatic id.
static int recv_message(struct link *l, struct link_peer *peer, struct link_in *in,
                        bool *named, uint64_t *extra)
{
    int rc = recv_frame(l, &in->head);
    *named = true;
    *extra = 0;
    if (rc == 1 && l->router) {
        *named = automatic(&in->head);
        if (*named) {
            peer->n = (uint8_t)zmq_msg_size(&in->head);
            memcpy(peer->id, zmq_msg_data(&in->head), peer->n);
        }
        if (zmq_msg_more(&in->head)) rc = recv_frame(l, &in->head);
    }
    if (rc == 1 && zmq_msg_more(&in->head)) {
        rc = recv_frame(l, &in->body);
        if (rc == 1) *extra = drain(l, &in->body);
    }
    return rc;
}

static struct link_in *link_in_new(void)
{
    struct link_in *in = malloc(sizeof *in);
    if (!in) return NULL;
    zmq_msg_init(&in->head);
    zmq_msg_init(&in->body);
    return in;
}

static struct slice frame_bytes(const zmq_msg_t *frame)
{
    zmq_msg_t *f = (zmq_msg_t *)(uintptr_t)frame; // zmq_msg_data has no const form
    return (struct slice){ zmq_msg_data(f), zmq_msg_size(f) };
}

static err_t check_message(struct link_in *in, bool named, uint64_t extra, struct err *e)
{
    struct slice head = frame_bytes(&in->head);
    size_t body = zmq_msg_size(&in->body);
    if (!named) return err_set(e, ERR_PROTO, "the peer chose its own routing id");
    if (extra)
        return err_set(e, ERR_PROTO,
                       "message of %llu frames: it has a header and a payload",
                       (unsigned long long)extra + 2);
    TRY(msg_decode(head.p, head.n, &in->msg, e));
    if (in->msg.payload_bytes != body)
        return err_set(e, ERR_PROTO, "%s with a payload of %zu bytes: its header says %llu",
                       msg_type_name(in->msg.type), body,
                       (unsigned long long)in->msg.payload_bytes);
    return ERR_OK;
}

err_t link_recv(struct link *l, struct link_peer *peer, struct link_in **out, struct err *e)
{
    *out = NULL;
    *peer = (struct link_peer){ 0 };
    if (!l->spare) l->spare = link_in_new();
    if (!l->spare) return err_set(e, ERR_NOMEM, "out of memory: receiving");
    bool named;
    uint64_t extra;
    int rc = recv_message(l, peer, l->spare, &named, &extra);
    if (rc < 0) return zmq_fault(e, "receiving");
    if (rc == 0) return ERR_OK;
    err_t bad = check_message(l->spare, named, extra, e);
    l->counts.extra_frames += extra;
    if (bad != ERR_OK) {
        l->counts.refused++;
        link_in_free(&l->spare);
        return bad;
    }
    *out = l->spare;
    l->spare = NULL;
    l->counts.received++;
    l->counts.bytes_in += zmq_msg_size(&(*out)->head) + zmq_msg_size(&(*out)->body);
    return ERR_OK;
}

const struct msg *link_msg(const struct link_in *in)
{
    return &in->msg;
}

struct slice link_payload(const struct link_in *in)
{
    return frame_bytes(&in->body);
}

bool link_check(const struct link_in *in)
{
    struct slice body = frame_bytes(&in->body);
    return body.n == 0 || hash_equal(hash_bytes(body.p, body.n), in->msg.payload_hash);
}

void link_in_free(struct link_in **in)
{
    if (!*in) return;
    zmq_msg_close(&(*in)->head);
    zmq_msg_close(&(*in)->body);
    free(*in);
    *in = NULL;
}

void link_count(const struct link *l, struct link_counts *out)
{
    *out = l->counts;
}

void link_close(struct link **l, int linger_ms)
{
    struct link *x = *l;
    if (!x) return;
    if (x->sock) {
        zmq_setsockopt(x->sock, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        zmq_close(x->sock);
    }
    while (x->ctx && zmq_ctx_term(x->ctx) != 0 && zmq_errno() == EINTR)
        continue;
    link_in_free(&x->spare);
    buf_free(&x->head);
    free(x);
    *l = NULL;
}
