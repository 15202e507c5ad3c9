#include "worker/pipeline.h"

#include "common/sink.h"
#include "worker/transform.h"

#include <stdlib.h>
#include <string.h>

struct stage {
    const struct transform_ops *ops;
    void *state;
    struct schema out;
    struct batch batch;
};

struct pipeline {
    const struct spec *spec;
    const struct reader_ops *reader;
    void *reader_state;
    struct batch parsed;
    struct stage *stages;
    size_t n_stages;
    const struct sink_ops *sink;
    void *sink_state;
};

// `step` NULL: the aggregate, which follows the transforms.
static err_t open_stage(struct stage *s, const struct spec *spec, const struct step *step,
                        const struct schema *in, bool *want, struct err *e)
{
    const struct transform_ops *ops =
        step ? transform_find(step->kind) : &transform_aggregate;
    if (!ops)
        return err_set(e, ERR_INVALID, "this worker has no transform '%s'",
                       step_kind_name(step->kind));
    err_t rc = ops->open(&s->state, spec, in, step, want, &s->out, e);
    if (rc == ERR_OK) s->ops = ops;
    return rc;
}

static size_t count_stages(const struct spec *spec)
{
    return spec->n_steps + agg_given(&spec->aggregate);
}

static err_t open_stages(struct pipeline *p, bool *want, struct err *e)
{
    const struct spec *spec = p->spec;
    const struct schema *in = &spec->in;
    size_t n = count_stages(spec);
    p->stages = calloc(n, sizeof *p->stages);
    if (!p->stages) return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        const struct step *step = i < spec->n_steps ? &spec->steps[i] : NULL;
        struct stage *s = &p->stages[i];
        bool *reads = i == 0 ? want : calloc(in->n ? in->n : 1, sizeof *reads);
        if (!reads) return err_set(e, ERR_NOMEM, "out of memory");
        p->n_stages = i + 1;
        err_t rc = open_stage(s, spec, step, in, reads, e);
        if (i != 0) free(reads);
        if (rc != ERR_OK && step && spec->n_steps > 1)
            return err_wrap(e, rc, "transform step %zu of %zu", i + 1, spec->n_steps);
        TRY(rc);
        in = &s->out;
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

err_t pipeline_open(struct pipeline **out, const struct spec *spec, struct err *e)
{
    *out = NULL;
    struct pipeline *p = calloc(1, sizeof *p);
    if (!p) return err_set(e, ERR_NOMEM, "out of memory");
    p->spec = spec;
    err_t rc = open_all(p, e);
    if (rc == ERR_OK)
        *out = p;
    else
        pipeline_close(&p);
    return rc;
}

void pipeline_close(struct pipeline **pp)
{
    struct pipeline *p = *pp;
    if (!p) return;
    for (size_t i = p->n_stages; i-- > 0;) {
        batch_free(&p->stages[i].batch);
        if (p->stages[i].ops) p->stages[i].ops->close(&p->stages[i].state);
        schema_free(&p->stages[i].out);
    }
    free(p->stages);
    if (p->sink) p->sink->close(&p->sink_state);
    batch_free(&p->parsed);
    if (p->reader) p->reader->close(&p->reader_state);
    free(p);
    *pp = NULL;
}

// The first fault counts; later ones mostly follow from it.
static err_t finish_stages(struct pipeline *p, err_t rc, struct err *e)
{
    for (size_t i = p->n_stages; i-- > 0;) {
        const struct stage *s = &p->stages[i];
        if (!s->ops->done) continue;
        err_t done = s->ops->done(s->state, rc == ERR_OK ? e : NULL);
        if (rc == ERR_OK) rc = done;
    }
    return rc;
}

static err_t apply_stages(struct pipeline *p, ns_t deadline, const struct batch **out,
                          struct err *e)
{
    const struct batch *b = &p->parsed;
    for (size_t i = 0; i < p->n_stages; i++) {
        struct stage *s = &p->stages[i];
        TRY(s->ops->apply(s->state, b, &s->batch, deadline, e));
        b = &s->batch;
    }
    *out = b;
    return ERR_OK;
}

const struct schema *pipeline_schema(const struct pipeline *p)
{
    return p->n_stages ? &p->stages[p->n_stages - 1].out : &p->spec->in;
}

void pipeline_settle(struct pipeline *p, const uint8_t *sample, size_t n, ns_t deadline,
                     struct schema *io)
{
    struct rejects rejects = { 0 };
    struct reader_stats stats = { 0 };
    struct reader_chunk chunk = { .bytes = sample, .n = n, .end = n, .first_line = 1 };
    const struct batch *b;
    err_t rc = p->reader->read(p->reader_state, &chunk, &p->parsed, &rejects, &stats, NULL);
    rejects_free(&rejects);
    if (rc == ERR_OK) rc = apply_stages(p, deadline, &b, NULL);
    if (rc == ERR_OK) transform_settle(io, b);
    // What fails on a sample says nothing about the types, nor against the job: the batch
    // it fails on will be retried, bisected and explained.
    rc = finish_stages(p, rc, NULL);
    (void)rc;
}

static err_t apply_and_encode(struct pipeline *p, ns_t deadline, struct region *to,
                              struct pipeline_stats *stats, struct err *e)
{
    ns_t parsed = clock_ns();
    const struct batch *b;
    TRY(apply_stages(p, deadline, &b, e));
    ns_t applied = clock_ns();
    if (p->sink) TRY(p->sink->encode(p->sink_state, b, to, e));
    stats->rows_emitted = b->rows;
    stats->apply_ns = applied - parsed;
    stats->encode_ns = clock_ns() - applied;
    return ERR_OK;
}

err_t pipeline_run(struct pipeline *p, const struct reader_chunk *chunk, ns_t deadline,
                   struct region *to, struct rejects *rejects, struct pipeline_stats *stats,
                   struct err *e)
{
    ns_t start = clock_ns();
    TRY(p->reader->read(p->reader_state, chunk, &p->parsed, rejects, &stats->read, e));
    stats->parse_ns = clock_ns() - start;
    return finish_stages(p, apply_and_encode(p, deadline, to, stats, e), e);
}
