// Each call that opens a link fails once: no link is opened that lacks an option, above all
// none that lets strangers in.

#include "proto/link.h"
#include "tests/source_kit.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <zmq.h>

static _Thread_local long left = -1; // calls until one fails; -1: none does

static bool fails(void)
{
    bool now = left >= 0 && left-- == 0;
    if (now) errno = EMFILE;
    return now;
}

void *__real_zmq_ctx_new(void);
void *__real_zmq_socket(void *ctx, int type);
int __real_zmq_setsockopt(void *s, int option, const void *p, size_t n);
int __real_zmq_getsockopt(void *s, int option, void *p, size_t *n);
int __real_zmq_bind(void *s, const char *endpoint);
int __real_zmq_connect(void *s, const char *endpoint);
int __real_zmq_socket_monitor(void *s, const char *endpoint, int events);
int __real_eventfd(unsigned count, int flags);
void *__wrap_zmq_ctx_new(void);
void *__wrap_zmq_socket(void *ctx, int type);
int __wrap_zmq_setsockopt(void *s, int option, const void *p, size_t n);
int __wrap_zmq_getsockopt(void *s, int option, void *p, size_t *n);
int __wrap_zmq_bind(void *s, const char *endpoint);
int __wrap_zmq_connect(void *s, const char *endpoint);
int __wrap_zmq_socket_monitor(void *s, const char *endpoint, int events);
int __wrap_eventfd(unsigned count, int flags);

void *__wrap_zmq_ctx_new(void)
{
    return fails() ? NULL : __real_zmq_ctx_new();
}

void *__wrap_zmq_socket(void *ctx, int type)
{
    return fails() ? NULL : __real_zmq_socket(ctx, type);
}

// How long a link that closes waits, and how much is said of connections, may stay as it
// is.
int __wrap_zmq_setsockopt(void *s, int option, const void *p, size_t n)
{
    int type;
    size_t size = sizeof type;
    bool matters = __real_zmq_getsockopt(s, ZMQ_TYPE, &type, &size) == 0 &&
                   (type == ZMQ_ROUTER || type == ZMQ_DEALER);
    return matters && fails() ? -1 : __real_zmq_setsockopt(s, option, p, n);
}

int __wrap_zmq_getsockopt(void *s, int option, void *p, size_t *n)
{
    return fails() ? -1 : __real_zmq_getsockopt(s, option, p, n);
}

int __wrap_zmq_bind(void *s, const char *endpoint)
{
    return fails() ? -1 : __real_zmq_bind(s, endpoint);
}

int __wrap_zmq_connect(void *s, const char *endpoint)
{
    return fails() ? -1 : __real_zmq_connect(s, endpoint);
}

int __wrap_zmq_socket_monitor(void *s, const char *endpoint, int events)
{
    return fails() ? -1 : __real_zmq_socket_monitor(s, endpoint, events);
}

int __wrap_eventfd(unsigned count, int flags)
{
    return fails() ? -1 : __real_eventfd(count, flags);
}

struct way {
    const char *name, *endpoint; // NULL: ipc in the test's folder
    bool listens, keys;
};

static const struct way ways[] = {
    { "listening_with_keys", "tcp://127.0.0.1:0", true, true },
    { "listening_without", "tcp://127.0.0.1:0", true, false },
    { "listening_on_a_socket_file", NULL, true, false },
    { "connecting_with_keys", "tcp://127.0.0.1:1", false, true },
};

static void opens_with_all_or_not_at_all(void **state)
{
    const struct way *way = *state;
    struct err e;
    struct folder dir = folder_new();
    char endpoint[PATH_SPACE], keys[PATH_SPACE];
    struct key_pair own;
    struct gate *gate = NULL;
    struct link_opts o = { .message_max_bytes = 1 << 20,
                           .hwm = 64,
                           .insecure = !way->keys };
    snprintf(endpoint, sizeof endpoint, "ipc://%s/s", dir.path);
    PASS(&e, keys_coordinator(in_folder(&dir, "keys", keys), true, &own, &e));
    PASS(&e, gate_open(&gate, keys, &e));
    if (way->keys) {
        o.keys = &own;
        o.gate = gate;
        o.server_key = own.public_key;
    }
    for (long at = 0;; at++) {
        const char *to = way->endpoint ? way->endpoint : endpoint;
        struct link *l = NULL;
        left = at;
        err_t rc =
            way->listens ? link_listen(&l, to, &o, &e) : link_connect(&l, to, &o, &e);
        bool reached = left < 0;
        left = -1;
        if (!reached) PASS(&e, rc);
        if (reached && rc == ERR_OK) fail_msg("call %ld failed, and a link was opened", at);
        if (reached) assert_non_null(strstr(e.text, strerror(EMFILE)));
        link_close(&l, 0);
        if (!reached && at < 8) fail_msg("%ld calls only", at);
        if (!reached) break;
    }
    gate_free(&gate);
    folder_rm(&dir);
}

int main(void)
{
    return test_main("link_calls", NULL, 0, TABLE(ways, opens_with_all_or_not_at_all),
                     N_OF(ways));
}
