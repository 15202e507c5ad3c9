#include "coordinator/chart_read_impl.h"

#include "common/plot_axis.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- what x is ----

#define FINITE "x BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308"

static bool times_between(sqlite3_stmt *q, struct chart_part *p)
{
    const char *lo = (const char *)sqlite3_column_text(q, 4);
    const char *hi = (const char *)sqlite3_column_text(q, 5);
    return lo && hi && plot_time_read(lo, strlen(lo), &p->x_lo) &&
           plot_time_read(hi, strlen(hi), &p->x_hi);
}

// Times with zones do not sort as texts do.
static void put_in_order(struct chart_part *p)
{
    if (p->x_hi < p->x_lo) {
        double x = p->x_lo;
        p->x_lo = p->x_hi;
        p->x_hi = x;
    }
}

static err_t look_at_x(struct chart_reading *r, struct chart_part *p)
{
    sqlite3_stmt *q;
    err_t rc = chart_ask(
        r, p->table, &q,
        "SELECT total(typeof(x) IN ('integer', 'real')), total(typeof(x) ="
        " 'text'), min(x) FILTER (WHERE typeof(x) IN ('integer', 'real') AND " FINITE
        "), max(x) FILTER (WHERE typeof(x) IN ('integer', 'real') AND " FINITE
        "), min(x) FILTER (WHERE typeof(x) = 'text'), max(x) FILTER"
        " (WHERE typeof(x) = 'text'), count(*) FROM (%s)",
        p->rows);
    bool any = q && chart_next(r, p->table, q, &rc);
    if (!any) return rc;
    bool numbers = sqlite3_column_type(q, 2) != SQLITE_NULL;
    p->x_lo = sqlite3_column_double(q, 2);
    p->x_hi = sqlite3_column_double(q, 3);
    if (sqlite3_column_int64(q, 6) == 0)
        rc = chart_note(r, "the table %.200s has no rows", p->table);
    else if (sqlite3_column_double(q, 1) == 0 && numbers)
        p->kind = CHART_OF_NUMBERS;
    else if (sqlite3_column_double(q, 1) == 0)
        rc = chart_note(r, "the column %.200s of %.200s has neither numbers nor texts",
                        p->x, p->table);
    else if (sqlite3_column_double(q, 0) == 0 && times_between(q, p))
        p->kind = CHART_OF_TIMES;
    else
        p->kind = CHART_OF_TEXTS;
    put_in_order(p);
    sqlite3_finalize(q);
    return rc;
}

// ---- all of it ----

// What both tables have along the bottom.
static err_t join_ranges(struct chart_reading *r, const struct chart_part *p,
                         struct chart_part *ahead)
{
    struct chart_data *d = r->d;
    d->kind = p->kind;
    d->x_lo = p->x_lo, d->x_hi = p->x_hi;
    if (!ahead->table || ahead->kind == CHART_EMPTY) {
        ahead->table = NULL;
    } else if (p->kind != CHART_OF_TIMES || ahead->kind != CHART_OF_TIMES) {
        TRY(chart_note(r, "the forecast %.200s is not drawn: x of both must be dates",
                       ahead->table));
        ahead->table = NULL;
    } else {
        d->x_lo = fmin(d->x_lo, ahead->x_lo);
        d->x_hi = fmax(d->x_hi, ahead->x_hi);
    }
    for (uint32_t i = 0; i < d->n; i++) {
        d->series[i].line.x_lo = d->series[i].ahead.x_lo = d->x_lo;
        d->series[i].line.x_hi = d->series[i].ahead.x_hi = d->x_hi;
    }
    return ERR_OK;
}

// As far as there are points: groups may be left out.
static void see_range(struct chart_data *d, const struct plot_line *l, bool *any)
{
    if (!l->n) return;
    d->x_lo = *any ? fmin(d->x_lo, l->v[0].x) : l->v[0].x;
    d->x_hi = *any ? fmax(d->x_hi, l->v[l->n - 1].x) : l->v[l->n - 1].x;
    *any = true;
}

static err_t end_lines(struct chart_reading *r)
{
    struct chart_data *d = r->d;
    uint64_t rows = 0, again = r->again;
    bool thinned = false, any = false;
    for (uint32_t i = 0; i < d->n; i++) {
        struct plot_line *both[] = { &d->series[i].line, &d->series[i].ahead };
        for (int k = 0; k < 2; k++) {
            plot_line_end(both[k]);
            see_range(d, both[k], &any);
            rows += both[k]->rows;
            again += both[k]->at_once;
            thinned |= plot_line_thinned(both[k]);
        }
    }
    if (thinned)
        TRY(chart_note(
            r,
            "%llu values: of each part of the width the first, the last, the lowest "
            "and the highest are drawn",
            (unsigned long long)rows));
    if (again && d->kind == CHART_OF_TEXTS)
        TRY(chart_note(
            r,
            "%llu values are not drawn: their %.200s has a bar already, that of its "
            "first row",
            (unsigned long long)again, r->c->x));
    else if (again)
        TRY(chart_note(r, "%llu values stand over a %.200s that has one already%s",
                       (unsigned long long)again, r->c->x,
                       r->c->by ? "" : "; by draws a line for each value of a column"));
    return ERR_OK;
}

static err_t note_what_is_left_out(struct chart_reading *r)
{
    const struct chart *c = r->c;
    if (r->no_x)
        TRY(chart_note(r, "%llu rows have no %s in %.200s, and are not drawn",
                       (unsigned long long)r->no_x,
                       r->d->kind == CHART_OF_TIMES ? "date" : "number", c->x));
    if (r->no_y)
        TRY(chart_note(r,
                       "%llu values are no numbers, and are not drawn; the first is '%s'",
                       (unsigned long long)r->no_y, r->odd));
    if (r->beyond)
        TRY(chart_note(r, "the first %d values of %.200s are drawn, %llu rows have others",
                       CHART_BARS, c->x, (unsigned long long)r->beyond));
    return ERR_OK;
}

// A part whose columns are all there, and which has rows, gets its kind.
static err_t prepare(struct chart_reading *r, struct chart_part *p)
{
    TRY(chart_select(r, p));
    return p->rows ? look_at_x(r, p) : ERR_OK;
}

static err_t read_parts(struct chart_reading *r, struct chart_part *p,
                        struct chart_part *ahead)
{
    TRY(prepare(r, p));
    if (p->kind == CHART_EMPTY) return ERR_OK;
    if (ahead->table) TRY(prepare(r, ahead));
    TRY(chart_add_lines(r, p));
    TRY(join_ranges(r, p, ahead));
    TRY(chart_add_rows(r, p));
    if (ahead->table) TRY(chart_add_rows(r, ahead));
    if (r->broken) r->d->kind = CHART_EMPTY; // half of it would mislead
    if (r->broken) return ERR_OK;
    TRY(end_lines(r));
    return note_what_is_left_out(r);
}

static err_t open_and_read(struct chart_reading *r)
{
    static const char *const yhat[] = { "yhat" };
    const struct chart *c = r->c;
    struct chart_part p = { .table = c->table,
                            .x = c->x,
                            .y = (const char *const *)c->y.v,
                            .n_y = c->y.n,
                            .lower = c->band.n ? c->band.v[0] : NULL,
                            .upper = c->band.n ? c->band.v[1] : NULL,
                            .by = c->by,
                            .last = c->last };
    struct chart_part ahead = { .table = c->forecast,
                                .x = "ds",
                                .y = yhat,
                                .n_y = 1,
                                .lower = "yhat_lower",
                                .upper = "yhat_upper",
                                .by = c->by,
                                .ahead = true };
    TRY(chart_open(r));
    err_t rc = r->db ? read_parts(r, &p, &ahead) : ERR_OK;
    sqlite3_free(p.rows);
    sqlite3_free(ahead.rows);
    return rc;
}

err_t chart_read(const struct chart *c, uint32_t *patience, struct chart_data *out,
                 struct err *e)
{
    struct chart_reading r = { .c = c, .d = out, .e = e, .patience = patience };
    *out = (struct chart_data){ 0 };
    if (strncmp(c->into, "postgres", 8) == 0)
        return chart_note(
            &r, "the table %.200s is in PostgreSQL, whose tables are not drawn", c->table);
    err_t rc = open_and_read(&r);
    sqlite3_close(r.db);
    return rc;
}

void chart_data_free(struct chart_data *d)
{
    for (uint32_t i = 0; i < d->n; i++) {
        free(d->series[i].name);
        plot_line_free(&d->series[i].line);
        plot_line_free(&d->series[i].ahead);
    }
    free(d->series);
    strings_free(&d->texts);
    strings_free(&d->notes);
    *d = (struct chart_data){ 0 };
}
