#include "coordinator/app_impl.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ISOLATED_MIN = 20, // rows found by bisection before a run may be cut short
    LOADED_AT_ONCE = 64,
};

// ---- chunks in ----

static uint64_t held_bytes(const struct chunk_data *c)
{
    return sizeof(struct work) + c->held;
}

static void schedule(struct app *a, struct work *k, uint32_t failures)
{
    struct journal_attempts past = { 0 };
    const struct chunk_data *d = k->chunk->data;
    if (a->in->journal && a->in->load->resumed &&
        journal_attempts_of(a->in->journal, a->in->load_name, d->range, &past, &a->scratch))
        app_say(a, "journal", a->scratch.text);
    // Coordinators that died with it in flight may have died of it (R10): after three it
    // runs alone, after six it is halved. One record is never given up for that: the deaths
    // may have been somebody else's.
    failures += past.failed + (past.unfinished >= 3);
    if (past.unfinished >= 6 && chunk_data_parts(d) > 1) failures = SCHED_HOPELESS;
    if (sched_chunk_add(a->sched, k->id, d->range, chunk_data_parts(d), held_bytes(d),
                        failures, past.last, clock_ns()) != ERR_OK) {
        app_fails_nomem(a);
    }
    k->scheduled = true;
}

static struct work *add_work(struct app *a, struct chunk_data **c, struct work *before,
                             uint32_t failures)
{
    struct work *k = work_add(&a->works, c, before);
    if (!k) {
        app_fails_nomem(a);
        return NULL;
    }
    schedule(a, k, failures);
    app_take_early(a, k);
    return k;
}

// One reject for each of the chunk's records: a bad record is one, a group has many.
static err_t add_rejects(struct app *a, const struct chunk_data *c,
                         const struct chunk_data *bytes, const char *reason,
                         struct rejects *to, struct err *e)
{
    struct buf raw = { 0 };
    size_t at = 0;
    err_t rc = ERR_OK;
    for (uint64_t i = 0; rc == ERR_OK && i < c->records; i++) {
        raw.n = 0;
        rc = source_show(a->in->source, bytes, &at, &raw, e);
        bool lines = c->first_line != 0;
        struct reject r = { .line = c->first_line,
                            .byte = c->range.begin + (lines ? 0 : bytes->first_row + i),
                            .reason = { (const uint8_t *)reason, strlen(reason) },
                            .raw = { raw.p, raw.n } };
        if (rc == ERR_OK) rc = rejects_add(to, &r, e);
    }
    buf_free(&raw);
    return rc;
}

static struct load_item *rejected_item(struct app *a, struct work *k,
                                       const struct chunk_data *bytes, const char *reason)
{
    struct load_item *i = calloc(1, sizeof *i);
    const struct chunk_data *c = k->chunk->data;
    if (!i || add_rejects(a, c, bytes, reason, &i->own, &a->scratch) != ERR_OK) {
        load_item_free(&i);
        app_fails_nomem(a);
        return NULL;
    }
    i->result.rejects = (struct slice){ i->own.bytes.p, i->own.bytes.n };
    i->result.row = (struct ledger_row){ .state = LEDGER_REJECTED,
                                         .digest = bytes->digest,
                                         .rows_read = c->records,
                                         .rows_rejected = c->records };
    return i;
}

static void on_bad_record(struct app *a, struct feed *x)
{
    struct work *k = work_add(&a->works, &x->chunk, NULL);
    if (!k) {
        app_fails_nomem(a);
        return;
    }
    const struct chunk_data *c = k->chunk->data;
    app_say(a, "input", x->e.text);
    struct load_item *i = rejected_item(a, k, c, x->e.text);
    if (i) app_put_in_order(a, k, i);
}

static err_t halve(struct app *a, const struct chunk_data *c, struct chunk_data *half[2])
{
    half[0] = half[1] = NULL;
    return c->bytes ? source_halve(a->in->source, c, half, &a->scratch)
                    : source_reread(a->in->source, c->range, c->first_line, c->digest, true,
                                    half, &a->scratch);
}

// Of a range that an earlier run split, only proper parts may be committed. The ledger is
// sorted, and can be long.
static bool was_split(const struct app *a, struct range r)
{
    const struct ledger_row *l = a->in->load->ledger;
    size_t low = 0, high = a->in->load->n_ledger;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        struct range at = l[mid].range;
        if (at.input < r.input || (at.input == r.input && at.begin < r.begin))
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < a->in->load->n_ledger && l[low].range.input == r.input &&
           l[low].range.begin < r.end;
         low++)
        if (l[low].state == LEDGER_SPLIT && range_contains(r, l[low].range)) return true;
    return false;
}

static void add_chunk(struct app *a, struct chunk_data **c, bool part)
{
    struct chunk_data *half[2];
    if (!was_split(a, (*c)->range)) {
        struct work *k = app_take_cached(a, c) ? NULL : add_work(a, c, NULL, 0);
        if (k) k->part = part;
        return;
    }
    if (halve(a, *c, half) != ERR_OK) app_fails(a, &a->scratch);
    for (int i = 0; i < 2 && half[i] && !a->over; i++)
        add_chunk(a, &half[i], true);
    chunk_data_free(&half[0]);
    chunk_data_free(&half[1]);
}

static void on_feed(struct app *a, struct feed *x)
{
    a->last_fed = clock_ns();
    if (x->chunk) {
        a->fed_to = x->chunk->range;
        a->fed_bytes += x->chunk->range.end - x->chunk->range.begin;
        a->fed_chunks++;
    }
    switch (x->kind) {
    case FED_CHUNK: add_chunk(a, &x->chunk, false); break;
    case FED_BAD: on_bad_record(a, x); break;
    case FED_END:
        a->fed = true;
        sched_no_more_chunks(a->sched, clock_ns());
        break;
    case FED_ERROR: app_fails(a, &x->e); break;
    }
}

void app_take_chunks(struct app *a)
{
    enum { CACHED_AT_ONCE = 64 }; // files are read for them, and others wait meanwhile
    uint64_t before = a->t->chunks_cached;
    while (!a->over && app_wants_chunks(a) &&
           a->t->chunks_cached - before < CACHED_AT_ONCE) {
        struct feed *x = feeder_next(a->feeder);
        if (!x) return;
        on_feed(a, x);
        feed_free(&x);
    }
}

// ---- results to the loader ----

static void to_loader(struct app *a, struct work *k)
{
    struct load_item *i = k->ready;
    struct sched_counts c;
    k->ready = NULL;
    sched_count(a->sched, &c);
    i->urgent = c.running == 0;
    i->near_end = a->fed && c.by_state[CHUNK_PENDING] == 0;
    i->held = k->chunk->data->held;
    work_leave_order(&a->works, k);
    a->in_loader++;
    a->loading_bytes += i->result.image_bytes;
    if (!loader_push(a->loader, &i)) {
        load_item_free(&i);
        err_set(&a->scratch, ERR_CLOSED, "the loader has ended");
        app_fails(a, &a->scratch);
    }
}

static void pump(struct app *a)
{
    while (a->works.first && a->works.first->ready)
        to_loader(a, a->works.first);
}

void app_put_in_order(struct app *a, struct work *k, struct load_item *i)
{
    const struct chunk_data *c = k->chunk->data;
    struct ledger_row *row = &i->result.row;
    row->range = c->range;
    row->records = c->records;
    row->lines = c->lines;
    row->unterminated = c->unterminated;
    i->chunk = k->id;
    k->ready = i;
    const struct job_trial *trial = a->in->job->trial;
    const struct slice *bad = &i->result.rejects;
    reject_kinds_add(&a->t->rejects, *bad);
    if (trial)
        trial->on_result(trial->arg, i->result.image_bytes, bad->p, bad->p ? bad->n : 0);
    if (!a->in->job->ordered)
        to_loader(a, k);
    else
        pump(a);
}

// ---- what the loader says ----

void app_add_totals(struct app *a, const struct ledger_row *r)
{
    struct app_totals *t = a->t;
    uint32_t n;
    t->rows_read += r->rows_read;
    t->rows_parsed += r->rows_parsed;
    t->rows_rejected += r->rows_rejected;
    t->rows_emitted += r->rows_emitted;
    t->rows_loaded += r->rows_loaded;
    t->rows_refused += r->rows_refused;
    t->rows_replaced += r->rows_replaced;
    t->rows_skipped += r->rows_skipped;
    if (!source_inputs(a->in->source, &n)[r->range.input].in_rows)
        t->bytes_read += r->range.end - r->range.begin;
    t->chunks++;
}

static void on_split_noted(struct app *a, struct work *k)
{
    struct chunk_data *half[2];
    if (halve(a, k->chunk->data, half) != ERR_OK) {
        app_fails(a, &a->scratch);
        return;
    }
    a->t->splits++;
    for (int i = 0; i < 2 && half[i]; i++) {
        struct work *child = add_work(a, &half[i], k, 0);
        if (!child) continue;
        memcpy(child->failure, k->failure, sizeof child->failure);
        child->bad_twice = k->bad_twice;
        child->part = true;
    }
    sched_split_done(a->sched, k->id, clock_ns());
    chunk_data_free(&half[0]);
    chunk_data_free(&half[1]);
    work_drop(&a->works, &k);
    pump(a);
}

static uint64_t rejects_of_load(const struct app *a)
{
    uint64_t n = a->t->rows_rejected + a->t->rows_refused;
    for (size_t i = 0; i < a->in->load->n_ledger; i++) {
        const struct ledger_row *l = &a->in->load->ledger[i];
        if (l->state != LEDGER_SPLIT) n += l->rows_rejected + l->rows_refused;
    }
    return n;
}

// Each row that has to be found by bisection costs several attempts and transactions. When
// they pass the limit and don't end, it is the transform that is wrong.
static void on_isolated(struct app *a, const struct work *k)
{
    const struct job *j = a->in->job;
    if (++a->isolated < ISOLATED_MIN || j->bad_rows_share >= 0) return;
    if (rejects_of_load(a) <= j->bad_rows) return;
    a->t->limit_passed = true;
    err_set(&a->scratch, ERR_TRANSFORM,
            "stopped: limits.bad_rows allows %llu, but the transform failed on %llu rows "
            "already, each found by bisection. The last: %.400s. Mend the transform and "
            "start with --fresh, or raise --bad-rows",
            (unsigned long long)j->bad_rows, (unsigned long long)a->isolated, k->failure);
    app_fails(a, &a->scratch);
}

static void on_committed(struct app *a, struct work *k, const struct load_item *i)
{
    if (i->code == ERR_OK) app_add_totals(a, &i->result.row);
    a->bytes_done += k->key.end - k->key.begin;
    if (k->sid) app_send_committed(a, k->sid, &k->lease);
    if (k->scheduled && i->result.row.state == LEDGER_REJECTED) {
        sched_rejected(a->sched, k->id, clock_ns());
        on_isolated(a, k);
    } else if (k->scheduled)
        sched_committed(a->sched, k->id, clock_ns());
    work_drop(&a->works, &k);
}

static void on_damaged(struct app *a, struct work *k, const char *worker, ns_t now)
{
    app_complain(a, "result", k->failure);
    if (!app_doubts_worker(a, k, worker, k->sid)) {
        sched_result_bad(a->sched, k->id, now);
        return;
    }
    sched_result_doubted(a->sched, k->id, now);
    struct session *s = session_by_sid(&a->sessions, k->sid);
    if (s) app_strike(a, &s->peer, k->failure, now);
}

static void on_loaded(struct app *a, struct load_item *i)
{
    struct work *k = work_by_id(&a->works, i->chunk);
    a->in_loader--;
    a->last_loaded = clock_ns();
    a->loading_bytes -= i->result.image_bytes;
    assert(k);
    a->cached_bytes -= i->from_cache;
    if (i->code == ERR_PROTO && i->from_cache) { // as if it had not been there
        work_rejoin_order(&a->works, k);
        a->t->chunks_cached--;
        a->t->misfits -= i->result.row.misfits;
        schedule(a, k, 0);
    } else if (i->code == ERR_PROTO && i->result.row.state == LEDGER_DONE) {
        work_rejoin_order(&a->works, k);
        snprintf(k->failure, sizeof k->failure, "%.500s", i->e.text);
        on_damaged(a, k, i->result.row.worker, clock_ns());
    } else if (i->code != ERR_OK && i->code != ERR_DUP) {
        app_fails(a, &i->e);
    } else if (i->kind == LOAD_NOTE) {
        on_split_noted(a, k);
    } else {
        on_committed(a, k, i);
    }
}

// As much as keeps it busy until the next results are there; all else would only wait.
void app_mind_loader(struct app *a)
{
    enum { AHEAD_BYTES = 32 << 20 };
    uint64_t share = a->in->job->memory_bytes / 4;
    sched_hold(a->sched, a->loading_bytes > (share < AHEAD_BYTES ? share : AHEAD_BYTES));
}

void app_take_loaded(struct app *a)
{
    struct load_item *i[LOADED_AT_ONCE];
    for (size_t n; (n = loader_take(a->loader, i, LOADED_AT_ONCE));)
        for (size_t k = 0; k < n; k++) {
            on_loaded(a, i[k]);
            load_item_free(&i[k]);
        }
}

// ---- chunks that fail ----

void app_split(struct app *a, struct work *k)
{
    struct load_item *i = calloc(1, sizeof *i);
    if (!i) {
        app_fails_nomem(a);
        return;
    }
    const struct chunk_data *c = k->chunk->data;
    i->kind = LOAD_NOTE;
    i->chunk = k->id;
    i->result.row = (struct ledger_row){ .range = c->range,
                                         .state = LEDGER_SPLIT,
                                         .records = c->records,
                                         .lines = c->lines,
                                         .unterminated = c->unterminated,
                                         .digest = c->digest };
    a->in_loader++;
    if (!loader_push(a->loader, &i)) load_item_free(&i);
}

void app_reject(struct app *a, struct work *k)
{
    struct chunk_data *again[2] = { NULL, NULL };
    const struct chunk_data *c = k->chunk->data;
    if (!c->bytes && source_reread(a->in->source, c->range, c->first_line, c->digest, false,
                                   again, &a->scratch) != ERR_OK) {
        app_fails(a, &a->scratch);
        return;
    }
    struct load_item *i = rejected_item(a, k, again[0] ? again[0] : c, k->failure);
    chunk_data_free(&again[0]);
    chunk_data_free(&again[1]);
    if (i) app_put_in_order(a, k, i);
}
