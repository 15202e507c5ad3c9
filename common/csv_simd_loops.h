// csv_simd_loops - the three operations of csv_scan_ops, written once over blocks of 64
// bytes. Included by the file of an instruction set after it has defined
//
//   struct set; set_of(): what to look for, in registers
//   struct carry; carry_of(); carry_state()
//   step_whole(), step_part(): a block of 64 bytes, or of 1 to 63 with later bits 0
//   odd(): of 64 bytes, some are NUL or not ASCII
//   lowest(): number of the lowest set bit; anything for 0

// Bytes to fetch ahead: virtual machines are seen to prefetch too little by themselves.
enum { AHEAD = 2048 };

static inline uint64_t count_bits(uint64_t m)
{
#ifdef __POPCNT__
    return (uint64_t)__builtin_popcountll(m);
#else // which would be a function call
    m -= m >> 1 & 0x5555555555555555;
    m = (m & 0x3333333333333333) + (m >> 2 & 0x3333333333333333);
    return ((m + (m >> 4)) & 0x0f0f0f0f0f0f0f0f) * 0x0101010101010101 >> 56;
#endif
}

static struct csv_block block(struct csv_scan *s, const uint8_t *p, size_t n)
{
    if (n == 0) return (struct csv_block){ 0 };
    struct set k = set_of(s);
    struct carry c = carry_of(s->state);
    struct csv_block b = n < 64 ? step_part(&k, p, n, &c) : step_whole(&k, p, &c);
    s->state = carry_state(c);
    return b;
}

// The tally counts strips of 2 KiB with nothing else in its loop. Where the last record end
// and the last opening quote are is found by going over one strip again.
enum { STRIP = 2048 };

struct mark { // the last strip that had one
    size_t at, n;
    struct carry c;
    uint64_t lfs;
};

struct counts {
    uint64_t ends, lfs, opens;
};

static inline struct carry count(const struct set *k, const uint8_t *p, size_t n,
                                 struct carry c, struct counts *sum)
{
    uint64_t ends = 0, lfs = 0, opens = 0;
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        __builtin_prefetch(p + i + AHEAD);
        struct csv_block b = step_whole(k, p + i, &c);
        ends += count_bits(b.end);
        lfs += count_bits(b.lf);
        opens |= b.open;
    }
    if (i < n) {
        struct csv_block b = step_part(k, p + i, n - i, &c);
        ends += count_bits(b.end);
        lfs += count_bits(b.lf);
        opens |= b.open;
    }
    *sum = (struct counts){ ends, lfs, opens };
    return c;
}

static size_t find_last(const struct set *k, const uint8_t *p, const struct mark *m,
                        bool open, uint64_t *lfs_before)
{
    struct carry c = m->c;
    uint64_t lfs = m->lfs;
    size_t found = CSV_NONE;
    for (size_t i = 0; i < m->n; i += 64) {
        size_t n = m->n - i < 64 ? m->n - i : 64;
        const uint8_t *q = p + m->at + i;
        struct csv_block b = n < 64 ? step_part(k, q, n, &c) : step_whole(k, q, &c);
        uint64_t bits = open ? b.open : b.end;
        if (bits) {
            unsigned last = 63 - (unsigned)__builtin_clzll(bits);
            found = m->at + i + last;
            *lfs_before = lfs + count_bits(b.lf & csv_low_bits(last));
        }
        lfs += count_bits(b.lf);
    }
    return found;
}

static void tally(struct csv_scan *s, const uint8_t *p, size_t n, struct csv_tally *t)
{
    const struct set k = set_of(s);
    struct carry c = carry_of(s->state);
    struct mark end = { 0 }, open = { 0 };
    *t = (struct csv_tally){ 0 };
    for (size_t i = 0; i < n; i += STRIP) {
        struct counts sum;
        struct mark here = { i, n - i < STRIP ? n - i : STRIP, c, t->lfs };
        c = count(&k, p + i, here.n, c, &sum);
        if (sum.ends) end = here;
        if (sum.opens) open = here;
        t->ends += sum.ends;
        t->lfs += sum.lfs;
    }
    t->end_at = find_last(&k, p, &end, false, &t->end_lfs);
    t->open_at = find_last(&k, p, &open, true, &t->open_lfs);
    if (n) s->state = carry_state(c);
}

static inline uint64_t put_4(uint32_t *out, uint64_t m, uint32_t base)
{
    out[0] = base + lowest(m);
    m &= m - 1;
    out[1] = base + lowest(m);
    m &= m - 1;
    out[2] = base + lowest(m);
    m &= m - 1;
    out[3] = base + lowest(m);
    return m & (m - 1);
}

static inline uint64_t put_8(uint32_t *out, uint64_t m, uint32_t base)
{
    return put_4(out + 4, put_4(out, m, base), base);
}

// Writes the numbers of the set bits, in large steps because how many there are is hard to
// predict. What stands past the last is overwritten by the next block.
static inline __attribute__((always_inline)) uint32_t *put_bits(uint32_t *out, uint64_t m,
                                                                uint32_t base)
{
    uint32_t *end = out + count_bits(m);
    m = put_8(out, m, base);
    if (m == 0) return end;
    m = put_8(out + 8, m, base);
    for (out += 16; m; out += 8)
        m = put_8(out, m, base);
    return end;
}

static size_t index_fields(struct csv_scan *s, const uint8_t *p, size_t from, size_t to,
                           struct csv_index *x)
{
    const struct set k = set_of(s);
    struct carry c = carry_of(s->state);
    uint32_t *out = x->at + x->n, *full = x->at + x->full;
    uint64_t ends = 0;
    bool odds = false;
    size_t i = from;
    for (; to - i >= 64 && out < full; i += 64) {
        struct csv_block b = step_whole(&k, p + i, &c);
        ends += count_bits(b.end);
        __builtin_prefetch(p + i + AHEAD);
        odds |= odd(p + i);
        out = put_bits(out, b.delim | b.end, (uint32_t)i);
    }
    if (to - i < 64 && i < to && out < full) {
        struct csv_block b = step_part(&k, p + i, to - i, &c);
        ends += count_bits(b.end);
        out = put_bits(out, b.delim | b.end, (uint32_t)i);
        for (; i < to; i++)
            odds |= (uint8_t)(p[i] - 1) >= 0x7f;
    }
    if (i > from) s->state = carry_state(c);
    x->n = (size_t)(out - x->at);
    x->ends += ends;
    x->plain &= !odds;
    return i;
}

#define CSV_SCAN_OPS(set)                                                  \
    {                                                                      \
        .name = set, .block = block, .tally = tally, .index = index_fields \
    }
