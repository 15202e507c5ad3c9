// csv_simd_loops - the three operations of csv_scan_ops, written once over blocks of 64
// bytes. Included by the file of an instruction set after it has defined
//
//   struct carry; carry_of(); carry_state();
//   step_whole(), step_part(): a block of 64 bytes, or of 1 to 63 with later bits 0

#define COUNT(m) ((uint64_t)__builtin_popcountll(m))

static struct csv_block block(struct csv_scan *s, const uint8_t *p, size_t n)
{
    if (n == 0) return (struct csv_block){ 0 };
    struct carry c = carry_of(s->state);
    bool odd = false;
    struct csv_block b = n < 64 ? step_part(s, p, n, &c, &odd) : step_whole(s, p, &c, &odd);
    s->state = carry_state(c);
    return b;
}

struct last { // the last block in which something was seen
    size_t at;
    uint64_t mask, lf, lfs;
};

// Without a branch: whether a block has a record end is as good as random.
static inline void last_see(struct last *l, uint64_t mask, size_t at, uint64_t lf,
                            uint64_t lfs)
{
    uint64_t yes = -(uint64_t)(mask != 0);
    l->at = (l->at & ~yes) | (at & yes);
    l->mask = (l->mask & ~yes) | mask;
    l->lf = (l->lf & ~yes) | (lf & yes);
    l->lfs = (l->lfs & ~yes) | (lfs & yes);
}

static size_t last_at(const struct last *l, uint64_t *lfs_before)
{
    if (l->mask == 0) return CSV_NONE;
    unsigned bit = 63 - (unsigned)__builtin_clzll(l->mask);
    *lfs_before = l->lfs + COUNT(l->lf & csv_low_bits(bit));
    return l->at + bit;
}

static void tally(struct csv_scan *s, const uint8_t *p, size_t n, struct csv_tally *t)
{
    struct carry c = carry_of(s->state);
    struct last end = { 0 }, open = { 0 };
    uint64_t ends = 0, lfs = 0;
    bool odd = false;
    for (size_t i = 0; i < n; i += 64) {
        struct csv_block b = n - i < 64 ? step_part(s, p + i, n - i, &c, &odd)
                                        : step_whole(s, p + i, &c, &odd);
        last_see(&end, b.end, i, b.lf, lfs);
        if (b.open) open = (struct last){ i, b.open, b.lf, lfs };
        ends += COUNT(b.end);
        lfs += COUNT(b.lf);
    }
    *t = (struct csv_tally){ .ends = ends, .lfs = lfs };
    t->end_at = last_at(&end, &t->end_lfs);
    t->open_at = last_at(&open, &t->open_lfs);
    if (n) s->state = carry_state(c);
}

// Writes the numbers of the set bits: always 16, then more. What stands past the last is
// overwritten by the next block.
static inline uint32_t *put_bits(uint32_t *out, uint64_t m, uint32_t base)
{
    uint32_t *end = out + COUNT(m);
    enum { BIT63 = 63 };
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 16; i++) {
            out[i] = base + (uint32_t)__builtin_ctzll(m | 1ull << BIT63);
            m &= m - 1;
        }
        if (__builtin_expect(m == 0, 1)) break;
        out += 16;
    }
    return end;
}

static size_t index_fields(struct csv_scan *s, const uint8_t *p, size_t from, size_t to,
                           struct csv_index *x)
{
    struct carry c = carry_of(s->state);
    uint32_t *out = x->at + x->n, *full = x->at + x->full;
    uint64_t ends = 0;
    bool odd = false;
    size_t i = from;
    while (i < to && out < full) {
        size_t n = to - i < 64 ? to - i : 64;
        struct csv_block b =
            n < 64 ? step_part(s, p + i, n, &c, &odd) : step_whole(s, p + i, &c, &odd);
        ends += COUNT(b.end);
        out = put_bits(out, b.delim | b.end, (uint32_t)i);
        i += n;
    }
    if (i > from) s->state = carry_state(c);
    x->n = (size_t)(out - x->at);
    x->ends += ends;
    x->plain &= !odd;
    return i;
}

#undef COUNT

#define CSV_SCAN_OPS(set)                                                  \
    {                                                                      \
        .name = set, .block = block, .tally = tally, .index = index_fields \
    }
