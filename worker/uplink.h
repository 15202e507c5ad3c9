// uplink - the worker's connection to its coordinator: made, watched, made anew.
//
//   open --connection came about--> HELLO is due
//    ^                                 |
//    +--- silent for too long: the socket is closed and another one opened (wait),
//         or the worker gives up (stop)

#ifndef WORKER_UPLINK_H
#define WORKER_UPLINK_H

#include "common/clock.h"
#include "proto/link.h"
#include "worker/app.h"

struct uplink {
    const struct worker_opts *opts;
    struct link *link; // NULL: the host has no address at the moment
    enum on_server_lost on_lost;
    struct link_events seen;
    enum link_state said; // the last state that was told
    ns_t heard, retry_at, retry_after;
    bool said_lost, broken;
};

enum uplink_news {
    UPLINK_QUIET,
    UPLINK_HELLO,   // a fresh connection: the coordinator does not know us
    UPLINK_GIVE_UP, // e says why
};

bool uplink_is_tcp(const struct worker_opts *o);
// Not an error: a coordinator that does not answer yet.
MUST_CHECK err_t uplink_open(struct uplink *u, const struct worker_opts *o, struct err *e);
void uplink_heard(struct uplink *u, ns_t now); // a message came
// A message could not be sent. The coordinator would wait for it for good: a fresh
// connection is made at the next tick.
void uplink_broken(struct uplink *u);
enum uplink_news uplink_tick(struct uplink *u, ns_t silence, ns_t now, struct err *e);
int uplink_fd(const struct uplink *u); // -1: none
void uplink_close(struct uplink *u, int linger_ms);

#endif
