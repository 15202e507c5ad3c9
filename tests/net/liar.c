// liar - a worker with a good key that does not play by the rules.
//
//   liar ACCESS-FILE LIE [SECONDS]
//
// It says HELLO and READY like any other; what it does with the work it gets is in the
// table at the end. Exit code 0: it was sent away or the run ended; 3: SECONDS (default 20)
// went by. Each line on standard error says what it did or heard.

#include "common/host.h"
#include "proto/fail.h"
#include "proto/keys.h"
#include "proto/lease.h"
#include "proto/link.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { SLOTS = 2, POLL_MS = 20, FLOOD = 200 };

struct liar {
    struct link *link;
    struct access access;
    uint64_t epoch, sid;
    struct err e;
    uint64_t assigned;
    bool over;
    void (*lie)(struct liar *x, const struct msg *assign);
    void (*idle)(struct liar *x); // whenever nothing comes
};

static void post(struct liar *x, struct msg *m, const void *payload, size_t n)
{
    m->epoch = x->epoch;
    m->sid = x->sid;
    err_t rc =
        link_send(x->link, NULL, m, (void *)(uintptr_t)payload, n, NULL, NULL, &x->e);
    if (rc != ERR_OK && rc != ERR_BUSY) fprintf(stderr, "cannot send: %s\n", x->e.text);
}

static void hello(struct liar *x)
{
    char arch[HOST_ARCH];
    host_arch(arch);
    struct msg m = { .type = MSG_HELLO,
                     .HELLO = { .version =
                                    msg_str(TRANCHE_VERSION, strlen(TRANCHE_VERSION)),
                                .arch = msg_str(arch, strlen(arch)),
                                .name = msg_str("somebody", 8),
                                .slots = SLOTS } };
    if (getrandom(&m.HELLO.instance, sizeof m.HELLO.instance, 0) < 0) exit(1);
    x->epoch = x->sid = 0;
    post(x, &m, NULL, 0);
}

// A result that looks as it should; the lie is then in one thing only.
static struct msg result_of(const struct msg *a)
{
    struct msg m = { .type = MSG_RESULT };
    struct lease l = LEASE_GET(&a->ASSIGN);
    LEASE_PUT(&m.RESULT, &l);
    m.RESULT.digest = a->ASSIGN.digest;
    m.RESULT.rows_read = m.RESULT.rows_parsed = m.RESULT.rows_emitted = a->ASSIGN.records;
    m.RESULT.parse_ns = NS_MS;
    return m;
}

enum { JUNK = 128 * 1024 };
static uint8_t junk[JUNK];

static void send_junk(struct liar *x, struct msg *m)
{
    m->RESULT.image_bytes = JUNK;
    m->payload_hash = hash_bytes(junk, JUNK);
    post(x, m, junk, JUNK);
}

static void forged_token(struct liar *x, const struct msg *a)
{
    struct msg m = result_of(a);
    m.RESULT.token.lo ^= 1;
    send_junk(x, &m);
}

static void lease_of_its_neighbour(struct liar *x, const struct msg *a)
{
    struct msg m = result_of(a);
    uint64_t n = m.RESULT.end - m.RESULT.begin;
    m.RESULT.begin += n;
    m.RESULT.end += n;
    send_junk(x, &m);
}

static void wrong_digest(struct liar *x, const struct msg *a)
{
    struct msg m = result_of(a);
    m.RESULT.image_bytes = JUNK;
    m.payload_hash = hash_bytes(junk, JUNK - 1);
    post(x, &m, junk, JUNK);
}

static void damaged_image(struct liar *x, const struct msg *a)
{
    struct msg m = result_of(a);
    send_junk(x, &m);
}

static void image_with_a_good_head(struct liar *x, const struct msg *a)
{
    struct msg m = result_of(a);
    memcpy(junk, "SQLite format 3", 16);
    junk[16] = 0, junk[17] = 1, junk[18] = junk[19] = 1;
    junk[21] = 64, junk[22] = 32, junk[23] = 32;
    junk[31] = 2; // pages
    junk[47] = 4;
    junk[59] = 1;
    junk[100] = 13;
    send_junk(x, &m);
}

static void no_rows(struct liar *x, const struct msg *a)
{
    struct msg m = result_of(a);
    m.RESULT.rows_read = m.RESULT.rows_parsed = m.RESULT.rows_emitted = 0;
    post(x, &m, NULL, 0);
}

static void huge_counts(struct liar *x, const struct msg *a)
{
    struct msg m = result_of(a);
    m.RESULT.rows_emitted = m.RESULT.misfits = m.RESULT.peak_kb = UINT64_MAX;
    m.RESULT.read_ns = m.RESULT.parse_ns = m.RESULT.apply_ns = m.RESULT.cpu_ns = UINT64_MAX;
    send_junk(x, &m);
}

static void huge_lengths(struct liar *x, const struct msg *a)
{
    struct msg m = result_of(a);
    m.RESULT.image_bytes = UINT64_MAX - 5;
    m.RESULT.rejects_bytes = JUNK + 6;
    m.payload_hash = hash_bytes(junk, JUNK);
    post(x, &m, junk, JUNK);
}

static void rejects_of_junk(struct liar *x, const struct msg *a)
{
    struct msg m = result_of(a);
    m.RESULT.rows_parsed = m.RESULT.rows_emitted = 0;
    m.RESULT.rows_rejected = a->ASSIGN.records;
    m.RESULT.rejects_bytes = JUNK;
    m.payload_hash = hash_bytes(junk, JUNK);
    post(x, &m, junk, JUNK);
}

enum { LONG = 64 << 20 };

// Over a slow line it is under way for hours, and its bytes keep its leases.
static void long_result(struct liar *x, const struct msg *a)
{
    static uint8_t *bytes;
    struct msg m = result_of(a);
    if (!bytes) bytes = calloc(1, LONG);
    if (!bytes) exit(1);
    m.RESULT.image_bytes = LONG;
    post(x, &m, bytes, LONG);
}

static void input_has_changed(struct liar *x, const struct msg *a)
{
    static const char why[] = "the input has changed, believe me";
    struct msg m = { .type = MSG_FAIL };
    struct lease l = LEASE_GET(&a->ASSIGN);
    LEASE_PUT(&m.FAIL, &l);
    m.FAIL.code = ERR_CHANGED;
    m.FAIL.class_ = FAIL_CLASS_CHANGED;
    m.FAIL.text = msg_str(why, sizeof why - 1);
    post(x, &m, NULL, 0);
}

static void refuses_all(struct liar *x, const struct msg *a)
{
    struct msg m = { .type = MSG_NACK };
    struct lease l = LEASE_GET(&a->ASSIGN);
    LEASE_PUT(&m.NACK, &l);
    m.NACK.code = ERR_INVALID;
    post(x, &m, NULL, 0);
}

static struct lease kept[4096];
static size_t n_kept;

static void keep(struct liar *x, const struct msg *a)
{
    (void)x;
    if (n_kept < sizeof kept / sizeof *kept)
        kept[n_kept++] = (struct lease)LEASE_GET(&a->ASSIGN);
}

static void never_answers(struct liar *x, const struct msg *a)
{
    (void)x, (void)a;
}

static void says_it_is_busy(struct liar *x)
{
    for (size_t i = 0; i < n_kept; i++) {
        struct msg m = { .type = MSG_PROGRESS };
        LEASE_PUT(&m.PROGRESS, &kept[i]);
        m.PROGRESS.rows = UINT64_MAX;
        post(x, &m, NULL, 0);
    }
}

static void floods_with_hello(struct liar *x)
{
    for (int i = 0; i < FLOOD; i++)
        hello(x);
}

// One that is welcome, then one that is not, which would be forgotten with its session.
static void is_two_programs(struct liar *x)
{
    struct msg other = { .type = MSG_HELLO, .HELLO = { .slots = SLOTS } };
    hello(x);
    post(x, &other, NULL, 0);
}

static struct hash128 the_job;
static bool deaf;

// Reads nothing any more once it has asked for pieces of a file.
static void ask_for_pieces(struct liar *x, int n)
{
    struct msg m = { .type = MSG_NEED, .NEED = { .job = the_job, .bytes = 1 << 20 } };
    for (int i = 0; i < n; i++)
        post(x, &m, NULL, 0);
    deaf = true;
}

// Never many at a time, but more than anybody has use for who takes none of them.
static void hoards_pieces(struct liar *x)
{
    static int asked;
    if (x->assigned && asked < 28) ask_for_pieces(x, 2), asked += 2;
}

static void asks_for_other_bytes(struct liar *x)
{
    struct msg m = { .type = MSG_NEED, .NEED = { .job = the_job, .bytes = 1 << 20 } };
    if (!x->assigned) return;
    m.NEED.at = 5 << 20; // past its end
    post(x, &m, NULL, 0);
    m.NEED.at = UINT64_MAX - (1 << 19);
    post(x, &m, NULL, 0);
    m.NEED = (struct msg_NEED){ .job = the_job, .file = 1, .bytes = 1 };
    post(x, &m, NULL, 0);
}

// As many as others, and goes on saying that it lives.
static void takes_nothing(struct liar *x)
{
    struct msg pong = { .type = MSG_PONG };
    if (x->assigned && !deaf) ask_for_pieces(x, 8);
    post(x, &pong, NULL, 0);
}

static void plays_coordinator(struct liar *x)
{
    struct msg m = { .type = MSG_STOP, .STOP = { msg_str("go home", 7) } };
    post(x, &m, NULL, 0);
}

static const struct {
    const char *name;
    void (*lie)(struct liar *x, const struct msg *assign);
    void (*idle)(struct liar *x);
} lies[] = {
    { "forged-token", forged_token, NULL },
    { "lease-of-its-neighbour", lease_of_its_neighbour, NULL },
    { "wrong-digest", wrong_digest, NULL },
    { "damaged-image", damaged_image, NULL },
    { "image-with-a-good-head", image_with_a_good_head, NULL },
    { "no-rows", no_rows, NULL },
    { "huge-counts", huge_counts, NULL },
    { "huge-lengths", huge_lengths, NULL },
    { "rejects-of-junk", rejects_of_junk, NULL },
    { "long-result", long_result, NULL },
    { "input-has-changed", input_has_changed, NULL },
    { "refuses-all", refuses_all, NULL },
    { "never-answers", never_answers, NULL },
    { "always-busy", keep, says_it_is_busy },
    { "hello-flood", never_answers, floods_with_hello },
    { "plays-coordinator", never_answers, plays_coordinator },
    { "two-programs", never_answers, is_two_programs },
    { "hoards-pieces", never_answers, hoards_pieces },
    { "asks-for-other-bytes", never_answers, asks_for_other_bytes },
    { "takes-nothing", never_answers, takes_nothing },
};

static void ready(struct liar *x, const struct msg *job)
{
    the_job = job->JOB.job;
    struct msg m = { .type = MSG_READY, .READY = { .job = job->JOB.job, .slots = SLOTS } };
    post(x, &m, NULL, 0);
}

static void on_message(struct liar *x, const struct msg *m)
{
    struct msg pong = { .type = MSG_PONG };
    switch (m->type) {
    case MSG_WELCOME:
        x->epoch = m->epoch;
        x->sid = m->sid;
        break;
    case MSG_JOB: ready(x, m); break;
    case MSG_ASSIGN:
        x->assigned++;
        x->lie(x, m);
        break;
    case MSG_PING: post(x, &pong, NULL, 0); break;
    case MSG_RESET:
        fprintf(stderr, "reset\n");
        n_kept = 0;
        if (x->sid) hello(x);
        break;
    case MSG_REFUSED:
        fprintf(stderr, "refused: %.*s\n", (int)m->REFUSED.text.n, m->REFUSED.text.p);
        x->over = x->idle != is_two_programs;
        break;
    case MSG_STOP: x->over = true; break;
    default: break;
    }
}

static void take_all(struct liar *x)
{
    struct link_peer none;
    struct link_in *in = NULL;
    while (!x->over && !deaf && link_recv(x->link, &none, &in, &x->e) == ERR_OK && in) {
        on_message(x, link_msg(in));
        link_in_free(&in);
    }
}

static bool connect_to(struct liar *x, const char *access_file)
{
    struct link_opts o = { .message_max_bytes = 1 << 28, .hwm = 1024, .take_hwm = 2 };
    if (access_read(&x->access, access_file, &x->e) != ERR_OK) return false;
    o.keys = &x->access.own;
    o.server_key = x->access.coordinator;
    return link_connect(&x->link, x->access.address, &o, &x->e) == ERR_OK;
}

static int usage(void)
{
    fprintf(stderr, "usage: liar ACCESS-FILE LIE [SECONDS]\n");
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
        fprintf(stderr, "  %s\n", lies[i].name);
    return 2;
}

static bool serve(struct liar *x, ns_t until)
{
    hello(x);
    while (!x->over && clock_ns() < until) {
        struct pollfd f = { link_fd(x->link), POLLIN, 0 };
        struct link_events seen;
        poll(&f, 1, POLL_MS);
        take_all(x);
        if (x->idle && x->sid) x->idle(x);
        take_all(x);
        if (link_state(x->link, &seen) == LINK_DENIED) {
            fprintf(stderr, "denied\n");
            x->over = true;
        }
    }
    fprintf(stderr, "had %llu batches\n", (unsigned long long)x->assigned);
    return x->over;
}

int main(int argc, char **argv)
{
    struct liar x = { 0 };
    if (argc < 3) return usage();
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        if (strcmp(lies[i].name, argv[2]) != 0) continue;
        x.lie = lies[i].lie;
        x.idle = lies[i].idle;
    }
    if (!x.lie) return usage();
    if (!connect_to(&x, argv[1])) {
        fprintf(stderr, "liar: %s\n", x.e.text);
        return 1;
    }
    ns_t seconds = argc > 3 ? strtol(argv[3], NULL, 10) : 20;
    bool over = serve(&x, clock_ns() + seconds * NS_S);
    link_close(&x.link, 0);
    return over ? 0 : 3;
}
