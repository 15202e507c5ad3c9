// mode: upsert. The last row of a key stays, whatever stood there before.

#include "tests/warehouse_kit.h"

static int set_up(void **state)
{
    struct kit *k = malloc(sizeof *k);
    if (!k) return -1;
    kit_init(k, "sqlite");
    kit_mode(k, MODE_UPSERT);
    k->id.n_indexes = 0;
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

static void says(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("'%s' lacks '%s'", text, part);
}

static void finish(struct kit *k, uint64_t end)
{
    struct err e;
    struct ledger_row totals[3];
    PASS(&e, kit_try_finish(k, end, totals, &e));
}

// Commits rows as bytes begin to end, and tells how many were loaded, replaced, refused.
static void put(struct kit *k, uint64_t begin, uint64_t end, const char *insert,
                uint64_t loaded, uint64_t replaced, uint64_t refused)
{
    struct err e;
    bool dup;
    size_t failed;
    struct result r = kit_sql_result(k, begin, end, insert);
    PASS(&e, k->ops->commit(k->w, &r, 1, &dup, &failed, &e));
    assert_false(dup);
    EQ_I64(loaded, r.row.rows_loaded);
    EQ_I64(replaced, r.row.rows_replaced);
    EQ_I64(refused, r.row.rows_refused);
    EQ_I64(r.row.rows_emitted, r.row.rows_loaded + r.row.rows_refused);
}

#define ROWS(k) \
    kit_ask(k, "SELECT group_concat(a || b, ' ') FROM (SELECT * FROM t ORDER BY a)")

static void the_last_row_of_a_key_stays(void **state)
{
    struct kit *k = *state;
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(1,'x'),(2,'x'),(1,'y')", 3, 1, 0);
    assert_string_equal("1y 2x", ROWS(k));
    put(k, 20, 30, "INSERT INTO t VALUES(2,'z'),(3,'z')", 2, 1, 0);
    finish(k, 30);
    assert_string_equal("1y 2z 3z", ROWS(k));
    EQ_I64(2, kit_count(k, "SELECT sum(rows_replaced) FROM tranche_ledger"));
    assert_string_equal("1", kit_ask(k, "SELECT \"unique\" FROM pragma_index_list('t') "
                                        "WHERE name = 't_a_key'"));
}

static void results_of_one_transaction_go_in_in_their_order(void **state)
{
    struct kit *k = *state;
    struct err e;
    bool dup[2];
    size_t failed;
    kit_begin(k);
    struct result r[2] = { kit_sql_result(k, 10, 20, "INSERT INTO t VALUES(1,'x')"),
                           kit_sql_result(k, 20, 30, "INSERT INTO t VALUES(1,'y')") };
    PASS(&e, k->ops->commit(k->w, r, 2, dup, &failed, &e));
    assert_string_equal("1y", ROWS(k));
    EQ_I64(1, r[1].row.rows_replaced);
    PASS(&e, k->ops->commit(k->w, r, 1, dup, &failed, &e)); // late, once more
    assert_true(dup[0]);
    assert_string_equal("1y", ROWS(k));
}

static void a_row_without_a_key_is_refused(void **state)
{
    struct kit *k = *state;
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(1,'x'),(NULL,'y'),(1,'z')", 2, 1, 1);
    assert_string_equal("1z", ROWS(k));
    assert_string_equal("a", kit_ask(k, "SELECT \"column\" FROM t_rejects"));
    says(kit_ask(k, "SELECT reason || ' ' || raw FROM t_rejects"), "the key is NULL");
    says(kit_ask(k, "SELECT reason || ' ' || raw FROM t_rejects"), ",y");
}

static const struct there {
    const char *name, *create;
    bool works;
} THERE[] = {
    { "a_unique_index_will_do",
      "CREATE TABLE t(a INTEGER, b TEXT); "
      "CREATE UNIQUE INDEX i ON t(a)",
      true },
    { "a_primary_key_will_do", "CREATE TABLE t(b TEXT, a INTEGER PRIMARY KEY)", true },
    { "a_primary_key_without_rowids_will_do",
      "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT) WITHOUT ROWID", true },
    { "a_unique_column_will_do", "CREATE TABLE t(a INTEGER UNIQUE NOT NULL, b TEXT)",
      true },
    { "no_index_will_not_do", "CREATE TABLE t(a INTEGER, b TEXT)", false },
    { "an_index_that_is_not_unique_will_not_do",
      "CREATE TABLE t(a INTEGER, b TEXT); CREATE INDEX i ON t(a)", false },
    { "an_index_on_some_of_the_rows_will_not_do",
      "CREATE TABLE t(a INTEGER, b TEXT); CREATE UNIQUE INDEX i ON t(a) WHERE a > 0",
      false },
    { "an_index_on_more_columns_will_not_do",
      "CREATE TABLE t(a INTEGER, b TEXT, UNIQUE(a, b))", false },
};

static void a_table_that_is_there_needs_a_unique_key(void **state)
{
    const struct there *t = *state;
    struct kit *k = NULL;
    struct err e;
    assert_int_equal(set_up((void **)&k), 0);
    kit_run(k, t->create);
    kit_run(k, "INSERT INTO t(a, b) VALUES(1, 'old'), (9, 'old')");
    if (t->works) {
        kit_begin(k);
        put(k, 10, 20, "INSERT INTO t VALUES(1,'x'),(2,'x'),(1,'y')", 3, 2, 0);
        finish(k, 20);
        assert_string_equal("1y 2x 9old", ROWS(k));
    } else {
        EXPECT(ERR_INVALID, &e, kit_try_begin(k, &e));
        says(e.text, "has no UNIQUE index or PRIMARY KEY on exactly (\"a\")");
        says(e.text, "CREATE UNIQUE INDEX \"t_a_key\" ON \"t\"(\"a\")");
        EQ_I64(0, kit_count(k, "SELECT count(*) FROM sqlite_schema WHERE name = "
                               "'tranche_runs'"));
    }
    tear_down((void **)&k);
}

static void a_key_may_be_all_columns(void **state)
{
    struct kit *k = *state;
    static char *ba[] = { (char *)(uintptr_t) "b", (char *)(uintptr_t) "A" };
    static const struct strings key = { ba, 2 };
    k->id.key = &key;
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(1,'x'),(1,'y'),(1,'x'),(2,NULL)", 3, 1, 1);
    assert_string_equal("1x 1y", ROWS(k));
    assert_string_equal("b", kit_ask(k, "SELECT \"column\" FROM t_rejects"));
}

static void another_rule_of_the_table_refuses_a_row_alone(void **state)
{
    struct kit *k = *state;
    kit_run(k, "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT UNIQUE)");
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(1,'x'),(2,'x'),(1,'y'),(2,'x')", 3, 1, 1);
    assert_string_equal("1y 2x", ROWS(k));
    says(kit_ask(k, "SELECT reason FROM t_rejects"), "UNIQUE constraint failed: t.b");
}

static void the_next_run_reads_all_of_it_again(void **state)
{
    struct kit *k = *state;
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(1,'x'),(2,'x'),(NULL,'x')", 2, 0, 1);
    finish(k, 20);
    kit_begin(k);
    assert_false(k->load.resumed || k->load.complete_before);
    EQ_I64(0, k->load.n_ledger);
    put(k, 10, 20, "INSERT INTO t VALUES(2,'y'),(3,'y')", 2, 1, 0);
    finish(k, 20);
    assert_string_equal("1x 2y 3y", ROWS(k));
    EQ_I64(0, kit_count(k, "SELECT count(*) FROM t_rejects"));
    EQ_I64(1, kit_count(k, "SELECT count(DISTINCT load) FROM tranche_ledger"));
}

static void fresh_forgets_an_unfinished_one_and_its_rows_stay(void **state)
{
    struct kit *k = *state;
    struct err e;
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(1,'x'),(NULL,'x')", 1, 0, 1);
    k->id.sources = "other.csv";
    EXPECT(ERR_INVALID, &e, kit_try_begin(k, &e));
    says(e.text, "--fresh forgets it, and its rows stay");
    k->id.fresh = true;
    kit_begin(k);
    assert_string_equal("1x", ROWS(k));
    EQ_I64(0, kit_count(k, "SELECT count(*) FROM t_rejects"));
    put(k, 10, 20, "INSERT INTO t VALUES(1,'y')", 1, 1, 0);
    finish(k, 20);
    assert_string_equal("1y", ROWS(k));
}

static void a_ledger_of_before_gets_the_new_columns(void **state)
{
    struct kit *k = *state;
    kit_begin(k);
    finish(k, 10);
    kit_run(k, "ALTER TABLE tranche_ledger DROP COLUMN rows_replaced;"
               "ALTER TABLE tranche_ledger DROP COLUMN rows_skipped;"
               "ALTER TABLE tranche_ledger DROP COLUMN watermark;"
               "ALTER TABLE tranche_runs DROP COLUMN watermark;"
               "ALTER TABLE tranche_runs DROP COLUMN watermark_from");
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(1,'x'),(1,'y')", 2, 1, 0);
    finish(k, 20);
    EQ_I64(1, kit_count(k, "SELECT rows_replaced FROM tranche_ledger"));
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        EACH(the_last_row_of_a_key_stays),
        EACH(results_of_one_transaction_go_in_in_their_order),
        EACH(a_row_without_a_key_is_refused),
        EACH(a_key_may_be_all_columns),
        EACH(another_rule_of_the_table_refuses_a_row_alone),
        EACH(the_next_run_reads_all_of_it_again),
        EACH(fresh_forgets_an_unfinished_one_and_its_rows_stay),
        EACH(a_ledger_of_before_gets_the_new_columns),
    };
    return test_main("warehouse_sqlite_upsert", tests, N_OF(tests),
                     TABLE(THERE, a_table_that_is_there_needs_a_unique_key), N_OF(THERE));
}
