// cli_help - what `--help` says.

#ifndef COORDINATOR_CLI_HELP_H
#define COORDINATOR_CLI_HELP_H

#include "common/buf.h"
#include "coordinator/cli.h"

struct cli_command_row {
    const char *name;
    enum cli_command command;
    unsigned opts; // its bit of enum opt_command
    const char *usage;
    const char *summary; // one line
    const char *text;    // what `tranche NAME --help` says before the flags
    const char *exits;   // and after them: the exit codes
};
extern const struct cli_command_row cli_commands[];
extern const size_t cli_n_commands;

MUST_CHECK err_t cli_help_overview(struct buf *out, struct err *e);
MUST_CHECK err_t cli_help_command(struct buf *out, const struct cli_command_row *c,
                                  struct err *e);

#endif
