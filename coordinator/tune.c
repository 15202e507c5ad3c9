#include "coordinator/tune.h"

static const double GOAL_NS = 25e6;  // of one batch, when memory allows
static const double SLOW_NS = 500e6; // above it the 256 KiB floor no longer holds

static uint64_t clamp(uint64_t v, uint64_t low, uint64_t high)
{
    return v < low ? low : v > high ? high : v;
}

uint64_t tune_aggregate_bytes(uint64_t memory_bytes)
{
    return clamp(memory_bytes / 64, TUNE_MIN_BYTES, TUNE_MAX_BYTES / 2);
}

void tune_init(struct tune *t, uint64_t fixed_bytes, uint64_t total_bytes, uint32_t slots,
               uint64_t memory_bytes)
{
    t->fixed_bytes = fixed_bytes;
    t->ns_per_byte = 0;
    t->cap_bytes = clamp(memory_bytes / 64, TUNE_MIN_BYTES, TUNE_MAX_BYTES);
    uint64_t first = 1 << 20;
    if (total_bytes && slots) first = clamp(total_bytes / slots / 8, TUNE_MIN_BYTES, first);
    if (first > t->cap_bytes) first = t->cap_bytes;
    atomic_store(&t->target_bytes, fixed_bytes ? fixed_bytes : first);
}

void tune_learn(struct tune *t, uint64_t chunk_bytes, ns_t run)
{
    if (t->fixed_bytes || chunk_bytes == 0) return;
    double now = (double)run / (double)chunk_bytes;
    t->ns_per_byte = t->ns_per_byte > 0 ? 0.75 * t->ns_per_byte + 0.25 * now : now;
    double want = GOAL_NS / (t->ns_per_byte > 1e-6 ? t->ns_per_byte : 1e-6);
    uint64_t low = TUNE_MIN_BYTES;
    if (t->ns_per_byte * TUNE_MIN_BYTES > SLOW_NS) {
        low = TUNE_FLOOR_BYTES;
        want = SLOW_NS / t->ns_per_byte;
    }
    uint64_t old = atomic_load(&t->target_bytes);
    uint64_t goal = clamp(want > 1e12 ? (uint64_t)1e12 : (uint64_t)want, low, t->cap_bytes);
    // At most twice as large a step, so that one odd batch does not swing the size.
    if (goal > 2 * old) goal = 2 * old;
    atomic_store(&t->target_bytes, goal);
}
