#include "coordinator/pipeline_step.h"

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
    bool kept; // what is found out now is worth keeping
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

// Why it runs, in told->reason; false: nothing has changed.
static bool has_changed(struct deciding *d, struct step_told *told, struct err *e)
{
    const char *why_never = NULL;
    struct strings *written = &d->now.written;
    char *why = told->reason;
    size_t size = sizeof told->reason;
    err_t rc = pipeline_facts_before(d->job, &d->now.before, &why_never, e);
    d->kept = rc == ERR_OK && !why_never;
    if (why_never)
        snprintf(why, size, "%s", why_never);
    else if (rc != ERR_OK) // the run will say it, at its place
        *why = 0;
    else if (pipeline_past_load(d->dir, d->pipeline, d->job->name, &d->past, e) != ERR_OK ||
             !d->past.known)
        *why = 0; // its first run, which needs no reason
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
    say(d->job, "skipped, %s", told->reason);
}

static void keep(struct deciding *d, const struct step_told *told)
{
    struct err e;
    struct timespec now;
    strings_free(&d->now.written);
    err_t rc = pipeline_facts_written(d->job, &d->now.written, &e);
    clock_gettime(CLOCK_REALTIME, &now);
    d->now.ended_wall_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    snprintf(d->now.run, sizeof d->now.run, "%s", told->sums.run);
    if (rc == ERR_OK)
        rc = pipeline_past_store(d->dir, d->pipeline, d->job->name, &d->now, &e);
    if (rc != ERR_OK) say(d->job, "it will run again next time: %s", e.text);
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
    if (!runs)
        say_skipped(&d, told);
    else if (told->reason[0])
        say(d.job, "runs: %s", told->reason);
    if (runs) told->code = run_job_summed(d.job, &told->sums);
    if (runs && d.kept && (told->code == CLI_OK || told->code == CLI_REJECTS))
        keep(&d, told);
    pipeline_past_free(&d.past);
    pipeline_past_free(&d.now);
    free(d.pipeline);
}
