// What the checker accepts, SQLite reads to its end; what is damaged, it names.

#include "common/sqlfmt.h"
#include "common/sqlite_image.h"
#include "tests/random_batch.h"
#include "tests/test.h"

#include <sqlite3.h>

enum { ROOM = 4 << 20, FLIPS = 3000 };

struct image {
    struct schema schema;
    struct buf sql;
    struct region at;
    uint32_t rows;
};

static void make_image(struct image *x, struct rnd *r, uint32_t cols, uint32_t rows,
                       uint32_t page_bytes)
{
    static const struct batch_taste TASTE = { 10, 0, 2, 4, 30, 2500 };
    struct err e;
    struct batch b = { 0 };
    struct sqlite_image *im = NULL;
    *x = (struct image){ .rows = rows, .at = { malloc(ROOM), ROOM, 0 } };
    random_schema(r, cols, 10, &x->schema);
    random_batch(r, &x->schema, rows, &TASTE, &b);
    PASS(&e, sqlite_image_sql(&x->schema, &x->sql, &e));
    PASS(&e, sqlite_image_new(&im, &x->schema, page_bytes, &e));
    PASS(&e, sqlite_image_write(im, &b, &x->at, &e));
    sqlite_image_free(&im);
    batch_free(&b);
}

static void free_image(struct image *x)
{
    schema_free(&x->schema);
    buf_free(&x->sql);
    free(x->at.p);
}

static err_t check(const struct image *x, const uint8_t *p, size_t n, struct err *e)
{
    return sqlite_image_check(p, n, (const char *)x->sql.p, x->schema.n, x->rows, e);
}

// Every value of every row, as a transfer into the warehouse would touch them.
static void expect_readable(const struct image *x, uint8_t *p, size_t n)
{
    sqlite3 *db;
    sqlite3_stmt *st = NULL;
    assert_int_equal(SQLITE_OK, sqlite3_open(":memory:", &db));
    assert_int_equal(SQLITE_OK,
                     sqlite3_deserialize(db, "main", p, (sqlite3_int64)n, (sqlite3_int64)n,
                                         SQLITE_DESERIALIZE_READONLY));
    if (sqlite3_prepare_v2(db, "SELECT * FROM t", -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    EQ_I64(x->schema.n, sqlite3_column_count(st));
    uint32_t rows = 0;
    int rc;
    for (; (rc = sqlite3_step(st)) == SQLITE_ROW; rows++)
        for (int i = 0; i < (int)x->schema.n; i++)
            (void)sqlite3_column_blob(st, i);
    if (rc != SQLITE_DONE) fail_msg("accepted, but row %u: %s", rows, sqlite3_errmsg(db));
    EQ_I64(x->rows, rows);
    sqlite3_finalize(st);
    sqlite3_close(db);
}

// Half of the changes hit page headers, cell pointers and the first bytes of cells.
static void damage(struct rnd *r, uint8_t *p, size_t n, uint32_t page_bytes)
{
    for (uint32_t k = 1 + rnd_below(r, 3); k; k--) {
        size_t page = rnd_below(r, (uint32_t)(n / page_bytes)) * (size_t)page_bytes;
        size_t at = rnd_percent(r, 50) ? rnd_below(r, 120) : rnd_below(r, page_bytes);
        if (rnd_percent(r, 50))
            p[page + at] ^= (uint8_t)(1 << rnd_below(r, 8));
        else
            p[page + at] = (uint8_t)rnd_next(r);
    }
}

static void what_it_accepts_sqlite_reads(void **state)
{
    (void)state;
    struct err e;
    struct rnd r = rnd_seed(__func__);
    uint32_t accepted = 0, refused = 0;
    for (int round = 0; round < 8; round++) {
        struct image x;
        uint32_t page_bytes = 512u << rnd_below(&r, 4);
        make_image(&x, &r, 1 + rnd_below(&r, 200), rnd_below(&r, 120), page_bytes);
        PASS(&e, check(&x, x.at.p, x.at.n, &e));
        uint8_t *copy = malloc(x.at.n);
        for (int i = 0; i < FLIPS / 8; i++) {
            memcpy(copy, x.at.p, x.at.n);
            damage(&r, copy, x.at.n, page_bytes);
            err_t rc = check(&x, copy, x.at.n, &e);
            assert_true(rc == ERR_OK || rc == ERR_PROTO);
            rc == ERR_OK ? accepted++ : refused++;
            if (rc == ERR_OK) expect_readable(&x, copy, x.at.n);
        }
        free(copy);
        free_image(&x);
    }
    assert_true(accepted > 0); // changes inside of values
    assert_true(refused > FLIPS / 20);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct err e;
    struct rnd r = rnd_seed(__func__);
    struct image x;
    make_image(&x, &r, 3, 60, 512);
    for (size_t n = 0; n < x.at.n; n += n < 1024 || n + 1024 > x.at.n ? 1 : 256) {
        uint8_t *copy =
            malloc(n + 1); // no byte more than needed: sanitizers see each over-read
        memcpy(copy, x.at.p, n);
        EXPECT(ERR_PROTO, &e, check(&x, copy, n, &e));
        if (n >= 512) { // even when the header knows the new length
            sqlfmt_put32(copy + SQLFMT_AT_PAGES, (uint32_t)(n / 512));
            EXPECT(ERR_PROTO, &e, check(&x, copy, n, &e));
        }
        free(copy);
    }
    free_image(&x);
}

static void another_table_is_refused(void **state)
{
    (void)state;
    struct err e;
    struct rnd r = rnd_seed(__func__);
    struct image x;
    make_image(&x, &r, 4, 10, 512);
    PASS(&e, check(&x, x.at.p, x.at.n, &e));
    const char *sql = (const char *)x.sql.p;
    EXPECT(ERR_PROTO, &e, sqlite_image_check(x.at.p, x.at.n, sql, 4, 9, &e));
    EXPECT(ERR_PROTO, &e, sqlite_image_check(x.at.p, x.at.n, sql, 4, 11, &e));
    EXPECT(ERR_PROTO, &e, sqlite_image_check(x.at.p, x.at.n, sql, 3, 10, &e));
    EXPECT(ERR_PROTO, &e, sqlite_image_check(x.at.p, x.at.n, sql, 5, 10, &e));
    EXPECT(ERR_PROTO, &e, sqlite_image_check(x.at.p, x.at.n, sql + 1, 4, 10, &e));
    EXPECT(ERR_PROTO, &e,
           sqlite_image_check(x.at.p, x.at.n, "CREATE TABLE t(a)", 4, 10, &e));
    free_image(&x);
}

// One byte changed in an image of known shape: 512 bytes a page, "CREATE TABLE t("a"
// INTEGER)", rows 1 to 200 with NULL, page 2 the first leaf, the last page the root.
static const struct change {
    const char *name;
    int page; // -1: the last
    uint32_t at, value;
    const char *why;
} CHANGES[] = {
    { "magic", 1, 3, 'l', "not a SQLite database" },
    { "page_size", 1, 17, 1, "impossible page size" },
    { "page_size_of_another_file", 1, 16, 4, "its length is not" },
    { "write_ahead_log", 1, 18, 2, "rollback-journal" },
    { "read_version", 1, 19, 2, "rollback-journal" },
    { "reserved_bytes", 1, 20, 8, "reserved bytes" },
    { "payload_fraction", 1, 21, 63, "reserved bytes or payload" },
    { "page_count", 1, 31, 1, "its length is not" },
    { "change_counter", 1, 27, 9, "number of pages is not valid" },
    { "free_list", 1, 35, 3, "free pages" },
    { "free_pages", 1, 39, 3, "free pages" },
    { "schema_format", 1, 47, 1, "schema format" },
    { "encoding", 1, 59, 2, "text encoding" },
    { "pointer_map", 1, 55, 2, "pointer map" },
    { "two_schema_rows", 1, 104, 2, "page 1, cell" },
    { "root_is_page_1", -2, 0, 1, "used twice" },
    { "root_out_of_range", -2, 0, 99, "out of range" },
    { "root_is_a_leaf", -2, 0, 2, "rows, wanted 200" },
    { "index_page", 2, 0, 10, "not a page of a table" },
    { "freeblock", 2, 2, 8, "free space" },
    { "fragments", 2, 7, 1, "free space" },
    { "one_cell_less", 2, 4, 10, "gap before the first cell" },
    { "one_cell_more", 2, 4, 85, "page 2, cell 0: cells overlap" },
    { "content_overlaps_pointers", 2, 6, 175, "overlap" },
    { "cell_pointer_into_the_header", 2, 175, 100, "page 2, cell 83: cell pointer" },
    { "cell_pointer_to_another_cell", 2, 8, 0, "page 2, cell 0: rowids" },
    { "cell_pointer_past_the_page", 2, 8, 2, "page 2, cell 0: cell pointer" },
    { "two_pointers_to_one_cell", 2, 11, 252, "page 2, cell 1: cell pointer" },
    { "rowid", 2, 509, 2, "page 2, cell 0: rowids" },
    { "payload_length", 2, 508, 3, "page 2, cell 0: cell has another size" },
    { "record_header_length", 2, 510, 1, "another number of columns" },
    { "record_header_past_the_record", 2, 510, 3, "record header is malformed" },
    { "serial_type_with_a_body", 2, 511, 1, "another length than its values" },
    { "serial_type_10", 2, 511, 10, "serial type is malformed" },
    { "serial_type_11", 2, 511, 11, "serial type is malformed" },
    { "serial_type_that_goes_on", 2, 511, 129, "serial type is malformed" },
    { "child_out_of_range", -1, 510, 77, "out of range" },
    { "child_of_another_row", -1, 510, 3, "page 3, cell 0: rowids" },
    { "key", -1, 511, 83, "key is not the last row" },
    { "right_child", -1, 11, 2, "used twice" },
};

static void change_is_refused(void **state)
{
    const struct change *c = *state;
    struct err e;
    struct batch b = { 0 };
    struct image x = { .rows = 200, .at = { malloc(ROOM), ROOM, 0 } };
    struct sqlite_image *im = NULL;
    PASS(&e, schema_add(&x.schema, "a", 1, TYPE_INTEGER, false, &e));
    PASS(&e, batch_start(&b, &x.schema, &e));
    b.rows = x.rows;
    PASS(&e, sqlite_image_sql(&x.schema, &x.sql, &e));
    PASS(&e, sqlite_image_new(&im, &x.schema, 512, &e));
    PASS(&e, sqlite_image_write(im, &b, &x.at, &e));
    PASS(&e, check(&x, x.at.p, x.at.n, &e));

    // Where the root's number stands: before the SQL, the last thing on page 1.
    size_t root = 512 - x.sql.n - 1;
    size_t last = x.at.n - 512;
    size_t at =
        c->page == -2 ? root : (c->page == -1 ? last : (size_t)(c->page - 1) * 512) + c->at;
    assert_int_not_equal(x.at.p[at], c->value);
    x.at.p[at] = (uint8_t)c->value;
    EXPECT(ERR_PROTO, &e, check(&x, x.at.p, x.at.n, &e));
    if (!strstr(e.text, c->why)) fail_msg("'%s' does not say '%s'", e.text, c->why);
    sqlite_image_free(&im);
    free_image(&x);
    batch_free(&b);
}

// Images that SQLite itself made: the answer may be either, but never a wrong yes.
static void images_by_sqlite_are_read_or_refused(void **state)
{
    (void)state;
    struct err e;
    uint32_t accepted = 0;
    for (uint32_t rows = 0; rows < 3000; rows = rows * 3 + 1) {
        sqlite3 *db;
        char sql[300];
        assert_int_equal(SQLITE_OK, sqlite3_open(":memory:", &db));
        snprintf(sql, sizeof sql,
                 "PRAGMA page_size = 1024; CREATE TABLE t(a,b); INSERT INTO t "
                 "WITH s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i <= %u) "
                 "SELECT i, hex(randomblob(i %% 900)) FROM s WHERE i <= %u",
                 rows, rows);
        assert_int_equal(SQLITE_OK, sqlite3_exec(db, sql, NULL, NULL, NULL));
        sqlite3_int64 n;
        uint8_t *p = sqlite3_serialize(db, "main", &n, 0);
        sqlite3_close(db);
        struct image x = { .rows = rows };
        PASS(&e, buf_printf(&x.sql, &e, "CREATE TABLE t(a,b)"));
        PASS(&e, schema_add(&x.schema, "a", 1, TYPE_ANY, false, &e));
        PASS(&e, schema_add(&x.schema, "b", 1, TYPE_ANY, false, &e));
        err_t rc = check(&x, p, (size_t)n, &e);
        assert_true(rc == ERR_OK || rc == ERR_PROTO);
        accepted += rc == ERR_OK;
        if (rc == ERR_OK) expect_readable(&x, p, (size_t)n);
        sqlite3_free(p);
        free_image(&x);
    }
    assert_true(accepted > 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_accepts_sqlite_reads),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(another_table_is_refused),
        cmocka_unit_test(images_by_sqlite_are_read_or_refused),
    };
    return test_main("sqlite_image_check", tests, N_OF(tests),
                     TABLE(CHANGES, change_is_refused), N_OF(CHANGES));
}
