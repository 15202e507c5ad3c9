// One worker a host, each the child of an ssh of its own. The worker's life hangs on the
// standard input of that ssh: when it ends - because we stop, die, or the connection breaks
// - the worker finishes its batches and leaves.

#include "coordinator/launcher.h"

#include "common/units.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { HOSTS_MAX = 10000, SLOTS_MAX = 1024 };
static const ns_t GOODBYE = 20 * NS_S;

// What runs on the host. cat ends with our side of the pipe. The file descriptors are moved
// about because a shell gives commands in the background an empty standard input.
static const char watched[] =
    "exec 3<&0; \"$@\" </dev/null 3<&- & w=$!; "
    "{ cat; kill -TERM $w; } <&3 3<&- >/dev/null 2>&1 & k=$!; exec 3<&-; "
    "wait $w; c=$?; kill $k 2>/dev/null; exit $c";

struct host {
    char *name;
    uint32_t slots;
    uint32_t failures; // in a row
    bool up, shown;
    struct engine_child ssh;
};

struct launcher {
    const struct launcher_opts *o;
    struct host *hosts;
    uint32_t n;
};

// ---- the file of hosts ----

static bool read_slots(const char *text, uint32_t *out)
{
    uint64_t n;
    if (strncmp(text, "slots=", 6) == 0) text += 6;
    if (units_count(text, &n) || n < 1 || n > SLOTS_MAX) return false;
    *out = (uint32_t)n;
    return true;
}

static err_t add_host(struct launcher *l, char *line, unsigned number, struct err *e)
{
    const char *file = l->o->hosts;
    char *rest = line, *word[3] = { NULL };
    size_t n = 0;
    line[strcspn(line, "#\r\n")] = 0;
    for (char *w; n < 3 && (w = strsep(&rest, " \t"));)
        if (*w) word[n++] = w;
    if (n == 0) return ERR_OK;
    struct host h = { .slots = l->o->slots,
                      .ssh = { .input = -1, .out = -1, .errors = -1 } };
    if (word[0][0] == '-')
        return err_set(e, ERR_INVALID, "%s:%u: '%.60s' is no host: it begins with a dash",
                       file, number, word[0]);
    if (n > 2 || (n == 2 && !read_slots(word[1], &h.slots)))
        return err_set(e, ERR_INVALID,
                       "%s:%u: '%.60s': behind the host stands how many slots it has, 1 to "
                       "%d, and nothing else",
                       file, number, word[n - 1], SLOTS_MAX);
    if (l->n == HOSTS_MAX)
        return err_set(e, ERR_INVALID, "%s: more than %d hosts", file, HOSTS_MAX);
    struct host *v = realloc(l->hosts, (l->n + 1) * sizeof *v);
    if (!v) return err_set(e, ERR_NOMEM, "out of memory");
    l->hosts = v;
    h.name = strdup(word[0]);
    if (!h.name) return err_set(e, ERR_NOMEM, "out of memory");
    v[l->n++] = h;
    return ERR_OK;
}

static err_t read_hosts(struct launcher *l, struct err *e)
{
    char *line = NULL;
    size_t cap = 0;
    err_t rc = ERR_OK;
    FILE *f = fopen(l->o->hosts, "re");
    if (!f) {
        err_sys(e, "cannot read the hosts file %s", l->o->hosts);
        return e ? e->code = ERR_INVALID : ERR_INVALID;
    }
    for (unsigned i = 1; rc == ERR_OK && getline(&line, &cap, f) >= 0; i++)
        rc = add_host(l, line, i, e);
    if (rc == ERR_OK && ferror(f)) rc = err_sys(e, "cannot read %s", l->o->hosts);
    if (rc == ERR_OK && l->n == 0)
        rc = err_set(e, ERR_INVALID,
                     "%s names no host: write one a line, with its slots behind it",
                     l->o->hosts);
    free(line);
    fclose(f);
    return rc;
}

static void free_all(struct launcher *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        engine_forget(&l->hosts[i].ssh);
        free(l->hosts[i].name);
    }
    free(l->hosts);
    free(l);
}

// Each host takes two files.
static void allow_files(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0) return;
    r.rlim_cur = r.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &r);
}

static err_t open_ssh(struct launcher **out, const struct launcher_opts *o, struct err *e)
{
    if (!o->hosts)
        return err_set(e, ERR_INVALID,
                       "ssh wants --hosts FILE: one host a line, with its slots behind it");
    struct launcher *l = calloc(1, sizeof *l);
    if (!l) return err_set(e, ERR_NOMEM, "out of memory");
    l->o = o;
    allow_files();
    err_t rc = read_hosts(l, e);
    if (rc == ERR_OK)
        *out = l;
    else
        free_all(l);
    return rc;
}

static uint32_t room(const struct launcher *l)
{
    return l->n;
}

// ---- starting ----

// What the login shell of the host gets, whichever that is: one line for /bin/sh.
static err_t remote_line(const struct launcher *l, const struct host *h, bool stays,
                         struct buf *out, struct err *e)
{
    struct strings words = { 0 };
    err_t rc = engine_add(&words, e, "exec", NULL);
    if (rc == ERR_OK && !l->o->keep)
        rc = engine_add(&words, e, "/bin/sh", "-c", watched, "tranche-scale", NULL);
    if (rc == ERR_OK) rc = launcher_worker(&words, l->o, h->slots, stays, e);
    if (rc == ERR_OK) rc = engine_text(out, &words, e);
    if (rc == ERR_OK) rc = buf_add(out, "", 1, e);
    strings_free(&words);
    return rc;
}

// Of an option that is given twice ssh takes the first: nobody is asked anything, but how
// long to wait is the user's.
static err_t ssh_line(const struct launcher *l, const struct host *h, bool stays,
                      struct strings *out, struct err *e)
{
    struct buf remote = { 0 };
    err_t rc = engine_add(out, e, "ssh", "-T", "-o", "BatchMode=yes", NULL);
    if (rc == ERR_OK) rc = engine_add_all(out, l->o->args, l->o->n_args, e);
    if (rc == ERR_OK)
        rc = engine_add(out, e, "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15",
                        "--", h->name, NULL);
    if (rc == ERR_OK) rc = remote_line(l, h, stays, &remote, e);
    if (rc == ERR_OK) rc = engine_add(out, e, (const char *)remote.p, NULL);
    buf_free(&remote);
    return rc;
}

static err_t start_on(struct launcher *l, struct host *h, bool stays, struct err *e)
{
    struct strings command = { 0 };
    err_t rc = ssh_line(l, h, stays, &command, e);
    if (rc == ERR_OK && l->o->show) {
        rc = engine_show(&command, l->o->show, e);
        h->shown = rc == ERR_OK;
    } else if (rc == ERR_OK) {
        engine_forget(&h->ssh);
        rc = engine_start(&command, l->o->keep ? 0 : ENGINE_INPUT, &h->ssh, e);
        h->up = rc == ERR_OK;
    }
    strings_free(&command);
    return rc;
}

// Of those without a worker the one that failed least; earlier lines first.
static struct host *next_host(struct launcher *l)
{
    struct host *best = NULL;
    for (uint32_t i = 0; i < l->n; i++) {
        struct host *h = &l->hosts[i];
        if (!h->up && !h->shown && (!best || h->failures < best->failures)) best = h;
    }
    return best;
}

static err_t start(struct launcher *l, uint32_t n, bool stays, struct err *e)
{
    for (struct host *h; n > 0 && (h = next_host(l)); n--)
        TRY(start_on(l, h, stays, e));
    return ERR_OK;
}

// ---- watching ----

static void on_end(struct host *h, int code, struct launcher_count *out)
{
    char said[ENGINE_SAID];
    h->up = false;
    if (code == 0) {
        h->failures = 0;
        out->ended_well++;
        return;
    }
    engine_said(&h->ssh, said);
    h->failures++;
    out->failed++;
    snprintf(out->why, sizeof out->why, "%.100s: %s %d%s%s", h->name,
             code == 255 ? "ssh ended with code" : "the worker ended with code", code,
             said[0] ? ": " : "", said);
}

static err_t count(struct launcher *l, struct launcher_count *out, struct err *e)
{
    int code;
    (void)e;
    *out = (struct launcher_count){ 0 };
    for (uint32_t i = 0; i < l->n; i++) {
        struct host *h = &l->hosts[i];
        if (h->up && engine_ended(&h->ssh, &code)) on_end(h, code, out);
        out->up += h->up;
    }
    return ERR_OK;
}

// All of them have begun, and which of them are idle they know best.
static err_t stop(struct launcher *l, uint32_t n, struct err *e)
{
    (void)l, (void)n, (void)e;
    return ERR_OK;
}

static void end_all(struct launcher *l)
{
    int code;
    for (uint32_t i = 0; i < l->n; i++) {
        struct engine_child *c = &l->hosts[i].ssh;
        if (c->input >= 0) close(c->input);
        c->input = -1;
    }
    ns_t until = clock_ns() + GOODBYE;
    for (uint32_t i = 0; i < l->n; i++) {
        struct engine_child *c = &l->hosts[i].ssh;
        if (c->pid) (void)engine_wait(c, until - clock_ns(), &code);
    }
}

static err_t close_ssh(struct launcher **l_, bool keep, struct err *e)
{
    struct launcher *l = *l_;
    (void)e;
    *l_ = NULL;
    if (!keep) end_all(l);
    for (uint32_t i = 0; keep && i < l->n; i++)
        l->hosts[i].ssh.pid = 0; // it goes on without us
    free_all(l);
    return ERR_OK;
}

const struct launcher_ops launcher_ssh = { "ssh", open_ssh, room,     start,
                                           count, stop,     close_ssh };
