#include "coordinator/cli_help.h"

#include "common/opt_doc.h"

static const char run_exits[] =
    "Exit codes:\n"
    "  0    loaded, no row rejected\n"
    "  1    infrastructure: disk, network, database\n"
    "  2    usage, or a mistake in the job file\n"
    "  3    loaded, with rejected rows within the limit\n"
    "  4    more rejected rows than the limit, or batches lost\n"
    "  130  interrupted; the same command continues\n";
static const char check_exits[] = "Exit codes:\n"
                                  "  0    the job is good\n"
                                  "  1    infrastructure: disk, network, database\n"
                                  "  2    usage, or a mistake in the job\n";
static const char plan_exits[] = "Exit codes:\n"
                                 "  0    planned\n"
                                 "  1    infrastructure: disk, network, database\n"
                                 "  2    usage, or a mistake in the job\n"
                                 "  4    nothing can be foretold: batches are lost\n";
static const char runs_exits[] = "Exit codes:\n"
                                 "  0    listed\n"
                                 "  1    infrastructure: disk, database\n"
                                 "  2    usage\n";

const struct cli_command_row cli_commands[] = {
    { "run", CLI_RUN, OPT_RUN, "tranche run [JOB.yaml] [FLAGS]",
      "run a job or pipeline to its end; what was interrupted is continued",
      "Reads one source in batches (CSV, JSON lines, lines of text, SQLite, PostgreSQL, a\n"
      "range), transforms each batch on every core (SQL, programs, plugins, requests,\n"
      "forecasts), may aggregate and merge what they give, and loads the rows into a "
      "table\n"
      "or file, exactly once: after any crash the same command goes on where it stopped.\n"
      "Rows that cannot be read are kept apart, with the reason.\n"
      "\n"
      "The job comes from JOB.yaml, from flags, or from both: flags win. docs/JOBFILE.md\n"
      "describes every key. A file with steps is a pipeline (docs/PIPELINES.md).\n"
      "\n"
      "Examples:\n"
      "  tranche run examples/late-flights.yaml\n"
      "  tranche run examples/late-flights.yaml -j 2 --bad-rows 1%\n"
      "  tranche run --csv 'data/*.csv' --into sqlite:warehouse.db --table flights\n"
      "  tranche run --csv in.csv.gz --sql 'SELECT origin, delay FROM batch WHERE delay > "
      "60' \\\n"
      "              --into sqlite:late.db\n"
      "  tranche run --jsonl in.jsonl --fields id,address.city --into csv:out.csv\n"
      "  tranche run --csv 'data/*.csv' --by origin --compute 'mean=avg(delay)' \\\n"
      "              --into sqlite:means.db\n",
      run_exits },
    { "plan", CLI_PLAN, OPT_PLAN, "tranche plan [JOB.yaml] [FLAGS]",
      "try a job on a part of its input; say what a run will take",
      "Samples the input at head, middle and tail, and runs the job on what it found, "
      "with\n"
      "real workers, into a scratch folder. Says which type each column has and why, how\n"
      "many rows a second go through, how long a run will take with 1, 4 and 16 workers\n"
      "and what it waits for then, how much memory and output to expect, and which rows\n"
      "will be rejected. Nothing is written into the warehouse. Transforms are really "
      "run:\n"
      "a program or a request does what it does. Takes the flags of run; without --into a\n"
      "warehouse.db is assumed. docs/PLAN.md says what the figures assume.\n"
      "\n"
      "Examples:\n"
      "  tranche plan --csv 'data/*.csv'\n"
      "  tranche plan --csv 'data/*.csv' --write flights.yaml\n"
      "  tranche plan job.yaml --output json\n",
      plan_exits },
    { "check", CLI_CHECK, OPT_CHECK, "tranche check [JOB.yaml] [FLAGS]",
      "check a job without running it",
      "Reads the job file and the flags, opens the sources, and checks the "
      "transforms\n"
      "against their columns. Nothing is loaded or written. Every mistake is one line: "
      "file, line, "
      "column,\n"
      "what is wrong, and what would be right. Takes the flags of run.\n",
      check_exits },
    { "runs", CLI_RUNS, OPT_RUNS, "tranche runs [JOB.yaml] [FLAGS]",
      "list past runs, newest first",
      "Lists the runs that .tranche/runs.db in the current folder remembers; with "
      "JOB.yaml\n"
      "that in the job file's folder, which may be given itself. $TRANCHE_HOME names "
      "another\n"
      "place.\n",
      runs_exits },
    { "explain", CLI_EXPLAIN, 0, "tranche explain RUN [CHUNK]",
      "say what a run waited for, and why a chunk was tried again", "", "" },
    { "report", CLI_REPORT, 0, "tranche report RUN [--html FILE]",
      "show a run at a glance, as text or as a page with charts", "", "" },
    { "cache", CLI_CACHE, 0, "tranche cache list|clear",
      "show or remove the results that jobs with cache: true keep", "", "" },
    { "schedule", CLI_SCHEDULE, 0, "tranche schedule install|list|remove",
      "have the host run a job at the times of its schedule", "", "" },
    { "keys", CLI_KEYS, 0, "tranche keys new|list|allow|revoke",
      "make and revoke the keys of workers on other hosts", "", "" },
    { "scale", CLI_SCALE, 0, "tranche scale --launcher ssh|slurm|compose",
      "start and stop workers on other hosts, as many as the queue wants", "", "" },
    { "serve", CLI_SERVE, 0, "tranche serve", "run jobs from a queue, until told to stop",
      "", "" },
    { "submit", CLI_JOBS, 0, "tranche submit [JOB.yaml] [FLAGS]",
      "hand a job or pipeline to a server", "", "" },
    { "jobs", CLI_JOBS, 0, "tranche jobs [ID]", "list the jobs of a server", "", "" },
    { "cancel", CLI_JOBS, 0, "tranche cancel ID",
      "take a job out of a server's queue, or stop it", "", "" },
    { "wait", CLI_JOBS, 0, "tranche wait ID", "wait for the end of a server's job", "",
      "" },
    { "logs", CLI_JOBS, 0, "tranche logs ID", "show what a server's job writes", "", "" },
    { "workers", CLI_JOBS, 0, "tranche workers", "list the workers of a server's jobs", "",
      "" },
    { "drain", CLI_JOBS, 0, "tranche drain WORKER", "send a worker of a server away", "",
      "" },
};
const size_t cli_n_commands = sizeof cli_commands / sizeof *cli_commands;

static const char where_docs_are[] = "\ndocs/ and examples/ are in share/doc/tranche where "
                                     "Tranche is installed (of packages:\n"
                                     "/usr/share/doc/tranche), or in its source.\n";

err_t cli_help_overview(struct buf *out, struct err *e)
{
    TRY(buf_printf(out, e,
                   "Usage: tranche COMMAND [JOB.yaml] [FLAGS]\n\n"
                   "Transforms large input batch by batch on every core and loads the "
                   "result into a\nwarehouse, exactly once.\n\nCommands:\n"));
    for (size_t i = 0; i < cli_n_commands; i++)
        TRY(buf_printf(out, e, "  %-10s%s\n", cli_commands[i].name,
                       cli_commands[i].summary));
    TRY(buf_printf(out, e,
                   "\n'tranche COMMAND --help' shows the flags of a command; "
                   "'tranche --version' the version.\n\n"
                   "Examples:\n"
                   "  tranche run examples/late-flights.yaml\n"
                   "  tranche run --csv 'data/*.csv' --into sqlite:warehouse.db\n"
                   "  tranche check examples/late-flights.yaml\n\n"));
    return buf_printf(out, e, "%s%s", run_exits, where_docs_are);
}

err_t cli_help_command(struct buf *out, const struct cli_command_row *c, struct err *e)
{
    TRY(buf_printf(out, e, "Usage: %s\n\n%s", c->usage, c->text));
    TRY(opt_help(out, c->opts, e));
    return buf_printf(out, e, "\n%s%s", c->exits, where_docs_are);
}
