#include "common/exact.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { ADDS_MAX = 1 << 29 }; // of at most 2^33 each to a limb

static const uint32_t ONE = (uint32_t)(-EXACT_BASE / 32); // the limb of 2^0

void exact_reset(struct exact *x)
{
    if (x->hi > x->lo) memset(x->limb + x->lo, 0, (x->hi - x->lo) * sizeof *x->limb);
    x->lo = x->hi = x->adds = 0;
}

static void widen(struct exact *x, uint32_t lo, uint32_t hi)
{
    assert(hi <= EXACT_LIMBS);
    if (x->lo == x->hi) {
        x->lo = lo;
        x->hi = hi;
        return;
    }
    if (lo < x->lo) x->lo = lo;
    if (hi > x->hi) x->hi = hi;
}

// Makes all limbs but the highest used one 0 to 2^32-1; that one has the sign.
static void settle(struct exact *x)
{
    int64_t carry = 0;
    for (uint32_t i = x->lo; i < x->hi; i++) {
        int64_t v = x->limb[i] + carry;
        x->limb[i] = v & 0xffffffff;
        carry = v >> 32;
    }
    // -1 is the sign of a negative number: it stays in the highest limb.
    while (carry != 0 && x->hi < EXACT_LIMBS && carry != -1) {
        x->limb[x->hi++] = carry & 0xffffffff;
        carry >>= 32;
    }
    if (carry && x->hi > x->lo) x->limb[x->hi - 1] += carry * ((int64_t)1 << 32);
    x->adds = 0;
}

static inline void count_add(struct exact *x)
{
    if (++x->adds >= ADDS_MAX) settle(x);
}

// v * 2^(32 at + EXACT_BASE)
static void add_wide(struct exact *x, uint32_t at, __int128 v)
{
    widen(x, at, at + 4);
    x->limb[at] += (int64_t)(uint32_t)v;
    x->limb[at + 1] += (int64_t)(uint32_t)(v >> 32);
    x->limb[at + 2] += (int64_t)(uint32_t)(v >> 64);
    x->limb[at + 3] += (int64_t)(v >> 96);
    count_add(x);
}

void exact_add_i128(struct exact *x, __int128 v)
{
    add_wide(x, ONE, v);
}

void exact_add_i64(struct exact *x, int64_t v)
{
    widen(x, ONE, ONE + 2);
    x->limb[ONE] += (int64_t)(uint32_t)v;
    x->limb[ONE + 1] += v >> 32;
    count_add(x);
}

void exact_add_square_i64(struct exact *x, int64_t v)
{
    add_wide(x, ONE, (__int128)v * v); // at most 2^126
}

// v = mantissa * 2^exponent, all finite doubles.
static int64_t take_apart(double v, int *exponent)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    int e = (int)(bits >> 52 & 0x7ff);
    int64_t m = (int64_t)(bits & (((uint64_t)1 << 52) - 1));
    if (e)
        m |= (int64_t)1 << 52;
    else
        e = 1;
    *exponent = e - 1075;
    return bits >> 63 ? -m : m;
}

void exact_add_double(struct exact *x, double v)
{
    int exponent;
    int64_t m = take_apart(v, &exponent);
    unsigned at = (unsigned)(exponent - EXACT_BASE);
    __int128 wide = (__int128)m * ((__int128)1 << (at % 32)); // below 2^84
    at /= 32;
    widen(x, at, at + 3);
    x->limb[at] += (int64_t)(uint32_t)wide;
    x->limb[at + 1] += (int64_t)(uint32_t)(wide >> 32);
    x->limb[at + 2] += (int64_t)(wide >> 64);
    count_add(x);
}

void exact_add_square(struct exact *x, double v)
{
    int exponent;
    int64_t m = take_apart(v, &exponent);
    unsigned __int128 square = (unsigned __int128)((__int128)m * m); // below 2^106
    unsigned at = (unsigned)(2 * exponent - EXACT_BASE), shift = at % 32;
    at /= 32;
    unsigned __int128 low = square & ~(unsigned __int128)0 >> 34; // 94 bits
    add_wide(x, at, (__int128)low * ((__int128)1 << shift));      // below 2^126
    uint64_t high = (uint64_t)(square >> 94); // 12 bits, 94 = 2 * 32 + 30 places up
    if (high) add_wide(x, at + 2, (__int128)high * ((__int128)1 << (30 + shift)));
}

// ---- looking at the value

struct magnitude { // what settle() leaves, without the sign
    bool negative;
    uint32_t lo, n; // limbs [lo, lo + n), the highest is not 0; n 0: zero
    uint32_t limb[2 * EXACT_LIMBS + 8];
};

static void take_magnitude(struct exact *x, struct magnitude *m)
{
    settle(x);
    m->negative = x->hi > x->lo && x->limb[x->hi - 1] < 0;
    m->lo = x->lo;
    m->n = 0;
    int64_t carry = 0;
    for (uint32_t i = x->lo; i < x->hi; i++) {
        int64_t v = (m->negative ? -x->limb[i] : x->limb[i]) + carry;
        m->limb[m->n++] = (uint32_t)v;
        carry = v >> 32;
    }
    if (carry) m->limb[m->n++] = (uint32_t)carry;
    while (m->n && !m->limb[m->n - 1])
        m->n--;
    if (!m->n) m->negative = false;
}

static int top_bit(const struct magnitude *m) // its number; the lowest of limb[0] is 0
{
    return (int)(m->n - 1) * 32 + 31 - __builtin_clz(m->limb[m->n - 1]);
}

static unsigned bit(const struct magnitude *m, int i)
{
    return i < 0 ? 0 : m->limb[i / 32] >> (i % 32) & 1;
}

static bool any_below(const struct magnitude *m, int i) // a bit lower than i
{
    if (i <= 0) return false;
    for (int k = 0; k < i / 32; k++)
        if (m->limb[k]) return true;
    return i % 32 && m->limb[i / 32] << (32 - i % 32);
}

// The value is limbs * 2^base.
static double to_double(const struct magnitude *m, int base)
{
    if (!m->n) return 0;
    int top = top_bit(m), keep = 53;
    if (top + base < -1022) keep = 53 - (-1022 - (top + base)); // a subnormal number
    if (keep < 0) return m->negative ? -0.0 : 0.0;
    uint64_t mantissa = 0;
    int last = top - keep + 1; // the lowest bit that stays
    for (int i = top; i >= last; i--)
        mantissa = mantissa << 1 | bit(m, i);
    if (bit(m, last - 1) && ((mantissa & 1) || any_below(m, last - 1))) mantissa++;
    double v = ldexp((double)mantissa, last + base);
    return m->negative ? -v : v;
}

double exact_double(struct exact *x)
{
    struct magnitude m;
    take_magnitude(x, &m);
    return to_double(&m, (int)m.lo * 32 + EXACT_BASE);
}

bool exact_i64(struct exact *x, int64_t *out)
{
    struct magnitude m;
    take_magnitude(x, &m);
    unsigned __int128 v = 0;
    *out = 0;
    for (uint32_t i = m.n; i-- > 0;) {
        uint32_t at = m.lo + i;
        if (!m.limb[i]) continue;
        if (at < ONE || at > ONE + 1) return false;
        v |= (unsigned __int128)m.limb[i] << (32 * (at - ONE));
    }
    if (v > (uint64_t)INT64_MAX + (unsigned __int128)m.negative) return false;
    *out = (int64_t)(m.negative ? 0 - (uint64_t)v : (uint64_t)v);
    return true;
}

// ---- n * squares - sum * sum, whole numbers of any length

struct wide { // limbs * 2^(32 lo)
    int lo;
    uint32_t n;
    uint32_t limb[2 * EXACT_LIMBS + 8];
};

static void multiply(struct wide *out, const uint32_t *a, uint32_t na, const uint32_t *b,
                     uint32_t nb)
{
    memset(out->limb, 0, (na + nb) * sizeof *out->limb);
    out->n = na + nb;
    for (uint32_t i = 0; i < na; i++) {
        uint64_t carry = 0;
        for (uint32_t k = 0; k < nb; k++) {
            uint64_t v = (uint64_t)a[i] * b[k] + out->limb[i + k] + carry;
            out->limb[i + k] = (uint32_t)v;
            carry = v >> 32;
        }
        out->limb[i + nb] = (uint32_t)carry;
    }
}

static uint32_t limb_at(const struct wide *w, int at)
{
    return at < w->lo || at >= w->lo + (int)w->n ? 0 : w->limb[at - w->lo];
}

// a - b, which is not negative for sums of real numbers; 0 if it is.
static double difference(const struct wide *a, const struct wide *b)
{
    struct magnitude m = { 0 };
    int lo = a->lo < b->lo ? a->lo : b->lo;
    int hi = a->lo + (int)a->n > b->lo + (int)b->n ? a->lo + (int)a->n : b->lo + (int)b->n;
    // More limbs than this are only had by sums that no numbers have.
    if (hi - lo > (int)(sizeof m.limb / sizeof *m.limb)) return 0;
    int64_t borrow = 0;
    for (int i = lo; i < hi; i++) {
        int64_t v = (int64_t)limb_at(a, i) - limb_at(b, i) + borrow;
        m.limb[m.n++] = (uint32_t)v;
        borrow = v >> 32;
    }
    if (borrow) return 0;
    while (m.n && !m.limb[m.n - 1])
        m.n--;
    return to_double(&m, lo * 32);
}

double exact_spread(struct exact *sum, struct exact *squares, uint64_t n)
{
    struct magnitude s, q;
    struct wide a, b;
    uint32_t count[2] = { (uint32_t)n, (uint32_t)(n >> 32) };
    take_magnitude(sum, &s);
    take_magnitude(squares, &q);
    multiply(&a, q.limb, q.n, count, 2);
    multiply(&b, s.limb, s.n, s.limb, s.n);
    a.lo = (int)q.lo + EXACT_BASE / 32;
    b.lo = 2 * ((int)s.lo + EXACT_BASE / 32);
    return difference(&a, &b) / (double)n;
}

// ---- encoding: u8 sign, u8 number of limbs, i16 exponent of the lowest / 32; limbs

size_t exact_encode(struct exact *x, uint8_t out[EXACT_ENCODED_MAX])
{
    struct magnitude m;
    take_magnitude(x, &m);
    uint32_t skip = 0;
    while (skip < m.n && !m.limb[skip])
        skip++;
    int16_t place = m.n ? (int16_t)(m.lo + skip) : 0;
    out[0] = m.negative;
    out[1] = (uint8_t)(m.n - skip);
    memcpy(out + 2, &place, 2);
    memcpy(out + 4, m.limb + skip, (m.n - skip) * 4);
    return 4 + (m.n - skip) * (size_t)4;
}

size_t exact_add_encoded(struct exact *x, const uint8_t *p, size_t n)
{
    int16_t place;
    if (n < 4 || p[0] > 1 || n < 4 + 4 * (size_t)p[1]) return 0;
    memcpy(&place, p + 2, 2);
    // Room is left above for carries of 2^64 such numbers.
    if (place < 0 || place + p[1] > EXACT_LIMBS - 2) return 0;
    if (p[1]) widen(x, (uint32_t)place, (uint32_t)place + p[1]);
    for (uint32_t i = 0; i < p[1]; i++) {
        uint32_t limb;
        memcpy(&limb, p + 4 + 4 * (size_t)i, 4);
        x->limb[(uint32_t)place + i] += p[0] ? -(int64_t)limb : (int64_t)limb;
    }
    count_add(x);
    return 4 + 4 * (size_t)p[1];
}
