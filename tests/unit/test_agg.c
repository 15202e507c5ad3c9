#include "common/agg_chunk.h"
#include "common/agg_groups.h"
#include "common/agg_merge.h"
#include "common/agg_plan.h"
#include "common/agg_states.h"
#include "tests/random_batch.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

// ---- expressions

struct expression {
    const char *name, *text, *says; // NULL: it is good
    size_t at;
};

static const struct expression EXPRESSIONS[] = {
    { "count_all", "count(*)", NULL, 0 },
    { "spaces_and_case", " COUNT ( x ) ", NULL, 0 },
    { "quoted_column", "avg(\"a \"\"b\"\", c\")", NULL, 0 },
    { "share", "quantile(x, .5)", NULL, 0 },
    { "empty", "", "a function is wanted", 0 },
    { "unknown", "summ(x)", "no function 'summ'; did you mean 'sum'?", 0 },
    { "known_elsewhere", "percentile(x, 1)", "did you mean 'quantile'?", 0 },
    { "no_parenthesis", "sum x", "a '(' is wanted after sum", 4 },
    { "no_column", "sum()", "sum wants a column", 4 },
    { "star", "sum(*)", "only count takes *", 4 },
    { "number", "sum(1)", "sum wants a column first", 4 },
    { "text", "sum('x')", "a column stands in double quotes", 4 },
    { "open_quote", "sum(\"x)", "this quote is never closed", 4 },
    { "two_columns", "sum(x, y)", "sum takes only one column", 5 },
    { "no_share", "quantile(x)", "the ', q' is missing", 10 },
    { "word_as_share", "quantile(x, q)", "a number from 0 to 1", 12 },
    { "percentage", "quantile(x, 95)", "written as a share", 12 },
    { "negative", "quantile(x, -0.1)", "not from 0 to 1", 12 },
    { "open", "sum(x", "a ')' is wanted here", 5 },
    { "a_row", "max_by(x, \"y z\")", NULL, 0 },
    { "a_row_by_nothing", "max_by(x)", "the ', by' is missing", 8 },
    { "a_row_by_a_number", "min_by(x, 1)", "min_by wants a column first", 10 },
    { "a_row_by_two", "min_by(x, y, z)", "min_by takes only two columns", 11 },
    { "a_row_known_elsewhere", "arg_max(x, y)", "did you mean 'max_by'?", 0 },
    { "more", "sum(x) / 2", "nothing may follow", 7 },
};

static void an_expression_is_read(void **state)
{
    const struct expression *x = *state;
    struct agg_fn f;
    struct err e;
    size_t at;
    err_t rc = agg_fn_parse(&f, x->text, &at, &e);
    if (!x->says) {
        PASS(&e, rc);
        agg_fn_free(&f);
        return;
    }
    EXPECT(ERR_PARSE, &e, rc);
    if (!strstr(e.text, x->says)) fail_msg("wanted '...%s...', got '%s'", x->says, e.text);
    EQ_I64(x->at, at);
}

static void a_quoted_column_is_unquoted(void **state)
{
    (void)state;
    struct agg_fn f;
    struct err e;
    size_t at;
    PASS(&e, agg_fn_parse(&f, "avg(\"a \"\"b\"\", c\")", &at, &e));
    assert_string_equal("a \"b\", c", f.column);
    agg_fn_free(&f);
}

// ---- chunks and merges

enum { COLUMNS = 4, ROWS = 500, FUNCTIONS = 17, GROUPS_MAX = 400 };

static const char *const COMPUTE[FUNCTIONS] = {
    "count(*)",
    "count(v)",
    "sum(v)",
    "avg(v)",
    "stddev(v)",
    "variance(w)",
    "min(v)",
    "max(v)",
    "quantile(v, 0.9)",
    "median(w)",
    "count_distinct(v)",
    "count_distinct(w)",
    "max_by(v, w)",
    "MAX_BY(k, W)",
    "min_by(v, w)",
    "max(w)",
    "min(W)",
};

struct table { // rows of any values; text is static
    struct cell cell[COLUMNS][ROWS];
    uint32_t rows;
};

static struct cell random_cell(struct rnd *r)
{
    static const char *const texts[] = {
        "", "a", "b", "12", " 7.5 ", "aaaaaaaaaaaaaaaaaa"
    };
    const char *t = texts[rnd_below(r, 6)];
    switch (rnd_below(r, 8)) {
    case 0: return (struct cell){ .kind = CELL_NULL };
    case 1:
        return (struct cell){ CELL_TEXT, (uint32_t)strlen(t), { .p = (const uint8_t *)t } };
    case 2:
        return (struct cell){ CELL_BLOB, (uint32_t)strlen(t), { .p = (const uint8_t *)t } };
    case 3: return (struct cell){ .kind = CELL_REAL, .r = (double)rnd_below(r, 5) };
    case 4: return (struct cell){ .kind = CELL_REAL, .r = rnd_below(r, 2) ? -0.0 : 0.1 };
    case 5: return (struct cell){ .kind = CELL_INTEGER, .i = (int64_t)rnd_next(r) };
    default: return (struct cell){ .kind = CELL_INTEGER, .i = rnd_below(r, 5) };
    }
}

static void fill(struct table *t, struct rnd *r)
{
    t->rows = ROWS;
    for (uint32_t c = 0; c < COLUMNS; c++)
        for (uint32_t i = 0; i < ROWS; i++)
            t->cell[c][i] = random_cell(r);
}

static void schema_of(struct schema *s)
{
    struct err e;
    static const char *const names[COLUMNS] = { "j", "k", "v", "w" };
    for (uint32_t c = 0; c < COLUMNS; c++)
        PASS(&e, schema_add(s, names[c], 1, TYPE_ANY, false, &e));
}

static void slice_of(struct table *t, uint32_t from, uint32_t to, struct vec *col,
                     struct batch *b)
{
    *b = (struct batch){ .rows = to - from, .n_cols = COLUMNS, .col = col };
    for (uint32_t c = 0; c < COLUMNS; c++)
        col[c] = (struct vec){ .type = TYPE_ANY, .any = &t->cell[c][from] };
}

struct aggregated { // keys and values of all groups, in the order they appeared
    struct cell key[GROUPS_MAX][2];
    struct cell value[GROUPS_MAX][FUNCTIONS];
    char text[GROUPS_MAX][FUNCTIONS][32];
    uint32_t n;
};

static void the_aggregate(struct agg *a, uint32_t n_by)
{
    struct err e;
    for (uint32_t i = 0; i < n_by; i++)
        PASS(&e, agg_add_by(a, i ? "k" : "j", &e));
    for (uint32_t i = 0; i < FUNCTIONS; i++)
        PASS(&e, agg_add_fn(a, COMPUTE[i], COMPUTE[i], &e));
}

static struct cell keep(struct cell c, char *text)
{
    if (c.kind != CELL_TEXT && c.kind != CELL_BLOB) return c;
    memcpy(text, c.p, c.len);
    c.p = (uint8_t *)text;
    return c;
}

static bool same_key(const struct aggregated *out, uint32_t g, const struct batch *b,
                     uint32_t row, uint32_t n_by)
{
    for (uint32_t k = 0; k < n_by; k++)
        if (!agg_cell_equal(&out->key[g][k], &b->col[k].any[row])) return false;
    return true;
}

static void check_order(const struct batch *b, uint32_t n_by)
{
    for (uint32_t r = 1; r < b->rows; r++) {
        int order = 0;
        for (uint32_t k = 0; !order && k < n_by; k++)
            order = agg_compare_keys(&b->col[k].any[r - 1], &b->col[k].any[r]);
        assert_true(order < 0);
    }
}

static bool same_group(const struct aggregated *a, uint32_t g, const struct aggregated *b,
                       uint32_t h, uint32_t n_by)
{
    for (uint32_t k = 0; k < n_by; k++)
        if (!agg_cell_equal(&a->key[g][k], &b->key[h][k])) return false;
    return true;
}

// Slices of the rows, each aggregated, then merged group by group.
static void aggregate(struct table *t, uint32_t slices, bool backwards, uint32_t n_by,
                      struct aggregated *out)
{
    enum { SLICES_MAX = 20 };
    struct agg a = { 0 };
    struct schema s = { 0 };
    struct agg_chunk *chunk = NULL;
    struct agg_merge *m = NULL;
    struct batch in, part[SLICES_MAX] = { 0 };
    struct vec col[SLICES_MAX][COLUMNS];
    bool want[COLUMNS] = { false };
    struct err e;
    the_aggregate(&a, n_by);
    schema_of(&s);
    PASS(&e, agg_chunk_new(&chunk, &a, &s, 64 << 20, want, &e));
    assert_true(want[2] && want[3]);
    for (uint32_t i = 0; i < slices; i++) {
        slice_of(t, ROWS * i / slices, ROWS * (i + 1) / slices, col[i], &in);
        PASS(&e, agg_chunk_apply(chunk, &in, &part[i], &e));
        check_order(&part[i], n_by);
    }
    out->n = 0;
    for (uint32_t i = 0; i < slices; i++) {
        for (uint32_t r = 0; r < part[i].rows; r++) {
            uint32_t g = 0;
            while (g < out->n && !same_key(out, g, &part[i], r, n_by))
                g++;
            assert_true(g < GROUPS_MAX);
            for (uint32_t k = 0; k < n_by; k++)
                if (g == out->n || part[i].col[k].any[r].kind == CELL_INTEGER)
                    out->key[g][k] = part[i].col[k].any[r];
            if (g == out->n) out->n++;
        }
    }
    PASS(&e, agg_merge_new(&m, &a, 1 << 20, &e));
    uint32_t n_states = agg_merge_states(m);
    for (uint32_t g = 0; g < out->n; g++) {
        struct cell states[FUNCTIONS], values[FUNCTIONS];
        agg_merge_start(m);
        for (uint32_t k = 0; k < slices; k++) {
            struct batch *b = &part[backwards ? slices - 1 - k : k];
            for (uint32_t r = 0; r < b->rows; r++) {
                if (!same_key(out, g, b, r, n_by)) continue;
                for (uint32_t i = 0; i < n_states; i++)
                    states[i] = b->col[n_by + i].any[r];
                PASS(&e, agg_merge_add(m, states, &e));
            }
        }
        PASS(&e, agg_merge_result(m, values, &e));
        for (uint32_t i = 0; i < FUNCTIONS; i++)
            out->value[g][i] = keep(values[i], out->text[g][i]);
    }
    agg_merge_free(&m);
    for (uint32_t i = 0; i < slices; i++)
        batch_free(&part[i]);
    agg_chunk_free(&chunk);
    schema_free(&s);
    agg_free(&a);
}

static void same_cell(const struct cell *a, const struct cell *b, const char *what)
{
    bool bytes = a->kind == CELL_TEXT || a->kind == CELL_BLOB;
    bool same = a->kind == b->kind;
    if (same && bytes)
        same = a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
    else if (same && a->kind != CELL_NULL)
        same = a->i == b->i; // the bits of a real too
    if (!same)
        fail_msg("%s: kinds %u and %u differ, or their values", what, a->kind, b->kind);
}

static void however_rows_are_cut_the_bits_are_the_same(void **state)
{
    (void)state;
    static struct table t;
    static struct aggregated one, cut;
    struct rnd r = rnd_seed("test_agg");
    for (int round = 0; round < 20; round++) {
        uint32_t n_by = rnd_below(&r, 3);
        fill(&t, &r);
        if (n_by == 2) // not every pair of values
            for (uint32_t i = 0; i < ROWS; i++)
                t.cell[0][i] = t.cell[0][i % 7];
        for (uint32_t i = 0; n_by && i < ROWS; i++)
            t.cell[n_by - 1][i] = t.cell[n_by - 1][i % 50];
        aggregate(&t, 1, false, n_by, &one);
        aggregate(&t, 1 + rnd_below(&r, 20), rnd_below(&r, 2), n_by, &cut);
        EQ_I64(one.n, cut.n);
        for (uint32_t g = 0; g < one.n; g++) {
            uint32_t at = 0; // in the order in which slices have them
            while (at < cut.n && !same_group(&one, g, &cut, at, n_by))
                at++;
            assert_true(at < cut.n);
            for (uint32_t k = 0; k < n_by; k++)
                same_cell(&one.key[g][k], &cut.key[at][k], "key");
            for (uint32_t i = 0; i < FUNCTIONS; i++)
                same_cell(&one.value[g][i], &cut.value[at][i], COMPUTE[i]);
        }
    }
}

// Row i before row best, or after it: by w, then v and k.
static int compare_rows(const struct table *t, uint32_t i, uint32_t best)
{
    int order = agg_compare(&t->cell[3][i], &t->cell[3][best]);
    if (!order) order = agg_compare(&t->cell[2][i], &t->cell[2][best]);
    return order ? order : agg_compare(&t->cell[1][i], &t->cell[1][best]);
}

static void one_row_gives_all_values_of_max_by(void **state)
{
    (void)state;
    static struct table t;
    static struct aggregated got;
    struct rnd r = rnd_seed("test_agg");
    fill(&t, &r);
    for (uint32_t i = 0; i < ROWS; i++)
        t.cell[0][i] = t.cell[0][i % 20];
    aggregate(&t, 7, true, 1, &got);
    for (uint32_t g = 0; g < got.n; g++) {
        uint32_t hi = ROWS, lo = ROWS;
        struct cell none = { .kind = CELL_NULL };
        for (uint32_t i = 0; i < ROWS; i++) {
            if (!agg_cell_equal(&t.cell[0][i], &got.key[g][0])) continue;
            if (t.cell[3][i].kind == CELL_NULL) continue;
            if (hi == ROWS || compare_rows(&t, i, hi) > 0) hi = i;
            int order = lo == ROWS ? -1 : agg_compare(&t.cell[3][i], &t.cell[3][lo]);
            if (!order) order = agg_compare(&t.cell[2][i], &t.cell[2][lo]);
            if (order < 0) lo = i;
        }
        same_cell(hi < ROWS ? &t.cell[2][hi] : &none, &got.value[g][12], "max_by(v, w)");
        same_cell(hi < ROWS ? &t.cell[1][hi] : &none, &got.value[g][13], "max_by(k, w)");
        same_cell(lo < ROWS ? &t.cell[2][lo] : &none, &got.value[g][14], "min_by(v, w)");
        same_cell(hi < ROWS ? &t.cell[3][hi] : &none, &got.value[g][15], "max(w)");
        same_cell(lo < ROWS ? &t.cell[3][lo] : &none, &got.value[g][16], "min(w)");
    }
}

static void states_of_rows_that_are_none_are_refused(void **state)
{
    (void)state;
    static const uint8_t none[] = { 0, 1, 5 }, cut[] = { 1, 5, 6, 200, 0, 0, 0, 'x' },
                         more[] = { 1, 5, 0, 0 },
                         nan[] = { 1, 5, 5, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f };
    static const struct slice bad[] = {
        { none, sizeof none }, { cut, sizeof cut }, { more, sizeof more },
        { nan, sizeof nan },   { none, 0 },
    };
    struct agg a = { 0 };
    struct agg_merge *m;
    struct err e;
    PASS(&e, agg_add_fn(&a, "x", "max_by(x, y)", &e));
    PASS(&e, agg_merge_new(&m, &a, 1 << 20, &e));
    agg_merge_start(m);
    for (size_t i = 0; i < N_OF(bad); i++) {
        struct cell c = { CELL_BLOB, (uint32_t)bad[i].n, { .p = bad[i].p } };
        EXPECT(ERR_PROTO, &e, agg_merge_add(m, &c, &e));
        c.kind = CELL_TEXT;
        EXPECT(ERR_PROTO, &e, agg_merge_add(m, &c, &e));
    }
    agg_merge_free(&m);
    agg_free(&a);
}

// What is simple is counted again, row by row.
static void counts_and_extremes_are_those_of_the_rows(void **state)
{
    (void)state;
    static struct table t;
    static struct aggregated got;
    struct rnd r = rnd_seed("test_agg");
    fill(&t, &r);
    for (uint32_t i = 0; i < ROWS; i++)
        t.cell[0][i] = t.cell[0][i % 20];
    aggregate(&t, 5, false, 1, &got);
    for (uint32_t g = 0; g < got.n; g++) {
        int64_t rows = 0, values = 0, distinct = 0;
        struct cell lo = { .kind = CELL_NULL }, hi = lo;
        for (uint32_t i = 0; i < ROWS; i++) {
            const struct cell *v = &t.cell[2][i];
            if (!agg_cell_equal(&t.cell[0][i], &got.key[g][0])) continue;
            rows++;
            if (v->kind == CELL_NULL) continue;
            values++;
            bool seen = false;
            for (uint32_t k = 0; k < i && !seen; k++)
                seen = agg_cell_equal(&t.cell[0][k], &got.key[g][0]) &&
                       agg_cell_equal(&t.cell[2][k], v);
            distinct += !seen;
            if (lo.kind == CELL_NULL || agg_compare(v, &lo) < 0) lo = *v;
            if (hi.kind == CELL_NULL || agg_compare(v, &hi) > 0) hi = *v;
        }
        EQ_I64(rows, got.value[g][0].i);
        EQ_I64(values, got.value[g][1].i);
        EQ_I64(distinct, got.value[g][10].i);
        same_cell(&lo, &got.value[g][6], "min");
        same_cell(&hi, &got.value[g][7], "max");
    }
}

static void sums_of_integers_become_reals_only_past_the_edge(void **state)
{
    (void)state;
    static struct table t;
    static struct aggregated got;
    for (uint32_t i = 0; i < ROWS; i++)
        for (uint32_t c = 0; c < COLUMNS; c++)
            t.cell[c][i] =
                (struct cell){ .kind = CELL_INTEGER, .i = i == 0 ? INT64_MAX : 0 };
    aggregate(&t, 3, false, 0, &got);
    EQ_I64(CELL_INTEGER, got.value[0][2].kind);
    EQ_I64(INT64_MAX, got.value[0][2].i);
    t.cell[2][5].i = 1;
    aggregate(&t, 3, false, 0, &got);
    EQ_I64(CELL_REAL, got.value[0][2].kind);
    assert_true(got.value[0][2].r == 0x1p63);
}

static void infinities_make_infinite_sums_or_none(void **state)
{
    (void)state;
    static struct table t;
    static struct aggregated got;
    for (uint32_t i = 0; i < ROWS; i++)
        for (uint32_t c = 0; c < COLUMNS; c++)
            t.cell[c][i] = (struct cell){ .kind = CELL_REAL, .r = i == 9 ? INFINITY : 1 };
    aggregate(&t, 4, false, 0, &got);
    assert_true(got.value[0][2].r == INFINITY && got.value[0][3].r == INFINITY);
    EQ_I64(CELL_NULL, got.value[0][4].kind);
    t.cell[2][400].r = -INFINITY;
    aggregate(&t, 4, false, 0, &got);
    EQ_I64(CELL_NULL, got.value[0][2].kind);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quoted_column_is_unquoted),
        cmocka_unit_test(however_rows_are_cut_the_bits_are_the_same),
        cmocka_unit_test(counts_and_extremes_are_those_of_the_rows),
        cmocka_unit_test(one_row_gives_all_values_of_max_by),
        cmocka_unit_test(states_of_rows_that_are_none_are_refused),
        cmocka_unit_test(sums_of_integers_become_reals_only_past_the_edge),
        cmocka_unit_test(infinities_make_infinite_sums_or_none),
    };
    return test_main("agg", tests, N_OF(tests), TABLE(EXPRESSIONS, an_expression_is_read),
                     N_OF(EXPRESSIONS));
}
