#include "coordinator/app_impl.h"

#include "common/crash.h"
#include "common/reason.h"
#include "proto/fail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ACTIONS_MAX = 256,   // handled in one go: their attempts share a journal group
    MESSAGES_MAX = 4096, // the same: who floods us does not stop everything else
    REASON_KIND = 300,
    TOLD_SINGLE = 40, // failed attempts on single rows that are told one by one
};

// ---- what workers say ----

// Of whom a message comes.
struct from {
    const struct link_peer *peer;
    struct session *s; // NULL: it has none
    char name[64];
};

// A lease that cannot be checked is one of an earlier coordinator whose secret is lost, or
// of another run; one of this coordinator is a forgery. Then the worker may be gone.
static bool believed(struct app *a, const struct from *f, const struct lease *l, ns_t now)
{
    if (lease_verify(l, a->in->secret)) return true;
    if (l->epoch != a->in->load->epoch) return false;
    app_complain(a, "worker", "a lease that was never given was refused");
    app_strike(a, f->peer, "a lease that was never given", now);
    return false;
}

void app_attempt_end(struct app *a, const struct work *k, uint32_t attempt,
                     const char *outcome, int64_t ms, int64_t peak_kb, const char *text)
{
    if (a->in->journal &&
        journal_attempt_end(a->in->journal, a->in->load_name, k->chunk->data->range,
                            attempt, outcome, ms, peak_kb, text, &a->scratch) != ERR_OK)
        app_journal_failed(a);
}

void app_attempt_lost(void *arg, chunk_id id, uint32_t attempt, enum sched_lost how)
{
    struct app *a = arg;
    const struct work *k = work_by_id(&a->works, id);
    static const char *const outcome[] = {
        [SCHED_LOST] = "lost", [SCHED_EXPIRED] = "expired", [SCHED_UNWANTED] = "cancelled"
    };
    static const char *const why[] = {
        [SCHED_LOST] = "its worker was gone, or said nothing any more",
        [SCHED_EXPIRED] = "its worker made no progress, here or with another batch",
        [SCHED_UNWANTED] = "it was not needed any more"
    };
    if (k) app_attempt_end(a, k, attempt, outcome[how], 0, 0, why[how]);
}

// A result that cannot be true, whatever its digest says.
static const char *implausible(const struct work *k, const struct msg_RESULT *r,
                               size_t payload)
{
    if (r->image_bytes > payload || r->rejects_bytes != payload - r->image_bytes)
        return "its lengths do not add up";
    if (r->rows_read != r->rows_parsed + r->rows_rejected) return "its rows do not balance";
    const struct chunk_data *c = k->chunk->data;
    if (!c->unread && !hash_equal(r->digest, c->digest)) return "it is of other data";
    if (r->rows_read + r->rows_blank != c->records)
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
    tune_learn(&a->tune, source_chunk_bytes(a->in->source, k->chunk->data),
               (ns_t)(r->read_ns + r->parse_ns + r->apply_ns + r->encode_ns));
}

static struct load_item *item_of(const char *worker, struct link_in **in)
{
    const struct msg *m = link_msg(*in);
    const struct msg_RESULT *r = &m->RESULT;
    struct slice p = link_payload(*in);
    struct load_item *i = calloc(1, sizeof *i);
    if (!i) return NULL;
    i->result.image_bytes = (size_t)r->image_bytes;
    i->result.rejects.n = (size_t)r->rejects_bytes;
    if (!m->unpacked) { // or the loader will say where they are
        i->result.image = r->image_bytes ? p.p : NULL;
        i->result.rejects.p = p.p + r->image_bytes;
    }
    i->result.row = (struct ledger_row){ .state = LEDGER_DONE,
                                         .rows_read = r->rows_read,
                                         .rows_parsed = r->rows_parsed,
                                         .rows_rejected = r->rows_rejected,
                                         .rows_emitted = r->rows_emitted,
                                         .misfits = r->misfits,
                                         .digest = r->digest,
                                         .result_digest = m->payload_hash,
                                         .attempt = (uint32_t)r->attempt };
    snprintf(i->result.row.worker, sizeof i->result.row.worker, "%s", worker);
    i->in = *in;
    *in = NULL;
    return i;
}

static void refuse_result(struct app *a, struct work *k, const char *worker, uint64_t sid,
                          uint32_t attempt, const char *why, ns_t now)
{
    char name[300], line[900];
    snprintf(k->failure, sizeof k->failure, "the worker's result is wrong: %s", why);
    snprintf(line, sizeof line, "%s: %s", app_chunk_name(a, k, name, sizeof name),
             k->failure);
    app_complain(a, "result", line);
    app_attempt_end(a, k, attempt, "bad result", 0, 0, why);
    bool doubt = app_doubts_worker(a, k, worker, sid);
    sched_failed(a->sched, sid, k->id, attempt, doubt ? FAIL_NOT_ITS : FAIL_RESULT, now);
    struct session *s = session_by_sid(&a->sessions, sid);
    if (doubt && s) app_strike(a, &s->peer, k->failure, now);
}

void app_result(struct app *a, struct work *k, const char *worker, uint64_t sid,
                struct link_in **in, ns_t now)
{
    const struct msg_RESULT *r = &link_msg(*in)->RESULT;
    struct lease l = LEASE_GET(r);
    size_t payload = link_size(*in);
    const struct chunk_data *c = k->chunk->data;
    // A query may give other rows, a pipe other bytes, to the coordinator that goes on; and
    // what it has not read it cannot compare.
    if (l.epoch != a->in->load->epoch && (c->unread || !hash_equal(r->digest, c->digest))) {
        a->t->results_dropped++;
        app_send_committed(a, sid, &l);
        return;
    }
    const char *why = payload > a->in->result_max_bytes ? "it is larger than the limit"
                                                        : implausible(k, r, payload);
    if (why) {
        refuse_result(a, k, worker, sid, l.attempt, why, now);
        return;
    }
    ns_t run = (ns_t)(r->read_ns + r->parse_ns + r->apply_ns + r->encode_ns);
    if (!sched_result(a->sched, sid, k->id, l.attempt, payload, run, now)) {
        a->t->results_dropped++;
        app_attempt_end(a, k, l.attempt, "late", run / NS_MS, (int64_t)r->peak_kb, "");
        app_send_committed(a, sid, &l);
        return;
    }
    learn(a, k, r);
    app_stats_worked(a, session_by_sid(&a->sessions, sid), run, false, now);
    app_attempt_end(a, k, l.attempt, "ok", run / NS_MS, (int64_t)r->peak_kb, "");
    k->attempt = l.attempt;
    k->sid = sid;
    k->lease = l;
    struct load_item *i = item_of(worker, in);
    if (!i) {
        app_fails_nomem(a);
        return;
    }
    app_to_be_kept(a, k, i);
    app_put_in_order(a, k, i);
}

// Of a chunk that is not known: it is committed, or was split since, and the worker's room
// is free; or it was cut by an earlier coordinator, and this one has not come to it yet. A
// result that nobody can believe is of no use to the worker either.
static void on_result(struct app *a, const struct from *f, struct link_in **in, ns_t now)
{
    struct lease l = LEASE_GET(&link_msg(*in)->RESULT);
    uint64_t sid = f->s ? f->s->sid : 0;
    struct work *k = work_by_range(&a->works, l.input, l.begin, l.end);
    bool good = believed(a, f, &l, now);
    if (!session_by_sid(&a->sessions, sid)) sid = 0; // it was shut out just now
    if (good) a->last_result = now;
    if (good && f->peer->link == APP_IPC) a->local_deaths = 0;
    if (good && k && k->scheduled) {
        app_result(a, k, f->name, sid, in, now);
    } else if (!good || !app_keep_early(a, &l, f->name, sid, in)) {
        a->t->results_dropped++;
        app_send_committed(a, sid, &l);
    }
}

// The chunk that a lease of this session names; NULL: none that anybody waits for.
static struct work *leased(struct app *a, const struct from *f, const struct lease *l,
                           ns_t now)
{
    if (!believed(a, f, l, now)) return NULL;
    struct work *k = work_by_range(&a->works, l->input, l->begin, l->end);
    return k && k->scheduled ? k : NULL;
}

// "in.csv lines 12-40", where lines are counted; else "in.csv bytes 100-900".
static const char *failed_place(const struct app *a, const struct work *k, char *out,
                                size_t cap)
{
    uint32_t n;
    const struct chunk_data *c = k->chunk->data;
    uint64_t lines = c->lines + c->unterminated;
    if (!c->first_line || !lines) return app_chunk_name(a, k, out, cap);
    const char *input = source_inputs(a->in->source, &n)[k->key.input].name;
    if (lines == 1)
        snprintf(out, cap, "%.200s line %llu", input, (unsigned long long)c->first_line);
    else
        snprintf(out, cap, "%.200s lines %llu-%llu", input,
                 (unsigned long long)c->first_line,
                 (unsigned long long)(c->first_line + lines - 1));
    return out;
}

// The first words of a poison chunk are news; the hundredth bisection of it is not. A row
// that was found is, once.
static bool is_news(struct app *a, struct work *k, const char *words)
{
    char kind[REASON_KIND];
    bool told = k->told, single = chunk_data_parts(k->chunk->data) == 1;
    reason_kind(words, kind, sizeof kind);
    struct hash128 h = hash_bytes(kind, strlen(kind));
    bool known = a->n_told_kinds == TOLD_KINDS;
    for (uint32_t i = 0; i < a->n_told_kinds && !known; i++)
        known = hash_equal(a->told_kinds[i], h);
    if (!known) a->told_kinds[a->n_told_kinds++] = h;
    k->told = true;
    if (single && !told && a->told_single < TOLD_SINGLE) return true;
    return !known;
}

static void tell_failure(struct app *a, const struct session *s, struct work *k,
                         const struct msg_FAIL *f)
{
    char name[300], on[90] = "", words[960], line[1500];
    int tail = (int)(f->stderr_tail.n < 400 ? f->stderr_tail.n : 400);
    snprintf(k->failure, sizeof k->failure, "%.*s",
             (int)(f->text.n < 500 ? f->text.n : 500), f->text.p);
    snprintf(words, sizeof words, "%s%s%.*s", k->failure, tail ? "; stderr: " : "", tail,
             f->stderr_tail.p + f->stderr_tail.n - tail);
    if (!is_news(a, k, k->failure)) return;
    // A mistake that every row meets would fill the screen with its words.
    struct hash128 last = a->told_words;
    a->told_words = hash_bytes(words, strlen(words));
    bool again = hash_equal(last, a->told_words);
    if (s->peer.link == APP_TCP) snprintf(on, sizeof on, " on %s", s->name);
    bool single = chunk_data_parts(k->chunk->data) == 1;
    snprintf(line, sizeof line, "%s: attempt %llu%s failed after %llu ms%s%s%s",
             failed_place(a, k, name, sizeof name), (unsigned long long)f->attempt, on,
             (unsigned long long)f->run_ms, again ? ", in the same words" : ": ",
             again ? "" : words, single || again ? "" : "; which rows do is looked for");
    app_say(a, "attempt", line);
    if (single && ++a->told_single == TOLD_SINGLE)
        app_say(a, "attempt", "more failures of single rows follow; they are not told");
}

// With what the program said last, of the first failures: runs.db stays small.
static void record_failure(struct app *a, const struct work *k, uint32_t attempt,
                           const struct msg_FAIL *f, const char *outcome)
{
    enum { TAILS_MAX = 500 };
    char text[sizeof k->failure + 4200];
    int tail = a->tails_kept < TAILS_MAX ? (int)f->stderr_tail.n : 0;
    a->tails_kept += tail > 0;
    snprintf(text, sizeof text, "%s%s%.*s", k->failure, tail ? "\nstderr: " : "", tail,
             tail ? f->stderr_tail.p : "");
    app_attempt_end(a, k, attempt, outcome, (int64_t)f->run_ms, (int64_t)f->peak_kb, text);
}

static const char *outcome_of(uint64_t fail_class)
{
    return fail_class == FAIL_CLASS_SIGNAL    ? "died"
           : fail_class == FAIL_CLASS_TIMEOUT ? "timeout"
                                              : "failed";
}

static void not_run(struct app *a, struct session *s, const struct work *k,
                    uint32_t attempt, ns_t now)
{
    char line[160];
    bool ours = s->peer.link == APP_IPC; // without it nobody might be left
    sched_failed(a->sched, s->sid, k->id, attempt, ours ? FAIL_NOT_ITS : FAIL_REFUSED, now);
    if (s->refuses || !sched_worker_refuses(a->sched, s->sid)) return;
    s->refuses = true;
    snprintf(line, sizeof line,
             "worker %s has refused one batch after the other: it gets no more", s->name);
    app_say(a, "worker", line);
}

// Says nothing of the batch. The worker gets no more before its batch finds another.
static void on_unfit(struct app *a, struct session *s, struct work *k,
                     const struct msg_FAIL *f, ns_t now)
{
    char text[600];
    snprintf(text, sizeof text, "%.*s", (int)(f->text.n < 500 ? f->text.n : 500),
             f->text.p);
    app_attempt_end(a, k, (uint32_t)f->attempt, "not run", 0, 0, text);
    sched_worker_drain(a->sched, s->sid, now);
    sched_failed(a->sched, s->sid, k->id, (uint32_t)f->attempt, FAIL_NOT_ITS, now);
    app_is_unfit(a, s, text);
}

static void on_fail(struct app *a, const struct from *from, const struct msg_FAIL *f,
                    ns_t now)
{
    struct lease l = LEASE_GET(f);
    struct work *k = leased(a, from, &l, now);
    if (!k) return;
    struct session *s = from->s;
    if (f->class_ == FAIL_CLASS_CHANGED && app_send_bytes(a, s, k, l.attempt)) return;
    if (f->class_ == FAIL_CLASS_UNFIT) {
        on_unfit(a, s, k, f, now);
        return;
    }
    tell_failure(a, s, k, f);
    record_failure(a, k, l.attempt, f, outcome_of(f->class_));
    app_stats_worked(a, s, (ns_t)(f->run_ms % (1 << 30)) * NS_MS, true, now);
    if (f->class_ == FAIL_CLASS_CHANGED && s->peer.link == APP_TCP) {
        not_run(a, s, k, l.attempt, now);
        return;
    }
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

static void on_nack(struct app *a, const struct from *f, const struct msg_NACK *n, ns_t now)
{
    struct lease l = LEASE_GET(n);
    struct work *k = leased(a, f, &l, now);
    if (!k) return;
    struct session *s = f->s;
    if (n->code == ERR_IO && app_send_bytes(a, s, k, l.attempt)) return;
    if (n->code == ERR_CLOSED) sched_worker_drain(a->sched, s->sid, now);
    app_attempt_end(a, k, l.attempt, "not run", 0, 0, "its worker gave it back");
    not_run(a, s, k, l.attempt, now);
}

// What makes a local worker leave would make the next one leave, too. Another host may lack
// something that this one has.
static void on_bye(struct app *a, struct session *s, const struct msg_BYE *b, ns_t now)
{
    char line[1100];
    snprintf(line, sizeof line, "worker %s%s%.*s", s->name,
             b->code != ERR_OK ? ": " : " has left",
             b->code != ERR_OK ? (int)(b->text.n < 900 ? b->text.n : 900) : 0, b->text.p);
    if (b->code != ERR_OK && s->peer.link == APP_IPC) {
        err_set(&a->scratch, b->code < ERR_N ? (err_t)b->code : ERR_PROTO, "%s", line);
        app_fails(a, &a->scratch);
    } else if (s->peer.link == APP_TCP) {
        app_say(a, "worker", line);
    }
    app_session_end(a, s, now);
}

static void on_progress(struct app *a, const struct from *f, const struct msg_PROGRESS *m,
                        ns_t now)
{
    struct lease l = LEASE_GET(m);
    struct work *k = leased(a, f, &l, now);
    if (k) sched_progress(a->sched, f->s->sid, k->id, l.attempt, now);
}

// R14: the first word may be a result that an earlier coordinator asked for.
static void on_stranger(struct app *a, const struct from *f, struct link_in **in, ns_t now)
{
    if (link_msg(*in)->type == MSG_BYE) return;
    if (f->peer->link == APP_TCP && a->in->gate &&
        !gate_allows(a->in->gate, f->peer->user)) {
        app_refuse(a, f->peer, ERR_CLOSED,
                   "the key of this worker is not allowed any more");
        link_hang_up(a->in->link[APP_TCP], f->peer);
        return;
    }
    if (link_msg(*in)->type == MSG_RESULT) on_result(a, f, in, now);
    app_reset(a, f->peer, 0, "this coordinator does not know the session");
}

static void name_from(struct from *f)
{
    char name[KEYS_NAME];
    gate_name(f->peer->user, name);
    snprintf(f->name, sizeof f->name, "%s", f->s ? f->s->name : name[0] ? name : "?");
}

static void on_message(struct app *a, const struct link_peer *p, struct link_in **in)
{
    const struct msg *m = link_msg(*in);
    struct from f = { .peer = p, .s = session_of(&a->sessions, p) };
    ns_t now = clock_ns();
    if (m->type == MSG_HELLO) {
        app_hello(a, p, &m->HELLO, now);
        return;
    }
    name_from(&f);
    if (!f.s) {
        on_stranger(a, &f, in, now);
        return;
    }
    f.s->heard = now;
    sched_worker_spoke(a->sched, f.s->sid, now);
    switch (m->type) {
    case MSG_READY:
        if (m->sid == f.s->sid)
            app_ready(a, f.s, &m->READY, now); // or it is an earlier session's
        break;
    case MSG_PROGRESS: on_progress(a, &f, &m->PROGRESS, now); break;
    case MSG_RESULT: on_result(a, &f, in, now); break;
    case MSG_FAIL: on_fail(a, &f, &m->FAIL, now); break;
    case MSG_NACK: on_nack(a, &f, &m->NACK, now); break;
    case MSG_PONG: break;
    case MSG_NEED: app_need(a, f.s, &m->NEED, now); break;
    case MSG_SHARED: app_shared(a, f.s, &m->SHARED, now); break;
    case MSG_BYE: on_bye(a, f.s, &m->BYE, now); break;
    default:
        app_complain(a, "worker", "an unexpected message was ignored");
        app_strike(a, p, "a message that only a coordinator sends", now);
    }
}

// Who has no session yet may be of another version, and is told; it may not understand.
static void on_bad_frame(struct app *a, const struct link_peer *p)
{
    char text[400];
    snprintf(text, sizeof text, "a message of a worker was refused: %.300s",
             a->scratch.text);
    if (p->n && !session_of(&a->sessions, p)) app_refuse(a, p, ERR_PROTO, text);
    app_complain(a, "worker", text);
    app_strike(a, p, text, clock_ns());
}

static void lost_a_message(struct app *a, const struct link_peer *p)
{
    app_say(a, "worker", a->scratch.text);
    if (p->n) app_begin_anew(a, p, clock_ns());
}

// How many there were, up to MESSAGES_MAX.
static int take_messages_of(struct app *a, uint8_t link)
{
    int n = 0;
    for (; n < MESSAGES_MAX && a->in->link[link] && !a->over; n++) {
        struct link_peer p = { 0 };
        struct link_in *in = NULL;
        err_t rc = link_recv(a->in->link[link], &p, &in, &a->scratch);
        p.link = link;
        if (rc == ERR_PROTO)
            on_bad_frame(a, &p);
        else if (rc != ERR_OK)
            lost_a_message(a, &p);
        else if (!in)
            return n;
        else
            on_message(a, &p, &in);
        link_in_free(&in);
    }
    return n;
}

bool app_take_messages(struct app *a)
{
    int n = 0;
    a->more = false;
    for (int i = 0; i < APP_LINKS; i++) {
        int k = take_messages_of(a, (uint8_t)i);
        a->more |= k == MESSAGES_MAX;
        n += k;
    }
    return n > 0;
}

// ---- what the scheduler wants ----

static void cancel(struct app *a, const struct sched_action *x)
{
    struct session *s = session_by_sid(&a->sessions, x->worker);
    struct work *k = work_by_id(&a->works, x->chunk);
    if (!s || !k) return;
    app_attempt_end(a, k, x->attempt, "cancelled", 0, 0, "it was not needed any more");
    struct lease l = app_lease(a, k, s->sid, x->attempt);
    struct msg m = { .type = MSG_CANCEL };
    LEASE_PUT(&m.CANCEL, &l);
    app_post(a, s, &m, NULL, 0, NULL, NULL);
}

// Its host or the way to it is gone, or it hangs. Nobody hears of it in any other way.
static void tell_silence(struct app *a, struct session *s, ns_t silence)
{
    char line[160];
    s->silent = true;
    snprintf(line, sizeof line,
             "worker %s has said nothing for %lld s: others get its batches", s->name,
             (long long)(silence / NS_S));
    app_say(a, "worker", line);
}

static void reset(struct app *a, const struct sched_action *x)
{
    struct session *s = session_by_sid(&a->sessions, x->worker);
    if (!s) return;
    ns_t now = clock_ns();
    if (!s->silent && now - s->heard >= APP_SILENCE) tell_silence(a, s, now - s->heard);
    app_reset(a, &s->peer, s->sid, "a batch made no progress");
}

static void act(struct app *a, const struct sched_action *x)
{
    struct work *k = work_by_id(&a->works, x->chunk);
    switch (x->what) {
    case SCHED_ASSIGN: app_assign(a, x); break;
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
                (k->part ? journal_attempt_apart : journal_attempt)(
                    a->in->journal, a->in->load_name, k->chunk->data->range, x[i].attempt,
                    s ? s->name : "?", &a->scratch) != ERR_OK)
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
