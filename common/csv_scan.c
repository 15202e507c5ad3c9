#include "common/csv_scan.h"

#include "common/csv_simd.h"

#include <stdatomic.h>
#include <string.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

static bool always(void)
{
    return true;
}

#ifdef __x86_64__
static bool have_avx2(void) // and all else that csv_simd_avx2.c is compiled for
{
    unsigned a, b, c = 0, d;
    bool lzcnt = __get_cpuid(0x80000001, &a, &b, &c, &d) && c & 1u << 5;
    return lzcnt && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("pclmul") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt");
}
#endif

static const struct {
    const struct csv_scan_ops *ops;
    bool (*usable)(void);
} sets[] = {
// best first
#ifdef __x86_64__
    { &csv_simd_avx2, have_avx2 },
    { &csv_simd_sse2, always }, // part of x86-64
#endif
    { &csv_simd_scalar, always },
};

static const struct csv_scan_ops *find(const char *name)
{
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if ((!name || strcmp(sets[i].ops->name, name) == 0) && sets[i].usable())
            return sets[i].ops;
    return NULL;
}

const struct csv_scan_ops *csv_scan_ops(const char *name)
{
    // Asked once: CPUID leaves a virtual machine, which takes longer than reading a chunk.
    static const struct csv_scan_ops *_Atomic best;
    if (name) return find(name);
    const struct csv_scan_ops *ops = atomic_load_explicit(&best, memory_order_relaxed);
    if (!ops) {
        ops = find(NULL);
        atomic_store_explicit(&best, ops, memory_order_relaxed);
    }
    return ops;
}

const char *csv_scan_name(const struct csv_scan_ops *ops)
{
    return ops->name;
}

void csv_scan_init(struct csv_scan *s, const struct csv_dialect *d,
                   const struct csv_scan_ops *ops)
{
    *s = (struct csv_scan){
        .delimiter = d->delimiter,
        .quote = d->quote,
        .state = CSV_FIELD_START,
        .ops = ops ? ops : csv_scan_ops(NULL),
    };
}

struct csv_block csv_scan_block(struct csv_scan *s, const uint8_t *p, size_t n)
{
    return s->ops->block(s, p, n);
}
