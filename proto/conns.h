// conns - what flows over TCP connections while no message is whole.
//
// libzmq keeps what it has of a message until its last frame is there, and tells nobody;
// and it takes messages long before they are on the wire. So the kernel is asked:
//
// - Bytes that come are a sign of life, also of a message that takes its time.
// - Messages of one connection come one after the other, so whatever it has sent since the
//   last one belongs to a single unfinished one. libzmq bounds frames, not their number.
// - What the other host's kernel has acknowledged has arrived there.
//
// - Who takes nothing of what waits for it has it wait for ever: nobody takes that back.
//
// Descriptors are libzmq's: they are asked, and at worst shut down, never closed. We hear
// late that one was closed: what has its number by then may be anything, and is shut down
// only if it is a connection to our port.

#ifndef PROTO_CONNS_H
#define PROTO_CONNS_H

#include "common/clock.h"

#include "proto/line.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONNS_MOVES = 1024 }; // fewer bytes than so many are no sign of life

struct conns {      // zero-initialised is a valid empty set
    struct conn *v; // by descriptor
    size_t n, open;
    uint64_t made;
    uint16_t port; // that we listen on; 0: any
};

void conns_opened(struct conns *c, int fd); // without memory it is not watched
void conns_closed(struct conns *c, int fd);
// Ends one that is too many: the oldest of which no message came yet, or else `fd`.
void conns_end_one(struct conns *c, int fd);
// Ends it when it is looked at (conns_end_due) half a second from now or later: what was
// given to libzmq just before would be lost with it.
void conns_end_soon(struct conns *c, int fd, ns_t now);
bool conns_know(const struct conns *c, int fd);
void conns_spoke(struct conns *c, int fd);                // a whole message of it was taken
void conns_gave(struct conns *c, int fd, uint64_t bytes); // to libzmq, to be sent
uint64_t conns_given(const struct conns *c, int fd);
void conns_line(int fd, struct line_sample *out); // zeros: it cannot be told
uint64_t conns_received(int fd);                  // bytes so far; 0: it cannot be told

struct conns_flow {
    ns_t came;        // when CONNS_MOVES bytes more had come, as seen here; 0: never
    uint64_t given;   // bytes to be sent, so far
    uint64_t arrived; // of them on the other host
};
// How it stands at `now`. Of a connection that is not known nothing came and all arrived.
void conns_ask(struct conns *c, int fd, ns_t now, struct conns_flow *out);

void conns_end_due(struct conns *c, ns_t now);
// To be called when every message was taken. Shuts down whoever has sent more than `max`
// bytes since its last one, and returns how many that were.
unsigned conns_end_endless(struct conns *c, uint64_t max, ns_t now);
// Shuts down whoever has more than CONNS_WAITS bytes to come and took none of them for so
// long, and returns how many that were.
enum { CONNS_WAITS = 64 << 10 };
unsigned conns_end_deaf(struct conns *c, ns_t patience, ns_t now);
void conns_free(struct conns *c); // leaves a valid empty set

#endif
