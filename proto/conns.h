// conns - TCP connections whose message never ends.
//
// libzmq bounds frames, not the number of them: it keeps what it has of a message until the
// last frame is there, and tells nobody. Messages of one connection come one after the
// other, so whatever it has sent since the last one belongs to a single unfinished one.
//
// Descriptors are libzmq's: they are asked, and at worst shut down, never closed.

#ifndef PROTO_CONNS_H
#define PROTO_CONNS_H

#include <stddef.h>
#include <stdint.h>

struct conns {      // zero-initialised is a valid empty set
    struct conn *v; // by descriptor
    size_t n;
};

void conns_opened(struct conns *c, int fd); // without memory it is not watched
void conns_closed(struct conns *c, int fd);
void conns_spoke(struct conns *c, int fd); // a whole message of it was taken
uint64_t conns_received(int fd);           // bytes so far; 0: it cannot be told

// To be called when every message was taken. Shuts down whoever has sent more than `max`
// bytes since its last one, and returns how many that were.
unsigned conns_end_endless(struct conns *c, uint64_t max);
void conns_free(struct conns *c); // leaves a valid empty set

#endif
