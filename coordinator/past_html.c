#include "coordinator/past_html.h"

#include "coordinator/charts.h"
#include "coordinator/page.h"
#include "coordinator/past_say.h"
#include "coordinator/progress.h"
#include "coordinator/series.h"

#include <string.h>

enum { STEPS = 96, STRIPS = 60, ROWS = 200, FEW = 24, SHORT = 300 };

static uint32_t rows_of(const struct page *g)
{
    return g->brief ? FEW : ROWS;
}

static void count_tile(struct page *g, const char *label, uint64_t n)
{
    char s[32];
    format_count(n, s, sizeof s);
    page_tile(g, label, s);
}

static void more(struct page *g, uint64_t n, const char *what)
{
    if (!n) return;
    page_html(g, "<p class=\"dim\">");
    page_text(g, "... and %llu more %s", (unsigned long long)n, what);
    page_html(g, "</p>\n");
}

static void paragraph(struct page *g, const char *label, const char *text)
{
    if (!text[0]) return;
    page_html(g, "<p>");
    if (label[0]) {
        page_html(g, "<span class=\"dim\">");
        page_text(g, "%s ", label);
        page_html(g, "</span>");
    }
    page_text(g, "%s", text);
    page_html(g, "</p>\n");
}

static bool ended_well(const struct past *p)
{
    return strncmp(p->run.status, "loaded", 6) == 0;
}

void past_html_sums(struct page *g, const struct past *p)
{
    char took[PAST_SPAN], line[100];
    const struct journal_run *r = &p->run;
    page_html(g, "<dl class=\"tiles\">\n");
    page_tile(g, "time", p->ended_ms ? past_span((int64_t)(r->seconds * 1000), took) : "-");
    count_tile(g, "rows loaded", r->rows_loaded);
    if (r->seconds > 0)
        count_tile(g, "rows read a second", (uint64_t)((double)r->rows_read / r->seconds));
    count_tile(g, "rows rejected", r->rows_rejected + r->rows_refused);
    count_tile(g, "chunks", r->chunks);
    count_tile(g, "retries", r->retries);
    if (p->planned && ended_well(p) && r->seconds > 0) {
        snprintf(line, sizeof line, "%+.0f %%",
                 journal_plan_error(&p->plan, r->seconds) * 100);
        page_tile(g, "against the plan", line);
    }
    page_html(g, "</dl>\n");
}

static void head(struct page *g, const struct past *p)
{
    char began[PAST_TIME];
    const struct journal_run *r = &p->run;
    bool good = ended_well(p) || p->goes_on;
    page_html(g, "<h1>");
    page_text(g, "%s, run %s", r->name, r->id);
    page_html(g, good ? "</h1>\n<p class=\"status good\">"
                      : "</h1>\n<p class=\"status bad\">");
    page_text(g, "%s%s", r->status, p->goes_on ? ", it goes on" : "");
    page_html(g, "</p>\n");
    paragraph(g, "", r->error);
    paragraph(g, "job", r->job_file);
    paragraph(g, "into", r->into);
    paragraph(g, "table", r->table);
    paragraph(g, "began", past_time(p->started_ms, true, began));
    past_html_sums(g, p);
}

static void throughput(struct page *g, const struct past *p, int64_t end)
{
    double v[STEPS];
    struct page_chart c = { "Rows a second", "rows a second", v, STEPS, end };
    if (p->n_samples < 2) return;
    page_section(g, "Throughput");
    series_of(SERIES_ROWS, p->samples, p->n_samples, end, v, STEPS);
    page_area(g, &c);
    series_of(SERIES_RESULTS, p->samples, p->n_samples, end, v, STEPS);
    if (series_max(v, STEPS) < 0.5) return;
    c.title = "Results that waited for the warehouse";
    c.unit = "results";
    page_area(g, &c);
}

static bool is_worker(const struct journal_worker *w)
{
    return strcmp(w->role, "coordinator") != 0;
}

static void worker_row(struct page *g, const struct journal_worker *w)
{
    char came[PAST_SPAN], left[PAST_SPAN], busy[PAST_SPAN];
    page_row(g);
    page_cell(g, "%s", w->name);
    page_cell(g, "%s", w->host);
    page_number(g, w->slots);
    page_cell(g, "%s to %s", past_span(w->came_ms, came),
              w->left_ms < 0 ? "the end" : past_span(w->left_ms, left));
    page_cell(g, "%s", past_span(w->busy_ms, busy));
    page_number(g, w->chunks);
    page_number(g, w->failed);
    page_number(g, w->sessions);
}

static void workers(struct page *g, const struct past *p, int64_t end)
{
    double v[STEPS];
    uint32_t n = 0, strips = 0, rows = 0;
    for (uint32_t i = 0; i < p->n_workers; i++)
        n += is_worker(&p->workers[i]);
    if (!n) return;
    page_section(g, "Workers over time");
    page_html(g, "<p class=\"dim\">The fuller the colour, the busier; where nothing is "
                 "drawn the worker was not there.</p>\n");
    for (uint32_t i = 0; i < p->n_workers && strips < (g->brief ? FEW : STRIPS); i++) {
        if (!is_worker(&p->workers[i])) continue;
        series_worker(&p->workers[i], end, v, STEPS);
        page_strip(g, p->workers[i].name, v, STEPS, end);
        strips++;
    }
    more(g, n - strips, "workers");
    page_table(g, "Workers", "worker|host|#slots|here|busy|#chunks|#failures|#came");
    for (uint32_t i = 0; i < p->n_workers && rows < rows_of(g); i++) {
        if (!is_worker(&p->workers[i])) continue;
        worker_row(g, &p->workers[i]);
        rows++;
    }
    page_table_end(g);
    more(g, n - rows, "workers");
}

static void slowest(struct page *g, const struct past *p)
{
    char took[PAST_SPAN], name[400];
    if (!p->n_slowest) return;
    page_section(g, "Slowest chunks");
    page_table(g, "Time in the runner, of those given out together on average",
               "chunk|worker|#time|share of the slowest");
    double most = 1;
    for (uint32_t i = 0; i < p->n_slowest; i++)
        if ((double)p->slowest[i].ms > most) most = (double)p->slowest[i].ms;
    for (uint32_t i = 0; i < p->n_slowest; i++) {
        const struct past_chunk *c = &p->slowest[i];
        page_row(g);
        page_cell(g, "%s", past_title(p, c, name, sizeof name));
        page_cell(g, "%s", c->worker);
        page_html(g, "<td class=\"n\">");
        page_text(g, "%s", past_span(c->ms, took));
        page_html(g, "</td>");
        page_bar(g, (double)c->ms / most);
    }
    page_table_end(g);
}

static void tries(struct page *g, const struct past *p, const struct past_chunk *c)
{
    const uint32_t most = g->brief ? 3 : 10;
    char name[400], took[PAST_SPAN], line[SHORT];
    for (uint32_t i = 0; i < c->n && i < most; i++) {
        const struct past_try *t = &c->tries[i];
        page_row(g);
        page_cell(g, "%s", i ? "" : past_title(p, c, name, sizeof name));
        page_number(g, t->attempt);
        page_cell(g, "%s", t->worker);
        page_html(g, "<td class=\"n\">");
        page_text(g, "%s", t->ms > 0 ? past_span(t->ms, took) : "");
        page_html(g, "</td>");
        page_cell(g, "%s%s%s", past_outcome(t->outcome), t->text[0] ? ": " : "",
                  past_short(t->text, line, sizeof line));
    }
}

static void retries(struct page *g, const struct past *p)
{
    if (!p->n_troubled) return;
    page_section(g, "Retries and failures");
    page_table(g, "Chunks that were tried more than once, or failed",
               "chunk|#attempt|worker|#time|how it ended");
    uint32_t n = p->n_troubled < rows_of(g) ? p->n_troubled : rows_of(g);
    for (uint32_t i = 0; i < n; i++)
        tries(g, p, &p->troubled[i]);
    page_table_end(g);
    more(g, p->all_troubled > n ? p->all_troubled - n : 0, "chunks");
}

static void rejects(struct page *g, const struct past *p)
{
    uint64_t most = 1;
    if (!p->n_reasons && !(p->run.rows_rejected + p->run.rows_refused)) return;
    page_section(g, "Rejected rows");
    if (p->no_reasons) paragraph(g, "", p->no_reasons);
    if (!p->n_reasons) return;
    page_table(g, "Of this load, by reason, the most frequent first",
               "reason|#rows|share of the first");
    for (uint32_t i = 0; i < p->n_reasons; i++) {
        if (p->reasons[i].rows > most) most = p->reasons[i].rows;
        page_row(g);
        page_cell(g, "%s", p->reasons[i].reason);
        page_number(g, p->reasons[i].rows);
        page_bar(g, (double)p->reasons[i].rows / (double)most);
    }
    page_table_end(g);
}

static void balance(struct page *g, const struct past *p)
{
    const struct journal_run *r = &p->run;
    const struct {
        const char *label;
        uint64_t n;
    } rows[] = {
        { "rows read", r->rows_read },    { "parsed", r->rows_parsed },
        { "rejected", r->rows_rejected }, { "rows emitted", r->rows_emitted },
        { "loaded", r->rows_loaded },     { "refused", r->rows_refused },
    };
    if (!p->ended_ms) return;
    page_section(g, "Balance sheet");
    page_table(g, "Rows read = parsed + rejected; rows emitted = loaded + refused",
               "what|#rows");
    for (int i = 0; i < 6; i++) {
        page_row(g);
        page_cell(g, "%s", rows[i].label);
        page_number(g, rows[i].n);
    }
    page_table_end(g);
}

static void cache(struct page *g, const struct past *p)
{
    char name[300];
    if (!p->n_reused) return;
    page_section(g, "Cache");
    page_table(g, "Chunks whose results were reused, and why others were not",
               "range|#chunks|reused");
    for (uint32_t i = 0; i < p->n_reused && i < rows_of(g); i++) {
        const struct past_reused *r = &p->reused[i];
        page_row(g);
        page_cell(g, "%s", past_chunk_name(p, r->range, name, sizeof name));
        page_number(g, r->chunks);
        page_cell(g, "%s%s", r->why[0] ? "no: " : "yes", r->why);
    }
    page_table_end(g);
    more(g, p->n_reused > rows_of(g) ? p->n_reused - rows_of(g) : 0, "ranges");
}

static void hosts(struct page *g, const struct past *p)
{
    char memory[32];
    uint32_t n = 0;
    if (!p->n_workers) return;
    page_section(g, "Hosts");
    page_table(g, "Hardware", "host|processor|#cores|#memory");
    for (uint32_t i = 0; i < p->n_workers && n < rows_of(g); i++) {
        const struct journal_worker *w = &p->workers[i];
        bool before = false;
        for (uint32_t k = 0; k < i && !before; k++)
            before =
                !strcmp(p->workers[k].host, w->host) && !strcmp(p->workers[k].cpu, w->cpu);
        if (before) continue;
        n++;
        format_bytes((double)w->memory_bytes, memory, sizeof memory);
        page_row(g);
        page_cell(g, "%s", w->host);
        page_cell(g, "%s", w->cpu);
        page_number(g, w->cores);
        page_html(g, "<td class=\"n\">");
        page_text(g, "%s", memory);
        page_html(g, "</td>");
    }
    page_table_end(g);
}

// The last ones, where they are few.
static void events(struct page *g, const struct past *p)
{
    char at[PAST_TIME], line[SHORT];
    uint32_t n = p->n_events, from = g->brief && n > FEW ? n - FEW : 0;
    if (!n) return;
    page_section(g, "What happened");
    page_table(g, "Lines of the run's log", "time|kind|line");
    for (uint32_t i = from; i < n; i++) {
        page_row(g);
        page_cell(g, "%s", past_time(p->events[i].at_ms, false, at));
        page_cell(g, "%s", p->events[i].kind);
        page_cell(g, "%s",
                  g->brief ? past_short(p->events[i].text, line, sizeof line)
                           : p->events[i].text);
    }
    page_table_end(g);
    more(g, p->all_events - (n - from),
         from ? "lines, before them" : "lines, from between");
}

void past_html_parts(struct page *g, const struct past *p)
{
    int64_t end = series_end_ms(p->samples, p->n_samples, p->workers, p->n_workers);
    throughput(g, p, end);
    workers(g, p, end);
    slowest(g, p);
    retries(g, p);
    rejects(g, p);
    balance(g, p);
    cache(g, p);
    hosts(g, p);
    events(g, p);
}

void past_html_charts(struct page *g, struct past *p)
{
    if (g->rc == ERR_OK) g->rc = charts_html(p, &g->out, &g->e);
}

err_t past_html(struct past *p, struct buf *out, struct err *e)
{
    struct page g;
    char title[300];
    snprintf(title, sizeof title, "%.100s, run %s: %.100s", p->run.name, p->run.id,
             p->run.status);
    page_begin(&g, title);
    head(&g, p);
    past_html_charts(&g, p);
    past_html_parts(&g, p);
    return page_end(&g, out, e);
}
