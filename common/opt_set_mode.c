// The setters of load.key, load.watermark and load.indexes: columns of the result.

#include "common/opt_set.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool has(const struct strings *columns, const char *name)
{
    for (size_t i = 0; i < columns->n; i++)
        if (strcasecmp(columns->v[i], name) == 0) return true;
    return false;
}

static bool add_column(struct conf *c, const struct opt *o, const struct value *v,
                       const char *p, size_t n, struct strings *to)
{
    char *name = strndup(p, n);
    if (!conf_ok(c, name ? ERR_OK : ERR_NOMEM)) return false;
    bool ok = false;
    if (!*name || !text_is_utf8(name, n) || text_has_control(name))
        conf_wrong(c, o, v, "%s is no column name", QUOTED(name));
    else if (has(to, name))
        conf_wrong(c, o, v, "the column %s is named twice", QUOTED(name));
    else if (to->n == OPT_KEY_MAX)
        conf_wrong(c, o, v, "more than %d columns", OPT_KEY_MAX);
    else
        ok = conf_ok(c, strings_add(to, name, n, NULL));
    free(name);
    return ok;
}

// A flag has its columns in one text, with commas between them.
static bool add_columns(struct conf *c, const struct opt *o, const struct value *v,
                        const char *text, struct strings *to)
{
    for (;;) {
        size_t n = c->file ? strlen(text) : strcspn(text, ",");
        if (!add_column(c, o, v, text, n, to)) return false;
        if (!text[n]) return true;
        text += n + 1;
    }
}

// One column, or a list of them.
static bool columns(struct conf *c, const struct opt *o, const struct value *v,
                    struct strings *to)
{
    if (v->kind == VALUE_TEXT) return add_columns(c, o, v, v->text, to);
    bool ok = v->kind == VALUE_LIST && v->n;
    if (!ok) conf_wrong(c, o, v, "wants a column or a list of columns, e.g. [id]");
    for (const struct value *m = ok ? v->first : NULL; m && ok; m = m->next) {
        ok = m->kind == VALUE_TEXT && !m->nothing;
        if (!ok)
            conf_wrong(c, o, m, "wants the name of a column");
        else
            ok = add_columns(c, o, m, m->text, to);
    }
    return ok;
}

void set_key(struct conf *c, const struct opt *o, const struct value *v)
{
    struct strings key = { 0 };
    if (!columns(c, o, v, &key)) {
        strings_free(&key);
        return;
    }
    strings_free(&c->job->key);
    c->job->key = key;
}

void set_watermark(struct conf *c, const struct opt *o, const struct value *v)
{
    struct strings one = { 0 };
    const char *text = opt_single(c, o, v);
    if (text && add_column(c, o, v, text, strlen(text), &one))
        opt_copy_text(c, &c->job->watermark, text);
    strings_free(&one);
}

static void free_indexes(struct strings *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        strings_free(&v[i]);
    free(v);
}

static bool same(const struct strings *a, const struct strings *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcasecmp(a->v[i], b->v[i]) != 0) return false;
    return true;
}

static bool indexes(struct conf *c, const struct opt *o, const struct value *v,
                    struct strings *to)
{
    size_t n = 0;
    for (const struct value *m = v->first; m; m = m->next) {
        if (!columns(c, o, m, &to[n++])) return false;
        for (size_t i = 0; i + 1 < n; i++)
            if (same(&to[i], &to[n - 1])) {
                conf_wrong(c, o, m, "the same index twice");
                return false;
            }
    }
    return true;
}

void set_indexes(struct conf *c, const struct opt *o, const struct value *v)
{
    if (v->kind != VALUE_LIST || v->n > OPT_INDEXES_MAX) {
        conf_wrong(c, o, v,
                   "wants a list of at most %d lists of columns, e.g. [[a], [b, c]]",
                   OPT_INDEXES_MAX);
        return;
    }
    struct strings *list = calloc(v->n + 1, sizeof *list);
    if (!conf_ok(c, list ? ERR_OK : ERR_NOMEM)) return;
    if (!indexes(c, o, v, list)) {
        free_indexes(list, v->n);
        return;
    }
    free_indexes(c->job->indexes, c->job->n_indexes);
    c->job->indexes = list;
    c->job->n_indexes = v->n;
}
