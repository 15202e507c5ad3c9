// --fresh takes back exactly what a load put in; mode: replace shows all or nothing.

#include "tests/warehouse_kit.h"

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

// ---- fresh

// Rows of the user's, then ours, theirs, ours: a = 1 to 8 is ours.
static void load_between(struct kit *k, bool complete)
{
    kit_run(k, "CREATE TABLE IF NOT EXISTS t(a INTEGER, b TEXT);"
               "INSERT INTO t VALUES(-1,'mine'),(-2,'mine'),(-3,'mine')");
    kit_begin(k);
    kit_commit(k, 0, 10, 50);
    kit_run(k, "INSERT INTO t VALUES(-4,'mine')");
    kit_commit(k, 0, 50, 90);
    kit_run(k, "INSERT INTO t VALUES(-5,'mine'),(-6,'mine'),(-7,'mine'),(-8,'mine'),"
               "(-9,'mine'),(-10,'mine')");
    if (complete) finish(k, 90);
}

static void begin_fresh(struct kit *k)
{
    k->id.fresh = true;
    kit_begin(k);
    k->id.fresh = false;
    assert_false(k->load.resumed || k->load.complete_before);
    EQ_I64(0, k->load.n_ledger);
}

static void fresh_takes_back_what_an_unfinished_load_put_in(void **state)
{
    struct kit *k = *state;
    load_between(k, false);
    begin_fresh(k);
    EQ_I64(10, kit_count(k, "SELECT count(*) FROM t"));
    EQ_I64(10, kit_count(k, "SELECT count(*) FROM t WHERE b = 'mine'"));
    EQ_I64(0, kit_count(k, "SELECT count(*) FROM tranche_ledger"));
    assert_string_equal("dropped loading",
                        kit_ask(k, "SELECT group_concat(state, ' ') FROM tranche_runs"));
}

static void fresh_takes_back_the_complete_load_of_the_same_identity(void **state)
{
    struct kit *k = *state;
    load_between(k, true);
    begin_fresh(k);
    EQ_I64(10, kit_count(k, "SELECT count(*) FROM t WHERE b = 'mine'"));
    EQ_I64(10, kit_count(k, "SELECT count(*) FROM t"));
    kit_commit(k, 0, 10, 90);
    finish(k, 90);
    EQ_I64(18, kit_count(k, "SELECT count(*) FROM t"));
}

static void fresh_leaves_other_complete_loads_alone(void **state)
{
    struct kit *k = *state;
    load_between(k, true);
    k->id.sources = "other.csv";
    begin_fresh(k);
    EQ_I64(18, kit_count(k, "SELECT count(*) FROM t"));
    assert_string_equal("complete", kit_ask(k, "SELECT state FROM tranche_runs"));
}

static void fresh_drops_the_staged_table_and_the_rejects_of_a_replace(void **state)
{
    struct kit *k = *state;
    k->id.mode = MODE_REPLACE;
    load_between(k, false);
    kit_run(k, "INSERT INTO t_rejects(run, reason) VALUES(1,'ours'),(99,'not ours')");
    EQ_I64(1,
           kit_count(k, "SELECT count(*) FROM sqlite_schema WHERE name = 't__tranche_1'"));
    begin_fresh(k);
    EQ_I64(0,
           kit_count(k, "SELECT count(*) FROM sqlite_schema WHERE name = 't__tranche_1'"));
    EQ_I64(1,
           kit_count(k, "SELECT count(*) FROM sqlite_schema WHERE name = 't__tranche_2'"));
    EQ_I64(10, kit_count(k, "SELECT count(*) FROM t"));
    assert_string_equal("not ours", kit_ask(k, "SELECT reason FROM t_rejects"));
}

static const struct meddling {
    const char *name, *table, *sql; // the table, and what somebody did after the load
    bool refused;
    long long left;
} MEDDLING[] = {
    { "nothing", NULL, "", false, 10 },
    { "rows_of_others_deleted", NULL, "DELETE FROM t WHERE a = -1", false, 9 },
    { "our_rows_deleted", NULL, "DELETE FROM t WHERE a > 0", false, 10 },
    { "all_rows_deleted", NULL, "DELETE FROM t", false, 0 },
    { "some_of_our_rows_deleted", NULL, "DELETE FROM t WHERE a = 2", true, 17 },
    { "rowids_moved_by_a_vacuum", NULL, "DELETE FROM t WHERE a = -1; VACUUM", true, 17 },
    { "rows_replaced_by_others", NULL,
      "DELETE FROM t WHERE a > 0; INSERT INTO t(rowid, a, b) VALUES(4,-11,'mine'),"
      "(5,-12,'mine'),(6,-13,'mine'),(7,-14,'mine')",
      true, 14 },
    { "the_first_row_changed", NULL, "UPDATE t SET b = 'mine' WHERE a = 1", true, 18 },
    { "an_integer_primary_key", "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)", "", true,
      18 },
    { "without_rowid", "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT) WITHOUT ROWID", "",
      true, 18 },
    { "an_empty_table_without_rowid",
      "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT) WITHOUT ROWID", "DELETE FROM t", false,
      0 },
    { "the_table_dropped", NULL, "DROP TABLE t", false, 0 },
};

static void fresh_never_takes_rows_of_others(void **state)
{
    const struct meddling *m = *state;
    struct kit k;
    struct err e;
    kit_init(&k, "sqlite");
    kit_open(&k);
    if (m->table) kit_run(&k, m->table);
    load_between(&k, false);
    kit_run(&k, m->sql);
    k.id.fresh = true;
    EXPECT(m->refused ? ERR_INVALID : ERR_OK, &e, kit_try_begin(&k, &e));
    if (m->refused) {
        says(e.text, "can't be dropped");
        says(e.text, "UPDATE tranche_runs SET state = 'dropped' WHERE load_id = 1");
        kit_run(&k, "UPDATE tranche_runs SET state = 'dropped' WHERE load_id = 1");
        kit_begin(&k); // what the sentence says helps
        EQ_I64(m->left, kit_count(&k, "SELECT count(*) FROM t"));
    } else {
        EQ_I64(m->left, kit_count(&k, "SELECT count(*) FROM t"));
        EQ_I64(m->left, kit_count(&k, "SELECT count(*) FROM t WHERE b = 'mine'"));
    }
    EQ_I64(2, k.load.load_id);
    kit_free(&k);
}

static void a_table_that_is_gone_is_not_continued(void **state)
{
    struct kit *k = *state;
    struct err e;
    load_between(k, true);
    kit_run(k, "DROP TABLE t");
    EXPECT(ERR_INVALID, &e, kit_try_begin(k, &e));
    says(e.text, "is gone, but load 1 had put 8 rows into it. --fresh starts over");
    begin_fresh(k);
}

// ---- replace

static void readers_see_all_or_nothing(void **state)
{
    struct kit *k = *state;
    kit_run(k, "CREATE TABLE t(old); INSERT INTO t VALUES('old')");
    k->id.mode = MODE_REPLACE;
    kit_begin(k);
    for (uint64_t at = 10; at < 90; at += 20) {
        kit_commit(k, 0, at, at + 20);
        assert_string_equal("old", kit_ask(k, "SELECT group_concat(old) FROM t"));
    }
    finish(k, 90);
    EQ_I64(8, kit_count(k, "SELECT count(a) FROM t"));
    assert_string_equal("t t_rejects tranche_ledger tranche_runs",
                        kit_ask(k, "SELECT group_concat(name, ' ') FROM (SELECT name FROM "
                                   "sqlite_schema WHERE type = 'table' ORDER BY name)"));
}

static void a_reader_in_a_transaction_keeps_the_old_table(void **state)
{
    struct kit *k = *state;
    struct err e;
    struct ledger_row totals[3];
    sqlite3_stmt *st;
    kit_run(k, "PRAGMA journal_mode=WAL; CREATE TABLE t(old); INSERT INTO t VALUES('old')");
    k->id.mode = MODE_REPLACE;
    kit_begin(k);
    kit_commit(k, 0, 10, 90);
    sqlite3 *reader = kit_peek(k);
    sqlite3_exec(reader, "BEGIN; SELECT * FROM t", NULL, NULL, NULL);
    PASS(&e, kit_try_finish(k, 90, totals, &e));
    assert_int_equal(sqlite3_prepare_v2(reader, "SELECT old FROM t", -1, &st, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_string_equal("old", (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    sqlite3_close(reader);
    EQ_I64(8, kit_count(k, "SELECT count(a) FROM t"));
}

static void indexes_triggers_and_views_live_on(void **state)
{
    struct kit *k = *state;
    kit_run(k,
            "CREATE TABLE t(a INTEGER, b TEXT, c); INSERT INTO t VALUES(1,'old',1);"
            "CREATE TABLE log(x); CREATE INDEX ta ON t(a); CREATE UNIQUE INDEX tb ON t(b);"
            "CREATE TRIGGER tr AFTER DELETE ON t BEGIN INSERT INTO log VALUES(old.a); END;"
            "CREATE VIEW v AS SELECT sum(a) AS s FROM t;"
            "CREATE VIEW broken AS SELECT x FROM nowhere");
    k->id.mode = MODE_REPLACE;
    kit_begin(k);
    kit_commit(k, 0, 10, 90);
    finish(k, 90);
    EQ_I64(36, kit_count(k, "SELECT s FROM v"));
    EQ_I64(0, kit_count(k, "SELECT count(*) FROM log")); // dropping is no deleting
    assert_string_equal("ta tb tr",
                        kit_ask(k, "SELECT group_concat(name, ' ') FROM (SELECT name FROM "
                                   "sqlite_schema WHERE tbl_name = 't' AND type <> 'table' "
                                   "ORDER BY name)"));
    kit_run(k, "DELETE FROM t WHERE a = 3");
    EQ_I64(3, kit_count(k, "SELECT x FROM log"));
    assert_string_equal("ok", kit_ask(k, "PRAGMA integrity_check"));
}

static void tables_that_refer_to_it_keep_their_rows(void **state)
{
    struct kit *k = *state;
    kit_run(k, "CREATE TABLE t(a INTEGER UNIQUE, b TEXT); INSERT INTO t VALUES(1,'old');"
               "CREATE TABLE child(x REFERENCES t(a) ON DELETE CASCADE);"
               "INSERT INTO child VALUES(1)");
    k->id.mode = MODE_REPLACE;
    kit_begin(k);
    kit_commit(k, 0, 10, 90);
    finish(k, 90);
    EQ_I64(1, kit_count(k, "SELECT count(*) FROM child"));
    says(kit_ask(k, "SELECT sql FROM sqlite_schema WHERE name = 'child'"),
         "REFERENCES t(a)");
}

static void stops_the_swap(struct kit *k, const char *index)
{
    struct err e;
    struct ledger_row totals[3];
    kit_run(k, "CREATE TABLE t(old); INSERT INTO t VALUES('old')");
    kit_run(k, index);
    k->id.mode = MODE_REPLACE;
    kit_begin(k);
    kit_commit(k, 0, 10, 90);
    EXPECT(ERR_INVALID, &e, kit_try_finish(k, 90, totals, &e));
    says(e.text, "CREATE INDEX told");
    assert_string_equal("old", kit_ask(k, "SELECT old FROM t"));
    assert_string_equal("loading", kit_ask(k, "SELECT state FROM tranche_runs"));

    kit_run(k, "DROP INDEX told");
    kit_begin(k);
    EQ_I64(1, k->load.n_ledger);
    finish(k, 90);
    EQ_I64(8, kit_count(k, "SELECT count(a) FROM t"));
}

static void an_index_that_does_not_fit_stops_the_swap(void **state)
{
    stops_the_swap(*state, "CREATE INDEX told ON t(old)");
}

static void an_index_of_a_quoted_column_that_is_gone_stops_the_swap(void **state)
{
    stops_the_swap(*state, "CREATE INDEX told ON t(\"old\")");
}

static void a_view_in_its_place_is_refused(void **state)
{
    struct kit *k = *state;
    struct err e;
    kit_run(k, "CREATE VIEW t AS SELECT 1");
    k->id.mode = MODE_REPLACE;
    EXPECT(ERR_INVALID, &e, kit_try_begin(k, &e));
    says(e.text, "is a view");
}

static void loads_that_were_replaced_are_forgotten(void **state)
{
    struct kit *k = *state;
    kit_begin(k);
    kit_commit(k, 0, 10, 50);
    finish(k, 50);
    kit_run(k, "INSERT INTO t_rejects(run, reason) VALUES(1,'old')");
    k->id.mode = MODE_REPLACE;
    k->id.spec.lo++;
    kit_begin(k);
    kit_commit(k, 0, 10, 30);
    finish(k, 30);
    assert_string_equal("replaced complete",
                        kit_ask(k, "SELECT group_concat(state, ' ') FROM tranche_runs"));
    EQ_I64(0, kit_count(k, "SELECT count(*) FROM t_rejects"));
    EQ_I64(1, kit_count(k, "SELECT count(*) FROM tranche_ledger"));

    k->id.mode = MODE_APPEND; // the first job again: its rows are not there any more
    k->id.spec.lo--;
    kit_begin(k);
    assert_false(k->load.complete_before);
    assert_false(kit_commit(k, 0, 10, 50));
    finish(k, 50);
    EQ_I64(6, kit_count(k, "SELECT count(*) FROM t"));
}

static void an_unfinished_replace_goes_on(void **state)
{
    struct kit *k = *state;
    k->id.mode = MODE_REPLACE;
    kit_begin(k);
    kit_commit(k, 0, 10, 50);
    kit_close(k);
    kit_open(k);
    kit_begin(k);
    assert_true(k->load.resumed);
    assert_true(kit_commit(k, 0, 10, 50));
    kit_commit(k, 0, 50, 90);
    finish(k, 90);
    EQ_I64(8, kit_count(k, "SELECT count(DISTINCT a) FROM t"));
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest plain[] = {
        EACH(fresh_takes_back_what_an_unfinished_load_put_in),
        EACH(fresh_takes_back_the_complete_load_of_the_same_identity),
        EACH(fresh_leaves_other_complete_loads_alone),
        EACH(fresh_drops_the_staged_table_and_the_rejects_of_a_replace),
        EACH(a_table_that_is_gone_is_not_continued),
        EACH(readers_see_all_or_nothing),
        EACH(a_reader_in_a_transaction_keeps_the_old_table),
        EACH(indexes_triggers_and_views_live_on),
        EACH(tables_that_refer_to_it_keep_their_rows),
        EACH(an_index_that_does_not_fit_stops_the_swap),
        EACH(an_index_of_a_quoted_column_that_is_gone_stops_the_swap),
        EACH(a_view_in_its_place_is_refused),
        EACH(loads_that_were_replaced_are_forgotten),
        EACH(an_unfinished_replace_goes_on),
    };
    return test_main("warehouse_sqlite_replace", plain, N_OF(plain),
                     TABLE(MEDDLING, fresh_never_takes_rows_of_others), N_OF(MEDDLING));
}
