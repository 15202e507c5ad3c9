// The numbers of a chart as a table: a row an x, a column a line. Of long ones the end.

#include "coordinator/chart_draw.h"

#include "common/plot_axis.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 400, LINES = 2 * CHART_LINES };

struct merge { // of lines that are each in the order of x
    const struct plot_line *l[LINES];
    uint32_t at[LINES], n;
};

static void begin(struct merge *m, const struct chart_data *d)
{
    *m = (struct merge){ 0 };
    for (uint32_t i = 0; i < d->n; i++) {
        m->l[m->n++] = &d->series[i].line;
        m->l[m->n++] = &d->series[i].ahead;
    }
}

static bool least_x(const struct merge *m, double *x)
{
    bool any = false;
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->at[i] == m->l[i]->n) continue;
        double here = m->l[i]->v[m->at[i]].x;
        if (!any || here < *x) *x = here;
        any = true;
    }
    return any;
}

// The value at x, of several the first; NULL: it has none there.
static const struct plot_point *take(struct merge *m, uint32_t i, double x)
{
    const struct plot_line *l = m->l[i];
    const struct plot_point *p = NULL;
    for (; m->at[i] < l->n && l->v[m->at[i]].x == x; m->at[i]++)
        if (!p) p = &l->v[m->at[i]];
    return p && isfinite(p->y) ? p : NULL;
}

static uint64_t skip(struct merge *m, uint64_t rows)
{
    uint64_t n = 0;
    for (double x; n < rows && least_x(m, &x); n++)
        for (uint32_t i = 0; i < m->n; i++)
            (void)take(m, i, x);
    return n;
}

static void cell(struct page *g, const struct plot_point *p)
{
    char y[PLOT_LABEL], lo[PLOT_LABEL], hi[PLOT_LABEL];
    page_html(g, "<td class=\"n\">");
    if (p) page_text(g, "%s", plot_number_text(p->y, y));
    if (p && isfinite(p->lo))
        page_text(g, " (%s to %s)", plot_number_text(p->lo, lo),
                  plot_number_text(p->hi, hi));
    page_html(g, "</td>");
}

static void rows_of_lines(struct page *g, const struct chart_data *d, struct merge *m)
{
    char text[PLOT_LABEL];
    for (double x; least_x(m, &x);) {
        page_row(g);
        page_cell(g, "%s", chart_x_text(d, x, text));
        for (uint32_t i = 0; i < m->n; i += 2) {
            const struct plot_point *was = take(m, i, x), *comes = take(m, i + 1, x);
            cell(g, was ? was : comes);
        }
    }
}

static void rows_of_bars(struct page *g, const struct chart_data *d)
{
    for (size_t k = 0; k < d->texts.n; k++) {
        page_row(g);
        page_cell(g, "%s", d->texts.v[k]);
        for (uint32_t i = 0; i < d->n; i++)
            cell(g, &(struct plot_point){ .y = d->series[i].bar[k], .lo = NAN, .hi = NAN });
    }
}

static void heading(struct page *g, const struct chart *c, const struct chart_data *d)
{
    page_html(g, "<thead>\n<tr><th scope=\"col\">");
    page_text(g, "%s", c->x);
    page_html(g, "</th>");
    for (uint32_t i = 0; i < d->n; i++) {
        page_html(g, "<th scope=\"col\" class=\"n\">");
        page_text(g, "%s", d->series[i].name);
        page_html(g, "</th>");
    }
    page_html(g, "</tr>\n</thead>\n");
}

void chart_draw_numbers(struct page *g, const struct chart *c, const struct chart_data *d)
{
    struct merge m;
    char caption[100] = "The numbers";
    begin(&m, d);
    uint64_t all = skip(&m, UINT64_MAX), first = all > ROWS ? all - ROWS : 0;
    if (first)
        snprintf(caption, sizeof caption, "The last %d of %llu", ROWS,
                 (unsigned long long)all);
    begin(&m, d);
    (void)skip(&m, first);
    page_html(g, "<details><summary>As numbers</summary>\n");
    page_table_open(g, caption);
    heading(g, c, d);
    page_html(g, "<tbody>");
    if (d->kind == CHART_OF_TEXTS)
        rows_of_bars(g, d);
    else
        rows_of_lines(g, d, &m);
    page_table_end(g);
    page_html(g, "</details>\n");
}
