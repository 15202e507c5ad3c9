#include "common/agg_runs.h"

#include "common/agg_states.h"
#include "common/row_code.h"

#include <stdlib.h>
#include <string.h>

struct run {
    int64_t next, last; // pieces that are not read yet
    struct buf bytes;
    size_t at;        // of the next row in them
    struct cell *row; // its values, borrowed from the bytes
    uint64_t head;    // of the first key, when it is text: its first bytes, in their order
};

struct agg_runs {
    uint32_t n_keys, n_values;
    agg_runs_fetch *fetch;
    void *arg;
    struct run **run; // a heap, the least row first, once `started`
    size_t n, cap;
    bool started;
};

static err_t nomem(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory: merging an aggregate");
}

err_t agg_runs_new(struct agg_runs **out, uint32_t n_keys, uint32_t n_values,
                   agg_runs_fetch *fetch, void *arg, struct err *e)
{
    struct agg_runs *r = *out = calloc(1, sizeof *r);
    if (!r) return nomem(e);
    r->n_keys = n_keys;
    r->n_values = n_values;
    r->fetch = fetch;
    r->arg = arg;
    return ERR_OK;
}

static void run_free(struct run *x)
{
    if (!x) return;
    buf_free(&x->bytes);
    free(x->row);
    free(x);
}

void agg_runs_free(struct agg_runs **pr)
{
    struct agg_runs *r = *pr;
    *pr = NULL;
    if (!r) return;
    for (size_t i = 0; i < r->n; i++)
        run_free(r->run[i]);
    free(r->run);
    free(r);
}

// ---- one run

static uint64_t head_of(const struct cell *text)
{
    uint64_t word = 0;
    if (text->len) memcpy(&word, text->p, text->len < 8 ? text->len : 8);
    return __builtin_bswap64(word);
}

static bool parse(const struct agg_runs *r, struct run *x)
{
    size_t at = x->at;
    for (uint32_t i = 0; i < r->n_values; i++)
        if (!row_code_next(x->bytes.p, x->bytes.n, &at, &x->row[i])) return false;
    x->at = at;
    if (r->n_keys && x->row[0].kind == CELL_TEXT) x->head = head_of(&x->row[0]);
    return true;
}

// *any = false: that was the last row.
static err_t advance(struct agg_runs *r, struct run *x, bool *any, struct err *e)
{
    for (;;) {
        *any = x->at < x->bytes.n || x->next <= x->last;
        if (!*any || (x->at < x->bytes.n && parse(r, x))) return ERR_OK;
        if (x->next > x->last)
            return err_set(e, ERR_PROTO, "the states of an aggregate are cut");
        size_t left = x->bytes.n - x->at;
        if (left && x->at) memmove(x->bytes.p, x->bytes.p + x->at, left);
        x->bytes.n = left;
        x->at = 0;
        TRY(r->fetch(r->arg, x->next++, &x->bytes, e));
    }
}

// ---- all of them

static int compare(const struct agg_runs *r, const struct run *a, const struct run *b)
{
    int order = 0;
    if (a->head != b->head && a->row[0].kind == CELL_TEXT && b->row[0].kind == CELL_TEXT)
        return a->head < b->head ? -1 : 1;
    for (uint32_t i = 0; !order && i < r->n_keys; i++)
        order = agg_compare_keys(&a->row[i], &b->row[i]);
    return order;
}

static void sift_down(struct agg_runs *r, size_t at)
{
    struct run *x = r->run[at];
    for (size_t child; (child = 2 * at + 1) < r->n; at = child) {
        if (child + 1 < r->n && compare(r, r->run[child + 1], r->run[child]) < 0) child++;
        if (compare(r, x, r->run[child]) <= 0) break;
        r->run[at] = r->run[child];
    }
    r->run[at] = x;
}

static err_t add(struct agg_runs *r, struct run *x, struct err *e)
{
    bool any;
    x->row = calloc(r->n_values + 1, sizeof *x->row);
    if (!x->row) return nomem(e);
    if (r->n == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 64;
        struct run **v = realloc(r->run, cap * sizeof *v);
        if (!v) return nomem(e);
        r->run = v;
        r->cap = cap;
    }
    TRY(advance(r, x, &any, e));
    if (any)
        r->run[r->n++] = x;
    else
        run_free(x);
    return ERR_OK;
}

err_t agg_runs_add(struct agg_runs *r, int64_t first, int64_t last, struct err *e)
{
    struct run *x = calloc(1, sizeof *x);
    if (!x) return nomem(e);
    x->next = first;
    x->last = last;
    err_t rc = add(r, x, e);
    if (rc != ERR_OK) run_free(x);
    return rc;
}

static err_t pass_over(struct agg_runs *r, struct err *e)
{
    bool any;
    TRY(advance(r, r->run[0], &any, e));
    if (!any) {
        run_free(r->run[0]);
        r->run[0] = r->run[--r->n];
    }
    if (r->n) sift_down(r, 0);
    return ERR_OK;
}

err_t agg_runs_next(struct agg_runs *r, const struct cell **row, struct err *e)
{
    *row = NULL;
    if (r->started && r->n) TRY(pass_over(r, e));
    for (size_t i = r->n / 2; !r->started && i-- > 0;)
        sift_down(r, i);
    r->started = true;
    if (r->n) *row = r->run[0]->row;
    return ERR_OK;
}
