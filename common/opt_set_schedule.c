// The setter of schedule.

#include "common/cron.h"
#include "common/opt_set.h"
#include "common/text.h"

void set_schedule(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    struct cron cron;
    if (!text) return;
    const char *why = cron_parse(text, &cron);
    if (c->job->place != JOB_ALONE)
        conf_wrong(c, o, v, "a step has none; it stands at the top, beside steps");
    else if (why)
        conf_wrong(c, o, v, "%s %s", QUOTED(text), why);
    else
        opt_copy_text(c, &c->job->schedule, text);
}
