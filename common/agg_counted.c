#include "common/agg_counted.h"

#include "common/agg_plan.h"
#include "common/sort64.h"
#include "common/spill.h"
#include "common/varint.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 1 << 16, PAIRS_MIN = 1024, PAIRS_FIRST = 4096 };

struct pair {
    uint64_t key; // sort64_of_double
    uint64_t count;
};

// Integers near the first one are counted in a window; all others become pairs, in lists
// that are sorted each. Two arrays of pairs, so that lists can be merged from one to the
// other.
struct agg_counted {
    uint64_t total;
    uint64_t *window;
    int64_t base;        // of the window
    uint32_t first, end; // used part of the window; first == end: none of it
    bool based;
    struct pair *pair, *spare;
    size_t n, cap, most;
    size_t *list; // where each list ends
    size_t n_lists, cap_lists;
    struct spill *spill;
};

err_t agg_counted_new(struct agg_counted **out, uint64_t memory_bytes, struct err *e)
{
    struct agg_counted *c = *out = calloc(1, sizeof *c);
    if (!c) return err_set(e, ERR_NOMEM, "out of memory");
    c->most = (size_t)(memory_bytes / (2 * sizeof *c->pair));
    if (c->most < PAIRS_MIN) c->most = PAIRS_MIN;
    c->window = calloc(WINDOW, sizeof *c->window);
    err_t rc = c->window ? spill_new(&c->spill, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc != ERR_OK) agg_counted_free(out);
    return rc;
}

void agg_counted_free(struct agg_counted **pc)
{
    struct agg_counted *c = *pc;
    if (!c) return;
    free(c->window);
    free(c->pair);
    free(c->spare);
    free(c->list);
    spill_free(&c->spill);
    free(c);
    *pc = NULL;
}

void agg_counted_clear(struct agg_counted *c)
{
    memset(c->window + c->first, 0, (c->end - c->first) * sizeof *c->window);
    c->total = 0;
    c->first = c->end = 0;
    c->based = false;
    c->n = c->n_lists = 0;
    spill_clear(c->spill);
}

uint64_t agg_counted_total(const struct agg_counted *c)
{
    return c->total;
}

// ---- lists of pairs

static size_t merge_two(const struct pair *a, const struct pair *a_end,
                        const struct pair *b, const struct pair *b_end, struct pair *out)
{
    struct pair *to = out;
    while (a < a_end && b < b_end) {
        if (a->key < b->key)
            *to++ = *a++;
        else if (a->key > b->key)
            *to++ = *b++;
        else {
            *to++ = (struct pair){ a->key, a->count + b->count };
            a++;
            b++;
        }
    }
    for (; a < a_end; a++)
        *to++ = *a;
    for (; b < b_end; b++)
        *to++ = *b;
    return (size_t)(to - out);
}

// Neighbouring lists become one, until there is one.
static void merge_lists(struct agg_counted *c)
{
    while (c->n_lists > 1) {
        size_t n = 0, lists = 0, begin = 0;
        for (size_t i = 0; i < c->n_lists; i += 2) {
            size_t middle = c->list[i], end = i + 1 < c->n_lists ? c->list[i + 1] : middle;
            n += merge_two(c->pair + begin, c->pair + middle, c->pair + middle,
                           c->pair + end, c->spare + n);
            begin = end;
            c->list[lists++] = n;
        }
        struct pair *swap = c->pair;
        c->pair = c->spare;
        c->spare = swap;
        c->n = n;
        c->n_lists = lists;
    }
}

static err_t write_run(struct agg_counted *c, struct err *e)
{
    merge_lists(c);
    TRY(spill_begin(c->spill, e));
    for (size_t i = 0; i < c->n; i++) {
        uint64_t key = __builtin_bswap64(c->pair[i].key);
        TRY(spill_put(c->spill, &key, sizeof key, c->pair[i].count, e));
    }
    TRY(spill_end(c->spill, e));
    c->n = c->n_lists = 0;
    return ERR_OK;
}

static err_t grow(struct agg_counted *c, struct err *e)
{
    size_t cap = c->cap ? c->cap * 2 : PAIRS_FIRST;
    if (cap > c->most) cap = c->most;
    struct pair *pair = realloc(c->pair, cap * sizeof *pair);
    if (pair) c->pair = pair;
    struct pair *spare = pair ? realloc(c->spare, cap * sizeof *spare) : NULL;
    if (!spare) return err_set(e, ERR_NOMEM, "out of memory: the values of a quantile");
    c->spare = spare;
    c->cap = cap;
    return ERR_OK;
}

static err_t end_list(struct agg_counted *c, struct err *e)
{
    if (c->n_lists && c->list[c->n_lists - 1] == c->n) return ERR_OK;
    if (c->n_lists == c->cap_lists) {
        size_t cap = c->cap_lists ? c->cap_lists * 2 : 64;
        size_t *list = realloc(c->list, cap * sizeof *list);
        if (!list) return err_set(e, ERR_NOMEM, "out of memory: the values of a quantile");
        c->list = list;
        c->cap_lists = cap;
    }
    c->list[c->n_lists++] = c->n;
    return ERR_OK;
}

static err_t make_room(struct agg_counted *c, struct err *e)
{
    if (c->cap < c->most) return grow(c, e);
    TRY(end_list(c, e));
    merge_lists(c);
    return c->n > c->most / 2 ? write_run(c, e) : ERR_OK;
}

static err_t add_pair(struct agg_counted *c, uint64_t key, uint64_t count, struct err *e)
{
    if (c->n == c->cap) TRY(make_room(c, e));
    c->pair[c->n++] = (struct pair){ key, count };
    return ERR_OK;
}

static err_t add_int(struct agg_counted *c, int64_t v, uint64_t count, struct err *e)
{
    if (!c->based) {
        c->base = v - WINDOW / 4;
        c->based = true;
    }
    uint64_t at = (uint64_t)v - (uint64_t)c->base;
    if (at >= WINDOW) return add_pair(c, sort64_of_double((double)v), count, e);
    if (c->first == c->end) c->first = c->end = (uint32_t)at;
    if (at < c->first) c->first = (uint32_t)at;
    if (at >= c->end) c->end = (uint32_t)at + 1;
    c->window[at] += count;
    return ERR_OK;
}

// ---- states

static err_t bad(struct err *e)
{
    return err_set(e, ERR_PROTO, "the counted values of an aggregate are damaged");
}

static err_t add_total(struct agg_counted *c, uint64_t count, struct err *e)
{
    // Beyond 2^53 a rank is no exact double; nobody has so many rows.
    if (!count || count > (uint64_t)AGG_EXACT_INT - c->total) return bad(e);
    c->total += count;
    return ERR_OK;
}

static err_t add_ints(struct agg_counted *c, const uint8_t *p, const uint8_t *end,
                      uint64_t n, struct err *e)
{
    uint64_t last = 0, more, count; // from -2^53
    for (uint64_t i = 0; i < n; i++) {
        p = varint_get(p, end, &more);
        if (p) p = varint_get(p, end, &count);
        if (!p || (i && !more) || more > 2 * (uint64_t)AGG_EXACT_INT - last) return bad(e);
        last += more;
        TRY(add_total(c, count, e));
        TRY(add_int(c, (int64_t)last - AGG_EXACT_INT, count, e));
    }
    return p == end ? ERR_OK : bad(e);
}

static bool is_number(uint64_t key) // no NaN, and no second zero
{
    double d = sort64_to_double(key);
    return d == d && sort64_of_double(d) == key;
}

static err_t add_reals(struct agg_counted *c, const uint8_t *p, const uint8_t *end,
                       uint64_t n, struct err *e)
{
    uint64_t last = 0, key, count;
    for (uint64_t i = 0; i < n; i++) {
        if (end - p < 8) return bad(e);
        memcpy(&key, p, 8);
        key = __builtin_bswap64(key);
        p = varint_get(p + 8, end, &count);
        if (!p || !is_number(key) || (i && key <= last)) return bad(e);
        last = key;
        TRY(add_total(c, count, e));
        TRY(add_pair(c, key, count, e));
    }
    return p == end ? ERR_OK : bad(e);
}

err_t agg_counted_add(struct agg_counted *c, const uint8_t *p, size_t n, struct err *e)
{
    uint64_t entries;
    if (n < 2 || p[0] > 1) return bad(e);
    const uint8_t *end = p + n, *at = varint_get(p + 1, end, &entries);
    if (!at || entries > n) return bad(e);
    TRY(p[0] ? add_reals(c, at, end, entries, e) : add_ints(c, at, end, entries, e));
    return c->n ? end_list(c, e) : ERR_OK;
}

// ---- quantiles

struct looking {
    uint64_t rank; // how many values come before the one wanted
    int found;     // of the two
    double value[2];
};

static bool look(struct looking *l, double v, uint64_t count)
{
    while (l->found < 2 && l->rank < count) {
        l->value[l->found++] = v;
        l->rank++; // the second is the next one
    }
    l->rank -= l->rank < count ? l->rank : count;
    return l->found < 2;
}

static bool look_in_run(void *arg, const uint8_t *key, size_t n, uint64_t count)
{
    uint64_t k;
    assert(n == sizeof k);
    memcpy(&k, key, sizeof k);
    return look(arg, sort64_to_double(__builtin_bswap64(k)), count);
}

// What is in the window joins the pairs.
static err_t empty_window(struct agg_counted *c, struct err *e)
{
    uint32_t first = c->first, end = c->end;
    c->first = c->end = 0;
    c->based = false;
    for (uint32_t i = first; i < end; i++) {
        uint64_t count = c->window[i];
        c->window[i] = 0;
        if (count) TRY(add_pair(c, sort64_of_double((double)(c->base + i)), count, e));
    }
    return c->n ? end_list(c, e) : ERR_OK;
}

static void look_in_window(struct agg_counted *c, struct looking *l)
{
    bool more = true;
    for (uint32_t i = c->first; more && i < c->end; i++)
        if (c->window[i]) more = look(l, (double)(c->base + i), c->window[i]);
}

static void look_in_pairs(struct agg_counted *c, struct looking *l)
{
    bool more = true;
    merge_lists(c);
    for (size_t i = 0; more && i < c->n; i++)
        more = look(l, sort64_to_double(c->pair[i].key), c->pair[i].count);
}

err_t agg_counted_quantile(struct agg_counted *c, double q, double *out, struct err *e)
{
    assert(c->total);
    double at = q * (double)(c->total - 1);
    struct looking l = { .rank = (uint64_t)at };
    double part = at - (double)l.rank;
    bool spilt = spill_any(c->spill);
    if (c->n || spilt) TRY(empty_window(c, e));
    if (spilt || spill_any(c->spill)) {
        if (c->n) TRY(write_run(c, e));
        TRY(spill_merge(c->spill, look_in_run, &l, e));
    } else if (c->n) {
        look_in_pairs(c, &l);
    } else {
        look_in_window(c, &l);
    }
    double lo = l.value[0], hi = l.found > 1 ? l.value[1] : lo;
    *out = part == 0 ? lo : lo + part * (hi - lo);
    return ERR_OK;
}
