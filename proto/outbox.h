// outbox - small messages that wait for each other, so that those to one peer leave in one
// frame. Encoded at once; the link sends what stands here.

#ifndef PROTO_OUTBOX_H
#define PROTO_OUTBOX_H

#include "common/hash_map.h"
#include "common/list.h"
#include "proto/msg.h"

enum {
    OUTBOX_PAYLOAD_MAX = 4 << 10, // a larger payload travels alone, uncopied
    OUTBOX_MAX = 48 << 10,        // at most so much waits for more, and a message
};

struct outbox {
    uint8_t id[32]; // routing id
    uint8_t id_n;   // 0: a DEALER's only one
    int connection; // of the peer, as in struct link_peer
    struct buf bytes;
    uint64_t n;          // messages in it
    struct list waiting; // in outboxes.waiting, or outboxes.spare: without a peer
    UT_hash_handle hh;
};

struct outboxes {
    struct outbox *by_id;
    struct list waiting, spare;
};

void outboxes_init(struct outboxes *o);
void outboxes_free(struct outboxes *o);
// NULL: nothing waits for it.
struct outbox *outbox_find(const struct outboxes *o, const uint8_t *id, uint8_t id_n);
// The one of this peer, perhaps empty. NULL: out of memory.
struct outbox *outbox_of(struct outboxes *o, const uint8_t *id, uint8_t id_n);
struct outbox *outbox_first(const struct outboxes *o);    // that waited longest, or NULL
void outbox_empty(struct outboxes *o, struct outbox **x); // it was sent, or nobody is there

#endif
