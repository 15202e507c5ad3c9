#include "common/csv_simd.h"

// The grammar of csv.h byte by byte: the oracle of the other sets, and the set of machines
// that have none.

struct carry {
    enum csv_state state;
};

struct set {
    uint8_t delimiter, quote;
};

static inline struct set set_of(const struct csv_scan *s)
{
    return (struct set){ s->delimiter, s->quote };
}

static inline struct carry carry_of(enum csv_state s)
{
    return (struct carry){ s };
}

static inline enum csv_state carry_state(struct carry c)
{
    return c.state;
}

static inline enum csv_state next_state(enum csv_state s, bool sep, bool quote)
{
    switch (s) {
    case CSV_FIELD_START:
        return sep ? CSV_FIELD_START : quote ? CSV_IN_QUOTED : CSV_IN_FIELD;
    case CSV_IN_FIELD: return sep ? CSV_FIELD_START : CSV_IN_FIELD;
    case CSV_IN_QUOTED: return quote ? CSV_QUOTE_IN_QUOTED : CSV_IN_QUOTED;
    case CSV_QUOTE_IN_QUOTED:
        return sep ? CSV_FIELD_START : quote ? CSV_IN_QUOTED : CSV_IN_FIELD;
    }
    return s;
}

static inline struct csv_block step_part(const struct set *k, const uint8_t *p, size_t n,
                                         struct carry *c)
{
    struct csv_block b = { 0 };
    for (size_t i = 0; i < n; i++) {
        uint64_t bit = 1ull << i;
        bool delim = p[i] == k->delimiter, lf = p[i] == '\n';
        bool quote = k->quote && p[i] == k->quote;
        bool outside = c->state != CSV_IN_QUOTED;
        if (quote && c->state == CSV_FIELD_START) b.open |= bit;
        if (quote) b.quote |= bit;
        if (lf) b.lf |= bit;
        if (lf && outside) b.end |= bit;
        if (delim && outside) b.delim |= bit;
        c->state = next_state(c->state, delim || lf, quote);
    }
    return b;
}

static inline struct csv_block step_whole(const struct set *k, const uint8_t *p,
                                          struct carry *c)
{
    return step_part(k, p, 64, c);
}

static inline bool odd(const uint8_t *p)
{
    unsigned all = 0;
    for (int i = 0; i < 64; i++)
        all |= (uint8_t)(p[i] - 1) | p[i];
    return all & 0x80;
}

static inline uint32_t lowest(uint64_t m)
{
    return (uint32_t)__builtin_ctzll(m | 1ull << 63);
}

#include "common/csv_simd_loops.h"

const struct csv_scan_ops csv_simd_scalar = CSV_SCAN_OPS("scalar");
