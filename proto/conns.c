#include "proto/conns.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { CONNS_MAX = 1 << 20 };
static const ns_t GRACE = NS_S / 2;

struct conn {
    uint64_t before; // received when its last message was taken
    uint64_t mark;   // received when it moved last
    ns_t moved;
    uint64_t given;
    uint64_t taken; // acknowledged when that moved last, or nothing waited
    ns_t took;
    uint64_t born;           // which it is of all
    ns_t ends;               // 0: not because of us
    bool open, known, spoke; // known: it spoke once
};

void conns_opened(struct conns *c, int fd)
{
    if (fd < 0 || fd >= CONNS_MAX) return;
    size_t want = (size_t)fd + 1;
    if (want > c->n) {
        size_t n = want + want / 2;
        struct conn *v = realloc(c->v, n * sizeof *v);
        if (!v) return;
        for (size_t i = c->n; i < n; i++)
            v[i] = (struct conn){ 0 };
        c->v = v;
        c->n = n;
    }
    uint64_t now = conns_received(fd);
    if (!c->v[fd].open) c->open++;
    c->v[fd] = (struct conn){ .open = true, .before = now, .mark = now, .born = ++c->made };
}

bool conns_know(const struct conns *c, int fd)
{
    return fd >= 0 && (size_t)fd < c->n && c->v[fd].open;
}

static struct conn *at(struct conns *c, int fd)
{
    return conns_know(c, fd) ? &c->v[fd] : NULL;
}

static void leave(struct conns *c, struct conn *x)
{
    x->open = false;
    c->open--;
}

void conns_closed(struct conns *c, int fd)
{
    struct conn *x = at(c, fd);
    if (x) leave(c, x);
}

static bool is_to_port(int fd, uint16_t port)
{
    struct sockaddr_storage a = { 0 };
    socklen_t n = sizeof a;
    if (!port) return true;
    if (getsockname(fd, (struct sockaddr *)&a, &n) != 0) return false;
    return a.ss_family == AF_INET
               ? ntohs(((struct sockaddr_in *)&a)->sin_port) == port
               : a.ss_family == AF_INET6 &&
                     ntohs(((struct sockaddr_in6 *)&a)->sin6_port) == port;
}

static void end(struct conns *c, struct conn *x)
{
    int fd = (int)(x - c->v);
    if (is_to_port(fd, c->port)) shutdown(fd, SHUT_RDWR);
    leave(c, x);
}

void conns_end_one(struct conns *c, int fd)
{
    struct conn *victim = at(c, fd);
    for (size_t i = 0; i < c->n; i++) {
        struct conn *x = &c->v[i];
        if (!x->open || x->known) continue;
        if (!victim || victim->known || x->born < victim->born) victim = x;
    }
    if (victim) end(c, victim);
}

void conns_end_soon(struct conns *c, int fd, ns_t now)
{
    struct conn *x = at(c, fd);
    if (x && !x->ends) x->ends = now + GRACE;
}

void conns_end_due(struct conns *c, ns_t now)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].open && c->v[i].ends && c->v[i].ends <= now) end(c, &c->v[i]);
}

void conns_spoke(struct conns *c, int fd)
{
    struct conn *x = at(c, fd);
    if (x) x->known = x->spoke = true;
}

void conns_gave(struct conns *c, int fd, uint64_t bytes)
{
    struct conn *x = at(c, fd);
    if (x) x->given += bytes;
}

uint64_t conns_given(const struct conns *c, int fd)
{
    return fd >= 0 && (size_t)fd < c->n && c->v[fd].open ? c->v[fd].given : 0;
}

// False: the kernel is too old, or the descriptor is closed.
static bool ask(int fd, struct tcp_info *info)
{
    socklen_t n = sizeof *info;
    return fd >= 0 && getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &n) == 0 &&
           n >= offsetof(struct tcp_info, tcpi_bytes_received) + 8;
}

uint64_t conns_received(int fd)
{
    struct tcp_info info;
    return ask(fd, &info) ? info.tcpi_bytes_received : 0;
}

void conns_line(int fd, struct line_sample *out)
{
    struct tcp_info info = { 0 };
    *out = (struct line_sample){ 0 };
    if (!ask(fd, &info)) return;
    *out = (struct line_sample){ .acked = info.tcpi_bytes_acked,
                                 .busy = (ns_t)info.tcpi_busy_time * 1000 };
}

static void note(struct conn *x, uint64_t received, ns_t now)
{
    if (received >= x->mark && received - x->mark < CONNS_MOVES) return;
    x->mark = received;
    x->moved = now;
}

void conns_ask(struct conns *c, int fd, ns_t now, struct conns_flow *out)
{
    struct conn *x = at(c, fd);
    struct tcp_info info;
    *out = (struct conns_flow){ 0 };
    if (!x || !ask(fd, &info)) return;
    note(x, info.tcpi_bytes_received, now);
    // The greeting is nobody's message.
    if (x->given < info.tcpi_bytes_acked) x->given = info.tcpi_bytes_acked;
    *out = (struct conns_flow){ .came = x->moved,
                                .given = x->given,
                                .arrived = info.tcpi_bytes_acked };
}

unsigned conns_end_endless(struct conns *c, uint64_t max, ns_t now)
{
    unsigned ended = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct conn *x = &c->v[i];
        if (!x->open) continue;
        uint64_t received = conns_received((int)i);
        note(x, received, now);
        if (x->spoke || received < x->before) x->before = received;
        x->spoke = false;
        if (received - x->before <= max) continue;
        end(c, x);
        ended++;
    }
    return ended;
}

unsigned conns_end_deaf(struct conns *c, ns_t patience, ns_t now)
{
    unsigned ended = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct conn *x = &c->v[i];
        struct tcp_info info;
        if (!x->open || !x->given || !ask((int)i, &info)) continue;
        uint64_t taken = info.tcpi_bytes_acked;
        bool waits = x->given > taken && x->given - taken > CONNS_WAITS;
        if (!waits || taken != x->taken || !x->took) {
            x->taken = taken;
            x->took = now;
        } else if (now - x->took >= patience) {
            end(c, x);
            ended++;
        }
    }
    return ended;
}

void conns_free(struct conns *c)
{
    free(c->v);
    *c = (struct conns){ 0 };
}
