// A run: how far it is or how it ended, and all that a report has of it.

#include "coordinator/page_site.h"
#include "coordinator/pages.h"
#include "coordinator/past_html.h"
#include "coordinator/past_say.h"

#include <stdio.h>
#include <string.h>

enum { PATIENCE_MS = 300 }; // others wait for the same thread

static err_t load(struct past *p, struct err *e)
{
    TRY(past_load_stats(p, e));
    TRY(past_load_chunks(p, e));
    TRY(past_load_events(p, e));
    p->patience_ms = PATIENCE_MS;
    return past_load_rejects(p, e);
}

struct shown {
    struct page *g;
    const struct past *p;
};

static void facts(struct page *g, const struct past *p)
{
    char at[PAST_TIME];
    page_html(g, "<dl class=\"facts\">\n");
    page_fact(g, "run", "%s", p->run.id);
    if (p->run.job_file[0]) page_fact(g, "job file", "%s", p->run.job_file);
    page_fact(g, "into", "%s", p->run.into);
    if (p->run.table[0]) page_fact(g, "table", "%s", p->run.table);
    page_fact(g, "began", "%s", past_time(p->started_ms, true, at));
    page_html(g, "</dl>\n");
}

static bool show(void *arg, const struct web_run *r)
{
    struct shown *s = arg;
    page_html(s->g, "<p>");
    page_mood(s->g, page_mood_of_run(&s->p->run, r->goes_on),
              r->goes_on ? "running" : s->p->run.status);
    if (r->job) page_text(s->g, ", ");
    if (r->job) page_job_link(s->g, r->job);
    page_html(s->g, "</p>\n");
    if (s->p->run.error[0]) page_element(s->g, "p", s->p->run.error);
    facts(s->g, s->p);
    if (r->goes_on)
        page_going(s->g, r);
    else
        past_html_sums(s->g, s->p);
    if (r->now.rows_rejected || s->p->run.rows_rejected + s->p->run.rows_refused) {
        page_html(s->g, "<p>");
        page_link(s->g, "runs", s->p->run.id, "rejects", "Browse the rejected rows");
        page_html(s->g, "</p>\n");
    }
    return false;
}

static err_t body(struct page *g, struct web_view *v, struct past *p, struct err *e)
{
    struct shown s = { g, p };
    char title[300];
    snprintf(title, sizeof title, "%.250s, run %s", page_run_name(&p->run), p->run.id);
    page_site_begin(g, v, &(struct page_site){ title, "/runs", p->goes_on });
    page_html(g, "<p class=\"crumbs\">");
    page_link(g, "runs", "", "", "Runs");
    page_html(g, "</p>\n");
    page_element(g, "h1", page_run_name(&p->run));
    TRY(web_view_run(v, p->run.id, show, &s, e));
    // Of a table that is being loaded, each second: not for what may take long.
    if (!p->goes_on) past_html_charts(g, p);
    past_html_parts(g, p);
    return ERR_OK;
}

err_t page_run(struct web_view *v, const struct web_request *r, int *status,
               struct buf *out, struct err *e)
{
    (void)status;
    struct past p = { 0 };
    struct page g = { 0 };
    err_t rc = past_open(&p, v->facts.state, r->name, e);
    if (rc == ERR_OK) rc = load(&p, e);
    if (rc == ERR_OK) rc = body(&g, v, &p, e);
    rc = page_finish(&g, v, rc, out, e);
    past_close(&p);
    return rc;
}
