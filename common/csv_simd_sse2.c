#ifdef __x86_64__
#include <emmintrin.h>

#include "common/csv_simd.h"

struct set {
    __m128i delim, lf, quote;
    uint64_t quotes; // 0: there is no quote
};

struct raw {
    uint64_t delim, lf, quote;
};

static inline struct set set_of(const struct csv_scan *s)
{
    return (struct set){
        .delim = _mm_set1_epi8((char)s->delimiter),
        .lf = _mm_set1_epi8('\n'),
        .quote = _mm_set1_epi8((char)s->quote),
        .quotes = s->quote ? ~0ull : 0,
    };
}

static inline __m128i piece(const uint8_t *p, int i)
{
    return _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
}

static inline uint64_t bytes_equal(const uint8_t *p, __m128i c)
{
    uint64_t m = 0;
    for (int i = 0; i < 4; i++)
        m |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(piece(p, i), c))
             << (16 * i);
    return m;
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
    __m128i all = _mm_setzero_si128(), one = _mm_set1_epi8(1);
    for (int i = 0; i < 4; i++) // the top bit of v | v - 1: NUL, or no ASCII
        all = _mm_or_si128(all, _mm_or_si128(piece(p, i), _mm_sub_epi8(piece(p, i), one)));
    return _mm_movemask_epi8(all) != 0;
}

static inline uint64_t prefix_xor(uint64_t m)
{
    for (int by = 1; by < 64; by *= 2)
        m ^= m << by;
    return m;
}

static inline uint32_t lowest(uint64_t m)
{
    return (uint32_t)__builtin_ctzll(m | 1ull << 63);
}

#include "common/csv_simd_mask.h"

const struct csv_scan_ops csv_simd_sse2 = CSV_SCAN_OPS("sse2");
#endif
