// The splitter of every instruction set, fed in pieces, against the scalar one
// fed whole, and that against the reader of single records, which knows nothing
// of it: every chunk is made of whole records, so that chunks of any size give
// the rows of the whole. First byte: bits 0-1 the dialect, 2-4 the target, the
// rest the sizes of the pieces. An odd number of bytes: the target is a number
// of records that are no blank lines.

#include "common/csv_read.h"
#include "common/csv_split.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { MAX_CUTS = 4096, MOST_BYTES = 200 };

struct answer {
    err_t rc;
    size_t n;
    struct csv_cut cut[MAX_CUTS];
    uint64_t bad;
    char why[1024];
};

static void run(const struct csv_dialect *d, const uint8_t *p, size_t n, uint64_t target,
                bool by_records, unsigned piece, const struct csv_scan_ops *ops,
                struct answer *a)
{
    struct csv_split s;
    struct err e = { 0 };
    bool found;
    a->rc = ERR_OK;
    a->n = 0;
    a->bad = 0;
    csv_split_init(&s, d, 0, 0);
    s.scan.ops = ops;
    s.blank_lines = by_records ? CSV_BLANK_OF_SPACES : CSV_BLANK_IS_ROW;
    for (size_t at = 0, used; at < n && a->rc == ERR_OK; at += used) {
        size_t len = piece ? 1 + (at * 7 + piece) % (piece * 3) : n;
        if (len > n - at) len = n - at;
        struct csv_cut *cut = &a->cut[a->n];
        if (by_records)
            a->rc = csv_split_feed_records(&s, p + at, len, target, MOST_BYTES, &used,
                                           &found, cut, &e);
        else
            a->rc = csv_split_feed(&s, p + at, len, target, &used, &found, cut, &e);
        assert(used == len || found || a->rc);
        if (found) a->n++;
    }
    if (a->rc == ERR_OK) {
        a->rc = csv_split_finish(&s, &found, &a->cut[a->n], &e);
        a->n += found;
    }
    if (a->rc) a->n += csv_split_before_bad(&s, &a->cut[a->n], &a->bad);
    memcpy(a->why, e.text, sizeof a->why);
}

static void expect_equal(const struct answer *a, const struct answer *b)
{
    assert(a->rc == b->rc && a->n == b->n && a->bad == b->bad);
    assert(strcmp(a->why, b->why) == 0);
    for (size_t i = 0; i < a->n; i++) {
        const struct csv_cut *x = &a->cut[i], *y = &b->cut[i];
        assert(x->begin == y->begin && x->end == y->end && x->records == y->records);
        assert(x->lines == y->lines && x->unterminated == y->unterminated);
    }
}

// Spaces and tabs and the line end.
static bool is_blank(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r' && p[i] != '\n') return false;
    return true;
}

static void check_records(const struct csv_dialect *d, const uint8_t *p,
                          const struct answer *a, uint64_t target, bool by_records)
{
    static struct arena mem;
    for (size_t i = 0; i < a->n; i++) {
        const struct csv_cut *c = &a->cut[i];
        uint64_t records = 0, lines = 0, blank = 0, last = 0;
        for (uint64_t at = c->begin, used; at < c->end; at += used) {
            struct csv_value *v;
            size_t k, m;
            bool end = c->unterminated && i + 1 == a->n;
            arena_reset(&mem);
            err_t rc = csv_read_record(d, p + at, c->end - at, end, &mem, &v, &k, &m, NULL);
            used = m;
            assert(rc == ERR_OK && used > 0);
            records++;
            blank += is_blank(p + at, used) && p[at + used - 1] == '\n';
            last = at;
        }
        for (uint64_t at = c->begin; at < c->end; at++)
            lines += p[at] == '\n';
        assert(records == c->records && lines == c->lines);
        if (!by_records) { // no record too many
            assert(last - c->begin < target);
            continue;
        }
        assert(blank == c->blank && records - blank <= target);
        assert(records - blank == target || c->end - c->begin >= MOST_BYTES ||
               i + 1 == a->n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const struct csv_dialect dialects[] = {
        { .delimiter = ',', .quote = '"' },
        { .delimiter = ';', .quote = '\'' },
        { .delimiter = ',', .quote = '"' },
        { .delimiter = '\t', .quote = 0 },
    };
    static const struct csv_scan_ops *sets[3];
    static struct answer want, got;
    if (n < 1 || n > MAX_CUTS) return 0;
    if (!sets[0]) {
        sets[0] = csv_scan_ops("scalar");
        sets[1] = csv_scan_ops("sse2");
        sets[2] = csv_scan_ops("avx2");
    }
    const struct csv_dialect *d = &dialects[p[0] & 3];
    uint64_t target = 1ull << (p[0] >> 2 & 7) * 2;
    unsigned piece = p[0] >> 5;
    uint8_t *copy = malloc(n - 1 + CSV_PAD);
    assert(copy);
    memcpy(copy, p + 1, n - 1);
    memset(copy + n - 1, d->quote, CSV_PAD);

    bool by_records = n % 2;
    run(d, copy, n - 1, target, by_records, 0, sets[0], &want);
    uint64_t end = 0;
    for (size_t i = 0; i < want.n; i++) { // the cuts tile the stream
        assert(want.cut[i].begin == end && want.cut[i].end > end);
        end = want.cut[i].end;
    }
    assert(end == (want.rc ? want.bad : n - 1));
    check_records(d, copy, &want, target, by_records);
    for (size_t i = 0; i < 3; i++) {
        if (!sets[i]) continue;
        run(d, copy, n - 1, target, by_records, piece * 9, sets[i], &got);
        expect_equal(&want, &got);
    }
    free(copy);
    return 0;
}
