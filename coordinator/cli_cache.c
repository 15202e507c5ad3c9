#include "coordinator/cli_cache.h"

#include "common/conf.h"
#include "common/say.h"
#include "coordinator/cli.h"
#include "coordinator/progress.h"
#include "coordinator/report.h"
#include "coordinator/result_cache.h"
#include "coordinator/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "Usage: tranche cache list|clear [JOB.yaml|FOLDER] [--output human|json|quiet]\n"
    "\n"
    "Jobs with 'cache: true' keep the results of their batches in .tranche/cache beside "
    "the\n"
    "job file (or in $TRANCHE_HOME/cache) and reuse them. This shows or removes those of "
    "the\n"
    "current folder; with JOB.yaml those in that file's folder. docs/CACHE.md\n"
    "\n"
    "  list     a line for each job name: results, bytes, when they were used last\n"
    "  clear    removes them all; the next run works on its batches again\n"
    "\n"
    "      --output human|json|quiet  what is written to standard output (default: human)\n"
    "  -h, --help                     show this help\n"
    "\n"
    "Exit codes:\n"
    "  0    done\n"
    "  1    infrastructure: disk\n"
    "  2    usage\n";

struct asked {
    const char *verb, *job, *output;
    char dir[RUN_STATE_DIR];
    FILE *say, *complain;
    uint64_t n;
};

static bool is_output(const struct asked *a, const char *which)
{
    return strcmp(a->output, which) == 0;
}

static int usage(struct asked *a, const char *what, const char *word)
{
    say_to(a->complain, "tranche: cache: %s%s; see 'tranche cache --help'\n", what, word);
    return CLI_USAGE;
}

static void show(void *arg, const struct result_cache_sum *s)
{
    struct asked *a = arg;
    char when[32], bytes[32], results[32];
    time_t t = (time_t)s->used_wall_s;
    struct tm tm;
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime_r(&t, &tm));
    a->n++;
    if (is_output(a, "json")) {
        fputs("{\"job\":", a->say);
        json_string(s->job, a->say);
        fprintf(a->say, ",\"results\":%llu,\"bytes\":%llu,\"used_s\":%lld}\n",
                (unsigned long long)s->results, (unsigned long long)s->bytes,
                (long long)s->used_wall_s);
    } else if (is_output(a, "human")) {
        if (a->n == 1)
            say_to(a->say, "%-30s %10s %10s  %s\n", "job", "results", "size", "last used");
        format_count(s->results, results, sizeof results);
        format_bytes((double)s->bytes, bytes, sizeof bytes);
        say_to(a->say, "%-30s %10s %10s  %s\n", s->job, results, bytes, when);
    }
}

static err_t list(struct asked *a, struct err *e)
{
    TRY(result_cache_list(a->dir, show, a, e));
    if (!a->n && is_output(a, "human"))
        say_to(a->say, "no results are kept in %s/cache\n", a->dir);
    return ERR_OK;
}

static err_t clear(struct asked *a, struct err *e)
{
    struct result_cache_sum sum;
    char bytes[32], results[32];
    TRY(result_cache_clear(a->dir, &sum, e));
    format_count(sum.results, results, sizeof results);
    format_bytes((double)sum.bytes, bytes, sizeof bytes);
    if (is_output(a, "json"))
        fprintf(a->say, "{\"results\":%llu,\"bytes\":%llu}\n",
                (unsigned long long)sum.results, (unsigned long long)sum.bytes);
    else if (is_output(a, "human"))
        say_to(a->say, "removed %s results, %s\n", results, bytes);
    return ERR_OK;
}

// -1: go on.
static int read_arguments(struct asked *a, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *x = argv[i];
        if (strcmp(x, "--output") == 0 && i + 1 < argc)
            a->output = argv[++i];
        else if (strncmp(x, "--output=", 9) == 0)
            a->output = x + 9;
        else if (x[0] == '-')
            return usage(a, "no such flag, or its value is missing: ", x);
        else if (!a->verb)
            a->verb = x;
        else if (!a->job)
            a->job = x;
        else
            return usage(a, "one job file at a time, not also ", x);
    }
    if (!is_output(a, "human") && !is_output(a, "json") && !is_output(a, "quiet"))
        return usage(a, "--output is human, json or quiet, not ", a->output);
    return a->verb ? -1 : usage(a, "say what to do: list or clear", "");
}

int cli_cache(int argc, char **argv, FILE *say, FILE *complain)
{
    struct asked a = { .output = "human", .say = say, .complain = complain };
    struct err e;
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return fputs(help, say) < 0 || fflush(say) ? CLI_INFRASTRUCTURE : CLI_OK;
    int code = read_arguments(&a, argc, argv);
    if (code >= 0) return code;
    if (a.job && access(a.job, R_OK) != 0) {
        say_to(complain, "tranche: %s: cannot open the job file: %s\n", a.job,
               strerror(errno));
        return CLI_USAGE;
    }
    struct stat st;
    bool whole = a.job && stat(a.job, &st) == 0 && S_ISDIR(st.st_mode);
    char *folder = whole ? strdup(a.job) : conf_folder(a.job ? a.job : "");
    err_t rc = folder ? ERR_OK : err_set(&e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK) run_state_dir(folder, a.dir);
    free(folder);
    if (rc == ERR_OK && strcmp(a.verb, "list") == 0)
        rc = list(&a, &e);
    else if (rc == ERR_OK && strcmp(a.verb, "clear") == 0)
        rc = clear(&a, &e);
    else if (rc == ERR_OK)
        return usage(&a, "it is list or clear, not ", a.verb);
    if (rc == ERR_OK && fflush(say) != 0)
        rc = err_sys(&e, "cannot write to standard output");
    if (rc == ERR_OK) return CLI_OK;
    say_to(complain, "tranche: %s\n", e.text);
    return CLI_INFRASTRUCTURE;
}
