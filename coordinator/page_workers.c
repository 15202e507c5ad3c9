// The workers of runs that go on, and what each has.

#include "coordinator/page_site.h"
#include "coordinator/pages.h"
#include "coordinator/past_say.h"

#include <stdio.h>

enum { PER_PAGE = 100 };

static void batch(struct page *g, const struct web_worker *w)
{
    if (!w->input[0]) {
        page_cell(g, "%s", w->leaving ? "" : "waits");
        return;
    }
    page_html(g, "<td>");
    page_text(g, "%.300s %s %llu-%llu", w->input, w->in_rows ? "rows" : "bytes",
              (unsigned long long)w->begin, (unsigned long long)w->end);
    if (w->chunks > 1) page_text(g, ", %llu chunks", (unsigned long long)w->chunks);
    page_html(g, "</td>");
}

static void row(struct page *g, const struct web_worker *w)
{
    char busy[PAST_SPAN];
    page_row(g);
    page_html(g, "<th scope=\"row\">");
    page_text(g, "%s", w->w.name);
    page_html(g, "</th>");
    page_cell(g, "%s", w->w.host);
    page_number(g, w->w.slots);
    page_html(g, "<td>");
    page_link(g, "runs", w->run->run.id, "", page_run_name(&w->run->run));
    page_html(g, "</td>");
    batch(g, w);
    page_number(g, w->w.chunks);
    page_number(g, w->w.failed);
    page_cell(g, "%s", past_span(w->w.busy_ms, busy));
    page_html(g, "<td>");
    page_mood(g, w->leaving ? MOOD_WAITS : MOOD_GOOD, w->leaving ? "leaving" : "here");
    page_html(g, "</td>");
}

static void others(struct page *g, const struct web_view *v, uint64_t from, uint64_t end)
{
    if (from == 0 && end == v->n_workers) return;
    page_html(g, "<nav class=\"pages\" aria-label=\"More workers\">");
    if (from)
        page_further(g, "/workers", "from", from > PER_PAGE ? (int64_t)from - PER_PAGE : 0,
                     "Those before");
    if (end < v->n_workers)
        page_further(g, "/workers", "from", (int64_t)end, "Those after");
    page_html(g, "</nav>\n");
}

err_t page_workers(struct web_view *v, const struct web_request *r, int *status,
                   struct buf *out, struct err *e)
{
    (void)status;
    struct page g;
    char caption[80];
    uint64_t from, end;
    TRY(web_param_number(r, "from", 0, WEB_WORKERS_MAX, 0, &from, e));
    if (from > v->n_workers) from = 0; // they have left
    end = from + PER_PAGE < v->n_workers ? from + PER_PAGE : v->n_workers;
    page_site_begin(&g, v, &(struct page_site){ "Workers", "/workers", true });
    page_element(&g, "h1", "Workers");
    if (v->n_workers) {
        snprintf(caption, sizeof caption, "%llu to %llu of %u, by run and name",
                 (unsigned long long)from + 1, (unsigned long long)end, v->n_workers);
        page_table(&g, caption,
                   "worker|host|#slots|run|has now|#chunks|#failures|busy|state");
        for (uint64_t i = from; i < end; i++)
            row(&g, &v->workers[i]);
        page_table_end(&g);
    } else {
        page_none(&g, "No worker is here: they come with a run.");
    }
    others(&g, v, from, end);
    return page_site_end(&g, v, out, e);
}
