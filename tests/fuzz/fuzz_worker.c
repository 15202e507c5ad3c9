// Whatever a coordinator says to a worker, in any order: an ASSIGN waits in the queue or
// comes back as a NACK with its very lease, no lease goes back that did not come, and what
// is said can be encoded. There is no socket: the link is made of the functions below. Nor
// are there slots: whatever needs a process of its own is tested in tests/cluster.

#include "proto/spec.h"
#include "tests/fuzz/fuzz.h"
#include "worker/app_impl.h"
#include "worker/orphans.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

enum { MESSAGES_MAX = 200 };

// ---- a link ----

struct link {
    int dummy;
};
struct link_in {
    struct msg m;
    uint8_t *payload;
    size_t n, unpacked;
};

static struct world {
    struct link link;
    struct app app;
    struct tape tape;
    uint64_t given;        // leases: their tokens are 1, 2, ...
    uint64_t nacked, last; // since the message that is worked on; the token of the last
    uint64_t pings, pongs, hellos;
    bool job_is_good;
} world;

err_t link_connect(struct link **out, const char *endpoint, const struct link_opts *o,
                   struct err *e)
{
    (void)endpoint, (void)o;
    *out = NULL;
    return err_set(e, ERR_CLOSED, "there is nobody");
}

int link_fd(const struct link *l)
{
    (void)l;
    return -1;
}

enum link_state link_state(struct link *l, struct link_events *out)
{
    (void)l;
    *out = (struct link_events){ 0 };
    return LINK_OPEN;
}

void link_line(const struct link *l, const struct link_peer *peer, struct line_sample *out)
{
    (void)l, (void)peer;
    *out = (struct line_sample){ 0 };
}

bool link_flush(struct link *l)
{
    (void)l;
    return true;
}

void link_close(struct link **l, int linger_ms)
{
    (void)linger_ms;
    *l = NULL;
}

static void heard(const struct msg *m)
{
    struct buf text = { 0 };
    struct msg again;
    must(msg_encode(m, &text, NULL));
    must(msg_decode(text.p, text.n, &again, NULL));
    assert(again.type == m->type);
    if (m->type == MSG_NACK) {
        world.nacked++;
        world.last = again.NACK.token.lo;
        assert(world.last >= 1 && world.last <= world.given);
        assert(again.NACK.token.hi == ~again.NACK.token.lo);
    }
    world.hellos += m->type == MSG_HELLO;
    if (m->type == MSG_PONG) {
        assert(again.PONG.seq == world.pings);
        world.pongs++;
    }
    buf_free(&text);
}

err_t link_send(struct link *l, const struct link_peer *peer, struct msg *m, void *payload,
                size_t payload_bytes, link_free_fn *free_fn, void *hint, struct err *e)
{
    (void)l, (void)peer, (void)e;
    m->payload_bytes = payload_bytes;
    heard(m);
    if (free_fn) free_fn(payload, hint);
    return ERR_OK;
}

err_t link_post(struct link *l, const struct link_peer *peer, struct msg *m, void *payload,
                size_t payload_bytes, link_free_fn *free_fn, void *hint, struct err *e)
{
    return link_send(l, peer, m, payload, payload_bytes, free_fn, hint, e);
}

const struct msg *link_msg(const struct link_in *in)
{
    return &in->m;
}

struct slice link_payload(const struct link_in *in)
{
    return (struct slice){ in->payload, in->n };
}

size_t link_size(const struct link_in *in)
{
    return in->unpacked;
}

bool link_check(const struct link_in *in)
{
    return in->unpacked == in->n;
}

err_t link_unpack(const struct link_in *in, void *to, struct err *e)
{
    if (in->unpacked != in->n) return err_set(e, ERR_PROTO, "it is no such payload");
    memcpy(to, in->payload, in->n);
    return ERR_OK;
}

void link_in_free(struct link_in **in)
{
    if (!*in) return;
    free((*in)->payload);
    free(*in);
    *in = NULL;
}

// Nothing here has children, but the fuzzer may.
void orphans_adopt(void) {}

void orphans_kill(bool (*ours)(const void *arg, pid_t pid), const void *arg)
{
    (void)ours, (void)arg;
}

// ---- what the coordinator says ----

static uint64_t number(struct tape *t)
{
    uint64_t b = draw(t, 1);
    return b < 240 ? b % 6 : draw(t, 8);
}

#define SET_LEASE(part)                \
    do {                               \
        (part)->input = number(t);     \
        (part)->begin = number(t);     \
        (part)->end = number(t);       \
        (part)->attempt = number(t);   \
        (part)->lease_sid = number(t); \
    } while (0)

static void set_payload(struct link_in *in, const uint8_t *p, size_t n, struct tape *t)
{
    in->payload = exact_copy(p, n);
    in->n = in->unpacked = n;
    if (draw(t, 1) > 240) in->unpacked = (size_t)draw(t, 3);
}

static void set_job(struct link_in *in, struct tape *t)
{
    static struct buf good;
    struct msg_JOB *j = &in->m.JOB;
    if (!good.n) {
        struct spec s = { 0 };
        static char reader[] = "csv", sink[] = "sqlite";
        s.dialect = (struct csv_dialect){ .delimiter = ',', .quote = '"' };
        s.reader = reader;
        s.sink = sink;
        s.result_max_bytes = 1 << 20;
        must(schema_add(&s.in, "a", 1, TYPE_TEXT, false, NULL));
        must(schema_add(&s.out, "a", 1, TYPE_TEXT, false, NULL));
        must(spec_encode(&s, &good, NULL));
        schema_free(&s.in);
        schema_free(&s.out);
    }
    j->path = msg_str("", 0);
    j->job.lo = number(t);
    j->timeout_ms = number(t);
    j->concurrency = draw(t, 1) < 230 ? 1 : number(t);
    j->result_max_bytes = number(t);
    set_payload(in, good.p, good.n, t);
    while (draw(t, 1) > 200)
        in->payload[draw(t, 1) % in->n] = (uint8_t)draw(t, 1);
}

static void set_assign(struct link_in *in, struct tape *t)
{
    static const char path[] = "/nowhere/a.csv";
    struct msg_ASSIGN *a = &in->m.ASSIGN;
    size_t n;
    SET_LEASE(a);
    a->token = (struct hash128){ .lo = ++world.given, .hi = ~world.given };
    a->job.lo = number(t);
    a->first_line = number(t);
    uint64_t how = draw(t, 1);
    a->path = msg_str(path, how < 120 ? how % sizeof path : 0);
    const uint8_t *p = draw_bytes(t, how > 100 ? how % 16 : 0, &n);
    set_payload(in, p, n, t);
}

static struct link_in *next(struct tape *t)
{
    static const uint8_t types[] = { MSG_WELCOME, MSG_JOB,    MSG_ASSIGN,    MSG_ASSIGN,
                                     MSG_ASSIGN,  MSG_CANCEL, MSG_COMMITTED, MSG_RESET,
                                     MSG_PING,    MSG_DRAIN,  MSG_PIECE,     MSG_SHARE,
                                     MSG_READY,   MSG_ASSIGN, MSG_CANCEL,    MSG_STOP };
    struct link_in *in = calloc(1, sizeof *in);
    size_t n;
    assert(in);
    in->m.type = types[draw(t, 1) % sizeof types];
    in->m.epoch = number(t);
    in->m.sid = number(t);
    switch (in->m.type) {
    case MSG_JOB: set_job(in, t); break;
    case MSG_STOP:
    case MSG_DRAIN:
    case MSG_RESET: in->m.RESET.reason = msg_str("", 0); break;
    case MSG_ASSIGN: set_assign(in, t); break;
    case MSG_CANCEL: SET_LEASE(&in->m.CANCEL); break;
    case MSG_COMMITTED: SET_LEASE(&in->m.COMMITTED); break;
    case MSG_PING: in->m.PING.seq = world.pings = number(t); break;
    case MSG_WELCOME:
        in->m.WELCOME.heartbeat_ms = number(t);
        in->m.WELCOME.silence_ms = number(t);
        break;
    case MSG_PIECE: {
        in->m.PIECE.job.lo = number(t);
        in->m.PIECE.file = number(t);
        in->m.PIECE.at = number(t);
        const uint8_t *p = draw_bytes(t, draw(t, 1), &n);
        set_payload(in, p, n, t);
        break;
    }
    case MSG_SHARE:
        in->m.SHARE.job.lo = number(t);
        in->m.SHARE.step = number(t);
        in->m.SHARE.seq = number(t);
        in->m.SHARE.requests = number(t);
        in->m.SHARE.gap_ns = number(t);
        break;
    default: break;
    }
    return in;
}

// One at a time: between two of them all is looked at.
static struct link_in *waiting;

err_t link_recv(struct link *l, struct link_peer *peer, struct link_in **out, struct err *e)
{
    (void)l, (void)peer, (void)e;
    *out = waiting;
    waiting = NULL;
    return ERR_OK;
}

static size_t queue_length(const struct app *a)
{
    size_t n = 0;
    struct task *const *at = &a->queue;
    for (; *at; at = &(*at)->next)
        n++;
    assert(at == a->queue_end && n == a->queued);
    return n;
}

static void one_message(struct app *a)
{
    size_t before = queue_length(a);
    bool draining = a->draining;
    waiting = next(&world.tape);
    enum msg_type type = waiting->m.type;
    world.nacked = 0;
    world.pongs = world.hellos = 0;
    worker_take_messages(a);
    size_t after = queue_length(a);
    switch (type) {
    case MSG_ASSIGN:
        assert(after + world.nacked == before + 1);
        assert(!world.nacked || world.last == world.given);
        assert(!draining || world.nacked);
        break;
    case MSG_CANCEL: assert(after + world.nacked == before); break;
    case MSG_WELCOME:
    case MSG_JOB:
    case MSG_RESET: assert(world.nacked == 0 && (after == before || after == 0)); break;
    case MSG_PING: // one without a job may begin anew
        assert(world.nacked == 0 && world.pongs + world.hellos == 1);
        assert(after == (world.hellos ? 0 : before));
        break;
    default: assert(world.nacked == 0 && after == before);
    }
    assert(!a->has_job || a->limits.timeout_ms <= SPEC_TIMEOUT_MAX_MS);
    if (type == MSG_WELCOME)
        assert(a->heartbeat > 0 && a->heartbeat <= 3600 * NS_S && a->silence > 0 &&
               a->silence <= 3600 * NS_S);
    worker_fetch_files(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct worker_opts o = { .endpoint = "ipc:///nowhere", .name = "w" };
    static struct slot none;
    struct app *a = &world.app;
    static FILE *quiet;
    if (size > 4096) return 0;
    if (!quiet && (quiet = fopen("/dev/null", "we"))) stderr = quiet; // it has much to say
    world = (struct world){
        .tape = { data, size },
        .app = { .opts = &o,
                 .slot = &none,
                 .signals = -1,
                 .up = { .opts = &o },
                 .runners = { .spec_fd = -1, .files_fd = -1, .share_fd = -1 } }
    };
    a->queue_end = &a->queue;
    a->up.link = &world.link;
    for (int i = 0; i < MESSAGES_MAX && world.tape.n && !a->stop; i++)
        one_message(a);
    worker_drop_work(a);
    files_free(&a->files);
    if (a->runners.spec_fd >= 0) close(a->runners.spec_fd);
    http_share_drop(&a->share, &a->runners.share_fd);
    free(a->running);
    return 0;
}
