#include "common/agg_distinct.h"

#include "common/buf.h"
#include "common/hash.h"
#include "common/sort64.h"
#include "common/spill.h"
#include "common/varint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { SLOTS_FIRST = 1024, MEMORY_MIN = 64 << 10 };

struct entry { // its bytes stand in `bytes`: kind, value
    uint64_t at;
    uint32_t n;
    uint32_t tag; // upper half of the hash
};

// A hash table (open addressing, linear probing, at most two thirds full) over bytes that
// lie one after the other.
struct agg_distinct {
    uint64_t seed, most; // bytes of memory
    struct buf bytes;
    struct entry *entry;
    size_t n, cap;
    uint32_t *slot; // number of the entry + 1; 0: empty
    size_t n_slots;
    struct spill *spill;
};

err_t agg_distinct_new(struct agg_distinct **out, uint64_t memory_bytes, struct err *e)
{
    struct agg_distinct *d = *out = calloc(1, sizeof *d);
    if (!d) return err_set(e, ERR_NOMEM, "out of memory");
    d->most = memory_bytes < MEMORY_MIN ? MEMORY_MIN : memory_bytes;
    err_t rc = getrandom(&d->seed, sizeof d->seed, 0) == sizeof d->seed
                   ? spill_new(&d->spill, e)
                   : err_sys(e, "no random numbers");
    if (rc != ERR_OK) agg_distinct_free(out);
    return rc;
}

void agg_distinct_free(struct agg_distinct **pd)
{
    struct agg_distinct *d = *pd;
    if (!d) return;
    buf_free(&d->bytes);
    free(d->entry);
    free(d->slot);
    spill_free(&d->spill);
    free(d);
    *pd = NULL;
}

static void forget_entries(struct agg_distinct *d)
{
    if (d->n) memset(d->slot, 0, d->n_slots * sizeof *d->slot);
    d->n = d->bytes.n = 0;
}

void agg_distinct_clear(struct agg_distinct *d)
{
    forget_entries(d);
    spill_clear(d->spill);
}

// ---- the table

static uint64_t hash_of(const struct agg_distinct *d, const uint8_t *p, size_t n)
{
    return hash_seeded(p, n, d->seed);
}

static err_t nomem(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory: the values of count_distinct");
}

static err_t rehash(struct agg_distinct *d, struct err *e)
{
    size_t n = d->n_slots ? d->n_slots * 2 : SLOTS_FIRST;
    uint32_t *slot = calloc(n, sizeof *slot);
    if (!slot) return nomem(e);
    for (size_t i = 0; i < d->n; i++) {
        uint64_t h = hash_of(d, d->bytes.p + d->entry[i].at, d->entry[i].n);
        size_t at = h & (n - 1);
        while (slot[at])
            at = (at + 1) & (n - 1);
        slot[at] = (uint32_t)i + 1;
    }
    free(d->slot);
    d->slot = slot;
    d->n_slots = n;
    return ERR_OK;
}

static uint64_t memory_of(const struct agg_distinct *d, size_t more)
{
    return d->bytes.n + more + (d->n + 1) * (sizeof *d->entry + 2 * sizeof *d->slot);
}

static _Thread_local const uint8_t *sorted_bytes; // what by_bytes compares

static int by_bytes(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int c = memcmp(sorted_bytes + x->at, sorted_bytes + y->at, n);
    return c ? c : (x->n > y->n) - (x->n < y->n);
}

static err_t write_run(struct agg_distinct *d, struct err *e)
{
    sorted_bytes = d->bytes.p;
    qsort(d->entry, d->n, sizeof *d->entry, by_bytes);
    TRY(spill_begin(d->spill, e));
    for (size_t i = 0; i < d->n; i++)
        TRY(spill_put(d->spill, d->bytes.p + d->entry[i].at, d->entry[i].n, 1, e));
    TRY(spill_end(d->spill, e));
    forget_entries(d);
    return ERR_OK;
}

static err_t add_entry(struct agg_distinct *d, const uint8_t *p, size_t n, uint64_t h,
                       struct err *e)
{
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : SLOTS_FIRST;
        struct entry *entry = realloc(d->entry, cap * sizeof *entry);
        if (!entry) return nomem(e);
        d->entry = entry;
        d->cap = cap;
    }
    d->entry[d->n++] = (struct entry){ d->bytes.n, (uint32_t)n, (uint32_t)(h >> 32) };
    return buf_add(&d->bytes, p, n, e);
}

static err_t add(struct agg_distinct *d, const uint8_t *p, size_t n, struct err *e)
{
    if (d->n && memory_of(d, n) > d->most) TRY(write_run(d, e));
    if ((d->n + 1) * 3 > d->n_slots * 2) TRY(rehash(d, e));
    uint64_t h = hash_of(d, p, n);
    size_t at = h & (d->n_slots - 1);
    for (; d->slot[at]; at = (at + 1) & (d->n_slots - 1)) {
        const struct entry *x = &d->entry[d->slot[at] - 1];
        if (x->tag == (uint32_t)(h >> 32) && x->n == n &&
            memcmp(d->bytes.p + x->at, p, n) == 0)
            return ERR_OK;
    }
    TRY(add_entry(d, p, n, h, e));
    d->slot[at] = (uint32_t)d->n;
    return ERR_OK;
}

// ---- states

static err_t bad(struct err *e)
{
    return err_set(e, ERR_PROTO, "the distinct values of an aggregate are damaged");
}

static err_t add_word(struct agg_distinct *d, uint8_t kind, uint64_t key, struct err *e)
{
    uint8_t bytes[9] = { kind };
    memcpy(bytes + 1, &key, sizeof key);
    return add(d, bytes, sizeof bytes, e);
}

static err_t add_ints(struct agg_distinct *d, const uint8_t **p, const uint8_t *end,
                      struct err *e)
{
    uint64_t n, more, last = 0;
    if (!(*p = varint_get(*p, end, &n))) return bad(e);
    for (uint64_t i = 0; i < n; i++) {
        if (!(*p = varint_get(*p, end, &more))) return bad(e);
        if ((i && !more) || last + more < last) return bad(e);
        last += more;
        TRY(add_word(d, 0, last, e));
    }
    return ERR_OK;
}

static bool is_fraction(uint64_t key) // canonical, and not what an integer could say
{
    double r = sort64_to_double(key);
    bool whole = r >= -0x1p63 && r < 0x1p63 && (double)(int64_t)r == r;
    return r == r && !whole && sort64_of_double(r) == key;
}

static err_t add_reals(struct agg_distinct *d, const uint8_t **p, const uint8_t *end,
                       struct err *e)
{
    uint64_t n, key, last = 0;
    if (!(*p = varint_get(*p, end, &n))) return bad(e);
    for (uint64_t i = 0; i < n; i++) {
        if (end - *p < 8) return bad(e);
        memcpy(&key, *p, 8);
        *p += 8;
        key = __builtin_bswap64(key);
        if (!is_fraction(key) || (i && key <= last)) return bad(e);
        last = key;
        TRY(add_word(d, 1, key, e));
    }
    return ERR_OK;
}

static err_t add_texts(struct agg_distinct *d, uint8_t kind, const uint8_t **p,
                       const uint8_t *end, struct buf *scratch, struct err *e)
{
    uint64_t n, bytes;
    if (!(*p = varint_get(*p, end, &n))) return bad(e);
    for (uint64_t i = 0; i < n; i++) {
        if (!(*p = varint_get(*p, end, &bytes)) || bytes > (uint64_t)(end - *p))
            return bad(e);
        scratch->n = 0;
        TRY(buf_add(scratch, &kind, 1, e));
        if (bytes) TRY(buf_add(scratch, *p, (size_t)bytes, e));
        TRY(add(d, scratch->p, scratch->n, e));
        *p += bytes;
    }
    return ERR_OK;
}

err_t agg_distinct_add(struct agg_distinct *d, const uint8_t *p, size_t n, struct err *e)
{
    const uint8_t *end = p + n;
    struct buf scratch = { 0 };
    err_t rc = add_ints(d, &p, end, e);
    if (rc == ERR_OK) rc = add_reals(d, &p, end, e);
    if (rc == ERR_OK) rc = add_texts(d, 2, &p, end, &scratch, e);
    if (rc == ERR_OK) rc = add_texts(d, 3, &p, end, &scratch, e);
    buf_free(&scratch);
    if (rc != ERR_OK) return rc;
    return p == end ? ERR_OK : bad(e);
}

static bool count_one(void *arg, const uint8_t *key, size_t n, uint64_t count)
{
    (void)key, (void)n, (void)count;
    ++*(uint64_t *)arg;
    return true;
}

err_t agg_distinct_count(struct agg_distinct *d, uint64_t *out, struct err *e)
{
    *out = d->n;
    if (!spill_any(d->spill)) return ERR_OK;
    if (d->n) TRY(write_run(d, e));
    *out = 0;
    return spill_merge(d->spill, count_one, out, e);
}
