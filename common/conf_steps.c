// Steps of `transform:`: each is read whole, then checked, then added to the job.

#include "common/conf.h"

#include <stdio.h>
#include <string.h>

enum { MOST = 100 };

// Keys that belong to one kind of step.
static const struct {
    const char *key;
    enum step_kind of;
} parts[] = {
    { "format", STEP_EXEC },  { "persistent", STEP_EXEC }, { "env", STEP_EXEC },
    { "sandbox", STEP_EXEC }, { "files", STEP_EXEC },      { "args", STEP_PLUGIN },
};

static void check_part(struct conf *c, const struct step *s, const struct value *m)
{
    char key[64];
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(parts[i].key, m->key) != 0 || parts[i].of == s->kind) continue;
        snprintf(key, sizeof key, "transform.%s", m->key);
        const char *of = step_kind_name(parts[i].of);
        if (s->kind == STEP_NONE)
            conf_wrong(c, opt_by_key(key), m, "stands beside %s, which is missing", of);
        else
            conf_wrong(c, opt_by_key(key), m, "is for %s, and this step is %s", of,
                       step_kind_name(s->kind));
    }
}

static void check_requests(struct conf *c, const struct value *v)
{
    size_t n = 0;
    for (size_t i = 0; i < c->job->n_steps; i++)
        n += c->job->steps[i].kind == STEP_HTTP;
    if (n > STEP_HTTP_MAX)
        conf_wrong_at(c, v, "transform", "more than %d http steps", STEP_HTTP_MAX);
}

static void step(struct conf *c, const struct value *v)
{
    struct step s = { 0 };
    size_t before = c->n_mistakes;
    c->step = &s;
    if (v->kind == VALUE_MAP) conf_walk(c, "transform.", v);
    c->step = NULL;
    for (const struct value *m = v->kind == VALUE_MAP ? v->first : NULL;
         m && c->n_mistakes == before; m = m->next)
        check_part(c, &s, m);
    if (c->n_mistakes == before && !c->no_memory) {
        if (s.kind == STEP_NONE)
            conf_wrong_at(c, v, "transform",
                          "wants a mapping, e.g. sql: SELECT a FROM batch");
        else
            conf_ok(c, steps_add(&c->job->steps, &c->job->n_steps, &s, NULL));
    }
    step_free(&s);
}

void conf_steps(struct conf *c, const struct value *v)
{
    if (v->kind == VALUE_TEXT && (v->nothing || strcmp(v->text, "none") == 0)) return;
    if (v->kind != VALUE_LIST)
        step(c, v);
    else if (v->n > MOST)
        conf_wrong_at(c, v, "transform", "more than %d steps", MOST);
    else
        for (const struct value *m = v->first; m; m = m->next)
            step(c, m);
    check_requests(c, v);
}

err_t conf_flag_steps(struct conf *c, const struct value *steps, struct err *e)
{
    steps_free(&c->job->steps, &c->job->n_steps);
    conf_steps(c, steps);
    return c->no_memory ? err_set(e, ERR_NOMEM, "out of memory") : ERR_OK;
}
