#include "coordinator/work.h"

#include <stdlib.h>

static void unref(struct shared_chunk *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1) return;
    chunk_data_free(&s->data);
    free(s);
}

void *work_lend(struct work *k)
{
    atomic_fetch_add(&k->chunk->refs, 1);
    return k->chunk;
}

void work_return(void *data, void *shared)
{
    (void)data;
    unref(shared);
}

static void link_before(struct works *w, struct work *k, struct work *before)
{
    k->next = before;
    k->prev = before ? before->prev : w->last;
    *(k->prev ? &k->prev->next : &w->first) = k;
    *(k->next ? &k->next->prev : &w->last) = k;
    k->in_order = true;
}

void work_leave_order(struct works *w, struct work *k)
{
    if (!k->in_order) return;
    *(k->prev ? &k->prev->next : &w->first) = k->next;
    *(k->next ? &k->next->prev : &w->last) = k->prev;
    k->prev = k->next = NULL;
    k->in_order = false;
}

static bool before(const struct work_key *a, const struct work_key *b)
{
    return a->input < b->input || (a->input == b->input && a->begin < b->begin);
}

// All that stand before it went to the loader just before, and are bad as well.
void work_rejoin_order(struct works *w, struct work *k)
{
    if (k->in_order) return;
    struct work *at = w->first;
    while (at && before(&at->key, &k->key))
        at = at->next;
    link_before(w, k, at);
}

static bool find_by(struct works *w, struct work *k)
{
    HASH_ADD(by_id, w->ids, id, sizeof k->id, k);
    if (!k->by_id.tbl) return false;
    HASH_ADD(by_range, w->ranges, key, sizeof k->key, k);
    if (k->by_range.tbl) return true;
    HASH_DELETE(by_id, w->ids, k);
    return false;
}

struct work *work_add(struct works *w, struct chunk_data **c, struct work *before)
{
    struct work *k = calloc(1, sizeof *k);
    struct shared_chunk *s = malloc(sizeof *s);
    if (k) {
        k->id = w->next_id + 1;
        k->key = (struct work_key){ (*c)->range.input, (*c)->range.begin, (*c)->range.end };
    }
    if (!k || !s || !find_by(w, k)) {
        free(k);
        free(s);
        return NULL;
    }
    *s = (struct shared_chunk){ .refs = 1, .data = *c };
    w->next_id++;
    k->chunk = s;
    *c = NULL;
    link_before(w, k, before);
    w->n++;
    return k;
}

struct work *work_by_id(struct works *w, uint64_t id)
{
    struct work *k;
    HASH_FIND(by_id, w->ids, &id, sizeof id, k);
    return k;
}

struct work *work_by_range(struct works *w, uint64_t input, uint64_t begin, uint64_t end)
{
    struct work_key key = { input, begin, end };
    struct work *k;
    HASH_FIND(by_range, w->ranges, &key, sizeof key, k);
    return k;
}

void work_drop(struct works *w, struct work **kk)
{
    struct work *k = *kk;
    work_leave_order(w, k);
    HASH_DELETE(by_id, w->ids, k);
    HASH_DELETE(by_range, w->ranges, k);
    load_item_free(&k->ready);
    unref(k->chunk);
    free(k);
    w->n--;
    *kk = NULL;
}

void works_free(struct works *w)
{
    struct work *k, *tmp;
    HASH_ITER(by_id, w->ids, k, tmp)
    {
        struct work *gone = k;
        work_drop(w, &gone);
    }
}
