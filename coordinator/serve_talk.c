// What clients ask and are told. Only what stands in the backlog is told as done.

#include "coordinator/serve_impl.h"

#include "coordinator/submission.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TAKE_MAX = 256, // messages in one turn: children wait, too
    LIST_MAX = 1000,
    PIECE_BYTES = 64 << 10,
    STRIKES = 3,
};
static const ns_t WATCH = 60 * NS_S; // who still waits has asked again by then

// ---- answers ----

static void free_piece(void *data, void *hint)
{
    (void)hint;
    free(data);
}

// An answer that does not get through is asked for again.
static void answer(struct serve *s, const struct question *q, struct msg *m, struct buf *b)
{
    struct err e;
    m->sid = q->ask;
    if (b && b->n) m->payload_hash = hash_bytes(b->p, b->n);
    void *p = b ? b->p : NULL;
    size_t n = b ? b->n : 0;
    if (b && !n) buf_free(b), p = NULL;
    err_t rc = link_send(q->link, q->peer, m, p, n, free_piece, NULL, &e);
    if (b) *b = (struct buf){ 0 };
    if (rc != ERR_OK && rc != ERR_CLOSED && rc != ERR_BUSY) serve_say(s, "talk", 0, e.text);
}

static void refuse(struct serve *s, const struct question *q, err_t code, const char *text)
{
    size_t n = strlen(text);
    struct msg m = { .type = MSG_REFUSED,
                     .REFUSED = { code, msg_str(text, n < 1000 ? n : 1000) } };
    answer(s, q, &m, NULL);
}

static struct msg_str say_str(const char *text)
{
    return msg_str(text, strlen(text));
}

static void done(struct serve *s, const struct question *q, uint64_t count,
                 const char *text)
{
    struct msg m = { .type = MSG_DONE, .DONE = { count, say_str(text) } };
    answer(s, q, &m, NULL);
}

struct telling {
    const struct question *q;
    uint32_t n;
    bool over; // of the last one
};

static bool tell_entry(void *arg, const struct backlog_job *j)
{
    struct telling *t = arg;
    struct err e;
    struct msg m = { .type = MSG_ENTRY,
                     .sid = t->q->ask,
                     .ENTRY = { .job = (uint64_t)j->id,
                                .state = j->state,
                                .priority = j->priority,
                                .starts = j->starts,
                                .stopping = j->stopping,
                                .exit_code = (uint64_t)j->exit_code,
                                .submitted_ms = (uint64_t)j->submitted_ms,
                                .started_ms = (uint64_t)j->started_ms,
                                .ended_ms = (uint64_t)j->ended_ms,
                                .name = say_str(j->name),
                                .owner = say_str(j->owner),
                                .folder = say_str(j->folder),
                                .file = say_str(j->file),
                                .run = say_str(j->run),
                                .text = say_str(j->error) } };
    t->n++;
    t->over = backlog_is_over(j->state);
    return link_post(t->q->link, t->q->peer, &m, NULL, 0, NULL, NULL, &e) == ERR_OK;
}

// ---- those who wait ----

static bool same_peer(const struct link_peer *a, const struct link_peer *b)
{
    return a->link == b->link && a->n == b->n && memcmp(a->id, b->id, a->n) == 0;
}

// Its own earlier one, a free one, or else that of whoever has waited longest.
static void watch(struct serve *s, const struct question *q, bool reads, int64_t job,
                  uint64_t at)
{
    struct watcher *best = &s->watcher[0];
    for (int i = 0; i < WATCHERS_MAX; i++) {
        struct watcher *w = &s->watcher[i];
        if (w->ask && w->reads == reads && w->job == job && same_peer(&w->peer, q->peer)) {
            best = w;
            break;
        }
        if (best->ask && (!w->ask || w->since < best->since)) best = w;
    }
    *best = (struct watcher){ .peer = *q->peer,
                              .ask = q->ask,
                              .reads = reads,
                              .job = job,
                              .at = at,
                              .since = clock_ns() };
}

// False: nothing is there to be read, and more may come.
static bool send_piece(struct serve *s, const struct question *q, int64_t job, uint64_t at,
                       bool over, bool even_empty)
{
    struct buf b = { 0 };
    struct msg m = { .type = MSG_LOGGED, .LOGGED = { .job = (uint64_t)job, .at = at } };
    err_t rc = job_log_read(s->logs, job, &m.LOGGED.at, PIECE_BYTES, &b, &m.LOGGED.end,
                            &s->scratch);
    if (rc != ERR_OK) {
        buf_free(&b);
        refuse(s, q, rc, s->scratch.text);
        return true;
    }
    bool some = b.n || over;
    m.LOGGED.over = over;
    if (some || even_empty)
        answer(s, q, &m, &b);
    else
        buf_free(&b);
    return some;
}

void serve_tell_watchers(struct serve *s, int64_t job, bool over)
{
    for (int i = 0; i < WATCHERS_MAX; i++) {
        struct watcher w = s->watcher[i];
        if (!w.ask || w.job != job || (!w.reads && !over)) continue;
        struct question q = { &w.peer, w.ask, s->link[w.peer.link] };
        struct telling t = { .q = &q };
        if (w.reads && !send_piece(s, &q, job, w.at, over, false)) continue;
        if (!w.reads &&
            backlog_each(s->backlog, job, 1, tell_entry, &t, &s->scratch) != ERR_OK)
            refuse(s, &q, ERR_DB, s->scratch.text);
        s->watcher[i].ask = 0;
    }
    for (int i = 0; i < SERVE_LINKS; i++)
        if (s->link[i]) link_flush(s->link[i]);
}

// ---- questions ----

static err_t check_job(struct serve *s, const struct submission *x, struct cli *c,
                       struct err *e)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) return err_set(e, ERR_NOMEM, "out of memory");
    static char listen_flag[] = "--listen";
    char *more[] = { listen_flag, (char *)(uintptr_t)s->opts->listen_workers, NULL };
    int code = submission_read(x, more[1] ? more : NULL, c, f, f);
    err_t rc = fclose(f) == 0 && text ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
    // There is no port for workers of other hosts, and only those are wanted.
    bool port = rc == ERR_OK && n && !more[1] && strstr(text, "through --listen");
    if (rc == ERR_OK && (code == CLI_INTERRUPTED || code == CLI_INFRASTRUCTURE))
        rc = err_set(e, ERR_NOMEM, "out of memory"); // nothing is written but to memory
    if (rc == ERR_OK && code >= 0)
        rc = err_set(e, ERR_INVALID, "%s%s", n ? text : "this is no job",
                     port ? "here: tranche serve --listen-workers tcp://HOST:PORT" : "");
    free(text);
    return rc == ERR_OK ? submission_fits(x, c, e) : rc;
}

static err_t take_job(struct serve *s, const struct question *q, struct link_in *in,
                      const struct submission *x, struct msg *m, struct err *e)
{
    const struct msg_SUBMIT *ask = &link_msg(in)->SUBMIT;
    struct cli c = { 0 };
    struct buf loads = { 0 };
    char owner[KEYS_NAME + sizeof s->owner];
    bool again = false;
    int64_t id = 0;
    snprintf(owner, sizeof owner, "%s", s->owner);
    if (q->peer->link == SERVE_TCP) gate_name(q->peer->user, owner);
    err_t rc = check_job(s, x, &c, e);
    if (rc == ERR_OK) rc = submission_loads(&c, &loads, e);
    struct backlog_new new = { .token = ask->token,
                               .priority = (uint32_t)ask->priority,
                               .name = c.is_pipeline ? c.pipeline.name : c.job.name,
                               .owner = owner,
                               .folder = x->folder,
                               .file = x->file,
                               .loads = (const char *)loads.p,
                               .spec = link_payload(in) };
    if (rc == ERR_OK) rc = backlog_add(s->backlog, &new, &id, &again, e);
    *m = (struct msg){ .type = MSG_TAKEN, .TAKEN = { (uint64_t)id, again } };
    buf_free(&loads);
    cli_close(&c);
    return rc;
}

static err_t on_submit(struct serve *s, const struct question *q, struct link_in *in,
                       struct err *e)
{
    struct submission x;
    struct msg m;
    if (s->stopping)
        return err_set(e, ERR_CLOSED, "the server is stopping; submit it to the next one");
    if (link_msg(in)->SUBMIT.priority > BACKLOG_PRIORITY_MAX)
        return err_set(e, ERR_INVALID, "a priority is 0 to %d", BACKLOG_PRIORITY_MAX);
    if (!link_check(in)) return err_set(e, ERR_PROTO, "the job arrived damaged");
    struct slice p = link_payload(in);
    err_t rc = submission_decode(&x, p.p, p.n, e);
    if (rc == ERR_OK && chdir(x.folder) != 0)
        rc = err_sys(e, "the folder %s, where the server runs", x.folder);
    if (rc == ERR_OK) rc = take_job(s, q, in, &x, &m, e);
    submission_free(&x);
    if (chdir(s->state) != 0 && rc == ERR_OK) rc = err_sys(e, "%s", s->state);
    TRY(rc);
    s->look = true;
    if (!m.TAKEN.again) serve_say(s, "submitted", (int64_t)m.TAKEN.job, "is submitted");
    answer(s, q, &m, NULL);
    return ERR_OK;
}

static err_t on_list(struct serve *s, const struct question *q, const struct msg_LIST *ask,
                     struct err *e)
{
    struct telling t = { .q = q };
    uint32_t most = ask->most < LIST_MAX ? (uint32_t)ask->most : LIST_MAX;
    TRY(backlog_each(s->backlog, (int64_t)(ask->job & INT64_MAX), most, tell_entry, &t, e));
    done(s, q, t.n, "");
    return ERR_OK;
}

static err_t no_such(uint64_t job, struct err *e)
{
    return err_set(e, ERR_INVALID, "there is no job %llu; 'tranche jobs' lists them",
                   (unsigned long long)job);
}

static err_t on_watch(struct serve *s, const struct question *q, uint64_t job,
                      struct err *e)
{
    struct telling t = { .q = q };
    if (!job || job > INT64_MAX) return no_such(job, e);
    TRY(backlog_each(s->backlog, (int64_t)job, 1, tell_entry, &t, e));
    if (!t.n) return no_such(job, e);
    if (!t.over) watch(s, q, false, (int64_t)job, 0);
    return ERR_OK;
}

static err_t on_abort(struct serve *s, const struct question *q, uint64_t job,
                      struct err *e)
{
    bool runs;
    if (!job || job > INT64_MAX) return no_such(job, e);
    TRY(backlog_cancel(s->backlog, (int64_t)job, &runs, e));
    struct child *c = serve_child_of(s, (int64_t)job);
    if (runs && c) serve_stop_child(s, c);
    serve_say(s, "cancel", (int64_t)job, runs ? "is being stopped" : "is cancelled");
    if (!runs) serve_tell_watchers(s, (int64_t)job, true);
    done(s, q, runs, runs ? "is being stopped" : "is cancelled");
    return ERR_OK;
}

static bool look_whether_over(void *arg, const struct backlog_job *j)
{
    *(int *)arg = backlog_is_over(j->state);
    return true;
}

static err_t on_read(struct serve *s, const struct question *q, const struct msg_READ *ask,
                     struct err *e)
{
    int over = -1;
    if (!ask->job || ask->job > INT64_MAX) return no_such(ask->job, e);
    int64_t job = (int64_t)ask->job;
    TRY(backlog_each(s->backlog, job, 1, look_whether_over, &over, e));
    if (over < 0) return no_such(ask->job, e);
    if (!send_piece(s, q, job, ask->at, over, true) && ask->follow)
        watch(s, q, true, job, ask->at);
    return ERR_OK;
}

static err_t on_crew(struct serve *s, const struct question *q, uint64_t most,
                     struct err *e)
{
    uint64_t n = 0;
    TRY(serve_crew(s, q, most < LIST_MAX ? (uint32_t)most : LIST_MAX, &n, e));
    done(s, q, n, "");
    return ERR_OK;
}

static err_t on_retire(struct serve *s, const struct question *q, struct msg_str name,
                       struct err *e)
{
    TRY(serve_retire(s, name, e));
    done(s, q, 1, "ends what it has, and leaves");
    return ERR_OK;
}

static err_t act(struct serve *s, const struct question *q, struct link_in *in,
                 struct err *e)
{
    const struct msg *m = link_msg(in);
    switch (m->type) {
    case MSG_SUBMIT: return on_submit(s, q, in, e);
    case MSG_LIST: return on_list(s, q, &m->LIST, e);
    case MSG_WATCH: return on_watch(s, q, m->WATCH.job, e);
    case MSG_ABORT: return on_abort(s, q, m->ABORT.job, e);
    case MSG_READ: return on_read(s, q, &m->READ, e);
    case MSG_CREW: return on_crew(s, q, m->CREW.most, e);
    case MSG_RETIRE: return on_retire(s, q, m->RETIRE.name, e);
    default:
        return err_set(e, ERR_PROTO, "%s is no question of a client",
                       msg_type_name(m->type));
    }
}

// ---- who asks ----

// Who breaks the rules again and again stays outside until the server is started anew.
static void strike(struct serve *s, const struct link_peer *p)
{
    struct striker *x = NULL;
    if (p->link != SERVE_TCP || !p->user[0]) return;
    for (int i = 0; i < STRIKERS && !x; i++)
        if (strcmp(s->striker[i].user, p->user) == 0) x = &s->striker[i];
    if (!x) {
        x = &s->striker[s->next_striker++ % STRIKERS];
        *x = (struct striker){ 0 };
        snprintf(x->user, sizeof x->user, "%s", p->user);
    }
    if (++x->n < STRIKES) return;
    gate_ban(s->gate, p->user);
    link_hang_up(s->link[SERVE_TCP], p);
}

static void on_message(struct serve *s, const struct question *q, struct link_in *in)
{
    struct err e;
    if (q->peer->link == SERVE_TCP) gate_reload(s->gate, false, &e);
    if (q->peer->link == SERVE_TCP && !gate_allows(s->gate, q->peer->user)) {
        refuse(s, q, ERR_INVALID, "the key of this client is not allowed any more");
        link_hang_up(q->link, q->peer);
        return;
    }
    err_t rc = act(s, q, in, &e);
    if (rc == ERR_PROTO) strike(s, q->peer);
    if (rc != ERR_OK) refuse(s, q, rc, e.text);
}

static int take_from(struct serve *s, uint8_t link)
{
    int n = 0;
    for (; s->link[link] && n < TAKE_MAX; n++) {
        struct link_peer p = { 0 };
        struct link_in *in = NULL;
        err_t rc = link_recv(s->link[link], &p, &in, &s->scratch);
        p.link = link;
        if (rc == ERR_OK && !in) break;
        struct question q = { &p, in ? link_msg(in)->sid : 0, s->link[link] };
        if (rc == ERR_PROTO) {
            if (p.n) refuse(s, &q, rc, s->scratch.text);
            strike(s, &p);
        } else if (rc != ERR_OK) {
            serve_trouble(s, &s->scratch);
            break;
        } else {
            on_message(s, &q, in);
        }
        link_in_free(&in);
    }
    if (s->link[link]) link_flush(s->link[link]);
    return n;
}

bool serve_take_messages(struct serve *s)
{
    int n = 0;
    for (int i = 0; i < SERVE_LINKS; i++)
        n += take_from(s, (uint8_t)i);
    return n > 0;
}

void serve_mind_peers(struct serve *s, ns_t now)
{
    struct link_events news;
    struct err why;
    char line[400];
    for (int i = 0; i < WATCHERS_MAX; i++) {
        struct watcher *w = &s->watcher[i];
        bool out = w->ask && w->peer.link == SERVE_TCP && s->gate &&
                   !gate_allows(s->gate, w->peer.user);
        if (w->ask && (out || now - w->since > WATCH)) w->ask = 0;
    }
    if (!s->link[SERVE_TCP]) return;
    link_state(s->link[SERVE_TCP], &news);
    why.text[0] = 0;
    gate_reload(s->gate, false, &why);
    if (why.text[0]) serve_say(s, "keys", 0, why.text);
    if (gate_news(s->gate, now, line, sizeof line)) serve_say(s, "keys", 0, line);
}
