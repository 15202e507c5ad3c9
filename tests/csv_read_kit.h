// csv_read_kit - chunks, schemas and readings for the tests of the CSV reader.

#ifndef TESTS_CSV_READ_KIT_H
#define TESTS_CSV_READ_KIT_H

#include "tests/csv_oracle.h"
#include "tests/test.h"

// A chunk with nothing readable but its padding, which is full of traps.
struct chunk {
    uint8_t *block, *p;
    size_t n;
};

static inline struct chunk chunk_of(const void *text, size_t n)
{
    struct chunk c = { malloc(n + 2 * CSV_PAD), NULL, n };
    assert_non_null(c.block);
    c.p = c.block + CSV_PAD;
    memset(c.block, '7', n + 2 * CSV_PAD);
    memcpy(c.p, text, n);
    return c;
}

static inline struct schema schema_of(const char *types) // "i r t": given when upper case
{
    struct schema s = { 0 };
    struct err e;
    for (; *types; types++) {
        char name[16];
        enum type t = TYPE_TEXT;
        switch (*types | 32) {
        case 'i': t = TYPE_INTEGER; break;
        case 'r': t = TYPE_REAL; break;
        case 'b': t = TYPE_BOOLEAN; break;
        case 'd': t = TYPE_DATE; break;
        case 's': t = TYPE_TIMESTAMP; break;
        default: break;
        }
        snprintf(name, sizeof name, "c%u", s.n);
        PASS(&e, schema_add(&s, name, strlen(name), t, *types < 'a', &e));
    }
    return s;
}

struct reading {
    struct batch b;
    struct rejects rejects;
    struct csv_read_stats stats;
};

static inline void reading_free(struct reading *r)
{
    batch_free(&r->b);
    rejects_free(&r->rejects);
}

// All rows and rejects in the order of the input, as oracle_read tells them.
static inline void tell(const struct reading *r, const struct schema *s,
                        struct oracle_rows *rows, struct oracle_rows *rejects)
{
    oracle_batch(&r->b, rows);
    size_t at = 0;
    bool bad;
    struct reject x;
    while (rejects_next((struct slice){ r->rejects.bytes.p, r->rejects.bytes.n }, &at, &x,
                        &bad)) {
        struct buf b = { 0 };
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)x.column.n, (const char *)x.column.p);
        oracle_printf(&b, "REJECT %llu %llu %d", (unsigned long long)x.line,
                      (unsigned long long)x.byte, x.column.n ? schema_find(s, name) : -1);
        oracle_push(rejects, &b);
        buf_free(&b);
    }
    assert_false(bad);
}

static inline void compare(const struct csv_dialect *d, const struct schema *s,
                           const bool *want, const struct chunk *c, struct csv_read_pos pos,
                           struct csv_reader *r, const char *what)
{
    struct reading x = { 0 };
    struct oracle_rows expected = { 0 }, rows = { 0 }, rejects = { 0 };
    struct err e;
    PASS(&e, csv_read_chunk(r, c->p, c->n, pos, &x.b, &x.rejects, &x.stats, &e));
    oracle_read(d, s, want, c->p, c->n, pos, &expected);
    tell(&x, s, &rows, &rejects);
    size_t row = 0, reject = 0;
    for (size_t i = 0; i < expected.n; i++) {
        bool bad = strncmp(expected.v[i], "REJECT", 6) == 0;
        struct oracle_rows *from = bad ? &rejects : &rows;
        size_t *at = bad ? &reject : &row;
        if (*at >= from->n || strcmp(from->v[*at], expected.v[i]) != 0)
            fail_msg("%s: row %zu\n  wanted %s\n  got    %s", what, i, expected.v[i],
                     *at < from->n ? from->v[*at] : "(nothing)");
        ++*at;
    }
    EQ_I64(row, rows.n);
    EQ_I64(reject, rejects.n);
    EQ_I64(x.stats.rows, x.stats.parsed + x.stats.rejected);
    EQ_I64(expected.n, x.stats.rows);
    EQ_I64(expected.n_parsed, x.stats.parsed);
    EQ_I64(expected.n_blank, x.stats.blank);
    EQ_I64(expected.n_misfits, x.stats.misfits);
    oracle_free(&expected);
    oracle_free(&rows);
    oracle_free(&rejects);
    reading_free(&x);
}

#endif
