// Where a run's rows, ledger and inputs are, told to the journal for those who ask later.

#include "coordinator/run_impl.h"

#include "coordinator/journal_charts.h"
#include "coordinator/journal_stats.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLACE = PATH_MAX + 300 };

// The file of a warehouse, as it is found from anywhere; "": there is none. The last part
// of a path may not be there yet.
static void file_of(const char *into, bool text, char out[PLACE])
{
    char folder[4300], *real;
    out[0] = 0;
    snprintf(folder, sizeof folder, "%s", strchr(into, ':') + 1);
    char *slash = strrchr(folder, '/');
    const char *base = slash ? slash + 1 : folder;
    if (!(real = realpath(slash ? (*slash = 0, *folder ? folder : "/") : ".", NULL)))
        return;
    size_t star = strcspn(base, "*");
    snprintf(out, PLACE, "%s/%.*s%s%s", real, text ? (int)star : 4096, base,
             text && base[star] ? base + star + 1 : "", text ? ".ledger" : "");
    free(real);
}

static bool is_postgres(const char *into)
{
    return strncmp(into, "postgres", 8) == 0;
}

// The SQLite file of the ledger; "" : there is none.
static void ledger_database(const struct run *r, char out[PLACE])
{
    out[0] = 0;
    if (!r->ops->forgets && !is_postgres(r->job->into))
        file_of(r->job->into, job_into_text(r->job), out);
}

// Charts are settled: each with its table and its warehouse.
static err_t place_chart(const struct job *j, struct chart *c, struct err *e)
{
    char path[PLACE];
    const char *into = c->into ? c->into : j->into;
    if (!is_postgres(into)) {
        file_of(into, false, path);
        into = path;
    }
    char *copy = strdup(into);
    free(c->into);
    c->into = copy;
    if (!c->table) c->table = strdup(j->table);
    return c->into && c->table ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

static void record_charts(struct run *r)
{
    struct charts c = { 0 };
    struct err e;
    err_t rc = charts_copy(&c, &r->job->charts, &e);
    for (size_t i = 0; i < c.n && rc == ERR_OK; i++)
        rc = place_chart(r->job, &c.v[i], &e);
    if (rc == ERR_OK) rc = journal_charts_put(r->journal, &c, &e);
    if (rc != ERR_OK) run_say(r, e.text);
    charts_free(&c);
}

void run_record_place(struct run *r)
{
    char database[PLACE];
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
    record_charts(r);
}
