#include "coordinator/charts.h"

#include "coordinator/chart_draw.h"
#include "coordinator/journal_charts.h"

static err_t figure(struct page *g, const struct chart *c, struct err *e)
{
    struct chart_data d;
    err_t rc = chart_read(c, CHART_PATIENCE, &d, e);
    if (rc == ERR_OK) chart_draw(g, c, &d);
    chart_data_free(&d);
    if (rc == ERR_OK && g->rc != ERR_OK) rc = err_set(e, g->rc, "%s", g->e.text);
    return rc;
}

err_t charts_html(struct past *p, struct buf *out, struct err *e)
{
    struct charts all = { 0 };
    struct page g = { 0 };
    err_t rc = journal_charts_get(p->db, p->seq, &all, e);
    if (rc == ERR_OK && all.n) page_section(&g, "Charts");
    for (size_t i = 0; i < all.n && rc == ERR_OK; i++)
        rc = figure(&g, &all.v[i], e);
    if (rc == ERR_OK && g.out.n) rc = buf_add(out, g.out.p, g.out.n, e);
    buf_free(&g.out);
    charts_free(&all);
    return rc;
}
