#include "common/conf.h"

#include "common/near_file.h"
#include "common/opt_set.h"
#include "common/text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void conf_init(struct conf *c, struct job *job, struct strings *mistakes)
{
    *c = (struct conf){ .job = job, .mistakes = mistakes };
}

bool conf_ok(struct conf *c, err_t rc)
{
    if (rc != ERR_OK) c->no_memory = true;
    return rc == ERR_OK;
}

bool conf_given(const struct conf *c, const char *key)
{
    const struct opt *o = opt_by_key(key);
    return o && c->where[o - opt_table].given;
}

char *conf_resolve(const struct conf *c, const char *path)
{
    char *joined = NULL;
    if (!c->file || *path == '/' || strcmp(path, "-") == 0 || strcmp(c->job->dir, ".") == 0)
        return strdup(path);
    const char *slash = strcmp(c->job->dir, "/") == 0 ? "" : "/";
    return asprintf(&joined, "%s%s%s", c->job->dir, slash, path) < 0 ? NULL : joined;
}

// ---- mistakes ----

// line 0: not in the file. `key` NULL: the sentence stands alone.
static void mistake(struct conf *c, int line, int column, const char *key, const char *fmt,
                    va_list ap)
{
    char where[300] = "", sentence[600], text[1000];
    vsnprintf(sentence, sizeof sentence, fmt, ap);
    text_make_harmless(sentence); // whatever of the file stands in it
    if (line) {
        char shown[TEXT_QUOTED];
        const char *file = text_has_control(c->job->file) ? text_quoted(c->job->file, shown)
                                                          : c->job->file;
        snprintf(where, sizeof where, "%.250s:%d:%d: ", file, line, column);
    }
    snprintf(text, sizeof text, "%s%s%s%s", where, key ? key : "", key ? ": " : "",
             sentence);
    // A flag's is the same for each step of a pipeline.
    for (size_t i = 0; !line && i < c->mistakes->n; i++)
        if (strcmp(c->mistakes->v[i], text) == 0) return;
    if (c->n_mistakes++ >= CONF_MAX_MISTAKES) return;
    conf_ok(c, strings_add(c->mistakes, text, strlen(text), NULL));
}

static const char *name_of(const struct opt *o, bool in_file, char out[80])
{
    if (in_file && o->key) return o->key;
    snprintf(out, 80, "--%s", o->flag ? o->flag : o->key);
    return out;
}

void conf_wrong(struct conf *c, const struct opt *o, const struct value *v, const char *fmt,
                ...)
{
    char name[80];
    va_list ap;
    va_start(ap, fmt);
    if (c->file)
        mistake(c, v->key ? v->key_line : v->line, v->key ? v->key_column : v->column,
                name_of(o, true, name), fmt, ap);
    else
        mistake(c, 0, 0, name_of(o, false, name), fmt, ap);
    va_end(ap);
}

void conf_wrong_key(struct conf *c, const char *key, const char *fmt, ...)
{
    char name[80];
    va_list ap;
    va_start(ap, fmt);
    const struct opt *o = opt_by_key(key);
    const struct conf_place *at = &c->where[o - opt_table];
    bool in_file = at->line || !at->given;
    int line = at->line ? at->line : in_file && c->job->file;
    mistake(c, line, at->line ? at->column : line, name_of(o, in_file, name), fmt, ap);
    va_end(ap);
}

void conf_wrong_job(struct conf *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    mistake(c, c->job->file ? 1 : 0, 1, NULL, fmt, ap);
    va_end(ap);
}

void conf_wrong_at(struct conf *c, const struct value *v, const char *key, const char *fmt,
                   ...)
{
    va_list ap;
    va_start(ap, fmt);
    mistake(c, v->key ? v->key_line : v->line, v->key ? v->key_column : v->column, key, fmt,
            ap);
    va_end(ap);
}

// ---- from a tree of values to the job ----

bool conf_cut_by_comma(const struct value *m)
{
    return m->kind == VALUE_TEXT && m->nothing && !*m->text && m->line == m->key_line &&
           strchr(m->key, ' ');
}

static bool twice(struct conf *c, const struct value *map, const struct value *m,
                  const struct opt *o)
{
    char shown[TEXT_QUOTED];
    for (const struct value *x = map->first; x != m; x = x->next) {
        if (strcmp(x->key, m->key) != 0) continue;
        text_quoted(m->key, shown);
        if (!c->file)
            conf_wrong(c, o, m, "%s is given twice", shown);
        else
            conf_wrong_at(c, m, o ? o->key : NULL, "%s is given twice, first on line %d",
                          shown, x->key_line);
        return true;
    }
    return false;
}

// The members of every mapping below an option have different keys.
static bool all_once(struct conf *c, const struct opt *o, const struct value *v)
{
    bool ok = true;
    if (v->kind == VALUE_TEXT) return true;
    for (const struct value *m = v->first; m; m = m->next) {
        if (v->kind == VALUE_MAP) ok &= !twice(c, v, m, o);
        ok &= all_once(c, o, m);
    }
    return ok;
}

// `null: null` is the text null, and `into: null` is answered with what was meant.
static bool takes_null(const struct opt *o)
{
    return o->set == set_nulls || o->set == set_into;
}

static void apply(struct conf *c, const struct opt *o, const struct value *v)
{
    struct conf_place *at = &c->where[o - opt_table];
    *at = (struct conf_place){ true, v->key ? v->key_line : v->line,
                               v->key ? v->key_column : v->column };
    if (v->kind == VALUE_TEXT && v->nothing && !(*v->text && takes_null(o)))
        conf_wrong(c, o, v, "has no value");
    else if (all_once(c, o, v))
        o->set(c, o, v);
}

static void unknown_key(struct conf *c, const char *prefix, const struct value *m)
{
    char hint[200], full[TEXT_QUOTED], key[TEXT_QUOTED + 64];
    snprintf(key, sizeof key, "%s%.140s", prefix, m->key);
    opt_suggest_key(prefix, m->key, hint, sizeof hint);
    if (conf_cut_by_comma(m)) snprintf(hint, sizeof hint, "; " CONF_CUT_BY_COMMA);
    conf_wrong_at(c, m, NULL, "unknown key %s%s", text_quoted(key, full), hint);
}

static void section(struct conf *c, const char *key, const struct value *m)
{
    char prefix[96];
    snprintf(prefix, sizeof prefix, "%s.", key);
    if (strcmp(key, "transform") == 0)
        conf_steps(c, m);
    else if (m->kind == VALUE_MAP)
        conf_walk(c, prefix, m);
    else if (m->kind != VALUE_TEXT || !m->nothing)
        conf_wrong_at(c, m, key, "wants keys below it, each on a line of its own");
}

// Of sources, and of the kinds of a transform, one mapping holds one.
static bool excluded(struct conf *c, const struct opt *o, const struct value *m,
                     const struct value **taken)
{
    if (!o->one_of) return false;
    if (*taken) {
        conf_wrong(c, o, m, "'%s' is given already, on line %d; only one of them can be",
                   (*taken)->key, (*taken)->key_line);
        return true;
    }
    *taken = m;
    return false;
}

void conf_walk(struct conf *c, const char *prefix, const struct value *map)
{
    const struct value *taken = NULL;
    for (const struct value *m = map->first; m; m = m->next) {
        char key[80];
        bool fits = !strchr(m->key, '.') && *m->key &&
                    snprintf(key, sizeof key, "%s%s", prefix, m->key) < (int)sizeof key;
        const struct opt *o = fits ? opt_by_key(key) : NULL;
        if (twice(c, map, m, NULL)) continue;
        if (o && excluded(c, o, m, &taken)) continue;
        if (o)
            apply(c, o, m);
        else if (fits && opt_is_section(key))
            section(c, key, m);
        else
            unknown_key(c, prefix, m);
    }
}

// ---- files ----

char *conf_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static err_t name_file(struct conf *c, const char *path, struct err *e)
{
    c->job->file = strdup(path);
    c->job->dir = conf_folder(path);
    c->file = c->job->file;
    return c->job->file && c->job->dir ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

static void document(struct conf *c, const struct value *root)
{
    if (!root)
        conf_wrong_job(c, "the job file is empty; e.g. source: {csv: data.csv}");
    else if (root->kind != VALUE_MAP)
        conf_wrong_at(c, root, NULL,
                      "a job file is a mapping, e.g. source: {csv: data.csv}");
    else
        conf_walk(c, "", root);
}

err_t conf_tree(struct conf *c, const char *path, const struct value *map, struct err *e)
{
    assert(!c->job->file && map->kind == VALUE_MAP);
    TRY(name_file(c, path, e));
    conf_walk(c, "", map);
    c->file = NULL;
    return c->no_memory ? err_set(e, ERR_NOMEM, "out of memory") : ERR_OK;
}

err_t conf_text(struct conf *c, const char *path, const char *p, size_t n, struct err *e)
{
    assert(!c->job->file);
    TRY(name_file(c, path, e));
    struct arena mem = { 0 };
    struct value *root;
    struct value_place at;
    struct err why;
    err_t rc = value_parse(&root, &mem, p, n, &at, &why);
    if (rc == ERR_OK)
        document(c, root);
    else if (rc == ERR_NOMEM)
        c->no_memory = true;
    else {
        struct value here = { .line = at.line, .column = at.column };
        conf_wrong_at(c, &here, NULL, "%s", why.text);
    }
    arena_free(&mem);
    c->file = NULL;
    return c->no_memory ? err_set(e, ERR_NOMEM, "out of memory") : ERR_OK;
}

static struct {
    const char *path;
    const void *p;
    size_t n;
} stand_in;

void conf_stand_in(const char *path, const void *p, size_t n)
{
    stand_in.path = path;
    stand_in.p = p;
    stand_in.n = n;
}

static err_t cannot_open(const char *path, struct err *e)
{
    char near[4400], shown[TEXT_QUOTED];
    if (errno != ENOENT || !near_file(path, near, sizeof near))
        return err_sys(e, "%s: cannot open the job file", path);
    return err_set(e, ERR_IO,
                   "%s: cannot open the job file: No such file or directory; did you mean "
                   "%s?",
                   path, text_quoted(near, shown));
}

err_t conf_read_file(const char *path, struct buf *out, struct err *e)
{
    if (stand_in.path && strcmp(path, stand_in.path) == 0)
        return buf_add(out, stand_in.p, stand_in.n, e);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return cannot_open(path, e);
    err_t rc = buf_reserve(out, VALUE_MAX_BYTES + 1, e);
    while (rc == ERR_OK && out->n <= VALUE_MAX_BYTES) {
        ssize_t n = read(fd, out->p + out->n, VALUE_MAX_BYTES + 1 - out->n);
        if (n == 0) break;
        if (n > 0)
            out->n += (size_t)n;
        else if (errno == EISDIR)
            rc = err_set(e, ERR_IO, "%s is a folder: name the job file in it", path);
        else if (errno != EINTR)
            rc = err_sys(e, "%s: cannot read the job file", path);
    }
    close(fd);
    return rc;
}

err_t conf_file(struct conf *c, const char *path, struct err *e)
{
    struct buf text = { 0 };
    err_t rc = conf_read_file(path, &text, e);
    if (rc == ERR_OK) rc = conf_text(c, path, (const char *)text.p, text.n, e);
    buf_free(&text);
    return rc;
}

err_t conf_flag(struct conf *c, const struct opt *o, const struct value *v, struct err *e)
{
    apply(c, o, v);
    return c->no_memory ? err_set(e, ERR_NOMEM, "out of memory") : ERR_OK;
}

err_t conf_finish(struct conf *c, struct err *e)
{
    conf_check(c);
    if (c->n_mistakes > CONF_MAX_MISTAKES)
        conf_ok(c, strings_add(c->mistakes, "there are more mistakes",
                               strlen("there are more mistakes"), NULL));
    if (c->no_memory) return err_set(e, ERR_NOMEM, "out of memory");
    return c->n_mistakes ? err_set(e, ERR_INVALID, "%s", c->mistakes->v[0]) : ERR_OK;
}

err_t job_from_file(struct job *j, const char *path, struct strings *mistakes,
                    struct err *e)
{
    struct strings own = { 0 };
    struct conf c;
    job_init(j);
    conf_init(&c, j, mistakes ? mistakes : &own);
    err_t rc = conf_file(&c, path, e);
    if (rc == ERR_OK) rc = conf_finish(&c, e);
    strings_free(&own);
    return rc;
}
