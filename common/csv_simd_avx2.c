#ifdef __x86_64__
#include <immintrin.h>

#include "common/csv_simd.h"

struct set {
    __m256i delim, lf, quote;
    uint64_t quotes; // 0: there is no quote
};

struct raw {
    uint64_t delim, lf, quote;
};

static inline struct set set_of(const struct csv_scan *s)
{
    return (struct set){
        .delim = _mm256_set1_epi8((char)s->delimiter),
        .lf = _mm256_set1_epi8('\n'),
        .quote = _mm256_set1_epi8((char)s->quote),
        .quotes = s->quote ? ~0ull : 0,
    };
}

static inline __m256i piece(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

static inline uint64_t bytes_equal(const uint8_t *p, __m256i c)
{
    uint32_t low = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(piece(p), c));
    uint32_t high = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(piece(p + 32), c));
    return low | (uint64_t)high << 32;
}

static inline struct raw load(const struct set *k, const uint8_t *p)
{
    return (struct raw){
        .delim = bytes_equal(p, k->delim),
        .lf = bytes_equal(p, k->lf),
        .quote = bytes_equal(p, k->quote) & k->quotes,
    };
}

static inline bool odd(const uint8_t *p)
{
    __m256i a = piece(p), b = piece(p + 32), one = _mm256_set1_epi8(1);
    a = _mm256_or_si256(a, _mm256_sub_epi8(a, one)); // the top bit: NUL, or no ASCII
    b = _mm256_or_si256(b, _mm256_sub_epi8(b, one));
    return _mm256_movemask_epi8(_mm256_or_si256(a, b)) != 0;
}

static inline uint64_t prefix_xor(uint64_t m)
{
    __m128i x = _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)m), _mm_set1_epi8(-1), 0);
    return (uint64_t)_mm_cvtsi128_si64(x);
}

static inline uint32_t lowest(uint64_t m)
{
    return (uint32_t)_tzcnt_u64(m);
}

#include "common/csv_simd_mask.h"

const struct csv_scan_ops csv_simd_avx2 = CSV_SCAN_OPS("avx2");
#endif
