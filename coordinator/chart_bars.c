// Of a chart over texts: a group of bars for each, one a line. Each text stands beside its
// bars, so that long ones fit a phone, too.

#include "coordinator/chart_draw.h"

#include "common/plot_axis.h"

#include <math.h>
#include <stdio.h>

static void bar(struct page *g, const struct plot_axis *a, uint32_t colour, double v,
                const char *name)
{
    char shape[300], number[PLOT_LABEL];
    double zero = plot_axis_at(a, 0) * 1000, at = plot_axis_at(a, v) * 1000;
    snprintf(shape, sizeof shape,
             "<svg class=\"bars k%u\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" "
             "role=\"img\"><title>",
             colour);
    page_html(g, shape);
    page_text(g, "%s: %s", name, plot_number_text(v, number));
    snprintf(
        shape, sizeof shape,
        "</title><path class=\"grid\" d=\"M%.2f 0V10\"/>"
        "<rect class=\"area full\" x=\"%.2f\" y=\"1\" width=\"%.2f\" height=\"8\"/></svg>",
        zero, fmin(zero, at), fabs(at - zero));
    page_html(g, shape);
    page_element(g, "span", number);
}

// Bars begin at 0, whatever else is drawn.
static bool scale(const struct chart_data *d, struct plot_axis *a)
{
    double lo = 0, hi = 0;
    bool any = false;
    for (uint32_t i = 0; i < d->n; i++)
        for (size_t k = 0; k < d->texts.n; k++) {
            double v = d->series[i].bar[k];
            if (!isfinite(v)) continue;
            lo = fmin(lo, v);
            hi = fmax(hi, v);
            any = true;
        }
    plot_axis_rounded(a, lo, hi, PLOT_TICKS);
    return any;
}

void chart_draw_bars(struct page *g, const struct chart *c, const struct chart_data *d)
{
    struct plot_axis a;
    (void)c;
    if (!scale(d, &a)) return;
    page_html(g, "<dl class=\"groups\">\n");
    for (size_t k = 0; k < d->texts.n; k++) {
        page_element(g, "dt", d->texts.v[k]);
        page_html(g, "<dd>");
        for (uint32_t i = 0; i < d->n; i++)
            if (isfinite(d->series[i].bar[k]))
                bar(g, &a, i, d->series[i].bar[k], d->series[i].name);
        page_html(g, "</dd>\n");
    }
    page_html(g, "</dl>\n");
}
