// cli_serve - the command line of `tranche serve`.

#ifndef COORDINATOR_CLI_SERVE_H
#define COORDINATOR_CLI_SERVE_H

#include "coordinator/serve.h"

#include <stdio.h>

extern const char cli_serve_help[];

// What the words say; argv[0] is "serve". -1: go on with *out, whose text is argv's. Else
// the exit code, and everything was said.
int cli_serve_parse(int argc, char **argv, struct serve_opts *out, FILE *say,
                    FILE *complain);
int cli_serve(int argc, char **argv, FILE *say, FILE *complain); // the whole command

#endif
