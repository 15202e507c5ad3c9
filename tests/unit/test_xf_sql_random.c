// SQL over a batch gives what SQLite gives over a table of the same values: random
// statements, with the hand-made image of the batch in an unguarded connection as oracle.

#include "common/sqlite_image.h"
#include "tests/batches.h"
#include "tests/random_batch.h"
#include "tests/test.h"
#include "worker/transform.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS "i integer, r real, t text, b boolean, d date, x any"
enum { ROOM = 8 << 20, ROUNDS = 40, STATEMENTS = 60 };

static const char *const INTEGERS[] = { "0",
                                        "1",
                                        "2",
                                        "5",
                                        "60",
                                        "61",
                                        "-1",
                                        "NULL",
                                        "9007199254740993",
                                        "9223372036854775807",
                                        "-9223372036854775808",
                                        "'NA'",
                                        "'005'",
                                        "'1e1'" };
static const char *const REALS[] = { "0.0",
                                     "-0.0",
                                     "1.0",
                                     "2.5",
                                     "60.0",
                                     "60.5",
                                     "-1.5",
                                     "NULL",
                                     "9007199254740992.0",
                                     "9.2233720368547758e18",
                                     "1e300",
                                     "5e-324",
                                     "'NA'",
                                     "' 60'" };
static const char *const TEXTS[] = { "''",   "'a'",          "'A'",       "'ab'",
                                     "'b'",  "'5'",          "'60'",      "'60.0'",
                                     "NULL", "'2008-01-01'", "'\xc3\xa9'" };
static const char *const BOOLEANS[] = { "0", "1", "NULL", "'maybe'" };
static const char *const ANYS[] = { "0",     "5",   "60",   "60.0",
                                    "'60'",  "'a'", "NULL", "2.5",
                                    "x'61'", "x''", "''",   "9007199254740993" };
static const char *const NAMES[] = { "i", "r", "t", "b", "d", "x" };

// Text that looks like a number breaks what SQLite assumes of a column of numbers: where it
// keeps rows on the side for a join it may come back as one. The last two of INTEGERS and
// the last of REALS are such; statements without joins must cope.
enum { TRICKY_INTEGERS = 2, TRICKY_REALS = 1 };

#define PICK(r, a) ((a)[rnd_below(r, N_OF(a))])

static const char *literal_of(struct rnd *r, uint32_t column, bool tricky)
{
    switch (column) {
    case 0: return INTEGERS[rnd_below(r, N_OF(INTEGERS) - (tricky ? 0 : TRICKY_INTEGERS))];
    case 1: return REALS[rnd_below(r, N_OF(REALS) - (tricky ? 0 : TRICKY_REALS))];
    case 3: return PICK(r, BOOLEANS);
    case 5: return PICK(r, ANYS);
    default: return PICK(r, TEXTS);
    }
}

static void add(struct buf *b, const char *text)
{
    err_t rc = buf_printf(b, NULL, "%s", text);
    assert_int_equal(ERR_OK, rc);
}

static void random_rows(struct rnd *r, bool tricky, struct buf *rows)
{
    uint32_t n = rnd_percent(r, 10) ? 0 : 1 + rnd_below(r, 200);
    rows->n = 0;
    add(rows, "");
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t c = 0; c < N_OF(NAMES); c++) {
            add(rows, literal_of(r, c, tricky));
            add(rows, c + 1 < N_OF(NAMES) ? ", " : i + 1 < n ? "; " : "");
        }
}

static void value(struct rnd *r, struct buf *sql, const char *table)
{
    static const char *const OTHERS[] = {
        "-1",
        "59.5",
        "60.9",
        "9e999",
        "-9e999",
        "9223372036854775808.0",
        "1.5",
        "-9223372036854775808.0",
        "CAST(60 AS TEXT)",
        "'zz'",
        "'6'",
        "-0.5",
        "x'60'",
    };
    uint32_t column = rnd_below(r, N_OF(NAMES));
    switch (rnd_below(r, 4)) {
    case 0: add(sql, PICK(r, OTHERS)); return;
    case 1:
        if (rnd_percent(r, 50)) add(sql, "+");
        add(sql, table);
        add(sql, NAMES[column]);
        return;
    default: break;
    }
    const char *literal = literal_of(r, column, true);
    bool least = strcmp(literal, "-9223372036854775808") == 0; // is a real in SQL
    add(sql, least ? "(-9223372036854775807 - 1)" : literal);
}

static void condition(struct rnd *r, struct buf *sql, const char *table, int depth)
{
    static const char *const OPERATORS[] = { "=",  "<>", "<",  "<=",     ">",
                                             ">=", "IS", "==", "IS NOT", "LIKE" };
    uint32_t kind = rnd_below(r, depth > 0 ? 12 : 8);
    if (kind >= 8) {
        add(sql, kind == 11 ? "(NOT " : "(");
        condition(r, sql, table, depth - 1);
        add(sql, kind == 10 ? " OR " : " AND ");
        condition(r, sql, table, depth - 1);
        add(sql, ")");
        return;
    }
    bool turned = kind == 0; // value op column
    if (turned) {
        value(r, sql, table);
        add(sql, " ");
        add(sql, PICK(r, OPERATORS));
        add(sql, " ");
    }
    add(sql, table);
    add(sql, PICK(r, NAMES));
    if (turned) return;
    if (kind == 1) {
        add(sql, rnd_percent(r, 50) ? " IS NULL" : " IS NOT NULL");
        return;
    }
    if (kind == 2 && rnd_percent(r, 50)) {
        add(sql, " COLLATE NOCASE");
    }
    if (kind == 3) {
        add(sql, " IN (");
        for (uint32_t i = 0, n = 1 + rnd_below(r, 3); i < n; i++) {
            add(sql, i ? ", " : "");
            value(r, sql, table);
        }
        add(sql, ")");
        return;
    }
    add(sql, " ");
    add(sql, kind == 4 ? "BETWEEN" : PICK(r, OPERATORS));
    add(sql, " ");
    value(r, sql, table);
    if (kind != 4) return;
    add(sql, " AND ");
    value(r, sql, table);
}

// `@` stands for the table.
static void random_statement(struct rnd *r, bool joins, struct buf *sql)
{
    static const char *const LISTS[] = { "*", "i, t", "x, r, d", "count(*), i, b",
                                         "x || t, r" };
    sql->n = 0;
    if (joins && rnd_percent(r, 40)) { // rows of both sides, few of them
        add(sql, "SELECT p.i, p.x, q.t FROM (SELECT * FROM @ LIMIT 12) p ");
        add(sql, rnd_percent(r, 60) ? "LEFT JOIN @ q ON p." : "JOIN @ q ON p.");
        add(sql, PICK(r, NAMES));
        add(sql, " = q.");
        add(sql, PICK(r, NAMES));
        add(sql, " AND ");
        condition(r, sql, "q.", 1);
        add(sql, " WHERE ");
        condition(r, sql, "q.", 0);
        add(sql, " ORDER BY p.i, p.x, typeof(p.x), q.t");
        return;
    }
    const char *list = PICK(r, LISTS);
    add(sql, "SELECT ");
    add(sql, list);
    add(sql, " FROM @ WHERE ");
    condition(r, sql, "", 2);
    if (strncmp(list, "count", 5) == 0)
        add(sql, " GROUP BY i, b ORDER BY i, b");
    else if (rnd_percent(r, 20))
        add(sql, " ORDER BY typeof(i), i, t, x, r, d, b");
    if (rnd_percent(r, 10)) add(sql, " LIMIT 5 OFFSET 1");
}

static void replace_table(const struct buf *sql, const char *table, struct buf *out)
{
    out->n = 0;
    add(out, "");
    for (size_t i = 0; i < sql->n; i++) {
        char c[2] = { (char)sql->p[i], 0 };
        add(out, c[0] == '@' ? table : c);
    }
}

static void show_oracle(sqlite3 *db, const char *sql, struct buf *out)
{
    sqlite3_stmt *stmt;
    out->n = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL))
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    int rc, n = sqlite3_column_count(stmt);
    for (bool first = true; (rc = sqlite3_step(stmt)) == SQLITE_ROW; first = false) {
        add(out, first ? "" : "; ");
        for (int i = 0; i < n; i++) {
            struct cell c = { .kind = CELL_NULL };
            add(out, i ? ", " : "");
            switch (sqlite3_column_type(stmt, i)) {
            case SQLITE_INTEGER:
                c = (struct cell){ CELL_INTEGER, 0, { sqlite3_column_int64(stmt, i) } };
                break;
            case SQLITE_FLOAT:
                c = (struct cell){ .kind = CELL_REAL, .r = sqlite3_column_double(stmt, i) };
                break;
            case SQLITE_TEXT:
            case SQLITE_BLOB:
                c.kind =
                    sqlite3_column_type(stmt, i) == SQLITE_TEXT ? CELL_TEXT : CELL_BLOB;
                c.p = sqlite3_column_blob(stmt, i);
                c.len = (uint32_t)sqlite3_column_bytes(stmt, i);
                break;
            default: break;
            }
            cell_show(&c, out);
        }
    }
    assert_int_equal(SQLITE_DONE, rc);
    sqlite3_finalize(stmt);
    add(out, "");
    out->p[out->n] = 0;
}

static char *show_transform(const struct schema *in, const struct batch *b, const char *sql)
{
    struct err e;
    struct spec spec = { 0 };
    struct schema result;
    struct batch copy = *b, out = { 0 };
    bool want[N_OF(NAMES)] = { false };
    void *x;
    PASS(&e, transform_sql.open(&x, &spec, in, SQL_STEP(sql), want, &result, &e));
    struct vec columns[N_OF(NAMES)]; // only what it wants
    for (uint32_t i = 0; i < b->n_cols; i++) {
        columns[i] = b->col[i];
        if (!want[i]) columns[i] = (struct vec){ .type = b->col[i].type, .absent = true };
    }
    copy.col = columns;
    PASS(&e, transform_sql.apply(x, &copy, &out, NS_NEVER, &e));
    char *shown = batch_show(&out);
    transform_sql.close(&x);
    schema_free(&result);
    batch_free(&out);
    return shown;
}

// The same batch as ANY columns: what a step before would hand on.
static void as_any(const struct schema *in, const struct batch *b, struct batch *any)
{
    assert_int_equal(ERR_OK, batch_start(any, in, NULL));
    any->rows = b->rows;
    for (uint32_t i = 0; i < b->n_cols; i++) {
        struct cell *cells = arena_alloc(&any->mem, (b->rows + 1) * sizeof *cells);
        assert_non_null(cells);
        for (uint32_t r = 0; r < b->rows; r++)
            cells[r] = batch_cell(b, i, r);
        any->col[i] = (struct vec){ .type = TYPE_ANY, .any = cells };
    }
}

static sqlite3 *oracle_of(const struct schema *in, const struct batch *b,
                          struct region *image)
{
    struct err e;
    struct sqlite_image *im;
    sqlite3 *db;
    image->n = 0;
    PASS(&e, sqlite_image_new(&im, in, SQLITE_IMAGE_PAGE, &e));
    PASS(&e, sqlite_image_write(im, b, image, &e));
    sqlite_image_free(&im);
    assert_int_equal(SQLITE_OK, sqlite3_open(":memory:", &db));
    assert_int_equal(SQLITE_OK, sqlite3_deserialize(
                                    db, "main", image->p, (sqlite3_int64)image->n,
                                    (sqlite3_int64)image->n, SQLITE_DESERIALIZE_READONLY));
    return db;
}

static void agrees_with_sqlite_over_a_table(void **state)
{
    (void)state;
    struct rnd r = rnd_seed("xf_sql_random");
    struct schema in;
    struct batch b = { 0 }, any = { 0 };
    struct buf rows = { 0 }, sql = { 0 }, ours = { 0 }, theirs = { 0 }, want = { 0 };
    struct region image = { .p = aligned_alloc(64, ROOM), .cap = ROOM };
    uint64_t matched = 0;
    schema_of(&in, COLUMNS);
    for (int round = 0; round < ROUNDS; round++) {
        bool tricky = round % 2;
        random_rows(&r, tricky, &rows);
        batch_of(&b, &in, (const char *)rows.p);
        as_any(&in, &b, &any);
        sqlite3 *oracle = oracle_of(&in, &b, &image);
        for (int i = 0; i < STATEMENTS; i++) {
            random_statement(&r, !tricky, &sql);
            replace_table(&sql, "batch", &ours);
            replace_table(&sql, "t", &theirs);
            show_oracle(oracle, (const char *)theirs.p, &want);
            char *got = show_transform(&in, i % 2 ? &any : &b, (const char *)ours.p);
            if (strcmp((const char *)want.p, got) != 0) { // too long for cmocka
                fprintf(stderr, "%s\n  over:   %s\n  wanted: %s\n  got:    %s\n", ours.p,
                        rows.p, want.p, got);
                fail();
            }
            matched += *got != 0;
            free(got);
        }
        sqlite3_close(oracle);
    }
    assert_true(matched > ROUNDS * STATEMENTS / 10); // not all of them empty
    schema_free(&in);
    batch_free(&b);
    batch_free(&any);
    buf_free(&rows);
    buf_free(&sql);
    buf_free(&ours);
    buf_free(&theirs);
    buf_free(&want);
    free(image.p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_sqlite_over_a_table),
    };
    return test_main("xf_sql_random", tests, N_OF(tests), NULL, 0);
}
