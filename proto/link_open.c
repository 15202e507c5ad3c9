#include "proto/link_impl.h"
#include "proto/zmq_lib.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    HANDSHAKE_MS = 3000, // a peer that connects and says nothing is dropped
    RECONNECT_MS = 200,
    RECONNECT_MAX_MS = 5000,
    CONNECT_MS = 5000,
    BACKLOG = 1024,        // a thousand workers may come at once
    KEEPALIVE_IDLE_S = 20, // a dead host is found within a minute, without a word
    KEEPALIVE_EVERY_S = 10,
    KEEPALIVE_TIMES = 3,
    ZAP_ENFORCE_DOMAIN =
        93, // zmq.h has it among its drafts; the library has it compiled in
};

err_t link_zmq_fault(struct err *e, const char *what)
{
    int saved = zmq_errno();
    return err_set(e, saved == ENOMEM ? ERR_NOMEM : ERR_IO, "%s: %s", what,
                   zmq_strerror(saved));
}

// 4.3.4 starts its automatic routing ids at rand() and never seeds it. A peer that guesses
// the next id and claims it makes the process abort.
static err_t seed_routing_ids(struct err *e)
{
    unsigned seed;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed) return err_sys(e, "getrandom");
    srand(seed);
    return ERR_OK;
}

static err_t check_keys(const char *endpoint, bool listening, const struct link_opts *o,
                        struct err *e)
{
    if (o->insecure || (o->keys && (listening ? o->gate != NULL : o->server_key != NULL)))
        return ERR_OK;
    return err_set(
        e, ERR_INVALID,
        listening
            ? "%s: workers of other hosts need keys: make them with 'tranche keys new "
              "--worker NAME --address tcp://HOST:PORT', or give --insecure"
            : "%s: a connection over TCP needs keys: give --access FILE (made by "
              "'tranche keys new' on the coordinator's host), or --insecure",
        endpoint);
}

static err_t set(struct link *l, int option, int value, const char *name, struct err *e)
{
    if (zmq_setsockopt(l->sock, option, &value, sizeof value) == 0) return ERR_OK;
    return link_zmq_fault(e, name);
}
#define SET(option, value) TRY(set(l, option, value, #option, e))

static err_t set_bytes(struct link *l, int option, const void *p, size_t n,
                       const char *name, struct err *e)
{
    if (zmq_setsockopt(l->sock, option, p, n) == 0) return ERR_OK;
    return link_zmq_fault(e, name);
}
#define SET_BYTES(option, p, n) TRY(set_bytes(l, option, p, n, #option, e))

// A library that cannot enforce the domain would let everybody in who knows our public key.
static err_t set_curve(struct link *l, const struct link_opts *o, struct err *e)
{
    if (l->router) {
        SET(ZMQ_CURVE_SERVER, 1);
        SET_BYTES(ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen(ZAP_DOMAIN));
        SET(ZAP_ENFORCE_DOMAIN, 1);
    } else {
        SET_BYTES(ZMQ_CURVE_SERVERKEY, o->server_key, KEY_BYTES);
        SET_BYTES(ZMQ_CURVE_PUBLICKEY, o->keys->public_key, KEY_BYTES);
    }
    SET_BYTES(ZMQ_CURVE_SECRETKEY, o->keys->secret_key, KEY_BYTES);
    return ERR_OK;
}

static err_t set_tcp(struct link *l, const struct link_opts *o, struct err *e)
{
    SET(ZMQ_TCP_KEEPALIVE, 1);
    SET(ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S);
    SET(ZMQ_TCP_KEEPALIVE_INTVL, KEEPALIVE_EVERY_S);
    SET(ZMQ_TCP_KEEPALIVE_CNT, KEEPALIVE_TIMES);
    SET(ZMQ_IPV6, strchr(l->endpoint, '[') != NULL);
    if (l->router)
        SET(ZMQ_BACKLOG, BACKLOG);
    else
        SET(ZMQ_CONNECT_TIMEOUT, CONNECT_MS);
    return o->keys ? set_curve(l, o, e) : ERR_OK;
}

static err_t set_options(struct link *l, const struct link_opts *o, struct err *e)
{
    // CURVE counts what it adds to a frame.
    int64_t max = (int64_t)o->message_max_bytes + (l->tcp ? LINK_CURVE_BYTES : 0);
    if (zmq_setsockopt(l->sock, ZMQ_MAXMSGSIZE, &max, sizeof max) != 0)
        return link_zmq_fault(e, "ZMQ_MAXMSGSIZE");
    SET(ZMQ_SNDHWM, o->hwm);
    SET(ZMQ_RCVHWM, o->take_hwm ? o->take_hwm : o->hwm);
    SET(ZMQ_LINGER, 0);
    SET(ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    if (l->tcp) TRY(set_tcp(l, o, e));
    if (!l->router) {
        SET(ZMQ_RECONNECT_IVL, RECONNECT_MS);
        SET(ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
        return ERR_OK;
    }
    SET(ZMQ_ROUTER_MANDATORY, 1);
    SET(ZMQ_ROUTER_HANDOVER, 0);
    if (l->tcp) return ERR_OK;
    if (o->socket) SET(ZMQ_USE_FD, o->socket);
    // A libzmq without SO_PEERCRED says EINVAL; the folder still guards.
    uid_t me = geteuid();
    if (zmq_setsockopt(l->sock, ZMQ_IPC_FILTER_UID, &me, sizeof me) != 0 &&
        zmq_errno() != EINVAL)
        return link_zmq_fault(e, "ZMQ_IPC_FILTER_UID");
    return ERR_OK;
}

// What failed, for a person who chose the endpoint.
static err_t bind_fault(const char *endpoint, struct err *e)
{
    switch (zmq_errno()) {
    case EADDRINUSE:
        return err_set(e, ERR_BUSY, "%s: the port is taken by another program", endpoint);
    case ENODEV:
    case EADDRNOTAVAIL:
        return err_set(e, ERR_INVALID, "%s: this machine has no such address", endpoint);
    case EACCES: return err_set(e, ERR_IO, "%s: this user may not use that port", endpoint);
    default: return link_zmq_fault(e, endpoint);
    }
}

static err_t open_socket(struct link *l, const char *endpoint, const struct link_opts *o,
                         struct err *e)
{
    l->ctx = zmq_ctx_new();
    if (!l->ctx) return link_zmq_fault(e, "zmq_ctx_new");
    zmq_ctx_set(l->ctx, ZMQ_BLOCKY, 0);
    l->sock = zmq_socket(l->ctx, l->router ? ZMQ_ROUTER : ZMQ_DEALER);
    if (!l->sock) return link_zmq_fault(e, "zmq_socket");
    TRY(set_options(l, o, e));
    if (l->tcp) TRY(link_watch(l, e));
    if (l->tcp && l->router && o->keys) TRY(zap_start(&l->zap, l->ctx, o->gate, e));
    if (l->router && zmq_bind(l->sock, endpoint) != 0) return bind_fault(endpoint, e);
    if (!l->router && zmq_connect(l->sock, endpoint) != 0)
        return link_zmq_fault(e, endpoint);
    size_t size = sizeof l->fd;
    if (zmq_getsockopt(l->sock, ZMQ_FD, &l->fd, &size) != 0)
        return link_zmq_fault(e, "ZMQ_FD");
    size = sizeof l->endpoint;
    if (l->router && zmq_getsockopt(l->sock, ZMQ_LAST_ENDPOINT, l->endpoint, &size) != 0)
        return link_zmq_fault(e, "ZMQ_LAST_ENDPOINT");
    const char *port = l->router && l->tcp ? strrchr(l->endpoint, ':') : NULL;
    if (port) l->conns.port = (uint16_t)strtoul(port + 1, NULL, 10);
    return ERR_OK;
}

static err_t link_open(struct link **out, bool router, const char *endpoint,
                       const struct link_opts *o, struct err *e)
{
    if (o->message_max_bytes < MSG_HEADER_MAX ||
        o->message_max_bytes > INT64_MAX - LINK_CURVE_BYTES || o->hwm < 1)
        return err_set(e, ERR_INVALID,
                       "messages of %llu bytes, %d in a queue: no such link",
                       (unsigned long long)o->message_max_bytes, o->hwm);
    TRY(zmq_lib_load(e));
    struct link *l = calloc(1, sizeof *l);
    if (!l) return err_set(e, ERR_NOMEM, "out of memory");
    outboxes_init(&l->out);
    l->router = router;
    l->tcp = endpoint_is_tcp(endpoint);
    l->gate = o->gate;
    l->peer_fd = -1;
    l->message_max_bytes = o->message_max_bytes;
    l->connections_max = o->connections_max;
    snprintf(l->endpoint, sizeof l->endpoint, "%s", endpoint);
    err_t rc = open_socket(l, endpoint, o, e);
    if (rc == ERR_OK)
        *out = l;
    else
        link_close(&l, 0);
    return rc;
}

err_t link_listen(struct link **out, const char *endpoint, const struct link_opts *o,
                  struct err *e)
{
    const char *path;
    if (endpoint_is_tcp(endpoint)) {
        TRY(endpoint_check_tcp(endpoint, true, e));
        TRY(check_keys(endpoint, true, o, e));
    } else {
        TRY(endpoint_check_ipc(endpoint, &path, e));
        TRY(endpoint_check_folder(path, e));
    }
    TRY(seed_routing_ids(e));
    return link_open(out, true, endpoint, o, e);
}

err_t link_connect(struct link **out, const char *endpoint, const struct link_opts *o,
                   struct err *e)
{
    const char *path;
    if (endpoint_is_tcp(endpoint)) {
        TRY(endpoint_check_tcp(endpoint, false, e));
        TRY(check_keys(endpoint, false, o, e));
        TRY(endpoint_resolve(endpoint, e));
    } else {
        TRY(endpoint_check_ipc(endpoint, &path, e));
    }
    return link_open(out, false, endpoint, o, e);
}

const char *link_endpoint(const struct link *l)
{
    return l->endpoint;
}
