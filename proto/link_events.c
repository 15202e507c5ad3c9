#include "proto/link_impl.h"

#include <string.h>

enum {
    LOOK_AT = 100,           // connections, each time
    ENDLESS_BYTES = 1 << 20, // header frame, and what comes with the frames
};
static const ns_t LOOK_EVERY = NS_S / 10, DEAF = 30 * NS_S;
static const char monitor_name[] = "inproc://link-events";

// What happens to connections over TCP is told by libzmq, or by nobody.
err_t link_watch(struct link *l, struct err *e)
{
    int none = 0;
    if (zmq_socket_monitor(
            l->sock, monitor_name,
            ZMQ_EVENT_CONNECTED | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED |
                ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) != 0)
        return link_zmq_fault(e, "zmq_socket_monitor");
    l->monitor = zmq_socket(l->ctx, ZMQ_PAIR);
    if (!l->monitor) return link_zmq_fault(e, "zmq_socket");
    zmq_setsockopt(l->monitor, ZMQ_LINGER, &none, sizeof none);
    // No limit: libzmq's own thread would stand still in front of a full queue.
    zmq_setsockopt(l->monitor, ZMQ_RCVHWM, &none, sizeof none);
    return zmq_connect(l->monitor, monitor_name) == 0 ? ERR_OK
                                                      : link_zmq_fault(e, "monitor");
}

struct event { // first frame of a monitor's message, without padding on the wire
    uint16_t what;
    uint32_t value;
};

static bool next_event(struct link *l, struct event *v)
{
    zmq_msg_t m;
    bool more, first = true;
    do {
        zmq_msg_init(&m);
        if (zmq_msg_recv(&m, l->monitor, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&m);
            return false;
        }
        if (first) *v = (struct event){ 0 };
        if (first && zmq_msg_size(&m) >= 6) {
            const uint8_t *p = zmq_msg_data(&m);
            memcpy(&v->what, p, 2);
            memcpy(&v->value, p + 2, 4);
        }
        first = false;
        more = zmq_msg_more(&m);
        zmq_msg_close(&m);
    } while (more);
    return true;
}

static void on_accepted(struct link *l, int fd)
{
    conns_opened(&l->conns, fd);
    if (!l->connections_max || l->conns.open <= l->connections_max) return;
    conns_end_one(&l->conns, fd);
    l->events.too_many++;
}

static void on_event(struct link *l, const struct event *v)
{
    switch (v->what) {
    case ZMQ_EVENT_CONNECTED:
        l->peer_fd = (int)v->value;
        l->greeting = true;
        break;
    case ZMQ_EVENT_ACCEPTED: on_accepted(l, (int)v->value); break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        l->state = LINK_OPEN;
        l->greeting = false;
        l->events.opened++;
        break;
    case ZMQ_EVENT_DISCONNECTED:
        l->peer_fd = -1;
        conns_closed(&l->conns, (int)v->value);
        if (l->state == LINK_OPEN) l->state = LINK_LOST;
        if (l->greeting && l->state != LINK_DENIED) l->state = LINK_STRANGER;
        l->greeting = false;
        l->events.lost++;
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: l->state = LINK_DENIED; break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        l->state = LINK_STRANGER;
        if (l->gate) gate_count_stranger(l->gate);
        break;
    default: break;
    }
}

// Not more often than it is worth: a thousand connections are asked once a second.
static void end_hopeless(struct link *l)
{
    ns_t now = clock_ns();
    if (now - l->looked < LOOK_EVERY * (ns_t)(1 + l->conns.open / LOOK_AT)) return;
    l->looked = now;
    conns_end_due(&l->conns, now);
    l->events.endless +=
        conns_end_endless(&l->conns, l->message_max_bytes + ENDLESS_BYTES, now);
    l->events.deaf += conns_end_deaf(&l->conns, clock_protocol(DEAF), now);
}

void link_take_events(struct link *l)
{
    struct event v;
    while (l->monitor && next_event(l, &v))
        on_event(l, &v);
}

enum link_state link_state(struct link *l, struct link_events *out)
{
    link_take_events(l);
    if (l->router)
        end_hopeless(l);
    else // of a large message that takes its time nothing else is seen before it is whole
        l->events.bytes = conns_received(l->peer_fd);
    *out = l->events;
    return l->state;
}

uint64_t link_given(const struct link *l, const struct link_peer *peer)
{
    return conns_given(&l->conns, peer->connection - 1);
}

void link_flow(struct link *l, const struct link_peer *peer, ns_t now,
               struct conns_flow *out)
{
    conns_ask(&l->conns, peer->connection - 1, now, out);
}

void link_line(const struct link *l, const struct link_peer *peer, struct line_sample *out)
{
    conns_line(!l->tcp ? -1 : peer ? peer->connection - 1 : l->peer_fd, out);
}
