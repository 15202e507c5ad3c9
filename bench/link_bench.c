// link_bench [SECONDS] - how much goes through a link between two processes over ipc: small
// messages, and 1 MiB payloads with and without checking their digest.

#include "common/clock.h"
#include "proto/link.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAYLOAD = 1 << 20, POOL = 32 };

static struct err e;

static void must(err_t rc)
{
    if (rc == ERR_OK) return;
    fprintf(stderr, "%s: %s\n", err_name(rc), e.text);
    exit(1);
}

static void wait_for(struct link *l)
{
    struct pollfd p = { link_fd(l), POLLIN, 0 };
    poll(&p, 1, 1);
}

static struct link_in *next(struct link *l, struct link_peer *from)
{
    for (struct link_in *in;; wait_for(l)) {
        must(link_recv(l, from, &in, &e));
        if (in) return in;
    }
}

static void keep(void *data, void *hint)
{
    (void)data;
    (void)hint;
}

static void send_one(struct link *l, const struct link_peer *to, struct msg *m,
                     void *payload, size_t n)
{
    struct link_in *in;
    struct link_peer from;
    err_t rc;
    for (int tries = 1;; tries++) {
        rc = link_send(l, to, m, payload, n, keep, NULL, &e);
        if (rc != ERR_BUSY) break;
        must(link_recv(l, &from, &in, &e));
        link_in_free(&in);
        if (tries % 2 == 0) wait_for(l);
    }
    must(rc);
}

static void send_for(struct link *l, const struct link_peer *to, size_t payload,
                     double seconds)
{
    uint8_t *pool = calloc(POOL, PAYLOAD);
    struct msg m = { .type = MSG_PROGRESS, .PROGRESS = { .end = PAYLOAD, .attempt = 1 } };
    if (payload) m.payload_hash = hash_bytes(pool, payload);
    ns_t end = clock_ns() + (ns_t)(seconds * 1e9);
    for (uint64_t i = 0; i % 64 || clock_ns() < end; i++)
        send_one(l, to, &m, pool + i % POOL * PAYLOAD, payload);
    struct msg stop = { .type = MSG_STOP };
    send_one(l, to, &stop, NULL, 0);
    struct link_peer
        from; // hanging up at once could cost the receiver what it has not read
    struct link_in *in = next(l, &from);
    link_in_free(&in);
    link_close(&l, 0);
    free(pool);
}

static void receive(struct link *l, const char *name, bool check)
{
    struct link_peer from;
    struct link_counts c;
    struct link_in *in = next(l, &from);
    ns_t begin = clock_ns();
    while (link_msg(in)->type != MSG_STOP) {
        if (check && !link_check(in)) exit(1);
        link_in_free(&in);
        in = next(l, &from);
    }
    link_in_free(&in);
    double s = (double)(clock_ns() - begin) / 1e9;
    link_count(l, &c);
    printf("%-42s %8.0f msg/s %6.2f GB/s   receiver CPU %.2f", name, (double)c.received / s,
           (double)c.bytes_in / s / 1e9, (double)clock_cpu_ns() / 1e9 / s);
    fflush(stdout);
    struct msg done = { .type = MSG_PONG };
    send_one(l, from.n ? &from : NULL, &done, NULL, 0);
    link_close(&l, 1000);
}

static struct link *open_end(bool router, const char *endpoint)
{
    struct link *l;
    struct link_opts o = { .message_max_bytes = 64 << 20, .hwm = 256 };
    must(router ? link_listen(&l, endpoint, &o, &e) : link_connect(&l, endpoint, &o, &e));
    return l;
}

// The child receives. A DEALER says hello first, so that the ROUTER knows it.
static void run(const char *name, bool down, size_t payload, bool check, double seconds)
{
    char dir[] = "/tmp/link_bench-XXXXXX", endpoint[64];
    if (!mkdtemp(dir)) exit(1);
    snprintf(endpoint, sizeof endpoint, "ipc://%s/s", dir);
    fflush(stdout);
    pid_t child = fork();
    struct link *l = open_end(down == (child != 0), endpoint);
    struct link_peer peer = { 0 };
    struct msg hello = { .type = MSG_PING };
    if (child == 0) {
        if (down) must(link_send(l, NULL, &hello, NULL, 0, NULL, NULL, &e));
        receive(l, name, check);
        exit(0);
    }
    if (down) {
        struct link_in *in = next(l, &peer);
        link_in_free(&in);
    }
    ns_t begin = clock_ns(), cpu = clock_cpu_ns();
    send_for(l, down ? &peer : NULL, payload, seconds);
    waitpid(child, NULL, 0);
    printf("  sender CPU %.2f\n",
           (double)(clock_cpu_ns() - cpu) / (double)(clock_ns() - begin));
    unlink(endpoint + 6);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    double s = argc > 1 ? atof(argv[1]) : 2;
    run("small, worker to coordinator", false, 0, false, s);
    run("small, coordinator to worker", true, 0, false, s);
    run("1 MiB, worker to coordinator", false, PAYLOAD, false, s);
    run("1 MiB, coordinator to worker", true, PAYLOAD, false, s);
    run("1 MiB, worker to coordinator, checked", false, PAYLOAD, true, s);
    return 0;
}
