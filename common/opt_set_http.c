// The setters of transform.http.*: they fill in the step that is being read.

#include "common/env_text.h"
#include "common/json_path.h"
#include "common/opt_set.h"
#include "common/text.h"
#include "common/units.h"
#include "common/url_template.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LIST_MAX = 1000, NAME_MAX_BYTES = 1000 };

static void check_together(struct conf *c, const struct opt *o, const struct value *v)
{
    const struct step_http *h = &c->step->http;
    if (!h->url)
        conf_wrong(c, o, v, "no url; e.g. url: 'https://host/api?x={id}'");
    else if (h->fields_given && !h->rows)
        conf_wrong(c, opt_by_key("transform.http.fields"), v,
                   "they are members of what rows finds, which is not given; e.g. rows: "
                   "$.items[*], or rows: $");
}

void set_http(struct conf *c, const struct opt *o, const struct value *v)
{
    size_t before = c->n_mistakes;
    c->step->kind = STEP_HTTP;
    c->step->line = v->text_line ? v->text_line : v->line;
    c->step->column = v->text_line ? v->text_column : v->column;
    step_http_init(&c->step->http);
    if (v->kind == VALUE_MAP)
        conf_walk(c, "transform.http.", v);
    else if (v->kind == VALUE_TEXT)
        set_http_url(c, o, v);
    else
        conf_wrong(c, o, v, "wants a %s", o->takes);
    if (c->n_mistakes == before) check_together(c, o, v);
}

void set_http_url(struct conf *c, const struct opt *o, const struct value *v)
{
    struct url_template t;
    struct err e;
    if (!c->file) o = opt_by_key("transform.http"); // the flag
    const char *text = opt_single(c, o, v);
    if (!text) return;
    err_t rc = url_template_parse(&t, text, &e);
    url_template_free(&t);
    if (rc == ERR_NOMEM)
        c->no_memory = true;
    else if (rc != ERR_OK)
        conf_wrong(c, o, v, "%s: %s", QUOTED(text), e.text);
    else
        opt_copy_text(c, &c->step->http.url, text);
}

// ---- headers ----

static bool is_token(const char *name)
{
    static const char punctuation[] = "!#$%&'*+-.^_`|~"; // RFC 9110, 5.6.2
    for (const char *p = name; *p; p++)
        if (!(*p >= '0' && *p <= '9') && !(*p >= 'a' && *p <= 'z') &&
            !(*p >= 'A' && *p <= 'Z') && !strchr(punctuation, *p))
            return false;
    return *name;
}

// What libcurl says by itself, about this message and no other.
static bool is_ours(const char *name)
{
    static const char *const ours[] = {
        "content-length", "transfer-encoding", "connection", "host", "te", "upgrade"
    };
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcasecmp(ours[i], name) == 0) return true;
    return false;
}

static void add_header(struct conf *c, const struct opt *o, const struct value *map,
                       const struct value *m)
{
    const char *text = opt_single(c, o, m);
    struct err e = { 0 };
    if (!text || !opt_unique(c, o, map, m)) return;
    if (!is_token(m->key))
        conf_wrong(c, o, m, "%s is no name of a header", QUOTED(m->key));
    else if (is_ours(m->key))
        conf_wrong(c, o, m, "%s follows from the request and cannot be given",
                   QUOTED(m->key));
    else if (text_has_control(text))
        conf_wrong(c, o, m, "the value of %s holds a control character", QUOTED(m->key));
    else if (env_text_check(text, &e) == ERR_INVALID)
        conf_wrong(c, o, m, "%s: %s", QUOTED(m->key), e.text);
    else if (conf_ok(c, e.code))
        conf_ok(c, job_pairs_set(&c->step->http.headers, m->key, text, NULL));
}

void set_http_headers(struct conf *c, const struct opt *o, const struct value *v)
{
    if (!opt_is_map(c, o, v)) return;
    for (const struct value *m = v->first; m; m = m->next)
        add_header(c, o, v, m);
}

// ---- the answer ----

static bool path_is_good(struct conf *c, const struct opt *o, const struct value *v,
                         const char *text, struct json_path *p)
{
    struct err e;
    err_t rc = json_path_parse(p, text, &e);
    if (rc == ERR_NOMEM)
        c->no_memory = true;
    else if (rc != ERR_OK)
        conf_wrong(c, o, v, "%s is no path: %s", QUOTED(text), e.text);
    return rc == ERR_OK;
}

void set_http_rows(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    struct json_path p;
    if (!text) return;
    if (path_is_good(c, o, v, text, &p)) opt_copy_text(c, &c->step->http.rows, text);
    json_path_free(&p);
}

void set_http_next(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    struct json_path p = { 0 };
    if (!text) return;
    if (strcmp(text, "link") == 0)
        opt_copy_text(c, &c->step->http.next, text);
    else if (path_is_good(c, o, v, text, &p) && p.many)
        conf_wrong(c, o, v, "%s names many places, and there is one next page",
                   QUOTED(text));
    else if (p.n)
        opt_copy_text(c, &c->step->http.next, text);
    else if (*text == '$')
        conf_wrong(c, o, v, "the whole answer is no address; e.g. $.next");
    json_path_free(&p);
}

static bool name_is_good(struct conf *c, const struct opt *o, const struct value *v,
                         const char *name)
{
    if (*name && strlen(name) <= NAME_MAX_BYTES && !text_has_control(name)) return true;
    conf_wrong(c, o, v, "%s is no name", QUOTED(name));
    return false;
}

static void add_field(struct conf *c, const struct opt *o, const struct value *v,
                      const char *name, const char *member)
{
    struct job_pairs *fields = &c->step->http.fields;
    if (!name_is_good(c, o, v, name) || !name_is_good(c, o, v, member)) return;
    for (size_t i = 0; i < fields->n; i++)
        if (strcasecmp(fields->v[i].name, name) == 0) {
            conf_wrong(c, o, v, "the column %s is given twice", QUOTED(name));
            return;
        }
    if (fields->n == LIST_MAX)
        conf_wrong(c, o, v, "more than %d columns", LIST_MAX);
    else
        conf_ok(c, job_pairs_set(fields, name, member, NULL));
}

static void add_keep(struct conf *c, const struct opt *o, const struct value *v,
                     const char *name)
{
    struct strings *keep = &c->step->http.keep;
    if (!name_is_good(c, o, v, name)) return;
    for (size_t i = 0; i < keep->n; i++)
        if (strcasecmp(keep->v[i], name) == 0) return;
    if (keep->n == LIST_MAX)
        conf_wrong(c, o, v, "more than %d columns", LIST_MAX);
    else
        conf_ok(c, strings_add(keep, name, strlen(name), NULL));
}

static void add_name(struct conf *c, const struct opt *o, const struct value *v,
                     const char *name)
{
    if (o->set == set_http_keep)
        add_keep(c, o, v, name);
    else
        add_field(c, o, v, name, name);
}

// A list; a flag's comes as a text with commas between.
static void add_names(struct conf *c, const struct opt *o, const struct value *v)
{
    if (v->kind == VALUE_LIST) {
        for (const struct value *m = v->first; m; m = m->next) {
            const char *text = opt_single(c, o, m);
            if (text) add_name(c, o, m, text);
        }
        return;
    }
    const char *text = opt_single(c, o, v);
    if (text && c->file) add_name(c, o, v, text);
    if (!text || c->file) return;
    char *copy = strdup(text), *save = NULL;
    if (!conf_ok(c, copy ? ERR_OK : ERR_NOMEM)) return;
    for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save))
        add_name(c, o, v, w);
    free(copy);
}

void set_http_fields(struct conf *c, const struct opt *o, const struct value *v)
{
    c->step->http.fields_given = true;
    if (v->kind != VALUE_MAP) {
        add_names(c, o, v);
        return;
    }
    for (const struct value *m = v->first; m; m = m->next) {
        const char *member = opt_single(c, o, m);
        if (member) add_field(c, o, m, m->key, member);
    }
}

void set_http_keep(struct conf *c, const struct opt *o, const struct value *v)
{
    c->step->http.keep_given = true;
    if (v->kind == VALUE_MAP)
        conf_wrong(c, o, v, "wants a %s", o->takes);
    else
        add_names(c, o, v);
}

// ---- how fast ----

// "10", "10/s", "100/m", "5000/h": how long one of them has to itself. 0: it is none.
static int64_t gap_of(const char *text)
{
    static const struct {
        const char *unit;
        int64_t seconds;
    } units[] = { { "", 1 }, { "/s", 1 }, { "/m", 60 }, { "/h", 3600 } };
    char number[24];
    size_t n = strcspn(text, "/");
    uint64_t count;
    if (n >= sizeof number) return 0;
    memcpy(number, text, n);
    number[n] = 0;
    if (units_count(number, &count) || count == 0 || count > 1000000) return 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(units[i].unit, text + n) == 0)
            return units[i].seconds * 1000000000 / (int64_t)count;
    return 0;
}

void set_http_rate(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    int64_t gap = text ? gap_of(text) : 0;
    if (text && gap == 0)
        conf_wrong(c, o, v, "%s is no rate; e.g. 10 (a second), 100/m or 5000/h",
                   QUOTED(text));
    c->step->http.gap_ns = gap;
}
