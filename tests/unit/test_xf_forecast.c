#include "tests/batches.h"
#include "tests/test.h"
#include "worker/transform.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS "g text, ds date, y real, other integer"
static struct err e;

struct fixture {
    struct spec spec;
    struct step step;
    struct schema in, out_schema;
    bool want[8];
    void *state;
    struct batch batch, out;
};

static struct fixture opened(const char *columns, const char *by, uint32_t periods,
                             enum step_every every)
{
    struct fixture f = { .spec.memory_bytes = 64 << 20, .step.kind = STEP_FORECAST };
    PASS(&e, step_forecast_init(&f.step.forecast, &e));
    f.step.forecast.periods = periods;
    f.step.forecast.every = every;
    for (const char *p = by; *p; p++)
        PASS(&e, strings_add(&f.step.forecast.by, p, 1, &e));
    schema_of(&f.in, columns);
    PASS(&e, transform_forecast.open(&f.state, &f.spec, &f.in, &f.step, f.want,
                                     &f.out_schema, &e));
    return f;
}

static void closed(struct fixture *f)
{
    transform_forecast.close(&f->state);
    schema_free(&f->in);
    schema_free(&f->out_schema);
    batch_free(&f->batch);
    batch_free(&f->out);
    step_free(&f->step);
}

static void apply(struct fixture *f, const char *rows)
{
    batch_of(&f->batch, &f->in, rows);
    PASS(&e, transform_forecast.apply(f->state, &f->batch, &f->out, NS_NEVER, &e));
}

static void is_text(const char *want, struct cell c)
{
    EQ_I64(CELL_TEXT, c.kind);
    EQ_I64(strlen(want), c.len);
    assert_memory_equal(want, c.p, c.len);
}

// ---- what comes out ----

static void each_series_goes_on_by_itself(void **state)
{
    (void)state;
    struct fixture f = opened(COLUMNS, "g", 2, STEP_DAY);
    EQ_I64(5, f.out_schema.n);
    static const char *const names[] = { "g", "ds", "yhat", "yhat_lower", "yhat_upper" };
    for (uint32_t i = 0; i < f.out_schema.n; i++)
        assert_string_equal(names[i], f.out_schema.f[i].name);
    assert_true(f.want[0] && f.want[1] && f.want[2] && !f.want[3]);
    for (int again = 0; again < 2; again++) {
        apply(&f, "'a', '2024-02-26', 1.0, 1; 'a', '2024-02-28', 3.0, 1; "
                  "NULL, '2023-12-30', 5.0, 1; NULL, '2023-12-31', 5.0, 1");
        EQ_I64(4, f.out.rows);
        size_t n;
        assert_null(transform_forecast.rejected(f.state, &n));
        is_text("a", batch_cell(&f.out, 0, 0));
        is_text("2024-02-29", batch_cell(&f.out, 1, 0));
        is_text("2024-03-01", batch_cell(&f.out, 1, 1));
        EQ_I64(CELL_NULL, batch_cell(&f.out, 0, 2).kind);
        is_text("2024-01-01", batch_cell(&f.out, 1, 2));
        assert_true(fabs(batch_cell(&f.out, 2, 1).r - 5) < 0.01);
        assert_true(fabs(batch_cell(&f.out, 2, 2).r - 5) < 0.01);
        assert_true(batch_cell(&f.out, 3, 1).r < 5 && batch_cell(&f.out, 4, 1).r > 5);
    }
    closed(&f);
}

static void a_series_may_have_no_name_or_several(void **state)
{
    (void)state;
    struct fixture f = opened("ds any, y any", "", 1, STEP_MONTH);
    apply(&f, "'2024-01-31T00:00:00Z', 1; '2024-02-29 00:00', NULL; '2024-03-31', 3.0");
    EQ_I64(1, f.out.rows);
    is_text("2024-04-30", batch_cell(&f.out, 0, 0));
    closed(&f);
    f = opened("a integer, b boolean, ds text, y integer", "ba", 1, STEP_WEEK);
    apply(&f, "1, 0, '2024-01-01', 1; 1, 0, '2024-01-15', 1; 1, 1, '2024-01-01', 2; "
              "1, 1, '2024-01-08', 2");
    EQ_I64(2, f.out.rows);
    EQ_I64(1, batch_cell(&f.out, 0, 1).i);
    EQ_I64(1, batch_cell(&f.out, 1, 1).i);
    is_text("2024-01-22", batch_cell(&f.out, 2, 0));
    is_text("2024-01-15", batch_cell(&f.out, 2, 1));
    closed(&f);
}

// ---- what is wrong with a row, or with a series ----

struct wrong {
    const char *name;
    enum step_every every;
    const char *rows;
    uint32_t rejected, left; // rows of the result
    const char *reason;
};

#define GOOD "'z', '2024-01-01', 1.0, 1; 'z', '2024-01-02', 1.0, 1"
#define LINE "'a', '2024-01-01', 1.0, 1; 'a', '2024-01-02', 2.0, 1; "

static const struct wrong wrong[] = {
    { "a_text_for_a_date", STEP_DAY, LINE "'a', 'never', 2.0, 1; " GOOD, 1, 2,
      "ds: 'never' is no date: YYYY-MM-DD" },
    { "no_date", STEP_DAY, LINE "'a', NULL, 2.0, 1; " GOOD, 1, 2,
      "ds: a row without a date" },
    { "a_day_that_there_is_not", STEP_DAY, LINE "'a', '2023-02-29', 2.0, 1; " GOOD, 1, 2,
      "ds: '2023-02-29' is no date: YYYY-MM-DD" },
    { "a_time_of_day", STEP_DAY, LINE "'a', '2024-01-03 10:00:00', 2.0, 1; " GOOD, 1, 2,
      "ds: '2024-01-03 10:00:00' is a time of day, and a series has dates: sum its values "
      "up by date" },
    { "a_value_that_is_no_number", STEP_DAY, LINE "'a', '2024-01-03', 'NaN', 1; " GOOD, 1,
      2, "y: 'NaN' is no number" },
    { "dates_that_descend", STEP_DAY, LINE "'a', '2023-12-31', 2.0, 1; " GOOD, 3, 1,
      "ds: 2023-12-31 comes after 2024-01-02: order the rows by the columns of the series, "
      "then by date" },
    { "a_date_twice", STEP_DAY, LINE "'a', '2024-01-02', 2.0, 1; " GOOD, 3, 1,
      "ds: 2024-01-02 comes after 2024-01-02: a series has one row a date: sum them up "
      "first" },
    { "half_a_week", STEP_WEEK, LINE "'z', '2024-01-01', 1.0, 1; 'z', '2024-01-15', 1.0, 1",
      2, 1, "ds: 2024-01-02 comes after 2024-01-01: weeks begin on one weekday" },
    { "a_month_twice", STEP_MONTH,
      LINE "'z', '2024-01-31', 1.0, 1; 'z', '2024-02-01', 1.0, 1", 2, 1,
      "ds: 2024-01-02 comes after 2024-01-01: a series has one row a month: sum them "
      "up first" },
    { "one_value", STEP_DAY, "'a', '2024-01-01', 1.0, 1; " GOOD, 1, 1,
      "ds: a series of 1 value: two are the least" },
    { "no_value_but_dates", STEP_DAY,
      "'a', '2024-01-01', NULL, 1; 'a', '2024-01-02', NULL, 1; " GOOD, 2, 1,
      "ds: a series of 0 values: two are the least" },
    { "the_end_of_time", STEP_DAY,
      "'a', '9999-12-30', 1.0, 1; 'a', '9999-12-31', 1.0, 1; " GOOD, 2, 1,
      "ds: 1 periods ahead are past the year 9999" },
    { "the_end_of_numbers", STEP_DAY,
      "'a', '2024-01-01', -1.7e308, 1; 'a', '2024-01-02', 1.7e308, 1; " GOOD, 2, 1,
      "ds: its values are so large that what comes next is no number" },
    { "rows_that_do_not_stand_together", STEP_DAY,
      LINE GOOD "; 'a', '2024-01-03', 1.0, 1; 'a', '2024-01-04', 1.0, 1", 4, 1,
      "ds: the rows of this series do not stand together: order them by its columns, then "
      "by date" },
};

static void is_rejected(void **state)
{
    const struct wrong *w = *state;
    struct fixture f = opened(COLUMNS, "g", 1, w->every);
    apply(&f, w->rows);
    size_t n;
    char got[400];
    const struct transform_reject *r = transform_forecast.rejected(f.state, &n);
    EQ_I64(w->rejected, n);
    snprintf(got, sizeof got, "%s: %s", r->column, r->reason);
    assert_string_equal(w->reason, got);
    for (size_t i = 1; i < n; i++)
        assert_true(r[i - 1].row < r[i].row);
    EQ_I64(w->left, f.out.rows);
    is_text("z", batch_cell(&f.out, 0, f.out.rows - 1));
    closed(&f);
}

// ---- limits ----

// One series of so many days.
static void apply_long(struct fixture *f, uint32_t n)
{
    struct batch *b = &f->batch;
    PASS(&e, batch_start(b, &f->in, &e));
    char *dates = arena_alloc(&b->mem, (size_t)n * 11);
    assert_non_null(dates);
    for (uint32_t i = 0; i < b->n_cols; i++) {
        b->col[i].absent = false;
        b->col[i].any = arena_alloc(&b->mem, n * sizeof *b->col[i].any);
        assert_non_null(b->col[i].any);
    }
    for (uint32_t i = 0; i < n; i++) {
        snprintf(dates + 11 * i, 11, "%04u-%02u-%02u", 1000 + i / 336 % 1000,
                 1 + i / 28 % 12, 1 + i % 28);
        b->col[0].any[i] = (struct cell){ .kind = CELL_INTEGER };
        b->col[1].any[i] = (struct cell){ .kind = CELL_TEXT,
                                          .len = 10,
                                          .p = (const uint8_t *)dates + 11 * i };
        b->col[2].any[i] = (struct cell){ .kind = CELL_REAL, .r = i };
    }
    b->rows = n;
    PASS(&e, transform_forecast.apply(f->state, b, &f->out, NS_NEVER, &e));
}

static void a_series_is_as_long_as_it_may_be(void **state)
{
    (void)state;
    struct fixture f = opened("g any, ds any, y any", "g", 1, STEP_DAY);
    size_t n;
    apply_long(&f, 20000);
    EQ_I64(1, f.out.rows);
    apply_long(&f, 20001);
    EQ_I64(0, f.out.rows);
    const struct transform_reject *r = transform_forecast.rejected(f.state, &n);
    EQ_I64(20001, n);
    assert_string_equal(
        "more than 20000 values in a series: sum them up to weeks or months", r->reason);
    closed(&f);
}

static void a_batch_has_a_deadline_and_a_size(void **state)
{
    (void)state;
    struct fixture f = opened(COLUMNS, "g", STEP_PERIODS_MAX, STEP_DAY);
    batch_of(&f.batch, &f.in, GOOD);
    EXPECT(ERR_TIMEOUT, &e, transform_forecast.apply(f.state, &f.batch, &f.out, 0, &e));
    transform_forecast.close(&f.state);
    f.spec.memory_bytes = 16 << 20;
    schema_free(&f.out_schema);
    PASS(&e, transform_forecast.open(&f.state, &f.spec, &f.in, &f.step, f.want,
                                     &f.out_schema, &e));
    struct buf rows = { 0 };
    for (int i = 0; i < 40; i++)
        PASS(&e, buf_printf(&rows, &e, "%s'%d', '2024-01-01', 1.0, 1", i ? "; " : "", i));
    PASS(&e, buf_add(&rows, "", 1, &e));
    batch_of(&f.batch, &f.in, (const char *)rows.p);
    EXPECT(ERR_TOOBIG, &e,
           transform_forecast.apply(f.state, &f.batch, &f.out, NS_NEVER, &e));
    assert_string_equal("the forecast of 40 series by 10000 periods needs more than 8 MiB "
                        "for one batch: make batches smaller, or raise "
                        "limits.worker_memory",
                        e.text);
    buf_free(&rows);
    closed(&f);
}

// ---- columns ----

struct column {
    const char *name, *columns, *by, *says;
};

static const struct column bad_columns[] = {
    { "no_dates", "g text, y real", "g", "no column 'ds'; there are g, y" },
    { "no_values", "g text, ds date", "g", "no column 'y'; there are g, ds" },
    { "no_such_series", "ds date, y real", "g", "no column 'g'; there are ds, y" },
    { "no_columns_at_all", "", "g", "no column 'g'; there are none" },
    { "a_series_twice", "g text, ds date, y real", "gG", "the column 'g' is given twice" },
};

static void cannot_be_opened(void **state)
{
    const struct column *c = *state;
    struct fixture f = { .step.kind = STEP_FORECAST, .step.forecast.periods = 1 };
    PASS(&e, step_forecast_init(&f.step.forecast, &e));
    for (const char *p = c->by; *p; p++)
        PASS(&e, strings_add(&f.step.forecast.by, p, 1, &e));
    if (*c->columns) schema_of(&f.in, c->columns);
    EXPECT(ERR_TRANSFORM, &e,
           transform_forecast.open(&f.state, &f.spec, &f.in, &f.step, f.want, &f.out_schema,
                                   &e));
    assert_string_equal(c->says, e.text);
    assert_null(f.state);
    closed(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_series_goes_on_by_itself),
        cmocka_unit_test(a_series_may_have_no_name_or_several),
        cmocka_unit_test(a_series_is_as_long_as_it_may_be),
        cmocka_unit_test(a_batch_has_a_deadline_and_a_size),
    };
    int bad = test_main("xf_forecast", tests, N_OF(tests), TABLE(wrong, is_rejected),
                        N_OF(wrong));
    return bad | test_main("xf_forecast columns", NULL, 0,
                           TABLE(bad_columns, cannot_be_opened), N_OF(bad_columns));
}
