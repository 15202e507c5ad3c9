#include "common/pipeline_charts.h"

#include "common/opt_set.h"
#include "common/suggest.h"
#include "common/text.h"

#include <string.h>
#include <strings.h>

static bool loads(const struct job *j, const char *table)
{
    return !job_into_text(j) && strcmp(j->into, "null:") != 0 &&
           strcasecmp(j->table, table) == 0;
}

// NULL: there is none, which has been said.
static const struct job *step_of(const struct pipeline *p, struct conf *top,
                                 const char *table)
{
    const struct job *found = NULL;
    struct suggest near = { .word = table };
    char near_shown[TEXT_QUOTED];
    for (uint32_t i = 0; i < p->n; i++) {
        const struct job *j = &p->steps[i].job;
        if (j->table) suggest_offer(&near, j->table);
        if (!loads(j, table)) continue;
        if (found) {
            conf_wrong_key(top, "charts",
                           "the steps '%.60s' and '%.60s' both load a table %s; put the "
                           "chart into one of them",
                           found->name, j->name, QUOTED(table));
            return NULL;
        }
        found = j;
    }
    if (!found)
        conf_wrong_key(top, "charts",
                       "no step loads a table %s%s%s; of other tables charts stand in a "
                       "step",
                       QUOTED(table), near.best ? "; did you mean " : "",
                       near.best ? text_quoted(near.best, near_shown) : "");
    return found;
}

static void settle(const struct pipeline *p, struct conf *top, struct chart *c)
{
    if (!c->table) {
        conf_wrong_key(top, "charts",
                       "beside steps each chart names its table: that of a step");
        return;
    }
    const struct job *from = step_of(p, top, c->table);
    const struct job *ahead = c->forecast ? step_of(p, top, c->forecast) : from;
    if (!from || !ahead) return;
    if (strcmp(from->into, ahead->into) != 0)
        conf_wrong_key(top, "charts", "the tables %s and %s are in different warehouses",
                       QUOTED(c->table), QUOTED(c->forecast));
    else
        opt_copy_text(top, &c->into, from->into);
}

void pipeline_charts(struct pipeline *p, struct conf *top)
{
    for (size_t i = 0; i < p->charts.n; i++)
        settle(p, top, &p->charts.v[i]);
    for (uint32_t i = 0; i < p->n && !top->n_mistakes; i++)
        conf_ok(top, charts_copy(&p->steps[i].job.charts, &p->charts, NULL));
}
