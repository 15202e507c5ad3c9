#include "coordinator/chart_draw.h"

#include "common/plot_axis.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { X_TICKS = 8, Y_TICKS = 6 };

// Shapes have no text in them and are stretched to any width and height: both go from 0 to
// 1000. Text stands beside them, at its own size.
struct drawing {
    struct page *g;
    const struct chart *c;
    const struct chart_data *d;
    struct plot_axis x, y;
};

static void svg(struct page *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void svg(struct page *g, const char *fmt, ...)
{
    char s[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s, sizeof s, fmt, ap);
    va_end(ap);
    page_html(g, s); // numbers and names of ours only
}

const char *chart_x_text(const struct chart_data *d, double x, char *out)
{
    return d->kind == CHART_OF_TIMES ? plot_time_text(x, out) : plot_number_text(x, out);
}

static void see(double v, double *lo, double *hi)
{
    if (!isfinite(v)) return;
    *lo = fmin(*lo, v); // of a NaN and a number, the number
    *hi = fmax(*hi, v);
}

static void see_line(const struct plot_line *l, double *lo, double *hi)
{
    for (uint32_t i = 0; i < l->n; i++) {
        see(l->v[i].y, lo, hi);
        see(l->v[i].lo, lo, hi);
        see(l->v[i].hi, lo, hi);
    }
}

// False: there is no number to draw.
static bool scale(struct drawing *w)
{
    const struct chart_data *d = w->d;
    double lo = NAN, hi = NAN;
    for (uint32_t i = 0; i < d->n; i++) {
        see_line(&d->series[i].line, &lo, &hi);
        see_line(&d->series[i].ahead, &lo, &hi);
    }
    if (!isfinite(lo)) return false;
    plot_axis_rounded(&w->y, lo, hi, Y_TICKS);
    (d->kind == CHART_OF_TIMES ? plot_axis_time : plot_axis_number)(&w->x, d->x_lo, d->x_hi,
                                                                    X_TICKS);
    return true;
}

static double at_x(const struct drawing *w, double x)
{
    return plot_axis_at(&w->x, x) * 1000;
}

static double at_y(const struct drawing *w, double y)
{
    return 1000 - plot_axis_at(&w->y, y) * 1000;
}

// ---- what is around ----

static void y_axis(struct drawing *w)
{
    page_html(w->g, "<div class=\"axis y mid\" aria-hidden=\"true\">");
    for (uint32_t i = w->y.n; i-- > 0;)
        page_element(w->g, "span", w->y.tick[i].label);
    page_html(w->g, "</div>\n");
}

// Every other tick is left out where there is little room.
static void x_axis(struct drawing *w)
{
    page_html(w->g, "<svg class=\"axis x\" aria-hidden=\"true\">");
    for (uint32_t i = 0; i < w->x.n; i++) {
        double at = w->x.tick[i].at;
        const char *anchor = at < 0.06 ? "start" : at > 0.94 ? "end" : "middle";
        svg(w->g, "<text%s x=\"%.2f%%\" y=\"1em\" text-anchor=\"%s\">",
            i % 2 ? " class=\"odd\"" : "", at * 100, anchor);
        page_text(w->g, "%s", w->x.tick[i].label);
        page_html(w->g, "</text>");
    }
    page_html(w->g, "</svg>\n");
}

static void grid(struct drawing *w)
{
    page_html(w->g, "<path class=\"grid\" d=\"");
    for (uint32_t i = 0; i < w->y.n; i++)
        svg(w->g, "M0 %.2fH1000", 1000 - w->y.tick[i].at * 1000);
    for (uint32_t i = 0; i < w->x.n; i++)
        svg(w->g, "M%.2f 0V1000", w->x.tick[i].at * 1000);
    page_html(w->g, "\"/>\n");
    if (w->y.lo < 0 && w->y.hi > 0)
        svg(w->g, "<path class=\"zero\" d=\"M0 %.2fH1000\"/>\n", at_y(w, 0));
}

// Of the lines that have the colour of another one.
static const char *more(uint32_t colour)
{
    return colour >= 6 && colour < CHART_LINES ? " more" : "";
}

static void key(struct page *g, uint32_t colour, const char *shape, const char *text)
{
    svg(g,
        "<li><svg class=\"key%s k%u\" viewBox=\"0 0 24 10\" aria-hidden=\"true\">%s</svg>",
        more(colour), colour, shape);
    page_text(g, "%s", text);
    page_html(g, "</li>\n");
}

static bool has_ahead(const struct chart_data *d)
{
    for (uint32_t i = 0; i < d->n; i++)
        if (d->series[i].ahead.n) return true;
    return false;
}

static void legend(struct page *g, const struct chart *c, const struct chart_data *d)
{
    char text[300];
    bool ahead = has_ahead(d);
    page_html(g, "<ul class=\"legend\">\n");
    for (uint32_t i = 0; i < d->n; i++)
        key(g, i,
            d->kind == CHART_OF_TEXTS ? "<path class=\"area full\" d=\"M0 0H24V10H0Z\"/>"
                                      : "<path class=\"line\" d=\"M0 5H24\"/>",
            d->series[i].name);
    if (ahead) key(g, 12, "<path class=\"line ahead\" d=\"M0 5H24\"/>", "forecast");
    if (d->band && ahead)
        snprintf(text, sizeof text, "yhat_lower to yhat_upper");
    else if (d->band)
        snprintf(text, sizeof text, "%.120s to %.120s", c->band.v[0], c->band.v[1]);
    if (d->band) key(g, 12, "<path class=\"area\" d=\"M0 0H24V10H0Z\"/>", text);
    page_html(g, "</ul>\n");
}

// ---- lines ----

// The next stretch without gaps from *i on; false: there is none.
static bool stretch(const struct plot_line *l, bool band, uint32_t *i, uint32_t *end)
{
    while (*i < l->n && !isfinite(band ? l->v[*i].lo : l->v[*i].y))
        ++*i;
    for (*end = *i; *end < l->n && isfinite(band ? l->v[*end].lo : l->v[*end].y);)
        ++*end;
    return *i < *end;
}

static void band(struct drawing *w, const struct plot_line *l, uint32_t colour)
{
    for (uint32_t i = 0, end; stretch(l, true, &i, &end); i = end) {
        svg(w->g, "<path class=\"area k%u\" d=\"", colour);
        for (uint32_t k = i; k < end; k++)
            svg(w->g, "%c%.2f %.2f", k == i ? 'M' : 'L', at_x(w, l->v[k].x),
                at_y(w, l->v[k].hi));
        for (uint32_t k = end; k-- > i;)
            svg(w->g, "L%.2f %.2f", at_x(w, l->v[k].x), at_y(w, l->v[k].lo));
        page_html(w->g, "Z\"/>\n");
    }
}

// A point alone is a stretch of no length, which round ends make a dot.
static void line(struct drawing *w, const struct plot_line *l, uint32_t colour, bool ahead)
{
    uint32_t i = 0, end;
    if (!stretch(l, false, &i, &end)) return;
    svg(w->g, "<path class=\"line%s k%u\" d=\"", ahead ? " ahead" : more(colour), colour);
    for (; stretch(l, false, &i, &end); i = end) {
        for (uint32_t k = i; k < end; k++)
            svg(w->g, "%c%.2f %.2f", k == i ? 'M' : 'L', at_x(w, l->v[k].x),
                at_y(w, l->v[k].y));
        if (end - i == 1) page_html(w->g, "h0");
    }
    page_html(w->g, "\"/>\n");
}

static void describe(struct drawing *w, const char *title)
{
    char from[PLOT_LABEL], to[PLOT_LABEL];
    const struct chart_data *d = w->d;
    page_html(w->g, "<svg class=\"plot\" viewBox=\"0 0 1000 1000\" "
                    "preserveAspectRatio=\"none\" role=\"img\">\n<title>");
    page_text(w->g, "%s", title);
    page_html(w->g, "</title>\n<desc>");
    page_text(w->g, "%u line%s over %s from %s to %s, ", d->n, d->n == 1 ? "" : "s",
              w->c->x, chart_x_text(d, d->x_lo, from), chart_x_text(d, d->x_hi, to));
    page_text(w->g, "between %s and %s; the numbers stand in the table below",
              w->y.tick[0].label, w->y.tick[w->y.n - 1].label);
    page_html(w->g, "</desc>\n");
}

static void lines(struct drawing *w, const char *title)
{
    const struct chart_data *d = w->d;
    page_html(w->g, "<div class=\"chart\">\n");
    y_axis(w);
    describe(w, title);
    grid(w);
    for (uint32_t i = 0; i < d->n; i++) {
        band(w, &d->series[i].line, i);
        band(w, &d->series[i].ahead, i);
    }
    for (uint32_t i = 0; i < d->n; i++) {
        line(w, &d->series[i].line, i, false);
        line(w, &d->series[i].ahead, i, true);
    }
    page_html(w->g, "</svg>\n");
    x_axis(w);
    page_html(w->g, "</div>\n");
}

// ---- all of it ----

static void make_title(const struct chart *c, char out[400])
{
    size_t n = 0;
    if (c->title) {
        snprintf(out, 400, "%.390s", c->title);
        return;
    }
    for (size_t i = 0; i < c->y.n && n < 200; i++)
        n += (size_t)snprintf(out + n, 400 - n, "%s%.60s", i ? ", " : "", c->y.v[i]);
    snprintf(out + n, 400 - n, " of %.60s", c->table);
}

void chart_draw(struct page *g, const struct chart *c, const struct chart_data *d)
{
    char title[400], from[PLOT_LABEL], to[PLOT_LABEL];
    struct drawing w = { .g = g, .c = c, .d = d };
    bool bars = d->kind == CHART_OF_TEXTS;
    bool drawn = bars ? d->texts.n > 0 : d->kind != CHART_EMPTY && scale(&w);
    make_title(c, title);
    page_html(g, "<figure>\n<figcaption>");
    page_text(g, "%s", title);
    if (drawn && !bars) {
        page_html(g, " <span class=\"dim\">");
        page_text(g, "%s to %s", chart_x_text(d, d->x_lo, from),
                  chart_x_text(d, d->x_hi, to));
        page_html(g, "</span>");
    }
    page_html(g, "</figcaption>\n");
    if (drawn) legend(g, c, d);
    if (drawn && bars) chart_draw_bars(g, c, d);
    if (drawn && !bars) lines(&w, title);
    for (size_t i = 0; i < d->notes.n; i++) {
        page_html(g, "<p class=\"dim\">");
        page_text(g, "%s", d->notes.v[i]);
        page_html(g, "</p>\n");
    }
    if (drawn) chart_draw_numbers(g, c, d);
    page_html(g, "</figure>\n");
}
