// What the first bytes of a text say against how it is read: another delimiter, another
// encoding. Told before anything is loaded.

#include "common/text.h"
#include "common/utf8.h"
#include "coordinator/source_impl.h"

#include <stdio.h>
#include <string.h>

enum { ROWS = 200, OTHERS = 3 }; // that are looked at; delimiters that files have, too
static const char others[OTHERS] = { ';', '\t', '|' };
static const char *const flags[OTHERS] = { "';'", "tab", "'|'" };

struct delims {
    size_t given, of[OTHERS]; // outside of quotes
};

struct counted {
    struct delims header;
    size_t rows, cut;    // cut: those that the delimiter cuts into several fields
    size_t same[OTHERS]; // those with as many others as the header
};

static void end_row(struct counted *c, const struct delims *row, bool first)
{
    if (first) {
        c->header = *row;
        return;
    }
    c->rows++;
    c->cut += row->given > 0;
    for (int k = 0; k < OTHERS; k++)
        c->same[k] += row->of[k] == c->header.of[k];
}

// A row that the bytes end in counts only if they are all.
static void count_rows(const struct csv_dialect *d, struct slice s, bool whole,
                       struct counted *c)
{
    struct delims row = { 0 };
    bool quoted = false, first = true;
    size_t begin = 0;
    *c = (struct counted){ 0 };
    for (size_t i = 0; i < s.n && c->rows < ROWS; i++) {
        uint8_t b = s.p[i];
        if (d->quote && b == d->quote) quoted = !quoted;
        if (quoted) continue;
        row.given += b == d->delimiter;
        for (int k = 0; k < OTHERS; k++)
            row.of[k] += b == (uint8_t)others[k];
        bool last = i + 1 == s.n && whole;
        if (b != '\n' && !last) continue;
        bool blank = b == '\n' && (i == begin || (i == begin + 1 && s.p[begin] == '\r'));
        if (!blank) end_row(c, &row, first);
        first = first && blank;
        row = (struct delims){ 0 };
        begin = i + 1;
    }
}

err_t likely_delimiter(struct source *s, const char *name, struct slice head, bool whole,
                       struct err *e)
{
    struct counted c;
    char line[400];
    int k = 0;
    if (s->ops != &source_csv || s->delimiter_given || s->header == HEADER_NAMES)
        return ERR_OK;
    count_rows(&s->dialect, head, whole, &c);
    for (int i = 1; i < OTHERS; i++)
        if (c.header.of[i] > c.header.of[k]) k = i;
    if (c.header.given || !c.header.of[k]) return ERR_OK;
    snprintf(line, sizeof line,
             "%.200s: its first line is one column at '%c', and %zu columns at %s: say "
             "--delimiter %s, or --delimiter '%c' if one column is right",
             name, s->dialect.delimiter, c.header.of[k] + 1, flags[k], flags[k],
             s->dialect.delimiter);
    bool sure = c.rows && (c.same[k] * 10 >= c.rows * 9 || c.cut * 10 >= c.rows);
    if (sure) return err_set(e, ERR_INVALID, "%s", line);
    return strings_add(&s->hints, line, strlen(line), e);
}

err_t likely_encoding(struct source *s, const char *name, struct slice head, struct err *e)
{
    char line[500];
    size_t lines = 0, bad = 0, n;
    if (s->hinted_encoding) return ERR_OK;
    for (size_t at = 0; at < head.n; at += n + 1, lines++) {
        const uint8_t *lf = memchr(head.p + at, '\n', head.n - at);
        if (!lf) break; // it may go on behind the bytes
        n = (size_t)(lf - head.p) - at;
        bad += !text_is_utf8((const char *)head.p + at, n);
    }
    if (bad < 2 || bad * 10 < lines) return ERR_OK;
    s->hinted_encoding = true;
    snprintf(
        line, sizeof line,
        "%.200s: %zu of its first %zu lines are not UTF-8, and such rows are rejected; "
        "if it is Windows-1252 or Latin-1, convert it: iconv -f WINDOWS-1252 -t UTF-8 "
        "FILE > NEW.csv",
        name, bad, lines);
    return strings_add(&s->hints, line, strlen(line), e);
}
