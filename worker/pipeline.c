#include "worker/pipeline.h"

#include "common/row_code.h"
#include "common/sink.h"
#include "worker/row_place.h"
#include "worker/transform.h"
#include "worker/xf_exec.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// A step of the job, as all lanes have it.
struct stage {
    const struct transform_ops *ops;
    void *state; // of those that share it: the steps that never wait
    struct schema out;
};

struct pipeline {
    const struct spec *spec;
    pthread_mutex_t turn; // held while something runs that lanes share
    const struct reader_ops *reader;
    void *reader_state;
    struct stage *stages;
    size_t n_stages;
    struct pipeline_lane *first;
    const struct sink_ops *sink;
    void *sink_state;
};

struct pipeline_lane {
    struct pipeline *p;
    struct batch parsed;
    struct lane_stage {
        void *state; // own, of those that wait; else NULL
        struct batch batch;
    } * stages;
    const struct batch *result; // of the last stage; NULL: none
    struct reader_chunk chunk;  // that was parsed last
    struct rejects *rejects;    // of it; borrowed
    size_t rejects_from;        // where in them those of this chunk begin
};

static void *state_of(const struct pipeline_lane *l, size_t i)
{
    return l->p->stages[i].ops->waits ? l->stages[i].state : l->p->stages[i].state;
}

// The rule for all runs of the job: what the sample showed. Texts stay open, for a number
// among them is a text then.
static err_t take_learned(struct schema *s, const struct schema *learned, struct err *e)
{
    bool same = s->n == learned->n;
    for (uint32_t i = 0; same && i < s->n; i++)
        same = strcmp(s->f[i].name, learned->f[i].name) == 0;
    if (!same)
        return err_set(e, ERR_INVALID,
                       "the SQL gives other columns than when it was tried");
    for (uint32_t i = 0; i < s->n; i++) {
        enum type t = learned->f[i].type;
        if (s->f[i].type == TYPE_ANY && (t == TYPE_INTEGER || t == TYPE_REAL))
            s->f[i].type = t;
    }
    return ERR_OK;
}

// The aggregate follows the transforms.
static err_t open_stage(struct pipeline *p, size_t i, const struct schema *in, bool *want,
                        struct err *e)
{
    struct stage *s = &p->stages[i];
    const struct step *step = i < p->spec->n_steps ? &p->spec->steps[i] : NULL;
    const struct transform_ops *ops =
        step ? transform_find(step->kind) : &transform_aggregate;
    if (!ops)
        return err_set(e, ERR_INVALID, "this worker has no transform '%s'",
                       step_kind_name(step->kind));
    void **state = ops->waits ? &p->first->stages[i].state : &s->state;
    err_t rc = ops->open(state, p->spec, in, step, want, &s->out, e);
    if (rc != ERR_OK) return rc;
    s->ops = ops;
    bool learned = step && step->kind == STEP_SQL && step->out.n;
    return learned ? take_learned(&s->out, &step->out, e) : ERR_OK;
}

static size_t count_stages(const struct spec *spec)
{
    return spec->n_steps + agg_given(&spec->aggregate);
}

static err_t open_stages(struct pipeline *p, bool *want, struct err *e)
{
    const struct spec *spec = p->spec;
    const struct schema *in = &spec->in;
    for (size_t i = 0; i < count_stages(spec); i++) {
        bool *reads = i == 0 ? want : calloc(in->n ? in->n : 1, sizeof *reads);
        if (!reads) return err_set(e, ERR_NOMEM, "out of memory");
        p->n_stages = i + 1;
        err_t rc = open_stage(p, i, in, reads, e);
        if (i != 0) free(reads);
        if (rc != ERR_OK && i < spec->n_steps && spec->n_steps > 1)
            return err_wrap(e, rc, "transform step %zu of %zu", i + 1, spec->n_steps);
        TRY(rc);
        in = &p->stages[i].out;
    }
    return ERR_OK;
}

static err_t open_sink(struct pipeline *p, struct err *e)
{
    if (p->spec->out.n == 0) return ERR_OK;
    p->sink = sink_find(p->spec->sink);
    if (!p->sink) return err_set(e, ERR_INVALID, "no such sink: '%s'", p->spec->sink);
    const struct schema *last = pipeline_schema(p);
    if (last->n != p->spec->out.n)
        return err_set(e, ERR_INVALID, "the transform gives %u columns, the table has %u",
                       last->n, p->spec->out.n);
    return p->sink->open(&p->sink_state, &p->spec->out, e);
}

static err_t open_reader(struct pipeline *p, const bool *want, struct err *e)
{
    const struct spec *spec = p->spec;
    p->reader = reader_find(spec->reader);
    if (!p->reader) return err_set(e, ERR_INVALID, "no such reader: '%s'", spec->reader);
    return p->reader->open(&p->reader_state, spec, want, e);
}

static err_t open_all(struct pipeline *p, struct err *e)
{
    const struct spec *spec = p->spec;
    bool *want = NULL;
    err_t rc = ERR_OK;
    if (count_stages(spec)) {
        want = calloc(spec->in.n ? spec->in.n : 1, sizeof *want);
        if (!want) return err_set(e, ERR_NOMEM, "out of memory");
        rc = open_stages(p, want, e);
    }
    if (rc == ERR_OK) rc = open_reader(p, want, e);
    free(want);
    TRY(rc);
    return open_sink(p, e);
}

static err_t lane_new(struct pipeline_lane **out, struct pipeline *p, struct err *e)
{
    struct pipeline_lane *l = calloc(1, sizeof *l);
    if (l) l->stages = calloc(p->spec->n_steps + 1, sizeof *l->stages);
    if (!l || !l->stages) {
        free(l);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    l->p = p;
    *out = l;
    return ERR_OK;
}

err_t pipeline_open(struct pipeline **out, const struct spec *spec, struct err *e)
{
    *out = NULL;
    struct pipeline *p = calloc(1, sizeof *p);
    if (!p) return err_set(e, ERR_NOMEM, "out of memory");
    p->spec = spec;
    pthread_mutex_init(&p->turn, NULL);
    p->stages = calloc(spec->n_steps + 1, sizeof *p->stages);
    err_t rc =
        p->stages ? lane_new(&p->first, p, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK) rc = open_all(p, e);
    if (rc == ERR_OK)
        *out = p;
    else
        pipeline_close(&p);
    return rc;
}

void pipeline_gathers(struct pipeline *p, struct spec *spec)
{
    for (size_t i = 0; i < spec->n_steps; i++) {
        const struct transform_ops *ops = p->stages[i].ops;
        spec->steps[i].gathers =
            ops->gathers && ops->gathers(state_of(p->first, i), &spec->steps[i]);
    }
}

void pipeline_lane_close(struct pipeline_lane **lane)
{
    struct pipeline_lane *l = *lane;
    *lane = NULL;
    if (!l) return;
    for (size_t i = l->p->n_stages; i-- > 0;) {
        const struct transform_ops *ops = l->p->stages[i].ops;
        batch_free(&l->stages[i].batch);
        if (ops && ops->waits) ops->close(&l->stages[i].state);
    }
    batch_free(&l->parsed);
    free(l->stages);
    free(l);
}

void pipeline_close(struct pipeline **pp)
{
    struct pipeline *p = *pp;
    if (!p) return;
    pipeline_lane_close(&p->first);
    for (size_t i = p->n_stages; i-- > 0;) {
        const struct transform_ops *ops = p->stages[i].ops;
        if (ops && !ops->waits) ops->close(&p->stages[i].state);
        schema_free(&p->stages[i].out);
    }
    free(p->stages);
    if (p->sink) p->sink->close(&p->sink_state);
    if (p->reader) p->reader->close(&p->reader_state);
    pthread_mutex_destroy(&p->turn);
    free(p);
    *pp = NULL;
}

struct pipeline_lane *pipeline_first_lane(struct pipeline *p)
{
    return p->first;
}

// ---- further lanes ----

static bool same_columns(const struct schema *a, const struct schema *b)
{
    bool same = a->n == b->n;
    for (uint32_t i = 0; same && i < a->n; i++)
        same = a->f[i].type == b->f[i].type && strcmp(a->f[i].name, b->f[i].name) == 0;
    return same;
}

static err_t open_again(struct pipeline_lane *l, size_t i, const struct schema *in,
                        struct err *e)
{
    const struct stage *s = &l->p->stages[i];
    const struct spec *spec = l->p->spec;
    struct schema out = { 0 };
    bool *want = calloc(in->n ? in->n : 1, sizeof *want);
    if (!want) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = s->ops->open(&l->stages[i].state, spec, in, &spec->steps[i], want, &out, e);
    if (rc == ERR_OK && !same_columns(&out, &s->out))
        rc =
            err_set(e, ERR_TRANSFORM,
                    "the %s gives other columns when it is opened once more", s->ops->name);
    free(want);
    schema_free(&out);
    return rc;
}

err_t pipeline_lane_open(struct pipeline_lane **out, struct pipeline *p, struct err *e)
{
    const struct schema *in = &p->spec->in;
    TRY(lane_new(out, p, e));
    for (size_t i = 0; i < p->n_stages; i++) {
        err_t rc = p->stages[i].ops->waits ? open_again(*out, i, in, e) : ERR_OK;
        if (rc != ERR_OK) {
            pipeline_lane_close(out);
            return rc;
        }
        in = &p->stages[i].out;
    }
    return ERR_OK;
}

// ---- batches ----

err_t pipeline_parse(struct pipeline_lane *l, const struct reader_chunk *chunk,
                     struct rejects *rejects, struct pipeline_stats *stats, struct err *e)
{
    struct pipeline *p = l->p;
    l->chunk = *chunk;
    l->rejects = rejects;
    l->rejects_from = rejects->bytes.n;
    pthread_mutex_lock(&p->turn);
    ns_t start = clock_ns();
    err_t rc =
        p->reader->read(p->reader_state, chunk, &l->parsed, rejects, &stats->read, e);
    stats->parse_ns = clock_ns() - start;
    pthread_mutex_unlock(&p->turn);
    return rc;
}

// ---- rows that a step rejects ----

static err_t reject(struct pipeline_lane *l, const struct transform_reject *t,
                    const struct row_place *at, struct err *e)
{
    struct reject r = { .line = at->line,
                        .byte = at->byte,
                        .column = { (const uint8_t *)t->column, strlen(t->column) },
                        .reason = { (const uint8_t *)t->reason, strlen(t->reason) },
                        .raw = at->raw };
    return rejects_add(l->rejects, &r, e);
}

static err_t reject_records(struct pipeline_lane *l, const struct transform_reject *t,
                            size_t n, struct err *e)
{
    struct buf copy = { 0 }; // of the list that grows
    struct row_places *w = NULL;
    size_t read = l->rejects->bytes.n - l->rejects_from;
    err_t rc =
        read ? buf_add(&copy, l->rejects->bytes.p + l->rejects_from, read, e) : ERR_OK;
    if (rc == ERR_OK)
        rc = row_places_new(&w, l->p->spec, &l->chunk, (struct slice){ copy.p, copy.n }, e);
    for (size_t i = 0; rc == ERR_OK && i < n; i++) {
        struct row_place at;
        rc = row_places_find(w, t[i].row, &at, e);
        if (rc == ERR_OK) rc = reject(l, &t[i], &at, e);
    }
    row_places_free(&w);
    buf_free(&copy);
    return rc;
}

// Behind other steps nobody knows what record a row was made of.
static err_t reject_results(struct pipeline_lane *l, const struct batch *in,
                            const struct transform_reject *t, size_t n, struct err *e)
{
    struct buf row = { 0 }, text = { 0 };
    err_t rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < n; i++) {
        uint32_t columns = 0;
        row.n = text.n = 0;
        for (uint32_t k = 0; rc == ERR_OK && k < in->n_cols; k++) {
            if (in->col[k].absent) continue;
            struct cell c = vec_cell(&in->col[k], t[i].row);
            rc = row_code_put(&row, &c, e);
            columns++;
        }
        if (rc == ERR_OK) rc = row_code_show(row.p, row.n, columns, &text, e);
        struct row_place at = { .byte = REJECT_NO_BYTE, .raw = { text.p, text.n } };
        if (rc == ERR_OK) rc = reject(l, &t[i], &at, e);
    }
    buf_free(&row);
    buf_free(&text);
    return rc;
}

// A row counts as the record that it was read from; where steps before made many of one,
// as if each had one, as long as there are so many.
static err_t take_rejects(struct pipeline_lane *l, size_t i, const struct batch *in,
                          struct pipeline_stats *stats, struct err *e)
{
    const struct transform_ops *ops = l->p->stages[i].ops;
    size_t n = 0;
    const struct transform_reject *t =
        ops->rejected ? ops->rejected(state_of(l, i), &n) : NULL;
    if (n == 0) return ERR_OK;
    if (n > stats->read.parsed)
        return err_set(e, ERR_TRANSFORM, "%zu rows of %llu records failed, among them: %s",
                       n, (unsigned long long)stats->read.parsed, t->reason);
    TRY(i == 0 ? reject_records(l, t, n, e) : reject_results(l, in, t, n, e));
    stats->read.parsed -= n;
    stats->read.rejected += n;
    return ERR_OK;
}

static err_t apply_stage(struct pipeline_lane *l, size_t i, const struct batch *in,
                         ns_t deadline, struct err *e)
{
    const struct transform_ops *ops = l->p->stages[i].ops;
    if (!ops->waits) pthread_mutex_lock(&l->p->turn);
    err_t rc = ops->apply(state_of(l, i), in, &l->stages[i].batch, deadline, e);
    if (!ops->waits) pthread_mutex_unlock(&l->p->turn);
    return rc;
}

err_t pipeline_apply(struct pipeline_lane *l, ns_t deadline, struct pipeline_stats *stats,
                     struct err *e)
{
    ns_t start = clock_ns();
    const struct batch *b = &l->parsed;
    l->result = NULL;
    for (size_t i = 0; i < l->p->n_stages; i++) {
        TRY(apply_stage(l, i, b, deadline, e));
        TRY(take_rejects(l, i, b, stats, e));
        b = &l->stages[i].batch;
    }
    l->result = b;
    stats->rows_emitted = b->rows;
    stats->apply_ns = clock_ns() - start;
    return ERR_OK;
}

err_t pipeline_encode(struct pipeline_lane *l, struct region *to,
                      struct pipeline_stats *stats, struct err *e)
{
    struct pipeline *p = l->p;
    err_t rc = ERR_OK;
    if (!p->sink) return ERR_OK;
    pthread_mutex_lock(&p->turn);
    ns_t start = clock_ns();
    rc = p->sink->encode(p->sink_state, l->result, to, e);
    stats->encode_ns = clock_ns() - start;
    pthread_mutex_unlock(&p->turn);
    return rc;
}

// The first fault counts; later ones mostly follow from it.
err_t pipeline_done(struct pipeline_lane *l, err_t rc, struct err *e)
{
    for (size_t i = l->p->n_stages; i-- > 0;) {
        const struct transform_ops *ops = l->p->stages[i].ops;
        if (!ops->done || !state_of(l, i)) continue;
        err_t done = ops->done(state_of(l, i), rc == ERR_OK ? e : NULL);
        if (rc == ERR_OK) rc = done;
    }
    l->result = NULL;
    return rc;
}

ns_t pipeline_cpu_ns(const struct pipeline_lane *l)
{
    ns_t all = 0;
    for (size_t i = 0; l && i < l->p->n_stages; i++) {
        const struct transform_ops *ops = l->p->stages[i].ops;
        if (ops->cpu_ns) all += ops->cpu_ns(state_of(l, i));
    }
    return all;
}

void pipeline_lane_shrink(struct pipeline_lane *l)
{
    batch_free(&l->parsed);
    for (size_t i = 0; i < l->p->n_stages; i++)
        batch_free(&l->stages[i].batch);
}

const struct schema *pipeline_schema(const struct pipeline *p)
{
    return p->n_stages ? &p->stages[p->n_stages - 1].out : &p->spec->in;
}

static bool asks_others(const struct pipeline *p)
{
    for (size_t i = 0; i < p->n_stages; i++)
        if (p->stages[i].ops->asks_others) return true;
    return false;
}

static err_t read_sample(struct pipeline *p, const uint8_t *sample, size_t n)
{
    struct rejects rejects = { 0 };
    struct pipeline_stats stats = { 0 };
    struct reader_chunk chunk = { .bytes = sample, .n = n, .end = n, .first_line = 1 };
    err_t rc = pipeline_parse(p->first, &chunk, &rejects, &stats, NULL);
    rejects_free(&rejects);
    return rc;
}

void pipeline_settle(struct pipeline *p, const uint8_t *sample, size_t n, ns_t deadline,
                     struct schema *io)
{
    struct pipeline_stats stats = { 0 };
    if (asks_others(p)) return;
    err_t rc = read_sample(p, sample, n);
    if (rc == ERR_OK) rc = pipeline_apply(p->first, deadline, &stats, NULL);
    if (rc == ERR_OK) transform_settle(io, p->first->result);
    // What fails on a sample says nothing about the types, nor against the job: the batch
    // it fails on will be retried, bisected and explained.
    rc = pipeline_done(p->first, rc, NULL);
    (void)rc;
}

// The steps before it on the sample. What they cannot take says nothing: then there is no
// row.
static err_t learn_exec(const struct spec *head, struct step *step, const uint8_t *sample,
                        size_t n, struct err *e)
{
    struct pipeline *p;
    struct batch none = { 0 };
    struct pipeline_stats stats = { 0 };
    TRY(pipeline_open(&p, head, e));
    err_t rc = asks_others(p) ? ERR_TRANSFORM : read_sample(p, sample, n);
    if (rc == ERR_OK)
        rc = pipeline_apply(p->first, clock_ns() + (ns_t)head->timeout_ms * NS_MS, &stats,
                            NULL);
    rc = xf_exec_learn(head, step, pipeline_schema(p),
                       rc == ERR_OK ? p->first->result : &none, e);
    rc = pipeline_done(p->first, rc, e);
    pipeline_close(&p);
    return rc;
}

// What SQL computes has a type only in its values, and a plugin is told types beforehand.
static err_t learn_sql(const struct spec *head, struct step *step, const uint8_t *sample,
                       size_t n, struct err *e)
{
    struct pipeline *p;
    struct schema out = { 0 };
    TRY(pipeline_open(&p, head, e));
    err_t rc = schema_copy(&out, pipeline_schema(p), e);
    if (rc == ERR_OK)
        pipeline_settle(p, sample, n, clock_ns() + (ns_t)head->timeout_ms * NS_MS, &out);
    pipeline_close(&p);
    if (rc == ERR_OK)
        step->out = out;
    else
        schema_free(&out);
    return rc;
}

static err_t learn_step(struct spec *spec, size_t i, const uint8_t *sample, size_t n,
                        struct err *e)
{
    struct step *step = &spec->steps[i];
    bool exec = step->kind == STEP_EXEC;
    bool sql = step->kind == STEP_SQL && i + 1 < spec->n_steps &&
               spec->steps[i + 1].kind == STEP_PLUGIN;
    if (step->out.n || (!exec && !sql)) return ERR_OK;
    struct spec head = *spec; // borrows
    head.n_steps = exec ? i : i + 1;
    head.out = (struct schema){ 0 };
    return exec ? learn_exec(&head, step, sample, n, e)
                : learn_sql(&head, step, sample, n, e);
}

err_t pipeline_learn(struct spec *spec, const uint8_t *sample, size_t n, struct err *e)
{
    for (size_t i = 0; i < spec->n_steps; i++) {
        err_t rc = learn_step(spec, i, sample, n, e);
        if (rc != ERR_OK && spec->n_steps > 1)
            return err_wrap(e, rc, "transform step %zu of %zu", i + 1, spec->n_steps);
        TRY(rc);
    }
    return ERR_OK;
}
