// swarm PORT WORKERS - so many workers in one process, for `tranche run --insecure
// --listen tcp://127.0.0.1:PORT`. They take part in the whole protocol, but do no work:
// each batch is answered at once with a result that has all its rows and no bytes, as a
// worker for null: does. Ends when the run is over, and says what went through.
//
// Real sockets of libzmq, each with threads of its own, would be most of what is measured,
// so this speaks ZMTP 3.0 (rfc.zeromq.org/spec/23, NULL mechanism) over plain sockets.

#include "common/clock.h"
#include "common/host.h"
#include "proto/lease.h"
#include "proto/msg.h"
#include "proto/outbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GREETING = 64, FRAME_MORE = 1, FRAME_LONG = 2, FRAME_COMMAND = 4, READ = 64 << 10 };

struct worker {
    int fd, number;
    bool greeted, more;
    struct buf in, out;
    uint64_t epoch, sid;
};

static struct err e;
static uint64_t batches, messages, ready;
static int living;
static ns_t first, last;   // answers
static struct buf answers; // of the worker at hand

static void must(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "swarm: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void put(struct worker *w, const void *p, size_t n)
{
    must(buf_add(&w->out, p, n, &e) == ERR_OK, "out of memory");
}

static void put_frame(struct worker *w, uint8_t flags, const void *p, size_t n)
{
    uint8_t head[9] = { flags, (uint8_t)n };
    size_t size = 2;
    if (n > 255) {
        head[0] |= FRAME_LONG;
        for (int i = 0; i < 8; i++)
            head[1 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
        size = 9;
    }
    put(w, head, size);
    put(w, p, n);
}

static void say(struct worker *w, struct msg *m)
{
    static struct buf head;
    m->epoch = w->epoch;
    m->sid = w->sid;
    must(msg_encode(m, &head, &e) == ERR_OK, "encoding");
    put_frame(w, 0, head.p, head.n);
}

static void hello(struct worker *w)
{
    char arch[HOST_ARCH], name[64];
    host_arch(arch);
    int n = snprintf(name, sizeof name, "sim-%d", w->number);
    struct msg m = { .type = MSG_HELLO,
                     .HELLO = { .version =
                                    msg_str(TRANCHE_VERSION, strlen(TRANCHE_VERSION)),
                                .arch = msg_str(arch, strlen(arch)),
                                .name = msg_str(name, (size_t)n),
                                .pid = (uint64_t)getpid(),
                                .boot_id = host_boot_id(),
                                .slots = 1,
                                .instance = { (uint64_t)w->number + 1, 7 } } };
    say(w, &m);
}

static void send_answers(struct worker *w)
{
    if (answers.n) put_frame(w, 0, answers.p, answers.n);
    answers.n = 0;
}

// Answers leave together, as a worker sends them.
static void answer(struct worker *w, const struct msg_ASSIGN *g)
{
    struct lease l = LEASE_GET(g);
    struct msg m = { .type = MSG_RESULT,
                     .RESULT = { .rows_read = g->records,
                                 .rows_parsed = g->records,
                                 .rows_emitted = g->records,
                                 .read_ns = 1000,
                                 .digest = g->digest } };
    LEASE_PUT(&m.RESULT, &l);
    m.epoch = w->epoch;
    m.sid = w->sid;
    must(msg_append(&m, NULL, &answers, &e) == ERR_OK, "encoding");
    if (answers.n > OUTBOX_MAX) send_answers(w);
    last = clock_ns();
    if (!batches++) first = last;
}

static void on_message(struct worker *w, const struct msg *m)
{
    struct msg reply = { .type = MSG_READY };
    messages++;
    switch (m->type) {
    case MSG_WELCOME:
        w->epoch = m->epoch;
        w->sid = m->sid;
        break;
    case MSG_JOB:
        reply.READY.job = m->JOB.job;
        reply.READY.slots = 1;
        say(w, &reply);
        ready++;
        break;
    case MSG_ASSIGN: answer(w, &m->ASSIGN); break;
    case MSG_PING:
        reply = (struct msg){ .type = MSG_PONG, .PONG = { m->PING.seq } };
        say(w, &reply);
        break;
    case MSG_STOP:
        close(w->fd);
        w->fd = -1;
        living--;
        break;
    case MSG_REFUSED:
        fprintf(stderr, "swarm: refused: %.*s\n", (int)m->REFUSED.text.n,
                m->REFUSED.text.p);
        exit(1);
    default: break;
    }
}

static void on_header(struct worker *w, const uint8_t *p, size_t n)
{
    struct msg m;
    struct slice payload;
    for (size_t at = 0, used; at < n && w->fd >= 0; at += used) {
        if (msg_decode_next(p + at, n - at, &m, &payload, &used, &e) != ERR_OK) {
            fprintf(stderr, "swarm: %s\n", e.text);
            exit(1);
        }
        on_message(w, &m);
    }
}

// The first frame of a message is its header; payloads are of no interest here.
static void on_frame(struct worker *w, uint8_t flags, const uint8_t *p, size_t n)
{
    if (flags & FRAME_COMMAND) {
        if (n > 6 && memcmp(p, "\5READY", 6) == 0) hello(w);
        return;
    }
    if (!w->more) on_header(w, p, n);
    w->more = flags & FRAME_MORE;
}

static size_t frame_size(const uint8_t *p, size_t n, size_t *head)
{
    uint64_t size = p[1];
    *head = p[0] & FRAME_LONG ? 9 : 2;
    if (n < *head) return SIZE_MAX;
    for (int i = 0; i < 8 && *head == 9; i++)
        size = size << 8 | p[1 + i];
    return (size_t)size;
}

static void parse(struct worker *w)
{
    size_t at = 0, head;
    if (!w->greeted && w->in.n < GREETING) return;
    if (!w->greeted) at = GREETING, w->greeted = true;
    while (w->fd >= 0 && w->in.n - at >= 2) {
        size_t n = frame_size(w->in.p + at, w->in.n - at, &head);
        if (n > w->in.n - at - head) break;
        on_frame(w, w->in.p[at], w->in.p + at + head, n);
        at += head + n;
    }
    send_answers(w);
    if (at) memmove(w->in.p, w->in.p + at, w->in.n - at);
    w->in.n -= at;
}

static void flush(struct worker *w, int poll_fd)
{
    size_t at = 0;
    while (w->fd >= 0 && at < w->out.n) {
        ssize_t k = send(w->fd, w->out.p + at, w->out.n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) break;
        at += (size_t)k;
    }
    if (at) memmove(w->out.p, w->out.p + at, w->out.n - at);
    w->out.n -= at;
    struct epoll_event ev = { .events = EPOLLIN | (w->out.n ? (uint32_t)EPOLLOUT : 0),
                              .data.ptr = w };
    static uint32_t *armed; // by number: what epoll was told last
    static size_t n_armed;
    if (w->fd < 0) return;
    while (n_armed <= (size_t)w->number) {
        armed = realloc(armed, (n_armed + 1024) * sizeof *armed);
        must(armed != NULL, "out of memory");
        memset(armed + n_armed, 0, 1024 * sizeof *armed);
        n_armed += 1024;
    }
    if (armed[w->number] == ev.events) return;
    must(epoll_ctl(poll_fd, armed[w->number] ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &ev) ==
             0,
         "epoll_ctl");
    armed[w->number] = ev.events;
}

static void receive(struct worker *w)
{
    must(buf_reserve(&w->in, READ, &e) == ERR_OK, "out of memory");
    ssize_t n = recv(w->fd, w->in.p + w->in.n, READ, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        close(w->fd);
        w->fd = -1;
        living--;
        return;
    }
    w->in.n += (size_t)n;
    parse(w);
}

static void connect_worker(struct worker *w, uint16_t port)
{
    static const char ready_command[] = "\5READY\13Socket-Type\0\0\0\6DEALER";
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
    uint8_t greeting[GREETING] = { 0xff, [9] = 0x7f, [10] = 3 };
    int one = 1;
    memcpy(greeting + 12, "NULL", 4);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(w->fd >= 0, "socket");
    must(connect(w->fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    living++;
    put(w, greeting, sizeof greeting);
    put_frame(w, FRAME_COMMAND, ready_command, sizeof ready_command - 1);
}

static void serve(int poll_fd)
{
    struct epoll_event ev[256];
    int n = epoll_wait(poll_fd, ev, 256, -1);
    for (int i = 0; i < n; i++) {
        struct worker *w = ev[i].data.ptr;
        if (w->fd >= 0 && ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(w);
        flush(w, poll_fd);
    }
}

int main(int argc, char **argv)
{
    struct rlimit files = { 65536, 65536 };
    if (argc != 3) return fprintf(stderr, "usage: swarm PORT WORKERS\n"), 2;
    int n = atoi(argv[2]);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct worker *w = calloc((size_t)n, sizeof *w);
    int poll_fd = epoll_create1(EPOLL_CLOEXEC);
    must(n > 0 && w && poll_fd >= 0, "start");
    for (int i = 0; i < n; i++) {
        w[i].number = i;
        connect_worker(&w[i], (uint16_t)atoi(argv[1]));
        flush(&w[i], poll_fd);
    }
    bool told = false;
    while (living > 0) {
        serve(poll_fd);
        if (!told && ready == (uint64_t)n) {
            told = true;
            printf("%d workers are ready\n", n);
            fflush(stdout);
        }
    }
    printf("%llu batches in %.3f s, %llu messages received, CPU %.2f s\n",
           (unsigned long long)batches, (double)(last - first) / NS_S,
           (unsigned long long)messages, (double)clock_cpu_ns() / NS_S);
    for (int i = 0; i < n; i++) {
        buf_free(&w[i].in);
        buf_free(&w[i].out);
    }
    buf_free(&answers);
    free(w);
    close(poll_fd);
    return 0;
}
