// cli_past - `tranche explain` and `tranche report`: what a past run, or one that goes on,
// did and waited for.

#ifndef COORDINATOR_CLI_PAST_H
#define COORDINATOR_CLI_PAST_H

#include <stdio.h>

// argv[0] is "explain" or "report". Everything is done or said when it returns; the exit
// code.
int cli_past(int argc, char **argv, FILE *say, FILE *complain);

#endif
