// Sorted runs of states, cut into pieces anywhere, come back in one order.

#include "common/agg_runs.h"
#include "common/agg_states.h"
#include "common/row_code.h"
#include "tests/random_batch.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

enum { RUNS = 20, ROWS = 300, PIECES = 4000 };

struct pieces {
    struct buf all;
    size_t from[PIECES + 1];
    int64_t n;
};

static err_t fetch(void *arg, int64_t piece, struct buf *to, struct err *e)
{
    const struct pieces *p = arg;
    if (piece >= p->n) return err_set(e, ERR_IO, "no such piece");
    size_t n = p->from[piece + 1] - p->from[piece];
    return n ? buf_add(to, p->all.p + p->from[piece], n, e) : ERR_OK;
}

static int by_key(const void *a, const void *b)
{
    const struct cell *x = a, *y = b;
    return agg_compare_keys(x, y);
}

static struct cell random_key(struct rnd *r)
{
    static const char letters[] = "ababababababababababab";
    switch (rnd_below(r, 5)) {
    case 0: return (struct cell){ .kind = CELL_NULL };
    case 1: return (struct cell){ .kind = CELL_INTEGER, .i = rnd_below(r, 20) };
    case 2: return (struct cell){ .kind = CELL_REAL, .r = rnd_below(r, 40) / 2.0 };
    default:
        return (struct cell){ CELL_TEXT,
                              rnd_below(r, 20),
                              { .p = (const uint8_t *)letters + rnd_below(r, 2) } };
    }
}

// One run: two values a row, the second its number; cut at random.
static void make_run(struct pieces *p, struct rnd *r, uint32_t rows, int64_t *first,
                     int64_t *last)
{
    struct cell key[ROWS];
    struct err e;
    size_t begin = p->all.n;
    for (uint32_t i = 0; i < rows; i++)
        key[i] = random_key(r);
    if (rows) qsort(key, rows, sizeof *key, by_key);
    for (uint32_t i = 0; i < rows; i++) {
        struct cell number = { .kind = CELL_INTEGER, .i = i };
        PASS(&e, row_code_put(&p->all, &key[i], &e));
        PASS(&e, row_code_put(&p->all, &number, &e));
    }
    *first = p->n;
    for (size_t at = begin; at < p->all.n || at == begin;) {
        size_t left = p->all.n - at, most = 1 + rnd_below(r, 2) * 200;
        p->from[p->n++] = at;
        assert_true(p->n < PIECES);
        at += left && p->n % 7 ? (left < most ? left : most) : left;
        if (left == 0) break;
    }
    p->from[p->n] = p->all.n;
    *last = p->n - 1;
}

static void rows_of_all_runs_come_in_order(void **state)
{
    (void)state;
    static struct pieces p;
    struct rnd r = rnd_seed("test_agg_runs");
    struct agg_runs *runs;
    struct err e;
    uint64_t rows = 0, got = 0;
    PASS(&e, agg_runs_new(&runs, 1, 2, fetch, &p, &e));
    p = (struct pieces){ 0 };
    int64_t first[RUNS], last[RUNS];
    for (int i = 0; i < RUNS; i++) {
        uint32_t n = i == 3 ? 0 : 1 + rnd_below(&r, ROWS);
        make_run(&p, &r, n, &first[i], &last[i]);
        rows += n;
    }
    for (int i = 0; i < RUNS; i++)
        PASS(&e, agg_runs_add(runs, first[i], last[i], &e));
    struct buf before = { 0 };
    const struct cell *row;
    for (;; got++) {
        PASS(&e, agg_runs_next(runs, &row, &e));
        if (!row) break;
        if (got) {
            struct cell last_key;
            size_t at = 0;
            assert_true(row_code_next(before.p, before.n, &at, &last_key));
            assert_true(agg_compare_keys(&last_key, &row[0]) <= 0);
        }
        before.n = 0;
        PASS(&e, row_code_put(&before, &row[0], &e));
    }
    EQ_I64(rows, got);
    PASS(&e, agg_runs_next(runs, &row, &e));
    assert_null(row);
    agg_runs_free(&runs);
    buf_free(&before);
    buf_free(&p.all);
}

static void a_run_that_is_cut_is_an_error(void **state)
{
    (void)state;
    static struct pieces p;
    struct cell text = { CELL_TEXT, 3, { .p = (const uint8_t *)"abc" } };
    struct agg_runs *runs;
    struct err e;
    p = (struct pieces){ .n = 1 };
    PASS(&e, row_code_put(&p.all, &text, &e));
    for (size_t n = 1; n <= p.all.n; n++) {
        p.from[1] = n;
        PASS(&e, agg_runs_new(&runs, 1, 2, fetch, &p, &e));
        EXPECT(ERR_PROTO, &e, agg_runs_add(runs, 0, 0, &e));
        assert_string_equal("the states of an aggregate are cut", e.text);
        EXPECT(ERR_IO, &e, agg_runs_add(runs, 0, 1, &e));
        agg_runs_free(&runs);
    }
    buf_free(&p.all);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_all_runs_come_in_order),
        cmocka_unit_test(a_run_that_is_cut_is_an_error),
    };
    return cmocka_run_group_tests_name("agg_runs", tests, NULL, NULL);
}
