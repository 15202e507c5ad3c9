// load.indexes: built at the end of a load, in the transaction that completes it.

#include "tests/warehouse_kit.h"

#include <signal.h>
#include <sys/resource.h>

static int set_up(void **state)
{
    struct kit *k = malloc(sizeof *k);
    if (!k) return -1;
    kit_init(k, "sqlite");
    kit_mode(k, MODE_APPEND);
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

static void load(struct kit *k)
{
    struct err e;
    struct ledger_row totals[3];
    kit_begin(k);
    kit_commit(k, 0, 10, 90);
    PASS(&e, kit_try_finish(k, 90, totals, &e));
}

static void indexes_are(struct kit *k, const char *names)
{
    assert_string_equal(names,
                        kit_ask(k, "SELECT group_concat(name || ':' || (SELECT "
                                   "group_concat(name) FROM pragma_index_info(l.name)"
                                   "), ' ') FROM (SELECT * FROM pragma_index_list('t')"
                                   " ORDER BY name) l"));
    assert_string_equal("ok", kit_ask(k, "PRAGMA integrity_check"));
}

static void they_are_there_at_the_end_and_not_before(void **state)
{
    struct kit *k = *state;
    struct err e;
    struct ledger_row totals[3];
    kit_begin(k);
    kit_commit(k, 0, 10, 90);
    indexes_are(k, "(nothing)");
    PASS(&e, kit_try_finish(k, 90, totals, &e));
    PASS(&e, kit_try_finish(k, 90, totals, &e));
    indexes_are(k, "t_b_a_idx:b,a t_b_idx:b");
}

static void one_that_is_there_stays(void **state)
{
    struct kit *k = *state;
    kit_run(k, "CREATE TABLE t(a INTEGER, b TEXT); CREATE INDEX T_B_IDX ON t(b)");
    load(k);
    indexes_are(k, "T_B_IDX:b t_b_a_idx:b,a");
}

static void a_run_with_nothing_new_builds_them(void **state)
{
    struct kit *k = *state;
    struct err e;
    struct ledger_row totals[3];
    k->id.n_indexes = 0;
    load(k);
    indexes_are(k, "(nothing)");
    k->id.n_indexes = 2;
    kit_begin(k);
    assert_true(k->load.complete_before);
    PASS(&e, kit_try_finish(k, 90, totals, &e));
    indexes_are(k, "t_b_a_idx:b,a t_b_idx:b");
}

static const struct taken {
    const char *name, *sql;
} TAKEN[] = {
    { "by_an_index_on_other_columns", "CREATE INDEX t_b_idx ON t(a)" },
    { "by_an_index_on_more_columns", "CREATE INDEX t_b_idx ON t(b, a)" },
    { "by_an_index_on_an_expression", "CREATE INDEX t_b_idx ON t(lower(b))" },
    { "by_an_index_of_another_table", "CREATE TABLE u(b); CREATE INDEX t_b_idx ON u(b)" },
    { "by_a_table", "CREATE TABLE t_b_idx(b)" },
};

static void a_name_that_is_taken_is_said(void **state)
{
    static const enum job_mode modes[] = { MODE_APPEND, MODE_REPLACE };
    const struct taken *t = *state;
    for (size_t i = 0; i < N_OF(modes); i++) {
        struct kit *k = NULL;
        struct err e;
        struct ledger_row totals[3];
        assert_int_equal(set_up((void **)&k), 0);
        kit_mode(k, modes[i]);
        kit_run(k, "CREATE TABLE t(a INTEGER, b TEXT)");
        kit_run(k, t->sql);
        kit_begin(k);
        kit_commit(k, 0, 10, 90);
        EXPECT(ERR_INVALID, &e, kit_try_finish(k, 90, totals, &e));
        says(e.text, "something else that is called t_b_idx");
        kit_run(k, strcmp(t->name, "by_a_table") == 0 ? "DROP TABLE t_b_idx"
                                                      : "DROP INDEX t_b_idx");
        PASS(&e, kit_try_finish(k, 90, totals, &e));
        indexes_are(k, "t_b_a_idx:b,a t_b_idx:b");
        tear_down((void **)&k);
    }
}

static void replace_builds_them_on_the_new_table_beside_those_it_keeps(void **state)
{
    struct kit *k = *state;
    kit_mode(k, MODE_REPLACE);
    kit_run(k, "CREATE TABLE t(a INTEGER, b TEXT); CREATE INDEX mine ON t(a)");
    load(k);
    indexes_are(k, "mine:a t_b_a_idx:b,a t_b_idx:b");
    load(k); // now the old table has them too
    indexes_are(k, "mine:a t_b_a_idx:b,a t_b_idx:b");
    EQ_I64(8, kit_count(k, "SELECT count(*) FROM t"));
}

static void no_space_for_an_index_is_no_loss(void **state)
{
    struct kit *k = *state;
    struct err e;
    struct ledger_row totals[3];
    kit_begin(k);
    kit_commit(k, 0, 10, 200010);
    struct rlimit old, small;
    struct stat st;
    assert_int_equal(stat(k->path, &st), 0);
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){ (rlim_t)st.st_size + 4096, old.rlim_max };
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    err_t rc = kit_try_finish(k, 200010, totals, &e);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_DFL);
    if (rc != ERR_FULL && rc != ERR_UNKNOWN) fail_msg("%s", e.text);
    PASS(&e, kit_try_finish(k, 200010, totals, &e));
    indexes_are(k, "t_b_a_idx:b,a t_b_idx:b");
    EQ_I64(20000, kit_count(k, "SELECT count(*) FROM t"));
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        EACH(they_are_there_at_the_end_and_not_before),
        EACH(one_that_is_there_stays),
        EACH(a_run_with_nothing_new_builds_them),
        EACH(replace_builds_them_on_the_new_table_beside_those_it_keeps),
        EACH(no_space_for_an_index_is_no_loss),
    };
    return test_main("warehouse_sqlite_index", tests, N_OF(tests),
                     TABLE(TAKEN, a_name_that_is_taken_is_said), N_OF(TAKEN));
}
