// link - the ROUTER and DEALER ends of the connection. The only place that knows ZeroMQ.
//
// One message = header frame and at most one payload frame (the routing id is the link's
// affair). Further frames are drained, counted and refused. A link belongs to one thread.
//
// Non-blocking: wait on link_fd for POLLIN (never POLLOUT), and call link_recv until it
// says nothing is there - ZeroMQ's fd is edge-triggered, and any call may eat the edge, so
// do the same after every link_send before waiting again. After ERR_BUSY do that, try once
// more, and then wait with a timeout of some milliseconds: the fd may be silent about room.

#ifndef PROTO_LINK_H
#define PROTO_LINK_H

#include "common/buf.h"
#include "common/err.h"
#include "proto/conns.h"
#include "proto/gate.h"
#include "proto/msg.h"

struct link;       // one socket with its context
struct link_peer { // a routing id: in no log, message or page
    uint8_t id[32];
    uint8_t n;
    uint8_t link;         // for the caller, who may have several
    char user[GATE_USER]; // who it is by its key (gate.h); "" without CURVE
    int connection;       // over TCP, for link_hang_up; 0: unknown
};
enum { LINK_PEER_KEY = offsetof(struct link_peer, user) }; // bytes that tell peers apart

struct link_opts {
    uint64_t message_max_bytes; // of one frame, at least MSG_HEADER_MAX; the same on both
                                // sides: a peer that gets more hangs up
    int hwm;                    // messages per peer and direction
    int take_hwm;               // the same, of those that wait to be received; 0: as hwm
    size_t connections_max;     // listening on tcp://: at a time, 0: any number
    // tcp:// only. Without keys it is refused, unless `insecure` says that everything may
    // be read and forged on the way.
    const struct key_pair *keys;
    const uint8_t *server_key; // connecting: the coordinator's public key
    struct gate *gate;         // listening: who may come in; must outlive the link
    int socket; // listening on ipc://: one that listens there already, taken on success;
                // 0: none
    bool insecure;
};

// Binds ENDPOINT as ROUTER: mandatory routing, no handover, unpredictable routing ids,
// handshake limit.
//   ipc:///path      peers of this user only. The socket's folder must be the user's own
//                    and closed to others (0700); a stale socket in it is replaced.
//   tcp://HOST:PORT  peers whose CURVE key the gate admits. Port 0: a free one, which
//                    link_endpoint tells.
MUST_CHECK err_t link_listen(struct link **out, const char *endpoint,
                             const struct link_opts *o, struct err *e);
// The DEALER end. Success says nothing about a peer: connecting goes on in the background,
// again and again, and messages wait in the queue until then, at most `hwm`. ERR_CLOSED:
// the host of a tcp endpoint has no address (now).
MUST_CHECK err_t link_connect(struct link **out, const char *endpoint,
                              const struct link_opts *o, struct err *e);
int link_fd(const struct link *l);
const char *link_endpoint(const struct link *l); // as bound; lives as long as the link

// What became of the last connection over TCP; of ipc nothing is known (LINK_SILENT).
enum link_state {
    LINK_SILENT,   // it never came about so far
    LINK_OPEN,     // both sides know each other
    LINK_LOST,     // it was open, and ended
    LINK_STRANGER, // somebody answers, but it is no coordinator, or none with that key
    LINK_DENIED,   // the coordinator does not admit our key
};
struct link_events {
    uint64_t opened; // how often one came about: each time the other side sees a new peer
    uint64_t lost;   // how often one ended
    uint64_t bytes;  // of a DEALER: received over the last one, also of unfinished messages
    // Of a ROUTER: how many were cut because a message of theirs never ended, because they
    // took nothing of what waited for them, and because there were more than
    // connections_max.
    uint64_t endless, deaf, too_many;
};
// To be asked now and then. Counts the failed handshakes of strangers at the gate.
enum link_state link_state(struct link *l, struct link_events *out);

// What flows between a ROUTER over TCP and one peer, messages under way included.
void link_flow(struct link *l, const struct link_peer *peer, ns_t now,
               struct conns_flow *out);
// Its `given` alone, without asking the kernel. What link_post keeps is counted.
uint64_t link_given(const struct link *l, const struct link_peer *peer);

// What the line to `peer` (NULL on a DEALER) has carried; zeros: it cannot be told.
void link_line(const struct link *l, const struct link_peer *peer, struct line_sample *out);

// Frees a payload that was lent to link_send, from any thread. `hint` is the caller's.
typedef void link_free_fn(void *data, void *hint);

// Encodes and queues. `peer` is NULL on a DEALER. The payload (may be NULL or of 0 bytes:
// then there is no such frame) is not copied: `free_fn` is called once, when nobody needs
// it, also when this call fails; NULL: it outlives the link. m->payload_bytes is set here;
// m->payload_hash and m->unpacked are the caller's. ERR_CLOSED: no such peer (any more);
// ERR_BUSY: its queue is full; ERR_TOOBIG: over message_max_bytes. Never trust a send: it
// may be lost all the same (R13). What was queued for a dead peer is freed by later calls
// of link_recv.
MUST_CHECK err_t link_send(struct link *l, const struct link_peer *peer, struct msg *m,
                           void *payload, size_t payload_bytes, link_free_fn *free_fn,
                           void *hint, struct err *e);

// As link_send, but a message with a small payload, which is copied and freed at once, may
// wait for others to this peer, so that they leave in one frame: at link_flush, or before
// the next link_send to it. ERR_BUSY: many wait already, and its queue is full. That the
// peer is gone only link_send tells.
MUST_CHECK err_t link_post(struct link *l, const struct link_peer *peer, struct msg *m,
                           void *payload, size_t payload_bytes, link_free_fn *free_fn,
                           void *hint, struct err *e);
// Sends what link_post kept, as far as queues have room; false: the rest waits on.
bool link_flush(struct link *l);

struct link_in; // a received message, alone in its frames or one of several

// Takes the next message. ERR_OK with *out = NULL: nothing is there. ERR_PROTO: a message
// of `peer` was refused, e says why; more may follow (peer->n = 0: of a peer that cannot be
// answered). Any other error is a fault on this side that the next call may meet again.
// Payload size is checked against the header; its digest is not (see
// link_check). On a DEALER *peer stays empty.
MUST_CHECK err_t link_recv(struct link *l, struct link_peer *peer, struct link_in **out,
                           struct err *e);
const struct msg *link_msg(const struct link_in *in); // lives as long as `in`
struct slice link_payload(const struct link_in *in);  // the same
size_t link_size(const struct link_in *in);           // bytes of the payload, unpacked
bool link_check(const struct link_in *in); // a payload that is not packed has its digest
// The payload, unpacked or as it is, into link_size bytes at `to`, which the caller has
// found to be not too many. ERR_PROTO: it is no such payload, or does not have its digest.
MUST_CHECK err_t link_unpack(const struct link_in *in, void *to, struct err *e);
void link_in_free(struct link_in **in); // from any thread, also after link_close

// Ends the TCP connection over which the message just received from this peer came, half a
// second from now (at a call of link_state): time for the words that say why. It may come
// again, if the gate lets it.
void link_hang_up(struct link *l, const struct link_peer *peer);

struct link_counts {
    uint64_t sent, received, refused, extra_frames, bytes_out, bytes_in;
};
void link_count(const struct link *l, struct link_counts *out);
// Waits at most linger_ms for queued messages to leave. Payloads that did not are freed.
// What left is not read yet: a peer whose own queue is full loses the rest when we hang up.
void link_close(struct link **l, int linger_ms);

#endif
