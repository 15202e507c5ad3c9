// The setters of transform.*: each fills in the step that is being read.

#include "common/opt_set.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS_MAX = 1000 };

static void begin(struct conf *c, enum step_kind kind, const struct value *v)
{
    c->step->kind = kind;
    c->step->line = v->text_line;
    c->step->column = v->text_column;
}

void set_sql(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    begin(c, STEP_SQL, v);
    if (text && opt_sql_is_good(c, o, v, text)) opt_copy_text(c, &c->step->sql, text);
}

void set_plugin(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *path = opt_single(c, o, v);
    begin(c, STEP_PLUGIN, v);
    if (!path || !opt_path_is_good(c, o, v, path)) return;
    free(c->step->path);
    c->step->path = conf_resolve(c, path);
    if (conf_ok(c, c->step->path ? ERR_OK : ERR_NOMEM))
        opt_copy_text(c, &c->step->path_written, path);
}

void set_args(struct conf *c, const struct opt *o, const struct value *v)
{
    if (!opt_is_map(c, o, v)) return;
    for (const struct value *m = v->first; m; m = m->next) {
        const char *text = opt_single(c, o, m);
        if (!*m->key)
            conf_wrong(c, o, m, "an argument without a name");
        else if (text)
            conf_ok(c, job_pairs_set(&c->step->args, m->key, text, NULL));
    }
}

// ---- exec ----

// One word of a command line, as a shell would read it if it did nothing else: quotes keep
// words together, a backslash keeps the next byte. *p moves past it. NULL: fine; else what
// is wrong. *more: there was a word.
static const char *next_word(const char **p, char *word, bool *more)
{
    const char *q = *p;
    char quote = 0;
    q += strspn(q, " \t\n");
    *more = *q != 0;
    for (; *q && (quote || !strchr(" \t\n", *q)); q++) {
        if (quote ? *q == quote : *q == '\'' || *q == '"') {
            quote = quote ? 0 : *q;
            continue;
        }
        if (*q == '\\' && quote != '\'' && q[1]) {
            q++;
        } else if (!quote && strchr("|&;<>()$`*?", *q)) {
            return "no shell runs it; quote the character if the program shall see it, or "
                   "write [sh, -c, '...']";
        }
        *word++ = *q;
    }
    *word = 0;
    *p = q;
    return quote ? "a quote that is never closed" : NULL;
}

static void split_command(struct conf *c, const struct opt *o, const struct value *v,
                          const char *text)
{
    char *word = malloc(strlen(text) + 1);
    bool more = conf_ok(c, word ? ERR_OK : ERR_NOMEM);
    for (const char *p = text; more;) {
        const char *why = next_word(&p, word, &more);
        if (why) conf_wrong(c, o, v, "%s: %s", QUOTED(text), why);
        if (why) break;
        if (more) more = conf_ok(c, strings_add(&c->step->argv, word, strlen(word), NULL));
    }
    free(word);
}

static void add_argument(struct conf *c, const struct opt *o, const struct value *m)
{
    if (m->kind != VALUE_TEXT || (m->nothing && !*m->text))
        conf_wrong(c, o, m, "an argument must be a text");
    else if (!text_is_utf8(m->text, strlen(m->text)))
        conf_wrong(c, o, m, "%s is not UTF-8", QUOTED(m->text));
    else
        conf_ok(c, strings_add(&c->step->argv, m->text, strlen(m->text), NULL));
}

void set_exec(struct conf *c, const struct opt *o, const struct value *v)
{
    struct strings *argv = &c->step->argv;
    begin(c, STEP_EXEC, v);
    if (!opt_copy_text(c, &c->step->dir, c->file ? c->job->dir : ".")) return;
    size_t before = c->n_mistakes;
    if (v->kind == VALUE_LIST) {
        for (const struct value *m = v->first; m; m = m->next)
            add_argument(c, o, m);
    } else {
        const char *text = opt_single(c, o, v);
        if (text) split_command(c, o, v, text);
    }
    if (c->n_mistakes == before && (argv->n == 0 || !*argv->v[0]))
        conf_wrong(c, o, v, "no program; e.g. [python3, clean.py]");
    else if (argv->n > ARGUMENTS_MAX)
        conf_wrong(c, o, v, "more than %d arguments", ARGUMENTS_MAX);
}

void set_env(struct conf *c, const struct opt *o, const struct value *v)
{
    if (!opt_is_map(c, o, v)) return;
    for (const struct value *m = v->first; m; m = m->next) {
        if (!text_is_identifier(m->key))
            conf_wrong(c, o, m,
                       "%s is no name for a variable; letters, digits and _ make one",
                       QUOTED(m->key));
        else if (m->kind != VALUE_TEXT || (m->nothing && !*m->text))
            conf_wrong(c, o, m, "%s wants a text; \"\" is an empty one", QUOTED(m->key));
        else
            conf_ok(c, job_pairs_set(&c->step->env, m->key, m->text, NULL));
    }
}

// ---- files that go with it ----

static void add_beside(struct conf *c, const struct opt *o, const struct value *m,
                       struct strings *to)
{
    if (m->kind != VALUE_TEXT || m->nothing) {
        conf_wrong(c, o, m, "wants a path, a glob, or a list of them");
        return;
    }
    const char *path = m->text;
    if (!opt_path_is_good(c, o, m, path)) return;
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    if (!conf_ok(c, strings_add(to, path, n, NULL))) return;
    if (!step_place_ok(to->v[to->n - 1]))
        conf_wrong(c, o, m,
                   "%s is not below the job's folder: only what stands there can be laid "
                   "out beside the program on another host",
                   QUOTED(m->text));
}

void set_beside(struct conf *c, const struct opt *o, const struct value *v)
{
    bool list = v->kind == VALUE_LIST;
    for (const struct value *m = list ? v->first : v; m; m = list ? m->next : NULL)
        add_beside(c, o, m, &c->step->with);
    if (list && !v->first) conf_wrong(c, o, v, "an empty list; give a path or a glob");
}
