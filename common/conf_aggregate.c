// What aggregate and merge need of the other keys.

#include "common/conf.h"
#include "common/text.h"

#include <string.h>
#include <strings.h>

static void check_names(struct conf *c)
{
    const struct job *j = c->job;
    char shown[TEXT_QUOTED];
    for (size_t i = 0; i < j->agg_compute.n; i++)
        for (size_t k = 0; k < j->agg_by.n; k++)
            if (strcasecmp(j->agg_compute.v[i].name, j->agg_by.v[k].text) == 0)
                conf_wrong_key(c, "aggregate.compute",
                               "%s is one of aggregate.by already: two columns of the "
                               "result would have one name",
                               text_quoted(j->agg_compute.v[i].name, shown));
}

static void check_parts(struct conf *c)
{
    for (size_t i = 0; i < c->job->tables.n; i++)
        if (strcasecmp(c->job->tables.v[i].name, "parts") == 0)
            conf_wrong_key(c, "tables", "'%s' is what merge calls the rows it works on",
                           c->job->tables.v[i].name);
}

// The result is made as a whole from all of the input.
static void check_mode(struct conf *c)
{
    struct job *j = c->job;
    if (!conf_given(c, "load.mode"))
        j->mode = MODE_REPLACE;
    else if (j->mode != MODE_REPLACE)
        conf_wrong_key(c, "load.mode",
                       "the result of %s is made from the whole input, so nothing can be "
                       "added to what an earlier run made: take replace",
                       job_aggregates(j) ? "aggregate" : "merge");
}

void conf_check_aggregate(struct conf *c)
{
    const struct job *j = c->job;
    if (job_aggregates(j)) check_names(c);
    if (j->merge_sql) check_parts(c);
    if (job_aggregates(j) || j->merge_sql) check_mode(c);
}
