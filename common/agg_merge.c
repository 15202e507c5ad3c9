#include "common/agg_merge.h"

#include "common/agg_best.h"
#include "common/agg_counted.h"
#include "common/agg_distinct.h"
#include "common/agg_plan.h"
#include "common/agg_states.h"
#include "common/exact.h"
#include "common/varint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct moments {
    uint64_t n;
    unsigned flags;
    struct exact sum, squares;
};

struct state {  // one of the plan's
    uint64_t n; // ROWS, COUNT
    struct cell best;
    struct buf bytes; // of best, when it is text or a blob
    struct moments *moments;
    struct agg_counted *counted;
    struct agg_distinct *distinct;
    struct agg_best *row;
};

struct agg_merge {
    const struct agg *agg;
    struct agg_plan plan;
    struct state *state;
};

static err_t nomem(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory: merging an aggregate");
}

static err_t open_state(struct state *s, const struct agg_plan_state *plan,
                        uint64_t memory_bytes, struct err *e)
{
    switch (plan->kind) {
    case AGG_STATE_MOMENTS:
        s->moments = calloc(1, sizeof *s->moments);
        return s->moments ? ERR_OK : nomem(e);
    case AGG_STATE_VALUES: return agg_counted_new(&s->counted, memory_bytes, e);
    case AGG_STATE_DISTINCT: return agg_distinct_new(&s->distinct, memory_bytes, e);
    case AGG_STATE_MAX_BY:
    case AGG_STATE_MIN_BY:
        s->row = calloc(1, sizeof *s->row);
        return s->row ? agg_best_open(s->row, plan, e) : nomem(e);
    default: return ERR_OK;
    }
}

static err_t open_states(struct agg_merge *m, uint64_t memory_bytes, struct err *e)
{
    uint32_t heavy = 0;
    TRY(agg_plan_init(&m->plan, m->agg, e));
    m->state = calloc(m->plan.n + 1, sizeof *m->state);
    if (!m->state) return nomem(e);
    for (uint32_t i = 0; i < m->plan.n; i++)
        heavy += m->plan.state[i].kind == AGG_STATE_VALUES ||
                 m->plan.state[i].kind == AGG_STATE_DISTINCT;
    for (uint32_t i = 0; i < m->plan.n; i++)
        TRY(open_state(&m->state[i], &m->plan.state[i], memory_bytes / (heavy ? heavy : 1),
                       e));
    return ERR_OK;
}

err_t agg_merge_new(struct agg_merge **out, const struct agg *a, uint64_t memory_bytes,
                    struct err *e)
{
    struct agg_merge *m = *out = calloc(1, sizeof *m);
    if (!m) return nomem(e);
    m->agg = a;
    err_t rc = open_states(m, memory_bytes, e);
    if (rc != ERR_OK) agg_merge_free(out);
    return rc;
}

void agg_merge_free(struct agg_merge **pm)
{
    struct agg_merge *m = *pm;
    if (!m) return;
    for (uint32_t i = 0; m->state && i < m->plan.n; i++) {
        struct state *s = &m->state[i];
        buf_free(&s->bytes);
        free(s->moments);
        agg_counted_free(&s->counted);
        agg_distinct_free(&s->distinct);
        if (s->row) agg_best_close(s->row);
        free(s->row);
    }
    free(m->state);
    agg_plan_close(&m->plan);
    free(m);
    *pm = NULL;
}

uint32_t agg_merge_states(const struct agg_merge *m)
{
    return m->plan.n;
}

void agg_merge_start(struct agg_merge *m)
{
    for (uint32_t i = 0; i < m->plan.n; i++) {
        struct state *s = &m->state[i];
        s->n = 0;
        s->best = (struct cell){ .kind = CELL_NULL };
        if (s->moments) {
            s->moments->n = 0;
            s->moments->flags = 0;
            exact_reset(&s->moments->sum);
            exact_reset(&s->moments->squares);
        }
        if (s->counted) agg_counted_clear(s->counted);
        if (s->distinct) agg_distinct_clear(s->distinct);
        if (s->row) s->row->any = false;
    }
}

// ---- add

static err_t bad(struct err *e, const char *what)
{
    return err_set(e, ERR_PROTO, "%s of an aggregate is damaged", what);
}

static err_t add_count(uint64_t *n, uint64_t more, struct err *e)
{
    if (more > (uint64_t)AGG_EXACT_INT - *n) return bad(e, "a count");
    *n += more;
    return ERR_OK;
}

static err_t add_moments(struct moments *m, bool squares, const uint8_t *p, size_t n,
                         struct err *e)
{
    static const char WHAT[] = "a sum";
    const uint8_t *end = p + n;
    uint64_t count;
    if (!n || p[0] > AGG_MOMENTS_ALL) return bad(e, WHAT);
    unsigned flags = *p++;
    if (squares != !!(flags & AGG_MOMENTS_SQUARES)) return bad(e, WHAT);
    if (!(p = varint_get(p, end, &count))) return bad(e, WHAT);
    size_t used = exact_add_encoded(&m->sum, p, (size_t)(end - p));
    if (!used) return bad(e, WHAT);
    p += used;
    if (squares) {
        used = exact_add_encoded(&m->squares, p, (size_t)(end - p));
        if (!used) return bad(e, WHAT);
        p += used;
    }
    if (p != end) return bad(e, WHAT);
    m->flags |= flags;
    return add_count(&m->n, count, e);
}

static err_t add_extreme(struct state *s, const struct cell *c, int sign, struct err *e)
{
    if (c->kind == CELL_NULL) return ERR_OK;
    if (c->kind == CELL_REAL && c->r != c->r) return bad(e, "a value");
    if (s->best.kind != CELL_NULL && sign * agg_compare(c, &s->best) >= 0) return ERR_OK;
    s->best = *c;
    if (c->kind != CELL_TEXT && c->kind != CELL_BLOB) return ERR_OK;
    s->bytes.n = 0;
    TRY(buf_reserve(&s->bytes, (size_t)c->len + 1, e));
    if (c->len) TRY(buf_add(&s->bytes, c->p, c->len, e));
    s->best.p = s->bytes.p;
    return ERR_OK;
}

static err_t add_state(struct state *s, const struct agg_plan_state *plan,
                       const struct cell *c, struct err *e)
{
    bool blob = c->kind == CELL_BLOB;
    switch (plan->kind) {
    case AGG_STATE_ROWS:
    case AGG_STATE_COUNT:
        if (c->kind != CELL_INTEGER || c->i < 0) return bad(e, "a count");
        return add_count(&s->n, (uint64_t)c->i, e);
    case AGG_STATE_MOMENTS:
        if (!blob) return bad(e, "a sum");
        return add_moments(s->moments, plan->squares, c->p, c->len, e);
    case AGG_STATE_MIN: return add_extreme(s, c, 1, e);
    case AGG_STATE_MAX: return add_extreme(s, c, -1, e);
    case AGG_STATE_VALUES:
        if (!blob) return bad(e, "a list of values");
        return agg_counted_add(s->counted, c->p, c->len, e);
    case AGG_STATE_DISTINCT:
        if (!blob) return bad(e, "a list of values");
        return agg_distinct_add(s->distinct, c->p, c->len, e);
    case AGG_STATE_MAX_BY:
    case AGG_STATE_MIN_BY: return agg_best_add(s->row, plan, c, e);
    }
    return ERR_OK;
}

err_t agg_merge_add(struct agg_merge *m, const struct cell *states, struct err *e)
{
    for (uint32_t i = 0; i < m->plan.n; i++)
        TRY(add_state(&m->state[i], &m->plan.state[i], &states[i], e));
    return ERR_OK;
}

// ---- results

static struct cell real(double r)
{
    return (struct cell){ .kind = r == r ? CELL_REAL : CELL_NULL, .r = r };
}

static bool infinite(const struct moments *m, double *r)
{
    unsigned both = AGG_MOMENTS_PLUS | AGG_MOMENTS_MINUS;
    *r = (m->flags & both) == both      ? NAN
         : m->flags & AGG_MOMENTS_PLUS  ? INFINITY
         : m->flags & AGG_MOMENTS_MINUS ? -INFINITY
                                        : 0;
    return m->flags & both;
}

static struct cell sum_of(struct moments *m)
{
    struct cell out = { .kind = CELL_INTEGER };
    double r;
    if (infinite(m, &r)) return real(r);
    if (!(m->flags & AGG_MOMENTS_REAL) && exact_i64(&m->sum, &out.i)) return out;
    return real(exact_double(&m->sum));
}

static struct cell average_of(struct moments *m)
{
    double r;
    return real(infinite(m, &r) ? r : exact_double(&m->sum) / (double)m->n);
}

static struct cell variance_of(struct moments *m, bool root)
{
    double r;
    if (m->n < 2 || infinite(m, &r)) return (struct cell){ .kind = CELL_NULL };
    r = exact_spread(&m->sum, &m->squares, m->n) / (double)(m->n - 1);
    return real(root ? sqrt(r) : r);
}

static struct cell integer(uint64_t n)
{
    return (struct cell){ .kind = CELL_INTEGER, .i = (int64_t)n };
}

static err_t result_of(struct state *s, const struct agg_fn *f, uint32_t with,
                       struct cell *out, struct err *e)
{
    double r;
    uint64_t n;
    *out = (struct cell){ .kind = CELL_NULL };
    switch (f->kind) {
    case AGG_COUNT: *out = integer(s->n); break;
    case AGG_SUM:
        if (s->moments->n) *out = sum_of(s->moments);
        break;
    case AGG_AVG:
        if (s->moments->n) *out = average_of(s->moments);
        break;
    case AGG_STDDEV:
    case AGG_VARIANCE: *out = variance_of(s->moments, f->kind == AGG_STDDEV); break;
    case AGG_MIN:
    case AGG_MAX:
        if (!s->row)
            *out = s->best;
        else if (s->row->any)
            *out = s->row->row[0];
        break;
    case AGG_QUANTILE:
    case AGG_MEDIAN:
        if (!agg_counted_total(s->counted)) break;
        TRY(agg_counted_quantile(s->counted, f->q, &r, e));
        *out = real(r);
        break;
    case AGG_COUNT_DISTINCT:
        TRY(agg_distinct_count(s->distinct, &n, e));
        *out = integer(n);
        break;
    case AGG_MAX_BY:
    case AGG_MIN_BY:
        if (s->row->any) *out = s->row->row[1 + with];
        break;
    }
    return ERR_OK;
}

err_t agg_merge_result(struct agg_merge *m, struct cell *out, struct err *e)
{
    for (size_t i = 0; i < m->agg->n_fn; i++)
        TRY(result_of(&m->state[m->plan.of_fn[i]], &m->agg->fn[i], m->plan.with_of_fn[i],
                      &out[i], e));
    return ERR_OK;
}
