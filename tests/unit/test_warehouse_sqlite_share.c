// Small results that share a transaction and one image: the table and the ledger must be as
// if each had come alone.

#include "tests/warehouse_kit.h"

enum { N = 40, STEP = 50, LARGE_AT = 17, EMPTY_AT = 23, LARGE_ROWS = 20000, BASE = 1000 };
enum { LARGE_STEP = LARGE_ROWS * 10 };

static int set_up(void **state)
{
    struct kit *k = malloc(sizeof *k);
    if (!k) return -1;
    kit_init(k, "sqlite");
    kit_open(k);
    *state = k;
    return 0;
}

static int tear_down(void **state)
{
    kit_free(*state);
    free(*state);
    return 0;
}

static uint64_t begin_of(int i)
{
    return BASE + (uint64_t)i * STEP + (i > LARGE_AT ? LARGE_STEP - STEP : 0);
}

// 40 results in a row: one is large, one has a rejected row only.
static void make_results(struct kit *k, struct result r[N], struct rejects *list)
{
    struct err e;
    for (int i = 0; i < N; i++)
        if (i != EMPTY_AT) r[i] = kit_result(k, 0, begin_of(i), begin_of(i + 1));
    struct slice why = { (const uint8_t *)"because", 7 };
    struct reject one = { .line = 9, .byte = begin_of(EMPTY_AT), .reason = why };
    *list = (struct rejects){ 0 };
    PASS(&e, rejects_add(list, &one, &e));
    r[EMPTY_AT] = (struct result){
        .row = { .range = { 0, begin_of(EMPTY_AT), begin_of(EMPTY_AT + 1) },
                 .state = LEDGER_DONE,
                 .records = 1,
                 .rows_read = 1,
                 .rows_rejected = 1,
                 .worker = "w1" },
        .rejects = { list->bytes.p, list->bytes.n },
    };
    assert_true(result_is_small(&r[0]) && !result_is_small(&r[LARGE_AT]));
}

static void commit_all(struct kit *k, bool dup[N])
{
    struct err e;
    struct result r[N];
    struct rejects list;
    size_t failed;
    make_results(k, r, &list);
    PASS(&e, k->ops->commit(k->w, r, N, dup, &failed, &e));
    rejects_free(&list);
}

static const char TOLD_ROWS[] = "SELECT sum(rows_loaded) FROM tranche_ledger";
// Rows of the table that a range of the ledger names and that came from these bytes.
static const char FOUND_ROWS[] =
    "SELECT sum((SELECT count(*) FROM t WHERE t.rowid BETWEEN first_rowid AND last_rowid "
    "AND a * 10 >= byte_begin - 9 AND a * 10 < byte_end)) FROM tranche_ledger";

static void expect_all_there(struct kit *k)
{
    long long rows = (N - 2) * STEP / 10 + LARGE_ROWS;
    EQ_I64(rows, kit_count(k, "SELECT count(*) FROM t"));
    EQ_I64(rows, kit_count(k, "SELECT count(DISTINCT a) FROM t WHERE b = 'r' || a"));
    EQ_I64(rows, kit_count(k, TOLD_ROWS));
    EQ_I64(rows, kit_count(k, FOUND_ROWS));
    EQ_I64(N, kit_count(k, "SELECT count(*) FROM tranche_ledger"));
    EQ_I64(1, kit_count(k, "SELECT count(*) FROM t_rejects"));
    assert_string_equal("ok", kit_ask(k, "PRAGMA integrity_check"));
}

static void each_has_its_row_in_the_ledger_and_its_rowids(void **state)
{
    struct kit *k = *state;
    bool dup[N];
    kit_begin(k);
    commit_all(k, dup);
    for (int i = 0; i < N; i++)
        assert_false(dup[i]);
    expect_all_there(k);
    EQ_I64(0, kit_count(k, "SELECT count(*) FROM (SELECT a, lag(a) OVER (ORDER BY rowid) "
                           "AS before FROM t) WHERE a < before"));
}

static void those_that_are_in_already_are_left_out_alone(void **state)
{
    struct kit *k = *state;
    bool dup[N];
    kit_begin(k);
    kit_commit(k, 0, begin_of(5), begin_of(6));
    kit_commit(k, 0, begin_of(30), begin_of(31));
    commit_all(k, dup);
    for (int i = 0; i < N; i++)
        assert_int_equal(i == 5 || i == 30, dup[i]);
    expect_all_there(k);
}

static void fresh_knows_their_rows_again(void **state)
{
    struct kit *k = *state;
    bool dup[N];
    kit_begin(k);
    commit_all(k, dup);
    k->id.fresh = true;
    kit_begin(k);
    EQ_I64(0, kit_count(k, "SELECT count(*) FROM t"));
    EQ_I64(0, kit_count(k, "SELECT count(*) FROM tranche_ledger"));
}

static void rows_with_overflow_pages_can_share(void **state)
{
    struct kit *k = *state;
    struct result r[3];
    bool dup[3];
    size_t failed;
    struct err e;
    kit_begin(k);
    for (int i = 0; i < 3; i++) {
        char sql[200];
        snprintf(sql, sizeof sql,
                 "INSERT INTO t VALUES(%d, printf('%%.*c', 30000, 'x')), (%d, NULL)", i,
                 i + 100);
        r[i] = kit_sql_result(k, BASE + (uint64_t)i, BASE + (uint64_t)i + 1, sql);
        assert_true(result_is_small(&r[i]));
    }
    PASS(&e, k->ops->commit(k->w, r, 3, dup, &failed, &e));
    EQ_I64(90000, kit_count(k, "SELECT sum(length(b)) FROM t WHERE b = "
                               "printf('%.*c', 30000, 'x')"));
    EQ_I64(6, kit_count(k, "SELECT count(*) FROM t"));
}

// Where the table has rules of its own each result is added by itself: one row that breaks
// a rule is known by the range that it came from.
static void a_refused_row_is_still_known_by_its_range(void **state)
{
    struct kit *k = *state;
    struct result r[3];
    bool dup[3];
    size_t failed;
    struct err e;
    kit_run(k, "CREATE TABLE t(a INTEGER UNIQUE, b TEXT)");
    kit_begin(k);
    kit_run(k, "INSERT INTO t VALUES(110, 'mine')");
    for (int i = 0; i < 3; i++)
        r[i] = kit_result(k, 0, BASE + 100 * (uint64_t)i, BASE + 100 * (uint64_t)(i + 1));
    PASS(&e, k->ops->commit(k->w, r, 3, dup, &failed, &e));
    EQ_I64(10, r[0].row.rows_loaded);
    EQ_I64(9, r[1].row.rows_loaded);
    EQ_I64(1, r[1].row.rows_refused);
    EQ_I64(10, r[2].row.rows_loaded);
    EQ_I64(1, kit_count(k, "SELECT count(*) FROM t_rejects WHERE reason LIKE "
                           "'UNIQUE%from 1100 to 1200%'"));
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest plain[] = {
        EACH(each_has_its_row_in_the_ledger_and_its_rowids),
        EACH(those_that_are_in_already_are_left_out_alone),
        EACH(fresh_knows_their_rows_again),
        EACH(rows_with_overflow_pages_can_share),
        EACH(a_refused_row_is_still_known_by_its_range),
    };
    return test_main("warehouse_sqlite_share", plain, N_OF(plain), NULL, 0);
}
