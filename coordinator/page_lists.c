#include "coordinator/page_lists.h"

#include "coordinator/pages.h"
#include "coordinator/past_say.h"

#include <stdio.h>

enum { PER_PAGE = 50 };

void page_jobs_begin(struct page *p, const char *caption)
{
    page_table(p, caption, "name|#job|state|#priority|owner|submitted");
}

void page_jobs_row(struct page *p, const struct backlog_job *j)
{
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)j->id);
    page_keyed_row(p, number);
    page_html(p, "<th scope=\"row\">");
    page_link(p, "jobs", number, "", j->name[0] ? j->name : number);
    page_html(p, "</th><td class=\"n\">");
    page_html(p, number);
    page_html(p, "</td><td>");
    page_job_state(p, j);
    page_html(p, "</td>");
    page_number(p, j->priority);
    page_cell(p, "%s", j->owner);
    page_time_cell(p, j->submitted_ms);
}

void page_runs_begin(struct page *p, const char *caption)
{
    page_table(p, caption, "name|state|#rows loaded|#rejected|#time|began|run");
}

void page_runs_row(struct page *p, const struct web_run *r)
{
    char took[PAST_SPAN];
    const struct journal_run *run = &r->run;
    page_keyed_row(p, run->id);
    page_html(p, "<th scope=\"row\">");
    page_link(p, "runs", run->id, "", page_run_name(run));
    page_html(p, "</th><td>");
    page_mood(p, page_mood_of_run(run, r->goes_on), r->goes_on ? "running" : run->status);
    page_html(p, "</td>");
    page_number(p, r->goes_on ? r->now.rows_loaded : run->rows_loaded);
    page_number(p,
                r->goes_on ? r->now.rows_rejected : run->rows_rejected + run->rows_refused);
    page_html(p, "<td class=\"n\">");
    if (!r->goes_on && r->ended_ms)
        page_text(p, "%s", past_span((int64_t)(run->seconds * 1000), took));
    page_html(p, "</td>");
    page_time_cell(p, r->started_ms);
    page_html(p, "<td class=\"t\">");
    page_text(p, "%s", run->id);
    page_html(p, "</td>");
}

void page_more(struct page *p, uint64_t n, const char *what, const char *where)
{
    char all[40];
    if (!n) return;
    snprintf(all, sizeof all, "all %s", where);
    page_html(p, "<p>");
    page_text(p, "%llu more %s: ", (unsigned long long)n, what);
    page_link(p, where, "", "", all);
    page_html(p, "</p>\n");
}

// ---- whole lists ----

struct list {
    struct page *g;
    uint32_t n;
    int64_t last;
};

static bool add_job(void *arg, const struct web_job *j)
{
    struct list *l = arg;
    if (l->n == PER_PAGE) return false;
    page_jobs_row(l->g, &j->job);
    l->last = j->job.id;
    l->n++;
    return true;
}

static bool add_run(void *arg, const struct web_run *r)
{
    struct list *l = arg;
    if (l->n == PER_PAGE) return false;
    page_runs_row(l->g, r);
    l->last = r->seq;
    l->n++;
    return true;
}

static void further(struct list *l, const char *path, uint64_t before)
{
    page_table_end(l->g);
    if (!l->n) page_none(l->g, before ? "There are no older ones." : "There are none yet.");
    if (!before && l->n < PER_PAGE) return;
    page_html(l->g, "<nav class=\"pages\" aria-label=\"More of the list\">");
    if (before) page_link(l->g, path + 1, "", "", "The newest");
    page_html(l->g, " ");
    if (l->n == PER_PAGE) page_further(l->g, path, "before", l->last, "Older");
    page_html(l->g, "</nav>\n");
}

err_t page_jobs(struct web_view *v, const struct web_request *r, int *status,
                struct buf *out, struct err *e)
{
    (void)status;
    struct page g;
    struct list l = { .g = &g };
    uint64_t before;
    TRY(web_param_number(r, "before", 1, INT64_MAX, 0, &before, e));
    page_site_begin(&g, v, &(struct page_site){ "Jobs", "/jobs", !before });
    page_element(&g, "h1", "Jobs");
    page_jobs_begin(&g, "Of the queue, the newest first");
    err_t rc = web_view_jobs(v, (int64_t)before, PER_PAGE, add_job, &l, e);
    further(&l, "/jobs", before);
    return page_finish(&g, v, rc, out, e);
}

err_t page_runs(struct web_view *v, const struct web_request *r, int *status,
                struct buf *out, struct err *e)
{
    (void)status;
    struct page g;
    struct list l = { .g = &g };
    uint64_t before;
    TRY(web_param_number(r, "before", 1, INT64_MAX, 0, &before, e));
    page_site_begin(&g, v, &(struct page_site){ "Runs", "/runs", !before });
    page_element(&g, "h1", "Runs");
    page_runs_begin(&g, "Of this folder, the newest first");
    err_t rc = web_view_runs(v, (int64_t)before, PER_PAGE, add_run, &l, e);
    further(&l, "/runs", before);
    return page_finish(&g, v, rc, out, e);
}
