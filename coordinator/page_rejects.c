// The rejected rows of a run, one by one.

#include "common/html.h"
#include "common/rejects.h"
#include "common/text.h"
#include "coordinator/page_site.h"
#include "coordinator/pages.h"
#include "coordinator/past.h"
#include "coordinator/progress.h"

#include <stdio.h>

enum {
    PER_PAGE = 50,
    PATIENCE_MS = 1000,
    RAW_MAX = 1000,       // bytes of a row
    RAW_SHORT = 60,       // ... once the page has
    PAGE_FULL = 64 << 10, // so many
};

// Of one character that can be shown as it is; 0: of none.
static size_t plain(const uint8_t *s, size_t n)
{
    size_t k = text_harmless((const char *)s, n);
    return html_turns_text((const char *)s, k) ? 0 : k;
}

// Bytes that are no text as \xff, in an element of their own: it is not in the row.
static void raw(struct page *g, struct slice s)
{
    size_t most = g->out.n < PAGE_FULL ? RAW_MAX : RAW_SHORT;
    size_t n = s.n < most ? s.n : most, i = 0;
    char code[24];
    while (i < n) {
        size_t from = i, k;
        while (i < n && (k = plain(s.p + i, s.n - i)) > 0)
            i += k;
        page_bytes(g, (struct slice){ s.p + from, i - from });
        if (i >= n) break;
        snprintf(code, sizeof code, "<b>\\x%02x</b>", s.p[i++]);
        page_html(g, code);
    }
    if (i < s.n) {
        page_html(g, "</code> <span class=\"dim\">");
        page_text(g, "and %llu bytes more", (unsigned long long)(s.n - i));
        page_html(g, "</span><code>");
    }
}

struct list {
    struct page *g;
    uint32_t n;
    bool more;
    int64_t last;
};

static void where(struct page *g, const struct past_reject *r)
{
    char number[32];
    page_html(g, "<th scope=\"row\">");
    page_bytes(g, (struct slice){ r->file.p, r->file.n < 300 ? r->file.n : 300 });
    format_count(r->line ? r->line : r->byte, number, sizeof number);
    if (r->line)
        page_text(g, " line %s", number);
    else if (r->byte != REJECT_NO_BYTE)
        page_text(g, " row %s", number);
    page_html(g, "</th>");
}

static void cell(struct page *g, struct slice s)
{
    page_html(g, "<td>");
    page_bytes(g, (struct slice){ s.p, s.n < REJECT_REASON_MAX ? s.n : REJECT_REASON_MAX });
    page_html(g, "</td>");
}

static bool add(void *arg, const struct past_reject *r)
{
    struct list *l = arg;
    l->more = l->n == PER_PAGE;
    if (l->more) return false;
    page_row(l->g);
    where(l->g, r);
    cell(l->g, r->column);
    cell(l->g, r->reason);
    page_html(l->g, "<td><code class=\"raw\">");
    raw(l->g, r->raw);
    page_html(l->g, "</code></td>");
    l->last = r->id;
    l->n++;
    return l->g->rc == ERR_OK;
}

static void further(struct list *l, const char *run, uint64_t after)
{
    char path[120];
    snprintf(path, sizeof path, "/runs/%s/rejects", run);
    if (!after && !l->more) return;
    page_html(l->g, "<nav class=\"pages\" aria-label=\"More rejected rows\">");
    if (after) page_link(l->g, "runs", run, "rejects", "The first");
    page_html(l->g, " ");
    if (l->more) page_further(l->g, path, "after", l->last, "The next 50");
    page_html(l->g, "</nav>\n");
}

static err_t list(struct page *g, struct past *p, uint64_t after, struct err *e)
{
    struct list l = { .g = g };
    const char *unknown;
    page_table(g,
               "In the order in which they were committed; \\x00 stands for a byte that "
               "is no text",
               "where|column|reason|as it stood");
    err_t rc = past_each_reject(p, (int64_t)after, add, &l, &unknown, e);
    page_table_end(g);
    if (unknown)
        page_none(g, unknown);
    else if (!l.n)
        page_none(g, after ? "There are no more." : "No row was rejected.");
    further(&l, p->run.id, after);
    return rc;
}

err_t page_rejects(struct web_view *v, const struct web_request *r, int *status,
                   struct buf *out, struct err *e)
{
    (void)status;
    struct past p = { 0 };
    struct page g = { 0 };
    char title[300];
    uint64_t after;
    TRY(web_param_number(r, "after", 0, INT64_MAX, 0, &after, e));
    err_t rc = past_open(&p, v->facts.state, r->name, e);
    p.patience_ms = PATIENCE_MS;
    if (rc == ERR_OK) {
        snprintf(title, sizeof title, "Rejected rows of %.200s", page_run_name(&p.run));
        page_site_begin(&g, v, &(struct page_site){ title, "/runs", false });
        page_html(&g, "<p class=\"crumbs\">");
        page_link(&g, "runs", "", "", "Runs");
        page_html(&g, " / ");
        page_link(&g, "runs", p.run.id, "", p.run.id);
        page_html(&g, "</p>\n");
        page_element(&g, "h1", title);
        rc = list(&g, &p, after, e);
    }
    rc = page_finish(&g, v, rc, out, e);
    past_close(&p);
    return rc;
}
