#ifdef __x86_64__
#include <immintrin.h>

#include "common/csv_simd.h"

struct raw {
    uint64_t delim, lf, quote;
    bool odd;
};

static inline uint64_t bytes_equal(__m256i low, __m256i high, uint8_t c)
{
    __m256i x = _mm256_set1_epi8((char)c);
    uint32_t a = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, x));
    uint32_t b = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, x));
    return a | (uint64_t)b << 32;
}

static inline struct raw load(const struct csv_scan *s, const uint8_t *p)
{
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
    // The top bit of v | v - 1 is set for NUL and for all that is not ASCII.
    __m256i one = _mm256_set1_epi8(1);
    __m256i odd = _mm256_or_si256(_mm256_or_si256(a, _mm256_sub_epi8(a, one)),
                                  _mm256_or_si256(b, _mm256_sub_epi8(b, one)));
    return (struct raw){
        .delim = bytes_equal(a, b, s->delimiter),
        .lf = bytes_equal(a, b, '\n'),
        .quote = s->quote ? bytes_equal(a, b, s->quote) : 0,
        .odd = _mm256_movemask_epi8(odd) != 0,
    };
}

static inline uint64_t prefix_xor(uint64_t m)
{
    __m128i x = _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)m), _mm_set1_epi8(-1), 0);
    return (uint64_t)_mm_cvtsi128_si64(x);
}

#include "common/csv_simd_mask.h"

const struct csv_scan_ops csv_simd_avx2 = CSV_SCAN_OPS("avx2");
#endif
