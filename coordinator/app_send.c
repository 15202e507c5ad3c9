// Messages to workers, and chunks on their way out: as a path, as bytes that are held
// anyway, or as bytes that are read again for a worker that does not see the file.

#include "coordinator/app_impl.h"

#include <stdio.h>
#include <string.h>

// Until the loop is about to sleep. Of all others there are few.
static bool can_wait(enum msg_type type)
{
    return type == MSG_ASSIGN || type == MSG_COMMITTED || type == MSG_CANCEL;
}

bool app_post(struct app *a, struct session *s, struct msg *m, void *payload, size_t n,
              link_free_fn *free_fn, void *hint)
{
    m->epoch = a->in->load->epoch;
    m->sid = s->sid;
    s->sent = clock_ns();
    struct link *l = a->in->link[s->peer.link];
    err_t rc = (can_wait(m->type) ? link_post : link_send)(l, &s->peer, m, payload, n,
                                                           free_fn, hint, &a->scratch);
    s->gone |= rc == ERR_CLOSED;
    s->missed |= rc != ERR_OK && rc != ERR_CLOSED && rc != ERR_BUSY;
    return rc == ERR_OK;
}

// To a peer without a session. That it does not arrive is no news.
static void post_to_peer(struct app *a, const struct link_peer *p, struct msg *m)
{
    if (link_send(a->in->link[p->link], p, m, NULL, 0, NULL, NULL, &a->scratch) != ERR_OK)
        a->scratch.text[0] = 0;
}

void app_refuse(struct app *a, const struct link_peer *p, err_t code, const char *text)
{
    struct msg m = { .type = MSG_REFUSED,
                     .REFUSED = { code, msg_str(text, strlen(text)) } };
    post_to_peer(a, p, &m);
}

void app_reset(struct app *a, const struct link_peer *p, uint64_t sid, const char *why)
{
    struct msg m = { .type = MSG_RESET,
                     .epoch = a->in->load->epoch,
                     .sid = sid,
                     .RESET = { msg_str(why, strlen(why)) } };
    post_to_peer(a, p, &m);
}

void app_send_committed(struct app *a, uint64_t sid, const struct lease *l)
{
    struct session *s = session_by_sid(&a->sessions, sid);
    if (!s) return;
    struct msg m = { .type = MSG_COMMITTED };
    LEASE_PUT(&m.COMMITTED, l);
    app_post(a, s, &m, NULL, 0, NULL, NULL);
}

struct lease app_lease(struct app *a, const struct work *k, uint64_t sid, uint32_t attempt)
{
    struct lease l = { .input = (uint32_t)k->key.input,
                       .begin = k->key.begin,
                       .end = k->key.end,
                       .attempt = attempt,
                       .epoch = a->in->load->epoch,
                       .sid = sid };
    lease_sign(&l, a->in->secret);
    return l;
}

static struct msg assign_msg(struct app *a, const struct work *k, uint64_t sid,
                             uint32_t attempt)
{
    const struct chunk_data *c = k->chunk->data;
    struct lease l = app_lease(a, k, sid, attempt);
    struct msg m = { .type = MSG_ASSIGN,
                     .ASSIGN = { .job = a->job,
                                 .digest = c->digest,
                                 .records = c->records,
                                 .first_line = c->first_line } };
    LEASE_PUT(&m.ASSIGN, &l);
    return m;
}

void app_ask_fetch(struct app *a, const struct fetched *what)
{
    err_t rc = ERR_OK;
    if (!a->fetch)
        rc = fetch_start(&a->fetch, a->in->source, a->in->job->memory_bytes / 4,
                         &a->scratch);
    if (rc == ERR_OK) rc = fetch_ask(a->fetch, what, &a->scratch);
    if (rc == ERR_OK) return;
    if (what->lent) work_return(NULL, what->lent);
    app_fails(a, &a->scratch);
}

// Bytes that must be read, or packed, before they go.
static void ask_for_bytes(struct app *a, const struct session *s, struct work *k,
                          uint32_t attempt)
{
    const struct chunk_data *c = k->chunk->data;
    struct fetched f = { .range = c->range,
                         .first_line = c->first_line,
                         .digest = c->digest,
                         .about = source_chunk_bytes(a->in->source, c),
                         .chunk = k->id,
                         .sid = s->sid,
                         .attempt = attempt,
                         .held = c->bytes ? c : NULL,
                         .lent = c->bytes ? work_lend(k) : NULL,
                         .pack = s->line.pack };
    app_ask_fetch(a, &f);
}

// Without device and inode it is known by path, size and time. Of a table it is the state
// that counts.
static void name_file(struct msg_ASSIGN *m, const struct session *s,
                      const struct source_input *in)
{
    m->path = msg_str(in->path, strlen(in->path));
    m->dev = s->by_inode ? (uint64_t)in->dev : 0;
    m->ino = s->by_inode ? (uint64_t)in->ino : 0;
    m->size = in->size;
    m->mtime_ns = (uint64_t)in->mtime_ns;
    if (in->in_rows) m->digest = in->proof;
}

static bool goes_by_path(const struct session *s, const struct source_input *in)
{
    return in->path && (s->by_inode || (s->by_name && !in->in_rows));
}

// False: it was not taken. *later: its bytes are read or packed first.
static bool send_chunk(struct app *a, struct session *s, struct work *k,
                       const struct sched_action *x, bool *later)
{
    const struct chunk_data *c = k->chunk->data;
    uint32_t n;
    const struct source_input *in = &source_inputs(a->in->source, &n)[c->range.input];
    struct msg m = assign_msg(a, k, s->sid, x->attempt);
    *later = false;
    if (c->bytes && !s->line.pack) {
        m.payload_hash = c->digest;
        return app_post(a, s, &m, c->bytes, c->held, work_return, work_lend(k));
    }
    if (!c->bytes && in->in_rows && !c->unread)
        return app_post(a, s, &m, NULL, 0, NULL, NULL);
    if (!c->bytes && goes_by_path(s, in)) {
        name_file(&m.ASSIGN, s, in);
        s->by_path++;
        return app_post(a, s, &m, NULL, 0, NULL, NULL);
    }
    *later = true;
    ask_for_bytes(a, s, k, x->attempt);
    return true;
}

static void say_unseen(struct app *a, const struct session *s)
{
    char line[300];
    uint32_t n;
    snprintf(
        line, sizeof line,
        "%.100s: worker %s does not see the state that is read (somebody writes to it): "
        "its rows are sent to it",
        source_inputs(a->in->source, &n)->name, s->name);
    app_say(a, "input", line);
}

bool app_send_bytes(struct app *a, struct session *s, struct work *k, uint32_t attempt)
{
    const struct chunk_data *c = k->chunk->data;
    if (s->by_path == 0 || c->bytes || (s->peer.link != APP_TCP && !c->unread))
        return false;
    s->by_path--;
    if (c->unread && s->by_inode) say_unseen(a, s);
    s->by_inode = s->by_name = false;
    s->to_read++;
    ask_for_bytes(a, s, k, attempt);
    app_is_on_its_way(a, s, k, attempt, false);
    return true;
}

void app_assign(struct app *a, const struct sched_action *x)
{
    struct session *s = session_by_sid(&a->sessions, x->worker);
    struct work *k = work_by_id(&a->works, x->chunk);
    bool later;
    if (!s || !k) return; // gone meanwhile: the scheduler hears of it by its own event
    app_look_at_line(a, s, clock_ns());
    bool away = send_chunk(a, s, k, x, &later);
    s->to_read += later;
    if (away)
        app_is_on_its_way(a, s, k, x->attempt, !later);
    else // gone, or deaf: somebody else shall have it
        sched_failed(a->sched, s->sid, k->id, x->attempt, FAIL_NOT_ITS, clock_ns());
}

void app_fetched_sent(void *data, void *hint)
{
    struct fetched *x = hint;
    (void)data;
    fetched_free(&x);
}

static void send_fetched(struct app *a, struct fetched *x)
{
    struct session *s = session_by_sid(&a->sessions, x->sid);
    struct work *k = work_by_id(&a->works, x->chunk);
    if (s && s->to_read) s->to_read--;
    if (x->code != ERR_OK) app_fails(a, &x->e);
    if (!s || !k || x->code != ERR_OK) {
        fetched_free(&x);
        return;
    }
    struct msg m = assign_msg(a, k, s->sid, x->attempt);
    m.payload_hash = m.ASSIGN.digest = x->digest;
    m.unpacked = (uint32_t)x->unpacked;
    uint32_t attempt = x->attempt; // x goes with the message
    if (app_post(a, s, &m, (void *)(uintptr_t)x->p, x->n, app_fetched_sent, x))
        app_is_on_its_way(a, s, k, attempt, true);
    else
        sched_failed(a->sched, s->sid, k->id, attempt, FAIL_NOT_ITS, clock_ns());
}

void app_take_fetched(struct app *a)
{
    for (struct fetched *x; a->fetch && !a->over && (x = fetch_next(a->fetch));) {
        if (x->file)
            app_send_piece(a, x);
        else
            send_fetched(a, x);
    }
}
