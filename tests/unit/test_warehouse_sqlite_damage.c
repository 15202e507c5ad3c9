// A ledger that says what cannot be is told, and --fresh gets past it, unless it would
// have to guess which rows are those of the load.

#include "tests/warehouse_kit.h"

struct damage {
    const char *name, *sql, *says;
    bool rows_unknown;
};

static const struct damage damages[] = {
    { "a count below zero", "UPDATE tranche_ledger SET rows_read = -4, rows_parsed = -4",
      "tranche_ledger is damaged at bytes 10 to 50: a count of", false },
    { "rows read that are not parsed and rejected",
      "UPDATE tranche_ledger SET rows_rejected = 1", "4 rows read are not 4 parsed and 1",
      false },
    { "rows loaded that are not those emitted", "UPDATE tranche_ledger SET rows_loaded = 3",
      "4 rows are not 3 and 0", true },
    { "more rows skipped than there can be",
      "UPDATE tranche_ledger SET rows_skipped = 1 << 60", "a count of it is absurd",
      false },
    { "a range that ends before it begins", "UPDATE tranche_ledger SET byte_end = 5",
      "bytes 10 to 5 are no range", false },
    { "an input without a name", "UPDATE tranche_runs SET inputs = '[1]'",
      "are damaged (one has the name '')", false },
    { "two inputs of one name",
      "UPDATE tranche_runs SET inputs = '[{\"name\":\"one.csv\"},"
      "{\"name\":\"one.csv\"}]'",
      "are damaged (more than one has the name 'one.csv')", false },
};

static void is_told(void **state)
{
    const struct damage *d = *state;
    struct kit k;
    struct err e;
    kit_init(&k, "sqlite");
    kit_open(&k);
    kit_begin(&k);
    kit_commit(&k, 0, 10, 50);
    kit_close(&k);
    kit_run(&k, d->sql);
    kit_open(&k);
    EXPECT(ERR_DB, &e, kit_try_begin(&k, &e));
    if (!strstr(e.text, d->says)) fail_msg("'%s'\n  lacks '%s'", e.text, d->says);
    kit_close(&k);
    kit_open(&k);
    k.id.fresh = true;
    if (d->rows_unknown) {
        EXPECT(ERR_INVALID, &e, kit_try_begin(&k, &e));
        assert_non_null(strstr(e.text, "can't be dropped"));
    } else {
        kit_begin(&k);
        EQ_I64(0, k.load.n_ledger);
    }
    kit_free(&k);
}

int main(void)
{
    return test_main("warehouse_sqlite_damage", NULL, 0, TABLE(damages, is_told),
                     N_OF(damages));
}
