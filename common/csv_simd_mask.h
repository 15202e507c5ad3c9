// csv_simd_mask - the grammar of csv.h over masks of 64 bytes. Included by the file of an
// instruction set after it has defined
//
//   struct raw { uint64_t delim, lf, quote; bool odd; };  // odd: some byte is NUL or not
//   ASCII static inline struct raw load(const struct csv_scan *s, const uint8_t *p); static
//   inline uint64_t prefix_xor(uint64_t m);        // bit i = xor of bits 0..i
//
// Quote parity alone is right as long as each quote that opens stands where a quote may
// open: behind a separator, or behind the quote that closed (a doubled quote). The first
// one that does not is data, and so are all quotes up to the next separator: taking them
// out of the mask and trying again gives the exact answer.

#include "common/csv_simd.h"

struct carry {      // what the next block must know of the byte before it
    uint64_t in;    // ~0: inside quotes
    uint64_t sep;   // 1: it was a delimiter or LF
    uint64_t quote; // 1: it was a quote that opened or closed
};

static inline struct carry carry_of(enum csv_state s)
{
    return (struct carry){
        .in = s == CSV_IN_QUOTED ? ~0ull : 0,
        .sep = s == CSV_FIELD_START,
        .quote = s == CSV_QUOTE_IN_QUOTED,
    };
}

static inline enum csv_state carry_state(struct carry c)
{
    if (c.in) return CSV_IN_QUOTED;
    if (c.quote) return CSV_QUOTE_IN_QUOTED;
    return c.sep ? CSV_FIELD_START : CSV_IN_FIELD;
}

// Takes the quotes that are data out of m->quote and returns which bytes are inside quotes.
static inline uint64_t resolve(struct raw *m, struct carry c)
{
    uint64_t sep = m->delim | m->lf;
    for (;;) {
        uint64_t in = prefix_xor(m->quote) ^ c.in;
        uint64_t may_open = (sep | m->quote) << 1 | c.sep | c.quote;
        uint64_t stray = m->quote & in & ~may_open;
        if (__builtin_expect(stray == 0, 1)) return in;
        uint64_t before = (stray & -stray) - 1;
        uint64_t rest = sep & ~before;
        m->quote &= before | (rest ? ~((rest & -rest) - 1) : 0);
    }
}

// `last` is the number of the last byte that counts: 63, or less with bits past it cleared.
static inline struct csv_block step(struct raw m, struct carry *c, unsigned last)
{
    struct csv_block b = { .lf = m.lf, .quote = m.quote };
    uint64_t in = c->in;
    if (m.quote) {
        in = resolve(&m, *c);
        b.open = m.quote & in & ~(m.quote << 1 | c->quote);
    }
    b.delim = m.delim & ~in;
    b.end = m.lf & ~in;
    c->in = -(in >> last & 1);
    c->sep = (m.delim | m.lf) >> last & 1;
    c->quote = m.quote >> last & 1;
    return b;
}

static inline struct csv_block step_whole(const struct set *k, const uint8_t *p,
                                          struct carry *c)
{
    return step(load(k, p), c, 63);
}

static inline struct csv_block step_part(const struct set *k, const uint8_t *p, size_t n,
                                         struct carry *c)
{
    struct raw m = load(k, p);
    uint64_t keep = csv_low_bits(n);
    m.delim &= keep;
    m.lf &= keep;
    m.quote &= keep;
    return step(m, c, (unsigned)n - 1);
}

#include "common/csv_simd_loops.h"
