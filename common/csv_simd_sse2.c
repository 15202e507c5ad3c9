#ifdef __x86_64__
#include <emmintrin.h>

#include "common/csv_simd.h"

struct raw {
    uint64_t delim, lf, quote;
    bool odd;
};

static inline uint64_t bytes_equal(const __m128i v[4], uint8_t c)
{
    __m128i x = _mm_set1_epi8((char)c);
    uint64_t m = 0;
    for (int i = 0; i < 4; i++)
        m |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v[i], x)) << (16 * i);
    return m;
}

static inline struct raw load(const struct csv_scan *s, const uint8_t *p)
{
    __m128i v[4], odd = _mm_setzero_si128();
    for (int i = 0; i < 4; i++) {
        v[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
        // The top bit of v | v - 1 is set for NUL and for all that is not ASCII.
        odd = _mm_or_si128(odd, _mm_or_si128(v[i], _mm_add_epi8(v[i], _mm_set1_epi8(-1))));
    }
    return (struct raw){
        .delim = bytes_equal(v, s->delimiter),
        .lf = bytes_equal(v, '\n'),
        .quote = s->quote ? bytes_equal(v, s->quote) : 0,
        .odd = _mm_movemask_epi8(odd) != 0,
    };
}

static inline uint64_t prefix_xor(uint64_t m)
{
    for (int by = 1; by < 64; by *= 2)
        m ^= m << by;
    return m;
}

#include "common/csv_simd_mask.h"

const struct csv_scan_ops csv_simd_sse2 = CSV_SCAN_OPS("sse2");
#endif
