#include "coordinator/app_impl.h"

#include "common/crash.h"
#include "proto/fail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ACTIONS_MAX = 256, // handled in one go: their attempts share a journal group
    TOLD_SINGLE = 40,  // failed attempts on single rows that are told one by one
};

// ---- sending ----

bool app_post(struct app *a, struct session *s, struct msg *m, void *payload, size_t n,
              link_free_fn *free_fn, void *hint)
{
    m->epoch = a->in->load->epoch;
    m->sid = s->sid;
    s->sent = clock_ns();
    return link_send(a->in->link, &s->peer, m, payload, n, free_fn, hint, &a->scratch) ==
           ERR_OK;
}

static struct lease lease_new(struct app *a, const struct work *k, uint64_t sid,
                              uint32_t attempt)
{
    struct lease l = { .input = (uint32_t)k->key.input,
                       .begin = k->key.begin,
                       .end = k->key.end,
                       .attempt = attempt,
                       .epoch = a->in->load->epoch,
                       .sid = sid };
    lease_sign(&l, a->secret);
    return l;
}

static void assign(struct app *a, const struct sched_action *x)
{
    struct session *s = session_by_sid(&a->sessions, x->worker);
    struct work *k = work_by_id(&a->works, x->chunk);
    if (!s || !k) return; // gone meanwhile: the scheduler hears of it by its own event
    const struct chunk_data *c = k->chunk->data;
    uint32_t n;
    const struct source_input *in = &source_inputs(a->in->source, &n)[c->range.input];
    struct lease l = lease_new(a, k, s->sid, x->attempt);
    struct msg m = { .type = MSG_ASSIGN,
                     .ASSIGN = { .job = a->job,
                                 .digest = c->digest,
                                 .records = c->records,
                                 .first_line = c->first_line } };
    LEASE_PUT(&m.ASSIGN, &l);
    bool sent;
    if (c->bytes) {
        size_t bytes = (size_t)(c->range.end - c->range.begin);
        m.payload_hash = c->digest;
        sent = app_post(a, s, &m, c->bytes, bytes, work_return, work_lend(k));
    } else {
        m.ASSIGN.path = msg_str(in->path, strlen(in->path));
        m.ASSIGN.dev = in->dev;
        m.ASSIGN.ino = in->ino;
        sent = app_post(a, s, &m, NULL, 0, NULL, NULL);
    }
    if (!sent) // gone, or deaf: somebody else shall have it
        sched_failed(a->sched, s->sid, k->id, x->attempt, FAIL_NOT_ITS, clock_ns());
}

void app_send_committed(struct app *a, uint64_t sid, const struct lease *l)
{
    struct session *s = session_by_sid(&a->sessions, sid);
    if (!s) return;
    struct msg m = { .type = MSG_COMMITTED };
    LEASE_PUT(&m.COMMITTED, l);
    app_post(a, s, &m, NULL, 0, NULL, NULL);
}

// ---- what workers say ----

static void refuse(struct app *a, const struct link_peer *p, err_t code, const char *text)
{
    struct msg m = { .type = MSG_REFUSED,
                     .REFUSED = { code, msg_str(text, strlen(text)) } };
    if (link_send(a->in->link, p, &m, NULL, 0, NULL, NULL, &a->scratch) != ERR_OK)
        app_say(a, "worker", a->scratch.text);
}

static void on_hello(struct app *a, const struct link_peer *p, const struct msg_HELLO *h,
                     ns_t now)
{
    struct session *old = session_of(&a->sessions, p);
    if (old) { // it was reset, or restarted behind the same connection: a new session (R7)
        sched_worker_gone(a->sched, old->sid, now);
        session_drop(&a->sessions, &old);
    }
    char text[256];
    if (h->version.n != strlen(TRANCHE_VERSION) ||
        memcmp(h->version.p, TRANCHE_VERSION, h->version.n) != 0) {
        snprintf(text, sizeof text,
                 "the worker is tranche %.*s, the coordinator %s: they must be equal",
                 (int)h->version.n, h->version.p, TRANCHE_VERSION);
        refuse(a, p, ERR_PROTO, text);
        app_say(a, "worker", text);
        return;
    }
    struct session *s = session_add(&a->sessions, p);
    if (!s) return refuse(a, p, ERR_NOMEM, "out of memory");
    snprintf(s->name, sizeof s->name, "%.*s", (int)(h->name.n < 60 ? h->name.n : 60),
             h->name.p);
    s->slots = h->slots > 1024 ? 1024 : (uint32_t)h->slots;
    s->heard = now;
    struct msg w = { .type = MSG_WELCOME,
                     .WELCOME = { .version =
                                      msg_str(TRANCHE_VERSION, strlen(TRANCHE_VERSION)),
                                  .heartbeat_ms = (uint64_t)(APP_HEARTBEAT / NS_MS),
                                  .silence_ms = (uint64_t)(APP_SILENCE / NS_MS) } };
    struct msg j = { .type = MSG_JOB,
                     .payload_hash = a->job,
                     .JOB = { .job = a->job,
                              .timeout_ms = (uint64_t)a->in->job->timeout_ms,
                              .result_max_bytes = a->in->result_max_bytes,
                              .memory_bytes = a->in->job->worker_memory_bytes /
                                              (s->slots ? s->slots : 1) } };
    app_post(a, s, &w, NULL, 0, NULL, NULL);
    app_post(a, s, &j, a->in->spec->p, a->in->spec->n, NULL, NULL);
}

static void on_ready(struct app *a, struct session *s, ns_t now)
{
    if (s->ready) return;
    s->ready = true;
    a->t->workers++;
    if (sched_worker_join(a->sched, s->sid, s->slots, now) != ERR_OK) {
        app_fails_nomem(a);
    }
}

// The chunk that a lease names, when the lease is one of ours.
static struct work *leased(struct app *a, const struct lease *l)
{
    if (!lease_verify(l, a->secret)) {
        app_say(a, "worker", "a lease that was never given was refused");
        return NULL;
    }
    return work_by_range(&a->works, l->input, l->begin, l->end);
}

static void end_attempt(struct app *a, const struct work *k, uint32_t attempt,
                        const char *outcome, int64_t ms, int64_t peak_kb, const char *text)
{
    if (a->in->journal &&
        journal_attempt_end(a->in->journal, a->in->load_name, k->chunk->data->range,
                            attempt, outcome, ms, peak_kb, text, &a->scratch) != ERR_OK)
        app_journal_failed(a);
}

// A result that cannot be true, whatever its digest says.
static const char *implausible(const struct work *k, const struct msg_RESULT *r,
                               size_t payload)
{
    if (r->image_bytes > payload || r->rejects_bytes != payload - r->image_bytes)
        return "its lengths do not add up";
    if (r->rows_read != r->rows_parsed + r->rows_rejected) return "its rows do not balance";
    if (r->rows_read + r->rows_blank != k->chunk->data->records)
        return "it read another number of records than were cut";
    return NULL;
}

static void learn(struct app *a, const struct work *k, const struct msg_RESULT *r)
{
    a->t->worker_cpu_ns += r->cpu_ns;
    a->t->parse_ns += r->parse_ns;
    a->t->apply_ns += r->apply_ns;
    a->t->encode_ns += r->encode_ns;
    a->t->misfits += r->misfits;
    a->t->blank += r->rows_blank;
    tune_learn(&a->tune, k->key.end - k->key.begin,
               (ns_t)(r->read_ns + r->parse_ns + r->apply_ns + r->encode_ns));
}

static struct load_item *item_of(const struct session *s, struct link_in **in)
{
    const struct msg *m = link_msg(*in);
    const struct msg_RESULT *r = &m->RESULT;
    struct slice p = link_payload(*in);
    struct load_item *i = calloc(1, sizeof *i);
    if (!i) return NULL;
    i->result.image = r->image_bytes ? p.p : NULL;
    i->result.image_bytes = (size_t)r->image_bytes;
    i->result.rejects = (struct slice){ p.p + r->image_bytes, (size_t)r->rejects_bytes };
    i->result.row = (struct ledger_row){ .state = LEDGER_DONE,
                                         .rows_read = r->rows_read,
                                         .rows_parsed = r->rows_parsed,
                                         .rows_rejected = r->rows_rejected,
                                         .rows_emitted = r->rows_emitted,
                                         .misfits = r->misfits,
                                         .result_digest = m->payload_hash,
                                         .attempt = (uint32_t)r->attempt };
    snprintf(i->result.row.worker, sizeof i->result.row.worker, "%s", s->name);
    i->in = *in;
    *in = NULL;
    return i;
}

static void on_result(struct app *a, struct session *s, struct link_in **in, ns_t now)
{
    const struct msg_RESULT *r = &link_msg(*in)->RESULT;
    struct lease l = LEASE_GET(r);
    struct work *k = leased(a, &l);
    size_t payload = link_payload(*in).n;
    a->last_result = now;
    a->local_deaths = 0;
    if (!k || !k->scheduled) { // committed long ago, or split since: its room is free
        a->t->results_dropped++;
        app_send_committed(a, s->sid, &l);
        return;
    }
    const char *why = implausible(k, r, payload);
    if (why) {
        char name[300];
        snprintf(k->failure, sizeof k->failure, "the worker's result is wrong: %s", why);
        app_say(a, "result", app_chunk_name(a, k, name, sizeof name));
        app_say(a, "result", k->failure);
        end_attempt(a, k, l.attempt, "bad result", 0, 0, why);
        sched_failed(a->sched, s->sid, k->id, l.attempt, FAIL_RESULT, now);
        return;
    }
    ns_t run = (ns_t)(r->read_ns + r->parse_ns + r->apply_ns + r->encode_ns);
    if (!sched_result(a->sched, s->sid, k->id, l.attempt, payload, run, now)) {
        a->t->results_dropped++;
        end_attempt(a, k, l.attempt, "late", run / NS_MS, (int64_t)r->peak_kb, "");
        app_send_committed(a, s->sid, &l);
        return;
    }
    learn(a, k, r);
    end_attempt(a, k, l.attempt, "ok", run / NS_MS, (int64_t)r->peak_kb, "");
    k->attempt = l.attempt;
    k->sid = s->sid;
    k->token = l.token;
    struct load_item *i = item_of(s, in);
    if (!i) {
        app_fails_nomem(a);
        return;
    }
    app_put_in_order(a, k, i);
}

static void tell_failure(struct app *a, struct work *k, const struct msg_FAIL *f)
{
    char name[300], line[1400];
    int tail = (int)(f->stderr_tail.n < 400 ? f->stderr_tail.n : 400);
    snprintf(k->failure, sizeof k->failure, "%.*s",
             (int)(f->text.n < 500 ? f->text.n : 500), f->text.p);
    snprintf(line, sizeof line, "%s: attempt %llu failed after %llu ms: %s%s%.*s",
             app_chunk_name(a, k, name, sizeof name), (unsigned long long)f->attempt,
             (unsigned long long)f->run_ms, k->failure, tail ? "; stderr: " : "", tail,
             f->stderr_tail.p + f->stderr_tail.n - tail);
    // The first words of a poison chunk are news; the hundredth bisection of it is not.
    bool single = k->chunk->data->records == 1;
    if (a->t->splits < 4 || (single && a->told_single < TOLD_SINGLE))
        app_say(a, "attempt", line);
    if (single && ++a->told_single == TOLD_SINGLE)
        app_say(a, "attempt", "more failures of single rows follow; they are not told");
}

static void on_fail(struct app *a, struct session *s, const struct msg_FAIL *f, ns_t now)
{
    struct lease l = LEASE_GET(f);
    struct work *k = leased(a, &l);
    if (!k || !k->scheduled) return;
    tell_failure(a, k, f);
    end_attempt(a, k, l.attempt, "failed", (int64_t)f->run_ms, (int64_t)f->peak_kb,
                k->failure);
    if (f->class_ == FAIL_CLASS_CHANGED) {
        err_set(&a->scratch, ERR_CHANGED, "%s", k->failure);
        app_fails(a, &a->scratch);
        return;
    }
    bool died = f->class_ == FAIL_CLASS_SIGNAL || f->class_ == FAIL_CLASS_TIMEOUT ||
                f->class_ == FAIL_CLASS_RESOURCE;
    a->t->runner_deaths += f->class_ == FAIL_CLASS_SIGNAL;
    sched_failed(a->sched, s->sid, k->id, l.attempt, died ? FAIL_RUNNER : FAIL_TRANSFORM,
                 now);
}

static void on_nack(struct app *a, struct session *s, const struct msg_NACK *n, ns_t now)
{
    struct lease l = LEASE_GET(n);
    struct work *k = leased(a, &l);
    if (!k || !k->scheduled) return;
    end_attempt(a, k, l.attempt, "not run", 0, 0, "");
    sched_failed(a->sched, s->sid, k->id, l.attempt, FAIL_NOT_ITS, now);
}

static void on_bye(struct app *a, struct session *s, const struct msg_BYE *b, ns_t now)
{
    if (b->code != ERR_OK) {
        err_set(&a->scratch, b->code < ERR_N ? (err_t)b->code : ERR_PROTO,
                "worker %s: %.*s", s->name, (int)(b->text.n < 900 ? b->text.n : 900),
                b->text.p);
        app_fails(a, &a->scratch);
    }
    sched_worker_gone(a->sched, s->sid, now);
    session_drop(&a->sessions, &s);
}

static void on_message(struct app *a, const struct link_peer *p, struct link_in **in)
{
    const struct msg *m = link_msg(*in);
    ns_t now = clock_ns();
    if (m->type == MSG_HELLO) return on_hello(a, p, &m->HELLO, now);
    struct session *s = session_of(&a->sessions, p);
    if (!s) return refuse(a, p, ERR_CLOSED, "no session: say HELLO first");
    s->heard = now;
    sched_worker_spoke(a->sched, s->sid, now);
    switch (m->type) {
    case MSG_READY: on_ready(a, s, now); break;
    case MSG_PROGRESS: {
        struct lease l = LEASE_GET(&m->PROGRESS);
        struct work *k = leased(a, &l);
        if (k && k->scheduled) sched_progress(a->sched, s->sid, k->id, l.attempt, now);
        break;
    }
    case MSG_RESULT: on_result(a, s, in, now); break;
    case MSG_FAIL: on_fail(a, s, &m->FAIL, now); break;
    case MSG_NACK: on_nack(a, s, &m->NACK, now); break;
    case MSG_PONG: break;
    case MSG_BYE: on_bye(a, s, &m->BYE, now); break;
    default: app_say(a, "worker", "an unexpected message was ignored");
    }
}

void app_take_messages(struct app *a)
{
    for (;;) {
        struct link_peer p;
        struct link_in *in = NULL;
        if (link_recv(a->in->link, &p, &in, &a->scratch) != ERR_OK) {
            app_say(a, "worker", a->scratch.text);
            continue;
        }
        if (!in) return;
        on_message(a, &p, &in);
        link_in_free(&in);
        if (a->over) return;
    }
}

// ---- what the scheduler wants ----

static void cancel(struct app *a, const struct sched_action *x)
{
    struct session *s = session_by_sid(&a->sessions, x->worker);
    struct work *k = work_by_id(&a->works, x->chunk);
    if (!s || !k) return;
    struct lease l = lease_new(a, k, s->sid, x->attempt);
    struct msg m = { .type = MSG_CANCEL };
    LEASE_PUT(&m.CANCEL, &l);
    app_post(a, s, &m, NULL, 0, NULL, NULL);
}

static void reset(struct app *a, const struct sched_action *x)
{
    static const char reason[] = "a batch made no progress";
    struct session *s = session_by_sid(&a->sessions, x->worker);
    if (!s) return;
    struct msg m = { .type = MSG_RESET, .RESET = { msg_str(reason, sizeof reason - 1) } };
    app_post(a, s, &m, NULL, 0, NULL, NULL);
}

static void act(struct app *a, const struct sched_action *x)
{
    struct work *k = work_by_id(&a->works, x->chunk);
    switch (x->what) {
    case SCHED_ASSIGN: assign(a, x); break;
    case SCHED_CANCEL: cancel(a, x); break;
    case SCHED_RESET: reset(a, x); break;
    case SCHED_SPLIT:
        if (k) app_split(a, k);
        break;
    case SCHED_REJECT:
        if (k) app_reject(a, k);
        break;
    }
}

// Attempts become durable together, before the first of them is assigned (R10).
void app_act(struct app *a)
{
    struct sched_action x[ACTIONS_MAX];
    size_t n;
    do {
        ns_t now = clock_ns();
        for (n = 0; n < ACTIONS_MAX && sched_next(a->sched, &x[n], now);)
            n++;
        for (size_t i = 0; i < n && a->in->journal; i++) {
            struct work *k = work_by_id(&a->works, x[i].chunk);
            struct session *s = session_by_sid(&a->sessions, x[i].worker);
            if (x[i].what == SCHED_ASSIGN && k &&
                journal_attempt(a->in->journal, a->in->load_name, k->chunk->data->range,
                                x[i].attempt, s ? s->name : "?", &a->scratch) != ERR_OK)
                app_journal_failed(a);
        }
        if (n && a->in->journal && journal_flush(a->in->journal, &a->scratch) != ERR_OK)
            app_journal_failed(a);
        crash_point("attempts-durable");
        for (size_t i = 0; i < n && !a->over; i++)
            act(a, &x[i]);
        if (n) crash_point("assigned");
    } while (n == ACTIONS_MAX && !a->over);
}
