#include "common/heap.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

err_t heap_reserve(struct heap *h, size_t n)
{
    if (n <= h->cap) return ERR_OK;
    size_t cap = h->cap + h->cap / 2 + 16;
    if (cap < n) cap = n;
    if (cap > SIZE_MAX / sizeof *h->nodes) return ERR_NOMEM;
    struct heap_node **nodes = realloc(h->nodes, cap * sizeof *nodes);
    if (!nodes) return ERR_NOMEM;
    h->nodes = nodes;
    h->cap = cap;
    return ERR_OK;
}

static void put(struct heap *h, size_t i, struct heap_node *x)
{
    h->nodes[i] = x;
    x->at = i + 1;
}

static void up(struct heap *h, size_t i, struct heap_node *x)
{
    for (; i > 0; i = (i - 1) / 2) {
        struct heap_node *parent = h->nodes[(i - 1) / 2];
        if (!h->less(x, parent)) break;
        put(h, i, parent);
    }
    put(h, i, x);
}

static void down(struct heap *h, size_t i, struct heap_node *x)
{
    for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
        if (child + 1 < h->n && h->less(h->nodes[child + 1], h->nodes[child])) child++;
        if (!h->less(h->nodes[child], x)) break;
        put(h, i, h->nodes[child]);
    }
    put(h, i, x);
}

void heap_push(struct heap *h, struct heap_node *x)
{
    assert(!x->at && h->n < h->cap);
    h->n++;
    up(h, h->n - 1, x);
}

void heap_fix(struct heap *h, struct heap_node *x)
{
    size_t i = x->at - 1;
    assert(i < h->n && h->nodes[i] == x);
    if (i > 0 && h->less(x, h->nodes[(i - 1) / 2]))
        up(h, i, x);
    else
        down(h, i, x);
}

void heap_remove(struct heap *h, struct heap_node *x)
{
    if (!x->at) return;
    size_t i = x->at - 1;
    assert(i < h->n && h->nodes[i] == x);
    struct heap_node *last = h->nodes[--h->n];
    x->at = 0;
    if (last == x) return;
    put(h, i, last);
    heap_fix(h, last);
}

void heap_free(struct heap *h)
{
    free(h->nodes);
    *h = (struct heap){ .less = h->less };
}
