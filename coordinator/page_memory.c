#include "coordinator/page_memory.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

enum {
    LARGE = 2 << 20,
    SMALL = 1 << 20, // so much at the start is for small loads, which touch little of it
};

struct free_slot {
    struct free_slot *next;
};

static struct {
    pthread_mutex_t lock;
    sqlite3_mem_methods rest; // SQLite's own
    uint8_t *block, *end;
    uint8_t *fresh; // from here on nothing was ever used
    struct free_slot *free;
    uint64_t used;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool is_ours(const void *p)
{
    return (const uint8_t *)p >= pool.block && (const uint8_t *)p < pool.end;
}

static void *take_slot(void)
{
    pthread_mutex_lock(&pool.lock);
    void *p = pool.free;
    if (p) {
        pool.free = pool.free->next;
    } else if (pool.end - pool.fresh >= PAGE_MEMORY_SLOT) {
        p = pool.fresh;
        pool.fresh += PAGE_MEMORY_SLOT;
    }
    pool.used += p != NULL;
    pthread_mutex_unlock(&pool.lock);
    return p;
}

static void *get(int n)
{
    void *p = n > PAGE_MEMORY_PAGE && n <= PAGE_MEMORY_SLOT ? take_slot() : NULL;
    return p ? p : pool.rest.xMalloc(n);
}

static void give_back(void *p)
{
    if (!is_ours(p)) {
        pool.rest.xFree(p);
        return;
    }
    pthread_mutex_lock(&pool.lock);
    struct free_slot *f = p;
    f->next = pool.free;
    pool.free = f;
    pool.used--;
    pthread_mutex_unlock(&pool.lock);
}

static void *change(void *p, int n)
{
    if (!is_ours(p)) return pool.rest.xRealloc(p, n);
    if (n <= PAGE_MEMORY_SLOT) return p;
    void *q = pool.rest.xMalloc(n);
    if (!q) return NULL;
    memcpy(q, p, PAGE_MEMORY_SLOT);
    give_back(p);
    return q;
}

static int size_of(void *p)
{
    return is_ours(p) ? PAGE_MEMORY_SLOT : pool.rest.xSize(p);
}

void page_memory_open(void)
{
    size_t n = (size_t)PAGE_MEMORY_SLOTS * PAGE_MEMORY_SLOT + SMALL;
    if (pool.block || sqlite3_config(SQLITE_CONFIG_GETMALLOC, &pool.rest) != SQLITE_OK)
        return;
    uint8_t *p = mmap(NULL, n + LARGE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return;
    uint8_t *large = p + (LARGE - (uintptr_t)p % LARGE) % LARGE;
    if (large - p < SMALL) large += LARGE;
    madvise(large, (size_t)(p + n + LARGE - large), MADV_HUGEPAGE); // or not
    pool.block = pool.fresh = large - SMALL;
    pool.end = pool.block + (size_t)PAGE_MEMORY_SLOTS * PAGE_MEMORY_SLOT;
    sqlite3_mem_methods m = pool.rest;
    m.xMalloc = get;
    m.xFree = give_back;
    m.xRealloc = change;
    m.xSize = size_of;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &m) == SQLITE_OK) return;
    munmap(p, n + LARGE);
    pool.block = pool.end = pool.fresh = NULL;
}

uint64_t page_memory_used(void)
{
    pthread_mutex_lock(&pool.lock);
    uint64_t n = pool.used;
    pthread_mutex_unlock(&pool.lock);
    return n;
}
