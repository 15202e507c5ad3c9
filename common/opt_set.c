#include "common/opt_set.h"

#include "common/suggest.h"
#include "common/text.h"
#include "common/units.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// Inside of a step all options are its own.
static void *member(struct conf *c, const struct opt *o)
{
    return (c->step ? (char *)c->step : (char *)c->job) + o->at;
}

// The text of a single value; NULL: it is none, which has been said.
const char *opt_single(struct conf *c, const struct opt *o, const struct value *v)
{
    if (v->kind != VALUE_TEXT)
        conf_wrong(c, o, v, "wants a single value%s%s", o->takes ? ": " : "",
                   o->takes ? o->takes : "");
    else if (!text_is_utf8(v->text, strlen(v->text)))
        conf_wrong(c, o, v, "%s is not UTF-8", QUOTED(v->text));
    else
        return v->text;
    return NULL;
}

bool opt_copy_text(struct conf *c, char **to, const char *text)
{
    char *copy = strdup(text);
    if (!conf_ok(c, copy ? ERR_OK : ERR_NOMEM)) return false;
    free(*to);
    *to = copy;
    return true;
}

void set_name(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    if (!text) return;
    if (!*text || strlen(text) > 200 || text_has_control(text))
        conf_wrong(c, o, v, "%s is no name; give 1 to 200 characters on one line",
                   QUOTED(text));
    else
        opt_copy_text(c, &c->job->name, text);
}

// Whether steps have these names is seen when all of them are read.
void set_needs(struct conf *c, const struct opt *o, const struct value *v)
{
    struct strings needs = { 0 };
    bool list = v->kind == VALUE_LIST, ok = true;
    for (const struct value *m = list ? v->first : v; m; m = list ? m->next : NULL) {
        const char *text = opt_single(c, o, m);
        ok &= text && conf_ok(c, strings_add(&needs, text, strlen(text), NULL));
    }
    strings_free(ok ? &c->job->needs : &needs);
    if (ok) c->job->needs = needs;
}

void set_steps(struct conf *c, const struct opt *o, const struct value *v)
{
    conf_wrong(c, o, v,
               "a step has no steps of its own; they stand at the top of the file");
}

bool opt_path_is_good(struct conf *c, const struct opt *o, const struct value *v,
                      const char *path)
{
    if (!*path)
        conf_wrong(c, o, v, "an empty path");
    else if (text_has_control(path))
        conf_wrong(c, o, v, "%s holds a control character", QUOTED(path));
    else
        return true;
    return false;
}

bool opt_truth(const char *text, bool *out)
{
    *out = strcasecmp(text, "true") == 0 || strcasecmp(text, "yes") == 0;
    return *out || strcasecmp(text, "false") == 0 || strcasecmp(text, "no") == 0;
}

bool opt_is_map(struct conf *c, const struct opt *o, const struct value *v)
{
    if (v->kind == VALUE_MAP) return true;
    conf_wrong(c, o, v, "wants a %s", o->takes);
    return false;
}

// Keys that differ in case only name the same column or table; those of one mapping were
// compared byte by byte before.
bool opt_unique(struct conf *c, const struct opt *o, const struct value *map,
                const struct value *m)
{
    for (const struct value *x = map->first; x != m; x = x->next)
        if (strcasecmp(x->key, m->key) == 0 && strcmp(x->key, m->key) != 0) {
            conf_wrong(c, o, m, "%s and %s are the same name", QUOTED(x->key),
                       QUOTED(m->key));
            return false;
        }
    return true;
}

// The way an earlier source of pairs wrote the same name.
const char *opt_known_as(const struct job_pairs *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcasecmp(p->v[i].name, name) == 0) return p->v[i].name;
    return name;
}

static void list_choices(const char *const *choices, char *out, size_t size)
{
    *out = 0;
    for (size_t i = 0; choices[i]; i++) {
        size_t n = strlen(out);
        const char *between = !i ? "" : choices[i + 1] ? ", " : " and ";
        snprintf(out + n, size - n, "%s%s", between, choices[i]);
    }
}

void set_choice(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    if (!text) return;
    char all[128];
    struct suggest s = { .word = text };
    list_choices(o->choices, all, sizeof all);
    for (size_t i = 0; o->choices[i]; i++) {
        suggest_offer(&s, o->choices[i]);
        if (strcmp(o->choices[i], text) != 0) continue;
        unsigned chosen = (unsigned)i;
        memcpy(member(c, o), &chosen, sizeof chosen);
        return;
    }
    if (s.best)
        conf_wrong(c, o, v, "%s is none of %s; did you mean '%s'?", QUOTED(text), all,
                   s.best);
    else
        conf_wrong(c, o, v, "%s is none of %s", QUOTED(text), all);
}
_Static_assert(sizeof(enum job_mode) == sizeof(unsigned), "set_choice writes an unsigned");

void set_bool(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    bool yes;
    if (!text) return;
    if (opt_truth(text, &yes))
        *(bool *)member(c, o) = yes;
    else
        conf_wrong(c, o, v, "%s is neither true nor false", QUOTED(text));
}

void set_switch(struct conf *c, const struct opt *o, const struct value *v)
{
    (void)v;
    *(bool *)member(c, o) = true;
}

void set_unordered(struct conf *c, const struct opt *o, const struct value *v)
{
    (void)o, (void)v;
    c->job->ordered = false;
}

void set_bad_rows(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    if (!text) return;
    double share;
    uint64_t count;
    if (!units_share(text, &share)) {
        c->job->bad_rows = 0;
        c->job->bad_rows_share = share;
    } else if (!units_count(text, &count)) {
        c->job->bad_rows = count;
        c->job->bad_rows_share = -1;
    } else {
        conf_wrong(c, o, v, "%s is neither a count nor a percentage; e.g. 100 or 1%%",
                   QUOTED(text));
    }
}

static bool in_range(struct conf *c, const struct opt *o, const struct value *v, uint64_t n)
{
    if (n >= o->min && n <= o->max) return true;
    conf_wrong(c, o, v, "%s is out of range; it takes a %s", QUOTED(v->text), o->takes);
    return false;
}

static bool count(struct conf *c, const struct opt *o, const struct value *v, uint64_t *n)
{
    const char *text = opt_single(c, o, v);
    if (!text) return false;
    const char *why = units_count(text, n);
    if (!why) return in_range(c, o, v, *n);
    conf_wrong(c, o, v, "%s is no count; it takes a %s", QUOTED(text), o->takes);
    return false;
}

void set_count(struct conf *c, const struct opt *o, const struct value *v)
{
    uint64_t n;
    if (count(c, o, v, &n)) *(uint32_t *)member(c, o) = (uint32_t)n;
}

bool opt_big_count(struct conf *c, const struct opt *o, const struct value *v, uint64_t *n)
{
    uint64_t x;
    if (!count(c, o, v, &x)) return false;
    *n = x;
    return true;
}

void set_big_count(struct conf *c, const struct opt *o, const struct value *v)
{
    uint64_t n;
    if (opt_big_count(c, o, v, &n)) memcpy(member(c, o), &n, sizeof n);
}

void set_any_text(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    if (!text) return;
    if (text[strspn(text, " \t\r\n")])
        opt_copy_text(c, member(c, o), text);
    else
        conf_wrong(c, o, v, "an empty text; it takes a %s", o->takes);
}

void set_workers(struct conf *c, const struct opt *o, const struct value *v)
{
    uint64_t n;
    if (!count(c, o, v, &n)) return;
    *(uint32_t *)member(c, o) = (uint32_t)n;
    c->job->workers_remote = n == 0;
}

static bool label_is_good(const char *text)
{
    size_t n = strlen(text);
    return n > 0 && n <= OPT_LABEL_MAX &&
           strspn(text,
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

void set_labels(struct conf *c, const struct opt *o, const struct value *v)
{
    struct strings labels = { 0 };
    bool ok = true;
    bool list = v->kind == VALUE_LIST;
    for (const struct value *m = list ? v->first : v; m; m = list ? m->next : NULL) {
        const char *text = opt_single(c, o, m);
        bool good = text && label_is_good(text);
        if (text && !good)
            conf_wrong(c, o, m,
                       "%s is no label; give letters, digits, '.', '_' and '-', at most %d",
                       QUOTED(text), OPT_LABEL_MAX);
        if (good && labels.n == OPT_LABELS_MAX) {
            conf_wrong(c, o, m, "more than %d labels", OPT_LABELS_MAX);
            good = false;
        }
        ok &= good && conf_ok(c, strings_add(&labels, text, strlen(text), NULL));
    }
    if (ok) {
        strings_free(&c->job->labels);
        c->job->labels = labels;
    } else {
        strings_free(&labels);
    }
}

// Whether the rest is an address of this machine is seen when it is bound.
void set_listen(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    if (!text) return;
    if (strncmp(text, "tcp://", 6) != 0 || strlen(text) > 280 || text_has_control(text))
        conf_wrong(c, o, v, "%s is not tcp://ADDRESS:PORT, e.g. tcp://0.0.0.0:5555",
                   QUOTED(text));
    else
        opt_copy_text(c, &c->job->listen, text);
}

void set_duration(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    if (!text) return;
    int64_t ms;
    const char *why = units_duration(text, &ms);
    if (why)
        conf_wrong(c, o, v, "%s is no duration; %s", QUOTED(text), why);
    else if (in_range(c, o, v, (uint64_t)ms))
        *(int64_t *)member(c, o) = ms;
}

static bool size(struct conf *c, const struct opt *o, const struct value *v, uint64_t *n)
{
    const char *text = opt_single(c, o, v);
    if (!text) return false;
    const char *why = units_size(text, n);
    if (!why) return in_range(c, o, v, *n);
    conf_wrong(c, o, v, "%s is no size; %s", QUOTED(text), why);
    return false;
}

void set_size(struct conf *c, const struct opt *o, const struct value *v)
{
    uint64_t n;
    if (size(c, o, v, &n)) memcpy(member(c, o), &n, sizeof n);
}

void set_cache(struct conf *c, const struct opt *o, const struct value *v)
{
    uint64_t n = (uint64_t)10 << 30;
    bool on = true;
    if (v->kind == VALUE_TEXT && opt_truth(v->text, &on))
        c->job->cache_bytes = on ? n : 0;
    else if (v->kind == VALUE_TEXT && !isdigit((unsigned char)v->text[0]))
        conf_wrong(c, o, v, "%s is neither true, false nor a size; e.g. 4GiB",
                   QUOTED(v->text));
    else if (size(c, o, v, &n))
        c->job->cache_bytes = n;
}

void set_batch_bytes(struct conf *c, const struct opt *o, const struct value *v)
{
    uint64_t n = 0;
    bool automatic = v->kind == VALUE_TEXT && strcmp(v->text, "auto") == 0;
    if (automatic || size(c, o, v, &n)) c->job->batch_bytes = n;
}
