// Aggregates and merge.sql in the SQLite warehouse: states in, one table out.

#include "common/row_code.h"
#include "coordinator/warehouse_sqlite.h"
#include "tests/warehouse_kit.h"

struct merging {
    struct kit k;
    struct spec spec;
    struct schema rows;
    struct load_merge merge;
};

// Sums of n integers, as agg_plan.h writes them: of 5 and of 7.
#define SUM_2_IS_5   \
    "x'000200014400" \
    "05000000'"
#define SUM_1_IS_7   \
    "x'000100014400" \
    "07000000'"

static int set_up(void **state)
{
    struct merging *m = calloc(1, sizeof *m);
    struct err e;
    struct schema rows = { 0 };
    if (!m) return -1;
    kit_init(&m->k, "sqlite");
    kit_open(&m->k);
    PASS(&e, agg_add_by(&m->spec.aggregate, "b", &e));
    PASS(&e, agg_add_fn(&m->spec.aggregate, "n", "count(*)", &e));
    PASS(&e, agg_add_fn(&m->spec.aggregate, "s", "sum(a)", &e));
    rows = m->k.schema;
    m->k.schema = (struct schema){ 0 };
    PASS(&e, agg_result_schema(&m->spec.aggregate, &rows, &m->rows, &e));
    PASS(&e, agg_partial_schema(&m->spec.aggregate, &m->k.schema, &e));
    schema_free(&rows);
    m->merge =
        (struct load_merge){ .spec = &m->spec, .rows = &m->rows, .memory_bytes = 1 << 20 };
    m->k.id.mode = MODE_REPLACE;
    m->k.id.merge = &m->merge;
    *state = m;
    return 0;
}

static int tear_down(void **state)
{
    struct merging *m = *state;
    kit_free(&m->k);
    agg_free(&m->spec.aggregate);
    schema_free(&m->rows);
    free(m);
    return 0;
}

// Rows that SQL made, as states travel.
static struct result states_result(struct kit *k, uint64_t begin, uint64_t end,
                                   const char *insert)
{
    struct err e;
    struct buf sql = { 0 }, rows = { 0 };
    sqlite3 *db;
    sqlite3_stmt *st;
    uint64_t n = 0;
    PASS(&e, sqlite_image_sql(&k->schema, &sql, &e));
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, (char *)sql.p, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, insert, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT * FROM t", -1, &st, NULL), SQLITE_OK);
    for (; sqlite3_step(st) == SQLITE_ROW; n++)
        for (int i = 0; i < sqlite3_column_count(st); i++) {
            struct cell c = wsq_cell(st, i);
            PASS(&e, row_code_put(&rows, &c, &e));
        }
    sqlite3_finalize(st);
    sqlite3_close(db);
    uint8_t *to = k->images.p + k->images.n;
    assert_true(rows.n <= k->images.cap - k->images.n);
    memcpy(to, rows.p, rows.n);
    k->images.n += rows.n;
    struct result r = { .row = { .range = { 0, begin, end },
                                 .state = LEDGER_DONE,
                                 .rows_read = n,
                                 .rows_parsed = n,
                                 .rows_emitted = n,
                                 .worker = "w1" },
                        .image = to,
                        .image_bytes = rows.n };
    buf_free(&sql);
    buf_free(&rows);
    return r;
}

static err_t try_states(struct kit *k, uint64_t begin, uint64_t end, const char *values,
                        bool *damaged, struct err *e)
{
    char sql[600];
    size_t failed;
    bool dup;
    snprintf(sql, sizeof sql, "INSERT INTO t VALUES %s", values);
    struct result r = states_result(k, begin, end, sql);
    err_t rc = k->ops->commit(k->w, &r, 1, &dup, &failed, e);
    *damaged = r.damaged;
    return rc;
}

static void states(struct kit *k, uint64_t begin, uint64_t end, const char *values)
{
    struct err e;
    bool damaged;
    PASS(&e, try_states(k, begin, end, values, &damaged, &e));
}

static void load_both(struct kit *k)
{
    kit_begin(k);
    states(k, 10, 50, "(NULL, 1, " SUM_1_IS_7 "), ('a', 2, " SUM_2_IS_5 ")");
    states(k, 50, 90, "('a', 1, " SUM_1_IS_7 "), ('b', 1, " SUM_1_IS_7 ")");
}

static void finish(struct kit *k)
{
    struct err e;
    struct ledger_row totals[3];
    PASS(&e, kit_try_finish(k, 90, totals, &e));
}

static const char ALL[] =
    "SELECT group_concat(coalesce(b, '-') || n || ',' || s, ' ') FROM (SELECT * FROM t "
    "ORDER BY rowid)";

static void states_of_all_chunks_become_the_table(void **state)
{
    struct merging *m = *state;
    load_both(&m->k);
    EQ_I64(0, kit_count(&m->k, "SELECT count(*) FROM sqlite_schema WHERE name = 't'"));
    finish(&m->k);
    assert_string_equal("-1,7 a3,12 b1,7", kit_ask(&m->k, ALL));
    EQ_I64(3, m->merge.rows_out);
    EQ_I64(0, kit_count(&m->k, "SELECT count(*) FROM sqlite_schema WHERE name GLOB "
                               "'t__*'"));
}

static void more_runs_than_memory_are_merged_by_a_table(void **state)
{
    struct merging *m = *state;
    m->merge.memory_bytes = 2;
    load_both(&m->k);
    finish(&m->k);
    assert_string_equal("-1,7 a3,12 b1,7", kit_ask(&m->k, ALL));
    EQ_I64(0, kit_count(&m->k, "SELECT count(*) FROM sqlite_schema WHERE name GLOB "
                               "'t__*'"));
}

// States of more than one piece, whose ends are within rows.
static void runs_of_many_pieces(void **state)
{
    enum { GROUPS = 2000, RUNS = 3 };
    struct merging *m = *state;
    struct err e;
    kit_begin(&m->k);
    m->k.images.n = 0;
    for (uint64_t i = 0; i < RUNS; i++) {
        char sql[400];
        size_t failed;
        bool dup;
        snprintf(
            sql, sizeof sql,
            "WITH RECURSIVE g(i) AS (SELECT %d UNION ALL SELECT i + %d FROM g WHERE i + "
            "%d < %d) INSERT INTO t SELECT printf('%%060d', i), 1, %s FROM g",
            (int)i, 1 + (int)i, 1 + (int)i, GROUPS, SUM_1_IS_7);
        struct result r = states_result(&m->k, 10 + 20 * i, 30 + 20 * i, sql);
        assert_true(r.image_bytes > 32 << 10);
        PASS(&e, m->k.ops->commit(m->k.w, &r, 1, &dup, &failed, &e));
    }
    struct ledger_row totals[3];
    PASS(&e, kit_try_finish(&m->k, 70, totals, &e));
    EQ_I64(GROUPS, kit_count(&m->k, "SELECT count(*) FROM t"));
    EQ_I64(0, kit_count(&m->k, "SELECT count(*) FROM t WHERE b + 1 <> rowid"));
    EQ_I64(0, kit_count(&m->k, "SELECT count(*) FROM t WHERE n <> 1 + (b % 2 = 1) "
                               "+ (b % 3 = 2) OR s <> 7 * n"));
}

// Of each run one row is in memory, and a row may be as long as the run.
static void long_rows_count_as_memory(void **state)
{
    enum { RUNS = 3, KEY = 300000 };
    struct merging *m = *state;
    struct err e;
    uint64_t bytes;
    kit_begin(&m->k);
    m->k.images.n = 0;
    for (uint64_t i = 0; i < RUNS; i++) {
        char values[200];
        snprintf(values, sizeof values,
                 "('a', 1, %s), (printf('b%%0*d', %d, 0), 1, %s), ('c%d', 1, %s)",
                 SUM_1_IS_7, KEY, SUM_1_IS_7, (int)i, SUM_1_IS_7);
        states(&m->k, 10 + 20 * i, 30 + 20 * i, values);
        PASS(&e, wsq_runs_memory(m->k.w, &bytes, &e));
        assert_in_range(bytes, (i + 1) * KEY, (i + 1) * (2 * KEY + (64 << 10)));
    }
    assert_true(bytes > m->merge.memory_bytes / 2);
    struct ledger_row totals[3];
    PASS(&e, kit_try_finish(&m->k, 70, totals, &e));
    assert_string_equal("a:21 b:21 c0:7 c1:7 c2:7",
                        kit_ask(&m->k, "SELECT group_concat(k, ' ') FROM (SELECT "
                                       "substr(b, 1, 1 + (b > 'c')) "
                                       "|| ':' || s AS k FROM t ORDER BY b)"));
}

static void merge_sql_reads_what_the_aggregate_gave(void **state)
{
    static char *b[] = { (char *)(uintptr_t) "b" };
    static const struct strings index = { b, 1 };
    struct merging *m = *state;
    m->merge.sql = "SELECT b, n, s FROM parts WHERE s > 7 OR b = 'b' ORDER BY n";
    m->k.id.indexes = &index;
    m->k.id.n_indexes = 1;
    load_both(&m->k);
    finish(&m->k);
    assert_string_equal("b1,7 a3,12", kit_ask(&m->k, ALL));
    EQ_I64(2, m->merge.rows_out);
    EQ_I64(1, kit_count(&m->k, "SELECT count(*) FROM pragma_index_list('t')"));
}

static void a_bad_statement_leaves_no_load_behind(void **state)
{
    struct merging *m = *state;
    struct err e;
    m->merge.sql = "SELECT m FROM parts";
    EXPECT(ERR_INVALID, &e, kit_try_begin(&m->k, &e));
    if (!strstr(e.text,
                "merge.sql: line 1, column 8: no such column: m; parts has: b, n, s"))
        fail_msg("%s", e.text);
    m->merge.sql = "SELECT n FROM parts";
    load_both(&m->k);
    finish(&m->k);
    EQ_I64(3, kit_count(&m->k, "SELECT count(*) FROM t"));
}

static void a_finish_that_finds_a_lock_can_be_called_again(void **state)
{
    struct merging *m = *state;
    struct err e;
    struct ledger_row totals[3];
    m->merge.sql = "SELECT * FROM parts";
    load_both(&m->k);
    wsq_set_busy_ms(m->k.w, 1);
    sqlite3 *db = kit_peek(&m->k);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    EXPECT(ERR_BUSY, &e, kit_try_finish(&m->k, 90, totals, &e));
    // A reader lets us write, but not commit: the merge has been done, and is done again.
    assert_int_equal(sqlite3_exec(db, "ROLLBACK; BEGIN; SELECT count(*) FROM tranche_runs",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    EXPECT(ERR_BUSY, &e, kit_try_finish(&m->k, 90, totals, &e));
    sqlite3_close(db);
    finish(&m->k);
    assert_string_equal("-1,7 a3,12 b1,7", kit_ask(&m->k, ALL));
}

static void past_the_limit_of_bad_rows_the_parts_are_dropped(void **state)
{
    struct merging *m = *state;
    struct err e;
    const uint64_t ends[] = { 90 };
    struct ledger_row totals[3];
    load_both(&m->k);
    PASS(&e, m->k.ops->finish(m->k.w, ends, false, totals, &e));
    EQ_I64(0, kit_count(&m->k, "SELECT count(*) FROM sqlite_schema WHERE name GLOB 't' OR "
                               "name GLOB 't__*'"));
}

struct hostile {
    const char *name, *values;
};

static const struct hostile HOSTILE[] = {
    { "count_is_negative", "('a', -1, " SUM_1_IS_7 ")" },
    { "count_is_a_text", "('a', '1', " SUM_1_IS_7 ")" },
    { "count_is_missing", "('a', NULL, " SUM_1_IS_7 ")" },
    { "count_is_more_than_anybody_has", "('a', 9007199254740993, " SUM_1_IS_7 ")" },
    { "sum_is_a_number", "('a', 1, 7)" },
    { "sum_is_empty", "('a', 1, x'')" },
    { "sum_is_cut", "('a', 1, x'000200014400050000')" },
    { "sum_is_longer", "('a', 1, x'0002000144000500000000')" },
    { "sum_has_unknown_flags", "('a', 1, x'100200014400"
                               "05000000')" },
    { "sum_has_squares_nobody_asked_for", "('a', 1, x'080200000000"
                                          "00000000')" },
    { "sum_is_out_of_range", "('a', 1, x'00020001ff7f"
                             "05000000')" },
    { "second_row", "('a', 1, " SUM_1_IS_7 "), ('b', 1, x'00')" },
    { "not_in_order", "('b', 1, " SUM_1_IS_7 "), ('a', 1, " SUM_1_IS_7 ")" },
    { "a_group_twice", "(1, 1, " SUM_1_IS_7 "), (1.0, 1, " SUM_1_IS_7 ")" },
};

static void states_that_no_worker_makes_are_refused(void **state)
{
    const struct hostile *h = *state;
    void *fixture;
    struct err e;
    bool damaged;
    assert_int_equal(set_up(&fixture), 0);
    struct merging *m = fixture;
    kit_begin(&m->k);
    EXPECT(ERR_PROTO, &e, try_states(&m->k, 10, 50, h->values, &damaged, &e));
    assert_true(damaged);
    EQ_I64(0, kit_count(&m->k, "SELECT count(*) FROM tranche_ledger"));
    tear_down(&fixture);
}

int main(void)
{
#define FIX(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        FIX(states_of_all_chunks_become_the_table),
        FIX(more_runs_than_memory_are_merged_by_a_table),
        FIX(runs_of_many_pieces),
        FIX(long_rows_count_as_memory),
        FIX(merge_sql_reads_what_the_aggregate_gave),
        FIX(a_bad_statement_leaves_no_load_behind),
        FIX(a_finish_that_finds_a_lock_can_be_called_again),
        FIX(past_the_limit_of_bad_rows_the_parts_are_dropped),
    };
    return test_main("warehouse_sqlite_merge", tests, N_OF(tests),
                     TABLE(HOSTILE, states_that_no_worker_makes_are_refused),
                     N_OF(HOSTILE));
}
