// random_batch - schemas and batches that a seed decides, for tests with an oracle.

#ifndef TESTS_RANDOM_BATCH_H
#define TESTS_RANDOM_BATCH_H

#include "common/batch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rnd {
    uint64_t x;
};

static inline uint64_t rnd_next(struct rnd *r) // splitmix64
{
    uint64_t z = r->x += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static inline uint32_t rnd_below(struct rnd *r, uint32_t n)
{
    return n ? (uint32_t)(rnd_next(r) % n) : 0;
}

static inline bool rnd_percent(struct rnd *r, uint32_t percent)
{
    return rnd_below(r, 100) < percent;
}

// $TEST_SEED, or a new one; printed, so that a failure can be had again.
static inline struct rnd rnd_seed(const char *test)
{
    const char *given = getenv("TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 0;
    if (!given && getentropy(&seed, sizeof seed) != 0) abort();
    fprintf(stderr, "%s: TEST_SEED=%llu\n", test, (unsigned long long)seed);
    return (struct rnd){ seed };
}

struct batch_taste { // percentages, and the longest texts
    uint32_t nulls, absent, misfits, long_texts;
    uint32_t text_max, long_max;
};

static inline int64_t random_integer(struct rnd *r)
{
    static const int64_t BORDER[] = {
        0,
        1,
        -1,
        2,
        -2,
        127,
        128,
        -128,
        -129,
        32767,
        32768,
        -32768,
        -32769,
        8388607,
        8388608,
        -8388608,
        -8388609,
        INT32_MAX,
        INT32_MAX + 1ll,
        INT32_MIN,
        INT32_MIN - 1ll,
        (1ll << 47) - 1,
        1ll << 47,
        -(1ll << 47),
        -(1ll << 47) - 1,
        INT64_MAX,
        INT64_MIN,
    };
    if (rnd_percent(r, 40)) return BORDER[rnd_below(r, sizeof BORDER / sizeof *BORDER)];
    return (int64_t)rnd_next(r) >> rnd_below(r, 64);
}

static inline double random_real(struct rnd *r)
{
    static const double BORDER[] = {
        0.0,        -0.0,        1.0,
        -1.0,       0.5,         1e300,
        -1e300,     5e-324,      2.2250738585072014e-308,
        1e15,       0x1p47,      -0x1p47,
        0x1p47 - 1, -0x1p47 - 1, 0x1p53,
        0x1p63,     -0x1p63,     1.7976931348623157e308,
    };
    if (rnd_percent(r, 30)) return BORDER[rnd_below(r, sizeof BORDER / sizeof *BORDER)];
    if (rnd_percent(r, 50)) return (double)(random_integer(r) / 1000);
    uint64_t u = rnd_next(r);
    if ((u >> 52 & 2047) == 2047) u ^= 1ull << 62; // finite only
    double d;
    memcpy(&d, &u, sizeof d);
    return d;
}

static inline uint32_t random_length(struct rnd *r, const struct batch_taste *t)
{
    return rnd_percent(r, t->long_texts) ? rnd_below(r, t->long_max + 1)
                                         : rnd_below(r, t->text_max + 1);
}

static inline void random_text(struct rnd *r, uint8_t *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        p[i] = (uint8_t)('A' + rnd_below(r, 58));
}

static inline void *random_alloc(struct batch *b, size_t n)
{
    void *p = arena_alloc(&b->mem, n);
    if (!p) abort();
    return p;
}

static inline void random_texts(struct rnd *r, const struct batch_taste *t, struct batch *b,
                                struct vec *v)
{
    v->off = random_alloc(b, (b->rows + 1) * sizeof *v->off);
    v->off[0] = 0;
    for (uint32_t i = 0; i < b->rows; i++)
        v->off[i + 1] = v->off[i] + (vec_valid(v, i) ? random_length(r, t) : 0);
    v->bytes = random_alloc(b, v->off[b->rows] + 16);
    random_text(r, v->bytes, v->off[b->rows]);
}

static inline void random_cells(struct rnd *r, const struct batch_taste *t, struct batch *b,
                                struct vec *v)
{
    v->any = random_alloc(b, b->rows * sizeof *v->any);
    for (uint32_t i = 0; i < b->rows; i++) {
        struct cell *c = &v->any[i];
        *c = (struct cell){ .kind = rnd_below(r, 5) };
        if (rnd_percent(r, t->nulls)) c->kind = CELL_NULL;
        if (c->kind == CELL_INTEGER) c->i = random_integer(r);
        if (c->kind == CELL_REAL) c->r = random_real(r);
        if (c->kind < CELL_TEXT) continue;
        c->len = random_length(r, t);
        uint8_t *p = random_alloc(b, c->len);
        random_text(r, p, c->len);
        c->p = p;
    }
}

static inline void random_misfits(struct rnd *r, const struct batch_taste *t,
                                  struct batch *b, struct vec *v)
{
    v->misfit = random_alloc(b, b->rows * sizeof *v->misfit);
    for (uint32_t i = 0; i < b->rows; i++) {
        if (!vec_valid(v, i) || !rnd_percent(r, t->misfits)) continue;
        uint32_t n = random_length(r, t);
        uint8_t *p = random_alloc(b, n);
        random_text(r, p, n);
        v->misfit[v->n_misfits++] = (struct misfit){ i, n, p };
        v->i64[i] = 0; // 0.0 is the same bits
    }
}

static inline void random_column(struct rnd *r, const struct batch_taste *t,
                                 struct batch *b, struct vec *v)
{
    v->absent = rnd_percent(r, t->absent);
    if (v->absent) return;
    if (v->type == TYPE_ANY) {
        random_cells(r, t, b, v);
        return;
    }
    v->valid = random_alloc(b, batch_words(b->rows) * sizeof *v->valid);
    uint32_t nulls = rnd_percent(r, 30) ? 0 : t->nulls;
    for (uint32_t w = 0; w < batch_words(b->rows); w++) {
        v->valid[w] = ~0ull;
        for (uint32_t i = 0; i < 64; i++)
            if (rnd_percent(r, nulls)) v->valid[w] &= ~(1ull << i);
    }
    if (type_is_text(v->type)) {
        random_texts(r, t, b, v);
        return;
    }
    v->i64 = random_alloc(b, b->rows * sizeof *v->i64);
    for (uint32_t i = 0; i < b->rows; i++) {
        if (v->type == TYPE_REAL)
            v->f64[i] = random_real(r);
        else
            v->i64[i] = v->type == TYPE_BOOLEAN ? rnd_below(r, 2) : random_integer(r);
    }
    if (t->misfits) random_misfits(r, t, b, v);
}

static inline void random_batch(struct rnd *r, const struct schema *s, uint32_t rows,
                                const struct batch_taste *t, struct batch *b)
{
    if (batch_start(b, s, NULL) != ERR_OK) abort();
    b->rows = rows;
    for (uint32_t i = 0; i < s->n; i++)
        random_column(r, t, b, &b->col[i]);
}

// Names are hostile: quotes, spaces, words of SQL, letters of other alphabets.
static inline void random_schema(struct rnd *r, uint32_t n_cols, uint32_t name_max,
                                 struct schema *s)
{
    static const char *const PART[] = { "\"", "'", "select", " ", ");--", "a", "\xc3\xa4",
                                        "[",  "]", "`",      ",", "%s",   "\n" };
    for (uint32_t i = 0; i < n_cols; i++) {
        char name[4096];
        int n = snprintf(name, sizeof name, "%u", i);
        uint32_t want = rnd_below(r, name_max + 1);
        while ((uint32_t)n < want && n < (int)sizeof name - 16)
            n += snprintf(name + n, sizeof name - (size_t)n, "%s",
                          PART[rnd_below(r, sizeof PART / sizeof *PART)]);
        if (schema_add(s, name, (size_t)n, 1 + rnd_below(r, TYPE_ANY), false, NULL) !=
            ERR_OK)
            abort();
    }
}

#endif
