// Charts of a page. What they draw has no text in it, so that it can be stretched to any
// width; the axes are text beside it.

#include "coordinator/page.h"

#include "coordinator/progress.h"
#include "coordinator/series.h"

#include <stdarg.h>
#include <stdio.h>

static void svg(struct page *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void svg(struct page *p, const char *fmt, ...)
{
    char s[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s, sizeof s, fmt, ap);
    va_end(ap);
    page_html(p, s); // numbers only
}

static void axis_number(struct page *p, double v)
{
    char s[32];
    if (v < 10 && v != (double)(int)v)
        snprintf(s, sizeof s, "%.1f", v);
    else
        format_count((uint64_t)v, s, sizeof s);
    page_element(p, "span", s);
}

static void axis_time(struct page *p, int64_t ms)
{
    if (ms == 0)
        page_text(p, "0");
    else if (ms < 10000)
        page_text(p, "%.1f s", (double)ms / 1000);
    else if (ms < 600000)
        page_text(p, "%lld s", (long long)(ms / 1000));
    else if (ms < 36000000)
        page_text(p, "%lld min", (long long)(ms / 60000));
    else
        page_text(p, "%lld h", (long long)(ms / 3600000));
}

static void axis_x(struct page *p, int64_t end_ms)
{
    page_html(p, "<div class=\"axis x\" aria-hidden=\"true\">");
    for (int i = 0; i <= 2; i++) {
        page_html(p, "<span>");
        axis_time(p, end_ms * i / 2);
        page_html(p, "</span>");
    }
    page_html(p, "</div>\n");
}

// From 0 to 100 in both directions; y grows downwards.
static void shape(struct page *p, const struct page_chart *c, double top, bool area)
{
    page_html(p, area ? "<path class=\"area\" d=\"M0 100" : "<path class=\"edge\" d=\"");
    for (uint32_t i = 0; i < c->n; i++) {
        double y = 100 - c->v[i] / top * 100;
        svg(p, "%s%.2f %.2fH%.2f", area || i ? "L" : "M", 100.0 * i / c->n, y,
            100.0 * (i + 1) / c->n);
    }
    page_html(p, area ? "L100 100Z\"/>\n" : "\"/>\n");
}

void page_spark(struct page *p, const double *v, uint32_t n)
{
    const struct page_chart c = { .v = v, .n = n };
    double most = series_max(v, n);
    page_html(p, "<svg class=\"spark\" viewBox=\"0 0 100 100\" "
                 "preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    shape(p, &c, most > 0 ? most : 1, true);
    page_html(p, "</svg>\n");
}

static void hits(struct page *p, const struct page_chart *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        char number[32];
        format_count((uint64_t)(c->v[i] + 0.5), number, sizeof number);
        svg(p, "<rect class=\"hit\" x=\"%.2f\" y=\"0\" width=\"%.2f\" height=\"100\">",
            100.0 * i / c->n, 100.0 / c->n);
        page_html(p, "<title>");
        axis_time(p, c->end_ms * i / c->n);
        page_text(p, ": %s %s", number, c->unit);
        page_html(p, "</title></rect>\n");
    }
}

static void numbers(struct page *p, const struct page_chart *c)
{
    page_html(p, "<details><summary>As numbers</summary>\n");
    page_table(p, c->title, "#from|#value");
    for (uint32_t i = 0; i < c->n; i++) {
        page_row(p);
        page_html(p, "<td class=\"n\">");
        axis_time(p, c->end_ms * i / c->n);
        page_html(p, "</td>");
        page_number(p, (uint64_t)(c->v[i] + 0.5));
    }
    page_table_end(p);
    page_html(p, "</details>\n");
}

void page_area(struct page *p, const struct page_chart *c)
{
    double max = series_max(c->v, c->n), top = series_top(max);
    char most[32];
    format_count((uint64_t)(max + 0.5), most, sizeof most);
    page_html(p, "<figure>\n");
    page_element(p, "figcaption", c->title);
    page_html(p, "<div class=\"chart\">\n<div class=\"axis y\" aria-hidden=\"true\">");
    axis_number(p, top);
    axis_number(p, top / 2);
    axis_number(p, 0);
    page_html(p, "</div>\n<svg viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\" "
                 "role=\"img\" aria-label=\"");
    page_text(p, "%s over time, at most %s %s; the numbers stand in the table below",
              c->title, most, c->unit);
    page_html(p, "\">\n<path class=\"grid\" d=\"M0 0H100M0 50H100M0 100H100\"/>\n");
    shape(p, c, top, true);
    shape(p, c, top, false);
    hits(p, c);
    page_html(p, "</svg>\n");
    axis_x(p, c->end_ms);
    page_html(p, "</div>\n");
    numbers(p, c);
    page_html(p, "</figure>\n");
}

// A tenth is what the eye tells apart; equal neighbours are one.
static int level(double v)
{
    return v < 0                    ? -1
           : v <= 0                 ? 0
           : v >= 1                 ? 10
           : (int)(v * 10) + 1 > 10 ? 10
                                    : (int)(v * 10) + 1;
}

static double opacity(int level)
{
    return level ? level * 0.09 + 0.1 : 0.05;
}

// Stretches of equal levels, each of which says what it is.
static void stretches(struct page *p, const double *v, uint32_t n, int64_t end_ms)
{
    for (uint32_t i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && level(v[k]) == level(v[i]);)
            k++;
        if (level(v[i]) < 0) continue;
        svg(p,
            "<rect class=\"busy\" x=\"%.2f\" y=\"0\" width=\"%.2f\" height=\"10\" "
            "fill-opacity=\"%.2f\">",
            100.0 * i / n, 100.0 * (k - i) / n, opacity(level(v[i])));
        page_html(p, "<title>");
        axis_time(p, end_ms * i / n);
        page_html(p, " to ");
        axis_time(p, end_ms * k / n);
        page_text(p, ": up to %d %% busy", level(v[i]) * 10);
        page_html(p, "</title></rect>\n");
    }
}

// The same in a tenth of the bytes: one path a level.
static void levels(struct page *p, const double *v, uint32_t n)
{
    for (int l = 0; l <= 10; l++) {
        bool any = false;
        for (uint32_t i = 0, k; i < n; i = k) {
            for (k = i + 1; k < n && level(v[k]) == level(v[i]);)
                k++;
            if (level(v[i]) != l) continue;
            if (!any) svg(p, "<path class=\"busy\" fill-opacity=\"%.2f\" d=\"", opacity(l));
            svg(p, "M%u 0H%uV10H%uz", i, k, i);
            any = true;
        }
        page_html(p, any ? "\"/>" : "");
    }
}

void page_strip(struct page *p, const char *name, const double *v, uint32_t n,
                int64_t end_ms)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += v[i] > 0 ? v[i] : 0;
    page_html(p, "<div class=\"strip\">");
    page_element(p, "span", name);
    svg(p,
        "<svg viewBox=\"0 0 %u 10\" preserveAspectRatio=\"none\" role=\"img\" "
        "aria-label=\"",
        p->brief ? n : 100);
    page_text(p, "%s: busy %.0f %% of the time", name, n ? sum / n * 100 : 0);
    page_html(p, "\">\n");
    if (p->brief)
        levels(p, v, n);
    else
        stretches(p, v, n, end_ms);
    page_html(p, "</svg></div>\n");
}

void page_bar(struct page *p, double share)
{
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    page_html(p, "<td><svg class=\"bar\" viewBox=\"0 0 100 10\" "
                 "preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    svg(p, "<rect class=\"busy\" width=\"%.2f\" height=\"10\"/></svg></td>", share * 100);
}
