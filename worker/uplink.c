#include "worker/uplink.h"

#include "common/say.h"
#include "proto/spec.h"

#include <stdio.h>
#include <string.h>

static const ns_t RETRY_FIRST = NS_S, RETRY_MAX = 30 * NS_S;

bool uplink_is_tcp(const struct worker_opts *o)
{
    return strncmp(o->endpoint, "tcp://", 6) == 0;
}

static err_t connect_link(struct uplink *u, struct err *e)
{
    const struct worker_opts *o = u->opts;
    // Every batch in flight says in one go that it goes on, and there may be thousands.
    enum { HWM = 65536 };
    struct link_opts l = { .message_max_bytes = (uint64_t)SPEC_MAX_BYTES + 4096,
                           .hwm = HWM,
                           .insecure = o->insecure };
    if (o->access) {
        l.keys = &o->access->own;
        l.server_key = o->access->coordinator;
    }
    u->seen = (struct link_events){ 0 };
    return link_connect(&u->link, o->endpoint, &l, e);
}

err_t uplink_open(struct uplink *u, const struct worker_opts *o, struct err *e)
{
    *u = (struct uplink){ .opts = o, .on_lost = o->on_server_lost, .heard = clock_ns() };
    if (u->on_lost == LOST_DEFAULT) u->on_lost = uplink_is_tcp(o) ? LOST_WAIT : LOST_STOP;
    u->retry_after = RETRY_FIRST;
    err_t rc = connect_link(u, e);
    if (rc != ERR_CLOSED || o->on_server_lost != LOST_WAIT) return rc;
    say_to(stderr, "tranche-worker: %s; trying again\n", e->text);
    u->retry_at = u->heard + u->retry_after;
    return ERR_OK;
}

void uplink_heard(struct uplink *u, ns_t now)
{
    u->heard = now;
    u->said_lost = false;
    u->said = LINK_OPEN;
    u->retry_after = RETRY_FIRST;
}

void uplink_broken(struct uplink *u)
{
    u->broken = true;
}

int uplink_fd(const struct uplink *u)
{
    return u->link ? link_fd(u->link) : -1;
}

void uplink_close(struct uplink *u, int linger_ms)
{
    link_close(&u->link, linger_ms);
}

static void tell(struct uplink *u, enum link_state s)
{
    if (s == u->said) return;
    u->said = s;
    if (s == LINK_STRANGER)
        say_to(stderr,
               "tranche-worker: %s: something answers there, but it is no tranche "
               "coordinator%s; trying again\n",
               u->opts->endpoint,
               u->opts->access ? " that has the key of this access file" : "");
    if (s == LINK_LOST)
        say_to(stderr, "tranche-worker: the connection to %s is lost; trying again\n",
               u->opts->endpoint);
}

// Another socket: nothing of what stood in the old one's queues is worth sending.
static enum uplink_news renew(struct uplink *u, ns_t now, struct err *e)
{
    link_close(&u->link, 0);
    err_t rc = connect_link(u, e);
    u->broken = false;
    u->heard = now;
    if (rc == ERR_OK) return UPLINK_HELLO;
    if (rc != ERR_CLOSED) return UPLINK_GIVE_UP;
    u->retry_at = now + u->retry_after;
    if (u->retry_after < RETRY_MAX) u->retry_after *= 2;
    return UPLINK_QUIET;
}

static enum uplink_news on_silence(struct uplink *u, ns_t silent, ns_t now, struct err *e)
{
    const char *never = u->seen.opened ? "" : ": it never answered";
    if (u->on_lost == LOST_STOP) {
        err_set(e, ERR_CLOSED, "nothing heard from the coordinator at %s for %lld s%s",
                u->opts->endpoint, (long long)(silent / NS_S), never);
        return UPLINK_GIVE_UP;
    }
    if (!u->said_lost)
        say_to(stderr,
               "tranche-worker: nothing heard from the coordinator at %s for %lld s%s; "
               "trying again\n",
               u->opts->endpoint, (long long)(silent / NS_S), never);
    u->said_lost = true;
    return renew(u, now, e);
}

enum uplink_news uplink_tick(struct uplink *u, ns_t silence, ns_t now, struct err *e)
{
    struct link_events was = u->seen;
    if (!u->link) return now >= u->retry_at ? renew(u, now, e) : UPLINK_QUIET;
    if (u->broken) return renew(u, now, e);
    enum link_state s = link_state(u->link, &u->seen);
    tell(u, s);
    if (s == LINK_DENIED) {
        err_set(
            e, ERR_CLOSED,
            "the coordinator at %s does not allow this worker's key: it was revoked, or "
            "never allowed there ('tranche keys list' shows who is)",
            u->opts->endpoint);
        return UPLINK_GIVE_UP;
    }
    if (u->seen.bytes != was.bytes && s == LINK_OPEN) u->heard = now;
    if (now - u->heard > silence) return on_silence(u, now - u->heard, now, e);
    // The first connection finds the HELLO that waits for it.
    return u->seen.opened > was.opened && was.opened > 0 ? UPLINK_HELLO : UPLINK_QUIET;
}
