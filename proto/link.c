#include "proto/link_impl.h"
#include "proto/pack.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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
    if (zmq_msg_init_size(&f->v[f->n], n) != 0) return link_zmq_fault(e, "sending");
    memcpy(zmq_msg_data(&f->v[f->n++]), p, n);
    return ERR_OK;
}

// On success the frame owns the payload.
static err_t add_payload(struct frames *f, void *p, size_t n, link_free_fn *free_fn,
                         void *hint, struct err *e)
{
    if (zmq_msg_init_data(&f->v[f->n], p, n, free_fn, hint) != 0)
        return link_zmq_fault(e, "sending");
    f->n++;
    return ERR_OK;
}

static err_t send_fault(struct err *e)
{
    if (zmq_errno() == EHOSTUNREACH) return err_set(e, ERR_CLOSED, "the peer is gone");
    if (zmq_errno() == EAGAIN) return err_set(e, ERR_BUSY, "the queue to the peer is full");
    return link_zmq_fault(e, "sending");
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

// ZMTP 3: one byte of flags, one or eight of length, and what CURVE adds.
static size_t frame_wire_bytes(const struct link *l, size_t n)
{
    if (l->zap) n += LINK_CURVE_BYTES;
    return n + (n < 256 ? 2 : 9);
}

static err_t send_alone(struct link *l, const struct link_peer *peer, struct msg *m,
                        void *payload, size_t payload_bytes, link_free_fn *free_fn,
                        void *hint, struct err *e)
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
    size_t wire = frame_wire_bytes(l, l->head.n) +
                  (payload_bytes ? frame_wire_bytes(l, payload_bytes) : 0);
    TRY(send_frames(l, &f, e));
    if (peer && peer->connection) conns_gave(&l->conns, peer->connection - 1, wire);
    l->counts.sent++;
    l->counts.bytes_out += l->head.n + payload_bytes;
    return ERR_OK;
}

// What could not leave waits on. Of a peer that is gone nothing is kept.
static err_t send_box(struct link *l, struct outbox *x, struct err *e)
{
    struct frames f = { .n = 0 };
    err_t rc = x->id_n ? add_copy(&f, x->id, x->id_n, e) : ERR_OK;
    if (rc == ERR_OK) rc = add_copy(&f, x->bytes.p, x->bytes.n, e);
    if (rc != ERR_OK) {
        drop_frames(&f, 0);
        return rc;
    }
    rc = send_frames(l, &f, e);
    if (rc == ERR_OK && x->connection)
        conns_gave(&l->conns, x->connection - 1,
                   frame_wire_bytes(l, x->bytes.n) - x->bytes.n);
    if (rc == ERR_OK) l->counts.sent += x->n;
    if (rc == ERR_OK) l->counts.bytes_out += x->bytes.n;
    if (rc == ERR_OK || rc == ERR_CLOSED) outbox_empty(&l->out, &x);
    return rc;
}

static struct outbox *box_of(struct link *l, const struct link_peer *peer)
{
    return peer ? outbox_find(&l->out, peer->id, peer->n)
                : outbox_find(&l->out, (const uint8_t *)"", 0);
}

err_t link_send(struct link *l, const struct link_peer *peer, struct msg *m, void *payload,
                size_t payload_bytes, link_free_fn *free_fn, void *hint, struct err *e)
{
    struct outbox *x = box_of(l, peer); // it was said before, and is heard before
    err_t rc = x ? send_box(l, x, e) : ERR_OK;
    if (rc != ERR_OK) {
        if (payload && free_fn) free_fn(payload, hint);
        return rc;
    }
    return send_alone(l, peer, m, payload, payload_bytes, free_fn, hint, e);
}

static err_t box_add(struct link *l, const struct link_peer *peer, const struct msg *m,
                     const void *payload, struct err *e)
{
    struct outbox *x = peer ? outbox_of(&l->out, peer->id, peer->n)
                            : outbox_of(&l->out, (const uint8_t *)"", 0);
    if (!x) return err_set(e, ERR_NOMEM, "out of memory: sending");
    size_t before = x->bytes.n;
    err_t rc = msg_append(m, payload, &x->bytes, e);
    if (rc == ERR_OK) x->n++;
    if (rc == ERR_OK && peer && peer->connection) {
        x->connection = peer->connection;
        conns_gave(&l->conns, x->connection - 1, x->bytes.n - before);
    }
    if (!x->n) outbox_empty(&l->out, &x);
    return rc;
}

err_t link_post(struct link *l, const struct link_peer *peer, struct msg *m, void *payload,
                size_t payload_bytes, link_free_fn *free_fn, void *hint, struct err *e)
{
    struct outbox *x = box_of(l, peer);
    err_t rc = x && x->bytes.n >= OUTBOX_MAX ? send_box(l, x, e) : ERR_OK;
    bool small = payload_bytes <= OUTBOX_PAYLOAD_MAX;
    if (rc == ERR_OK && !small)
        return link_send(l, peer, m, payload, payload_bytes, free_fn, hint, e);
    m->payload_bytes = payload_bytes;
    if (rc == ERR_OK) rc = box_add(l, peer, m, payload, e);
    if (payload && free_fn) free_fn(payload, hint);
    return rc;
}

bool link_flush(struct link *l)
{
    struct outbox *x, *stuck = NULL;
    struct err e;
    while ((x = outbox_first(&l->out)) && x != stuck) {
        err_t rc = send_box(l, x, &e);
        if (rc == ERR_OK || rc == ERR_CLOSED) continue;
        list_add(&l->out.waiting, &x->waiting); // its queue is full: the others go on
        if (!stuck) stuck = x;
    }
    return !x;
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
static int recv_message(struct link *l, struct link_peer *peer, struct frame *in,
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

static struct frame *frame_new(void)
{
    struct frame *f = malloc(sizeof *f);
    if (!f) return NULL;
    f->refs = 1;
    zmq_msg_init(&f->head);
    zmq_msg_init(&f->body);
    return f;
}

static void frame_drop(struct frame **f)
{
    if (*f && atomic_fetch_sub(&(*f)->refs, 1) == 1) {
        zmq_msg_close(&(*f)->head);
        zmq_msg_close(&(*f)->body);
        free(*f);
    }
    *f = NULL;
}

static struct slice frame_bytes(const zmq_msg_t *frame)
{
    zmq_msg_t *f = (zmq_msg_t *)(uintptr_t)frame; // zmq_msg_data has no const form
    return (struct slice){ zmq_msg_data(f), zmq_msg_size(f) };
}

// Not from the routing id: there 4.3.4 loses it after a poll.
static void name_peer(struct link *l, zmq_msg_t *head, struct link_peer *peer)
{
    const char *user = l->zap ? zmq_msg_gets(head, "User-Id") : NULL;
    if (user) snprintf(peer->user, sizeof peer->user, "%s", user);
    int fd = l->tcp ? zmq_msg_get(head, ZMQ_SRCFD) : -1;
    if (fd < 0) return;
    peer->connection = fd + 1;
    if (!conns_know(&l->conns, fd)) link_take_events(l);
    conns_spoke(&l->conns, fd);
}

static err_t check_frames(bool named, uint64_t extra, struct err *e)
{
    if (!named) return err_set(e, ERR_PROTO, "the peer chose its own routing id");
    if (!extra) return ERR_OK;
    return err_set(e, ERR_PROTO, "message of %llu frames: it has a header and a payload",
                   (unsigned long long)extra + 2);
}

// The message at l->at of the open frame.
static err_t read_message(struct link *l, struct link_in *in, struct err *e)
{
    struct slice head = frame_bytes(&l->open->head), body = frame_bytes(&l->open->body);
    size_t used;
    TRY(msg_decode_next(head.p + l->at, head.n - l->at, &in->msg, &in->payload, &used, e));
    bool alone = l->at == 0 && used == head.n && in->payload.n == 0;
    l->at += used;
    if (alone) in->payload = body;
    if (!alone && body.n)
        return err_set(e, ERR_PROTO, "several messages in a frame, and a payload frame");
    if (in->msg.payload_bytes == in->payload.n) return ERR_OK;
    return err_set(e, ERR_PROTO, "%s with a payload of %zu bytes: its header says %llu",
                   msg_type_name(in->msg.type), in->payload.n,
                   (unsigned long long)in->msg.payload_bytes);
}

// Opens the next frame; l->open stays NULL when nothing is there.
static err_t open_frame(struct link *l, struct link_peer *peer, struct err *e)
{
    bool named;
    uint64_t extra;
    *peer = (struct link_peer){ 0 };
    if (!l->spare) l->spare = frame_new();
    if (!l->spare) return err_set(e, ERR_NOMEM, "out of memory: receiving");
    int rc = recv_message(l, peer, l->spare, &named, &extra);
    if (rc < 0) return link_zmq_fault(e, "receiving");
    if (rc == 0) return ERR_OK;
    name_peer(l, &l->spare->head, peer);
    l->counts.extra_frames += extra;
    l->counts.bytes_in += zmq_msg_size(&l->spare->head) + zmq_msg_size(&l->spare->body);
    err_t bad = check_frames(named, extra, e);
    if (bad == ERR_OK) {
        l->open = l->spare;
        l->open_peer = *peer;
        l->at = 0;
        l->spare = NULL;
    } else {
        l->counts.refused++;
        frame_drop(&l->spare);
    }
    return bad;
}

err_t link_recv(struct link *l, struct link_peer *peer, struct link_in **out, struct err *e)
{
    *out = NULL;
    if (!l->open) TRY(open_frame(l, peer, e));
    if (!l->open) return ERR_OK;
    *peer = l->open_peer;
    struct link_in *in = malloc(sizeof *in);
    if (!in) return err_set(e, ERR_NOMEM, "out of memory: receiving");
    err_t bad = read_message(l, in, e);
    if (bad == ERR_OK) {
        atomic_fetch_add(&l->open->refs, 1);
        in->frame = l->open;
        l->counts.received++;
        *out = in;
    } else { // and what stands behind it cannot be found
        l->counts.refused++;
        free(in);
    }
    if (bad != ERR_OK || l->at == zmq_msg_size(&l->open->head)) frame_drop(&l->open);
    return bad;
}

const struct msg *link_msg(const struct link_in *in)
{
    return &in->msg;
}

struct slice link_payload(const struct link_in *in)
{
    return in->payload;
}

size_t link_size(const struct link_in *in)
{
    return in->msg.unpacked ? in->msg.unpacked : in->payload.n;
}

err_t link_unpack(const struct link_in *in, void *to, struct err *e)
{
    struct slice body = in->payload;
    size_t n = link_size(in);
    if (in->msg.unpacked)
        TRY(unpack_bytes(body.p, body.n, to, n, e));
    else if (n)
        memcpy(to, body.p, n);
    if (n == 0 || hash_equal(hash_bytes(to, n), in->msg.payload_hash)) return ERR_OK;
    return err_set(e, ERR_PROTO, "%s arrived damaged", msg_type_name(in->msg.type));
}

bool link_check(const struct link_in *in)
{
    if (in->msg.unpacked) return false;
    return in->payload.n == 0 ||
           hash_equal(hash_bytes(in->payload.p, in->payload.n), in->msg.payload_hash);
}

void link_in_free(struct link_in **in)
{
    if (!*in) return;
    frame_drop(&(*in)->frame);
    free(*in);
    *in = NULL;
}

void link_hang_up(struct link *l, const struct link_peer *peer)
{
    if (!l->tcp) return;
    link_take_events(l); // it may be news that there is this connection
    conns_end_soon(&l->conns, peer->connection - 1, clock_ns());
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
        link_flush(x);
        zmq_socket_monitor(x->sock, NULL, 0);
        zmq_setsockopt(x->sock, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        zmq_close(x->sock);
    }
    if (x->monitor) zmq_close(x->monitor);
    zap_stop(&x->zap);
    while (x->ctx && zmq_ctx_term(x->ctx) != 0 && zmq_errno() == EINTR)
        continue;
    frame_drop(&x->spare);
    frame_drop(&x->open);
    outboxes_free(&x->out);
    buf_free(&x->head);
    conns_free(&x->conns);
    free(x);
    *l = NULL;
}
