#include "coordinator/scheduled.h"

#include "common/clock.h"
#include "common/say.h"
#include "coordinator/run.h"
#include "coordinator/run_lock.h"
#include "coordinator/scheduled_past.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LATE_S = 120, SHOWN = 4 };

void scheduled_times(const struct cron *c, int64_t after, int64_t until,
                     struct scheduled_times *out)
{
    *out = (struct scheduled_times){ 0 };
    for (int64_t t = after; out->n < SCHEDULED_TIMES_MAX; out->n++) {
        t = cron_next(c, t);
        if (t < 0 || t > until) return;
        if (!out->n) out->first = t;
        out->last = t;
    }
}

const char *scheduled_missed(const struct cron *c, const struct scheduled_times *t,
                             char out[SCHEDULED_SENTENCE])
{
    char time[CRON_TIME];
    bool all = t->n < SCHEDULED_TIMES_MAX, few = t->n <= SHOWN;
    int n = snprintf(out, SCHEDULED_SENTENCE, "%s%llu run%s missed, due %s",
                     all ? "" : "more than ", (unsigned long long)t->n,
                     t->n == 1 ? " was" : "s were", cron_time(t->first, time));
    if (few)
        for (int64_t at = t->first; (at = cron_next(c, at)) > 0 && at <= t->last;)
            n += snprintf(out + n, SCHEDULED_SENTENCE - (size_t)n, ", %s",
                          cron_time(at, time));
    else
        snprintf(out + n, SCHEDULED_SENTENCE - (size_t)n, " to %s",
                 all ? cron_time(t->last, time) : "now");
    return out;
}

// ---- a run ----

struct going {
    const char *name, *when;
    enum job_output output;
    char *job; // its path, without links: how the history knows it
    char dir[RUN_STATE_DIR];
    struct run_lock *lock;
    int64_t row, now;
};

__attribute__((format(printf, 2, 3))) static void say(const struct going *g,
                                                      const char *fmt, ...)
{
    va_list ap;
    if (g->output == OUTPUT_QUIET) return;
    say_to(stderr, "tranche: %s: ", g->name);
    va_start(ap, fmt);
    say_to_v(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

static const char *how_late(int64_t s, char out[40])
{
    if (s < 3600)
        snprintf(out, 40, "%d min", (int)(s / 60));
    else if (s < 86400)
        snprintf(out, 40, "%d h %d min", (int)(s / 3600), (int)(s % 3600 / 60));
    else
        snprintf(out, 40, "%lld d %d h", (long long)(s / 86400), (int)(s % 86400 / 3600));
    return out;
}

// The last time that is due is the one of this run, the others since the last run were
// missed.
static void say_missed(const struct going *g)
{
    struct err e;
    struct cron c;
    struct scheduled_past past;
    struct scheduled_times t, missed;
    char sentence[SCHEDULED_SENTENCE], due[CRON_TIME], late[40];
    if (!g->when || cron_parse(g->when, &c)) {
        say(g, "the job has no schedule any more; 'tranche schedule remove' ends its runs");
        return;
    }
    if (scheduled_past(g->dir, g->job, &past, &e) != ERR_OK) {
        say(g, "which runs were missed is not known: %s", e.text);
        return;
    }
    if (!past.began || past.began > g->now) return; // nothing to compare with
    scheduled_times(&c, past.began, g->now, &t);
    if (t.n < SCHEDULED_TIMES_MAX)
        scheduled_times(&c, past.began, t.last - 1, &missed);
    else
        missed = t;
    if (missed.n) say(g, "%s", scheduled_missed(&c, &missed, sentence));
    if (t.n && t.n < SCHEDULED_TIMES_MAX && g->now - t.last > LATE_S)
        say(g, "due at %s, it begins %s late", cron_time(t.last, due),
            how_late(g->now - t.last, late));
}

static int refused(const struct cli *c, const struct going *g, err_t rc,
                   const struct err *e)
{
    struct err ignored;
    int64_t row;
    char text[sizeof e->text + 100];
    snprintf(text, sizeof text, "%s%s",
             rc == ERR_BUSY ? "the run before has not ended: " : "", e->text);
    say_to(stderr, "tranche: %s: %s\n", g->name, text);
    if (rc == ERR_BUSY && scheduled_begin(g->dir, g->job, g->now, &row, &ignored) == ERR_OK)
        (void)!scheduled_end(g->dir, row, SCHEDULED_REFUSED, &ignored);
    if (g->output == OUTPUT_JSON && !c->is_pipeline) run_refused(&c->job, text);
    return CLI_INFRASTRUCTURE;
}

static struct going going_of(const struct cli *c)
{
    const struct pipeline *p = &c->pipeline;
    const struct job *j = c->is_pipeline ? &p->steps[0].job : &c->job;
    struct going g = { .name = c->is_pipeline ? p->name : j->name,
                       .when = c->is_pipeline ? p->schedule : j->schedule,
                       .output = j->output,
                       .now = clock_wall_ms() / 1000 };
    run_state_dir(c->is_pipeline ? p->dir : j->dir, g.dir);
    g.job = realpath(c->arg, NULL);
    return g;
}

static err_t lock(struct going *g, struct err *e)
{
    struct buf key = { 0 };
    if (!g->job) return err_sys(e, "its file cannot be found");
    err_t rc = buf_printf(&key, e, "scheduled %s", g->job);
    if (rc == ERR_OK) rc = run_lock_take(&g->lock, g->dir, (const char *)key.p, e);
    buf_free(&key);
    return rc;
}

int scheduled_run(const struct cli *c, int (*run)(const struct cli *c))
{
    struct err e;
    if (!c->arg) {
        say_to(stderr, "tranche: --scheduled: only the job of a file has a schedule\n");
        return CLI_USAGE;
    }
    struct going g = going_of(c);
    err_t rc = lock(&g, &e);
    if (rc != ERR_OK) {
        int refusal = refused(c, &g, rc, &e);
        free(g.job);
        return refusal;
    }
    say_missed(&g);
    bool known = scheduled_begin(g.dir, g.job, g.now, &g.row, &e) == ERR_OK;
    if (!known) say(&g, "no history is kept of this scheduled run: %s", e.text);
    int code = run(c);
    if (known && scheduled_end(g.dir, g.row, code, &e) != ERR_OK)
        say(&g, "its end is not in the history: %s", e.text);
    run_lock_release(&g.lock);
    free(g.job);
    return code;
}
