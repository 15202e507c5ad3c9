#include "common/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, FIRST_BLOCK = 64 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t cap, used;
    _Alignas(64) uint8_t data[];
};

static struct arena_block *block_new(size_t cap)
{
    struct arena_block *b = aligned_alloc(ALIGN, sizeof *b + cap);
    if (b) *b = (struct arena_block){ .cap = cap };
    return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > PTRDIFF_MAX / 4) return NULL;
    n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (n == 0) n = ALIGN;
    struct arena_block *b = a->head;
    if (!b || b->cap - b->used < n) {
        size_t cap = b ? b->cap * 2 : FIRST_BLOCK;
        if (cap > (16u << 20)) cap = 16u << 20;
        if (cap < n) cap = n;
        b = block_new(cap);
        if (!b) return NULL;
        b->next = a->head;
        a->head = b;
    }
    void *p = b->data + b->used;
    b->used += n;
    a->used_bytes += n;
    return p;
}

char *arena_strdup(struct arena *a, const char *s, size_t n)
{
    char *p = arena_alloc(a, n + 1);
    if (!p) return NULL;
    memcpy(p, s, n);
    p[n] = 0;
    return p;
}

static void free_all_but(struct arena *a, const struct arena_block *keep)
{
    for (struct arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        if (b != keep) free(b);
    }
}

void arena_reset(struct arena *a)
{
    struct arena_block *largest = a->head;
    for (struct arena_block *b = a->head; b; b = b->next)
        if (b->cap > largest->cap) largest = b;
    free_all_but(a, largest);
    if (largest) {
        largest->next = NULL;
        largest->used = 0;
    }
    a->head = largest;
    a->used_bytes = 0;
}

void arena_free(struct arena *a)
{
    free_all_but(a, NULL);
    *a = (struct arena){ 0 };
}
