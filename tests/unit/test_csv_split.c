#include "common/csv_split.h"

#include "tests/csv_noise.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

static const struct csv_dialect rfc = { .delimiter = ',', .quote = '"' };

enum { MAX_CUTS = 4096 };

struct cuts {
    size_t n;
    struct csv_cut v[MAX_CUTS];
    err_t rc;
    char why[1024];
};

// Splits p in pieces of `piece` bytes (0: random sizes) and returns all cuts.
static void split(const struct csv_dialect *d, const uint8_t *p, size_t n, uint64_t target,
                  size_t piece, const struct csv_scan_ops *ops, struct noise *r,
                  struct cuts *out)
{
    struct csv_split s;
    struct err e = { 0 };
    csv_split_init(&s, d, 0, 0);
    if (ops) s.scan.ops = ops;
    memset(out, 0, sizeof *out);
    bool found;
    for (size_t i = 0, used; i < n && out->rc == ERR_OK; i += used) {
        size_t len = piece ? piece : 1 + noise_below(r, 200);
        if (len > n - i) len = n - i;
        out->rc =
            csv_split_feed(&s, p + i, len, target, &used, &found, &out->v[out->n], &e);
        if (out->rc == ERR_OK && found) out->n++;
        assert_true(used <= len && (found || out->rc || used == len));
        assert_true(out->n < MAX_CUTS);
    }
    if (out->rc == ERR_OK) {
        out->rc = csv_split_finish(&s, &found, &out->v[out->n], &e);
        out->n += out->rc == ERR_OK && found;
    }
    if (out->rc) {
        uint64_t bad;
        out->n += csv_split_before_bad(&s, &out->v[out->n], &bad);
    }
    memcpy(out->why, e.text, sizeof out->why);
}

// The same by the book: one byte after the other.
static void split_slowly(const struct csv_dialect *d, const uint8_t *p, size_t n,
                         uint64_t target, struct cuts *out)
{
    struct csv_scan s;
    csv_scan_init(&s, d, csv_scan_ops("scalar"));
    memset(out, 0, sizeof *out);
    struct csv_cut c = { 0 };
    uint64_t record = 0, lines_to_record = 0;
    for (size_t i = 0; i < n; i++) {
        struct csv_block b = csv_scan_block(&s, p + i, 1);
        c.lines += b.lf;
        if (!b.end) continue;
        c.records++;
        record = i + 1;
        lines_to_record = c.lines;
        if (i + 1 - c.begin < target) continue;
        c.end = i + 1;
        out->v[out->n++] = c;
        c = (struct csv_cut){ .begin = i + 1 };
        lines_to_record = 0;
    }
    c.end = n;
    if (s.state == CSV_IN_QUOTED) {
        out->rc = ERR_PARSE;
        c.end = record;
        c.lines = lines_to_record;
    } else if (record < n) {
        c.records++;
        c.unterminated = true;
    }
    if (c.end > c.begin) out->v[out->n++] = c;
}

static void expect_same(const struct cuts *want, const struct cuts *got)
{
    EQ_I64(want->rc, got->rc);
    EQ_I64(want->n, got->n);
    for (size_t i = 0; i < want->n; i++) {
        EQ_I64(want->v[i].begin, got->v[i].begin);
        EQ_I64(want->v[i].end, got->v[i].end);
        EQ_I64(want->v[i].records, got->v[i].records);
        EQ_I64(want->v[i].lines, got->v[i].lines);
        EQ_I64(want->v[i].unterminated, got->v[i].unterminated);
    }
}

static void cuts_do_not_depend_on_the_pieces(void **state)
{
    (void)state;
    struct noise r = noise_new();
    static uint8_t buf[2048 + CSV_PAD];
    static struct cuts want, whole, got;
    for (int round = 0; round < 4000; round++) {
        struct csv_dialect d = noise_dialect(&r);
        size_t n = noise_below(&r, 2048);
        uint64_t target = noise_below(&r, 4) ? noise_below(&r, 700) : 0;
        noise_fill(&r, &d, buf, n + CSV_PAD);
        split_slowly(&d, buf, n, target, &want);
        split(&d, buf, n, target, n + 1, NULL, &r, &whole);
        expect_same(&want, &whole);
        split(&d, buf, n, target, noise_below(&r, 100), csv_scan_ops("sse2"), &r, &got);
        expect_same(&want, &got);
        assert_string_equal(whole.why, got.why);
        split(&d, buf, n, target, 0, csv_scan_ops("scalar"), &r, &got);
        expect_same(&want, &got);
        assert_string_equal(whole.why, got.why);
    }
}

// The oracle: cuts after single records, counted.
static void cuts_by_records_have_that_many(void **state)
{
    (void)state;
    enum { MOST = 1 << 20 };
    struct noise r = noise_new();
    static uint8_t buf[4096 + CSV_PAD];
    static struct cuts slow;
    for (int round = 0; round < 400; round++) {
        struct csv_dialect d = noise_dialect(&r);
        size_t n = noise_below(&r, 4096), at = 0;
        uint64_t want = 1 + noise_below(&r, round % 2 ? 500 : 5), most = MOST;
        if (round % 3 == 0) most = 1 + noise_below(&r, 300);
        noise_fill(&r, &d, buf, n + CSV_PAD);
        split_slowly(&d, buf, n, 0, &slow); // every record a cut
        struct csv_split s;
        csv_split_init(&s, &d, 0, 0);
        size_t record = 0;
        while (at < n) {
            size_t piece = 1 + noise_below(&r, n - at), used;
            struct csv_cut cut;
            struct err e;
            bool found;
            PASS(&e, csv_split_feed_records(&s, buf + at, piece, want, most, &used, &found,
                                            &cut, &e));
            at += used;
            if (!found) {
                EQ_I64(piece, used);
                continue;
            }
            EQ_I64(at, cut.end);
            size_t first = record;
            while (record < slow.n && slow.v[record].end <= cut.end)
                record++;
            EQ_I64(cut.end, slow.v[record - 1].end);
            EQ_I64(cut.records, record - first);
            bool by_bytes = cut.records < want;
            if (by_bytes) assert_true(cut.end - cut.begin >= most);
            if (!by_bytes) EQ_I64(want, cut.records);
            bool earlier = record - first > 1 && slow.v[record - 2].end - cut.begin >= most;
            assert_false(earlier);
        }
    }
}

// The oracle: the record itself, without its line end.
static bool is_blank_line(const uint8_t *p, const struct csv_cut *c, enum csv_blank rule)
{
    for (uint64_t i = c->begin; i < c->end; i++)
        if (!strchr(rule == CSV_BLANK_OF_SPACES ? "\r\n \t" : "\r\n", p[i]) || !p[i])
            return false;
    return rule != CSV_BLANK_IS_ROW && !c->unterminated;
}

static void blank_lines_are_not_counted_as_rows(void **state)
{
    (void)state;
    static const char *const parts[] = { "\n",
                                         "\r\n",
                                         "\n\n",
                                         " \t\n",
                                         "text\n",
                                         " a\r\n",
                                         "\"x\n\n\r\ny\"\n",
                                         "a long line with words\n" };
    struct noise r = noise_new();
    static uint8_t buf[8192 + CSV_PAD];
    static struct cuts slow;
    for (int round = 0; round < 600; round++) {
        enum csv_blank rule = (enum csv_blank)(round % 3);
        uint64_t want = 1 + noise_below(&r, round % 2 ? 600 : 4);
        size_t n = 0, at = 0, record = 0, few = noise_below(&r, 20);
        while (n < 8000 && (n < 2000 || noise_below(&r, 100))) {
            const char *part = parts[noise_below(&r, 20) < few ? noise_below(&r, 7) : 7];
            memcpy(buf + n, part, strlen(part));
            n += strlen(part);
        }
        split_slowly(&rfc, buf, n, 0, &slow);
        struct csv_split s;
        csv_split_init(&s, &rfc, 0, 0);
        s.blank_lines = rule;
        while (at < n) {
            size_t piece = 1 + noise_below(&r, n - at), used;
            struct csv_cut cut;
            struct err e;
            bool found;
            uint64_t rows = 0;
            PASS(&e, csv_split_feed_records(&s, buf + at, piece, want, 1 << 20, &used,
                                            &found, &cut, &e));
            at += used;
            if (!found) continue;
            size_t first = record;
            for (; record < slow.n && slow.v[record].end <= cut.end; record++)
                rows += !is_blank_line(buf, &slow.v[record], rule);
            EQ_I64(want, rows);
            EQ_I64(cut.records, record - first);
            EQ_I64(cut.blank, cut.records - rows);
            assert_false(is_blank_line(buf, &slow.v[record - 1], rule)); // it ends at a row
        }
    }
}

static struct cuts *split_text(const char *text, uint64_t target)
{
    static struct cuts out;
    size_t n = strlen(text);
    uint8_t *p = calloc(1, n + CSV_PAD);
    memcpy(p, text, n);
    split(&rfc, p, n, target, n, NULL, NULL, &out);
    free(p);
    return &out;
}

static void a_cut_ends_at_the_first_record_end_at_or_past_the_target(void **state)
{
    (void)state;
    struct cuts *c = split_text("aaaa\nbbbb\n\"c\n\nc\"\ndd", 5);
    EQ_I64(4, c->n);
    EQ_I64(5, c->v[0].end);
    EQ_I64(10, c->v[1].end);
    EQ_I64(17, c->v[2].end);
    EQ_I64(1, c->v[2].records);
    EQ_I64(3, c->v[2].lines);
    EQ_I64(19, c->v[3].end);
    EQ_I64(1, c->v[3].records);
    assert_true(c->v[3].unterminated);
    c = split_text("aaaa\nbbbb\n", 6);
    EQ_I64(1, c->n);
    EQ_I64(2, c->v[0].records);
    assert_false(c->v[0].unterminated);
}

static void nothing_in_nothing_out(void **state)
{
    (void)state;
    EQ_I64(0, split_text("", 1)->n);
    EQ_I64(1, split_text("\n", 1)->n);
}

static void a_quote_never_closed_is_named(void **state)
{
    (void)state;
    struct cuts *c = split_text("a,b\nc,d\ne,\"x\"\"\n\n", 1000);
    EQ_I64(ERR_PARSE, c->rc);
    assert_non_null(strstr(c->why, "line 3: the quote at byte 10 is never closed"));
    EQ_I64(1, c->n);
    EQ_I64(8, c->v[0].end);
    EQ_I64(2, c->v[0].records);
    EQ_I64(2, c->v[0].lines);
    assert_false(c->v[0].unterminated);
}

// Feeds `n` bytes that a callback makes, in pieces of 1 MiB minus something.
static err_t feed_long(struct csv_split *s, uint8_t fill, size_t n, size_t piece,
                       size_t *taken, struct err *e)
{
    uint8_t *p = malloc(piece + CSV_PAD);
    memset(p, fill, piece + CSV_PAD);
    err_t rc = ERR_OK;
    *taken = 0;
    while (*taken < n && rc == ERR_OK) {
        size_t used;
        bool found;
        struct csv_cut cut;
        size_t len = n - *taken < piece ? n - *taken : piece;
        rc = csv_split_feed(s, p, len, 1 << 20, &used, &found, &cut, e);
        assert_false(found);
        *taken += used;
    }
    free(p);
    return rc;
}

static void a_record_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
    (void)state;
    static const size_t pieces[] = { 1 << 20, 999983, 40 << 20 };
    for (size_t i = 0; i < N_OF(pieces); i++) {
        struct csv_split s;
        struct err e;
        size_t taken, used;
        bool found;
        struct csv_cut cut;
        uint8_t lf[1 + CSV_PAD] = "\n", head[3 + CSV_PAD] = "a\n\"";
        csv_split_init(&s, &rfc, 100, 7);
        PASS(&e, csv_split_feed(&s, head, 3, 1000, &used, &found, &cut, &e));
        PASS(&e, feed_long(&s, 'x', CSV_RECORD_MAX - 1, pieces[i], &taken, &e));
        struct csv_split full = s;
        EXPECT(ERR_PARSE, &e, feed_long(&s, 'x', 2, pieces[i], &taken, &e));
        assert_non_null(strstr(e.text, "line 9: the quote at byte 102 is never closed"));
        uint64_t bad;
        assert_true(csv_split_before_bad(&s, &cut, &bad));
        EQ_I64(102, bad);
        EQ_I64(102, cut.end);
        EQ_I64(1, cut.records);
        EQ_I64(1, cut.lines);

        // One byte less, and the line end is the last that fits.
        csv_split_init(&full, &rfc, 0, 0);
        PASS(&e, feed_long(&full, 'x', CSV_RECORD_MAX - 1, pieces[i], &taken, &e));
        s = full;
        PASS(&e, csv_split_feed(&full, lf, 1, 1, &used, &found, &cut, &e));
        assert_true(found);
        EQ_I64(CSV_RECORD_MAX, cut.end);
        EXPECT(ERR_PARSE, &e, feed_long(&s, 'x', 2, pieces[i], &taken, &e));
        assert_non_null(
            strstr(e.text, "line 1: the record that begins at byte 0 is longer"));
        assert_false(csv_split_before_bad(&s, &cut, &bad));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_do_not_depend_on_the_pieces),
        cmocka_unit_test(a_cut_ends_at_the_first_record_end_at_or_past_the_target),
        cmocka_unit_test(cuts_by_records_have_that_many),
        cmocka_unit_test(blank_lines_are_not_counted_as_rows),
        cmocka_unit_test(nothing_in_nothing_out),
        cmocka_unit_test(a_quote_never_closed_is_named),
        cmocka_unit_test(a_record_may_be_as_long_as_the_limit_and_no_longer),
    };
    return test_main("csv_split", tests, N_OF(tests), NULL, 0);
}
