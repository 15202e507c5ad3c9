// mode: incremental. A load takes what lies above the greatest watermark of the ones
// before.

#include "tests/warehouse_kit.h"

static int set_up(void **state)
{
    struct kit *k = malloc(sizeof *k);
    if (!k) return -1;
    kit_init(k, "sqlite");
    kit_mode(k, MODE_INCREMENTAL);
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

static void finish(struct kit *k, uint64_t end, uint64_t emitted, uint64_t skipped)
{
    struct err e;
    struct ledger_row totals[3];
    PASS(&e, kit_try_finish(k, end, totals, &e));
    EQ_I64(emitted, totals[0].rows_emitted);
    EQ_I64(skipped, totals[0].rows_skipped);
    EQ_I64(emitted, totals[0].rows_loaded + totals[0].rows_refused);
}

static void put(struct kit *k, uint64_t begin, uint64_t end, const char *insert,
                uint64_t loaded, uint64_t skipped, uint64_t refused)
{
    struct err e;
    bool dup;
    size_t failed;
    struct result r = kit_sql_result(k, begin, end, insert);
    PASS(&e, k->ops->commit(k->w, &r, 1, &dup, &failed, &e));
    EQ_I64(loaded, r.row.rows_loaded);
    EQ_I64(skipped, r.row.rows_skipped);
    EQ_I64(refused, r.row.rows_refused);
    EQ_I64(loaded + refused, r.row.rows_emitted);
    uint64_t emitted = r.row.rows_emitted;
    PASS(&e, k->ops->commit(k->w, &r, 1, &dup, &failed, &e)); // once more
    assert_true(dup);
    EQ_I64(emitted, r.row.rows_emitted);
    EQ_I64(skipped, r.row.rows_skipped);
}

#define ROWS(k) \
    kit_ask(k, "SELECT group_concat(a || b, ' ') FROM (SELECT * FROM t ORDER BY a, b)")

static void the_first_load_takes_everything(void **state)
{
    struct kit *k = *state;
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(5,'x'),(-3,'x'),(5,'y')", 3, 0, 0);
    put(k, 20, 30, "INSERT INTO t VALUES(4,'x')", 1, 0, 0);
    finish(k, 30, 4, 0);
    EQ_I64(5, kit_count(k, "SELECT watermark FROM tranche_runs"));
}

static void the_next_takes_what_is_above_the_greatest(void **state)
{
    struct kit *k = *state;
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(1,'x'),(2,'x')", 2, 0, 0);
    finish(k, 20, 2, 0);
    kit_begin(k);
    EQ_I64(0, k->load.n_ledger);
    put(k, 10, 20, "INSERT INTO t VALUES(1,'x'),(2,'late'),(3,'y')", 1, 2, 0);
    put(k, 20, 30, "INSERT INTO t VALUES(0,'y'),(3,'z')", 1, 1, 0);
    finish(k, 30, 2, 3);
    assert_string_equal("1x 2x 3y 3z", ROWS(k));
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(1,'x')", 0, 1, 0);
    finish(k, 20, 0, 1);
    assert_string_equal("3", kit_ask(k, "SELECT watermark FROM tranche_runs ORDER BY "
                                        "load_id DESC"));
}

static void an_unfinished_load_keeps_its_floor(void **state)
{
    struct kit *k = *state;
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(1,'x')", 1, 0, 0);
    finish(k, 20, 1, 0);
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(9,'y')", 1, 0, 0);
    kit_close(k);
    kit_open(k);
    kit_begin(k);
    assert_true(k->load.resumed);
    put(k, 20, 30, "INSERT INTO t VALUES(5,'y'),(1,'y')", 1, 1, 0);
    finish(k, 30, 2, 1);
    assert_string_equal("1x 5y 9y", ROWS(k));
    EQ_I64(9, kit_count(k, "SELECT max(watermark) FROM tranche_runs"));
}

static void what_cannot_be_compared_is_refused(void **state)
{
    struct kit *k = *state;
    kit_begin(k);
    put(k, 10, 20,
        "INSERT INTO t VALUES(1,'x'),(NULL,'x'),('abc','x'),(x'00','x'),(2.5,'x')", 2, 0,
        3);
    finish(k, 20, 5, 0);
    assert_string_equal("2.5", kit_ask(k, "SELECT watermark FROM tranche_runs"));
    EQ_I64(3,
           kit_count(k, "SELECT count(*) FROM t_rejects WHERE \"column\" = 'a' AND reason "
                        "LIKE 'the watermark is no number%'"));
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(2,'y'),(3,'y'),(NULL,'y')", 1, 1, 1);
    finish(k, 20, 2, 1);
}

static void a_refused_row_does_not_move_the_mark(void **state)
{
    struct kit *k = *state;
    kit_run(k, "CREATE TABLE t(a INTEGER, b TEXT UNIQUE)");
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(1,'x'),(7,'x'),(3,'y')", 2, 0, 1);
    finish(k, 20, 3, 0);
    EQ_I64(3, kit_count(k, "SELECT watermark FROM tranche_runs"));
}

static void text_is_compared_as_text(void **state)
{
    struct kit *k = *state;
    k->id.watermark = "b";
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(1,'2024-05-01'),(2,'2024-04-30')", 2, 0, 0);
    finish(k, 20, 2, 0);
    kit_begin(k);
    put(k, 10, 20,
        "INSERT INTO t VALUES(3,'2024-05-01'),(4,'2024-05-01T08'),(5,'2024-05-02'),"
        "(6,'2024-05-0')",
        2, 2, 0);
    finish(k, 20, 2, 2);
    assert_string_equal("2024-05-02",
                        kit_ask(k, "SELECT max(watermark) FROM tranche_runs"));
}

static void of_values_without_a_type_the_first_says_what_they_are(void **state)
{
    struct kit *k = *state;
    struct err e;
    schema_free(&k->schema);
    PASS(&e, schema_add(&k->schema, "a", 1, TYPE_ANY, false, &e));
    PASS(&e, schema_add(&k->schema, "b", 1, TYPE_TEXT, false, &e));
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(NULL,'x'),('m','x'),(1,'x')", 1, 0, 2);
    kit_close(k);
    kit_open(k);
    kit_begin(k);
    put(k, 20, 30, "INSERT INTO t VALUES(2,'x'),('n','x')", 1, 0, 1);
    finish(k, 30, 5, 0);
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(3,'x'),('n','x'),('o','x')", 1, 1, 1);
    finish(k, 20, 2, 1);
}

static void large_numbers_are_told_apart(void **state)
{
    struct kit *k = *state;
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(9007199254740993,'x')", 1, 0, 0);
    finish(k, 20, 1, 0);
    kit_begin(k);
    put(k, 10, 20,
        "INSERT INTO t VALUES(9007199254740992.0,'x'),(9007199254740994.0,'x'),"
        "(9223372036854775807,'x')",
        2, 1, 0);
}

static void another_job_has_a_mark_of_its_own(void **state)
{
    struct kit *k = *state;
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(5,'x')", 1, 0, 0);
    finish(k, 20, 1, 0);
    k->id.sources = "other.csv";
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(1,'y')", 1, 0, 0);
}

static void fresh_takes_back_every_load_of_the_same_job(void **state)
{
    struct kit *k = *state;
    kit_run(k, "CREATE TABLE t(a INTEGER, b TEXT); INSERT INTO t VALUES(0, 'mine')");
    for (int i = 0; i < 3; i++) {
        kit_begin(k);
        put(k, 10, 20,
            "INSERT INTO t SELECT max(coalesce((SELECT max(a) FROM t), 0)) + 1, "
            "'x'",
            i == 0, i != 0, 0);
        finish(k, 20, i == 0, i != 0);
    }
    kit_begin(k);
    put(k, 10, 20, "INSERT INTO t VALUES(7,'x')", 1, 0, 0);
    k->id.fresh = true;
    kit_begin(k);
    assert_string_equal("0mine", ROWS(k));
    put(k, 10, 20, "INSERT INTO t VALUES(1,'x')", 1, 0, 0);
    finish(k, 20, 1, 0);
    EQ_I64(1, kit_count(k, "SELECT watermark FROM tranche_runs WHERE state = 'complete'"));
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        EACH(the_first_load_takes_everything),
        EACH(the_next_takes_what_is_above_the_greatest),
        EACH(an_unfinished_load_keeps_its_floor),
        EACH(what_cannot_be_compared_is_refused),
        EACH(a_refused_row_does_not_move_the_mark),
        EACH(text_is_compared_as_text),
        EACH(of_values_without_a_type_the_first_says_what_they_are),
        EACH(large_numbers_are_told_apart),
        EACH(another_job_has_a_mark_of_its_own),
        EACH(fresh_takes_back_every_load_of_the_same_job),
    };
    return test_main("warehouse_sqlite_incremental", tests, N_OF(tests), NULL, 0);
}
