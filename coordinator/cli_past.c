#include "coordinator/cli_past.h"

#include "common/say.h"
#include "common/whole_file.h"
#include "coordinator/cli.h"
#include "coordinator/explain.h"
#include "coordinator/history_place.h"
#include "coordinator/past_html.h"
#include "coordinator/past_report.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static const char explain_help[] =
    "Usage: tranche explain RUN [CHUNK] [JOB.yaml] [--state FOLDER]\n"
    "       [--output human|json|quiet]\n"
    "\n"
    "The life of a run: its workers, the chunks that were tried more than once and why, "
    "what\n"
    "it waited for. With CHUNK that of one chunk: each attempt, its worker, duration and "
    "end\n"
    "with what the program said, why there was another one, where its rows are in the\n"
    "warehouse, and whether the cache had its result. docs/REPORT.md\n"
    "\n"
    "  RUN       as 'tranche runs' prints it, the beginning of it, or last\n"
    "  CHUNK     its number as explain and report print it, FILE:LINE of a row in it, or\n"
    "            FILE@BYTE (of sources without bytes, the number of a row)\n"
    "  JOB.yaml  the runs in that file's folder, not in the current one; $TRANCHE_HOME "
    "names\n"
    "            another place. A folder (with a / in it) stands for the job file in it\n"
    "\n"
    "      --state FOLDER             the folder of the history itself\n"
    "      --output human|json|quiet  what is written to standard output (default: human)\n"
    "  -h, --help                     show this help\n"
    "\n"
    "Exit codes:\n"
    "  0    told\n"
    "  1    infrastructure: disk, database\n"
    "  2    usage; no such run or chunk\n";

static const char report_help[] =
    "Usage: tranche report RUN [JOB.yaml] [--html FILE] [--state FOLDER]\n"
    "       [--output human|json|quiet]\n"
    "\n"
    "A run at a glance: throughput and workers over time, slowest chunks, retries, "
    "rejected\n"
    "rows by reason, the balance sheet, hardware. docs/REPORT.md\n"
    "\n"
    "  RUN       as 'tranche runs' prints it, the beginning of it, or last\n"
    "  JOB.yaml  the runs in that file's folder, not in the current one; $TRANCHE_HOME "
    "names\n"
    "            another place. A folder (with a / in it) stands for the job file in it\n"
    "\n"
    "      --state FOLDER             the folder of the history itself\n"
    "      --html FILE                writes it as one page with charts, which needs "
    "nothing\n"
    "                                 else, and nothing to standard output\n"
    "      --output human|json|quiet  what is written to standard output (default: human)\n"
    "  -h, --help                     show this help\n"
    "\n"
    "Exit codes:\n"
    "  0    told, or written\n"
    "  1    infrastructure: disk, database\n"
    "  2    usage; no such run\n";

struct asked {
    const char *verb, *run, *chunk, *job, *output, *html, *state;
    bool report;
    FILE *say, *complain;
};

static bool is_output(const struct asked *a, const char *which)
{
    return strcmp(a->output, which) == 0;
}

static int usage(struct asked *a, const char *what, const char *word)
{
    say_to(a->complain, "tranche: %s: %s%s; see 'tranche %s --help'\n", a->verb, what, word,
           a->verb);
    return CLI_USAGE;
}

static bool is_yaml(const char *s)
{
    const char *dot = strrchr(s, '.');
    return dot && (!strcasecmp(dot, ".yaml") || !strcasecmp(dot, ".yml"));
}

// Ids and places of chunks are none, and have no reason to look so.
static bool is_folder(const char *s)
{
    struct stat st;
    return (strchr(s, '/') || !strcmp(s, ".") || !strcmp(s, "..")) && stat(s, &st) == 0 &&
           S_ISDIR(st.st_mode);
}

// "--flag VALUE" or "--flag=VALUE"; -1: its value is missing.
static int take_flag(int argc, char **argv, int *i, const char *flag, const char **value)
{
    size_t n = strlen(flag);
    const char *x = argv[*i];
    if (strncmp(x, flag, n) != 0 || (x[n] && x[n] != '=')) return 0;
    *value = x[n] ? x + n + 1 : *i + 1 < argc ? argv[++*i] : NULL;
    return *value && **value ? 1 : -1;
}

static int operand(struct asked *a, const char *x)
{
    if (is_yaml(x) || is_folder(x)) {
        if (a->job) return usage(a, "one job file at a time, not also ", x);
        a->job = x;
    } else if (!a->run) {
        a->run = x;
    } else if (!a->report && !a->chunk) {
        a->chunk = x;
    } else {
        return usage(a,
                     a->report ? "one run at a time, not also "
                               : "one chunk at a time, not also ",
                     x);
    }
    return -1;
}

// -1: go on.
static int read_arguments(struct asked *a, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *x = argv[i];
        int found = take_flag(argc, argv, &i, "--output", &a->output);
        if (!found) found = take_flag(argc, argv, &i, "--state", &a->state);
        if (!found && a->report) found = take_flag(argc, argv, &i, "--html", &a->html);
        if (found < 0) return usage(a, "a value is missing: ", x);
        if (!found && x[0] == '-') return usage(a, "no such flag: ", x);
        int code = found ? -1 : operand(a, x);
        if (code >= 0) return code;
    }
    if (!is_output(a, "human") && !is_output(a, "json") && !is_output(a, "quiet"))
        return usage(a, "--output is human, json or quiet, not ", a->output);
    if (!a->run) return usage(a, "say which run: its id, or last", "");
    return -1;
}

static err_t load_all(struct past *p, bool report, struct err *e)
{
    TRY(past_load_stats(p, e));
    TRY(past_load_chunks(p, e));
    TRY(past_load_events(p, e));
    return report ? past_load_rejects(p, e) : ERR_OK;
}

static err_t write_page(struct asked *a, struct past *p, struct err *e)
{
    struct buf page = { 0 };
    TRY(past_html(p, &page, e));
    err_t rc = whole_file_write(a->html, page.p, page.n, e);
    buf_free(&page);
    if (rc == ERR_OK && !is_output(a, "quiet"))
        say_to(a->complain, "the report of run %s is written to %s\n", p->run.id, a->html);
    return rc;
}

static err_t tell_chunk(struct asked *a, struct past *p, struct err *e)
{
    struct past_chunk c;
    struct past_rows rows;
    TRY(past_load_stats(p, e));
    TRY(past_find_chunk(p, a->chunk, &c, &rows, e));
    if (is_output(a, "json"))
        explain_chunk_json(p, &c, &rows, a->say);
    else if (is_output(a, "human"))
        explain_chunk(p, &c, &rows, a->say);
    return ERR_OK;
}

static err_t tell(struct asked *a, struct past *p, struct err *e)
{
    if (a->chunk) return tell_chunk(a, p, e);
    TRY(load_all(p, a->report, e));
    if (a->html) return write_page(a, p, e);
    if (is_output(a, "json"))
        (a->report ? past_report_json : explain_run_json)(p, a->say);
    else if (is_output(a, "human"))
        (a->report ? past_report : explain_run)(p, a->say);
    return ERR_OK;
}

static err_t open_and_tell(struct asked *a, struct err *e)
{
    char history[RUN_STATE_DIR];
    struct past p = { 0 };
    history_place(a->state, a->job, history);
    err_t rc = past_open(&p, history, a->run, e);
    if (rc == ERR_OK) rc = tell(a, &p, e);
    past_close(&p);
    if (rc == ERR_OK && fflush(a->say) != 0)
        rc = err_sys(e, "cannot write to standard output");
    return rc;
}

int cli_past(int argc, char **argv, FILE *say, FILE *complain)
{
    struct asked a = { .verb = argv[0],
                       .output = "human",
                       .report = strcmp(argv[0], "report") == 0,
                       .say = say,
                       .complain = complain };
    struct err e;
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return fputs(a.report ? report_help : explain_help, say) < 0 || fflush(say)
                       ? CLI_INFRASTRUCTURE
                       : CLI_OK;
    int code = read_arguments(&a, argc, argv);
    if (code >= 0) return code;
    err_t rc = open_and_tell(&a, &e);
    if (rc == ERR_OK) return CLI_OK;
    say_to(complain, "tranche: %s: %s\n", a.verb, e.text);
    return rc == ERR_INVALID ? CLI_USAGE : CLI_INFRASTRUCTURE;
}
