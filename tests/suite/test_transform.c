// One body of tests for every transform: what each must do whatever it is made of.

#include "worker/transform.h"

#include "tests/batches.h"
#include "tests/http_kit.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct backend { // the same steps, in the words of each transform
    const struct transform_ops *ops;
    struct step *(*step)(const char *arg);
    const char *called;  // in test names; NULL: as ops->name says
    bool reads_all;      // it is given every column, whatever it does with them
    const char *columns; // i, r and what else it can keep
    const char *rows;
    const char *row;       // one, printed with two numbers
    const char *some_rows; // what `some` makes of `rows`
    const char *identity;  // all columns, all rows
    const char *some;      // rows with i >= 100, columns r and i
    const char *none;      // no rows of column i
    const char *fails;     // fails on a row with i = 13
    const char *endless;   // never ends; NULL: its process is ended instead
    const char *huge;      // 1 MiB of text for each row; NULL: likewise
    const char *broken;    // cannot be opened
    bool computes; // its values are no input's: what is kept and picked is tested elsewhere
};

#define COLUMNS "i integer, r real, t text, b boolean, d date, s timestamp, x any"
#define ROWS                                                                          \
    "100, 1.5, 'SFO', 1, '2008-02-29', '2008-02-29 10:00:00', 5; "                    \
    "NULL, NULL, NULL, NULL, NULL, NULL, NULL; "                                      \
    "-9223372036854775808, -0.0, '', 0, 'never', '2008-02-29T10:00:00.25Z', 'text'; " \
    "9223372036854775807, 1e+300, 'a''b', 1, '0001-01-01', 'x', 0.1; "                \
    "'00501', 'NA', '1e5', 'maybe', '', '', x'00ff'"

// A plugin gets columns of one type each: what does not fit cannot be lent to it.
#define PLUGIN_COLUMNS "i integer, r real, t text, b boolean, u text"
#define PLUGIN_ROWS                                                                       \
    "100, 1.5, 'SFO', 1, 'x'; NULL, NULL, NULL, NULL, NULL; "                             \
    "-9223372036854775808, -0.0, '', 0, 'text'; 9223372036854775807, 1e+300, 'a''b', 1, " \
    "''"

static struct step *sql_step(const char *arg)
{
    static struct step step;
    step = *SQL_STEP(arg);
    return &step;
}

static struct step *plugin_step(const char *arg)
{
    static struct job_pair what;
    static struct step step;
    what = (struct job_pair){ (char *)(uintptr_t) "what", (char *)(uintptr_t)arg };
    step = (struct step){ .kind = STEP_PLUGIN,
                          .path = (char *)(uintptr_t)SUITE_PLUGIN,
                          .args = { &what, 1 } };
    return &step;
}

// What comes back from a program as CSV has the type that its column has.
#define EXEC_COLUMNS "i integer, r real, t text, b boolean, d date, s timestamp"
#define EXEC_ROWS                                                                  \
    "100, 1.5, 'SFO', 1, '2008-02-29', '2008-02-29 10:00:00'; "                    \
    "NULL, NULL, NULL, NULL, NULL, NULL; "                                         \
    "-9223372036854775808, -0.0, '', 0, 'never', '2008-02-29T10:00:00.25Z'; "      \
    "9223372036854775807, 1e+300, 'a''b, \"c\"\n\xc3\xa4', 1, '0001-01-01', 'x'; " \
    "'00501', 'NA', '1e5', 'maybe', '', ''"

#define PROGRAM(head, row)                                      \
    "import csv, sys\nw = csv.writer(sys.stdout)\n"             \
    "w.writerow(" head ")\nfor r in csv.DictReader(sys.stdin):" \
    "\n  " row "\n"
// The same for a program that keeps running.
#define LOOP(body)                                                                   \
    "import csv, io, sys, time\n"                                                    \
    "def answer(data, n):\n"                                                         \
    "  sys.stdout.buffer.write(b'tranche-batch %d %d\\n' % (len(data), n) + data)\n" \
    "  sys.stdout.buffer.flush()\n"                                                  \
    "while True:\n"                                                                  \
    "  h = sys.stdin.buffer.readline().split()\n"                                    \
    "  if not h: break\n"                                                            \
    "  text = sys.stdin.buffer.read(int(h[1]))\n  " body "\n"
#define LOOP_ROWS(head, row)                                                            \
    LOOP("o, n = io.StringIO(), 0; w = csv.writer(o); w.writerow(" head ")\n"           \
         "  for r in csv.DictReader(io.StringIO(text.decode(), newline='')):\n    " row \
         "\n  answer(o.getvalue().encode(), n)")

static struct step *program(const char *arg, bool persistent)
{
    static char *argv[3];
    static struct step step;
    static const char *const python[] = { "python3", "-c" };
    size_t n = 0;
    schema_free(&step.out);
    for (; strcmp(arg, "cat") != 0 && n < N_OF(python); n++)
        argv[n] = (char *)(uintptr_t)python[n];
    argv[n++] = (char *)(uintptr_t)arg;
    step = (struct step){ .kind = STEP_EXEC,
                          .argv = { argv, n },
                          .persistent = persistent,
                          .dir = (char *)(uintptr_t) "/" };
    if (strstr(arg, "['r', 'i']"))
        schema_of(&step.out, "r real, i integer");
    else if (strstr(arg, "['i']"))
        schema_of(&step.out, "i integer");
    else if (strcmp(arg, "broken") != 0)
        schema_of(&step.out, EXEC_COLUMNS);
    return &step;
}

static struct step *exec_step(const char *arg)
{
    return program(arg, false);
}

static struct step *loop_step(const char *arg)
{
    return program(arg, true);
}

// "PATH|COLUMNS TO KEEP", and nothing of the answer but what is huge.
static struct step *http_step(const char *arg)
{
    static struct step step;
    static char url[200], rows[] = "$[*]";
    const char *bar = strchr(arg, '|');
    struct err e;
    strings_free(&step.http.keep);
    step = (struct step){ .kind = STEP_HTTP };
    step_http_init(&step.http);
    step.http.url = url;
    step.http.rows = rows;
    step.http.fields_given = strcmp(arg, "huge") != 0;
    step.http.keep_given = bar != NULL;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/%.*s", http_kit_port(),
             (int)strcspn(arg, "|"), arg);
    for (const char *p = bar ? bar + 1 : ""; *p; p++)
        PASS(&e, strings_add(&step.http.keep, p, 1, &e));
    return &step;
}

// The column that names a series, and "+" for as many periods as can be.
static struct step *forecast_step(const char *arg)
{
    static struct step step;
    struct err e;
    step_free(&step);
    step = (struct step){ .kind = STEP_FORECAST };
    PASS(&e, step_forecast_init(&step.forecast, &e));
    step.forecast.periods = arg[1] ? STEP_PERIODS_MAX : 1;
    PASS(&e, strings_add(&step.forecast.by, arg, 1, &e));
    return &step;
}

static const struct backend backends[] = {
    {
        .ops = &transform_sql,
        .step = sql_step,
        .columns = COLUMNS,
        .rows = ROWS,
        .row = "%d, NULL, 't%d', 1, NULL, NULL, %d.5",
        .some_rows = "1.5, 100; 1e+300, 9223372036854775807; 'NA', '00501'",
        .identity = "SELECT * FROM batch",
        .some = "SELECT r, i FROM batch WHERE i >= 100",
        .none = "SELECT i FROM batch WHERE i < 0 AND i > 0",
        .fails = "SELECT abs(CASE i WHEN 13 THEN -9223372036854775807 - 1 ELSE i END) FROM "
                 "batch",
        .endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) "
                   "SELECT count(*) FROM n, batch",
        .huge = "SELECT hex(zeroblob(524288)) || i FROM batch",
        .broken = "SELECT what FROM batch",
    },
    {
        .ops = &transform_plugin,
        .step = plugin_step,
        .columns = PLUGIN_COLUMNS,
        .rows = PLUGIN_ROWS,
        .row = "%d, NULL, 't%d', 1, '%d'",
        .some_rows = "1.5, 100; 1e+300, 9223372036854775807",
        .identity = "identity",
        .some = "some",
        .none = "none",
        .fails = "fails",
        .broken = "broken",
    },
    {
        .ops = &transform_exec,
        .step = exec_step,
        .reads_all = true,
        .columns = EXEC_COLUMNS,
        .rows = EXEC_ROWS,
        .row = "%d, NULL, 't%d', 1, NULL, NULL",
        .some_rows = "1.5, 100; 1e+300, 9223372036854775807; 'NA', '00501'",
        .identity = "cat",
        .some = PROGRAM("['r', 'i']",
                        "if r['i'] and int(r['i']) >= 100: w.writerow([r['r'], r['i']])"),
        .none = PROGRAM("['i']", "pass"),
        .fails = PROGRAM("['i']", "w.writerow([1 / 0 if r['i'] == '13' else r['i']])"),
        .endless = PROGRAM("['i']", "import time; time.sleep(1000)"),
        .huge = PROGRAM("['i']", "w.writerow(['x' * (1 << 20)])"),
        .broken = "broken",
    },
    {
        .ops = &transform_exec,
        .step = loop_step,
        .called = "exec, persistent",
        .reads_all = true,
        .columns = EXEC_COLUMNS,
        .rows = EXEC_ROWS,
        .row = "%d, NULL, 't%d', 1, NULL, NULL",
        .some_rows = "1.5, 100; 1e+300, 9223372036854775807; 'NA', '00501'",
        .identity = LOOP("answer(text, int(h[2]))"),
        .some = LOOP_ROWS("['r', 'i']", "if r['i'] and int(r['i']) >= 100: "
                                        "w.writerow([r['r'], r['i']]); n += 1"),
        .none = LOOP_ROWS("['i']", "pass"),
        .fails =
            LOOP_ROWS("['i']", "w.writerow([1 / 0 if r['i'] == '13' else r['i']]); n += 1"),
        .endless = LOOP_ROWS("['i']", "time.sleep(1000)"),
        .huge = LOOP_ROWS("['i']", "w.writerow(['x' * (1 << 20)]); n += 1"),
        .broken = "broken",
    },
    {
        .ops = &transform_http,
        .step = http_step,
        .columns = COLUMNS,
        .rows = ROWS,
        .row = "%d, NULL, 't%d', 1, NULL, NULL, %d.5",
        .some_rows = "1.5, 100; 1e+300, 9223372036854775807; 'NA', '00501'",
        .identity = "one",
        .some = "from?i={i}|ri",
        .none = "none|i",
        .endless = "never",
        .huge = "huge",
        .broken = "from?i={what}",
    },
    {
        .ops = &transform_forecast,
        .step = forecast_step,
        .computes = true,
        .columns = "i integer, ds date, y real",
        .row = "%d, '2024-01-01', 1.5",
        .identity = "i",
        .huge = "i+",
        .broken = "?",
    },
};

struct fixture {
    const struct backend *backend;
    struct spec spec;
    struct schema in, out_schema;
    bool want[16];
    void *state;
    struct batch batch, out;
};

static void *start(void **state, const char *arg)
{
    struct err e;
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->backend = *state;
    f->spec.memory_bytes = 64 << 20;
    schema_of(&f->in, f->backend->columns);
    batch_of(&f->batch, &f->in, f->backend->rows ? f->backend->rows : "");
    PASS(&e, f->backend->ops->open(&f->state, &f->spec, &f->in, f->backend->step(arg),
                                   f->want, &f->out_schema, &e));
    assert_non_null(f->state);
    return f;
}

static void stop(struct fixture *f)
{
    f->backend->ops->close(&f->state);
    assert_null(f->state);
    f->backend->ops->close(&f->state);
    schema_free(&f->in);
    schema_free(&f->out_schema);
    batch_free(&f->batch);
    batch_free(&f->out);
    free(f);
}

static void gives(struct fixture *f, const char *want)
{
    struct err e;
    PASS(&e, f->backend->ops->apply(f->state, &f->batch, &f->out, NS_NEVER, &e));
    EQ_I64(f->out_schema.n, f->out.n_cols);
    char *got = batch_show(&f->out);
    assert_string_equal(want, got);
    free(got);
}

static void fails(struct fixture *f, err_t code, ns_t deadline)
{
    struct err e;
    EXPECT(code, &e, f->backend->ops->apply(f->state, &f->batch, &f->out, deadline, &e));
    assert_true(strlen(e.text) > 10);
}

static void keeps_every_value_exactly(void **state)
{
    struct fixture *f = start(state, ((const struct backend *)*state)->identity);
    gives(f, f->backend->rows);
    for (uint32_t i = 0; i < f->in.n; i++) {
        assert_true(f->want[i]);
        assert_string_equal(f->in.f[i].name, f->out_schema.f[i].name);
        EQ_I64(f->in.f[i].type, f->out_schema.f[i].type);
    }
    stop(f);
}

static void reads_only_the_columns_it_names(void **state)
{
    struct fixture *f = start(state, ((const struct backend *)*state)->some);
    for (uint32_t i = 0; i < f->in.n; i++) {
        EQ_I64(i < 2 || f->backend->reads_all, f->want[i]);
        f->batch.col[i].absent = !f->want[i];
    }
    assert_string_equal("r", f->out_schema.f[0].name);
    EQ_I64(TYPE_REAL, f->out_schema.f[0].type);
    EQ_I64(TYPE_INTEGER, f->out_schema.f[1].type);
    gives(f, f->backend->some_rows);
    stop(f);
}

static void an_empty_batch_gives_an_empty_result(void **state)
{
    struct fixture *f = start(state, ((const struct backend *)*state)->identity);
    batch_of(&f->batch, &f->in, "");
    gives(f, "");
    stop(f);
}

static void a_result_may_have_no_rows(void **state)
{
    struct fixture *f = start(state, ((const struct backend *)*state)->none);
    gives(f, "");
    EQ_I64(1, f->out.n_cols);
    stop(f);
}

static void add_row(const struct fixture *f, struct buf *rows, int n)
{
    struct err e;
    if (rows->n) PASS(&e, buf_add(rows, "; ", 2, &e));
    PASS(&e, buf_printf(rows, &e, f->backend->row, n, n, n));
}

// One row whose i is n.
static void batch_of_one(struct fixture *f, int n)
{
    struct buf rows = { 0 };
    add_row(f, &rows, n);
    batch_of(&f->batch, &f->in, (const char *)rows.p);
    buf_free(&rows);
}

static void is_applied_to_many_batches_of_any_size(void **state)
{
    struct fixture *f = start(state, ((const struct backend *)*state)->identity);
    struct buf rows = { 0 };
    struct err e;
    static const char *const sizes = "\1\77\100\101\0\177\200\1";
    for (size_t i = 0; i < 8; i++) {
        rows.n = 0;
        for (int r = 0; r < (uint8_t)sizes[i]; r++)
            add_row(f, &rows, r);
        PASS(&e, buf_add(&rows, "", 1, &e));
        batch_of(&f->batch, &f->in, (const char *)rows.p);
        gives(f, (const char *)rows.p);
        gives(f, (const char *)rows.p);
    }
    buf_free(&rows);
    stop(f);
}

static void one_step_feeds_the_next(void **state)
{
    struct err e;
    struct fixture *f = start(state, ((const struct backend *)*state)->identity);
    gives(f, f->backend->rows);
    void *second;
    struct schema schema;
    bool want[16] = { false };
    struct batch out = { 0 };
    PASS(&e, f->backend->ops->open(&second, &f->spec, &f->out_schema,
                                   f->backend->step(f->backend->some), want, &schema, &e));
    PASS(&e, f->backend->ops->apply(second, &f->out, &out, NS_NEVER, &e));
    char *got = batch_show(&out);
    assert_string_equal(f->backend->some_rows, got);
    free(got);
    f->backend->ops->close(&second);
    schema_free(&schema);
    batch_free(&out);
    stop(f);
}

static void a_failure_leaves_it_usable(void **state)
{
    struct fixture *f = start(state, ((const struct backend *)*state)->fails);
    struct batch good = f->batch;
    f->batch = (struct batch){ 0 };
    batch_of_one(f, 13);
    fails(f, ERR_TRANSFORM, NS_NEVER);
    batch_of_one(f, 12);
    gives(f, "12");
    batch_free(&good);
    stop(f);
}

static void ends_at_its_deadline(void **state)
{
    struct fixture *f = start(state, ((const struct backend *)*state)->endless);
    fails(f, ERR_TIMEOUT, clock_ns() + NS_MS);
    fails(f, ERR_TIMEOUT, 0);
    stop(f);
}

static void ends_at_its_memory_limit(void **state)
{
    struct fixture *f = start(state, ((const struct backend *)*state)->huge);
    struct buf rows = { 0 };
    for (int r = 0; r < 64; r++)
        add_row(f, &rows, r);
    batch_of(&f->batch, &f->in, (const char *)rows.p);
    fails(f, ERR_TOOBIG, NS_NEVER);
    batch_of(&f->batch, &f->in, "");
    gives(f, "");
    buf_free(&rows);
    stop(f);
}

static void what_cannot_be_opened_leaves_nothing(void **state)
{
    const struct backend *b = *state;
    struct err e;
    struct spec spec = { 0 };
    struct schema in, out_schema = { 0 };
    bool want[16] = { false };
    void *opened = &e;
    schema_of(&in, b->columns);
    EXPECT(ERR_TRANSFORM, &e,
           b->ops->open(&opened, &spec, &in, b->step(b->broken), want, &out_schema, &e));
    assert_null(opened);
    EQ_I64(0, out_schema.n);
    assert_true(strlen(e.text) > 10);
    schema_free(&in);
}

int main(void)
{
    static const struct {
        const char *name;
        CMUnitTestFunction call;
    } body[] = {
#define T(f) { #f, f }
        T(keeps_every_value_exactly),
        T(reads_only_the_columns_it_names),
        T(an_empty_batch_gives_an_empty_result),
        T(a_result_may_have_no_rows),
        T(is_applied_to_many_batches_of_any_size),
        T(one_step_feeds_the_next),
        T(a_failure_leaves_it_usable),
        T(ends_at_its_deadline),
        T(ends_at_its_memory_limit),
        T(what_cannot_be_opened_leaves_nothing),
    };
    static char names[N_OF(backends) * N_OF(body)][100];
    static struct CMUnitTest tests[N_OF(backends) * N_OF(body)];
    size_t n = 0;
    for (size_t i = 0; i < N_OF(tests); i++) {
        const struct backend *b = &backends[i / N_OF(body)];
        CMUnitTestFunction call = body[i % N_OF(body)].call;
        if (b->computes && call != an_empty_batch_gives_an_empty_result &&
            call != ends_at_its_memory_limit &&
            call != what_cannot_be_opened_leaves_nothing)
            continue;
        if ((call == ends_at_its_deadline && !b->endless) ||
            (call == a_failure_leaves_it_usable && !b->fails) ||
            (call == ends_at_its_memory_limit && !b->huge))
            continue;
        snprintf(names[n], sizeof names[n], "%s %s", b->called ? b->called : b->ops->name,
                 body[i % N_OF(body)].name);
        tests[n] = (struct CMUnitTest){ .name = names[n],
                                        .test_func = call,
                                        .initial_state = (void *)(uintptr_t)b };
        n++;
    }
    return test_main("transform", tests, n, NULL, 0);
}
