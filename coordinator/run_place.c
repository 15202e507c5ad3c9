// Where a run's rows, ledger and inputs are, told to the journal for those who ask later.

#include "coordinator/run_impl.h"

#include "coordinator/journal_stats.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The SQLite file of the ledger; "" : there is none. The last part of a path may not be
// there yet.
static void ledger_database(const struct run *r, char out[PATH_MAX + 300])
{
    const char *into = r->job->into;
    char folder[4300], *real;
    out[0] = 0;
    if (r->ops->forgets || strncmp(into, "postgres", 8) == 0) return;
    snprintf(folder, sizeof folder, "%s", strchr(into, ':') + 1);
    char *slash = strrchr(folder, '/');
    const char *base = slash ? slash + 1 : folder;
    if (!(real = realpath(slash ? (*slash = 0, *folder ? folder : "/") : ".", NULL)))
        return;
    size_t star = strcspn(base, "*");
    bool text = job_into_text(r->job);
    snprintf(out, PATH_MAX + 300, "%s/%.*s%s%s", real, text ? (int)star : 4096, base,
             text && base[star] ? base + star + 1 : "", text ? ".ledger" : "");
    free(real);
}

void run_record_place(struct run *r)
{
    char database[PATH_MAX + 300];
    struct err e;
    uint32_t n;
    const struct source_input *in = source_inputs(r->plan.source, &n);
    struct journal_input *v = r->journal ? calloc(n ? n : 1, sizeof *v) : NULL;
    if (!v) return;
    for (uint32_t i = 0; i < n; i++)
        v[i] = (struct journal_input){ .name = in[i].name,
                                       .in_rows = in[i].in_rows,
                                       .begin = in[i].data_begin,
                                       .size = in[i].size,
                                       .header_lines = in[i].header_lines };
    ledger_database(r, database);
    struct journal_place p = { .load = r->load_name,
                               .load_id = r->load.load_id,
                               .database = database,
                               .inputs = v,
                               .n_inputs = n,
                               .job = r->job->served_job };
    if (journal_stats_begin(r->journal, &p, &e) != ERR_OK) run_say(r, e.text);
    free(v);
}
