// link - the ROUTER and DEALER ends of the connection. The only place that knows ZeroMQ.
//
// One message = header frame and at most one payload frame (the routing id is the link's
// affair). Further frames are drained, counted and refused. Non-blocking: wait on link_fd
// for POLLIN, and call link_recv until it says nothing is there - ZeroMQ's fd is
// edge-triggered, so also after every link_send.

#ifndef PROTO_LINK_H
#define PROTO_LINK_H

#include "common/buf.h"
#include "common/err.h"
#include "proto/msg.h"

struct link;   // one socket with its context
struct link_peer { // a routing id: in no log, message or page
    uint8_t id[32];
    uint8_t n;
};

struct link_opts {
    uint64_t message_max_bytes; // ZMQ_MAXMSGSIZE; of one frame
    int hwm;                    // messages per peer and direction
};

// Binds ENDPOINT ("ipc:///path") as ROUTER: mandatory routing, no handover, seeded ids,
// handshake limit (RELIABILITY.md 0 and 3.1). tcp:// is refused (no keys yet).
MUST_CHECK err_t link_listen(struct link **out, const char *endpoint,
                             const struct link_opts *o, struct err *e);
MUST_CHECK err_t link_connect(struct link **out, const char *endpoint,
                              const struct link_opts *o, struct err *e);
int link_fd(const struct link *l);

// Frees a payload that was lent to link_send, from any thread. `hint` is the caller's.
typedef void link_free_fn(void *data, void *hint);

// Encodes and queues. `peer` is NULL on a DEALER. The payload (may be NULL) is not copied:
// `free_fn` is called once nobody needs it, also when this call fails. m->payload_bytes is
// set here; m->payload_hash is the caller's. ERR_CLOSED: no such peer (any more); ERR_BUSY:
// its queue is full. Never trust a send: it may be lost all the same (R13).
MUST_CHECK err_t link_send(struct link *l, const struct link_peer *peer, struct msg *m,
                           void *payload, size_t payload_bytes, link_free_fn *free_fn,
                           void *hint, struct err *e);

struct link_in; // a received message: owns its frames

// Takes the next message. ERR_OK with *out = NULL: nothing is there. ERR_PROTO: a message of
// `peer` was refused, e says why; more may follow. Payload size is checked against the
// header; its digest is not (see link_check).
MUST_CHECK err_t link_recv(struct link *l, struct link_peer *peer, struct link_in **out,
                           struct err *e);
const struct msg *link_msg(const struct link_in *in); // lives as long as `in`
struct slice link_payload(const struct link_in *in);  // the same
bool link_check(const struct link_in *in); // the payload has the digest the header says
void link_in_free(struct link_in **in);    // from any thread

struct link_counts {
    uint64_t sent, received, refused, extra_frames, bytes_out, bytes_in;
};
void link_count(const struct link *l, struct link_counts *out);
// Waits at most linger_ms for queued messages to leave.
void link_close(struct link **l, int linger_ms);

#endif
