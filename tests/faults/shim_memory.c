// malloc and its family, which may fail from outside: see shim.h.

#include "tests/faults/shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// What glibc has under these names is there before anything is looked up. A sanitizer's
// must be looked up, and that allocates: from here.
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t),
    *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static struct {
    void *(*malloc)(size_t), *(*calloc)(size_t, size_t), *(*realloc)(void *, size_t),
        *(*memalign)(size_t, size_t);
    void (*free)(void *);
    bool known, looking;
    _Alignas(16) char first[65536];
    size_t used;
} next;

static bool is_first(const void *p)
{
    return (const char *)p >= next.first &&
           (const char *)p < next.first + sizeof next.first;
}

static void *from_first(size_t n)
{
    size_t at = next.used;
    next.used += (n + 31) & ~(size_t)15;
    if (next.used > sizeof next.first) abort();
    *(size_t *)(void *)(next.first + at) = n;
    return next.first + at + 16;
}

static void look(void)
{
    next.looking = true;
    next.malloc = __libc_malloc;
    next.calloc = __libc_calloc;
    next.realloc = __libc_realloc;
    next.memalign = __libc_memalign;
    next.free = __libc_free;
    if (dlsym(RTLD_DEFAULT, "__asan_init")) {
        *(void **)&next.malloc = dlsym(RTLD_NEXT, "malloc");
        *(void **)&next.calloc = dlsym(RTLD_NEXT, "calloc");
        *(void **)&next.realloc = dlsym(RTLD_NEXT, "realloc");
        *(void **)&next.memalign = dlsym(RTLD_NEXT, "memalign");
        *(void **)&next.free = dlsym(RTLD_NEXT, "free");
    }
    next.looking = false;
    next.known = true;
}

static bool ready(void)
{
    if (!next.known && !next.looking) look(); // one thread: before main
    return next.known;
}

__attribute__((visibility("default"))) void *malloc(size_t n)
{
    if (!ready()) return from_first(n);
    return shim_fails(SHIM_malloc, NULL) ? (errno = ENOMEM, NULL) : next.malloc(n);
}

__attribute__((visibility("default"))) void *calloc(size_t k, size_t n)
{
    if (!ready()) return from_first(k * n);
    return shim_fails(SHIM_malloc, NULL) ? (errno = ENOMEM, NULL) : next.calloc(k, n);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t n)
{
    if (is_first(p)) {
        void *to = malloc(n);
        size_t had = *(size_t *)(void *)((char *)p - 16);
        return to ? memcpy(to, p, had < n ? had : n) : NULL;
    }
    if (!ready()) return from_first(n);
    return shim_fails(SHIM_malloc, NULL) ? (errno = ENOMEM, NULL) : next.realloc(p, n);
}

__attribute__((visibility("default"))) void *memalign(size_t align, size_t n)
{
    if (!ready()) abort();
    return shim_fails(SHIM_malloc, NULL) ? (errno = ENOMEM, NULL) : next.memalign(align, n);
}

__attribute__((visibility("default"))) void *aligned_alloc(size_t align, size_t n)
{
    return memalign(align, n);
}

__attribute__((visibility("default"))) int posix_memalign(void **p, size_t align, size_t n)
{
    void *got = memalign(align, n);
    if (got) *p = got;
    return got ? 0 : ENOMEM;
}

__attribute__((visibility("default"))) void free(void *p)
{
    if (!is_first(p) && ready()) next.free(p);
}
