#include "common/help_text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void help_free(struct help_text *h)
{
    arena_free(&h->mem);
    buf_free(&h->usages);
    buf_free(&h->pieces);
}

size_t help_n_usages(const struct help_text *h)
{
    return h->usages.n / sizeof(char *);
}

const char *help_usage(const struct help_text *h, size_t i)
{
    const char *line;
    memcpy(&line, h->usages.p + i * sizeof line, sizeof line);
    return line;
}

size_t help_n(const struct help_text *h)
{
    return h->pieces.n / sizeof(struct help_piece);
}

const struct help_piece *help_at(const struct help_text *h, size_t i)
{
    return (const struct help_piece *)(const void *)h->pieces.p + i;
}

size_t help_below(const struct help_text *h, const char *heading)
{
    for (size_t i = 0; i < help_n(h); i++)
        if (help_at(h, i)->kind == HELP_HEADING && !strcmp(help_at(h, i)->text, heading))
            return i + 1;
    return help_n(h);
}

// ---- reading ----

struct reading {
    struct help_text *h;
    bool open;     // the last piece may go on
    bool examples; // below that heading
    struct err *e;
};

static err_t keep(struct reading *r, const char *p, size_t n, const char **out)
{
    *out = arena_strdup(&r->h->mem, p, n);
    return *out ? ERR_OK : err_set(r->e, ERR_NOMEM, "out of memory");
}

static err_t add(struct reading *r, enum help_kind kind, const char *tag, size_t tag_n,
                 const char *p, size_t n)
{
    struct help_piece x = { .kind = kind };
    TRY(keep(r, tag, tag_n, &x.tag));
    TRY(keep(r, p, n, &x.text));
    r->open = kind == HELP_PARAGRAPH || kind == HELP_ITEM;
    return buf_add(&r->h->pieces, &x, sizeof x, r->e);
}

static err_t go_on(struct reading *r, const char *p, size_t n)
{
    struct help_piece *x = (struct help_piece *)(void *)r->h->pieces.p + help_n(r->h) - 1;
    size_t had = strlen(x->text);
    char *text = arena_alloc(&r->h->mem, had + n + 2);
    if (!text) return err_set(r->e, ERR_NOMEM, "out of memory");
    snprintf(text, had + n + 2, "%s%s%.*s", x->text, had ? " " : "", (int)n, p);
    x->text = text;
    return ERR_OK;
}

static err_t item(struct reading *r, const char *p, size_t n)
{
    size_t tag = 0;
    while (tag < n && !(tag + 1 < n && p[tag] == ' ' && p[tag + 1] == ' '))
        tag++;
    size_t text = tag + strspn(p + tag, " ");
    return add(r, HELP_ITEM, p, tag, p + text, n > text ? n - text : 0);
}

static err_t line(struct reading *r, const char *p, size_t n)
{
    size_t in = strspn(p, " ");
    if (in > n) in = n;
    if (n == in) {
        r->open = false;
        r->examples &= n > 0 || help_n(r->h) == 0;
        return ERR_OK;
    }
    if (in == 0 && p[n - 1] == ':' && p[n] && p[n + 1] == ' ') {
        r->examples = n == 9 && memcmp(p, "Examples:", 9) == 0;
        return add(r, HELP_HEADING, "", 0, p, n - 1);
    }
    if (r->examples) return add(r, HELP_EXAMPLE, "", 0, p + 2, n - 2);
    if (in == 2 || (in > 2 && in <= 6 && p[in] == '-')) return item(r, p + in, n - in);
    return r->open ? go_on(r, p + in, n - in)
                   : add(r, HELP_PARAGRAPH, "", 0, p + in, n - in);
}

err_t help_read(struct help_text *h, const char *text, struct err *e)
{
    enum { WIDTH = 7 }; // of "Usage: "
    struct reading r = { .h = h, .e = e };
    bool usage = true;
    *h = (struct help_text){ 0 };
    if (strncmp(text, "Usage: ", WIDTH) != 0)
        return err_set(e, ERR_PARSE, "help does not begin with 'Usage: '");
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, "\n");
        usage &= n > WIDTH;
        if (usage) {
            const char *one;
            TRY(keep(&r, p + WIDTH, n - WIDTH, &one));
            TRY(buf_add(&h->usages, &one, sizeof one, e));
        } else {
            TRY(line(&r, p, n));
        }
        p += n + (p[n] == '\n');
    }
    return ERR_OK;
}

// ---- flags ----

bool help_flag(const char *tag, struct help_flag *out)
{
    *out = (struct help_flag){ 0 };
    const char *p = tag;
    if (p[0] != '-') return false;
    if (isalnum((unsigned char)p[1])) {
        out->letter = p[1];
        p += 2 + strspn(p + 2, ", ");
    }
    if (strncmp(p, "--", 2) == 0) {
        size_t n = strcspn(p, " =");
        snprintf(out->name, sizeof out->name, "%.*s", (int)n - 2, p + 2);
        p += n;
    }
    p += strspn(p, " =");
    snprintf(out->value, sizeof out->value, "%s", p);
    return out->letter || out->name[0];
}

void help_choices(const char *value, char *out, size_t size)
{
    *out = 0;
    if (!strchr(value, '|')) return;
    for (const char *p = value; *p; p += strspn(p, "|")) {
        size_t n = strcspn(p, "|"), k = strlen(out);
        bool word = n > 1;
        for (size_t i = 0; i < n; i++)
            word &= islower((unsigned char)p[i]) || (i && p[i] == '-');
        if (word) snprintf(out + k, size - k, "%s%.*s", k ? " " : "", (int)n, p);
        p += n;
    }
}

bool help_is_file(const char *value)
{
    return !strcmp(value, "FILE") || !strcmp(value, "DIR") || !strcmp(value, "PROGRAM");
}
