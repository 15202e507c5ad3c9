// A run: how far it is or how it ended, and all that a report has of it.

#include "coordinator/page_site.h"
#include "coordinator/pages.h"
#include "coordinator/past_html.h"

#include <stdio.h>
#include <string.h>

static err_t load(struct past *p, struct err *e)
{
    TRY(past_load_stats(p, e));
    TRY(past_load_chunks(p, e));
    TRY(past_load_events(p, e));
    return past_load_rejects(p, e);
}

struct found {
    struct page *g;
    bool live;
};

// While it goes on; what is known at its end is in its head.
static bool show(void *arg, const struct web_run *r)
{
    struct found *f = arg;
    f->live = r->goes_on;
    if (r->job) {
        page_html(f->g, "<p>");
        page_job_link(f->g, r->job);
        page_html(f->g, "</p>\n");
    }
    if (r->goes_on) page_going(f->g, r);
    return false;
}

static void links(struct page *g, const struct past *p)
{
    page_html(g, "<p>");
    page_link(g, "runs", p->run.id, "rejects", "Browse the rejected rows");
    page_html(g, "</p>\n");
}

err_t page_run(struct web_view *v, const struct web_request *r, int *status,
               struct buf *out, struct err *e)
{
    (void)status;
    struct past p = { 0 };
    struct page g = { 0 };
    char title[300];
    err_t rc = past_open(&p, v->facts.state, r->name, e);
    if (rc == ERR_OK) rc = load(&p, e);
    if (rc == ERR_OK) {
        struct found f = { .g = &g };
        snprintf(title, sizeof title, "%.200s, run %s", page_run_name(&p.run), p.run.id);
        page_site_begin(&g, v, &(struct page_site){ title, "/runs", p.goes_on });
        page_html(&g, "<p class=\"crumbs\">");
        page_link(&g, "runs", "", "", "Runs");
        page_html(&g, "</p>\n");
        past_html_head(&g, &p);
        rc = web_view_run(v, p.run.id, show, &f, e);
        links(&g, &p);
        past_html_charts(&g, &p);
        past_html_parts(&g, &p);
    }
    rc = page_finish(&g, v, rc, out, e);
    past_close(&p);
    return rc;
}
