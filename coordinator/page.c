#include "coordinator/page.h"

#include "common/html.h"
#include "coordinator/page_files.h"
#include "coordinator/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void page_html(struct page *p, const char *html)
{
    if (p->rc == ERR_OK) p->rc = buf_add(&p->out, html, strlen(html), &p->e);
}

static void text(struct page *p, const char *s, size_t n)
{
    if (p->rc == ERR_OK) p->rc = html_text_n(&p->out, s, n, &p->e);
}

static void text_v(struct page *p, const char *fmt, va_list ap)
{
    char *s = NULL;
    if (p->rc != ERR_OK) return;
    if (vasprintf(&s, fmt, ap) < 0) {
        p->rc = err_set(&p->e, ERR_NOMEM, "out of memory");
        return;
    }
    text(p, s, strlen(s));
    free(s);
}

void page_text(struct page *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_v(p, fmt, ap);
    va_end(ap);
}

void page_bytes(struct page *p, struct slice s)
{
    if (s.n) text(p, (const char *)s.p, s.n);
}

void page_element(struct page *p, const char *name, const char *s)
{
    page_html(p, "<");
    page_html(p, name);
    page_html(p, ">");
    page_text(p, "%s", s);
    page_html(p, "</");
    page_html(p, name);
    page_html(p, ">\n");
}

void page_begin(struct page *p, const char *title)
{
    *p = (struct page){ 0 };
    page_html(p, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                 "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
                 "'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action "
                 "'none'\">\n<meta name=\"viewport\" content=\"width=device-width, "
                 "initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n"
                 "<meta name=\"referrer\" content=\"no-referrer\">\n");
    page_element(p, "title", title);
    page_html(p, "<style>\n");
    page_html(p, page_style_css);
    page_html(p, "</style>\n</head>\n<body>\n<main>\n");
}

err_t page_end(struct page *p, struct buf *out, struct err *e)
{
    page_html(p, "</main>\n</body>\n</html>\n");
    return page_whole(p, out, e);
}

err_t page_whole(struct page *p, struct buf *out, struct err *e)
{
    if (p->rc != ERR_OK) {
        buf_free(&p->out);
        return err_set(e, p->rc, "%s", p->e.text);
    }
    *out = p->out;
    p->out = (struct buf){ 0 };
    return ERR_OK;
}

void page_section(struct page *p, const char *title)
{
    page_element(p, "h2", title);
}

void page_tile(struct page *p, const char *label, const char *value)
{
    page_html(p, "<div class=\"tile\">");
    page_element(p, "dt", label);
    page_element(p, "dd", value);
    page_html(p, "</div>\n");
}

static void url_part(struct page *p, const char *s)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-._~";
    char code[8];
    page_html(p, "/");
    for (; *s; s++) {
        bool as_it_is = strchr(plain, *s);
        snprintf(code, sizeof code, as_it_is ? "%c" : "%%%02X", (unsigned char)*s);
        page_html(p, code);
    }
}

void page_link(struct page *p, const char *folder, const char *name, const char *rest,
               const char *s)
{
    page_html(p, "<a href=\"");
    url_part(p, folder);
    if (name[0]) url_part(p, name);
    if (rest[0]) url_part(p, rest);
    page_html(p, "\">");
    page_text(p, "%s", s);
    page_html(p, "</a>");
}

// ---- tables ----

void page_table_open(struct page *p, const char *caption)
{
    page_html(p, "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"");
    page_text(p, "%s", caption);
    page_html(p, "\">\n<table>\n");
    page_element(p, "caption", caption);
}

void page_table(struct page *p, const char *caption, const char *columns)
{
    page_table_open(p, caption);
    page_html(p, "<thead>\n<tr>");
    while (*columns) {
        size_t n = strcspn(columns, "|");
        bool number = *columns == '#';
        page_html(p, number ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">");
        text(p, columns + number, n - number);
        page_html(p, "</th>");
        columns += n + (columns[n] == '|');
    }
    page_html(p, "</tr>\n</thead>\n<tbody>");
}

void page_row(struct page *p)
{
    page_html(p, p->in_row ? "</tr>\n<tr>" : "\n<tr>");
    p->in_row = true;
}

void page_keyed_row(struct page *p, const char *key)
{
    page_html(p, p->in_row ? "</tr>\n<tr data-key=\"" : "\n<tr data-key=\"");
    page_text(p, "%s", key);
    page_html(p, "\">");
    p->in_row = true;
}

void page_cell(struct page *p, const char *fmt, ...)
{
    va_list ap;
    page_html(p, "<td>");
    va_start(ap, fmt);
    text_v(p, fmt, ap);
    va_end(ap);
    page_html(p, "</td>");
}

void page_number(struct page *p, uint64_t n)
{
    char digits[32];
    format_count(n, digits, sizeof digits);
    page_html(p, "<td class=\"n\">");
    page_html(p, digits);
    page_html(p, "</td>");
}

void page_table_end(struct page *p)
{
    page_html(p, p->in_row ? "</tr>" : "");
    p->in_row = false;
    page_html(p, "\n</tbody>\n</table>\n</div>\n");
}
