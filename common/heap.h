// heap - an indexed binary heap: its elements know their position, so that any of them can
// be moved or taken out in logarithmic time. It holds pointers to nodes that live inside
// the caller's structures and owns none of them.

#ifndef COMMON_HEAP_H
#define COMMON_HEAP_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

struct heap_node {
    size_t at; // position from 1; 0: in no heap
};

typedef bool heap_less(const struct heap_node *a, const struct heap_node *b);

struct heap { // { .less = ... } is a valid empty heap
    struct heap_node **nodes;
    size_t n, cap;
    heap_less *less;
};

// Room for `n` nodes altogether, so that pushes up to there can't fail.
MUST_CHECK err_t heap_reserve(struct heap *h, size_t n);
void heap_push(struct heap *h, struct heap_node *x);   // x in no heap, room reserved
void heap_remove(struct heap *h, struct heap_node *x); // nothing happens when it is in none
void heap_fix(struct heap *h, struct heap_node *x);    // after its key changed
void heap_free(struct heap *h);                        // leaves a valid empty heap

static inline struct heap_node *heap_top(const struct heap *h)
{
    return h->n ? h->nodes[0] : NULL;
}

#endif
