// Expressions of `aggregate.compute`, and whether they fit the rows.

#include "common/agg.h"
#include "common/suggest.h"
#include "common/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    int least, most;
    bool numbers;
} FUNCTIONS[] = {
#define X(id, text, least, most, numbers) { text, least, most, numbers },
    AGG_FUNCTIONS(X)
#undef X
};
enum { N_FUNCTIONS = sizeof FUNCTIONS / sizeof *FUNCTIONS };

struct parser {
    const char *text;
    size_t at;    // next byte
    size_t wrong; // what the sentence is about
    struct err *e;
};

__attribute__((format(printf, 3, 4))) static err_t wrong(struct parser *p, size_t at,
                                                         const char *fmt, ...)
{
    char sentence[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    p->wrong = at;
    return err_set(p->e, ERR_PARSE, "%s", sentence);
}

static void skip_space(struct parser *p)
{
    p->at += strspn(p->text + p->at, " \t\r\n");
}

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || (c & 0x80);
}

static bool take(struct parser *p, char c)
{
    skip_space(p);
    if (p->text[p->at] != c) return false;
    p->at++;
    return true;
}

#define QUOTED(s) text_quoted(s, (char[TEXT_QUOTED]){ 0 })

static err_t take_function(struct parser *p, enum agg_kind *kind)
{
    skip_space(p);
    size_t begin = p->at;
    char word[65] = "";
    while (is_word_byte(p->text[p->at]))
        p->at++;
    snprintf(word, sizeof word, "%.*s", (int)(p->at - begin), p->text + begin);
    if (!*word)
        return wrong(p, begin, "a function is wanted, such as count(*) or avg(delay)");
    struct suggest s = { .word = word };
    for (unsigned i = 0; i < N_FUNCTIONS; i++) {
        *kind = (enum agg_kind)i;
        if (strcasecmp(word, FUNCTIONS[i].name) == 0) return ERR_OK;
        suggest_offer(&s, FUNCTIONS[i].name);
    }
    static const char *const others[][2] = {
        { "mean", "avg" },
        { "average", "avg" },
        { "std", "stddev" },
        { "stdev", "stddev" },
        { "sd", "stddev" },
        { "var", "variance" },
        { "percentile", "quantile" },
        { "nunique", "count_distinct" },
        { "minimum", "min" },
        { "maximum", "max" },
        { "total", "sum" },
        { "arg_max", "max_by" },
        { "argmax", "max_by" },
        { "last", "max_by" },
        { "latest", "max_by" },
        { "newest", "max_by" },
        { "arg_min", "min_by" },
        { "argmin", "min_by" },
        { "first", "min_by" },
        { "oldest", "min_by" },
    };
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++)
        if (strcasecmp(word, others[i][0]) == 0) s.best = others[i][1];
    if (s.best)
        return wrong(p, begin, "no function %s; did you mean '%s'?", QUOTED(word), s.best);
    return wrong(p, begin,
                 "no function %s; there are count, sum, avg, min, max, stddev, variance, "
                 "quantile, median, count_distinct, max_by and min_by",
                 QUOTED(word));
}

static err_t nomem(struct parser *p)
{
    return err_set(p->e, ERR_NOMEM, "out of memory");
}

// "a column", with "" for a quote in it.
static err_t take_quoted(struct parser *p, char **out)
{
    size_t begin = p->at++, n = 0;
    char *s = malloc(strlen(p->text + begin) + 1);
    if (!s) return nomem(p);
    for (;; p->at++) {
        char c = p->text[p->at];
        if (!c) {
            free(s);
            return wrong(p, begin, "this quote is never closed");
        }
        if (c == '"' && p->text[++p->at] != '"') break;
        s[n++] = c;
    }
    s[n] = 0;
    *out = s;
    return ERR_OK;
}

static err_t take_column(struct parser *p, const struct agg_fn *f, char **out)
{
    const char *name = FUNCTIONS[f->kind].name;
    skip_space(p);
    size_t begin = p->at;
    if (p->text[p->at] == '"') return take_quoted(p, out);
    if (p->text[p->at] == '*') {
        p->at++;
        if (f->kind == AGG_COUNT) return ERR_OK;
        return wrong(p, begin, "%s(*): only count takes *", name);
    }
    if (p->text[p->at] >= '0' && p->text[p->at] <= '9')
        return wrong(p, begin, "%s wants a column first", name);
    while (is_word_byte(p->text[p->at]))
        p->at++;
    if (p->at == begin && p->text[begin] == '\'')
        return wrong(p, begin, "a column stands in double quotes");
    if (p->at == begin) return wrong(p, begin, "%s wants a column here", name);
    *out = strndup(p->text + begin, p->at - begin);
    return *out ? ERR_OK : nomem(p);
}

static err_t take_share(struct parser *p, double *q)
{
    skip_space(p);
    size_t begin = p->at;
    char digits[40] = "";
    size_t n = strspn(p->text + begin, "0123456789.eE+-");
    char *end = digits;
    if (n && n < sizeof digits) {
        memcpy(digits, p->text + begin, n);
        *q = strtod(digits, &end);
    }
    if (end == digits || *end)
        return wrong(p, begin, "quantile wants a number from 0 to 1, e.g. 0.95");
    if (!(*q >= 0 && *q <= 1))
        return wrong(p, begin, "%s is not from 0 to 1%s", digits,
                     *q > 1 && *q <= 100 ? "; a percentage is written as a share, 0.95"
                                         : "");
    p->at += n;
    return ERR_OK;
}

static err_t parse(struct parser *p, struct agg_fn *f)
{
    TRY(take_function(p, &f->kind));
    const char *name = FUNCTIONS[f->kind].name;
    if (!take(p, '(')) return wrong(p, p->at, "a '(' is wanted after %s", name);
    if (take(p, ')')) return wrong(p, p->at - 1, "%s wants a column", name);
    TRY(take_column(p, f, &f->column));
    f->q = 0.5;
    if (f->kind == AGG_QUANTILE) {
        if (!take(p, ','))
            return wrong(p, p->at, "%s(column, q): the ', q' is missing", name);
        TRY(take_share(p, &f->q));
    } else if (FUNCTIONS[f->kind].most == 2) {
        if (!take(p, ','))
            return wrong(p, p->at,
                         "%s(x, by): the ', by' is missing, the column that says which "
                         "row's x it is",
                         name);
        TRY(take_column(p, f, &f->deciding));
    }
    if (take(p, ','))
        return wrong(p, p->at - 1, "%s takes only %s", name,
                     f->deciding ? "two columns" : "one column");
    if (!take(p, ')')) return wrong(p, p->at, "a ')' is wanted here");
    skip_space(p);
    if (p->text[p->at])
        return wrong(p, p->at,
                     "nothing may follow the function; compute it in a transform or in "
                     "merge");
    return ERR_OK;
}

err_t agg_fn_parse(struct agg_fn *out, const char *text, size_t *at, struct err *e)
{
    struct parser p = { .text = text, .e = e };
    *out = (struct agg_fn){ .text = strdup(text) };
    *at = 0;
    err_t rc = out->text ? parse(&p, out) : nomem(&p);
    *at = p.wrong;
    if (rc != ERR_OK) agg_fn_free(out);
    return rc;
}

// ---- against the rows

static void place(const struct job *j, const struct job_item *at, const char *key,
                  const char *flag, size_t offset, char *out, size_t cap)
{
    if (at && at->line)
        snprintf(out, cap, "%.250s:%d:%d: %s", j->file ? j->file : "job", at->line,
                 at->column + (int)offset, key);
    else
        snprintf(out, cap, "%s", flag);
}

static err_t no_column(const struct schema *rows, const char *column, const char *where,
                       struct err *e)
{
    struct suggest s = { .word = column };
    for (uint32_t i = 0; i < rows->n; i++)
        suggest_offer(&s, rows->f[i].name);
    if (s.best)
        return err_set(e, ERR_INVALID, "%s: no column %s; did you mean '%s'?", where,
                       QUOTED(column), s.best);
    char names[400] = "";
    for (uint32_t i = 0; i < rows->n; i++) {
        size_t n = strlen(names);
        snprintf(names + n, sizeof names - n, "%s%.60s", i ? ", " : "", rows->f[i].name);
    }
    return err_set(e, ERR_INVALID, "%s: no column %s; there are %s", where, QUOTED(column),
                   names);
}

static const struct job_item *item(const struct job_items *v, size_t i)
{
    return i < v->n ? &v->v[i] : NULL;
}

static err_t check_fn(const struct agg_fn *f, const char *where, const struct schema *rows,
                      bool typed, struct err *e)
{
    if (!f->column) return ERR_OK;
    if (f->deciding && schema_find(rows, f->deciding) < 0)
        return no_column(rows, f->deciding, where, e);
    int at = schema_find(rows, f->column);
    if (at < 0) return no_column(rows, f->column, where, e);
    if (typed && FUNCTIONS[f->kind].numbers && type_is_text(rows->f[at].type))
        return err_set(
            e, ERR_INVALID,
            "%s: %.60s: the column is %s, %s works on numbers (--type %.60s=real "
            "says that it holds some)",
            where, f->text, type_name(rows->f[at].type), FUNCTIONS[f->kind].name,
            f->column);
    return ERR_OK;
}

err_t agg_check(const struct agg *a, const struct job *j, const struct schema *rows,
                bool typed, struct err *e)
{
    char where[400];
    for (size_t i = 0; i < a->by.n; i++) {
        place(j, item(&j->agg_by, i), "aggregate.by", "--by", 0, where, sizeof where);
        if (schema_find(rows, a->by.v[i]) < 0) return no_column(rows, a->by.v[i], where, e);
    }
    for (size_t i = 0; i < a->n_fn; i++) {
        const char *column = a->fn[i].column;
        const char *in_text = column ? strstr(a->fn[i].text, column) : NULL;
        place(j, item(&j->agg_compute, i), "aggregate.compute", "--compute",
              in_text ? (size_t)(in_text - a->fn[i].text) : 0, where, sizeof where);
        TRY(check_fn(&a->fn[i], where, rows, typed, e));
    }
    return ERR_OK;
}
