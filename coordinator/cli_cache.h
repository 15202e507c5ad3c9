// cli_cache - `tranche cache`: what results of earlier runs are kept, and away with them.

#ifndef COORDINATOR_CLI_CACHE_H
#define COORDINATOR_CLI_CACHE_H

#include <stdio.h>

// argv[0] is "cache". Everything is done or said when it returns; the exit code.
int cli_cache(int argc, char **argv, FILE *say, FILE *complain);

#endif
