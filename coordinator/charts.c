#include "coordinator/charts.h"

#include "coordinator/chart_draw.h"
#include "coordinator/journal_charts.h"

static err_t figure(struct page *g, const struct chart *c, uint32_t *patience,
                    struct err *e)
{
    struct chart_data d;
    err_t rc = chart_read(c, patience, &d, e);
    if (rc == ERR_OK) chart_draw(g, c, &d);
    chart_data_free(&d);
    if (rc == ERR_OK && g->rc != ERR_OK) rc = err_set(e, g->rc, "%s", g->e.text);
    return rc;
}

// Of a page that may not take long, all together have what it has, which is about as many
// milliseconds.
static err_t figures(struct page *g, const struct past *p, const struct charts *all,
                     struct err *e)
{
    err_t rc = ERR_OK;
    uint32_t shared = p->patience_ms < CHART_PATIENCE ? (uint32_t)p->patience_ms : 0;
    if (!shared) shared = CHART_PATIENCE;
    for (size_t i = 0; i < all->n && rc == ERR_OK; i++) {
        uint32_t patience = CHART_PATIENCE;
        rc = figure(g, &all->v[i], p->patience_ms ? &shared : &patience, e);
    }
    return rc;
}

err_t charts_html(struct past *p, struct buf *out, struct err *e)
{
    struct charts all = { 0 };
    struct page g = { 0 };
    err_t rc = journal_charts_get(p->db, p->seq, &all, e);
    if (rc == ERR_OK && all.n) page_section(&g, "Charts");
    if (rc == ERR_OK && all.n && p->goes_on)
        page_element(&g, "p", "They are drawn when the run has ended.");
    else if (rc == ERR_OK)
        rc = figures(&g, p, &all, e);
    if (rc == ERR_OK && g.rc != ERR_OK) rc = err_set(e, g.rc, "%s", g.e.text);
    if (rc == ERR_OK && g.out.n) rc = buf_add(out, g.out.p, g.out.n, e);
    buf_free(&g.out);
    charts_free(&all);
    return rc;
}
