#include "coordinator/journal_spans.h"
#include "common/hash_map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct key { // no padding: it is hashed as bytes
    uint64_t begin, end;
    uint32_t input, attempt;
};

struct span_chunk {
    struct key key;
    struct span *span;
    UT_hash_handle hh;
};

static struct key key_of(struct range r, uint32_t attempt)
{
    return (struct key){ r.begin, r.end, r.input, attempt };
}

static err_t remember(struct spans *s, struct range r, uint32_t attempt, struct span *of,
                      struct err *e)
{
    struct span_chunk *c = malloc(sizeof *c);
    if (!c) return err_set(e, ERR_NOMEM, "out of memory");
    c->key = key_of(r, attempt);
    c->span = of;
    HASH_ADD(hh, s->chunks, key, sizeof c->key, c);
    if (!c->hh.tbl) return free(c), err_set(e, ERR_NOMEM, "out of memory");
    of->open++;
    return ERR_OK;
}

void spans_break(struct spans *s)
{
    free(s->kept);
    s->kept = s->last = NULL;
}

static bool follows(const struct span *x, struct range r, uint32_t attempt,
                    const char *worker)
{
    return x && x->attempt == attempt && x->range.input == r.input &&
           x->range.end == r.begin && r.end - x->range.begin <= SPAN_MAX &&
           strncmp(x->worker, worker, sizeof x->worker - 1) == 0;
}

// The first of a span is remembered when the second comes.
static err_t extend(struct spans *s, struct range r, uint32_t attempt, struct err *e)
{
    struct span *x = s->last;
    if (s->kept) TRY(remember(s, x->range, attempt, x, e));
    s->kept = NULL;
    TRY(remember(s, r, attempt, x, e));
    x->range.end = r.end;
    x->chunks++;
    return ERR_OK;
}

err_t spans_add(struct spans *s, struct range r, uint32_t attempt, const char *worker,
                const struct span **span, struct err *e)
{
    *span = NULL;
    if (follows(s->last, r, attempt, worker)) {
        TRY(extend(s, r, attempt, e));
        *span = s->last;
        return ERR_OK;
    }
    spans_break(s);
    if (r.end - r.begin > SPAN_MAX / 2) return ERR_OK;
    struct span *x = calloc(1, sizeof *x);
    if (!x) return err_set(e, ERR_NOMEM, "out of memory");
    x->range = r;
    x->attempt = attempt;
    x->chunks = 1;
    snprintf(x->worker, sizeof x->worker, "%s", worker);
    s->kept = s->last = x;
    return ERR_OK;
}

void spans_end(struct spans *s, struct range r, uint32_t attempt, int64_t ms,
               int64_t peak_kb, struct span_end *out)
{
    struct key k = key_of(r, attempt);
    struct span_chunk *c;
    out->in_span = out->whole = false;
    HASH_FIND(hh, s->chunks, &k, sizeof k, c);
    if (!c) return;
    struct span *x = c->span;
    HASH_DEL(s->chunks, c);
    free(c);
    x->ms += ms;
    if (x->peak_kb < peak_kb) x->peak_kb = peak_kb;
    x->open--;
    *out = (struct span_end){ true, x->open == 0, *x };
    if (x->open) return;
    if (s->last == x) s->last = NULL;
    free(x);
}

void spans_free(struct spans *s)
{
    struct span_chunk *c, *next;
    spans_break(s);
    HASH_ITER(hh, s->chunks, c, next)
    {
        HASH_DEL(s->chunks, c);
        if (--c->span->open == 0) free(c->span);
        free(c);
    }
}
