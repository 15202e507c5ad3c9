// GROUP BY in a transform sees one batch, and the run balances all the same: it is told.

#include "coordinator/plan.h"
#include "coordinator/tune.h"

#include <stdio.h>
#include <string.h>

static uint64_t least_batch_bytes(const struct job *j)
{
    return j->batch_bytes ? j->batch_bytes : TUNE_MIN_BYTES;
}

// Of a stream nobody knows how much comes. Rows of a table: as many as surely fit.
static bool is_one_batch(const struct plan *p, const struct job *j)
{
    enum { ROW_BYTES = 256 };
    uint32_t n;
    const struct source_input *in = source_inputs(p->source, &n);
    if (n != 1 || in->by_value) return false;
    if (j->batch_rows) return p->estimate_rows <= j->batch_rows;
    uint64_t bytes = in->in_rows ? p->estimate_rows * ROW_BYTES : in->size - in->data_begin;
    return bytes <= least_batch_bytes(j);
}

static err_t note(struct plan *p, const struct job *j, size_t i, struct err *e)
{
    char text[600], place[400];
    if (i < j->n_steps && j->steps[i].line && j->file)
        snprintf(place, sizeof place, "%s:%d", j->file, j->steps[i].line);
    else
        snprintf(place, sizeof place, "sql:%zu", i + 1);
    snprintf(text, sizeof text,
             "%s: GROUP BY sees one batch at a time; over all rows: --by/--compute or "
             "--merge-sql (docs/AGGREGATE.md)",
             place);
    return strings_add(&p->notes, text, strlen(text), e);
}

err_t plan_note_gathers(struct plan *p, const struct job *j, const struct spec *answer,
                        struct err *e)
{
    if (j->batch_by || j->merge_sql || job_aggregates(j)) return ERR_OK;
    for (size_t i = 0; i < answer->n_steps; i++)
        if (answer->steps[i].gathers && !is_one_batch(p, j)) return note(p, j, i, e);
    return ERR_OK;
}
