#include "coordinator/page_site.h"

#include "coordinator/cli.h"
#include "coordinator/past_say.h"
#include "coordinator/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// ---- frame ----

static const char icon[] =
    "<link rel=\"icon\" href=\"data:image/svg+xml,%3Csvg "
    "xmlns='http://www.w3.org/2000/svg' "
    "viewBox='0 0 20 20' fill='%231f62c9'%3E%3Cpath d='M2 3h16v3H2zM2 8.5h11v3H2zM2 "
    "14h16v3H2z'/%3E%3C/svg%3E\">\n";
static const char brand[] =
    "<a class=\"skip\" href=\"#main\">Skip to the content</a>\n"
    "<header class=\"top\"><div>\n<a class=\"brand\" href=\"/\"><svg viewBox=\"0 0 20 20\" "
    "aria-hidden=\"true\"><path d=\"M2 3h16v3H2zM2 8.5h11v3H2zM2 "
    "14h16v3H2z\"/></svg>Tranche</a>\n";

static void navigation(struct page *p, const char *here)
{
    static const char *const all[][2] = { { "/", "Overview" },
                                          { "/jobs", "Jobs" },
                                          { "/runs", "Runs" },
                                          { "/workers", "Workers" } };
    page_html(p, "<nav aria-label=\"Main\"><ul>");
    for (int i = 0; i < 4; i++) {
        page_html(p, "<li><a href=\"");
        page_html(p, all[i][0]);
        page_html(p, strcmp(all[i][0], here) == 0 ? "\" aria-current=\"page\">" : "\">");
        page_html(p, all[i][1]);
        page_html(p, "</a></li>");
    }
    page_html(p, "</ul></nav>\n");
}

// The one line that is read aloud when it changes: no numbers that always do.
static void state(struct page *p, const struct web_view *v)
{
    uint64_t runs = 0;
    for (uint32_t i = 0; i < v->n_runs; i++)
        runs += v->runs[i].goes_on;
    page_html(p, "<p class=\"state\" id=\"state\" role=\"status\">");
    if (runs) page_text(p, "%llu running", (unsigned long long)runs);
    if (v->n_running > runs)
        page_text(p, "%s%llu starting", runs ? ", " : "",
                  (unsigned long long)(v->n_running - runs));
    if (!runs && !v->n_running) page_html(p, "nothing runs");
    if (v->jobs_in[BACKLOG_QUEUED])
        page_text(p, ", %llu waiting", (unsigned long long)v->jobs_in[BACKLOG_QUEUED]);
    page_html(p, "</p>\n<button type=\"button\" id=\"live\" hidden>Live</button>\n");
}

void page_site_begin(struct page *p, const struct web_view *view, const struct page_site *s)
{
    *p = (struct page){ .brief = true };
    page_html(p, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                 "<meta name=\"viewport\" content=\"width=device-width, "
                 "initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n"
                 "<title>");
    page_text(p, "%s - Tranche", s->title);
    page_html(p, "</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n");
    page_html(p, icon);
    page_html(p, "<script src=\"/page.js\" defer></script>\n</head>\n<body>\n");
    page_html(p, brand);
    navigation(p, s->here);
    if (view) state(p, view);
    page_html(p, "</div></header>\n<main id=\"main\" tabindex=\"-1\"");
    page_html(p, s->live ? " data-live>\n" : ">\n");
}

err_t page_site_end(struct page *p, const struct web_view *view, struct buf *out,
                    struct err *e)
{
    struct buf whole;
    char at[PAST_TIME];
    page_html(p, "</main>\n<footer><p>");
    if (view) {
        page_text(p, "tranche %s, %s, ", view->facts.version, view->facts.state);
        page_html(p, "<span id=\"taken\">as of ");
        page_text(p, "%s", past_time(view->taken_ms, true, at));
        page_html(p, "</span>");
    }
    page_html(p, "</p></footer>\n</body>\n</html>\n");
    TRY(page_whole(p, &whole, e));
    err_t rc = buf_add(out, whole.p, whole.n, e);
    buf_free(&whole);
    return rc;
}

err_t page_finish(struct page *p, const struct web_view *view, err_t rc, struct buf *out,
                  struct err *e)
{
    if (rc == ERR_OK) return page_site_end(p, view, out, e);
    buf_free(&p->out);
    return rc;
}

// ---- how something stands ----

void page_mood(struct page *p, enum page_mood mood, const char *text)
{
    static const char *const names[] = { "st", "st runs", "st good", "st warn", "st bad" };
    page_html(p, "<span class=\"");
    page_html(p, names[mood]);
    page_html(p, "\">");
    page_text(p, "%s", text);
    page_html(p, "</span>");
}

enum page_mood page_mood_of_run(const struct journal_run *r, bool goes_on)
{
    return goes_on                                 ? MOOD_RUNS
           : strcmp(r->status, "loaded") == 0      ? MOOD_GOOD
           : strncmp(r->status, "loaded", 6) == 0  ? MOOD_WARNS
           : strcmp(r->status, "interrupted") == 0 ? MOOD_WAITS
                                                   : MOOD_BAD;
}

void page_job_state(struct page *p, const struct backlog_job *j)
{
    char text[60];
    enum page_mood mood = j->state == BACKLOG_RUNNING   ? MOOD_RUNS
                          : j->state != BACKLOG_ENDED   ? MOOD_WAITS
                          : j->exit_code == CLI_OK      ? MOOD_GOOD
                          : j->exit_code == CLI_REJECTS ? MOOD_WARNS
                                                        : MOOD_BAD;
    snprintf(text, sizeof text, "%s", backlog_state_text(j->state));
    if (j->state == BACKLOG_RUNNING && j->stopping) snprintf(text, sizeof text, "stopping");
    if (j->state == BACKLOG_ENDED && j->exit_code)
        snprintf(text, sizeof text, "ended, exit code %d%s", j->exit_code,
                 j->exit_code == CLI_REJECTS ? ": rejected rows" : "");
    page_mood(p, mood, text);
}

const char *page_run_name(const struct journal_run *r)
{
    return r->name && r->name[0] ? r->name : r->id;
}

// ---- facts ----

void page_fact(struct page *p, const char *label, const char *fmt, ...)
{
    char s[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s, sizeof s, fmt, ap);
    va_end(ap);
    page_html(p, "<div>");
    page_element(p, "dt", label);
    page_element(p, "dd", s);
    page_html(p, "</div>\n");
}

void page_fact_count(struct page *p, const char *label, uint64_t n)
{
    char s[32];
    format_count(n, s, sizeof s);
    page_fact(p, label, "%s", s);
}

static void bar(struct page *p, const struct web_run *r)
{
    const struct journal_now *n = &r->now;
    char attribute[40];
    double share = n->bytes_total ? (double)n->bytes / (double)n->bytes_total : -1;
    if (share > 1) share = 1;
    page_html(p, "<div class=\"going\"><progress aria-label=\"");
    page_text(p, "Progress of %s", page_run_name(&r->run));
    page_html(p, "\"");
    snprintf(attribute, sizeof attribute, " max=\"1000\" value=\"%d\"",
             (int)(share * 1000));
    if (share >= 0) page_html(p, attribute);
    page_html(p, "></progress>");
    if (share >= 0)
        page_text(p, "%d %%", (int)(share * 100));
    else
        page_html(p, n->at_ms ? "no end known" : "starting");
    page_html(p, "</div>\n");
}

static void amount(struct page *p, const struct journal_now *n)
{
    char done[32], all[32];
    if (!n->bytes || n->in_rows) return;
    format_bytes((double)n->bytes, done, sizeof done);
    format_bytes((double)n->bytes_total, all, sizeof all);
    page_fact(p, "input", n->bytes_total ? "%s of %s" : "%s", done, all);
}

void page_going(struct page *p, const struct web_run *r)
{
    const struct journal_now *n = &r->now;
    char left[32];
    bar(p, r);
    if (!n->at_ms) return;
    page_html(p, "<dl class=\"facts\">\n");
    page_fact_count(p, "rows read", n->rows_read);
    page_fact_count(p, "rows a second", (uint64_t)(r->rows_per_second + 0.5));
    format_seconds((double)r->left_ms / 1000, left, sizeof left);
    if (r->left_ms >= 0) page_fact(p, "left", "about %s", left);
    amount(p, n);
    page_fact(p, n->workers == 1 ? "worker" : "workers", "%u, %u of %u slots busy",
              n->workers, n->busy, n->slots);
    if (n->rows_rejected) page_fact_count(p, "rejected", n->rows_rejected);
    if (n->retries) page_fact_count(p, "retries", n->retries);
    page_html(p, "</dl>\n");
}

// ---- small pieces ----

void page_job_link(struct page *p, int64_t job)
{
    char number[24], text[32];
    snprintf(number, sizeof number, "%lld", (long long)job);
    snprintf(text, sizeof text, "job %s", number);
    page_link(p, "jobs", number, "", text);
}

void page_time_cell(struct page *p, int64_t wall_ms)
{
    char at[PAST_TIME];
    page_html(p, "<td class=\"t\">");
    page_text(p, "%s", wall_ms ? past_time(wall_ms, true, at) : "");
    page_html(p, "</td>");
}

void page_none(struct page *p, const char *text)
{
    page_html(p, "<p class=\"none\">");
    page_text(p, "%s", text);
    page_html(p, "</p>\n");
}

void page_further(struct page *p, const char *path, const char *name, int64_t value,
                  const char *text)
{
    page_html(p, "<a href=\"");
    page_text(p, "%s?%s=%lld", path, name, (long long)value);
    page_html(p, "\">");
    page_text(p, "%s", text);
    page_html(p, "</a>\n");
}
