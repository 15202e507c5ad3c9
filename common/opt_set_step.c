// The setters of transform.*: each fills in the step that is being read.

#include "common/opt_set.h"

#include <stdlib.h>
#include <string.h>

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
