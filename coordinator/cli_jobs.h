// cli_jobs - the commands that talk to a server: submit, jobs, cancel, wait,
// logs, workers, drain.

#ifndef COORDINATOR_CLI_JOBS_H
#define COORDINATOR_CLI_JOBS_H

#include <stddef.h>
#include <stdio.h>

struct cli_jobs_command {
    const char *name, *usage, *summary, *help;
};
extern const struct cli_jobs_command cli_jobs_commands[]; // ends with a NULL name

// The whole command; argv[0] is its name. Exit codes of cli.h; `wait` and `submit --wait`
// have that of the job.
int cli_jobs(int argc, char **argv, FILE *say, FILE *complain);

#endif
