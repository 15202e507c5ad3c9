// serve_kit - a server without a socket: its lines are a list of what comes in and a note
// of what it last said, and the programs of its jobs are functions of the test.

#ifndef TESTS_SERVE_KIT_H
#define TESTS_SERVE_KIT_H

#include "coordinator/serve_impl.h"
#include "coordinator/submission.h"
#include "tests/failing_processes.h"
#include "tests/source_kit.h"

// ---- lines

struct came { // a message that waits to be received
    err_t rc; // else it is none, and the link says so
    struct link_peer from;
    struct msg m;
    struct buf payload; // the kit's
    bool damaged;
};

static struct {
    struct came in[SERVE_LINKS];
    bool waits[SERVE_LINKS];
    struct came *now; // that was received
    struct msg said;  // the last answer; its texts are gone, but for `text`
    char text[1200];
    unsigned answers, posts, hung_up;
    struct buf said_payload;
    err_t sends; // how link_send ends
    int fd;      // for poll
} line = { .fd = -1 };

static inline int line_of(const struct link *l)
{
    return (int)((uintptr_t)l - 1);
}

static inline struct link *line_link(int i)
{
    return (struct link *)(uintptr_t)(i + 1);
}

#define WRAPPED(type, name, params) \
    type __wrap_##name params;      \
    type __wrap_##name params

err_t __real_link_recv(struct link *l, struct link_peer *p, struct link_in **out,
                       struct err *e);
WRAPPED(err_t, link_recv,
        (struct link * l, struct link_peer *p, struct link_in **out, struct err *e))
{
    int i = line_of(l);
    *out = NULL;
    if (!line.waits[i]) return ERR_OK;
    line.waits[i] = false;
    line.now = &line.in[i];
    *p = line.now->from;
    if (line.now->rc != ERR_OK) return err_set(e, line.now->rc, "what came is broken");
    *out = (struct link_in *)line.now;
    return ERR_OK;
}

const struct msg *__real_link_msg(const struct link_in *in);
WRAPPED(const struct msg *, link_msg, (const struct link_in *in))
{
    return &((const struct came *)(const void *)in)->m;
}

struct slice __real_link_payload(const struct link_in *in);
WRAPPED(struct slice, link_payload, (const struct link_in *in))
{
    const struct came *c = (const void *)in;
    return (struct slice){ c->payload.p, c->payload.n };
}

bool __real_link_check(const struct link_in *in);
WRAPPED(bool, link_check, (const struct link_in *in))
{
    return !((const struct came *)(const void *)in)->damaged;
}

void __real_link_in_free(struct link_in **in);
WRAPPED(void, link_in_free, (struct link_in * *in))
{
    *in = NULL;
}

static inline void note_said(const struct msg *m)
{
    struct msg_str text = m->type == MSG_REFUSED ? m->REFUSED.text
                          : m->type == MSG_DONE  ? m->DONE.text
                                                 : (struct msg_str){ 0 };
    line.said = *m;
    snprintf(line.text, sizeof line.text, "%.*s", (int)text.n, text.p);
}

err_t __real_link_send(struct link *l, const struct link_peer *p, struct msg *m, void *data,
                       size_t n, link_free_fn *fn, void *hint, struct err *e);
WRAPPED(err_t, link_send,
        (struct link * l, const struct link_peer *p, struct msg *m, void *data, size_t n,
         link_free_fn *fn, void *hint, struct err *e))
{
    (void)l, (void)p;
    note_said(m);
    line.answers++;
    line.said_payload.n = 0;
    if (n) memcpy(line.said_payload.p, data, n < line.said_payload.cap ? n : 0);
    if (n) line.said_payload.n = n;
    if (data && fn) fn(data, hint);
    return line.sends == ERR_OK ? ERR_OK : err_set(e, line.sends, "the line is busy");
}

err_t __real_link_post(struct link *l, const struct link_peer *p, struct msg *m, void *data,
                       size_t n, link_free_fn *fn, void *hint, struct err *e);
WRAPPED(err_t, link_post,
        (struct link * l, const struct link_peer *p, struct msg *m, void *data, size_t n,
         link_free_fn *fn, void *hint, struct err *e))
{
    (void)l, (void)p, (void)data, (void)n, (void)fn, (void)hint;
    note_said(m);
    line.posts++;
    return line.sends == ERR_OK ? ERR_OK : err_set(e, line.sends, "the line is busy");
}

bool __real_link_flush(struct link *l);
WRAPPED(bool, link_flush, (struct link * l))
{
    (void)l;
    return true;
}

void __real_link_hang_up(struct link *l, const struct link_peer *p);
WRAPPED(void, link_hang_up, (struct link * l, const struct link_peer *p))
{
    (void)l, (void)p;
    line.hung_up++;
}

enum link_state __real_link_state(struct link *l, struct link_events *out);
WRAPPED(enum link_state, link_state, (struct link * l, struct link_events *out))
{
    (void)l;
    *out = (struct link_events){ 0 };
    return LINK_OPEN;
}

err_t __real_link_listen(struct link **out, const char *endpoint, const struct link_opts *o,
                         struct err *e);
WRAPPED(err_t, link_listen,
        (struct link * *out, const char *endpoint, const struct link_opts *o,
         struct err *e))
{
    if (failing_now(FAILING_FILES, "link_listen"))
        return err_sys(e, "cannot listen on %s", endpoint);
    *out = line_link(o->keys ? SERVE_TCP : SERVE_IPC);
    return ERR_OK;
}

const char *__real_link_endpoint(const struct link *l);
WRAPPED(const char *, link_endpoint, (const struct link *l))
{
    (void)l;
    return "tcp://here:1";
}

int __real_link_fd(const struct link *l);
WRAPPED(int, link_fd, (const struct link *l))
{
    (void)l;
    return line.fd;
}

void __real_link_close(struct link **l, int linger_ms);
WRAPPED(void, link_close, (struct link * *l, int linger_ms))
{
    (void)linger_ms;
    *l = NULL;
}

// ---- what is said to people

static struct {
    char text[1200]; // the last line on standard error
    unsigned lines;
} heard;

void __real_say_to(FILE *to, const char *fmt, ...);
void __wrap_say_to(FILE *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void __wrap_say_to(FILE *to, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (to == stderr) {
        vsnprintf(heard.text, sizeof heard.text, fmt, ap);
        heard.lines++;
    } else {
        say_to_v(to, fmt, ap);
    }
    va_end(ap);
}

// ---- programs of jobs

static void (*program)(void); // what a job's process does; it ends well when it comes back

int __real_execv(const char *path, char *const *argv);
WRAPPED(int, execv, (const char *path, char *const *argv))
{
    (void)path, (void)argv;
    if (failing_now(FAILING_FILES, "execv")) return -1;
    failing.left = -1;
    if (program) program();
    _exit(0);
}

// ---- the server

static struct folder top;
static struct serve_opts opts = { .jobs = 2, .output = OUTPUT_QUIET };
static struct serve *server;

static inline void serve_kit_open(void)
{
    struct err e;
    char note[200], path[SERVE_PATH + 16];
    top = folder_new();
    server = calloc(1, sizeof *server);
    assert_non_null(server);
    server->opts = &opts;
    server->signals = server->folder = -1;
    snprintf(server->state, sizeof server->state, "%s/state", top.path);
    snprintf(server->owner, sizeof server->owner, "me");
    PASS(&e, run_lock_take(&server->lock, server->state, SERVE_LOCK, &e));
    snprintf(path, sizeof path, "%s/" SERVE_FOLDER, server->state);
    assert_int_equal(0, mkdir(path, 0700));
    snprintf(server->logs, sizeof server->logs, "%s/logs", path);
    assert_int_equal(0, mkdir(server->logs, 0700));
    PASS(&e, backlog_open(&server->backlog, server->state, note, sizeof note, &e));
    server->link[SERVE_IPC] = line_link(SERVE_IPC);
    PASS(&e, buf_reserve(&line.said_payload, 1 << 20, &e));
    assert_int_equal(0, chdir(server->state));
}

static inline void serve_kit_close(void)
{
    backlog_close(&server->backlog);
    run_lock_release(&server->lock);
    gate_free(&server->gate);
    free(server);
    buf_free(&line.said_payload);
    for (int i = 0; i < SERVE_LINKS; i++)
        buf_free(&line.in[i].payload);
    memset(line.waits, 0, sizeof line.waits);
    assert_int_equal(0, chdir("/"));
    folder_rm(&top);
}

// A job of these words ("--range|3|..."), as bytes.
static inline struct buf serve_kit_job(const char *folder, const char *words)
{
    struct err e;
    struct submission s = { .folder = strdup(folder) };
    struct buf out = { 0 };
    char copy[400];
    snprintf(copy, sizeof copy, "%s", words);
    for (char *rest = copy, *word; (word = strsep(&rest, "|"));)
        PASS(&e, strings_add(&s.words, word, strlen(word), &e));
    PASS(&e, submission_encode(&s, &out, &e));
    submission_free(&s);
    return out;
}

static inline int64_t serve_kit_queue(const char *loads)
{
    static uint64_t token;
    struct err e;
    bool again;
    int64_t id = 0;
    struct backlog_new n = { .token = { ++token, 1 },
                             .priority = BACKLOG_PRIORITY,
                             .name = "name",
                             .owner = "me",
                             .folder = "/tmp",
                             .loads = loads,
                             .spec = { (const uint8_t *)"spec", 4 } };
    PASS(&e, backlog_add(server->backlog, &n, &id, &again, &e));
    return id;
}

struct serve_kit_seen {
    enum backlog_state state;
    int exit_code;
    uint32_t starts, n;
    char error[300];
};

static inline bool serve_kit_see(void *arg, const struct backlog_job *j)
{
    struct serve_kit_seen *s = arg;
    s->state = j->state;
    s->exit_code = j->exit_code;
    s->starts = j->starts;
    snprintf(s->error, sizeof s->error, "%s", j->error);
    s->n++;
    return true;
}

static inline struct serve_kit_seen serve_kit_look(int64_t id)
{
    struct err e;
    struct serve_kit_seen s = { 0 };
    PASS(&e, backlog_each(server->backlog, id, 1000, serve_kit_see, &s, &e));
    return s;
}

#endif
