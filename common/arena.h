// arena - allocations that die together.

#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include <stddef.h>

struct arena_block;
struct arena {                // zero-initialised is a valid empty arena
    struct arena_block *head; // newest first
    size_t used_bytes;        // handed out since the last reset
};

// 64-byte aligned, uninitialised; NULL when there is no memory or n is absurd
// (over PTRDIFF_MAX). Lives until arena_reset or arena_free.
void *arena_alloc(struct arena *a, size_t n);
char *arena_strdup(struct arena *a, const char *s, size_t n); // adds the NUL
// Forgets everything but keeps the largest block, so a steady state allocates nothing.
void arena_reset(struct arena *a);
void arena_free(struct arena *a); // leaves a valid empty arena

#endif
