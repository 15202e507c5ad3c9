// Sources and their readers when memory runs out: an error, and nothing is left behind.
// behind.

#include "common/row_code.h"
#include "coordinator/source.h"
#include "tests/no_memory.h"
#include "tests/source_kit.h"
#include "tests/test.h"
#include "worker/reader.h"

#include <sqlite3.h>

// ---- readers ----

struct input {
    const char *name;
    const struct reader_ops *ops;
    enum type type; // of the first column; the second is text
    uint32_t columns;
    void (*fill)(struct buf *to);
};

static void fill_lines(struct buf *to)
{
    struct err e;
    for (int i = 0; i < 3000; i++)
        PASS(&e, buf_printf(to, &e, i % 10 ? "line %d\n" : "bad \xff %d\n", i));
}

static void fill_json(struct buf *to)
{
    struct err e;
    for (int i = 0; i < 3000; i++)
        PASS(&e, buf_printf(to, &e,
                            i % 10 == 1   ? "{\"a\": \"misfit\", \"b\": [%d]}\n"
                            : i % 10 == 2 ? "nope %d\n"
                                          : "{\"a\": %d, \"b\": \"esc\\u00e4ped\\n\"}\n",
                            i));
}

static void fill_rows(struct buf *to)
{
    static const uint8_t text[] = "some text", bad[] = "\xff";
    struct err e;
    for (int i = 0; i < 3000; i++) {
        struct cell a = { .kind = CELL_INTEGER, .i = i };
        struct cell b = { .kind = CELL_TEXT, .len = sizeof text - 1, .p = text };
        if (i % 10 == 3) b = (struct cell){ .kind = CELL_TEXT, .len = 1, .p = bad };
        PASS(&e, row_code_put(to, &a, &e));
        PASS(&e, row_code_put(to, &b, &e));
    }
}

static const struct input inputs[] = {
    { "lines", &reader_lines, TYPE_TEXT, 1, fill_lines },
    { "jsonl", &reader_jsonl, TYPE_INTEGER, 2, fill_json },
    { "rows", &reader_rows, TYPE_INTEGER, 2, fill_rows },
    { "rows_of_given_types", &reader_rows, TYPE_REAL, 2, fill_rows },
};

static err_t read_all(const struct input *in, const struct buf *bytes, uint64_t *rows,
                      struct err *e)
{
    static char a[] = "a", b[] = "b", *fields[] = { a, b };
    struct spec spec = { .fields = { fields, in->columns == 2 ? 2 : 0 } };
    struct batch batch = { 0 };
    struct rejects rejects = { 0 };
    struct reader_stats stats = { 0 };
    struct reader_chunk c = { .bytes = bytes->p, .n = bytes->n, .first_line = 1 };
    void *state = NULL;
    bool given = in->type == TYPE_REAL;
    err_t rc = schema_add(&spec.in, "a", 1, in->type, given, e);
    if (rc == ERR_OK && in->columns == 2)
        rc = schema_add(&spec.in, "b", 1, TYPE_TEXT, given, e);
    if (rc == ERR_OK) rc = in->ops->open(&state, &spec, NULL, e);
    if (rc == ERR_OK) rc = in->ops->read(state, &c, &batch, &rejects, &stats, e);
    *rows = stats.parsed;
    in->ops->close(&state);
    batch_free(&batch);
    rejects_free(&rejects);
    schema_free(&spec.in);
    return rc;
}

static void a_reader_says_so(void **state)
{
    const struct input *in = *state;
    struct err e;
    struct buf bytes = { 0 };
    uint64_t rows, want;
    in->fill(&bytes);
    PASS(&e, buf_reserve(&bytes, CSV_PAD, &e));
    PASS(&e, read_all(in, &bytes, &want, &e));
    assert_true(want >= 2700);
    long round = 0;
    for (err_t rc = ERR_NOMEM; rc != ERR_OK; round++) {
        no_memory_left = round;
        rc = read_all(in, &bytes, &rows, &e);
        no_memory_left = -1;
        if (rc != ERR_OK) EQ_I64(ERR_NOMEM, rc);
    }
    EQ_I64(want, rows);
    assert_true(round > 5);
    buf_free(&bytes);
}

// ---- sources ----

static void make_database(const char *path)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "CREATE TABLE t(g, x); WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL "
                     "SELECT i + 1 FROM n WHERE i < 99) INSERT INTO t SELECT i / 10, "
                     "'text ' || i FROM n",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
}

static err_t walk(struct source *s, struct err *e)
{
    _Atomic uint64_t target = 500;
    for (;;) {
        struct chunk_data *c, *bad, *half[2] = { NULL, NULL };
        TRY(source_next(s, &target, &c, &bad, e));
        if (!c) return ERR_OK;
        err_t rc =
            c->bytes ? source_halve(s, c, half, e)
                     : source_reread(s, c->range, c->first_line, c->digest, true, half, e);
        for (int i = 0; i < 2; i++)
            chunk_data_free(&half[i]);
        chunk_data_free(&c);
        TRY(rc);
    }
}

static err_t use(const struct job *j, struct err *e)
{
    struct source *s = NULL;
    struct schema schema = { 0 };
    struct buf trial = { 0 };
    uint64_t rows;
    TRY(source_open(&s, j, e));
    err_t rc = source_infer(s, j, &schema, &trial, &rows, e);
    if (rc == ERR_OK) rc = walk(s, e);
    source_close(&s);
    schema_free(&schema);
    buf_free(&trial);
    return rc;
}

static void says_so(const struct job *j)
{
    struct err e;
    PASS(&e, use(j, &e));
    long round = 0;
    for (err_t rc = ERR_NOMEM; rc != ERR_OK; round++) {
        no_memory_left = round;
        rc = use(j, &e);
        no_memory_left = -1;
        if (rc != ERR_OK) EQ_I64(ERR_NOMEM, rc);
    }
    assert_true(round > 10);
}

static void a_range_says_so(void **state)
{
    (void)state;
    struct job j;
    job_init(&j);
    j.source = SOURCE_RANGE;
    j.range_rows = 100;
    says_so(&j);
    job_free(&j);
}

static void json_lines_say_so(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct buf text = { 0 };
    struct err e;
    fill_json(&text);
    put_file(&f, "in.json", text.p, 3000);
    struct job j = job_of(&f, "in.json");
    j.source = SOURCE_JSONL;
    PASS(&e, strings_add(&j.fields, "a", 1, &e));
    PASS(&e, strings_add(&j.fields, "b", 1, &e));
    says_so(&j);
    buf_free(&text);
    job_free(&j);
    folder_rm(&f);
}

static void a_query_says_so(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct job j;
    char path[PATH_SPACE];
    make_database(in_folder(&f, "in.db", path));
    job_init(&j);
    j.source = SOURCE_SQLITE;
    j.sqlite = strdup(path);
    j.sqlite_written = strdup("in.db");
    j.sqlite_table = strdup("t");
    j.batch_by = strdup("g");
    says_so(&j);
    job_free(&j);
    folder_rm(&f);
}

int main(void)
{
    static const struct CMUnitTest own[] = {
        cmocka_unit_test(a_range_says_so),
        cmocka_unit_test(json_lines_say_so),
        cmocka_unit_test(a_query_says_so),
    };
    return test_main("source_memory", own, N_OF(own), TABLE(inputs, a_reader_says_so),
                     N_OF(inputs));
}
