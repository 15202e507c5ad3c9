// What lets a worker in: key files, access files, the list of allowed workers, the file of
// hosts, ZAP requests (ZeroMQ RFC 27), lease tokens. The first byte picks.
//
// Nobody comes in but who is on the list, by the key and name that it has there; a token is
// good for the one lease that it was made for; and what is read can be written and read
// again.

#include "coordinator/launcher.h"
#include "proto/lease.h"
#include "proto/zap.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

static char dir[64], path[128], list[128];

static void remove_all(void)
{
    unlink(list);
    unlink(path);
    rmdir(dir);
}

static void make_folder(void)
{
    snprintf(dir, sizeof dir, "%s/keys.XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(dir)) abort();
    snprintf(path, sizeof path, "%s/coordinator.key", dir);
    snprintf(list, sizeof list, "%s/allowed", dir);
    atexit(remove_all);
}

static void put(const char *to, const void *p, size_t n)
{
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, p, n) != (ssize_t)n) abort();
    close(fd);
}

static void key_file(const uint8_t *p, size_t n)
{
    struct key_pair pair;
    struct err e = { 0 };
    put(path, p, n);
    err_t rc = keys_coordinator(dir, false, &pair, &e);
    assert(rc == ERR_OK || (rc == ERR_INVALID && e.text[0]));
    if (rc != ERR_OK) return;
    char public[KEY_TEXT], secret[KEY_TEXT]; // both stand in it
    keys_text(pair.public_key, public);
    keys_text(pair.secret_key, secret);
    assert(memmem(p, n, public, KEY_TEXT - 1) && memmem(p, n, secret, KEY_TEXT - 1));
}

static void access_file(const uint8_t *p, size_t n)
{
    struct access a, again;
    struct buf text = { 0 };
    struct err e = { 0 };
    put(path, p, n);
    err_t rc = access_read(&a, path, &e);
    assert(rc == ERR_OK || (rc == ERR_INVALID && e.text[0]));
    if (rc != ERR_OK) return;
    assert(keys_name_is_good(a.name) && a.address[0]);
    must(access_encode(&a, &text, NULL));
    put(path, text.p, text.n);
    must(access_read(&again, path, &e));
    assert(memcmp(&a, &again, sizeof a) == 0);
    buf_free(&text);
}

static void allowed_file(const uint8_t *p, size_t n)
{
    static const uint8_t nobody[KEY_BYTES] = { 1, 2, 3 };
    struct allow_list l;
    struct gate *g = NULL;
    struct err e = { 0 };
    char user[GATE_USER], name[KEYS_NAME];
    put(list, p, n);
    err_t rc = keys_allowed(dir, &l, &e);
    assert(rc == ERR_OK || (rc == ERR_INVALID && e.text[0] && !l.n));
    assert(gate_open(&g, dir, &e) == rc);
    for (size_t i = 0; i < l.n; i++) {
        char key[KEY_TEXT];
        keys_text(l.v[i].key, key);
        assert(keys_name_is_good(l.v[i].name) && memmem(p, n, key, KEY_TEXT - 1));
        assert(gate_admit(g, l.v[i].key, KEY_BYTES, "address", user));
        assert(!gate_admit(g, l.v[i].key, KEY_BYTES - 1, "address", user));
        gate_name(user, name);
        assert(keys_name_is_good(name));
    }
    if (g) assert(!gate_admit(g, nobody, KEY_BYTES, "address", user));
    gate_free(&g);
    allow_list_free(&l);
}

static void hosts_file(const uint8_t *p, size_t n)
{
    struct launcher_opts o = { .worker = "tranche-worker", .slots = 2, .hosts = path };
    struct launcher *l = NULL;
    struct err e = { 0 };
    put(path, p, n);
    err_t rc = launcher_ssh.open(&l, &o, &e);
    assert(rc == ERR_OK || (rc == ERR_INVALID && e.text[0]));
    if (rc != ERR_OK) return;
    uint32_t hosts = launcher_ssh.room(l), lines = 1;
    for (size_t i = 0; i < n; i++)
        lines += p[i] == '\n';
    assert(hosts >= 1 && hosts <= lines);
    (void)!launcher_ssh.close(&l, false, &e);
}

// ---- ZAP ----

static const char key_text[] = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"; // of RFC 32

struct door {
    struct gate *gate;
    struct zap *zap;
    void *ctx, *req;
    uint8_t key[KEY_BYTES];
};

static void open_door(struct door *d)
{
    char text[200];
    int n = snprintf(text, sizeof text, "role allowed\nworker w %s\n", key_text);
    if (!keys_parse(key_text, d->key)) abort();
    put(list, text, (size_t)n);
    must(gate_open(&d->gate, dir, NULL));
    d->ctx = zmq_ctx_new();
    must(zap_start(&d->zap, d->ctx, d->gate, NULL));
    d->req = zmq_socket(d->ctx, ZMQ_REQ);
    int ms = 60000;
    if (zmq_setsockopt(d->req, ZMQ_RCVTIMEO, &ms, sizeof ms) != 0 ||
        zmq_connect(d->req, "inproc://zeromq.zap.01") != 0)
        abort();
}

struct frame {
    const uint8_t *p;
    size_t n;
};

// A good request, in which the tape replaces, cuts and repeats frames.
static size_t request(const struct door *d, struct tape *t, struct frame v[12])
{
    const struct frame good[7] = {
        { (const uint8_t *)"1.0", 3 },
        { (const uint8_t *)"id", 2 },
        { (const uint8_t *)ZAP_DOMAIN, sizeof ZAP_DOMAIN - 1 },
        { (const uint8_t *)"::1", 3 },
        { (const uint8_t *)"", 0 },
        { (const uint8_t *)"CURVE", 5 },
        { d->key, KEY_BYTES },
    };
    size_t n = 7;
    memcpy(v, good, sizeof good);
    while (t->n) {
        uint64_t at = draw(t, 1) % 12, how = draw(t, 1);
        if (how < 20) {
            n = at + 1;
        } else if (how < 60) {
            v[at].n = v[at].p ? v[at].n * (how - 20) / 40 : 0;
        } else {
            v[at].p = draw_bytes(t, how * 2 - 120, &v[at].n);
            if (n < at + 1) n = at + 1;
        }
    }
    return n;
}

static bool is(const struct frame *f, const char *text)
{
    return f->n == strlen(text) && memcmp(f->p, text, f->n) == 0;
}

static void zap(struct tape t)
{
    static struct door d;
    struct frame v[12] = { 0 };
    char said[6][300];
    int k[6];
    if (!d.ctx) open_door(&d);
    size_t n = request(&d, &t, v);
    for (size_t i = 0; i < n; i++)
        while (zmq_send(d.req, v[i].n ? v[i].p : (const uint8_t *)"", v[i].n,
                        i + 1 < n ? ZMQ_SNDMORE : 0) < 0)
            if (errno != EINTR) abort();
    int more = 1;
    size_t size = sizeof more;
    for (int i = 0; i < 6; i++) {
        assert(more);
        do
            k[i] = zmq_recv(d.req, said[i], sizeof said[i], 0);
        while (k[i] < 0 && errno == EINTR);
        assert(k[i] >= 0 && (size_t)k[i] <= sizeof said[i]);
        zmq_getsockopt(d.req, ZMQ_RCVMORE, &more, &size);
    }
    assert(!more);
    bool good = n == 7 && is(&v[0], "1.0") && is(&v[2], ZAP_DOMAIN) && is(&v[5], "CURVE") &&
                v[6].n == KEY_BYTES && memcmp(v[6].p, d.key, KEY_BYTES) == 0;
    assert(k[2] == 3 && memcmp(said[2], good ? "200" : "400", 3) == 0);
    assert(good ? k[4] == 42 && memcmp(said[4], "w ", 2) == 0 : k[4] == 0);
    if (n > 1 && v[1].n < 256)
        assert((size_t)k[1] == v[1].n && memcmp(said[1], v[1].p, v[1].n) == 0);
}

// ---- leases ----

static void lease(struct tape t)
{
    uint8_t secret[LEASE_SECRET_BYTES], other[LEASE_SECRET_BYTES];
    for (size_t i = 0; i < sizeof secret; i++)
        other[i] = secret[i] = (uint8_t)(i * 7 + draw(&t, 1));
    struct lease l = lease_of(draw(&t, 5), draw(&t, 8), draw(&t, 8), draw(&t, 5),
                              draw(&t, 8), draw(&t, 8), (struct hash128){ 0 });
    assert(!lease_verify(&l, secret));
    lease_sign(&l, secret);
    assert(lease_verify(&l, secret));
    struct lease forged = l;
    uint64_t *const parts[] = { &forged.begin, &forged.end,      &forged.epoch,
                                &forged.sid,   &forged.token.hi, &forged.token.lo };
    uint64_t which = draw(&t, 1) % 9, flip = draw(&t, 8);
    if (which < 6) *parts[which] ^= flip;
    if (which == 6) forged.input ^= (uint32_t)flip;
    if (which == 7) forged.attempt ^= (uint32_t)flip;
    if (which == 8) other[flip % sizeof other] ^= 1 << flip / 256 % 8;
    bool same = which < 6 ? !flip : which < 8 && !(uint32_t)flip;
    assert(lease_verify(&forged, which == 8 ? other : secret) == same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 1 << 14) return 0;
    struct tape t = { data + 1, size - 1 };
    if (!*dir) make_folder();
    switch (data[0] % 6) {
    case 0: key_file(t.p, t.n); break;
    case 1: access_file(t.p, t.n); break;
    case 2: allowed_file(t.p, t.n); break;
    case 3: hosts_file(t.p, t.n); break;
    case 4: zap(t); break;
    case 5: lease(t); break;
    }
    return 0;
}
