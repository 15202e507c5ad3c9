#include "common/agg_states.h"

#include "common/exact.h"
#include "common/sort64.h"
#include "common/varint.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 256 << 10, WINDOW = 4096 };

struct agg_scratch {
    struct exact sum, squares;
    uint32_t count[WINDOW]; // all 0 between uses
    uint64_t *key, *spare;  // room for cap
    struct slice *text;
    size_t cap, text_cap;
    uint8_t *at, *end; // where the next blob goes
};

struct making {
    struct agg_scratch *s;
    struct arena *mem;
    uint64_t max_bytes;
    struct err *e;
};

err_t agg_scratch_new(struct agg_scratch **out, struct err *e)
{
    *out = calloc(1, sizeof **out);
    return *out ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

void agg_scratch_free(struct agg_scratch **ps)
{
    struct agg_scratch *s = *ps;
    if (!s) return;
    free(s->key);
    free(s->spare);
    free(s->text);
    free(s);
    *ps = NULL;
}

// ---- room

static err_t nomem(struct making *m)
{
    return err_set(m->e, ERR_NOMEM, "out of memory: states of an aggregate");
}

static err_t need_keys(struct making *m, size_t n)
{
    struct agg_scratch *s = m->s;
    if (n <= s->cap) return ERR_OK;
    free(s->key);
    free(s->spare);
    s->cap = 0;
    s->key = malloc(n * sizeof *s->key);
    s->spare = malloc(n * sizeof *s->spare);
    if (!s->key || !s->spare) return nomem(m);
    s->cap = n;
    return ERR_OK;
}

// At most n bytes for a blob, at s->at.
static err_t need_blob(struct making *m, size_t n)
{
    struct agg_scratch *s = m->s;
    if ((size_t)(s->end - s->at) >= n) return ERR_OK;
    size_t block = n > BLOCK ? n : BLOCK;
    if (m->mem->used_bytes + block > m->max_bytes)
        return err_set(m->e, ERR_TOOBIG,
                       "the states of an aggregate need more than %llu MiB for one batch; "
                       "raise limits.worker_memory or make batches smaller",
                       (unsigned long long)(m->max_bytes >> 20));
    s->at = arena_alloc(m->mem, block);
    s->end = s->at + block;
    if (s->at) return ERR_OK;
    s->end = NULL;
    return nomem(m);
}

static struct cell blob(struct making *m, const uint8_t *end)
{
    struct cell c = { .kind = CELL_BLOB, .len = (uint32_t)(end - m->s->at), .p = m->s->at };
    m->s->at += c.len;
    return c;
}

// ---- sums

// Magnitude of the largest of them; 2^63 - 1 for the least integer too.
static int64_t largest(const int64_t *v, uint32_t n)
{
    uint64_t all = 0;
    for (uint32_t k = 0; k < n; k++)
        all |= (uint64_t)(v[k] ^ v[k] >> 63);
    return (int64_t)all;
}

static void sum_ints(struct agg_scratch *s, const int64_t *v, uint32_t n, bool squares)
{
    int64_t most = largest(v, n);
    if (most < (int64_t)1 << 15 && n < (uint32_t)1 << 30) { // what most columns are like
        int64_t sum = 0, square = 0;
        for (uint32_t k = 0; k < n; k++) {
            sum += v[k];
            square += v[k] * v[k];
        }
        exact_add_i64(&s->sum, sum);
        if (squares) exact_add_i64(&s->squares, square);
        return;
    }
    __int128 sum = 0, square = 0;
    bool small = most < (int64_t)1 << 46; // n is below 2^32
    for (uint32_t k = 0; k < n; k++)
        sum += v[k];
    exact_add_i128(&s->sum, sum);
    for (uint32_t k = 0; squares && small && k < n; k++)
        square += (__int128)v[k] * v[k];
    if (squares && small) exact_add_i128(&s->squares, square);
    for (uint32_t k = 0; squares && !small && k < n; k++)
        exact_add_square_i64(&s->squares, v[k]);
}

static unsigned sum_reals(struct agg_scratch *s, const double *v, uint32_t n, bool squares)
{
    unsigned flags = n ? AGG_MOMENTS_REAL : 0;
    for (uint32_t k = 0; k < n; k++) {
        if (isinf(v[k])) {
            flags |= v[k] > 0 ? AGG_MOMENTS_PLUS : AGG_MOMENTS_MINUS;
            continue;
        }
        exact_add_double(&s->sum, v[k]);
        if (squares) exact_add_square(&s->squares, v[k]);
    }
    return flags;
}

static uint32_t count_of(const uint32_t *start, uint32_t g)
{
    return start ? start[g + 1] - start[g] : 0;
}

static err_t moments(struct making *m, const struct agg_values *v, uint32_t g, bool squares,
                     struct cell *out)
{
    struct agg_scratch *s = m->s;
    uint32_t ni = count_of(v->i_start, g), nr = count_of(v->r_start, g);
    unsigned flags = squares ? AGG_MOMENTS_SQUARES : 0;
    exact_reset(&s->sum);
    exact_reset(&s->squares);
    if (ni) sum_ints(s, v->i + v->i_start[g], ni, squares);
    if (nr) flags |= sum_reals(s, v->r + v->r_start[g], nr, squares);
    TRY(need_blob(m, 1 + VARINT_MAX + 2 * EXACT_ENCODED_MAX));
    uint8_t *p = s->at;
    *p++ = (uint8_t)flags;
    p = varint_put(p, (uint64_t)ni + nr);
    p += exact_encode(&s->sum, p);
    if (squares) p += exact_encode(&s->squares, p);
    *out = blob(m, p);
    return ERR_OK;
}

// ---- the least and the greatest

static int compare_int_real(int64_t i, double r)
{
    if (r >= 0x1p63) return -1;
    if (r < -0x1p63) return 1;
    int64_t whole = (int64_t)r;
    if (i != whole) return i < whole ? -1 : 1;
    double rest = r - (double)whole;
    return rest > 0 ? -1 : rest < 0 ? 1 : 0;
}

static int compare_bytes(const struct cell *a, const struct cell *b)
{
    uint32_t n = a->len < b->len ? a->len : b->len;
    int c = n ? memcmp(a->p, b->p, n) : 0;
    return c ? c : (a->len > b->len) - (a->len < b->len);
}

static int compare_reals(double a, double b)
{
    if (a != b) return a < b ? -1 : 1;
    return !!signbit(b) - !!signbit(a);
}

int agg_compare(const struct cell *a, const struct cell *b)
{
    static const uint8_t rank[] = { [CELL_NULL] = 0,
                                    [CELL_INTEGER] = 1,
                                    [CELL_REAL] = 1,
                                    [CELL_TEXT] = 2,
                                    [CELL_BLOB] = 3 };
    int c = rank[a->kind] - rank[b->kind];
    if (c) return c;
    if (rank[a->kind] > 1) return compare_bytes(a, b);
    if (a->kind == CELL_NULL) return 0;
    if (a->kind == CELL_INTEGER && b->kind == CELL_INTEGER)
        return (a->i > b->i) - (a->i < b->i);
    if (a->kind == CELL_REAL && b->kind == CELL_REAL) return compare_reals(a->r, b->r);
    c = a->kind == CELL_INTEGER ? compare_int_real(a->i, b->r)
                                : -compare_int_real(b->i, a->r);
    return c ? c : a->kind == CELL_INTEGER ? -1 : 1;
}

int agg_compare_keys(const struct cell *a, const struct cell *b)
{
    bool numbers = (a->kind == CELL_INTEGER || a->kind == CELL_REAL) &&
                   (b->kind == CELL_INTEGER || b->kind == CELL_REAL);
    if (numbers && a->kind != b->kind)
        return a->kind == CELL_INTEGER ? compare_int_real(a->i, b->r)
                                       : -compare_int_real(b->i, a->r);
    if (numbers && a->kind == CELL_REAL) return (a->r > b->r) - (a->r < b->r);
    return agg_compare(a, b);
}

static void take(struct cell *best, const struct cell *c, int sign)
{
    if (best->kind == CELL_NULL || sign * agg_compare(c, best) < 0) *best = *c;
}

// sign 1: the least; -1: the greatest.
static struct cell extreme(const struct agg_values *v, uint32_t g, int sign)
{
    struct cell best = { .kind = CELL_NULL };
    uint32_t ni = count_of(v->i_start, g), nr = count_of(v->r_start, g);
    const int64_t *i = ni ? v->i + v->i_start[g] : NULL;
    const double *r = nr ? v->r + v->r_start[g] : NULL;
    if (ni) {
        int64_t x = i[0];
        for (uint32_t k = 1; k < ni; k++)
            x = sign > 0 ? (i[k] < x ? i[k] : x) : (i[k] > x ? i[k] : x);
        best = (struct cell){ .kind = CELL_INTEGER, .i = x };
    }
    for (uint32_t k = 0; k < nr; k++)
        take(&best, &(struct cell){ .kind = CELL_REAL, .r = r[k] }, sign);
    for (uint32_t k = 0, n = count_of(v->t_start, g); k < n; k++)
        take(&best, &v->t[v->t_start[g] + k], sign);
    return best;
}

// ---- counted values

static uint8_t *put_key(uint8_t *p, uint64_t key) // big endian: sorts as the bytes do
{
    key = __builtin_bswap64(key);
    memcpy(p, &key, sizeof key);
    return p + sizeof key;
}

// Integers of a small range are counted, not sorted. True: done.
static bool count_ints(struct agg_scratch *s, const int64_t *v, uint32_t n, uint8_t **end)
{
    int64_t lo = v[0], hi = v[0];
    for (uint32_t k = 1; k < n; k++) {
        lo = v[k] < lo ? v[k] : lo;
        hi = v[k] > hi ? v[k] : hi;
    }
    uint64_t range = (uint64_t)hi - (uint64_t)lo;
    if (range >= WINDOW || range > 16 * (uint64_t)n) return false;
    if (lo < -AGG_EXACT_INT || hi > AGG_EXACT_INT) return false;
    uint32_t entries = 0;
    for (uint32_t k = 0; k < n; k++)
        entries += s->count[v[k] - lo]++ == 0;
    uint8_t *p = s->at;
    *p++ = 0;
    p = varint_put(p, entries);
    int64_t last = -AGG_EXACT_INT;
    for (uint32_t k = 0; k <= range; k++) {
        if (!s->count[k]) continue;
        p = varint_put(p, (uint64_t)(lo + (int64_t)k - last));
        p = varint_put(p, s->count[k]);
        last = lo + (int64_t)k;
        s->count[k] = 0;
    }
    *end = p;
    return true;
}

// Sorted keys; `form` 0: of integers.
static uint8_t *put_counted(uint8_t *p, const uint64_t *key, uint32_t n, int form)
{
    uint32_t entries = 0;
    for (uint32_t k = 0; k < n; k++)
        entries += k == 0 || key[k] != key[k - 1];
    *p++ = (uint8_t)form;
    p = varint_put(p, entries);
    uint64_t last = sort64_of_int(-AGG_EXACT_INT);
    for (uint32_t k = 0, same; k < n; k += same) {
        for (same = 1; k + same < n && key[k + same] == key[k];)
            same++;
        p = form ? put_key(p, key[k]) : varint_put(p, key[k] - last);
        p = varint_put(p, same);
        last = key[k];
    }
    return p;
}

static err_t values(struct making *m, const struct agg_values *v, uint32_t g,
                    struct cell *out)
{
    struct agg_scratch *s = m->s;
    uint32_t ni = count_of(v->i_start, g), nr = count_of(v->r_start, g);
    const int64_t *i = ni ? v->i + v->i_start[g] : NULL;
    size_t n = (size_t)ni + nr;
    uint8_t *end;
    TRY(need_blob(m, 1 + VARINT_MAX + n * 2 * VARINT_MAX));
    if (!nr && ni && count_ints(s, i, ni, &end)) {
        *out = blob(m, end);
        return ERR_OK;
    }
    TRY(need_keys(m, n));
    int form = nr > 0;
    for (uint32_t k = 0; k < ni && !form; k++)
        form = i[k] < -AGG_EXACT_INT || i[k] > AGG_EXACT_INT;
    for (uint32_t k = 0; k < ni; k++)
        s->key[k] = form ? sort64_of_double((double)i[k]) : sort64_of_int(i[k]);
    for (uint32_t k = 0; k < nr; k++)
        s->key[ni + k] = sort64_of_double(v->r[v->r_start[g] + k]);
    sort64(s->key, s->spare, n);
    *out = blob(m, put_counted(s->at, s->key, (uint32_t)n, form));
    return ERR_OK;
}

// ---- distinct values

static uint32_t unique(uint64_t *key, uint64_t *spare, uint32_t n)
{
    uint32_t kept = 0;
    sort64(key, spare, n);
    for (uint32_t k = 0; k < n; k++)
        if (!kept || key[kept - 1] != key[k]) key[kept++] = key[k];
    return kept;
}

static int by_bytes(const void *a, const void *b)
{
    const struct slice *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int c = n ? memcmp(x->p, y->p, n) : 0;
    return c ? c : (x->n > y->n) - (x->n < y->n);
}

// The texts, or the blobs, of a group.
static err_t put_texts(struct making *m, const struct cell *t, uint32_t n, uint32_t kind,
                       uint8_t **p)
{
    struct agg_scratch *s = m->s;
    if (n > s->text_cap) {
        struct slice *v = realloc(s->text, n * sizeof *v);
        if (!v) return nomem(m);
        s->text = v;
        s->text_cap = n;
    }
    uint32_t found = 0, kept = 0;
    for (uint32_t k = 0; k < n; k++)
        if (t[k].kind == kind) s->text[found++] = (struct slice){ t[k].p, t[k].len };
    if (found) qsort(s->text, found, sizeof *s->text, by_bytes);
    for (uint32_t k = 0; k < found; k++)
        if (!kept || by_bytes(&s->text[kept - 1], &s->text[k]) != 0)
            s->text[kept++] = s->text[k];
    *p = varint_put(*p, kept);
    for (uint32_t k = 0; k < kept; k++) {
        *p = varint_put(*p, s->text[k].n);
        if (s->text[k].n) memcpy(*p, s->text[k].p, s->text[k].n);
        *p += s->text[k].n;
    }
    return ERR_OK;
}

static err_t distinct(struct making *m, const struct agg_values *v, uint32_t g,
                      struct cell *out)
{
    struct agg_scratch *s = m->s;
    uint32_t ni = count_of(v->i_start, g), nr = count_of(v->r_start, g), reals = 0;
    uint32_t nt = count_of(v->t_start, g);
    const struct cell *t = nt ? v->t + v->t_start[g] : NULL;
    size_t room = 4 * VARINT_MAX + ((size_t)ni + nr) * VARINT_MAX;
    for (uint32_t k = 0; k < nt; k++)
        room += VARINT_MAX + (size_t)t[k].len;
    TRY(need_blob(m, room));
    TRY(need_keys(m, 2 * ((size_t)ni + nr)));
    uint64_t *real = s->key + ni + nr;
    for (uint32_t k = 0; k < ni; k++)
        s->key[k] = sort64_of_int(v->i[v->i_start[g] + k]);
    for (uint32_t k = 0; k < nr; k++) {
        double r = v->r[v->r_start[g] + k];
        if (r >= -0x1p63 && r < 0x1p63 && (double)(int64_t)r == r)
            s->key[ni++] = sort64_of_int((int64_t)r);
        else
            real[reals++] = sort64_of_double(r);
    }
    ni = unique(s->key, s->spare, ni);
    reals = unique(real, s->spare, reals);
    uint8_t *p = varint_put(s->at, ni);
    for (uint32_t k = 0; k < ni; k++)
        p = varint_put(p, s->key[k] - (k ? s->key[k - 1] : 0));
    p = varint_put(p, reals);
    for (uint32_t k = 0; k < reals; k++)
        p = put_key(p, real[k]);
    TRY(put_texts(m, t, nt, CELL_TEXT, &p));
    TRY(put_texts(m, t, nt, CELL_BLOB, &p));
    *out = blob(m, p);
    return ERR_OK;
}

// ---- all groups

static struct cell integer(uint64_t n)
{
    return (struct cell){ .kind = CELL_INTEGER, .i = (int64_t)n };
}

static err_t make_one(struct making *m, const struct agg_plan_state *kind,
                      const struct agg_order *o, const struct agg_values *v, uint32_t g,
                      struct cell *out)
{
    switch (kind->kind) {
    case AGG_STATE_ROWS: *out = integer(o->start[g + 1] - o->start[g]); return ERR_OK;
    case AGG_STATE_COUNT:
        *out = integer((uint64_t)count_of(v->i_start, g) + count_of(v->r_start, g) +
                       count_of(v->t_start, g));
        return ERR_OK;
    case AGG_STATE_MOMENTS: return moments(m, v, g, kind->squares, out);
    case AGG_STATE_MIN: *out = extreme(v, g, 1); return ERR_OK;
    case AGG_STATE_MAX: *out = extreme(v, g, -1); return ERR_OK;
    case AGG_STATE_VALUES: return values(m, v, g, out);
    case AGG_STATE_DISTINCT: return distinct(m, v, g, out);
    case AGG_STATE_MAX_BY:
    case AGG_STATE_MIN_BY: break; // agg_best
    }
    return ERR_OK;
}

err_t agg_states_make(const struct agg_plan_state *kind, const struct agg_order *o,
                      const struct agg_values *v, struct agg_scratch *s, struct arena *mem,
                      uint64_t max_bytes, struct cell *out, struct err *e)
{
    struct making m = { .s = s, .mem = mem, .max_bytes = max_bytes, .e = e };
    s->at = s->end = NULL; // the arena may have been reset
    for (uint32_t g = 0; g < o->groups; g++)
        TRY(make_one(&m, kind, o, v, g, &out[g]));
    return ERR_OK;
}
