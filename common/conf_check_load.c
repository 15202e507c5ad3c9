// What of load.* goes together.

#include "common/conf.h"

#include <string.h>

// Text has rows one after the other, and nothing else.
static void check_text(struct conf *c)
{
    const struct job *j = c->job;
    if (!j->into) return; // said elsewhere
    bool parts = job_into_text(j) && strchr(j->into, '*');
    bool merges = job_aggregates(j) || j->merge_sql;
    if (j->params.n && (job_into_text(j) || strcmp(j->into, "null:") == 0))
        conf_wrong_key(c, "params",
                       "they are read from the database that rows go into, and %s has no "
                       "tables",
                       j->into_written);
    if (j->charts.n && (job_into_text(j) || strcmp(j->into, "null:") == 0))
        conf_wrong_key(c, "charts",
                       "they are drawn from the database that rows go into, and %s has no "
                       "tables",
                       j->into_written);
    if (!job_into_text(j)) return;
    if (j->mode == MODE_UPSERT || j->mode == MODE_INCREMENTAL)
        conf_wrong_key(c, "load.mode",
                       "%s needs a database to look rows up in; into %s rows are appended, "
                       "or replace it",
                       j->mode == MODE_UPSERT ? "upsert" : "incremental", j->into_written);
    if (merges && parts)
        conf_wrong_key(
            c, "load.into",
            "the result of %s takes the place of what an earlier run made, and several "
            "files cannot be swapped in at one moment; give one file",
            job_aggregates(j) ? "aggregate" : "merge");
    else if (j->mode == MODE_REPLACE && parts)
        conf_wrong_key(
            c, "load.mode",
            "several files cannot be swapped in at one moment; give load.into one "
            "file, or use append");
    if (j->mode == MODE_REPLACE && !merges && strncmp(j->into, "stdout:", 7) == 0)
        conf_wrong_key(c, "load.mode", "there is nothing on standard output to replace");
    if (j->n_indexes)
        conf_wrong_key(c, "load.indexes",
                       "a text file has no indexes; into sqlite:PATH there "
                       "are some");
    if (conf_given(c, "load.table"))
        conf_wrong_key(c, "load.table", "a text file has no tables");
}

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
    check_text(c);
}
