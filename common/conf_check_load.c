// What of load.* goes together.

#include "common/conf.h"

void conf_check_load(struct conf *c)
{
    const struct job *j = c->job;
    bool upsert = j->mode == MODE_UPSERT, incremental = j->mode == MODE_INCREMENTAL;
    if (upsert && !conf_given(c, "load.key"))
        conf_wrong_key(c, "load.mode",
                       "upsert replaces rows by their key, and there is none; give "
                       "load.key, or --key id");
    if (!upsert && conf_given(c, "load.key"))
        conf_wrong_key(c, "load.key", "only the mode upsert has a key");
    if (upsert && !j->ordered)
        conf_wrong_key(c, "load.ordered",
                       "of rows with the same key the last one stays, so an upsert takes "
                       "them in the order of the input");
    if (incremental && !conf_given(c, "load.watermark"))
        conf_wrong_key(c, "load.mode",
                       "incremental knows by a column what it has, and none is named; "
                       "give load.watermark, or --watermark updated_at");
    if (!incremental && conf_given(c, "load.watermark"))
        conf_wrong_key(c, "load.watermark", "only the mode incremental has a watermark");
}
