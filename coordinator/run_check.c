#include "common/cron.h"
#include "common/say.h"
#include "coordinator/cli.h"
#include "coordinator/history_place.h"
#include "coordinator/run_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct untried { // what only a run can tell
    bool params, merge;
};

static void print_schema(const char *title, const struct schema *s)
{
    say_to(stdout, "%s\n", title);
    for (uint32_t i = 0; i < s->n; i++)
        say_to(stdout, "  %-30s %s%s\n", s->f[i].name, type_name(s->f[i].type),
               s->f[i].given ? " (given)" : "");
}

// Their values are read when a run begins: until then NULL does.
err_t run_stand_ins(struct run *r, struct err *e)
{
    const struct job_pairs *given = &r->job->params;
    r->plan.spec.params = calloc(given->n, sizeof *r->plan.spec.params);
    if (!r->plan.spec.params) return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < given->n; i++) {
        r->plan.spec.params[i] = (struct spec_param){ .name = strdup(given->v[i].name) };
        r->plan.spec.n_params = i + 1;
        if (!r->plan.spec.params[i].name) return err_set(e, ERR_NOMEM, "out of memory");
    }
    return ERR_OK;
}

static err_t check_params(struct run *r, struct untried *untried, struct err *e)
{
    const struct job_pairs *given = &r->job->params;
    if (given->n == 0) return ERR_OK;
    TRY(run_stand_ins(r, e));
    for (size_t i = 0; i < given->n; i++) {
        bool tried = false;
        err_t rc = ERR_OK;
        if (r->ops->try_value)
            rc = r->ops->try_value(r->job->into, given->v[i].value, NULL, NULL, &tried, e);
        if (rc != ERR_OK) return err_wrap(e, rc, "params.%s", given->v[i].name);
        if (!tried) untried->params = true;
    }
    return ERR_OK;
}

static err_t check_merge(struct run *r, struct untried *untried, struct err *e)
{
    const struct job *j = r->job;
    if (!j->merge_sql) return ERR_OK;
    untried->merge = !r->ops->try_merge;
    if (untried->merge) return ERR_OK;
    return r->ops->try_merge(plan_merge(&r->plan), j->indexes, j->n_indexes, e);
}

static err_t check(struct run *r, struct untried *untried, struct err *e)
{
    TRY(local_open(&r->local, e));
    local_sweep();
    TRY(plan_identity(&r->plan, r->job, e));
    TRY(run_open_input(r, e));
    r->plan.spec.sink = strdup("null");
    if (!r->plan.spec.sink) return err_set(e, ERR_NOMEM, "out of memory");
    TRY(run_find_warehouse(r, e));
    TRY(check_params(r, untried, e));
    TRY(run_settle_output(r, e));
    return check_merge(r, untried, e);
}

void run_check_schedule(const char *when, enum job_output output)
{
    struct cron c;
    char next[CRON_TIME];
    if (!when || output != OUTPUT_HUMAN || cron_parse(when, &c)) return;
    int64_t at = cron_next(&c, clock_wall_ms() / 1000);
    say_to(stdout, "schedule %s: due next at %s\n", when,
           at < 0 ? "no time within 8 years" : cron_time(at, next));
}

static void schedule_json(const char *when)
{
    struct cron c;
    if (!when || cron_parse(when, &c)) return;
    printf(",\"schedule\":");
    json_string(when, stdout);
    int64_t at = cron_next(&c, clock_wall_ms() / 1000);
    if (at >= 0) printf(",\"next_ms\":%lld", (long long)at * 1000);
}

int run_check(const struct job *j)
{
    struct run r = { .job = j, .started = clock_ns() };
    struct err e = { 0 };
    r.local.pidfd = -1;
    progress_init(&r.progress, PROGRESS_NONE, j->output == OUTPUT_QUIET, r.started);
    struct untried untried = { 0 };
    err_t rc = check(&r, &untried, &e);
    if (rc != ERR_OK) say_to(stderr, "tranche: %s\n", e.text);
    if (rc != ERR_OK && j->output == OUTPUT_JSON) {
        printf("{\"job\":");
        json_string(j->name, stdout);
        printf(",\"status\":\"failed\",\"error\":");
        json_string(e.text, stdout);
        printf("}\n");
    } else if (rc != ERR_OK) {
        // said
    } else if (j->output == OUTPUT_HUMAN) {
        uint32_t n;
        source_inputs(r.plan.source, &n);
        say_to(stdout, "%s: ok, %u input%s, about %llu rows\n", j->name, n,
               n == 1 ? "" : "s", (unsigned long long)r.plan.estimate_rows);
        print_schema("input", &r.plan.spec.in);
        if (j->n_steps || job_aggregates(j)) print_schema("output", &r.plan.rows);
        if (untried.params)
            say_to(stdout,
                   "params are tried when a run begins: %s is not there yet, or cannot be "
                   "asked now\n",
                   j->into_written);
        if (untried.merge) say_to(stdout, "merge.sql is tried when a run begins\n");
        say_to(stdout, "into %s%s%s\n", j->into_written, job_into_text(j) ? "" : ", table ",
               job_into_text(j) ? "" : j->table);
        run_check_schedule(j->schedule, j->output);
    } else if (j->output == OUTPUT_JSON) {
        printf("{\"job\":");
        json_string(j->name, stdout);
        printf(",\"status\":\"ok\"");
        schedule_json(j->schedule);
        printf("}\n");
    }
    run_close(&r);
    return rc == ERR_OK ? CLI_OK : run_exit_code(rc, &r.totals);
}

struct listing {
    enum job_output output;
    uint64_t n;
};

static int list_one(void *arg, const struct journal_run *run, int64_t started_wall_ms)
{
    struct listing *l = arg;
    char when[32], rows[32];
    time_t t = (time_t)(started_wall_ms / 1000);
    struct tm tm;
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime_r(&t, &tm));
    format_count(run->rows_loaded, rows, sizeof rows);
    if (l->output == OUTPUT_JSON) {
        printf("{\"run\":");
        json_string(run->id, stdout);
        printf(",\"name\":");
        json_string(run->name, stdout);
        printf(",\"status\":");
        json_string(run->status, stdout);
        printf(
            ",\"started_ms\":%lld,\"seconds\":%.3f,\"rows_read\":%llu,\"rows_loaded\":%llu,"
            "\"rows_rejected\":%llu,\"exit_code\":%d,\"table\":",
            (long long)started_wall_ms, run->seconds, (unsigned long long)run->rows_read,
            (unsigned long long)run->rows_loaded, (unsigned long long)run->rows_rejected,
            run->exit_code);
        json_string(run->table, stdout);
        printf(",\"error\":");
        json_string(run->error, stdout);
        printf("}\n");
    } else {
        if (l->n == 0)
            say_to(stdout, "%-22s %-19s %-20s %-20s %14s %10s\n", "run", "started", "name",
                   "status", "rows loaded", "seconds");
        say_to(stdout, "%-22s %-19s %-20s %-20s %14s %10.2f\n", run->id, when, run->name,
               run->status, rows, run->seconds);
    }
    l->n++;
    return 1;
}

int run_list(const struct job *j, const char *where)
{
    struct run r = { .job = j };
    struct err e = { 0 };
    struct listing l = { .output = j->output };
    history_place(j->state, where, r.state_dir);
    err_t rc = journal_runs(r.state_dir, list_one, &l, &e);
    if (rc != ERR_OK) {
        say_to(stderr, "tranche: %s\n", e.text);
        return CLI_INFRASTRUCTURE;
    }
    if (l.n == 0 && j->output == OUTPUT_HUMAN)
        say_to(stdout, "no runs yet in " HISTORY_ELSEWHERE "\n", r.state_dir);
    return CLI_OK;
}
