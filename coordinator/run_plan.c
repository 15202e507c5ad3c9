#include "common/say.h"
#include "coordinator/cli.h"
#include "coordinator/journal_plan.h"
#include "coordinator/plan_show.h"
#include "coordinator/plan_write.h"
#include "coordinator/run_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reads_stdin(const struct job *j)
{
    for (size_t i = 0; i < j->files.n; i++)
        if (strcmp(j->files.v[i], "-") == 0) return true;
    return false;
}

static err_t open_job(struct run *r, struct err *e)
{
    if (reads_stdin(r->job))
        return err_set(e, ERR_INVALID,
                       "plan reads its input more than once, and standard input comes only "
                       "once: give it a file");
    TRY(plan_write_allowed(r->job, e));
    TRY(local_open(&r->local, e));
    local_sweep();
    TRY(plan_identity(&r->plan, r->job, e));
    TRY(run_open_input(r, e));
    r->plan.spec.sink = strdup("null");
    if (!r->plan.spec.sink) return err_set(e, ERR_NOMEM, "out of memory");
    TRY(run_find_warehouse(r, e));
    if (r->job->params.n) TRY(run_stand_ins(r, e));
    return run_settle_output(r, e);
}

// A prediction that is not kept can still be read.
static void keep(struct run *r, const struct survey *s)
{
    struct err e;
    struct buf text = { 0 };
    const struct estimate *x = &s->estimate;
    struct journal_plan p = { .workers = x->in.slots,
                              .seconds = estimate_wall(x, x->in.slots, NULL),
                              .rows = s->rows,
                              .rows_rejected = s->rejected,
                              .output_bytes = s->output_bytes };
    run_state_dir(r->job->dir, r->state_dir);
    err_t rc = job_canonical(r->job, &text, &e);
    if (rc == ERR_OK) rc = buf_add(&text, "", 1, &e);
    if (rc == ERR_OK) rc = journal_plan_put(r->state_dir, (const char *)text.p, &p, &e);
    buf_free(&text);
    if (rc == ERR_OK) return;
    char line[1200];
    snprintf(line, sizeof line, "the prediction is not kept for a report: %s", e.text);
    run_say(r, line);
}

static int show(const struct plan_found *f)
{
    if (f->job->output == OUTPUT_JSON) plan_show_json(f, stdout);
    if (f->job->output == OUTPUT_HUMAN && f->plan->spec.in.n) plan_show_human(f, stdout);
    if (fflush(stdout) == 0 && !ferror(stdout)) return CLI_OK;
    say_to(stderr, "tranche: the plan cannot be written to standard output\n");
    return CLI_INFRASTRUCTURE;
}

static int exit_code(err_t rc, const struct survey *s)
{
    static const struct app_totals none;
    if (rc == ERR_OK) return CLI_OK;
    return s->code ? s->code : run_exit_code(rc, &none);
}

int run_plan(const struct job *given)
{
    struct job j = *given;
    struct run r = { .job = &j, .started = clock_ns() };
    struct err e = { 0 };
    struct survey s = { 0 };
    struct plan_found f = { .job = &j, .plan = &r.plan, .error = "" };
    j.closely = true;
    r.local.pidfd = -1;
    progress_init(&r.progress, PROGRESS_NONE, j.output == OUTPUT_QUIET, r.started);
    err_t rc = open_job(&r, &e);
    if (rc == ERR_OK) rc = survey_run(&s, &j, &r.plan, r.ops, &e);
    if (rc == ERR_OK) {
        f.survey = &s;
        keep(&r, &s);
        rc = plan_write(&f, &e);
    }
    if (rc == ERR_OK)
        f.written = j.write;
    else
        f.error = e.text;
    int code = exit_code(rc, &s), shown = show(&f);
    if (rc != ERR_OK) say_to(stderr, "tranche: %s\n", e.text);
    survey_free(&s);
    run_close(&r);
    return code ? code : shown;
}
