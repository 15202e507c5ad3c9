// tranche - the coordinator and everything a person types.

#include "common/std_fds.h"
#include "common/version.h"
#include "coordinator/cli.h"
#include "coordinator/cli_cache.h"
#include "coordinator/cli_jobs.h"
#include "coordinator/cli_keys.h"
#include "coordinator/cli_past.h"
#include "coordinator/cli_scale.h"
#include "coordinator/cli_schedule.h"
#include "coordinator/cli_serve.h"
#include "coordinator/page_memory.h"
#include "coordinator/pipeline_run.h"
#include "coordinator/run.h"
#include "coordinator/scheduled.h"
#include "coordinator/serve_job.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static bool wants_json(int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--output=json") == 0) return true;
        if (i + 1 < argc && !strcmp(argv[i], "--output") && !strcmp(argv[i + 1], "json"))
            return true;
    }
    return false;
}

// What is wrong with the command is said to people, and to a program that asked for JSON.
static int parse_for_json(int argc, char **argv, struct cli *c)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) return cli_parse(argc, argv, c);
    int code = cli_parse_to(argc, argv, c, stdout, f);
    bool whole = fclose(f) == 0 && text;
    if (!whole && code > 0) fputs("tranche: out of memory\n", stderr);
    if (whole) fputs(text, stderr);
    if (whole && code > 0) run_refused(&c->job, text);
    free(text);
    return code;
}

// Results come and go by the megabyte, all through a run, and limits.memory bounds them: to
// give their memory back to the system after each costs 4 % of a load.
static void keep_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

static int run(const struct cli *c)
{
    return c->is_pipeline ? pipeline_run(&c->pipeline) : run_job(&c->job);
}

static bool is_scheduled(const struct cli *c)
{
    return c->is_pipeline ? c->pipeline.steps[0].job.scheduled : c->job.scheduled;
}

int main(int argc, char **argv)
{
    struct cli c;
    cli_commit = version_commit;
    keep_memory();
    page_memory_open();
    if (!std_fds_keep()) return CLI_INFRASTRUCTURE;
    int code =
        wants_json(argc, argv) ? parse_for_json(argc, argv, &c) : cli_parse(argc, argv, &c);
    if (code < 0) switch (c.command) {
        case CLI_RUN: code = is_scheduled(&c) ? scheduled_run(&c, run) : run(&c); break;
        case CLI_CHECK:
            code = c.is_pipeline ? pipeline_check(&c.pipeline) : run_check(&c.job);
            break;
        case CLI_PLAN: code = run_plan(&c.job); break;
        case CLI_RUNS: code = run_list(&c.job, c.arg); break;
        case CLI_EXPLAIN:
        case CLI_REPORT: code = cli_past(c.argc, c.argv, stdout, stderr); break;
        case CLI_CACHE: code = cli_cache(c.argc, c.argv, stdout, stderr); break;
        case CLI_KEYS: code = cli_keys(c.argc, c.argv, stdout, stderr); break;
        case CLI_SCHEDULE: code = cli_schedule(c.argc, c.argv, stdout, stderr); break;
        case CLI_SCALE: code = cli_scale(c.argc, c.argv, stdout, stderr); break;
        case CLI_SERVE: code = cli_serve(c.argc, c.argv, stdout, stderr); break;
        case CLI_JOBS: code = cli_jobs(c.argc, c.argv, stdout, stderr); break;
        case CLI_SERVE_JOB: code = serve_job(c.argc, c.argv); break;
        }
    cli_close(&c);
    return code;
}
