// The oracle is SQLite: it must find every image sound, and read from it what the batch
// holds.

#include "common/sqlite_image.h"
#include "tests/random_batch.h"
#include "tests/test.h"

#include <math.h>
#include <sqlite3.h>
#include <sys/mman.h>

enum { ROOM = 1 << 28 };

struct world { // one image and the connection that reads it as img.t
    struct schema schema;
    struct buf sql;
    struct batch batch;
    struct region image;
    sqlite3 *db;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    if (!w) return -1;
    w->image.p = mmap(NULL, ROOM, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    w->image.cap = ROOM;
    *state = w;
    return w->image.p == MAP_FAILED ? -1 : 0;
}

static void forget(struct world *w) // ready for the next round
{
    sqlite3_close(w->db);
    w->db = NULL;
    schema_free(&w->schema);
    buf_free(&w->sql);
    batch_free(&w->batch);
    w->image.n = 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    forget(w);
    munmap(w->image.p, ROOM);
    free(w);
    return 0;
}

static void run(struct world *w, const char *sql)
{
    char *why = NULL;
    if (sqlite3_exec(w->db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%.200s\n  %s", sql, why);
}

static sqlite3_stmt *prepare(struct world *w, const char *sql)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(w->db, sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%.200s\n  %s", sql, sqlite3_errmsg(w->db));
    return st;
}

static void write_image(struct world *w, uint32_t page_bytes)
{
    struct err e;
    struct sqlite_image *im = NULL;
    PASS(&e, sqlite_image_new(&im, &w->schema, page_bytes, &e));
    PASS(&e, sqlite_image_write(im, &w->batch, &w->image, &e));
    sqlite_image_free(&im);
    PASS(&e, sqlite_image_sql(&w->schema, &w->sql, &e));
    PASS(&e, sqlite_image_check(w->image.p, w->image.n, (const char *)w->sql.p, w->schema.n,
                                w->batch.rows, &e));
}

static void open_image(struct world *w)
{
    assert_int_equal(SQLITE_OK, sqlite3_open(":memory:", &w->db));
    run(w, "ATTACH ':memory:' AS img");
    assert_int_equal(SQLITE_OK, sqlite3_deserialize(w->db, "img", w->image.p,
                                                    (sqlite3_int64)w->image.n,
                                                    (sqlite3_int64)w->image.n,
                                                    SQLITE_DESERIALIZE_READONLY));
}

static void expect_sound(struct world *w)
{
    sqlite3_stmt *st = prepare(w, "PRAGMA img.integrity_check");
    assert_int_equal(SQLITE_ROW, sqlite3_step(st));
    assert_string_equal("ok", (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
}

static void expect_bytes(sqlite3_stmt *st, int i, int type, const uint8_t *p, uint32_t n)
{
    assert_int_equal(type, sqlite3_column_type(st, i));
    EQ_I64(n, sqlite3_column_bytes(st, i));
    if (n) assert_memory_equal(p, sqlite3_column_blob(st, i), n);
}

static void expect_real(sqlite3_stmt *st, int i, double want)
{
    assert_int_equal(SQLITE_FLOAT, sqlite3_column_type(st, i));
    double got = sqlite3_column_double(st, i);
    assert_memory_equal(&want, &got, sizeof got);
}

static void expect_integer(sqlite3_stmt *st, int i, int64_t want)
{
    assert_int_equal(SQLITE_INTEGER, sqlite3_column_type(st, i));
    EQ_I64(want, sqlite3_column_int64(st, i));
}

static void expect_cell(sqlite3_stmt *st, int i, const struct cell *c)
{
    switch (c->kind) {
    case CELL_NULL: assert_int_equal(SQLITE_NULL, sqlite3_column_type(st, i)); break;
    case CELL_INTEGER: expect_integer(st, i, c->i); break;
    case CELL_REAL: expect_real(st, i, c->r); break;
    case CELL_TEXT: expect_bytes(st, i, SQLITE_TEXT, c->p, c->len); break;
    case CELL_BLOB: expect_bytes(st, i, SQLITE_BLOB, c->p, c->len); break;
    default: fail();
    }
}

static void expect_column(sqlite3_stmt *st, int i, const struct vec *v, uint32_t row,
                          uint32_t *misfit)
{
    if (!v->absent && v->type == TYPE_ANY) {
        expect_cell(st, i, &v->any[row]);
    } else if (v->absent || !vec_valid(v, row)) {
        assert_int_equal(SQLITE_NULL, sqlite3_column_type(st, i));
    } else if (*misfit < v->n_misfits && v->misfit[*misfit].row == row) {
        const struct misfit *m = &v->misfit[(*misfit)++];
        expect_bytes(st, i, SQLITE_TEXT, m->p, m->len);
    } else if (type_is_text(v->type)) {
        expect_bytes(st, i, SQLITE_TEXT, v->bytes + v->off[row],
                     v->off[row + 1] - v->off[row]);
    } else if (v->type == TYPE_REAL) {
        expect_real(st, i, v->f64[row]);
    } else {
        expect_integer(st, i, v->i64[row]);
    }
}

static void expect_table(struct world *w, const char *sql)
{
    const struct batch *b = &w->batch;
    uint32_t *misfit = calloc(b->n_cols, sizeof *misfit);
    sqlite3_stmt *st = prepare(w, sql);
    EQ_I64(b->n_cols, sqlite3_column_count(st));
    for (uint32_t row = 0; row < b->rows; row++) {
        EQ_I64(SQLITE_ROW, sqlite3_step(st));
        for (uint32_t i = 0; i < b->n_cols; i++)
            expect_column(st, (int)i, &b->col[i], row, &misfit[i]);
    }
    assert_int_equal(SQLITE_DONE, sqlite3_step(st));
    sqlite3_finalize(st);
    free(misfit);
}

static void expect_rowids(struct world *w)
{
    sqlite3_stmt *st = prepare(w, "SELECT count(*), total(rowid = i) FROM "
                                  "(SELECT rowid, row_number() OVER () AS i FROM img.t)");
    assert_int_equal(SQLITE_ROW, sqlite3_step(st));
    EQ_I64(w->batch.rows, sqlite3_column_int64(st, 0));
    EQ_I64(w->batch.rows, sqlite3_column_int64(st, 1));
    sqlite3_finalize(st);
}

static void expect_names(struct world *w)
{
    sqlite3_stmt *st = prepare(w, "SELECT * FROM img.t");
    for (uint32_t i = 0; i < w->schema.n; i++)
        assert_string_equal(w->schema.f[i].name, sqlite3_column_name(st, (int)i));
    sqlite3_finalize(st);
}

// "CREATE TABLE t(..." made for main.x.
static void create_twin(struct world *w)
{
    struct buf b = { 0 };
    struct err e;
    const char *columns = strchr((const char *)w->sql.p, '(');
    PASS(&e, buf_printf(&b, &e, "CREATE TABLE main.x%s", columns));
    run(w, (const char *)b.p);
    buf_free(&b);
}

// The copy must be the raw one: a program that opens records has Column opcodes.
static void expect_raw_copy(struct world *w)
{
    create_twin(w);
    sqlite3_stmt *st = prepare(w, "EXPLAIN INSERT INTO main.x SELECT * FROM img.t");
    bool raw = false;
    while (sqlite3_step(st) == SQLITE_ROW) {
        const char *op = (const char *)sqlite3_column_text(st, 1);
        assert_string_not_equal("Column", op);
        raw |= strcmp(op, "RowData") == 0 || strcmp(op, "RowCell") == 0;
    }
    sqlite3_finalize(st);
    assert_true(raw);
    run(w, "INSERT INTO main.x SELECT * FROM img.t");
    expect_table(w, "SELECT * FROM main.x");
}

static void expect_all(struct world *w, uint32_t page_bytes)
{
    write_image(w, page_bytes);
    open_image(w);
    expect_sound(w);
    expect_names(w);
    expect_rowids(w);
    expect_table(w, "SELECT * FROM img.t");
    expect_raw_copy(w);
}

static const struct random_case {
    const char *name;
    uint32_t rounds, cols, rows, name_max;
    struct batch_taste taste;
} CASES[] = {
    { "short_values_of_few_columns", 60, 5, 700, 30, { 10, 5, 0, 0, 20, 0 } },
    { "one_column", 60, 1, 3000, 9, { 30, 0, 1, 1, 5, 300 } },
    { "texts_around_57_bytes", 40, 6, 500, 9, { 5, 0, 0, 20, 57, 61 } },
    { "overflow_pages", 40, 4, 150, 9, { 5, 5, 1, 10, 40, 70000 } },
    { "misfits", 40, 9, 500, 9, { 5, 0, 5, 2, 30, 600 } },
    { "many_columns", 6, 300, 70, 20, { 20, 5, 0, 1, 20, 400 } },
    { "as_many_columns_as_sqlite_takes", 3, 2000, 70, 60, { 20, 10, 1, 1, 10, 3000 } },
    { "nulls_only", 10, 12, 1000, 9, { 100, 30, 0, 0, 5, 0 } },
    { "no_nulls", 10, 12, 1000, 9, { 0, 0, 0, 0, 30, 0 } },
};

static void reads_back_what_was_written(void **state)
{
    const struct random_case *c = *state;
    void *ws;
    assert_int_equal(0, set_up(&ws));
    struct world *w = ws;
    struct rnd r = rnd_seed(c->name);
    for (uint32_t i = 0; i < c->rounds; i++) {
        uint32_t cols = c->rounds < 10 ? c->cols : 1 + rnd_below(&r, c->cols);
        random_schema(&r, cols, c->name_max, &w->schema);
        random_batch(&r, &w->schema, rnd_below(&r, c->rows), &c->taste, &w->batch);
        expect_all(w, 512u << rnd_below(&r, 8));
        forget(w);
    }
    tear_down(&ws);
}

// The same rows several times, from pages of one size to pages of another.
static void expect_joined(struct world *w, struct rnd *r)
{
    enum { PIECES = 3 };
    struct err e;
    struct sqlite_image *im = NULL;
    write_image(w, 512u << rnd_below(r, 8));
    struct slice one = { w->image.p, w->image.n }, all[PIECES] = { one, one, one };
    w->image = (struct region){ w->image.p + one.n, ROOM - one.n, 0 };
    PASS(&e, sqlite_image_new(&im, &w->schema, 512u << rnd_below(r, 8), &e));
    PASS(&e, sqlite_image_join(im, all, PIECES, &w->image, &e));
    sqlite_image_free(&im);
    PASS(&e, sqlite_image_check(w->image.p, w->image.n, (const char *)w->sql.p, w->schema.n,
                                PIECES * (uint64_t)w->batch.rows, &e));
    open_image(w);
    expect_sound(w);
    for (uint32_t i = 0; i < PIECES; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "SELECT * FROM img.t LIMIT %u OFFSET %u", w->batch.rows,
                 i * w->batch.rows);
        expect_table(w, sql);
    }
    w->image = (struct region){ w->image.p - one.n, ROOM, 0 };
}

static void joined_images_hold_the_rows_of_all_in_order(void **state)
{
    struct world *w = *state;
    for (size_t k = 0; k < N_OF(CASES); k++) {
        const struct random_case *c = &CASES[k];
        struct rnd r = rnd_seed(c->name);
        for (uint32_t i = 0; i < 1 + c->rounds / 8; i++) {
            random_schema(&r, c->cols, c->name_max, &w->schema);
            random_batch(&r, &w->schema, rnd_below(&r, c->rows), &c->taste, &w->batch);
            expect_joined(w, &r);
            forget(w);
        }
    }
}

static void every_size_of_the_schema_row_finds_its_place(void **state)
{
    struct world *w = *state;
    for (uint32_t page = 512; page <= 65536; page *= page == 512 ? 2 : 64) {
        for (uint32_t n = page - 200; n < page + 40; n++) {
            char *name = malloc(n);
            memset(name, 'x', n);
            struct err e;
            PASS(&e, schema_add(&w->schema, name, n, TYPE_INTEGER, false, &e));
            free(name);
            PASS(&e, batch_start(&w->batch, &w->schema, &e));
            w->batch.rows = 3;
            write_image(w, page);
            open_image(w);
            expect_sound(w);
            expect_table(w, "SELECT * FROM img.t");
            forget(w);
        }
    }
}

static void every_size_of_a_row_finds_its_place(void **state)
{
    struct world *w = *state;
    struct err e;
    for (uint32_t n = 380; n < 1600; n++) {
        PASS(&e, schema_add(&w->schema, "a", 1, TYPE_TEXT, false, &e));
        PASS(&e, batch_start(&w->batch, &w->schema, &e));
        uint64_t valid = ~0ull;
        uint32_t off[] = { 0, n, 2 * n, 2 * n };
        uint8_t *text = calloc(2 * n + 16, 1);
        memset(text, 'y', 2 * n);
        w->batch.rows = 3;
        w->batch.col[0] =
            (struct vec){ .type = TYPE_TEXT, .valid = &valid, .off = off, .bytes = text };
        write_image(w, 512);
        open_image(w);
        expect_sound(w);
        expect_table(w, "SELECT * FROM img.t");
        forget(w);
        free(text);
    }
}

static void an_empty_batch_is_an_empty_table(void **state)
{
    struct world *w = *state;
    struct err e;
    for (uint32_t page = 512; page <= 65536; page *= 2) {
        PASS(&e, schema_add(&w->schema, "a", 1, TYPE_INTEGER, false, &e));
        PASS(&e, batch_start(&w->batch, &w->schema, &e));
        expect_all(w, page);
        EQ_I64(2 * page, w->image.n);
        forget(w);
    }
}

// sum(payload) of table t, as SQLite counts it.
static int64_t payload_bytes(struct world *w, const char *of)
{
    char sql[200];
    snprintf(
        sql, sizeof sql,
        "SELECT sum(payload) FROM dbstat('%s') WHERE pagetype = 'leaf' AND name = '%s'", of,
        strcmp(of, "img") == 0 ? "t" : "x");
    sqlite3_stmt *st = prepare(w, sql);
    assert_int_equal(SQLITE_ROW, sqlite3_step(st));
    int64_t n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

static void takes_the_bytes_that_sqlite_would_take(void **state)
{
    struct world *w = *state;
    struct err e;
    struct rnd r = rnd_seed(__func__);
    struct batch_taste taste = { .nulls = 10, .text_max = 30 };
    PASS(&e, schema_add(&w->schema, "a", 1, TYPE_INTEGER, false, &e));
    PASS(&e, schema_add(&w->schema, "b", 1, TYPE_REAL, false, &e));
    PASS(&e, schema_add(&w->schema, "c", 1, TYPE_TEXT, false, &e));
    random_batch(&r, &w->schema, 5000, &taste, &w->batch);
    for (uint32_t i = 0; i < w->batch.rows; i++)
        if (w->batch.col[1].f64[i] == 0) w->batch.col[1].f64[i] = 0; // SQLite loses -0.0
    write_image(w, 4096);
    open_image(w);
    create_twin(w);
    run(w, "INSERT INTO main.x SELECT a, b, c FROM img.t WHERE random() IS NOT NULL");
    EQ_I64(payload_bytes(w, "main"), payload_bytes(w, "img"));
}

static void a_full_region_stays_as_it_was(void **state)
{
    struct world *w = *state;
    struct err e;
    struct rnd r = rnd_seed(__func__);
    struct batch_taste taste = { 5, 0, 1, 5, 40, 3000 };
    random_schema(&r, 5, 9, &w->schema);
    random_batch(&r, &w->schema, 300, &taste, &w->batch);
    struct sqlite_image *im = NULL;
    PASS(&e, sqlite_image_new(&im, &w->schema, 512, &e));
    PASS(&e, sqlite_image_write(im, &w->batch, &w->image, &e));
    size_t need = w->image.n;
    for (size_t cap = 0; cap <= need; cap += 512) {
        uint8_t *p = malloc(7 + cap); // exactly as long: the address sanitizer sees more
        struct region tight = { p, 7 + cap, 7 };
        EXPECT(cap < need ? ERR_TOOBIG : ERR_OK, &e,
               sqlite_image_write(im, &w->batch, &tight, &e));
        EQ_I64(7 + (cap < need ? 0 : need), tight.n);
        if (cap == need) assert_memory_equal(w->image.p, p + 7, need);
        free(p);
    }
    sqlite_image_free(&im);
}

static void images_follow_each_other_in_a_region(void **state)
{
    struct world *w = *state;
    struct err e;
    struct rnd r = rnd_seed(__func__);
    struct batch_taste taste = { 5, 0, 1, 5, 40, 3000 };
    random_schema(&r, 5, 9, &w->schema);
    struct sqlite_image *im = NULL;
    PASS(&e, sqlite_image_new(&im, &w->schema, 1024, &e));
    PASS(&e, sqlite_image_sql(&w->schema, &w->sql, &e));
    for (uint32_t rows = 0; rows < 300; rows += 50) {
        random_batch(&r, &w->schema, rows, &taste, &w->batch);
        size_t begin = w->image.n;
        PASS(&e, sqlite_image_write(im, &w->batch, &w->image, &e));
        PASS(&e, sqlite_image_check(w->image.p + begin, w->image.n - begin,
                                    (const char *)w->sql.p, 5, rows, &e));
    }
    sqlite_image_free(&im);
}

static void values_of_unknown_type_go_into_any_column(void **state)
{
    struct world *w = *state;
    struct err e;
    struct cell cells[] = {
        { .kind = CELL_REAL, .r = NAN },
        { .kind = CELL_REAL, .r = 5.0 },
        { .kind = CELL_TEXT, .len = 0, .p = NULL },
        { .kind = CELL_BLOB, .len = 4, .p = (const uint8_t *)"a\0b" },
    };
    PASS(&e, schema_add(&w->schema, "a", 1, TYPE_REAL, false, &e));
    PASS(&e, batch_start(&w->batch, &w->schema, &e));
    w->batch.rows = N_OF(cells);
    w->batch.col[0] = (struct vec){ .type = TYPE_ANY, .any = cells };
    write_image(w, 512);
    open_image(w);
    cells[0].kind = CELL_NULL; // what SQLite makes of NaN
    expect_table(w, "SELECT * FROM img.t");
}

static void other_columns_than_the_schemas_are_refused(void **state)
{
    struct world *w = *state;
    struct err e;
    PASS(&e, schema_add(&w->schema, "a", 1, TYPE_INTEGER, false, &e));
    PASS(&e, batch_start(&w->batch, &w->schema, &e));
    struct sqlite_image *im = NULL;
    EXPECT(ERR_INVALID, &e, sqlite_image_new(&im, &(struct schema){ 0 }, 512, &e));
    EXPECT(ERR_INVALID, &e, sqlite_image_new(&im, &w->schema, 1000, &e));
    EXPECT(ERR_INVALID, &e, sqlite_image_new(&im, &w->schema, 131072, &e));
    assert_null(im);
    PASS(&e, sqlite_image_new(&im, &w->schema, 512, &e));
    w->batch.col[0].type = TYPE_TEXT;
    EXPECT(ERR_INVALID, &e, sqlite_image_write(im, &w->batch, &w->image, &e));
    w->batch.n_cols = 0;
    EXPECT(ERR_INVALID, &e, sqlite_image_write(im, &w->batch, &w->image, &e));
    sqlite_image_free(&im);
    sqlite_image_free(&im);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(joined_images_hold_the_rows_of_all_in_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(every_size_of_the_schema_row_finds_its_place,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_size_of_a_row_finds_its_place, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_empty_batch_is_an_empty_table, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(takes_the_bytes_that_sqlite_would_take, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_full_region_stays_as_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(images_follow_each_other_in_a_region, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(values_of_unknown_type_go_into_any_column, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(other_columns_than_the_schemas_are_refused, set_up,
                                        tear_down),
    };
    return test_main("sqlite_image", tests, N_OF(tests),
                     TABLE(CASES, reads_back_what_was_written), N_OF(CASES));
}
