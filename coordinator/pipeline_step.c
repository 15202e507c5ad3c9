#include "coordinator/pipeline_step.h"

#include "common/crash.h"
#include "common/say.h"
#include "coordinator/cli.h"
#include "coordinator/pipeline_facts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct deciding {
    const struct job *job;
    char dir[RUN_STATE_DIR];
    char *pipeline; // absolute path
    struct pipeline_past past, now;
    bool facts; // `now` tells when it need not run again
};

__attribute__((format(printf, 2, 3))) static void say(const struct job *j, const char *fmt,
                                                      ...)
{
    va_list ap;
    if (j->output == OUTPUT_QUIET) return;
    say_to(stderr, "%s: ", j->name);
    va_start(ap, fmt);
    say_to_v(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

static err_t look_at_needs(struct deciding *d, struct err *e)
{
    const struct strings *needs = &d->job->needs;
    err_t rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < needs->n; i++) {
        struct pipeline_past past;
        rc = pipeline_past_load(d->dir, d->pipeline, needs->v[i], &past, e);
        if (rc == ERR_OK) rc = pipeline_facts_need(needs->v[i], &past, &d->now.before, e);
        pipeline_past_free(&past);
    }
    return rc;
}

// Why it runs, in told->reason; false: nothing has changed.
static bool has_changed(struct deciding *d, struct step_told *told, struct err *e)
{
    const char *why_never = NULL;
    struct strings *written = &d->now.written;
    char *why = told->reason;
    size_t size = sizeof told->reason;
    err_t rc = pipeline_past_load(d->dir, d->pipeline, d->job->name, &d->past, e);
    if (rc == ERR_OK) rc = pipeline_facts_before(d->job, &d->now.before, &why_never, e);
    if (rc == ERR_OK && !why_never) rc = look_at_needs(d, e);
    d->facts = rc == ERR_OK && !why_never;
    if (why_never)
        snprintf(why, size, "%s", why_never);
    else if (rc != ERR_OK)
        snprintf(why, size, "whether anything has changed is not known: %.300s", e->text);
    else if (!d->past.known)
        *why = 0; // it has not run to its end yet, which needs no reason
    else if (pipeline_facts_differ(&d->past.before, &d->now.before, why, size))
        return true;
    else if (pipeline_facts_written(d->job, written, e) != ERR_OK)
        snprintf(why, size, "what it wrote cannot be examined");
    else
        return pipeline_facts_differ(&d->past.written, written, why, size);
    return true;
}

static void say_skipped(struct deciding *d, struct step_told *told)
{
    char when[32];
    time_t t = (time_t)(d->past.ended_wall_ms / 1000);
    struct tm tm;
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime_r(&t, &tm));
    told->skipped = true;
    snprintf(told->reason, sizeof told->reason, "nothing has changed since %s (run %s)",
             when, d->past.run);
    if (d->job->output != OUTPUT_HUMAN) // else the list at the end says it
        say(d->job, "skipped, %s", told->reason);
}

static void ended_well(struct deciding *d, const struct step_told *told)
{
    struct err e;
    struct timespec now;
    struct pipeline_past *x = &d->now;
    err_t rc = ERR_OK;
    strings_free(&x->written);
    if (d->facts)
        rc = pipeline_facts_written(d->job, &x->written, &e);
    else
        strings_free(&x->before);
    clock_gettime(CLOCK_REALTIME, &now);
    x->ended_wall_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    snprintf(x->run, sizeof x->run, "%s", told->sums.run);
    bool changed = told->sums.changed || d->past.under_way || !d->past.changed[0];
    snprintf(x->changed, sizeof x->changed, "%s",
             changed ? told->sums.run : d->past.changed);
    if (rc == ERR_OK) rc = pipeline_past_store(d->dir, d->pipeline, d->job->name, x, &e);
    if (rc != ERR_OK) say(d->job, "it will run again next time: %s", e.text);
}

static void run(struct deciding *d, struct step_told *told)
{
    struct err e;
    bool noted = pipeline_past_begin(d->dir, d->pipeline, d->job->name, &e) == ERR_OK;
    if (!noted) say(d->job, "it will run again next time: %s", e.text);
    told->code = run_job_summed(d->job, &told->sums);
    crash_point("step-ended");
    bool good = told->code == CLI_OK || told->code == CLI_REJECTS;
    if (noted && good) ended_well(d, told);
}

void pipeline_step(const struct pipeline *p, uint32_t step, const char *because,
                   struct step_told *told)
{
    struct err e;
    struct deciding d = { .job = &p->steps[step].job };
    *told = (struct step_told){ .code = CLI_OK };
    run_state_dir(p->dir, d.dir);
    d.pipeline = realpath(p->file, NULL);
    if (!d.pipeline) d.pipeline = strdup(p->file);
    if (!d.pipeline) {
        say_to(stderr, "tranche: %s: out of memory\n", d.job->name);
        told->code = CLI_INFRASTRUCTURE;
        return;
    }
    bool runs = has_changed(&d, told, &e) || because;
    if (because) snprintf(told->reason, sizeof told->reason, "%s", because);
    if (runs && told->reason[0]) say(d.job, "runs: %s", told->reason);
    if (runs)
        run(&d, told);
    else
        say_skipped(&d, told);
    pipeline_past_free(&d.past);
    pipeline_past_free(&d.now);
    free(d.pipeline);
}
