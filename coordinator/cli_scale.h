// cli_scale - the command line of `tranche scale`.

#ifndef COORDINATOR_CLI_SCALE_H
#define COORDINATOR_CLI_SCALE_H

#include "coordinator/scale.h"

extern const char cli_scale_help[];

// What the words say; argv[0] is "scale". -1: go on with *out. Else the exit code, and
// everything was said. The text is argv's; cli_scale_free in any case.
int cli_scale_parse(int argc, char **argv, struct scale_opts *out, FILE *say,
                    FILE *complain);
void cli_scale_free(struct scale_opts *o);

int cli_scale(int argc, char **argv, FILE *say, FILE *complain); // the whole command

#endif
