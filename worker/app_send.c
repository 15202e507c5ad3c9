#include "worker/app_impl.h"

#include "common/host.h"
#include "common/say.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static const ns_t KEEP = 20 * NS_MS; // results for company, at most

// Until everything that came is done. Of all others there are few.
static bool can_wait(enum msg_type type)
{
    return type == MSG_RESULT || type == MSG_PROGRESS || type == MSG_NACK;
}

void worker_post_payload(struct app *a, struct msg *m, void *payload, size_t n,
                         link_free_fn *free_fn, void *hint)
{
    m->epoch = a->epoch;
    m->sid = a->sid;
    a->sent = clock_ns();
    if (!a->up.link) {
        if (free_fn) free_fn(payload, hint);
        return;
    }
    bool waits = can_wait(m->type);
    if (waits && !a->kept_since) a->kept_since = a->sent;
    err_t rc = (waits ? link_post : link_send)(a->up.link, NULL, m, payload, n, free_fn,
                                               hint, &a->e);
    if (rc == ERR_OK) return;
    if (a->sid) say_to(stderr, "tranche-worker: cannot send: %s\n", a->e.text);
    uplink_broken(&a->up);
}

// A runner that has the next batch already does not wait for what the coordinator would
// say to the result of this one: those of several take one message, and one turn of it.
static bool nobody_waits(const struct app *a)
{
    for (uint32_t i = 0; i < a->n_slots; i++)
        if (!slot_has_more(&a->slot[i])) return false;
    return true;
}

bool worker_send_kept(struct app *a)
{
    if (!a->up.link || !a->kept_since) return true;
    if (clock_ns() - a->kept_since < KEEP && nobody_waits(a)) return false;
    if (!link_flush(a->up.link)) return false;
    a->kept_since = 0;
    return true;
}

void worker_post(struct app *a, struct msg *m)
{
    m->payload_hash = (struct hash128){ 0 };
    worker_post_payload(a, m, NULL, 0, NULL, NULL);
}

static uint64_t held_results(const struct app *a)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < a->n_slots; i++)
        for (int k = 0; k < RESULTS_PER_SLOT; k++)
            n += a->slot[i].result[k].open;
    return n;
}

static const char *own_name(const struct app *a, char out[64])
{
    struct utsname host;
    uname(&host);
    if (a->opts->access)
        snprintf(out, 64, "%s", a->opts->access->name);
    else if (a->opts->name)
        snprintf(out, 64, "%s", a->opts->name);
    else
        snprintf(out, 64, "%.40s-%d", host.nodename, (int)getpid());
    return out;
}

void worker_hello(struct app *a)
{
    char arch[HOST_ARCH], name[64], host[HOST_NAME], cpu[HOST_CPU];
    host_arch(arch);
    host_name(host);
    host_cpu(cpu);
    own_name(a, name);
    a->epoch = a->sid = 0;
    a->has_job = a->told_ready = a->got_work = false;
    a->said_hello = clock_ns();
    struct msg m = { .type = MSG_HELLO,
                     .HELLO = { .version =
                                    msg_str(TRANCHE_VERSION, strlen(TRANCHE_VERSION)),
                                .arch = msg_str(arch, strlen(arch)),
                                .name = msg_str(name, strlen(name)),
                                .pid = (uint64_t)getpid(),
                                .boot_id = host_boot_id(),
                                .slots = a->n_slots,
                                .memory_bytes = a->opts->memory_bytes,
                                .held_results = held_results(a),
                                .labels = msg_str(a->opts->labels, strlen(a->opts->labels)),
                                .instance = a->instance,
                                .host = msg_str(host, strlen(host)),
                                .cpu = msg_str(cpu, strlen(cpu)),
                                .cores = host_cores() } };
    worker_post(a, &m);
}

void worker_post_fail(struct app *a, const struct task *t, err_t code,
                      enum fail_class class, const char *text, const struct slot *s,
                      const struct slot_death *death, ns_t started)
{
    struct msg m = { .type = MSG_FAIL };
    COPY_LEASE(m.FAIL, t->assign);
    m.FAIL.code = code;
    m.FAIL.class_ = class;
    m.FAIL.signal = death ? (uint64_t)death->signal : 0;
    m.FAIL.peak_kb = death ? (uint64_t)death->peak_kb : 0;
    m.FAIL.run_ms = (uint64_t)((clock_ns() - started) / NS_MS);
    m.FAIL.text = msg_str(text, strlen(text));
    if (s) m.FAIL.stderr_tail = msg_str(s->tail, s->tail_n);
    worker_post(a, &m);
}

void worker_post_nack(struct app *a, const struct msg_ASSIGN *t, err_t code,
                      const char *text)
{
    struct msg m = { .type = MSG_NACK };
    COPY_LEASE(m.NACK, *t);
    m.NACK.code = code;
    m.NACK.text = msg_str(text, strlen(text));
    worker_post(a, &m);
}

static void post_bye(struct app *a, err_t code, const char *text)
{
    struct msg m = { .type = MSG_BYE, .BYE = { code, msg_str(text, strlen(text)) } };
    worker_post(a, &m);
}

void worker_leave(struct app *a, int exit_code, err_t code, const char *text)
{
    if (text[0]) say_to(stderr, "tranche-worker: %s\n", text);
    post_bye(a, code, text);
    a->stop = true;
    a->exit_code = exit_code;
}
