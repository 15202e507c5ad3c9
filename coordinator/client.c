#include "coordinator/client.h"

#include "common/clock.h"
#include "coordinator/run_lock.h"
#include "coordinator/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HWM = 1024, LINGER_MS = 200, LOOK_MS = 500 };
static const ns_t ASK_AGAIN = NS_S, PATIENCE = 60 * NS_S;

static err_t open_local(struct client *c, const char *state, struct link_opts *o,
                        struct err *e)
{
    char path[4200], endpoint[64];
    snprintf(c->where, sizeof c->where, "%.250s", state);
    if (!run_lock_is_taken(state, SERVE_LOCK))
        return err_set(e, ERR_CLOSED,
                       "no server has %.250s: start one with 'tranche serve', or name its "
                       "folder with --state or TRANCHE_HOME",
                       state);
    snprintf(path, sizeof path, "%.4000s/" SERVE_FOLDER, state);
    c->folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (c->folder <= 0) return err_sys(e, "cannot open %s", path);
    snprintf(endpoint, sizeof endpoint, "ipc:///proc/self/fd/%d/socket", c->folder);
    return link_connect(&c->link, endpoint, o, e);
}

err_t client_open(struct client *c, const char *state, const char *access, struct err *e)
{
    struct link_opts o = { .message_max_bytes = SERVE_MESSAGE_MAX, .hwm = HWM };
    *c = (struct client){ 0 };
    if (!access) return open_local(c, state, &o, e);
    TRY(access_read(&c->access, access, e));
    o.keys = &c->access.own;
    o.server_key = c->access.coordinator;
    snprintf(c->where, sizeof c->where, "%s", c->access.address);
    return link_connect(&c->link, c->access.address, &o, e);
}

void client_close(struct client *c)
{
    link_close(&c->link, LINGER_MS);
    if (c->folder > 0) close(c->folder);
    keys_wipe(&c->access, sizeof c->access);
    *c = (struct client){ 0 };
}

static err_t refused(const struct msg *m, struct err *e)
{
    uint64_t code = m->REFUSED.code;
    return err_set(e, code > ERR_OK && code < ERR_N ? (err_t)code : ERR_PROTO, "%.*s",
                   (int)m->REFUSED.text.n, m->REFUSED.text.p);
}

static err_t check_line(struct client *c, struct err *e)
{
    struct link_events news;
    enum link_state state = link_state(c->link, &news);
    if (state == LINK_DENIED)
        return err_set(e, ERR_INVALID,
                       "the server at %s does not allow this key: it was revoked, or is "
                       "none of a client ('tranche keys new --client')",
                       c->where);
    if (state == LINK_STRANGER)
        return err_set(e, ERR_INVALID,
                       "what answers at %s is no tranche server that has the key of this "
                       "access file",
                       c->where);
    return ERR_OK;
}

static err_t ask(struct client *c, struct msg *m, struct slice payload, struct err *e)
{
    m->sid = ++c->ask;
    if (payload.n) m->payload_hash = hash_bytes(payload.p, payload.n);
    err_t rc =
        link_send(c->link, NULL, m, (void *)(uintptr_t)payload.p, payload.n, NULL, NULL, e);
    return rc == ERR_BUSY ? ERR_OK : rc; // nobody is there yet: it is asked again
}

// Takes what has come. *next: CLIENT_MORE when there was nothing that ends it.
static err_t take(struct client *c, client_fn *fn, void *arg, ns_t *heard,
                  enum client_next *next, struct err *e)
{
    struct link_peer nobody;
    struct link_in *in;
    *next = CLIENT_MORE;
    while (*next == CLIENT_MORE) {
        TRY(link_recv(c->link, &nobody, &in, e));
        if (!in) return ERR_OK;
        const struct msg *m = link_msg(in);
        err_t rc = ERR_OK;
        bool to_none = m->sid == 0 && m->type == MSG_REFUSED; // it was not understood
        if (m->sid == c->ask || to_none) {
            *heard = clock_ns();
            if (m->type == MSG_REFUSED)
                rc = refused(m, e);
            else if (!link_check(in))
                rc = err_set(e, ERR_PROTO, "the answer arrived damaged");
            else
                *next = fn(arg, m, link_payload(in));
        }
        link_in_free(&in);
        TRY(rc);
    }
    return ERR_OK;
}

err_t client_ask(struct client *c, struct msg *question, struct slice payload,
                 client_fn *fn, void *arg, struct err *e)
{
    ns_t heard = clock_ns(), asked = 0;
    enum client_next next = CLIENT_AGAIN;
    for (;;) {
        ns_t now = clock_ns();
        if (next == CLIENT_AGAIN || now - asked >= ASK_AGAIN) {
            fn(arg, NULL, (struct slice){ 0 });
            TRY(ask(c, question, payload, e));
            asked = now;
        }
        TRY(take(c, fn, arg, &heard, &next, e)); // sending may have eaten the edge
        if (next == CLIENT_DONE) return ERR_OK;
        if (next == CLIENT_AGAIN) continue;
        TRY(check_line(c, e));
        if (clock_ns() - heard > PATIENCE)
            return err_set(e, ERR_TIMEOUT,
                           "nothing was heard from the server at %s for %lld s", c->where,
                           (long long)(PATIENCE / NS_S));
        struct pollfd p = { .fd = link_fd(c->link), .events = POLLIN };
        poll(&p, 1, LOOK_MS);
    }
}
