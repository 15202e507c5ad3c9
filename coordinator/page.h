// page - a page of HTML written piece by piece: headings, tables, charts. After a failure
// (there is only ERR_NOMEM) nothing more is written, and page_end tells of it.

#ifndef COORDINATOR_PAGE_H
#define COORDINATOR_PAGE_H

#include "common/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct page {
    bool in_row; // of a table
    bool brief;  // it is sent again and again: what only says more is left out
    struct buf out;
    err_t rc;
    struct err e;
};

// Head and style; `title` is text like all text below: it is escaped here.
void page_begin(struct page *p, const char *title);
// Moves the page into *out; frees it on failure.
MUST_CHECK err_t page_end(struct page *p, struct buf *out, struct err *e);
// The same without the end that page_end gives to a page of page_begin.
MUST_CHECK err_t page_whole(struct page *p, struct buf *out, struct err *e);

void page_html(struct page *p, const char *html); // ours, as it is
void page_text(struct page *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void page_bytes(struct page *p, struct slice s); // as text, whatever they are
void page_element(struct page *p, const char *name, const char *text); // <name>text</name>
void page_section(struct page *p, const char *title);
void page_tile(struct page *p, const char *label, const char *value);

// columns: one after the other with '|' between, "#" before those with numbers.
void page_table(struct page *p, const char *caption, const char *columns);
void page_table_open(struct page *p, const char *caption); // <thead> and <tbody> follow
void page_row(struct page *p);
// The script of live pages (page/live.js) knows it again when others come before it.
void page_keyed_row(struct page *p, const char *key);
void page_cell(struct page *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void page_number(struct page *p, uint64_t n); // a cell: "1,234"
void page_table_end(struct page *p);

// Rows a second, slots, ...: an area over time, its axes as text around it.
struct page_chart {
    const char *title, *unit;
    const double *v; // at least 0
    uint32_t n;
    int64_t end_ms;
};
void page_area(struct page *p, const struct page_chart *c);
// One line of how busy something was: 0 to 1, below 0 when it was not here.
void page_strip(struct page *p, const char *name, const double *v, uint32_t n,
                int64_t end_ms);
void page_bar(struct page *p, double share); // a cell: 0 to 1 of its width
// The shape of it alone, a line high, for the eye only.
void page_spark(struct page *p, const double *v, uint32_t n);

// <a href="/FOLDER/NAME/REST">text</a>; a name may be hostile, an empty part is left out.
void page_link(struct page *p, const char *folder, const char *name, const char *rest,
               const char *text);

#endif
