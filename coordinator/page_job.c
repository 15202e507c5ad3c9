// A job of the queue: how it stands, its runs, the end of what it has written.

#include "coordinator/job_log.h"
#include "coordinator/page_lists.h"
#include "coordinator/pages.h"
#include "coordinator/past_say.h"
#include "coordinator/serve.h"

#include <stdio.h>
#include <string.h>

enum { TAIL_BYTES = 24 << 10, RUNS = 20 };

static void moment(struct page *g, const char *label, int64_t wall_ms)
{
    char at[PAST_TIME];
    if (wall_ms) page_fact(g, label, "%s", past_time(wall_ms, true, at));
}

static void about(struct page *g, const struct backlog_job *j)
{
    page_html(g, "<p>");
    page_job_state(g, j);
    page_html(g, "</p>\n");
    if (j->error[0]) page_element(g, "p", j->error);
    page_html(g, "<dl class=\"facts\">\n");
    page_fact(g, "priority", "%u", j->priority);
    page_fact(g, "owner", "%s", j->owner);
    page_fact(g, "folder", "%s", j->folder);
    if (j->file[0]) page_fact(g, "job file", "%s", j->file);
    moment(g, "submitted", j->submitted_ms);
    moment(g, j->starts > 1 ? "began again" : "began", j->started_ms);
    moment(g, "ended", j->ended_ms);
    if (j->starts > 1) page_fact(g, "begun", "%u times", j->starts);
    page_html(g, "</dl>\n");
}

struct shown {
    struct page *g;
    const struct web_view *v;
    bool live;
};

static bool show(void *arg, const struct web_job *j)
{
    struct shown *s = arg;
    char title[300];
    s->live = !backlog_is_over(j->job.state);
    snprintf(title, sizeof title, "%.250s, job %lld", j->job.name, (long long)j->job.id);
    page_site_begin(s->g, s->v, &(struct page_site){ title, "/jobs", s->live });
    page_html(s->g, "<p class=\"crumbs\">");
    page_link(s->g, "jobs", "", "", "Jobs");
    page_html(s->g, "</p>\n");
    page_element(s->g, "h1", title);
    about(s->g, &j->job);
    if (j->run) page_going(s->g, j->run);
    return false;
}

static bool add_run(void *arg, const struct web_run *r)
{
    struct shown *s = arg;
    page_runs_row(s->g, r);
    return true;
}

static err_t runs(struct shown *s, struct web_view *v, int64_t id, struct err *e)
{
    page_section(s->g, "Runs");
    page_runs_begin(s->g, "Of this job, the newest first");
    err_t rc = web_view_runs_of(v, id, RUNS, add_run, s, e);
    bool any = s->g->in_row;
    page_table_end(s->g);
    if (!any) page_none(s->g, "None that this history remembers.");
    return rc;
}

static err_t log_tail(struct page *g, const struct web_view *v, int64_t id, struct err *e)
{
    char dir[4400];
    struct buf text = { 0 };
    uint64_t at = UINT64_MAX, end;
    snprintf(dir, sizeof dir, "%s/" SERVE_FOLDER "/logs", v->facts.state);
    TRY(job_log_read(dir, id, &at, 0, &text, &end, e));
    at = end > TAIL_BYTES ? end - TAIL_BYTES : 0;
    uint64_t wanted = at;
    err_t rc = job_log_read(dir, id, &at, TAIL_BYTES, &text, &end, e);
    page_section(g, "What it wrote");
    if (rc == ERR_OK && !text.n) page_none(g, "Nothing so far.");
    if (rc == ERR_OK && text.n) {
        const uint8_t *line = wanted ? memchr(text.p, '\n', text.n) : NULL;
        size_t skip = line ? (size_t)(line - text.p) + 1 : 0;
        page_html(g, wanted ? "<p class=\"dim\">The end of it; all of it: " : "");
        if (wanted) page_text(g, "tranche logs %lld", (long long)id);
        page_html(g, wanted ? "</p>\n" : "");
        page_html(g, "<pre class=\"log\" tabindex=\"0\" role=\"region\" "
                     "aria-label=\"What it wrote\" data-tail>");
        page_bytes(g, (struct slice){ text.p + skip, text.n - skip });
        page_html(g, "</pre>\n");
    }
    buf_free(&text);
    return rc;
}

err_t page_job(struct web_view *v, const struct web_request *r, int *status,
               struct buf *out, struct err *e)
{
    (void)status;
    struct page g = { 0 };
    struct shown s = { .g = &g, .v = v };
    int64_t id;
    TRY(web_name_number(r, &id, e));
    err_t rc = web_view_job(v, id, show, &s, e);
    if (rc == ERR_OK) rc = runs(&s, v, id, e);
    if (rc == ERR_OK) rc = log_tail(&g, v, id, e);
    return page_finish(&g, v, rc, out, e);
}
