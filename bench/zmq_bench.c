// zmq_bench [TASKS [WINDOW]] - what ZeroMQ alone does for tasks of 64 bytes: a ROUTER hands
// them to two DEALERs in processes of their own over ipc, at most WINDOW each at a time,
// and each answers with 64 bytes. No digest, lease, journal or ledger: a bound for the
// whole program's batches a second, measured in the same minutes.

#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

enum { WORKERS = 2, TASK = 64, ID_MAX = 32 };

static void must(int rc, const char *what)
{
    if (rc >= 0) return;
    fprintf(stderr, "zmq_bench: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

static void work(const char *endpoint)
{
    char task[TASK];
    void *ctx = zmq_ctx_new(), *s = zmq_socket(ctx, ZMQ_DEALER);
    must(zmq_connect(s, endpoint), "connect");
    must(zmq_send(s, task, 1, 0), "send");
    for (;;) {
        int n = zmq_recv(s, task, sizeof task, 0);
        must(n, "receive");
        if (n == 0) break;
        must(zmq_send(s, task, sizeof task, 0), "send");
    }
    zmq_close(s);
    zmq_ctx_term(ctx);
    exit(0);
}

static void give(void *s, const char *id, int n, size_t bytes)
{
    char task[TASK] = { 0 };
    must(zmq_send(s, id, (size_t)n, ZMQ_SNDMORE), "send");
    must(zmq_send(s, task, bytes, 0), "send");
}

static double dispatch(void *s, long tasks, int window)
{
    char id[WORKERS][ID_MAX], from[ID_MAX], result[TASK];
    int n[WORKERS];
    long sent = 0, done = 0;
    for (int w = 0; w < WORKERS; w++) {
        must(n[w] = zmq_recv(s, id[w], ID_MAX, 0), "receive");
        must(zmq_recv(s, result, TASK, 0), "receive");
    }
    ns_t begin = clock_ns();
    for (int i = 0; i < WORKERS * window && sent < tasks; i++, sent++)
        give(s, id[i % WORKERS], n[i % WORKERS], TASK);
    for (; done < tasks; done++) {
        int k = zmq_recv(s, from, ID_MAX, 0);
        must(k, "receive");
        must(zmq_recv(s, result, TASK, 0), "receive");
        if (sent < tasks) give(s, from, k, TASK), sent++;
    }
    double seconds = (double)(clock_ns() - begin) / NS_S;
    for (int w = 0; w < WORKERS; w++)
        give(s, id[w], n[w], 0);
    return seconds;
}

int main(int argc, char **argv)
{
    long tasks = argc > 1 ? atol(argv[1]) : 1000000;
    int window = argc > 2 ? atoi(argv[2]) : 64;
    char dir[] = "/tmp/zmq_bench-XXXXXX", endpoint[64];
    if (!mkdtemp(dir)) return 1;
    snprintf(endpoint, sizeof endpoint, "ipc://%s/s", dir);
    for (int w = 0; w < WORKERS; w++)
        if (fork() == 0) work(endpoint);
    void *ctx = zmq_ctx_new(), *s = zmq_socket(ctx, ZMQ_ROUTER);
    int hwm = 4 * window, mandatory = 1;
    zmq_setsockopt(s, ZMQ_SNDHWM, &hwm, sizeof hwm);
    zmq_setsockopt(s, ZMQ_ROUTER_MANDATORY, &mandatory, sizeof mandatory);
    must(zmq_bind(s, endpoint), "bind");
    double seconds = dispatch(s, tasks, window);
    zmq_close(s);
    zmq_ctx_term(ctx);
    for (int w = 0; w < WORKERS; w++)
        wait(NULL);
    unlink(endpoint + 6);
    rmdir(dir);
    printf("%ld tasks, %d at a time a worker: %.2f s, %.0f tasks/s\n", tasks, window,
           seconds, (double)tasks / seconds);
    return 0;
}
