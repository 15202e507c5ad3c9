// The values of a chart: which lines there are, and the points or bars of each.

#include "coordinator/chart_read_impl.h"

#include "common/plot_axis.h"
#include "common/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- lines ----

static err_t add_series(struct chart_reading *r, const char *group, const char *y,
                        bool both)
{
    struct chart_data *d = r->d;
    struct chart_series *s = &d->series[d->n];
    int n = both ? asprintf(&s->name, "%s, %s", group, y)
                 : asprintf(&s->name, "%s", group ? group : y);
    if (n < 0) {
        s->name = NULL;
        return err_set(r->e, ERR_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < CHART_BARS; i++)
        s->bar[i] = NAN;
    d->n++;
    return ERR_OK;
}

// Groups are kept in the order of their names, a line for each y of theirs.
static err_t add_groups(struct chart_reading *r, const struct chart_part *p)
{
    sqlite3_stmt *q;
    uint32_t most = CHART_LINES / (uint32_t)p->n_y;
    int64_t all = 0;
    err_t rc =
        chart_ask(r, p->table, &q,
                  "SELECT b, n FROM (SELECT b, count(*) OVER () AS n FROM (%s) GROUP BY b"
                  " ORDER BY total(abs(CAST(y0 AS REAL))) DESC, b LIMIT %u) ORDER BY b",
                  p->rows, most);
    while (q && chart_next(r, p->table, q, &rc)) {
        const char *group = (const char *)sqlite3_column_text(q, 0);
        all = sqlite3_column_int64(q, 1);
        for (size_t i = 0; i < p->n_y && rc == ERR_OK; i++)
            rc = add_series(r, group ? group : "none", p->y[i], p->n_y > 1);
    }
    if (rc == ERR_OK && all > most)
        rc = chart_note(r,
                        "%u of %lld values of %.200s are drawn: those with most in %.200s",
                        most, (long long)all, p->by, p->y[0]);
    return rc;
}

err_t chart_add_lines(struct chart_reading *r, const struct chart_part *p)
{
    r->d->series = calloc(CHART_LINES, sizeof *r->d->series);
    if (!r->d->series) return err_set(r->e, ERR_NOMEM, "out of memory");
    if (p->by) return add_groups(r, p);
    err_t rc = ERR_OK;
    for (size_t i = 0; i < p->n_y && rc == ERR_OK; i++)
        rc = add_series(r, NULL, p->y[i], false);
    return rc;
}

// "a, b" may be a group, or the line y = b of the group a.
static bool is_line_of(const struct chart_series *s, const char *group, const char *y,
                       bool both)
{
    size_t n = strlen(group);
    if (!both) return strcmp(s->name, group) == 0;
    return strncmp(s->name, group, n) == 0 && strncmp(s->name + n, ", ", 2) == 0 &&
           strcmp(s->name + n + 2, y) == 0;
}

// The first line of a row's group; NULL: it is not drawn.
static struct chart_series *series_of(struct chart_reading *r, const struct chart_part *p,
                                      sqlite3_stmt *q)
{
    const char *group = (const char *)sqlite3_column_text(q, 1);
    if (!p->by) return r->d->series;
    if (!group) group = "none";
    for (uint32_t i = 0; i < r->d->n; i += (uint32_t)r->c->y.n)
        if (is_line_of(&r->d->series[i], group, r->c->y.v[0], r->c->y.n > 1))
            return &r->d->series[i];
    return NULL;
}

// ---- rows ----

static bool number_at(struct chart_reading *r, sqlite3_stmt *q, int column, double *out)
{
    int type = sqlite3_column_type(q, column);
    *out = NAN;
    if (type == SQLITE_INTEGER || type == SQLITE_FLOAT)
        *out = sqlite3_column_double(q, column);
    if (type == SQLITE_NULL || isfinite(*out)) return true;
    const char *text = (const char *)sqlite3_column_text(q, column);
    if (!r->no_y++) snprintf(r->odd, sizeof r->odd, "%.50s", text ? text : "");
    return false;
}

static bool x_at(const struct chart_part *p, sqlite3_stmt *q, double *x)
{
    int type = sqlite3_column_type(q, 0);
    if (p->kind == CHART_OF_NUMBERS) {
        *x = sqlite3_column_double(q, 0);
        return (type == SQLITE_INTEGER || type == SQLITE_FLOAT) && isfinite(*x);
    }
    const char *text = (const char *)sqlite3_column_text(q, 0);
    return type == SQLITE_TEXT && text && plot_time_read(text, strlen(text), x);
}

static err_t add_point(struct chart_reading *r, const struct chart_part *p, sqlite3_stmt *q,
                       struct chart_series *s)
{
    struct plot_point point = { 0 };
    if (!x_at(p, q, &point.x)) {
        r->no_x++;
        return ERR_OK;
    }
    for (size_t i = 0; i < p->n_y; i++) {
        struct plot_line *l = p->ahead ? &s[i].ahead : &s[i].line;
        bool drawn = number_at(r, q, 4 + (int)i, &point.y);
        bool band = number_at(r, q, 2, &point.lo) && number_at(r, q, 3, &point.hi);
        if (!band || !isfinite(point.lo) || !isfinite(point.hi)) point.lo = point.hi = NAN;
        r->d->band |= isfinite(point.lo);
        if (drawn) TRY(plot_line_add(l, point, r->e));
    }
    return ERR_OK;
}

// The place of this text among those that are drawn; CHART_BARS: it has none.
static err_t text_of(struct chart_reading *r, sqlite3_stmt *q, size_t *at)
{
    struct strings *all = &r->d->texts;
    const char *text = (const char *)sqlite3_column_text(q, 0);
    if (!text) text = "none";
    size_t n = utf8_cut((const uint8_t *)text, strlen(text), CHART_TEXT_MAX);
    for (*at = 0; *at < all->n; (*at)++)
        if (strncmp(all->v[*at], text, n) == 0 && !all->v[*at][n]) return ERR_OK;
    return *at < CHART_BARS ? strings_add(all, text, n, r->e) : ERR_OK;
}

static err_t add_bar(struct chart_reading *r, const struct chart_part *p, sqlite3_stmt *q,
                     struct chart_series *s)
{
    size_t at;
    double y;
    TRY(text_of(r, q, &at));
    if (at == CHART_BARS) {
        r->beyond++;
        return ERR_OK;
    }
    for (size_t i = 0; i < p->n_y; i++) {
        if (!number_at(r, q, 4 + (int)i, &y) || !isfinite(y)) continue;
        if (isfinite(s[i].bar[at]))
            r->again++;
        else
            s[i].bar[at] = y;
    }
    return ERR_OK;
}

err_t chart_add_rows(struct chart_reading *r, const struct chart_part *p)
{
    sqlite3_stmt *q;
    char ys[CHART_LINES * 8] = "";
    size_t n = 0;
    for (size_t i = 0; i < p->n_y; i++)
        n += (size_t)snprintf(ys + n, sizeof ys - n, ", y%zu", i);
    err_t rc = chart_ask(r, p->table, &q, "SELECT x, b, lo, hi%s FROM (%s)", ys, p->rows);
    while (q && chart_next(r, p->table, q, &rc)) {
        struct chart_series *s = series_of(r, p, q);
        if (s) rc = p->kind == CHART_OF_TEXTS ? add_bar(r, p, q, s) : add_point(r, p, q, s);
    }
    return rc;
}
