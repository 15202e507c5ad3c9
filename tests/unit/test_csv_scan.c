#include "common/csv_scan.h"

#include "common/csv_simd.h"
#include "tests/csv_noise.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

static const char *const sets[] = { "avx2", "sse2" };

// Everything a scan says about a buffer, for comparing.
struct answer {
    size_t n;
    uint64_t delim[64], end[64], lf[64], quote[64], open[64];
    enum csv_state state[64];
};

static void scan(const struct csv_scan_ops *ops, const struct csv_dialect *d,
                 enum csv_state first, const uint8_t *p, size_t n, size_t piece,
                 struct answer *a)
{
    struct csv_scan s;
    csv_scan_init(&s, d, ops);
    s.state = first;
    memset(a, 0, sizeof *a);
    for (size_t i = 0; i < n; i += piece) {
        struct csv_block b = csv_scan_block(&s, p + i, n - i < piece ? n - i : piece);
        a->delim[a->n] = b.delim;
        a->end[a->n] = b.end;
        a->lf[a->n] = b.lf;
        a->quote[a->n] = b.quote;
        a->open[a->n] = b.open;
        a->state[a->n++] = s.state;
    }
}

static void a_block_has_the_bits_the_grammar_says(void **state)
{
    (void)state;
    static const char text[] = "a,\"b,\n\"\"c\"\nd\"e,f\r\n,\"x\"y\"z,\"\"\n";
    // d: delimiter, e: record end, l: another LF, o: quote that opens, q: another quote
    static const char what[] = " do  lqq qe q d  edo q q doqe";
    for (size_t k = 0; k <= N_OF(sets); k++) {
        const struct csv_scan_ops *ops = csv_scan_ops(k < N_OF(sets) ? sets[k] : "scalar");
        if (!ops) continue;
        uint8_t p[64 + CSV_PAD] = { 0 };
        memcpy(p, text, sizeof text - 1);
        struct csv_scan s;
        csv_scan_init(&s, &(struct csv_dialect){ .delimiter = ',', .quote = '"' }, ops);
        struct csv_block b = csv_scan_block(&s, p, sizeof text - 1);
        EQ_I64(sizeof text, sizeof what);
        for (size_t i = 0; i < sizeof text - 1; i++) {
            EQ_I64(what[i] == 'd', b.delim >> i & 1);
            EQ_I64(what[i] == 'e', b.end >> i & 1);
            EQ_I64(what[i] == 'e' || what[i] == 'l', b.lf >> i & 1);
            EQ_I64(what[i] == 'o', b.open >> i & 1);
            EQ_I64(what[i] == 'o' || what[i] == 'q', b.quote >> i & 1);
        }
        EQ_I64(CSV_FIELD_START, s.state);
    }
}

static void every_set_equals_the_scalar_machine(void **state)
{
    (void)state;
    struct noise r = noise_new();
    static uint8_t buf[CSV_PAD + 1024 + CSV_PAD];
    static struct answer want, got;
    for (int round = 0; round < 20000; round++) {
        struct csv_dialect d = noise_dialect(&r);
        uint8_t *p = buf + noise_below(&r, CSV_PAD);
        size_t n = noise_below(&r, 900),
               piece = 64 - noise_below(&r, 8) * noise_below(&r, 8);
        if (n / piece >= 64) n = piece * 63;
        noise_fill(&r, &d, p, n + CSV_PAD);
        enum csv_state first = noise_below(&r, 4);
        scan(csv_scan_ops("scalar"), &d, first, p, n, piece, &want);
        for (size_t k = 0; k < N_OF(sets); k++) {
            if (!csv_scan_ops(sets[k])) continue;
            scan(csv_scan_ops(sets[k]), &d, first, p, n, piece, &got);
            if (memcmp(&want, &got, sizeof want) != 0)
                fail_msg("%s differs in round %d of seed %llu", sets[k], round,
                         (unsigned long long)r.seed);
        }
    }
}

static void tally_and_index_say_what_the_blocks_say(void **state)
{
    (void)state;
    struct noise r = noise_new();
    static uint8_t buf[4096 + CSV_PAD];
    static uint32_t at[4096 + CSV_INDEX_SLACK], scalar_at[4096 + CSV_INDEX_SLACK];
    const struct csv_scan_ops *scalar = csv_scan_ops("scalar");
    for (int round = 0; round < 4000; round++) {
        struct csv_dialect d = noise_dialect(&r);
        size_t n = noise_below(&r, 4096), full = 1 + noise_below(&r, 4000);
        noise_fill(&r, &d, buf, n + CSV_PAD);
        for (size_t k = 0; k < N_OF(sets); k++) {
            if (!csv_scan_ops(sets[k])) continue;
            struct csv_scan a, b;
            struct csv_tally ta, tb;
            csv_scan_init(&a, &d, scalar);
            a.state = noise_below(&r, 4);
            csv_scan_init(&b, &d, csv_scan_ops(sets[k]));
            b.state = a.state;
            a.ops->tally(&a, buf, n, &ta);
            b.ops->tally(&b, buf, n, &tb);
            EQ_I64(a.state, b.state);
            assert_memory_equal(&ta, &tb, sizeof ta);

            a.state = b.state = CSV_FIELD_START;
            struct csv_index x = { .at = scalar_at, .full = full, .plain = true };
            struct csv_index y = { .at = at, .full = full, .plain = true };
            size_t i = a.ops->index(&a, buf, 0, n, &x);
            EQ_I64(i, b.ops->index(&b, buf, 0, n, &y));
            EQ_I64(x.n, y.n);
            EQ_I64(x.ends, y.ends);
            EQ_I64(x.plain, y.plain);
            assert_memory_equal(at, scalar_at, x.n * sizeof *at);
            bool plain = true;
            for (size_t j = 0; j < i; j++)
                plain &= buf[j] != 0 && buf[j] < 0x80;
            EQ_I64(plain, x.plain);
        }
    }
}

static void an_unknown_set_is_no_set(void **state)
{
    (void)state;
    assert_null(csv_scan_ops("mmx"));
    assert_non_null(csv_scan_ops(NULL));
    assert_string_equal("scalar", csv_scan_name(csv_scan_ops("scalar")));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_has_the_bits_the_grammar_says),
        cmocka_unit_test(every_set_equals_the_scalar_machine),
        cmocka_unit_test(tally_and_index_say_what_the_blocks_say),
        cmocka_unit_test(an_unknown_set_is_no_set),
    };
    return test_main("csv_scan", tests, N_OF(tests), NULL, 0);
}
