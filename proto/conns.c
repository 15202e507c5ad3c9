#include "proto/conns.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { CONNS_MAX = 1 << 20 };

struct conn {
    uint64_t before; // received when its last message was taken
    bool open, spoke;
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
    c->v[fd] = (struct conn){ .open = true, .before = conns_received(fd) };
}

static struct conn *at(struct conns *c, int fd)
{
    return fd >= 0 && (size_t)fd < c->n && c->v[fd].open ? &c->v[fd] : NULL;
}

void conns_closed(struct conns *c, int fd)
{
    struct conn *x = at(c, fd);
    if (x) x->open = false;
}

void conns_spoke(struct conns *c, int fd)
{
    struct conn *x = at(c, fd);
    if (x) x->spoke = true;
}

uint64_t conns_received(int fd)
{
    struct tcp_info info;
    socklen_t n = sizeof info;
    if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) != 0) return 0;
    return n >= offsetof(struct tcp_info, tcpi_bytes_received) + 8
               ? info.tcpi_bytes_received
               : 0;
}

unsigned conns_end_endless(struct conns *c, uint64_t max)
{
    unsigned ended = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct conn *x = &c->v[i];
        if (!x->open) continue;
        uint64_t now = conns_received((int)i);
        if (x->spoke || now < x->before) x->before = now;
        x->spoke = false;
        if (now - x->before <= max) continue;
        shutdown((int)i, SHUT_RDWR);
        x->open = false;
        ended++;
    }
    return ended;
}

void conns_free(struct conns *c)
{
    free(c->v);
    *c = (struct conns){ 0 };
}
