// SQLite runs out of memory at its Nth allocation, for every N until all of it passes.

#include "tests/batches.h"
#include "tests/test.h"
#include "worker/transform.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

static sqlite3_mem_methods usual;
static long left = -1; // allocations until one fails; negative: none does

static bool failing(void)
{
    return left >= 0 && left-- == 0;
}

static void *fail_malloc(int n)
{
    return failing() ? NULL : usual.xMalloc(n);
}

static void *fail_realloc(void *p, int n)
{
    return failing() ? NULL : usual.xRealloc(p, n);
}

static err_t run(struct err *e, char **shown)
{
    static char name[] = "codes";
    static uint8_t csv[] = "SFO,1\nLAX,2\n";
    struct spec_table table = { .name = name, .csv = csv, .csv_bytes = sizeof csv - 1 };
    struct spec spec = { .tables = &table, .n_tables = 1 };
    spec.dialect = (struct csv_dialect){ .delimiter = ',', .quote = '"' };
    struct schema in, result = { 0 };
    struct batch b = { 0 }, out = { 0 };
    bool want[2] = { false };
    void *x;
    schema_of(&table.schema, "code text, n integer");
    schema_of(&in, "origin text, delay integer");
    batch_of(&b, &in, "'SFO', 5; 'LAX', 70; NULL, NULL; 'SFO', 61");
    err_t rc = transform_sql.open(
        &x, &spec, &in,
        SQL_STEP("SELECT n, origin || '!', median(delay) FROM batch "
                 "JOIN codes ON code = origin WHERE origin >= 'A' "
                 "AND origin REGEXP 'S|L' GROUP BY n, 2 ORDER BY 3 DESC"),
        want, &result, e);
    if (rc == ERR_OK) rc = transform_sql.apply(x, &b, &out, NS_NEVER, e);
    *shown = rc == ERR_OK ? batch_show(&out) : NULL;
    transform_sql.close(&x);
    schema_free(&table.schema);
    schema_free(&in);
    schema_free(&result);
    batch_free(&b);
    batch_free(&out);
    return rc;
}

static void out_of_memory_is_an_error_wherever_it_happens(void **state)
{
    (void)state;
    struct err e;
    char *shown;
    long n = 0;
    for (;; n++) {
        left = n;
        err_t rc = run(&e, &shown);
        bool passed = left >= 0;
        left = -1;
        if (rc == ERR_OK) {
            assert_string_equal("2, 'LAX!', 70.0; 1, 'SFO!', 33.0", shown);
            free(shown);
        } else {
            assert_true(strlen(e.text) > 5);
        }
        if (passed) break;
    }
    assert_true(n > 100);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(out_of_memory_is_an_error_wherever_it_happens),
    };
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &usual);
    sqlite3_mem_methods failing_methods = usual;
    failing_methods.xMalloc = fail_malloc;
    failing_methods.xRealloc = fail_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &failing_methods);
    return test_main("xf_sql_nomem", tests, N_OF(tests), NULL, 0);
}
