// Cuts a batch into series, has each fitted, and writes what the model says.

#include "common/civil.h"
#include "common/csv_value.h"
#include "common/hash.h"
#include "common/row_code.h"
#include "common/text.h"
#include "worker/forecast_model.h"
#include "worker/transform.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DATE_BYTES = 10 }; // YYYY-MM-DD

struct series {
    uint32_t first, rows;
    struct hash128 name; // of the values of its columns
};

struct xf_forecast {
    struct schema result;
    char *ds_name, *y_name;
    uint32_t *by, n_by, ds, y; // columns of the input
    uint32_t periods;
    enum calendar_step step;
    uint64_t max_bytes;
    struct forecast_model *model;

    // Of a batch.
    struct series *series;
    uint32_t n_series, cap_series;
    struct transform_reject *rejects;
    uint32_t n_rejects, cap_rejects;
    struct arena reasons;
    struct buf name, before; // of two rows that follow each other

    // Of a series: what was read of it.
    int64_t day[FORECAST_POINTS_MAX];
    double value[FORECAST_POINTS_MAX];
    uint32_t n;
};

static err_t no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory: a forecast");
}

// ---- opening ----

static err_t find(const struct schema *in, const char *name, bool *want, uint32_t *at,
                  struct err *e)
{
    struct buf all = { 0 };
    int i = schema_find(in, name);
    if (i >= 0) {
        want[i] = true;
        *at = (uint32_t)i;
        return ERR_OK;
    }
    err_t rc = ERR_OK;
    for (uint32_t k = 0; rc == ERR_OK && k < in->n && all.n < 400; k++)
        rc = buf_printf(&all, e, "%s%.60s", k ? ", " : "", in->f[k].name);
    if (rc == ERR_OK)
        rc = err_set(e, ERR_TRANSFORM, "no column '%.100s'; there are %.400s", name,
                     all.n ? (const char *)all.p : "none");
    buf_free(&all);
    return rc;
}

static err_t columns(struct xf_forecast *x, const struct schema *in,
                     const struct step_forecast *f, bool *want, struct err *e)
{
    static const char *const said[] = { "yhat", "yhat_lower", "yhat_upper" };
    x->by = calloc(f->by.n + 1, sizeof *x->by);
    x->ds_name = strdup(f->ds);
    x->y_name = strdup(f->y);
    if (!x->by || !x->ds_name || !x->y_name) return no_memory(e);
    for (; x->n_by < f->by.n; x->n_by++) {
        TRY(find(in, f->by.v[x->n_by], want, &x->by[x->n_by], e));
        const struct field *by = &in->f[x->by[x->n_by]];
        if (schema_find(&x->result, by->name) >= 0)
            return err_set(e, ERR_TRANSFORM, "the column '%.100s' is given twice",
                           by->name);
        TRY(schema_add(&x->result, by->name, strlen(by->name), by->type, false, e));
    }
    TRY(find(in, f->ds, want, &x->ds, e));
    TRY(find(in, f->y, want, &x->y, e));
    if (schema_find(&x->result, "ds") >= 0)
        return err_set(e, ERR_TRANSFORM,
                       "'ds' is a column of the result and "
                       "cannot name a series");
    TRY(schema_add(&x->result, "ds", 2, TYPE_DATE, false, e));
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        TRY(schema_add(&x->result, said[i], strlen(said[i]), TYPE_REAL, false, e));
    return ERR_OK;
}

static err_t model(struct xf_forecast *x, const struct step_forecast *f, struct err *e)
{
    static const enum calendar_step steps[] = { [STEP_DAY] = CALENDAR_DAY,
                                                [STEP_WEEK] = CALENDAR_WEEK,
                                                [STEP_MONTH] = CALENDAR_MONTH };
    x->step = steps[f->every];
    x->periods = f->periods;
    struct forecast_rule r = { .step = x->step,
                               .holidays = f->holidays == STEP_HOLIDAYS_US,
                               .interval = f->permille / 1000.0 };
    x->model = forecast_model_new(&r);
    return x->model ? ERR_OK : no_memory(e);
}

static void close_forecast(void **state)
{
    struct xf_forecast *x = *state;
    *state = NULL;
    if (!x) return;
    forecast_model_free(&x->model);
    schema_free(&x->result);
    free(x->by);
    free(x->ds_name);
    free(x->y_name);
    free(x->series);
    free(x->rejects);
    arena_free(&x->reasons);
    buf_free(&x->name);
    buf_free(&x->before);
    free(x);
}

static err_t open_forecast(void **state, const struct spec *spec, const struct schema *in,
                           const struct step *step, bool *want, struct schema *out_schema,
                           struct err *e)
{
    enum { SHARE = 2, USUAL = 512 << 20 };
    struct xf_forecast *x = calloc(1, sizeof *x);
    *state = x;
    if (!x) return no_memory(e);
    x->max_bytes = spec->memory_bytes ? spec->memory_bytes / SHARE : USUAL;
    err_t rc = columns(x, in, &step->forecast, want, e);
    if (rc == ERR_OK) rc = model(x, &step->forecast, e);
    if (rc == ERR_OK) rc = schema_copy(out_schema, &x->result, e);
    if (rc != ERR_OK) close_forecast(state);
    return rc;
}

// ---- rows that say nothing ----

static err_t reject(struct xf_forecast *x, uint32_t row, const char *column,
                    const char *reason, struct err *e)
{
    if (x->n_rejects == x->cap_rejects) {
        uint32_t cap = x->cap_rejects ? 2 * x->cap_rejects : 64;
        struct transform_reject *v = realloc(x->rejects, cap * sizeof *v);
        if (!v) return no_memory(e);
        x->rejects = v;
        x->cap_rejects = cap;
    }
    x->rejects[x->n_rejects++] = (struct transform_reject){ row, column, reason };
    return ERR_OK;
}

// All of a series, also the rows that were rejected alone before.
__attribute__((format(printf, 5, 6))) static err_t
reject_series(struct xf_forecast *x, const struct series *s, uint32_t rejects_before,
              struct err *e, const char *fmt, ...)
{
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const char *reason = arena_strdup(&x->reasons, text, strlen(text));
    if (!reason) return no_memory(e);
    x->n_rejects = rejects_before;
    x->n = 0;
    for (uint32_t i = 0; i < s->rows; i++)
        TRY(reject(x, s->first + i, x->ds_name, reason, e));
    return ERR_OK;
}

// ---- which rows are a series ----

static err_t name_of(const struct xf_forecast *x, const struct batch *in, uint32_t row,
                     struct buf *to, struct err *e)
{
    to->n = 0;
    for (uint32_t i = 0; i < x->n_by; i++) {
        struct cell c = vec_cell(&in->col[x->by[i]], row);
        TRY(row_code_put(to, &c, e));
    }
    return ERR_OK;
}

static err_t begin_series(struct xf_forecast *x, uint32_t row, struct err *e)
{
    if (x->n_series == x->cap_series) {
        uint32_t cap = x->cap_series ? 2 * x->cap_series : 64;
        struct series *v = realloc(x->series, cap * sizeof *v);
        if (!v) return no_memory(e);
        x->series = v;
        x->cap_series = cap;
    }
    x->series[x->n_series++] =
        (struct series){ .first = row, .name = hash_bytes(x->name.p, x->name.n) };
    return ERR_OK;
}

static err_t find_series(struct xf_forecast *x, const struct batch *in, struct err *e)
{
    x->n_series = 0;
    for (uint32_t row = 0; row < in->rows; row++) {
        struct buf before = x->before;
        x->before = x->name;
        x->name = before;
        TRY(name_of(x, in, row, &x->name, e));
        bool same = row > 0 && x->name.n == x->before.n &&
                    (x->name.n == 0 || memcmp(x->name.p, x->before.p, x->name.n) == 0);
        if (!same) TRY(begin_series(x, row, e));
        x->series[x->n_series - 1].rows++;
    }
    return ERR_OK;
}

static int by_name(const void *a_, const void *b_)
{
    const struct series *a = a_, *b = b_;
    if (a->name.hi != b->name.hi) return a->name.hi < b->name.hi ? -1 : 1;
    if (a->name.lo != b->name.lo) return a->name.lo < b->name.lo ? -1 : 1;
    return a->first < b->first ? -1 : 1;
}

static int by_row(const void *a_, const void *b_)
{
    const struct series *a = a_, *b = b_;
    return a->first < b->first ? -1 : a->first > b->first;
}

// Of series with one name none can be taken for the whole. *torn has a bit for each, in the
// order of their rows.
static err_t find_torn(struct xf_forecast *x, bool **torn, struct err *e)
{
    uint32_t n = x->n_series;
    *torn = calloc((size_t)n + 1, sizeof **torn);
    struct series *sorted = malloc(((size_t)n + 1) * sizeof *sorted);
    if (!*torn || !sorted) {
        free(sorted);
        return no_memory(e);
    }
    if (n) memcpy(sorted, x->series, n * sizeof *sorted);
    if (n) qsort(sorted, n, sizeof *sorted, by_name);
    for (uint32_t i = 1; i < n; i++) {
        if (!hash_equal(sorted[i - 1].name, sorted[i].name)) continue;
        for (uint32_t k = i - 1; k <= i; k++) {
            struct series *s = bsearch(&sorted[k], x->series, n, sizeof *s, by_row);
            (*torn)[s - x->series] = true;
        }
    }
    free(sorted);
    return ERR_OK;
}

// ---- what a row says ----

static const char *show(const struct cell *c, char to[TEXT_QUOTED])
{
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)(c->len < 60 ? c->len : 60),
             (const char *)c->p);
    return text_quoted(text, to);
}

static const char *date(int64_t day, char to[DATE_BYTES + 1])
{
    struct civil c = civil_of(day);
    snprintf(to, DATE_BYTES + 1, "%04u-%02u-%02u", (unsigned)c.year % 10000,
             (unsigned)c.month % 100, (unsigned)c.day % 100);
    return to;
}

static int number(const uint8_t *p, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++)
        v = 10 * v + (p[i] - '0');
    return v;
}

// A date, or a timestamp at midnight. NULL: fine; else what is wrong.
static const char *read_day(const struct cell *c, int64_t *day)
{
    if (c->kind == CELL_NULL) return "a row without a date";
    if (c->kind != CELL_TEXT) return "a number, and no date: YYYY-MM-DD";
    bool time = csv_is_timestamp(c->p, c->len);
    if (!time && !csv_is_date(c->p, c->len)) return "no date: YYYY-MM-DD";
    for (uint32_t i = DATE_BYTES; i < c->len; i++)
        if (!strchr("T 0:.Z", c->p[i]))
            return "a time of day, and a series has dates: sum its values up by date";
    *day = civil_days(
        (struct civil){ number(c->p, 4), number(c->p + 5, 2), number(c->p + 8, 2) });
    return *day < CIVIL_FIRST ? "no date: there is no year 0" : NULL;
}

static const char *read_value(const struct cell *c, double *value)
{
    switch ((enum cell_kind)c->kind) {
    case CELL_INTEGER: *value = (double)c->i; return NULL;
    case CELL_REAL: *value = c->r; break;
    default: return "no number";
    }
    return *value - *value == 0 ? NULL : "no finite number";
}

static err_t reject_cell(struct xf_forecast *x, uint32_t row, const char *column,
                         const struct cell *c, const char *why, struct err *e)
{
    char text[200], shown[TEXT_QUOTED];
    bool has_text = c->kind == CELL_TEXT;
    snprintf(text, sizeof text, "%s%s%s", has_text ? show(c, shown) : "",
             has_text ? " is " : "", why);
    const char *reason = arena_strdup(&x->reasons, text, strlen(text));
    return reason ? reject(x, row, column, reason, e) : no_memory(e);
}

// Why the day cannot follow the one before; NULL: it can.
static const char *wrong_order(const struct xf_forecast *x, int64_t before, int64_t day)
{
    if (day < before) return "order the rows by the columns of the series, then by date";
    if (day == before) return "a series has one row a date: sum them up first";
    if (x->step == CALENDAR_WEEK && (day - before) % 7) return "weeks begin on one weekday";
    struct civil a = civil_of(before), b = civil_of(day);
    if (x->step == CALENDAR_MONTH && a.year == b.year && a.month == b.month)
        return "a series has one row a month: sum them up first";
    return NULL;
}

// *over: nothing more is to be read of this series.
static err_t read_row(struct xf_forecast *x, const struct series *s,
                      uint32_t rejects_before, const struct batch *in, uint32_t row,
                      bool *over, struct err *e)
{
    char a[DATE_BYTES + 1], b[DATE_BYTES + 1];
    struct cell ds = vec_cell(&in->col[x->ds], row), y = vec_cell(&in->col[x->y], row);
    int64_t day;
    double value;
    const char *why = read_day(&ds, &day);
    if (why) return reject_cell(x, row, x->ds_name, &ds, why, e);
    if (y.kind == CELL_NULL) return ERR_OK;
    why = read_value(&y, &value);
    if (why) return reject_cell(x, row, x->y_name, &y, why, e);
    why = x->n ? wrong_order(x, x->day[x->n - 1], day) : NULL;
    *over = why || x->n == FORECAST_POINTS_MAX;
    if (why)
        return reject_series(x, s, rejects_before, e, "%s comes after %s: %s", date(day, b),
                             date(x->day[x->n - 1], a), why);
    if (*over)
        return reject_series(x, s, rejects_before, e,
                             "more than %d values in a series: sum them up to weeks or "
                             "months",
                             FORECAST_POINTS_MAX);
    x->day[x->n] = day;
    x->value[x->n++] = value;
    return ERR_OK;
}

// x->n is 0 when nothing can be said of the series.
static err_t read_series(struct xf_forecast *x, const struct series *s,
                         const struct batch *in, struct err *e)
{
    uint32_t before = x->n_rejects;
    bool over = false;
    x->n = 0;
    for (uint32_t i = 0; i < s->rows && !over; i++)
        TRY(read_row(x, s, before, in, s->first + i, &over, e));
    if (over) return ERR_OK;
    if (x->n < 2)
        return reject_series(x, s, before, e, "a series of %u value%s: two are the least",
                             x->n, x->n == 1 ? "" : "s");
    if (calendar_after(x->day[x->n - 1], x->step, x->periods) > CIVIL_LAST)
        return reject_series(x, s, before, e, "%u periods ahead are past the year 9999",
                             x->periods);
    return ERR_OK;
}

// ---- the result ----

// Room for `rows` of them, all values there.
static err_t make_columns(const struct xf_forecast *x, struct batch *out, uint32_t rows,
                          struct err *e)
{
    size_t bitmap = batch_words(rows) * sizeof(uint64_t);
    for (uint32_t i = 0; i < out->n_cols; i++) {
        struct vec *v = &out->col[i];
        v->absent = false;
        if (i < x->n_by) {
            v->type = TYPE_ANY;
            v->any = arena_alloc(&out->mem, ((size_t)rows + 1) * sizeof *v->any);
            if (!v->any) return no_memory(e);
            continue;
        }
        v->valid = arena_alloc(&out->mem, bitmap);
        if (i == x->n_by) {
            v->off = arena_alloc(&out->mem, ((size_t)rows + 1) * sizeof *v->off);
            v->bytes = arena_alloc(&out->mem, (size_t)rows * DATE_BYTES + 16);
        } else {
            v->f64 = arena_alloc(&out->mem, ((size_t)rows + 1) * sizeof *v->f64);
        }
        if (!v->valid || !v->off || (i == x->n_by && !v->bytes)) return no_memory(e);
        memset(v->valid, 0xff, bitmap);
        if (i == x->n_by) memset(v->bytes, 0, (size_t)rows * DATE_BYTES + 16);
        if (i == x->n_by) v->off[0] = 0;
    }
    return ERR_OK;
}

static err_t make_room(const struct xf_forecast *x, const struct batch *in,
                       struct batch *out, struct err *e)
{
    enum { LIMIT = UINT32_MAX / DATE_BYTES - 64 };
    uint64_t rows = (uint64_t)x->n_series * x->periods;
    uint64_t row_bytes = x->n_by * sizeof(struct cell) + DATE_BYTES + 4 + 3 * 8 + 1;
    uint64_t held = (uint64_t)in->rows * sizeof *x->rejects;
    if (rows > LIMIT || rows * row_bytes + held > x->max_bytes)
        return err_set(e, ERR_TOOBIG,
                       "the forecast of %u series by %u periods needs more than %llu MiB "
                       "for one batch: make batches smaller, or raise "
                       "limits.worker_memory",
                       x->n_series, x->periods, (unsigned long long)x->max_bytes >> 20);
    return make_columns(x, out, (uint32_t)rows, e);
}

static void put_row(const struct xf_forecast *x, const struct batch *in, uint32_t from,
                    int64_t day, const struct forecast_point *p, struct batch *out)
{
    uint32_t row = out->rows++;
    struct vec *said = out->col + x->n_by;
    char text[DATE_BYTES + 1];
    for (uint32_t i = 0; i < x->n_by; i++)
        out->col[i].any[row] = vec_cell(&in->col[x->by[i]], from);
    memcpy(said[0].bytes + (size_t)row * DATE_BYTES, date(day, text), DATE_BYTES);
    said[0].off[row + 1] = (row + 1) * DATE_BYTES;
    said[1].f64[row] = p->yhat;
    said[2].f64[row] = p->lower;
    said[3].f64[row] = p->upper;
}

static err_t foretell(struct xf_forecast *x, const struct series *s, const struct batch *in,
                      struct batch *out, struct err *e)
{
    uint32_t first = out->rows, before = x->n_rejects;
    TRY(forecast_model_fit(x->model, x->day, x->value, x->n, e));
    for (uint32_t i = 1; i <= x->periods; i++) {
        struct forecast_point p;
        int64_t day = calendar_after(x->day[x->n - 1], x->step, i);
        if (forecast_model_at(x->model, day, &p)) {
            put_row(x, in, s->first, day, &p, out);
            continue;
        }
        out->rows = first;
        return reject_series(x, s, before, e,
                             "its values are so large that what comes next is no number");
    }
    return ERR_OK;
}

static err_t take_series(struct xf_forecast *x, const struct batch *in, struct batch *out,
                         const bool *torn, ns_t deadline, struct err *e)
{
    for (uint32_t i = 0; i < x->n_series; i++) {
        const struct series *s = &x->series[i];
        if (clock_ns() >= deadline)
            return err_set(e, ERR_TIMEOUT,
                           "the forecast ran past the time limit of its batch");
        if (torn[i]) {
            TRY(reject_series(x, s, x->n_rejects, e,
                              "the rows of this series do not stand together: order them "
                              "by its columns, then by date"));
            continue;
        }
        TRY(read_series(x, s, in, e));
        if (x->n) TRY(foretell(x, s, in, out, e));
    }
    return ERR_OK;
}

static err_t apply_forecast(void *state, const struct batch *in, struct batch *out,
                            ns_t deadline, struct err *e)
{
    struct xf_forecast *x = state;
    bool *torn = NULL;
    x->n_rejects = 0;
    arena_reset(&x->reasons);
    TRY(batch_start(out, &x->result, e));
    TRY(find_series(x, in, e));
    TRY(make_room(x, in, out, e));
    err_t rc = find_torn(x, &torn, e);
    if (rc == ERR_OK) rc = take_series(x, in, out, torn, deadline, e);
    free(torn);
    return rc;
}

static const struct transform_reject *rejected(void *state, size_t *n)
{
    struct xf_forecast *x = state;
    *n = x->n_rejects;
    return *n ? x->rejects : NULL;
}

const struct transform_ops transform_forecast = { .name = "forecast",
                                                  .open = open_forecast,
                                                  .apply = apply_forecast,
                                                  .rejected = rejected,
                                                  .close = close_forecast };
