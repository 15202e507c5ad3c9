#include "common/sql_distinct.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { KIND_INTEGER, KIND_REAL, KIND_TEXT, KIND_BLOB, N_FIRST = 64, BYTES_FIRST = 1024 };

struct seen { // its bytes stand in `bytes`: kind, value
    uint64_t at;
    uint32_t n;
};

struct distinct {
    uint8_t *bytes;
    uint64_t n_bytes, cap_bytes;
    struct seen *seen;
    uint64_t n, cap;
    bool failed;
};

static int by_bytes(const void *a, const void *b, void *bytes)
{
    const struct seen *x = a, *y = b;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return memcmp((uint8_t *)bytes + x->at, (uint8_t *)bytes + y->at, x->n);
}

static int by_place(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

// Drops what was seen before.
static void unite(struct distinct *d)
{
    uint64_t k = 0;
    if (!d->n) return;
    qsort_r(d->seen, d->n, sizeof *d->seen, by_bytes, d->bytes);
    for (uint64_t i = 0; i < d->n; i++)
        if (i == 0 || by_bytes(&d->seen[k - 1], &d->seen[i], d->bytes) != 0)
            d->seen[k++] = d->seen[i];
    d->n = k;
}

static void pack(struct distinct *d)
{
    d->n_bytes = 0;
    if (!d->n) return;
    qsort(d->seen, d->n, sizeof *d->seen, by_place);
    for (uint64_t i = 0; i < d->n; i++) {
        memmove(d->bytes + d->n_bytes, d->bytes + d->seen[i].at, d->seen[i].n);
        d->seen[i].at = d->n_bytes;
        d->n_bytes += d->seen[i].n;
    }
}

static bool is_full(const struct distinct *d, uint64_t more)
{
    return d->n == d->cap || d->n_bytes + more > d->cap_bytes;
}

// Room is for distinct values, not for rows: it grows when they alone take half of it.
static bool room(struct distinct *d, uint64_t more)
{
    if (!is_full(d, more)) return true;
    unite(d);
    pack(d);
    if (2 * (d->n_bytes + more) > d->cap_bytes) {
        uint64_t cap = (d->n_bytes + more) * 4 + BYTES_FIRST;
        uint8_t *bytes = sqlite3_realloc64(d->bytes, cap);
        if (!bytes) return false;
        d->bytes = bytes;
        d->cap_bytes = cap;
    }
    if (2 * d->n >= d->cap) {
        uint64_t cap = d->n * 4 + N_FIRST;
        struct seen *seen = sqlite3_realloc64(d->seen, cap * sizeof *seen);
        if (!seen) return false;
        d->seen = seen;
        d->cap = cap;
    }
    return true;
}

static bool keep(struct distinct *d, uint8_t kind, const void *p, size_t n)
{
    if (!room(d, n + 1)) return false;
    d->seen[d->n++] = (struct seen){ d->n_bytes, (uint32_t)n + 1 };
    d->bytes[d->n_bytes] = kind;
    if (n) memcpy(d->bytes + d->n_bytes + 1, p, n);
    d->n_bytes += n + 1;
    return true;
}

static bool keep_real(struct distinct *d, double x)
{
    int64_t i = x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : 1;
    return (double)i == x ? keep(d, KIND_INTEGER, &i, sizeof i)
                          : keep(d, KIND_REAL, &x, sizeof x);
}

static bool add(struct distinct *d, sqlite3_value *v)
{
    int64_t i;
    const void *p;
    switch (sqlite3_value_type(v)) {
    case SQLITE_NULL: return true;
    case SQLITE_FLOAT: return keep_real(d, sqlite3_value_double(v));
    case SQLITE_TEXT:
        p = sqlite3_value_text(v);
        return p && keep(d, KIND_TEXT, p, (size_t)sqlite3_value_bytes(v));
    case SQLITE_BLOB:
        p = sqlite3_value_blob(v);
        return keep(d, KIND_BLOB, p, (size_t)sqlite3_value_bytes(v));
    default: i = sqlite3_value_int64(v); return keep(d, KIND_INTEGER, &i, sizeof i);
    }
}

void sql_distinct_step(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    struct distinct *d = sqlite3_aggregate_context(ctx, sizeof *d);
    if (d && (d->failed || add(d, v[0]))) return;
    if (d) d->failed = true;
    sqlite3_result_error_nomem(ctx);
}

void sql_distinct_final(sqlite3_context *ctx)
{
    struct distinct *d = sqlite3_aggregate_context(ctx, 0);
    if (d && !d->failed) unite(d);
    if (!d || !d->failed) sqlite3_result_int64(ctx, d ? (int64_t)d->n : 0);
    if (!d) return;
    sqlite3_free(d->bytes);
    sqlite3_free(d->seen);
    memset(d, 0, sizeof *d);
}
