// The setters of transform.*: each fills in the step that is being read.

#include "common/opt_set.h"

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
