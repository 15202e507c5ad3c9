// zap - the thread that answers libzmq's question "may this key come in?" (ZAP, RFC 27).
// Part of the link.

#ifndef PROTO_ZAP_H
#define PROTO_ZAP_H

#include "proto/gate.h"

#define ZAP_DOMAIN "tranche"

struct zap;

// Answers in `ctx` from now on: a socket that is bound afterwards finds it.
MUST_CHECK err_t zap_start(struct zap **out, void *ctx, struct gate *g, struct err *e);
void zap_stop(struct zap **z); // after the socket is closed, before its context ends

#endif
