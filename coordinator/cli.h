// cli - the command line of `tranche`: commands, flags, --help, --version.

#ifndef COORDINATOR_CLI_H
#define COORDINATOR_CLI_H

#include "common/pipeline.h"

#include <stdio.h>

enum cli_command {
    CLI_RUN,
    CLI_CHECK,
    CLI_PLAN,
    CLI_RUNS,
    CLI_EXPLAIN,
    CLI_REPORT,
    CLI_KEYS,
    CLI_SCALE,
    CLI_CACHE,
    CLI_SCHEDULE,
    CLI_SERVE,
    CLI_JOBS, // submit, jobs, ...: what argv[0] says
    CLI_SERVE_JOB,
};

enum { // exit codes of every command (PRODUCT.md 4)
    CLI_OK = 0,
    CLI_INFRASTRUCTURE = 1,
    CLI_USAGE = 2,
    CLI_REJECTS = 3,
    CLI_LIMIT = 4,
    CLI_INTERRUPTED = 130,
};

struct cli {
    enum cli_command command;
    struct job job;   // RUN, CHECK, PLAN: read and checked; RUNS: only `output` and `dir`
    bool is_pipeline; // RUN, CHECK: the file has steps, and `job` is none
    struct pipeline pipeline; // read and checked, then
    const char *arg;          // the job file as given, from argv; NULL: none
    int argc;                 // of other commands: the arguments, which cli_keys, ... read
    char **argv;
};

// What --version tells behind the version; "": nothing. Set by main.
extern const char *cli_commit;

// -1: go on with *out. Else the exit code: everything has been said on `say` (help,
// version) or `complain` (one line a mistake). `out` is closed by the caller in any case.
int cli_parse_to(int argc, char **argv, struct cli *out, FILE *say, FILE *complain);
int cli_parse(int argc, char **argv, struct cli *out); // standard output, standard error
void cli_close(struct cli *c);

#endif
