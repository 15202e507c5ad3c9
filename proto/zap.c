#include "proto/zap.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

enum { FRAMES = 7, FRAME_MAX = 256 }; // of a request; none we look at is longer

struct zap {
    void *rep;
    struct gate *gate;
    int stop; // eventfd
    pthread_t thread;
};

enum request_frame { VERSION, REQUEST, DOMAIN, ADDRESS, IDENTITY, MECHANISM, KEY };

struct request {
    uint8_t frame[FRAMES][FRAME_MAX];
    size_t n[FRAMES];
    int frames; // that came
};

// Takes all frames of one request, however many: the answer must follow a whole one.
static bool receive(struct zap *z, struct request *r)
{
    zmq_msg_t m;
    r->frames = 0;
    do {
        zmq_msg_init(&m);
        if (zmq_msg_recv(&m, z->rep, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&m);
            return false;
        }
        int i = r->frames++;
        if (i < FRAMES) {
            size_t n = zmq_msg_size(&m);
            r->n[i] = n < FRAME_MAX ? n : FRAME_MAX;
            memcpy(r->frame[i], zmq_msg_data(&m), r->n[i]);
        }
        bool more = zmq_msg_more(&m);
        zmq_msg_close(&m);
        if (!more) return true;
    } while (true);
}

static bool is(const struct request *r, int i, const char *text)
{
    return r->n[i] == strlen(text) && memcmp(r->frame[i], text, r->n[i]) == 0;
}

static bool admitted(struct zap *z, const struct request *r, char user[GATE_USER])
{
    char address[FRAME_MAX + 1];
    if (r->frames != FRAMES || !is(r, VERSION, "1.0") || !is(r, DOMAIN, ZAP_DOMAIN) ||
        !is(r, MECHANISM, "CURVE")) {
        gate_count_stranger(z->gate);
        return false;
    }
    memcpy(address, r->frame[ADDRESS], r->n[ADDRESS]);
    address[r->n[ADDRESS]] = 0;
    return gate_admit(z->gate, r->frame[KEY], r->n[KEY], address, user);
}

// Always: a question without an answer would hang the handshake.
static void answer(struct zap *z, const struct request *r, bool yes, const char *user)
{
    const char *text = yes ? "OK" : "key not allowed";
    zmq_send(z->rep, "1.0", 3, ZMQ_SNDMORE);
    zmq_send(z->rep, r->frame[REQUEST], r->frames > REQUEST ? r->n[REQUEST] : 0,
             ZMQ_SNDMORE);
    zmq_send(z->rep, yes ? "200" : "400", 3, ZMQ_SNDMORE);
    zmq_send(z->rep, text, strlen(text), ZMQ_SNDMORE);
    zmq_send(z->rep, user, strlen(user), ZMQ_SNDMORE);
    zmq_send(z->rep, "", 0, 0);
}

static void take_requests(struct zap *z)
{
    struct request r;
    while (receive(z, &r)) {
        char user[GATE_USER] = "";
        bool yes = admitted(z, &r, user);
        answer(z, &r, yes, user);
    }
}

static void *serve(void *arg)
{
    struct zap *z = arg;
    zmq_pollitem_t p[] = { { .socket = z->rep, .events = ZMQ_POLLIN },
                           { .fd = z->stop, .events = ZMQ_POLLIN } };
    while (zmq_poll(p, 2, -1) >= 0 || zmq_errno() == EINTR) {
        if (p[1].revents) break;
        take_requests(z);
    }
    return NULL;
}

static void close_all(struct zap *z)
{
    if (z->rep) zmq_close(z->rep);
    if (z->stop >= 0) close(z->stop);
    free(z);
}

static err_t fault(struct err *e)
{
    return err_set(e, ERR_IO, "cannot check the keys of peers: %s",
                   zmq_strerror(zmq_errno()));
}

static err_t open_all(struct zap *z, void *ctx, struct err *e)
{
    int none = 0;
    z->stop = eventfd(0, EFD_CLOEXEC);
    z->rep = zmq_socket(ctx, ZMQ_REP);
    if (z->stop < 0 || !z->rep) return fault(e);
    zmq_setsockopt(z->rep, ZMQ_LINGER, &none, sizeof none);
    if (zmq_bind(z->rep, "inproc://zeromq.zap.01") != 0) return fault(e);
    return ERR_OK;
}

err_t zap_start(struct zap **out, void *ctx, struct gate *g, struct err *e)
{
    sigset_t all, before;
    struct zap *z = calloc(1, sizeof *z);
    if (!z) return err_set(e, ERR_NOMEM, "out of memory");
    z->gate = g;
    z->stop = -1;
    err_t rc = open_all(z, ctx, e);
    sigfillset(&all); // signals are for the thread that waits for them
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (rc == ERR_OK && pthread_create(&z->thread, NULL, serve, z) != 0)
        rc = err_set(e, ERR_NOMEM, "cannot start the thread that checks keys");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == ERR_OK)
        *out = z;
    else
        close_all(z);
    return rc;
}

void zap_stop(struct zap **zz)
{
    struct zap *z = *zz;
    uint64_t one = 1;
    if (!z) return;
    while (write(z->stop, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    pthread_join(z->thread, NULL);
    close_all(z);
    *zz = NULL;
}
