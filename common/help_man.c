#include "common/help_man.h"

#include "common/opt_doc.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

// ---- roff ----

// Text, with nothing in it that means something to roff; "" is no line.
static err_t plain(struct buf *out, const char *p, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        bool begins = out->n == 0 || out->p[out->n - 1] == '\n';
        if (begins && (p[i] == '.' || p[i] == '\'')) TRY(buf_add(out, "\\&", 2, e));
        switch (p[i]) {
        case '\\': TRY(buf_add(out, "\\e", 2, e)); break;
        case '-': TRY(buf_add(out, "\\-", 2, e)); break;
        case '\'': TRY(buf_add(out, "\\(aq", 4, e)); break;
        case '`': TRY(buf_add(out, "\\(ga", 4, e)); break;
        case '^': TRY(buf_add(out, "\\(ha", 4, e)); break;
        case '~': TRY(buf_add(out, "\\(ti", 4, e)); break;
        default: TRY(buf_add(out, p + i, 1, e));
        }
    }
    return ERR_OK;
}

enum { WIDTH = 72 };

// Filled by roff again; broken here so that the source can be read.
static err_t text(struct buf *out, const char *s, struct err *e)
{
    while (strlen(s) > WIDTH) {
        size_t n = WIDTH;
        while (n && s[n] != ' ')
            n--;
        if (!n) break;
        TRY(plain(out, s, n, e));
        TRY(buf_add(out, "\n", 1, e));
        s += n + 1;
    }
    TRY(plain(out, s, strlen(s), e));
    return buf_add(out, "\n", 1, e);
}

// Not behind a heading, which begins one.
static err_t paragraph(struct buf *out, struct err *e)
{
    const char *last = memrchr(out->p, '\n', out->n - 1);
    bool heading = last && strncmp(last, "\n.S", 3) == 0;
    return heading ? ERR_OK : buf_printf(out, e, ".PP\n");
}

static err_t bold(struct buf *out, const char *s, size_t n, struct err *e)
{
    TRY(buf_add(out, "\\fB", 3, e));
    TRY(plain(out, s, n, e));
    return buf_add(out, "\\fR", 3, e);
}

static err_t title(struct buf *out, const char *name, int section, const char *what,
                   struct err *e)
{
    TRY(buf_printf(out, e,
                   ".\\\" Written from the program's own --help and table of options.\n"
                   ".TH %s %d \"\" \"tranche %s\" \"Tranche\"\n.SH NAME\n",
                   name, section, TRANCHE_VERSION));
    for (const char *p = name; *p; p++)
        TRY(*p == '-' ? buf_printf(out, e, "\\-")
                      : buf_printf(out, e, "%c", tolower((unsigned char)*p)));
    return buf_printf(out, e, " \\- %s\n", what);
}

// The program and its command bold, what is put in place of a word slanted.
static err_t synopsis(struct buf *out, const struct help_text *h, struct err *e)
{
    for (size_t i = 0; i < help_n_usages(h); i++) {
        const char *p = help_usage(h, i);
        size_t n = strcspn(p, " ");
        TRY(buf_printf(out, e, "%s", i ? ".br\n" : ""));
        TRY(bold(out, p, n, e));
        TRY(text(out, p + n, e));
    }
    return ERR_OK;
}

// ---- help ----

static err_t tag(struct buf *out, const struct help_piece *x, struct err *e)
{
    struct help_flag f;
    bool is_flag = help_flag(x->tag, &f);
    size_t n = strlen(x->tag) - (is_flag ? strlen(f.value) : 0);
    while (n && x->tag[n - 1] == ' ')
        n--;
    TRY(buf_printf(out, e, ".TP\n"));
    TRY(bold(out, x->tag, n, e));
    if (!is_flag || !f.value[0]) return buf_add(out, "\n", 1, e);
    TRY(buf_printf(out, e, " \\fI"));
    TRY(plain(out, f.value, strlen(f.value), e));
    return buf_printf(out, e, "\\fR\n");
}

struct known { // the flags of commands that were explained before
    const struct help_command *v;
    size_t n;
};

static const char *explained_in(const struct known *k, const struct help_piece *x)
{
    for (size_t i = 0; k && i < k->n; i++)
        for (size_t j = 0; j < help_n(&k->v[i].help); j++) {
            const struct help_piece *y = help_at(&k->v[i].help, j);
            if (y->kind == HELP_ITEM && !strcmp(x->tag, y->tag) &&
                !strcmp(x->text, y->text))
                return k->v[i].name;
        }
    return NULL;
}

// Whether all below a heading was explained before.
static bool all_known(const struct known *k, const struct help_text *h, size_t at)
{
    size_t i = at;
    for (; i < help_n(h) && help_at(h, i)->kind == HELP_ITEM; i++)
        if (help_at(h, i)->tag[0] != '-' || !explained_in(k, help_at(h, i))) return false;
    return i > at;
}

static err_t example(struct buf *out, const struct help_text *h, size_t *at, struct err *e)
{
    TRY(paragraph(out, e));
    TRY(buf_printf(out, e, ".EX\n"));
    for (; *at < help_n(h) && help_at(h, *at)->kind == HELP_EXAMPLE; ++*at) {
        const char *line = help_at(h, *at)->text;
        TRY(plain(out, line, strlen(line), e));
        TRY(buf_add(out, "\n", 1, e));
    }
    --*at;
    return buf_printf(out, e, ".EE\n");
}

static err_t pieces(struct buf *out, const struct help_text *h, const struct known *k,
                    struct err *e)
{
    size_t left_out = 0;
    for (size_t i = 0; i < help_n(h); i++) {
        const struct help_piece *x = help_at(h, i);
        const char *before =
            x->kind == HELP_ITEM && x->tag[0] == '-' ? explained_in(k, x) : NULL;
        if (before)
            left_out++;
        else if (x->kind == HELP_ITEM) {
            TRY(tag(out, x, e));
            TRY(text(out, x->text, e));
        } else if (x->kind == HELP_EXAMPLE)
            TRY(example(out, h, &i, e));
        else if (x->kind == HELP_PARAGRAPH) {
            TRY(paragraph(out, e));
            TRY(text(out, x->text, e));
        } else if (!all_known(k, h, i + 1)) {
            TRY(paragraph(out, e));
            TRY(bold(out, x->text, strlen(x->text), e));
            TRY(buf_printf(out, e, "\n"));
        }
    }
    if (!left_out) return ERR_OK;
    return buf_printf(out, e,
                      ".PP\nFlags that a command above has, too, mean the same here; "
                      "\\fB\\-\\-help\\fR of the command lists all of them.\n");
}

err_t help_man_tranche(struct buf *out, const struct help_text *overview,
                       const struct help_command *v, size_t n, struct err *e)
{
    TRY(title(out, "TRANCHE", 1,
              "transform large input batch by batch, and load it exactly once", e));
    TRY(buf_printf(out, e, ".SH SYNOPSIS\n"));
    TRY(synopsis(out, overview, e));
    TRY(buf_printf(out, e, ".SH DESCRIPTION\n"));
    TRY(pieces(out, overview, NULL, e));
    TRY(buf_printf(out, e, ".SH COMMANDS\n"));
    for (size_t i = 0; i < n; i++) {
        struct known k = { v, i };
        TRY(buf_printf(out, e, ".SS %s\n", v[i].name));
        TRY(synopsis(out, &v[i].help, e));
        TRY(pieces(out, &v[i].help, &k, e));
    }
    return buf_printf(
        out, e,
        ".SH ENVIRONMENT\n.TP\n\\fBTRANCHE_HOME\\fR\nThe folder for what stands in "
        "\\fI.tranche\\fR beside the job file otherwise.\n.TP\n\\fBNO_COLOR\\fR\nNo colour "
        "on a terminal.\n.TP\n\\fBTMPDIR\\fR\nWhere temporary files are made.\n"
        ".SH FILES\n.TP\n\\fI.tranche/runs.db\\fR\nThe history of runs. Without it nothing "
        "is loaded twice, either.\n.TP\n\\fI.tranche/keys\\fR\nKeys, and who is "
        "allowed.\n.TP\n\\fI.tranche/cache\\fR\nResults that jobs with cache: true keep.\n"
        ".SH SEE ALSO\n.BR tranche\\-job (5),\n.BR tranche\\-worker (1)\n");
}

err_t help_man_worker(struct buf *out, const struct help_text *help, struct err *e)
{
    TRY(title(out, "TRANCHE-WORKER", 1, "work on the batches of a tranche run", e));
    TRY(buf_printf(out, e, ".SH SYNOPSIS\n"));
    TRY(synopsis(out, help, e));
    TRY(buf_printf(out, e, ".SH DESCRIPTION\n"));
    TRY(pieces(out, help, NULL, e));
    return buf_printf(out, e, ".SH SEE ALSO\n.BR tranche (1)\n");
}

// ---- tranche-job(5) ----

struct markdown {
    bool code, strong, block;
};

static err_t font(struct buf *out, bool *on, struct err *e)
{
    *on = !*on;
    return buf_printf(out, e, *on ? "\\fB" : "\\fR");
}

// Of Markdown: `code`, **strong** and [text](address), which may go on in the next line.
static err_t inline_markdown(struct buf *out, struct markdown *m, const char *p, size_t n,
                             struct err *e)
{
    for (const char *end = p + n; p < end; p++) {
        if (*p == '`')
            TRY(font(out, &m->code, e));
        else if (!m->code && strncmp(p, "**", 2) == 0) {
            TRY(font(out, &m->strong, e));
            p++;
        } else if (!m->code && *p == ']' && p[1] == '(')
            p += strcspn(p, ")");
        else if (m->code || *p != '[')
            TRY(plain(out, p, 1, e));
    }
    return buf_add(out, "\n", 1, e);
}

static err_t markdown_line(struct buf *out, struct markdown *m, const char *p, size_t n,
                           struct err *e)
{
    bool bullet = strncmp(p, "- ", 2) == 0;
    size_t in = bullet ? 2 : strspn(p, " ");
    if (strncmp(p, "```", 3) == 0) {
        m->block = !m->block;
        return buf_printf(out, e, m->block ? ".EX\n" : ".EE\n");
    }
    if (m->block) {
        TRY(plain(out, p, n, e));
        return buf_add(out, "\n", 1, e);
    }
    if (bullet) TRY(buf_printf(out, e, ".IP \\(bu 2\n"));
    return inline_markdown(out, m, p + in, n - in, e);
}

// Headings, which are left out, code between ```, lists of one level and paragraphs.
static err_t markdown(struct buf *out, const char *p, struct err *e)
{
    struct markdown m = { 0 };
    for (size_t n; *p; p += n + (p[n] == '\n')) {
        n = strcspn(p, "\n");
        if (*p == '#' && !m.block) continue;
        if (n)
            TRY(markdown_line(out, &m, p, n, e));
        else if (p[1] && strncmp(p, "\n- ", 3) != 0)
            TRY(paragraph(out, e));
    }
    return ERR_OK;
}

static err_t key(struct buf *out, const struct opt *o, struct err *e)
{
    TRY(buf_printf(out, e, ".TP\n"));
    TRY(bold(out, o->key, strlen(o->key), e));
    TRY(buf_printf(out, e, "\n"));
    TRY(text(out, o->help, e));
    TRY(buf_printf(out, e, ".br\nTakes: "));
    TRY(plain(out, o->takes, strlen(o->takes), e));
    if (o->initial) {
        TRY(buf_printf(out, e, ".\nDefault: "));
        TRY(plain(out, o->initial, strlen(o->initial), e));
    }
    if (o->flag) {
        TRY(buf_printf(out, e, ".\nFlag: \\fB\\-\\-"));
        TRY(plain(out, o->flag, strlen(o->flag), e));
        TRY(buf_printf(out, e, "\\fR"));
    }
    return buf_printf(out, e, ".\n");
}

err_t help_man_job(struct buf *out, struct err *e)
{
    enum opt_section last = OPT_N_SECTIONS;
    TRY(title(out, "TRANCHE-JOB", 5, "what a run of tranche reads, does and loads", e));
    TRY(buf_printf(out, e, ".SH DESCRIPTION\n"));
    TRY(markdown(out, opt_preamble, e));
    TRY(buf_printf(out, e, ".SH KEYS\n"));
    for (const struct opt *o = opt_table; o < opt_table + opt_n; o++) {
        if (!o->key) continue;
        if (o->section != last)
            TRY(buf_printf(out, e, ".SS %s\n", opt_section_title(o->section)));
        last = o->section;
        TRY(key(out, o, e));
    }
    return buf_printf(out, e, ".SH SEE ALSO\n.BR tranche (1)\n");
}
