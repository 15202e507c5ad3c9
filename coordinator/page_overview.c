// What a server does at the moment, and the files that all pages need.

#include "coordinator/page_files.h"
#include "coordinator/page_lists.h"
#include "coordinator/page_site.h"
#include "coordinator/pages.h"
#include "coordinator/past.h"
#include "coordinator/past_say.h"
#include "coordinator/series.h"

#include <string.h>

enum { CARDS = 24, SPARKS = 8, SPARK_STEPS = 60, QUEUE = 10, RUNS = 10 };

// How fast it was so far. A run that is too young for that, or a history that cannot be
// read at the moment: nothing.
static void spark(struct page *g, const struct web_view *v, const struct web_run *r)
{
    struct past p;
    struct err e;
    double rate[SPARK_STEPS];
    if (past_open(&p, v->facts.state, r->run.id, &e) == ERR_OK &&
        past_load_samples(&p, &e) == ERR_OK && p.n_samples > 2) {
        int64_t end = series_end_ms(p.samples, p.n_samples, NULL, 0);
        series_of(SERIES_ROWS, p.samples, p.n_samples, end, rate, SPARK_STEPS);
        page_spark(g, rate, SPARK_STEPS);
    }
    past_close(&p);
}

static void card_begin(struct page *g, const char *key)
{
    page_html(g, "<article class=\"card\" data-key=\"");
    page_text(g, "%s", key);
    page_html(g, "\"><div class=\"head\"><h3>");
}

static void run_card(struct page *g, const struct web_view *v, const struct web_run *r,
                     bool with_spark)
{
    card_begin(g, r->run.id);
    page_link(g, "runs", r->run.id, "", page_run_name(&r->run));
    page_html(g, "</h3>");
    if (r->job) page_job_link(g, r->job);
    page_html(g, "</div>\n");
    page_going(g, r);
    if (with_spark) spark(g, v, r);
    page_html(g, "</article>\n");
}

static void job_card(struct page *g, const struct backlog_job *j)
{
    card_begin(g, "");
    page_text(g, "%s", j->name);
    page_html(g, "</h3>");
    page_job_link(g, j->id);
    page_html(g, "</div>\n<p>");
    page_job_state(g, j);
    page_html(g, "</p></article>\n");
}

static void running(struct page *g, const struct web_view *v)
{
    uint32_t n = 0, all = 0;
    page_section(g, "Running");
    for (uint32_t i = 0; i < v->n_running; i++)
        all += !v->running[i].run;
    for (uint32_t i = 0; i < v->n_runs; i++)
        all += v->runs[i].goes_on;
    if (!all) {
        page_none(g, "Nothing runs.");
        return;
    }
    page_html(g, "<div class=\"cards\">\n");
    for (uint32_t i = 0; i < v->n_runs && n < CARDS; i++)
        if (v->runs[i].goes_on) run_card(g, v, &v->runs[i], n++ < SPARKS);
    for (uint32_t i = 0; i < v->n_running && n < CARDS; i++)
        if (!v->running[i].run) job_card(g, &v->running[i].job), n++;
    page_html(g, "</div>\n");
    page_more(g, all - n, "are running", "jobs");
}

static void queue(struct page *g, const struct web_view *v)
{
    uint32_t n = v->n_waiting < QUEUE ? v->n_waiting : QUEUE;
    page_section(g, "Queue");
    if (!n) {
        page_none(g, "No job waits.");
        return;
    }
    page_jobs_begin(g, "Jobs that wait, the next one first");
    for (uint32_t i = 0; i < n; i++)
        page_jobs_row(g, &v->waiting[i].job);
    page_table_end(g);
    page_more(g, v->jobs_in[BACKLOG_QUEUED] - n, "wait", "jobs");
}

static void recent(struct page *g, const struct web_view *v)
{
    uint32_t n = 0;
    page_section(g, "Recent runs");
    if (!v->n_runs) {
        page_none(g, "There are no runs yet.");
        return;
    }
    page_runs_begin(g, "The newest first");
    for (; n < v->n_runs && n < RUNS; n++)
        page_runs_row(g, &v->runs[n]);
    page_table_end(g);
    page_more(g, v->all_runs > n ? v->all_runs - n : 0, "before them", "runs");
}

static void crew(struct page *g, const struct web_view *v)
{
    uint64_t slots = 0;
    page_section(g, "Workers");
    if (!v->n_workers) {
        page_none(g, "No worker is here: they come with a run.");
        return;
    }
    for (uint32_t i = 0; i < v->n_workers; i++)
        slots += v->workers[i].w.slots;
    page_html(g, "<p>");
    page_text(g, "%u worker%s, %llu slot%s. ", v->n_workers, v->n_workers == 1 ? "" : "s",
              (unsigned long long)slots, slots == 1 ? "" : "s");
    page_link(g, "workers", "", "", "What each is doing");
    page_html(g, "</p>\n");
}

err_t page_overview(struct web_view *v, const struct web_request *r, int *status,
                    struct buf *out, struct err *e)
{
    (void)r;
    (void)status;
    struct page g;
    char since[PAST_TIME];
    page_site_begin(&g, v, &(struct page_site){ "Overview", "/", true });
    page_html(&g, "<p class=\"crumbs\">");
    page_text(&g, "%s, since %s", v->facts.state,
              past_time(v->facts.since_ms, true, since));
    page_html(&g, "</p>\n<h1>Overview</h1>\n");
    running(&g, v);
    queue(&g, v);
    recent(&g, v);
    crew(&g, v);
    return page_site_end(&g, v, out, e);
}

// ---- files, and what went wrong ----

static err_t add(struct buf *out, const char *text, struct err *e)
{
    return buf_add(out, text, strlen(text), e);
}

err_t page_style(struct web_view *v, const struct web_request *r, int *status,
                 struct buf *out, struct err *e)
{
    (void)v;
    (void)r;
    (void)status;
    TRY(add(out, page_style_css, e));
    return add(out, page_site_css, e);
}

err_t page_script(struct web_view *v, const struct web_request *r, int *status,
                  struct buf *out, struct err *e)
{
    (void)v;
    (void)r;
    (void)status;
    return add(out, page_live_js, e);
}

err_t page_say(int status, const char *text, struct buf *out, struct err *e)
{
    struct page g;
    const char *title = status == WEB_NOT_FOUND      ? "Not here"
                        : status == WEB_UNAUTHORIZED ? "Who are you?"
                        : status < WEB_FAILED        ? "Not like this"
                        : status == WEB_BUSY         ? "Not now"
                                                     : "Something is wrong";
    page_site_begin(&g, NULL, &(struct page_site){ title, "", false });
    page_element(&g, "h1", title);
    page_element(&g, "p", text);
    page_html(&g, "<p>");
    page_link(&g, "", "", "", "To the overview");
    page_html(&g, "</p>\n");
    return page_site_end(&g, NULL, out, e);
}
