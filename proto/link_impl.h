// link_impl - what link.c (messages), link_open.c (settings, both ends) and link_events.c
// (what libzmq and the kernel tell of connections) share. Nobody else includes it.

#ifndef PROTO_LINK_IMPL_H
#define PROTO_LINK_IMPL_H

#include "proto/conns.h"
#include "proto/endpoint.h"
#include "proto/link.h"
#include "proto/outbox.h"
#include "proto/zap.h"

#include <stdatomic.h>
#include <zmq.h>

enum { LINK_CURVE_BYTES = 33 }; // that CURVE adds to a frame

struct link {
    void *ctx, *sock;
    int fd;
    bool router, tcp;
    struct zap *zap;
    void *monitor; // tcp
    enum link_state state;
    struct link_events events;
    bool greeting; // a tcp DEALER has reached somebody, no more is known yet
    int peer_fd;   // of a tcp DEALER: libzmq's descriptor, only to be asked; -1: none
    struct gate *gate;
    char endpoint[ENDPOINT_HOST + 16];
    uint64_t message_max_bytes;
    size_t connections_max;
    struct buf head;     // scratch of link_send
    struct outboxes out; // messages that wait for link_flush
    struct frame *spare; // where the next message is received
    struct frame *open;  // has more messages, from `at`
    size_t at;
    struct link_peer open_peer;
    struct link_counts counts;
    struct conns conns; // of a tcp ROUTER
    ns_t looked;        // at them
};

struct frame { // as received: of one message, or of several that came in one
    _Atomic unsigned refs;
    zmq_msg_t head, body; // must not move: short frames live inside zmq_msg_t
};

struct link_in {
    struct frame *frame;
    struct slice payload; // in it
    struct msg msg;
};

// The sentence of libzmq's last error. `what` was tried.
err_t link_zmq_fault(struct err *e, const char *what);
void link_take_events(struct link *l);           // from the monitor, if there is one
err_t link_watch(struct link *l, struct err *e); // opens the monitor

#endif
